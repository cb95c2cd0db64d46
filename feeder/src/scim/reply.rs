//! Responses with a body: `application/scim+json`.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use serde_json::{Map, Value};

/// A response with this body.
pub(crate) fn json(status: StatusCode, body: &impl Serialize) -> Response {
    // Maps with string keys always have a text.
    let text = serde_json::to_vec(body).unwrap_or_default();
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    let scim = HeaderValue::from_static("application/scim+json");
    response.headers_mut().insert(header::CONTENT_TYPE, scim);
    response
}

/// One rendered resource, with `Location` (RFC 7644 section 3.1) and `ETag` (section 3.14) from its `meta`. `shown` is what of it is wanted.
pub(crate) fn resource(status: StatusCode, meta: &Value, shown: &Map<String, Value>) -> Response {
    let mut response = json(status, shown);
    for (name, attribute) in [(header::LOCATION, "location"), (header::ETAG, "version")] {
        let value = meta.get(attribute).and_then(Value::as_str);
        if let Some(Ok(value)) = value.map(HeaderValue::from_str) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// 204.
pub(crate) fn empty() -> Response {
    StatusCode::NO_CONTENT.into_response()
}
