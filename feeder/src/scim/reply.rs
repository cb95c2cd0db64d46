//! Responses with a body: `application/scim+json`.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

/// A response with this body.
pub(crate) fn json(status: StatusCode, body: &impl Serialize) -> Response {
    // Maps with string keys always have a text.
    let text = serde_json::to_vec(body).unwrap_or_default();
    self::text(status, Body::from(text))
}

/// A response with a body that is JSON already.
pub(crate) fn text(status: StatusCode, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let scim = HeaderValue::from_static("application/scim+json");
    response.headers_mut().insert(header::CONTENT_TYPE, scim);
    response
}

/// One resource's text, with `Location` (RFC 7644 section 3.1) and `ETag` (section 3.14).
pub(crate) fn resource(status: StatusCode, body: Body, location: &str, tag: &str) -> Response {
    let mut response = text(status, body);
    for (name, value) in [(header::LOCATION, location), (header::ETAG, tag)] {
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// 304: the client has it already.
pub(crate) fn not_modified(tag: &str) -> Response {
    let mut response = StatusCode::NOT_MODIFIED.into_response();
    if let Ok(tag) = HeaderValue::from_str(tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

/// 204.
pub(crate) fn empty() -> Response {
    StatusCode::NO_CONTENT.into_response()
}
