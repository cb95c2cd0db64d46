//! What `scimesh status` and the running feeder say to each other: how the feeder and each filter stand, and who has applied a revision.
//!
//! Times are RFC 3339, with milliseconds. Fields may be added; none is removed or changes its meaning (`docs/cli.md`).

use serde::{Deserialize, Serialize};

use super::wire::Command;

/// Asks how the feeder stands, and every filter that follows it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Status {
    /// Only filters of this tenant.
    pub tenant: Option<String>,
}

impl Command for Status {
    const PATH: &'static str = "/status";
    type Answer = Standing;
}

/// The answer to [`Status`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Standing {
    /// The feeder itself.
    pub feeder: FeederStanding,
    /// What follows now: one row a filter VM and scope.
    pub filters: Vec<FilterRow>,
    /// What has followed, and may go on until its lease ends.
    pub departed: Vec<DepartedRow>,
    /// More of those, of which too many have come and gone to name them.
    pub nameless: Option<Nameless>,
}

/// How the feeder stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FeederStanding {
    /// Of the program.
    pub version: String,
    /// Of the database's history.
    pub generation: u64,
    /// The newest durable revision.
    pub revision: u64,
    /// Whether it is ready, as `/readyz` says.
    pub ready: bool,
    /// Why not.
    pub not_ready: Option<String>,
    /// Whether a filter has proved that the database is an old copy: no lease is renewed then.
    pub rolled_back: bool,
    /// Scopes that are kept current.
    pub scopes: usize,
    /// Streams that are open.
    pub streams: usize,
    /// Filter VMs that follow, however many scopes each.
    pub vms: usize,
    /// Until when filters may go on that followed this feeder before its start, and have not returned; null: none can any more.
    pub unknown_until: Option<String>,
}

/// A filter VM that follows a scope.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FilterRow {
    /// Who it is.
    #[serde(flatten)]
    pub filter: Filter,
    /// Since when it has been connected.
    pub connected_since: String,
    /// What it has applied.
    pub acked: Option<Acked>,
    /// How far it is behind; null if it has no content yet.
    pub lag: Option<Lag>,
    /// Its tenant is frozen, and this was the tenant's first revision that is not sent.
    pub withheld_since: Option<u64>,
    /// Updates that it has rejected.
    pub nacks: u64,
    /// Why it rejected the last one.
    pub last_nack: Option<String>,
    /// What its content takes; null if it does not say.
    pub memory: Option<Memory>,
}

/// Who a filter is. The proxy's names are its own word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Filter {
    /// Envoy's node id.
    pub proxy: String,
    /// Envoy's node cluster.
    pub cluster: String,
    /// Tells the VMs of a proxy apart.
    pub vm: String,
    /// The verified peer: a SPIFFE id; `local` or `certificate` where nothing more is known of it.
    pub workload: String,
    /// Of the filter.
    pub version: String,
    /// What it follows.
    pub tenant: String,
    /// How many terms.
    pub terms: usize,
    /// Whether every active user is sent to it.
    pub any_active: bool,
}

/// What a filter acked last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Acked {
    /// Of the history.
    pub generation: u64,
    /// The revision.
    pub revision: u64,
    /// When.
    pub at: String,
    /// The newest revision that it has thereby applied: up to it nothing has changed that it is sent.
    pub applied: u64,
}

/// How far a filter is behind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Lag {
    /// From what it has applied to the newest durable revision.
    pub revisions: u64,
    /// Since the oldest change that it is sent and has not applied was visible; 0 if there is none.
    pub seconds: f64,
}

/// What the content takes of a filter's VM, in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Memory {
    /// The VM's memory, which never shrinks.
    pub used_bytes: u64,
    /// Of content.
    pub content_bytes: u64,
    /// Of content at most; 0: no limit.
    pub limit_bytes: u64,
    /// The content takes 80 % of the limit, or more.
    pub near_limit: bool,
}

/// A filter whose stream has ended, and whose lease has not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DepartedRow {
    /// Who it was.
    #[serde(flatten)]
    pub filter: Filter,
    /// What it had applied; null if it had no content yet.
    pub applied: Option<u64>,
    /// Since when it has been gone.
    pub since: String,
    /// Until when it may go on by older content.
    pub until: String,
}

/// Departed filters without their names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Nameless {
    /// How many, at most.
    pub count: u64,
    /// Until when the last of them may go on.
    pub until: String,
}

/// Asks who has applied a revision.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WhoApplied {
    /// Which. One that does not exist yet is refused.
    pub revision: u64,
    /// Only filters of this tenant.
    pub tenant: Option<String>,
    /// How long to wait for all to have applied it, in milliseconds. The feeder waits [`LONGEST_WAIT_MS`](Self::LONGEST_WAIT_MS) at most.
    pub wait_ms: u64,
}

impl WhoApplied {
    /// A longer wait is several.
    pub const LONGEST_WAIT_MS: u64 = 30_000;
}

impl Command for WhoApplied {
    const PATH: &'static str = "/status/revision";
    type Answer = Applied;
}

/// Whether a revision holds everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// No filter can allow anything by older content any more.
    Applied,
    /// Some that are known still can.
    Pending,
    /// None of those that are known, but there may be others.
    Unknown,
}

/// The answer to [`WhoApplied`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Applied {
    /// Of the history.
    pub generation: u64,
    /// The revision that was asked for.
    pub revision: u64,
    /// Whether it holds everywhere.
    pub outcome: Outcome,
    /// When the last lease will have ended by which anything older may be allowed, whatever happens; null if nothing is, or if nobody can say.
    pub until: Option<String>,
    /// What follows now.
    pub filters: Vec<StandRow>,
    /// What has followed, has not applied it, and may go on by older content.
    pub departed: Vec<DepartedRow>,
    /// More of those.
    pub nameless: Option<Nameless>,
    /// Until when filters may go on that this feeder has never met.
    pub unknown_until: Option<String>,
    /// Whether the database is known to be an old copy: nothing can be said of any filter then.
    pub rolled_back: bool,
}

/// How a connected filter stands to a revision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StandRow {
    /// The filter, and what it has applied.
    #[serde(flatten)]
    pub row: FilterRow,
    /// Whether it has applied the revision.
    pub stand: Stand,
    /// Of a pending one: until when it may go on by older content, if it stays as it is.
    pub until: Option<String>,
}

/// See [`StandRow::stand`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Stand {
    /// Acked, or nothing that it is sent has changed up to it.
    Applied,
    /// Not applied, and its lease has not ended.
    Pending,
    /// Not applied, because its tenant is frozen. Its lease is renewed.
    Withheld,
    /// Not applied, and it has no lease by which it could allow anything by older content.
    NoLease,
}
