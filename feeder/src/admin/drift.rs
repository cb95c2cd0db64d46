//! `scimesh drift`: what today's tokens say otherwise than the directory about groups. The shapes that travel, and the answer.
//!
//! Fields may be added; none is removed or changes its meaning (`docs/cli.md`).

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::{Json, State};
use scimesh_proto::binding::Source;
use serde::{Deserialize, Serialize};

use super::fleet::Now;
use super::observed::{Heard, NAMED, Names, SubjectRow, heard, tenants};
use super::router::{Asked, Done, Running, aside};
use super::wire::Command;
use crate::directory::{Directory, Refused, Tenant};
use crate::observations::{Observations, Seen, Sides};

/// Asks what tokens say otherwise.
#[derive(Debug, Serialize, Deserialize)]
pub struct Drift {
    /// Only of this tenant.
    pub tenant: Option<String>,
}

impl Command for Drift {
    const PATH: &'static str = "/drift";
    type Answer = DriftReport;
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DriftReport {
    /// Of the history.
    pub generation: u64,
    /// Of the directory in which names were looked up.
    pub revision: u64,
    /// By name.
    pub tenants: Vec<TenantDrift>,
}

/// Of one tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TenantDrift {
    /// Its name.
    pub tenant: String,
    /// The issuers whose bindings say where tokens list groups. Of none, nothing is compared.
    pub issuers: Vec<String>,
    /// Null: nothing was reported in the last hour.
    pub heard: Option<Heard>,
    /// Tokens that were compared, over all VMs.
    pub compared: u64,
    /// Those of them that do not list their groups.
    pub unknown: u64,
    /// Subjects whose tokens claim a group that they are out of.
    pub gone: usize,
    /// Subjects whose tokens lack a group that they are in.
    pub gained: usize,
    /// Each of which that is so.
    pub groups: Vec<GroupDrift>,
}

/// Of one group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupDrift {
    /// As policies write it.
    pub term: String,
    /// Claimed, and not held.
    pub gone: DriftRow,
    /// Held, and not claimed.
    pub gained: DriftRow,
}

/// Of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DriftRow {
    /// How many.
    pub subjects: usize,
    /// When the last one was seen; null if there is none.
    pub last_seen: Option<String>,
    /// Some of them, those seen last: 20 at most.
    pub named: Vec<SubjectRow>,
}

pub(super) async fn drift(running: State<Running>, asked: Asked<Drift>) -> Done<Drift> {
    let Json(Drift { tenant }) = asked?;
    let State(Running { ledger, feed, .. }) = running;
    let (directory, observations) = (ledger.directory(), feed.observations().clone());
    aside(move || answer(&directory, &observations, tenant.as_deref())).await
}

fn answer(
    directory: &Arc<Directory>,
    observations: &Observations,
    tenant: Option<&str>,
) -> Result<DriftReport, Refused> {
    let now = Now::read();
    let tenants = tenants(directory, tenant)?.into_iter();
    Ok(DriftReport {
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
) -> TenantDrift {
    let listing = tenant
        .bindings()
        .filter_map(|binding| match &binding.source {
            Source::Token {
                issuer,
                groups: Some(_),
                ..
            } => Some(issuer.clone()),
            _ => None,
        });
    let mut drift = TenantDrift {
        tenant: tenant.name().to_string(),
        issuers: listing.collect(),
        heard: None,
        compared: 0,
        unknown: 0,
        gone: 0,
        gained: 0,
        groups: Vec::new(),
    };
    let Some(mut told) = observations.drifts(tenant, now.instant) else {
        return drift;
    };
    drift.heard = Some(heard(&told, now));
    (drift.compared, drift.unknown) = (told.compared, told.unknown);
    let count = |side: fn(&Sides) -> &Vec<Seen>| {
        let all = told.seen.values().flat_map(side);
        all.map(|seen| seen.subject).collect::<BTreeSet<_>>().len()
    };
    drift.gone = count(|sides| &sides.gone);
    drift.gained = count(|sides| &sides.gained);
    let mut asked_for = BTreeSet::new();
    for sides in told.seen.values_mut() {
        for side in [&mut sides.gone, &mut sides.gained] {
            side.sort_unstable_by(|a, b| b.cmp(a));
            asked_for.extend(side.iter().take(NAMED).map(|seen| seen.subject));
        }
    }
    let names = Names::of(directory, tenant, &asked_for);
    let row = |side: &[Seen]| DriftRow {
        subjects: side.len(),
        last_seen: side.first().map(|seen| now.text(seen.at)),
        named: side
            .iter()
            .take(NAMED)
            .map(|seen| names.row(seen.subject, None, now.text(seen.at)))
            .collect(),
    };
    let groups = told.seen.iter().map(|(term, sides)| GroupDrift {
        term: term.to_string(),
        gone: row(&sides.gone),
        gained: row(&sides.gained),
    });
    drift.groups = groups.collect();
    drift
}
