//! The response to a Bulk request (RFC 7644 sections 3.7.2 and 3.7.3).

use axum::response::Response;
use http::StatusCode;
use serde_json::{Map, Value, json};

use super::plan::{Plan, Step};
use super::request::Method;
use super::run::{Done, Outcomes};
use crate::scim::context::Context;
use crate::scim::error::Error;
use crate::scim::reply;

/// What was done is told in the order of the request. What was left because of earlier errors is not told.
pub(super) fn of(context: &Context, plan: &Plan, outcomes: &Outcomes) -> Response {
    let done = plan.steps.iter().zip(outcomes);
    let operations: Vec<Value> = done
        .filter_map(|(step, outcome)| {
            let outcome = outcome.as_ref()?;
            log(context, step, outcome);
            Some(operation(context, step, outcome))
        })
        .collect();
    let body = json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkResponse"],
        "Operations": operations,
    });
    reply::json(StatusCode::OK, &body)
}

/// The bodies of successes are omitted, as the RFC allows.
fn operation(context: &Context, step: &Step, outcome: &Result<Done, Error>) -> Value {
    let mut operation = Map::new();
    let mut put = |name: &str, value: Value| operation.insert(name.to_owned(), value);
    // What was not created is nowhere.
    if let Some(path) = &step.path
        && (step.method != Method::Post || outcome.is_ok())
    {
        put("location", format!("{}{path}", context.base).into());
    }
    put("method", step.method.as_str().into());
    if let Some(bulk_id) = &step.bulk_id {
        put("bulkId", bulk_id.as_str().into());
    }
    put("status", status(outcome).as_str().into());
    match outcome {
        Ok(done) => {
            if let Some(version) = &done.version {
                put("version", version.as_str().into());
            }
        }
        Err(error) => {
            put("response", error.body());
        }
    }
    Value::Object(operation)
}

fn status(outcome: &Result<Done, Error>) -> StatusCode {
    match outcome {
        Ok(done) => done.status,
        Err(error) => error.kind().0,
    }
}

/// A line an operation: what the line of the request says of a request with one resource.
fn log(context: &Context, step: &Step, outcome: &Result<Done, Error>) {
    if let Some(unknown) = outcome.as_ref().err().and_then(Error::misnamed) {
        context.note().misnamed(unknown);
    }
    tracing::info!(
        tenant = &*context.tenant,
        method = step.method.as_str(),
        resource = step.resource().as_deref().unwrap_or("-"),
        status = status(outcome).as_u16(),
        scim_type = outcome
            .as_ref()
            .err()
            .and_then(|error| error.kind().1)
            .unwrap_or("-"),
        "SCIM bulk operation"
    );
}
