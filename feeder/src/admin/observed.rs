//! What `scimesh drift` and `scimesh shadow` have in common: how much was heard, of whom, and who somebody is that filters know by a digest.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use scimesh_proto::digest::SubjectDigest;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::fleet::Now;
use crate::directory::{Directory, Refused, Tenant, User};
use crate::observations::Told;

/// Subjects of a row that are told by name at most, those seen last.
pub(super) const NAMED: usize = 20;

/// What was heard of a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Heard {
    /// From when on it counts: an hour ago, or when the first report came.
    pub since: String,
    /// Subjects and refusals that filters or the feeder had no room for.
    pub left_out: u64,
    /// Who has reported since.
    pub proxies: Vec<ProxyRow>,
}

/// A proxy that reports.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProxyRow {
    /// The verified peer, as in `status`.
    pub workload: String,
    /// Envoy's node id, as it says.
    pub proxy: String,
    /// When it did last.
    pub last_report: String,
}

/// Somebody whom a token names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SubjectRow {
    /// The digest by which filters know them, in hexadecimal.
    pub subject: String,
    /// Who has the name, active or not. Nobody: the directory knows nobody by it. Several: it names nobody.
    pub users: Vec<UserRow>,
    /// Requests; of refusals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<u64>,
    /// When a filter told of them last.
    pub last_seen: String,
}

/// A user, as the directory has them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UserRow {
    /// The feeder's id.
    pub id: Uuid,
    /// The name at the provider.
    pub user_name: String,
    /// Whether they are active.
    pub active: bool,
}

pub(super) fn heard<T>(told: &Told<T>, now: Now) -> Heard {
    let proxies = told.reporters.iter();
    let mut proxies: Vec<ProxyRow> = proxies
        .map(|(who, at)| ProxyRow {
            workload: who.workload.clone(),
            proxy: who.proxy.clone(),
            last_report: now.text(*at),
        })
        .collect();
    proxies.sort();
    Heard {
        since: now.text(told.since),
        left_out: told.left_out,
        proxies,
    }
}

/// The tenants that are asked for, as they are published.
pub(super) fn tenants<'a>(
    directory: &'a Directory,
    name: Option<&str>,
) -> Result<Vec<&'a Arc<Tenant>>, Refused> {
    match name {
        None => Ok(directory.all_published().collect()),
        Some(name) => match directory.published(name) {
            Some(tenant) => Ok(vec![tenant]),
            None => Err(Refused::NoSuchTenant(name.to_owned())),
        },
    }
}

/// Who is who among some digests.
pub(super) struct Names(BTreeMap<SubjectDigest, Vec<UserRow>>);

impl Names {
    pub(super) fn of(
        directory: &Directory,
        tenant: &Tenant,
        subjects: &BTreeSet<SubjectDigest>,
    ) -> Names {
        let holders = directory.holders(tenant, subjects).into_iter();
        let row = |user: &Arc<User>| UserRow {
            id: user.id,
            user_name: user.identity.user_name.to_string(),
            active: user.identity.active,
        };
        let rows = holders.map(|(subject, users)| (subject, users.iter().map(row).collect()));
        Names(rows.collect())
    }

    pub(super) fn row(
        &self,
        subject: SubjectDigest,
        requests: Option<u64>,
        last_seen: String,
    ) -> SubjectRow {
        SubjectRow {
            subject: format!("{subject:?}"),
            users: self.0.get(&subject).cloned().unwrap_or_default(),
            requests,
            last_seen,
        }
    }
}
