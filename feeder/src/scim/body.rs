//! Request bodies: JSON, within the limit, without duplicate keys (RFC 7644 section 3.1).

use axum::extract::{FromRequest, Request};
use http::{HeaderMap, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::Value;

use super::context::Context;
use super::error::Error;
use super::json;

/// A body that was read whole.
#[derive(Debug)]
pub(crate) struct Json(pub(crate) Value);

impl<S: Send + Sync> FromRequest<S> for Json {
    type Rejection = Error;

    async fn from_request(request: Request, _: &S) -> Result<Json, Error> {
        if !is_json(request.headers()) {
            return Err(Error::MediaType);
        }
        let context = request.extensions().get::<Context>();
        let limit = context
            .ok_or(Error::Unauthorized)?
            .settings
            .limits
            .body_bytes;
        // A client that says how long its body is need not send it to be refused.
        let length = request.headers().get(header::CONTENT_LENGTH);
        let length = length.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
        if length.is_some_and(|length| length > limit) {
            return Err(Error::TooLarge { limit });
        }
        let body = Limited::new(request.into_body(), limit).collect().await;
        let body = body.map_err(|error| match error.is::<LengthLimitError>() {
            true => Error::TooLarge { limit },
            false => Error::Json("it ended early".to_owned()),
        })?;
        json::parse(&body.to_bytes())
            .map(Json)
            .map_err(|error| Error::Json(error.to_string()))
    }
}

/// `application/scim+json`, `application/json`, or nothing said.
fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE) else {
        return true;
    };
    let media_type = value.to_str().unwrap_or_default();
    let media_type = media_type.split(';').next().unwrap_or_default().trim();
    media_type.is_empty()
        || media_type.eq_ignore_ascii_case("application/scim+json")
        || media_type.eq_ignore_ascii_case("application/json")
}
