//! What filters have seen that decided nothing: tokens that say something else than the directory about groups, and
//! requests that SHADOW would have refused.
//!
//! ```text
//! feed: one stream -- Report --> Observations --> `scimesh drift`, `scimesh shadow`, metrics
//! ```
//!
//! In memory, for an hour, and bounded: whoever may follow a scope may say anything of it, and nothing is decided by what they
//! say. Subjects are known by their digests alone; who they are is asked of the directory when somebody wants to know.

mod drifts;
mod lately;
#[cfg(test)]
mod model;
mod refusals;
mod report;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use prost::Message as _;
use scimesh_proto::scope::Scope;
use scimesh_proto::wire::{Malformed, v1};

pub(crate) use drifts::{Seen, Sides};
pub(crate) use refusals::{Refused, RefusedSubject};

use crate::directory::Tenant;
use crate::metrics::ReportMetrics;
use drifts::Drifts;
use lately::{Lately, Slot};
use refusals::Refusals;
use report::Report;

/// How long what was seen is told.
pub(crate) const KEPT: Duration = Duration::from_secs(60 * 60);

/// A stream that reports more often is not listened to in between.
const BETWEEN_REPORTS: Duration = Duration::from_secs(1);

/// Bytes of a report at most: of the longest that a filter sends.
const MAX_REPORT: usize = 640 << 10;

/// Places of the scope that the drifts of one report may name in all.
const MAX_PLACES: usize = 4096;

/// Entries of one tenant at most, and of all: a term of a subject, or a refusal, or a subject of one. Of some 100 to 500 bytes each.
const MAX_OF_TENANT: usize = 50_000;
const MAX_OF_ALL: usize = 200_000;

/// Proxies of one tenant at most that are remembered to have reported.
const MAX_REPORTERS: usize = 1_000;

/// How often all that is too old is dropped.
const BETWEEN_SWEEPS: Duration = Duration::from_secs(60);

/// See the module. A handle: clones share the same.
#[derive(Debug, Clone)]
pub(crate) struct Observations(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    began: Instant,
    registry: Mutex<Registry>,
    metrics: ReportMetrics,
}

#[derive(Debug, Default)]
struct Registry {
    tenants: BTreeMap<Arc<str>, Observed>,
    /// Of all tenants together.
    entries: usize,
    swept: Option<Instant>,
}

/// What was seen of one tenant.
#[derive(Debug)]
struct Observed {
    /// Of the tenant. Another one of its name is nobody that was seen.
    number: u32,
    since: Instant,
    entries: usize,
    compared: Lately,
    unknown: Lately,
    left_out: Lately,
    drifts: Drifts,
    refusals: Refusals,
    reporters: HashMap<Reporter, Instant>,
}

/// A proxy that reports.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Reporter {
    /// The verified peer.
    pub(crate) workload: String,
    /// Envoy's node id, as it says.
    pub(crate) proxy: String,
}

/// What is told of one tenant: of the last hour, or since it was first heard of.
#[derive(Debug)]
pub(crate) struct Told<T> {
    pub(crate) since: Instant,
    /// Tokens that were compared, over all VMs; and those of them that do not list their groups.
    pub(crate) compared: u64,
    pub(crate) unknown: u64,
    /// What filters or this feeder had no room for.
    pub(crate) left_out: u64,
    /// Who has reported, and when last.
    pub(crate) reporters: Vec<(Reporter, Instant)>,
    /// What was seen.
    pub(crate) seen: T,
}

/// Counts entries, and takes no more than there may be.
#[derive(Debug)]
struct Room {
    tenant: usize,
    all: usize,
}

impl Room {
    fn take(&mut self) -> bool {
        let there_is = self.tenant < MAX_OF_TENANT && self.all < MAX_OF_ALL;
        self.tenant += usize::from(there_is);
        self.all += usize::from(there_is);
        there_is
    }

