//! Bulk (RFC 7644 section 3.7): many operations in one request, and one command of the writer.
//!
//! ```text
//! body -> Request -> Plan (ids, references, order) -> rehearsal outside of the writer -> the same inside -> response
//! ```
//!
//! The id of each new resource is chosen before anything else, so references to resources to come are ids like any others. Each operation happens
//! whole or not at all, whatever becomes of the others; new resources that refer to each other in a circle happen together. The request is one
//! change of the directory: one transaction, one sync, one revision. It knows of no store and no stream.

mod edits;
mod error;
#[cfg(any(fuzzing, test))]
pub(super) mod fuzzing;
mod ids;
mod order;
mod plan;
mod request;
mod response;
mod run;

use axum::Extension;
use axum::response::Response;

pub(crate) use error::BulkError;

use self::edits::Edits;
use self::plan::Plan;
use self::request::Request;
use super::body::Json;
use super::context::Context;
use super::error::Error;
use super::reading::Reading;
use crate::directory::Draft;

/// Carries out a Bulk request.
///
/// It is done twice: on a copy of the directory, where it may take its time, and in the writer, where the edits that the copy led to are taken as they
/// are unless somebody else has changed what they were made from.
pub(crate) async fn answer(
    Extension(context): Extension<Context>,
    Json(body): Json,
) -> Result<Response, Error> {
    let outer = context.clone();
    let rehearse = move |reading: &mut Reading| {
        let request = Request::parse(body, outer.settings.limits.bulk_operations, reading)?;
        let plan = Plan::of(request, &outer.base, reading);
        let mut edits = Edits::default();
        run::carry_out(
            &outer.tenant,
            &plan,
            &mut edits,
            &mut outer.rehearsal(),
            reading,
        )?;
        Ok((plan, edits, reading.clone()))
    };
    let (plan, mut edits, mut reading) = context.compute(rehearse).await?;
    let tenant = context.tenant.clone();
    let command = move |draft: &mut Draft| {
        let outcomes = run::carry_out(&tenant, &plan, &mut edits, draft, &mut reading)?;
        Ok((plan, outcomes))
    };
    let (plan, outcomes) = context.commit(command).await?;
    Ok(response::of(&context, &plan, &outcomes))
}
