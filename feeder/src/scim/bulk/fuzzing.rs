//! What must hold of any Bulk request.

use serde_json::Value;

use super::edits::Edits;
use super::plan::Plan;
use super::request::Request;
use super::run::{self, Outcomes};
use crate::directory::{Directory, Draft};
use crate::scim::reading::Reading;

/// Carries a request out on a directory as an endpoint does: rehearsed, and then done. What it makes, if anything.
pub(in crate::scim) fn carried_out(
    directory: &Directory,
    tenant: &str,
    body: Value,
    reading: &mut Reading,
) -> Option<Directory> {
    let now = jiff::Timestamp::UNIX_EPOCH;
    let request = Request::parse(body, 50, reading).ok()?;
    let plan = Plan::of(request, "https://example.com/scim/v2", reading);
    let mut order = plan.order.concat();
    order.sort_unstable();
    assert!(
        order.iter().copied().eq(0..plan.steps.len()),
        "each operation has one place: {:?}",
        plan.order
    );
    let mut edits = Edits::default();
    let mut rehearsal = Draft::new(directory, now);
    let rehearsed = run::carry_out(tenant, &plan, &mut edits, &mut rehearsal, reading).ok()?;
    let mut draft = Draft::new(directory, now);
    let done = run::carry_out(tenant, &plan, &mut edits, &mut draft, reading).ok()?;
    assert_eq!(done, rehearsed, "the writer does what was rehearsed");
    let made = draft.finish();
    if succeeded(&done) == 0 {
        assert!(
            made.rows.is_empty() && made.change.is_none(),
            "operations that failed have changed something: {:?}",
            made.rows
        );
    }
    Some(made.directory)
}

fn succeeded(outcomes: &Outcomes) -> usize {
    let done = outcomes.iter().flatten();
    done.filter(|outcome| outcome.is_ok()).count()
}