    fn give(&mut self, entries: usize) {
        self.tenant -= entries;
        self.all -= entries;
    }
}

/// Whether what was seen then is still told.
fn is_kept(at: Instant, now: Instant) -> bool {
    now.saturating_duration_since(at) < KEPT
}

impl Observations {
    /// Nothing was seen yet.
    pub(crate) fn new(metrics: ReportMetrics, now: Instant) -> Observations {
        Observations(Arc::new(Shared {
            began: now,
            registry: Mutex::default(),
            metrics,
        }))
    }

    /// Takes a report of a stream that follows `scope`, and has reported at `last`. What does not say what a filter may say is an error; of a
    /// tenant that does not exist nothing is kept.
    pub(crate) fn receive(
        &self,
        last: &mut Option<Instant>,
        scope: &Scope,
        tenant: Option<&Tenant>,
        reporter: impl FnOnce() -> Reporter,
        wire: &[u8],
        now: Instant,
    ) -> Result<(), Malformed> {
        let metrics = &self.0.metrics;
        if last.is_some_and(|last| now.saturating_duration_since(last) < BETWEEN_REPORTS) {
            metrics.dropped.inc();
            return Ok(());
        }
        *last = Some(now);
        let report = read(wire, scope).inspect_err(|_| {
            metrics.dropped.inc();
        })?;
        let Some(tenant) = tenant else {
            metrics.reports.inc();
            return Ok(());
        };
        let requests = report.refusals.iter().map(|refusal| refusal.requests).sum();
        let (compared, unknown) = (report.compared, report.unknown);
        let Some(left_out) = self.take(scope, tenant, reporter(), report, now) else {
            metrics.dropped.inc();
            return Ok(());
        };
        metrics.reports.inc();
        metrics.reported(tenant.name(), compared, unknown, requests, left_out);
        Ok(())
    }

    /// Returns how much was left out, here or by the filter. None: others are at it; a stream does not wait for what decides nothing.
    fn take(
        &self,
        scope: &Scope,
        tenant: &Tenant,
        reporter: Reporter,
        report: Report,
        now: Instant,
    ) -> Option<u64> {
        let slot = self.slot(now);
        let mut registry = match self.0.registry.try_lock() {
            Ok(registry) => registry,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        registry.sweep_if_due(now);
        registry.forget_other(tenant);
        let Registry {
            tenants, entries, ..
        } = &mut *registry;
        let observed = tenants.entry(tenant.name().clone());
        let observed = observed.or_insert_with(|| Observed::new(tenant.number(), now));
        let mut room = Room {
            tenant: observed.entries,
            all: *entries,
        };
        observed.compared.add(slot, report.compared);
        observed.unknown.add(slot, report.unknown);
        let mut left_out = report.left_out;
        let mut places = MAX_PLACES;
        for drift in &report.drifts {
            let named = drift.gone.len() + drift.gained.len();
            match places.checked_sub(named) {
                None => left_out += named as u64,
                Some(rest) => {
                    places = rest;
                    left_out += observed.drifts.take(scope, drift, now, &mut room);
                }
            }
        }
        for refusal in report.refusals {
            left_out += observed.refusals.take(refusal, slot, now, &mut room);
        }
        observed.left_out.add(slot, left_out);
        let known = observed.reporters.contains_key(&reporter);
        if known || observed.reporters.len() < MAX_REPORTERS {
            observed.reporters.insert(reporter, now);
        }
        observed.entries = room.tenant;
        *entries = room.all;
        Some(left_out)
    }

    /// Whose tokens differ from the directory, by term. None if nothing was reported of the tenant.
    pub(crate) fn drifts(
        &self,
        tenant: &Tenant,
        now: Instant,
    ) -> Option<Told<BTreeMap<Arc<str>, Sides>>> {
        self.told(tenant, now, |observed| observed.drifts.by_term(now))
    }

    /// What SHADOW would have refused. None if nothing was reported of the tenant.
    pub(crate) fn refusals(&self, tenant: &Tenant, now: Instant) -> Option<Told<Vec<Refused>>> {
        let slot = self.slot(now);
        self.told(tenant, now, |observed| observed.refusals.all(slot, now))
    }

    /// How many subjects' tokens claim what is gone, and how many lack what they have gained.
    pub(crate) fn subjects(&self, tenant: &Tenant, now: Instant) -> (usize, usize) {
        let registry = self.registry(now);
        let observed = registry.of(tenant);
        observed.map_or((0, 0), |observed| observed.drifts.subjects(now))
    }

    fn told<T>(
        &self,
        tenant: &Tenant,
        now: Instant,
        seen: impl FnOnce(&Observed) -> T,
    ) -> Option<Told<T>> {
        let slot = self.slot(now);
        let registry = self.registry(now);
        let observed = registry.of(tenant)?;
        let reporters = observed.reporters.iter();
        let reporters = reporters.filter(|(_, at)| is_kept(**at, now));
        Some(Told {
            since: now
                .checked_sub(KEPT)
                .map_or(observed.since, |earliest| observed.since.max(earliest)),
            compared: observed.compared.total(slot),
            unknown: observed.unknown.total(slot),
            left_out: observed.left_out.total(slot),
            reporters: reporters.map(|(who, at)| (who.clone(), *at)).collect(),
            seen: seen(observed),
        })
    }

    fn slot(&self, now: Instant) -> Slot {
        Slot::at(now.saturating_duration_since(self.0.began))
    }

    fn registry(&self, now: Instant) -> MutexGuard<'_, Registry> {
        let registry = self.0.registry.lock();
        let mut registry = registry.unwrap_or_else(PoisonError::into_inner);
        registry.sweep_if_due(now);
        registry
    }
}

