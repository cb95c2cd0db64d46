//! One line a request: tenant, endpoint, resource, outcome, revision, duration, what was let through. No values, no tokens, no names of people.

use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;

use super::error::Error;
use super::id;
use super::note::Note;

/// Writes the line when the response is ready.
pub(crate) async fn log(mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let note = Note::default();
    request.extensions_mut().insert(note.clone());
    let method = request.method().clone();
    // The pattern, never the path: whatever a client writes there stays out of the log, except for a well-formed id.
    let endpoint = request.extensions().get::<MatchedPath>().cloned();
    let named = request.uri().path().rsplit('/').next().and_then(id::parse);
    let response = next.run(request).await;

    let facts = note.facts();
    let tenant = facts.tenant.as_deref().unwrap_or("-");
    let resource = named.or(facts.resource).map(|id| id.to_string());
    let revision = facts.revision.map(|revision| revision.to_string());
    let error = response.extensions().get::<Error>();
    let scim_type = error.and_then(|error| error.kind().1).unwrap_or("-");
    for unknown in facts.seen.unknown() {
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
        revision = revision.as_deref().unwrap_or("-"),
        dialect = %facts.seen,
        micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX),
        "SCIM request"
    );
    response
}
