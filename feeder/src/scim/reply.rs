//! Responses with a body: `application/scim+json`, and what the log will say of them.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::dialect::Seen;
use super::projection::Projection;
use super::schema::ResourceType;

/// A successful answer.
#[derive(Debug)]
pub(crate) struct Reply {
    response: Response,
    note: Note,
}

/// What a handler tells the log, carried in the response's extensions.
#[derive(Debug, Clone, Default)]
pub(crate) struct Note {
    /// The resource that was created, read or changed.
    pub(crate) resource: Option<Uuid>,
    /// What was let through.
    pub(crate) seen: Seen,
}

impl Reply {
    /// An answer with this body.
    pub(crate) fn json(status: StatusCode, body: &impl Serialize) -> Reply {
        Reply {
            response: json(status, body),
            note: Note::default(),
        }
    }

    /// One resource, as far as it is wanted, with `Location` (RFC 7644 section 3.1) and `ETag` (section 3.14) from its `meta`.
    pub(crate) fn resource(
        status: StatusCode,
        resources: &ResourceType,
        resource: Map<String, Value>,
        projection: &Projection<'_>,
    ) -> Reply {
        let meta = resource.get("meta").cloned();
        let mut reply = Reply::json(status, &projection.apply(resources, resource));
        let headers = reply.response.headers_mut();
        for (name, attribute) in [(header::LOCATION, "location"), (header::ETAG, "version")] {
            let value = meta.as_ref().and_then(|meta| meta.get(attribute)?.as_str());
            if let Some(Ok(value)) = value.map(HeaderValue::from_str) {
                headers.insert(name, value);
            }
        }
        reply
    }

    /// 204.
    pub(crate) fn empty() -> Reply {
        Reply {
            response: StatusCode::NO_CONTENT.into_response(),
            note: Note::default(),
        }
    }

    /// Says for the log which resource this was about.
    pub(crate) fn about(mut self, resource: Uuid) -> Reply {
        self.note.resource = Some(resource);
        self
    }

    /// Says for the log what was let through.
    pub(crate) fn seen(mut self, seen: Seen) -> Reply {
        self.note.seen.merge(seen);
        self
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let mut response = self.response;
        response.extensions_mut().insert(self.note);
        response
    }
}

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
