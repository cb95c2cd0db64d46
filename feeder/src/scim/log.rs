//! One line a request: tenant, endpoint, resource, outcome, revision, duration, what was let through. No values, no tokens, no names of people.

use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;
use http::StatusCode;
use uuid::Uuid;

use super::error::Error;
use super::id;
use super::note::Note;
use crate::metrics::method_label;
use crate::schema::Unknown;

/// Writes the line when the response is ready, or when nobody waits for it any more.
pub(crate) async fn log(mut request: Request, next: Next) -> Response {
    let note = Note::default();
    request.extensions_mut().insert(note.clone());
    let mut line = Line {
        started: Instant::now(),
        note,
        method: method_label(request.method()),
        // The pattern, never the path: whatever a client writes there stays out of the log, except for a well-formed id.
        endpoint: request.extensions().get::<MatchedPath>().cloned(),
        named: request.uri().path().rsplit('/').next().and_then(id::parse),
        outcome: None,
    };
    let response = next.run(request).await;
    let error = response.extensions().get::<Error>();
    if let Some(unknown) = error.and_then(Error::misnamed) {
        line.note.misnamed(unknown);
    }
    line.outcome = Some(Outcome {
        status: response.status(),
        scim_type: error.and_then(|error| error.kind().1),
    });
    response
}

struct Line {
    started: Instant,
    note: Note,
    method: &'static str,
    endpoint: Option<MatchedPath>,
    named: Option<Uuid>,
    /// None: the client went, or the server is being stopped.
    outcome: Option<Outcome>,
}

struct Outcome {
    status: StatusCode,
    scim_type: Option<&'static str>,
}

impl Drop for Line {
    fn drop(&mut self) {
        let facts = self.note.facts();
        if facts.quiet {
            return;
        }
        let tenant = facts.tenant.as_deref().unwrap_or("-");
        let endpoint = self.endpoint.as_ref().map_or("-", |path| path.as_str());
        let resource = self.named.or(facts.resource).map(|id| id.to_string());
        let resource = resource.as_deref().unwrap_or("-");
        let revision = facts.revision.map(|revision| revision.to_string());
        let revision = revision.as_deref().unwrap_or("-");
        let micros = u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX);
        for Unknown {
            written, resembles, ..
        } in facts.seen.unknown()
        {
            // With its quotes: the client chose the name, and no character of it may begin a line.
            match resembles {
                Some(resembles) => {
                    tracing::info!(tenant, written = ?written, resembles, "a SCIM client wrote an attribute that looks misnamed");
                }
                None => {
                    tracing::debug!(tenant, written = ?written, "a SCIM client wrote an unknown attribute");
                }
            }
        }
        let Some(outcome) = &self.outcome else {
            tracing::info!(
                tenant,
                method = self.method,
                endpoint,
                resource,
                revision,
                dialect = %facts.seen,
                micros,
                "a SCIM client did not wait for the answer"
            );
            return;
        };
        tracing::info!(
            tenant,
            method = self.method,
            endpoint,
            resource,
            status = outcome.status.as_u16(),
            scim_type = outcome.scim_type.unwrap_or("-"),
            revision,
            held = facts.held,
            dialect = %facts.seen,
            micros,
            "SCIM request"
        );
    }
}
