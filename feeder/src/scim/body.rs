//! Request bodies: JSON, within the limits, without duplicate keys (RFC 7644 section 3.1).

use axum::extract::{FromRequest, Request};
use http::{HeaderMap, header};
use serde_json::Value;

use super::context::Context;
use super::error::Error;
use super::json;

/// Bytes that are parsed where the request is; more would hold up other requests.
const AT_ONCE: usize = 64 << 10;

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
        let context = context.ok_or(Error::Unauthorized)?.clone();
        let length = request.headers().get(header::CONTENT_LENGTH);
        let length = length.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
        let bytes = context.read_body(request.into_body(), length).await?;
        let limits = context.settings.limits;
        let parse = move || json::parse(&bytes, &limits).map_err(Error::from);
        let value = match length.is_some_and(|length| length <= AT_ONCE) {
            true => parse()?,
            false => context.compute(move |_| parse()).await?,
        };
        Ok(Json(value))
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
