//! `scimesh shadow`: what SHADOW rules and policies would have refused. The shapes that travel, and the answer.
//!
//! Fields may be added; none is removed or changes its meaning (`docs/cli.md`).

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::{Json, State};
use serde::{Deserialize, Serialize};

use super::fleet::Now;
use super::observed::{Heard, NAMED, Names, SubjectRow, heard, tenants};
use super::router::{Asked, Done, Running, aside};
use super::wire::Command;
use crate::directory::{Directory, Refused, Tenant};
use crate::observations::{Observations, RefusedSubject};

/// Asks what would have been refused.
#[derive(Debug, Serialize, Deserialize)]
pub struct Shadow {
    /// Only of policies of this tenant.
    pub tenant: Option<String>,
}

impl Command for Shadow {
    const PATH: &'static str = "/shadow";
    type Answer = ShadowReport;
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ShadowReport {
    /// Of the history.
    pub generation: u64,
    /// Of the directory in which names were looked up.
    pub revision: u64,
    /// By name.
    pub tenants: Vec<TenantShadow>,
}

/// Of one tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TenantShadow {
    /// Its name.
    pub tenant: String,
    /// Null: nothing was reported in the last hour.
    pub heard: Option<Heard>,
    /// By policy, rule and reason.
    pub refusals: Vec<RefusalRow>,
}

/// Requests that one rule, or the lack of one, would have refused for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RefusalRow {
    /// Null: it has no name.
    pub policy: Option<String>,
    /// Null: no rule matched, or none was asked.
    pub rule: Option<String>,
    /// As in refusals.
    pub reason: String,
    /// How many in the last hour, to five minutes.
    pub requests: u64,
    /// When a filter told of the last one.
    pub last_seen: String,
    /// How many subjects are known: 100 at most.
    pub subjects: usize,
    /// Whether there were others.
    pub more_subjects: bool,
    /// Some of them, those with the most requests: 20 at most.
    pub named: Vec<SubjectRow>,
}

pub(super) async fn shadow(running: State<Running>, asked: Asked<Shadow>) -> Done<Shadow> {
    let Json(Shadow { tenant }) = asked?;
    let State(Running { ledger, feed, .. }) = running;
    let (directory, observations) = (ledger.directory(), feed.observations().clone());
    aside(move || answer(&directory, &observations, tenant.as_deref())).await
}

fn answer(
    directory: &Arc<Directory>,
    observations: &Observations,
    tenant: Option<&str>,
) -> Result<ShadowReport, Refused> {
    let now = Now::read();
    let tenants = tenants(directory, tenant)?.into_iter();
    Ok(ShadowReport {
        generation: directory.history().generation,
        revision: directory.revision(),
        tenants: tenants
            .map(|tenant| of_tenant(directory, observations, tenant, now))
            .collect(),
    })
}

fn of_tenant(
    directory: &Directory,
    observations: &Observations,
    tenant: &Tenant,
    now: Now,
) -> TenantShadow {
    let mut shadow = TenantShadow {
        tenant: tenant.name().to_string(),
        heard: None,
        refusals: Vec::new(),
    };
    let Some(mut told) = observations.refusals(tenant, now.instant) else {
        return shadow;
    };
    shadow.heard = Some(heard(&told, now));
    let mut asked_for = BTreeSet::new();
    for refused in &mut told.seen {
        let most = |one: &RefusedSubject| Reverse((one.requests, one.last, one.subject));
        refused.subjects.sort_by_key(most);
        asked_for.extend(refused.subjects.iter().take(NAMED).map(|one| one.subject));
    }
    let names = Names::of(directory, tenant, &asked_for);
    let named = |text: String| (!text.is_empty()).then_some(text);
    let rows = told.seen.into_iter().map(|refused| RefusalRow {
        policy: named(refused.policy),
        rule: named(refused.rule),
        reason: refused.reason.to_owned(),
        requests: refused.requests,
        last_seen: now.text(refused.last),
        subjects: refused.subjects.len(),
        more_subjects: refused.others,
        named: refused
            .subjects
            .iter()
            .take(NAMED)
            .map(|one| names.row(one.subject, Some(one.requests), now.text(one.last)))
            .collect(),
    });
    shadow.refusals = rows.collect();
    shadow
}