fn read(wire: &[u8], scope: &Scope) -> Result<Report, Malformed> {
    let invalid = |why| Malformed::Invalid {
        field: "report",
        why,
    };
    if wire.len() > MAX_REPORT {
        return Err(invalid("too long"));
    }
    let report = v1::Report::decode(wire).map_err(|_| invalid("no report"))?;
    Report::read(report, scope)
}

impl Registry {
    fn of(&self, tenant: &Tenant) -> Option<&Observed> {
        let observed = self.tenants.get(tenant.name());
        observed.filter(|observed| observed.number == tenant.number())
    }

    /// What was seen of another tenant, which had this one's name.
    fn forget_other(&mut self, tenant: &Tenant) {
        let held = self.tenants.get(tenant.name());
        if held.is_some_and(|held| held.number != tenant.number())
            && let Some(other) = self.tenants.remove(tenant.name())
        {
            self.entries -= other.entries;
        }
    }

    fn sweep_if_due(&mut self, now: Instant) {
        let due = |swept| now.saturating_duration_since(swept) >= BETWEEN_SWEEPS;
        if self.swept.is_none_or(due) {
            self.sweep(now);
        }
    }

    fn sweep(&mut self, now: Instant) {
        self.swept = Some(now);
        let entries = &mut self.entries;
        self.tenants.retain(|_, observed| {
            let mut room = Room {
                tenant: observed.entries,
                all: *entries,
            };
            observed.drifts.forget(now, &mut room);
            observed.refusals.forget(now, &mut room);
            observed.reporters.retain(|_, at| is_kept(*at, now));
            observed.entries = room.tenant;
            *entries = room.all;
            observed.entries > 0 || !observed.reporters.is_empty()
        });
    }
}

impl Observed {
    fn new(number: u32, now: Instant) -> Observed {
        Observed {
            number,
            since: now,
            entries: 0,
            compared: Lately::default(),
            unknown: Lately::default(),
            left_out: Lately::default(),
            drifts: Drifts::default(),
            refusals: Refusals::default(),
            reporters: HashMap::new(),
        }
    }
}
