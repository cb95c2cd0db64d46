//! One line a request: tenant, endpoint, resource, outcome, duration, what was let through. No values, no tokens, no names of people.

use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;

use super::auth::Caller;
use super::error::Error;
use super::id;
use super::reply::Note;

/// Writes the line when the response is ready.
pub(crate) async fn log(request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = request.method().clone();
    // The pattern, never the path: whatever a client writes there stays out of the log, except for a well-formed id.
    let endpoint = request.extensions().get::<MatchedPath>().cloned();
    let named = request.uri().path().rsplit('/').next().and_then(id::parse);
    let response = next.run(request).await;

    let extensions = response.extensions();
    let tenant = extensions.get::<Caller>().map_or("-", |caller| &*caller.0);
    let note = extensions.get::<Note>().cloned().unwrap_or_default();
    let resource = named.or(note.resource).map(|id| id.to_string());
    let scim_type = extensions
        .get::<Error>()
        .and_then(|error| error.kind().1)
        .unwrap_or("-");
    for unknown in note.seen.unknown() {
        match &unknown.resembles {
            Some(resembles) => {
                tracing::info!(tenant, ignored = %unknown.written, resembles, "a SCIM client wrote an attribute that looks misnamed");
            }
            None => {
                tracing::debug!(tenant, ignored = %unknown.written, "a SCIM client wrote an unknown attribute");
            }
        }
    }
    tracing::info!(
        tenant,
        method = %method,
        endpoint = endpoint.as_ref().map_or("-", |path| path.as_str()),
        resource = resource.as_deref().unwrap_or("-"),
        status = response.status().as_u16(),
        scim_type,
        dialect = %note.seen,
        micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX),
        "SCIM request"
    );
    response
}
