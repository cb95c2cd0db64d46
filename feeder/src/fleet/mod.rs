//! The fleet: which filters follow the feed, what each has applied, and until when those that have not may go on by older content.
//!
//! ```text
//! feed: one stream -- Presence (hooks; departs when dropped) --> Vm --.
//!       one scope  -- Course (which revisions changed it) ------------+--> Fleet --> status, metrics
//! ```
//!
//! A stream that ends says nothing about the filter behind it: that may go on by what it holds for as long as its lease lasts. So it is remembered
//! until then, unless it returns. What there was before this feeder was started, it can't know: until the longest lease that was
//! ever told has passed, the answer is unknown.

mod course;
mod leases;
#[cfg(test)]
mod model;
mod vm;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use prometheus_client::metrics::histogram::Histogram;
use scimesh_proto::scope::Scope;
use scimesh_proto::wire::v1;

pub(crate) use course::Course;
use leases::Leases;
use vm::{Facts, Identity};
pub(crate) use vm::{Stand, Vm};

use crate::observations::Reporter;

/// Departed filters that are remembered by name: 10 MB at most of ordinary names. Of more only the number and the leases are kept.
const DEPARTED: usize = 10_000;

/// See the module. A handle: clones share one fleet.
#[derive(Debug, Clone)]
pub(crate) struct Fleet(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// Until when filters may go on that this feeder has never met.
    unmet_until: Instant,
    /// The longest lease that was told since the start, in milliseconds.
    told: AtomicU64,
    registry: Mutex<Registry>,
    commit_to_ack: Histogram,
}

#[derive(Debug, Default)]
struct Registry {
    streams: u64,
    filters: HashMap<Identity, Entry>,
    /// How many of them are gone.
    departed: usize,
    nameless: Nameless,
}

#[derive(Debug)]
struct Entry {
    vm: Arc<Vm>,
    /// Open ones. A filter has one; of one that has come again before the end of the other was noticed there are two, and which of them it uses
    /// can't be told: what is said on either is its word.
    streams: usize,
}

/// Those beyond [`DEPARTED`].
#[derive(Debug, Default)]
struct Nameless {
    count: u64,
    leases: Leases,
}

/// Who has applied a revision.
#[derive(Debug)]
pub(crate) struct Survey {
    pub(crate) connected: Vec<(Arc<Vm>, Stand)>,
    /// Only those who may still go on by older content.
    pub(crate) departed: Vec<(Arc<Vm>, Instant)>,
    /// How many more there are of those, and until when at the latest.
    pub(crate) nameless: Option<(u64, Instant)>,
    /// A tenant is frozen below the revision: whoever comes is sent older content, though nobody may be there now.
    pub(crate) withheld: bool,
    /// Until when filters may go on that this feeder has never met.
    pub(crate) unmet_until: Option<Instant>,
}

impl Fleet {
    /// A fleet that nobody is in yet. Filters that this feeder has never met may have a lease of up to `longest` from now.
    pub(crate) fn new(longest: Duration, commit_to_ack: Histogram, now: Instant) -> Fleet {
        Fleet(Arc::new(Shared {
            unmet_until: now + longest,
            told: AtomicU64::new(0),
            registry: Mutex::default(),
            commit_to_ack,
        }))
    }

    /// A filter follows a scope. `held` is what it holds of it, if that is what the feeder goes on from.
    pub(crate) fn arrive(
        &self,
        peer: &str,
        node: &v1::Node,
        scope: &Scope,
        course: Arc<Course>,
        held: Option<u64>,
        now: Instant,
    ) -> Presence {
        let mut registry = self.registry();
        registry.streams += 1;
        let identity = Identity::new(peer, node, registry.streams);
        let Registry {
            filters, departed, ..
        } = &mut *registry;
        let entry = filters.entry(identity.clone()).or_insert_with(|| {
            *departed += 1;
            let mut facts = Facts::new(course.clone());
            if now < self.0.unmet_until {
                facts.leases = Leases::until(self.0.unmet_until);
            }
            let vm = Arc::new(Vm::new(identity, node, scope, facts));
            Entry { vm, streams: 0 }
        });
        if entry.streams == 0 {
            *departed -= 1;
        }
        entry.streams += 1;
        let vm = entry.vm.clone();
        drop(registry);
        let mut facts = vm.facts();
        facts.since = Timestamp::now();
        facts.course = course;
        facts.acked = facts.acked.max(held.map(|held| (held, now)));
        drop(facts);
        Presence {
            fleet: self.clone(),
            vm,
        }
    }

    /// One of its streams has ended. After the last one, its obligations stay until its last lease has ended.
    fn depart(&self, vm: &Vm, now: Instant) {
        let mut registry = self.registry();
        let Some(entry) = registry.filters.get_mut(&vm.identity) else {
            return;
        };
        entry.streams -= 1;
        if entry.streams > 0 {
            return;
        }
        vm.facts().since = Timestamp::now();
        registry.departed += 1;
        if registry.departed > DEPARTED {
            registry.forget_ended(now);
        }
        if registry.departed > DEPARTED {
            registry.filters.remove(&vm.identity);
            registry.departed -= 1;
            registry.nameless.count += 1;
            let leases = vm.facts().leases.clone();
            registry.nameless.leases.join(leases);
        }
    }

    /// A filter tells its lease. Before it is answered, [`longest`](Self::longest) has to be stored.
    pub(crate) fn tell(&self, lease: Duration) {
        let lease = u64::try_from(lease.as_millis()).unwrap_or(u64::MAX);
        self.0.told.fetch_max(lease, Ordering::SeqCst);
    }

    /// The longest lease that a filter may have, where `stored` was the longest so far.
    pub(crate) fn longest(&self, stored: Duration, now: Instant) -> Duration {
        let told = Duration::from_millis(self.0.told.load(Ordering::SeqCst));
        if now < self.0.unmet_until {
            told.max(stored)
        } else {
            // All that were told before the start have ended.
            told
        }
    }

    /// How every filter stands to a revision that is shown to readers already: those of one tenant, or all. `withheld`: a tenant of those is frozen
    /// below it.
    pub(crate) fn survey(
        &self,
        revision: u64,
        tenant: Option<&str>,
        withheld: bool,
        now: Instant,
    ) -> Survey {
        let mut registry = self.registry();
        registry.forget_ended(now);
        let mut survey = Survey {
            connected: Vec::new(),
            departed: Vec::new(),
            nameless: None,
            withheld,
            unmet_until: (now < self.0.unmet_until).then_some(self.0.unmet_until),
        };
        for Entry { vm, streams } in registry.filters.values() {
            if tenant.is_some_and(|tenant| vm.tenant != tenant) {
                continue;
            }
            let connected = *streams > 0;
            match (connected, vm.facts().stand(revision, connected, now)) {
                (true, stand) => survey.connected.push((vm.clone(), stand)),
                (false, Stand::Pending(end)) => survey.departed.push((vm.clone(), end)),
                (false, _) => {}
            }
        }
        let nameless = &registry.nameless;
        let end = nameless.leases.end_before(revision, now);
        survey.nameless = end.map(|end| (nameless.count, end));
        survey
    }

    /// What there is now, for gauges.
    pub(crate) fn totals(&self, now: Instant) -> Totals {
        let mut registry = self.registry();
        registry.forget_ended(now);
        let mut totals = Totals {
            vms: 0,
            slowest_ack: Duration::ZERO,
            near_memory_limit: 0,
            departed: registry.departed as u64 + registry.nameless.count,
        };
        let mut names = HashSet::new();
        for Entry { vm, streams } in registry.filters.values() {
            if *streams == 0 {
                continue;
            }
            let Identity {
                peer,
                node,
                vm: name,
                ..
            } = &vm.identity;
            let facts = vm.facts();
            let is_new = names.insert((peer, node, name));
            totals.vms += usize::from(is_new);
            // The memory is the VM's, whatever it follows.
            let tight = facts.memory.is_some_and(|memory| near_limit(&memory));
            totals.near_memory_limit += usize::from(is_new && tight);
            if let Some(since) = facts.awaited_since() {
                let age = now.saturating_duration_since(since);
                totals.slowest_ack = totals.slowest_ack.max(age);
            }
        }
        totals
    }

    fn registry(&self) -> MutexGuard<'_, Registry> {
        let registry = self.0.registry.lock();
        registry.unwrap_or_else(PoisonError::into_inner)
    }
}

impl Survey {
    /// Whether one of the filters that are known may go on by older content.
    pub(crate) fn someone_may_go_on(&self) -> bool {
        let mut stands = self.connected.iter();
        stands.any(|(_, stand)| matches!(stand, Stand::Pending(_) | Stand::Withheld))
            || !self.departed.is_empty()
            || self.nameless.is_some()
            || self.withheld
    }

    /// When no filter goes on by older content any more, known or not; none if none does now, or if one's lease is renewed with it.
    pub(crate) fn end(&self) -> Option<Instant> {
        if self.withheld {
            return None;
        }
        let mut ends: Vec<Instant> = Vec::new();
        for (_, stand) in &self.connected {
            match stand {
                Stand::Pending(end) => ends.push(*end),
                Stand::Withheld => return None,
                Stand::Applied | Stand::NoLease => {}
            }
        }
        ends.extend(self.departed.iter().map(|(_, end)| *end));
        ends.extend(self.nameless.map(|(_, end)| end));
        ends.extend(self.unmet_until);
        ends.into_iter().max()
    }
}

impl Registry {
    fn forget_ended(&mut self, now: Instant) {
        if self.departed > 0 {
            self.filters.retain(|_, entry| {
                let stays = entry.streams > 0 || entry.vm.facts().leases.end(now).is_some();
                self.departed -= usize::from(!stays);
                stays
            });
        }
        if self.nameless.leases.end(now).is_none() {
            self.nameless = Nameless::default();
        }
    }
}

/// See [`Fleet::totals`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Totals {
    /// Filter VMs, however many scopes each follows.
    pub(crate) vms: usize,
    /// The age of the oldest change that a connected filter has not acked.
    pub(crate) slowest_ack: Duration,
    pub(crate) near_memory_limit: usize,
    /// Departed filters whose lease has not ended.
    pub(crate) departed: u64,
}

/// From 80 % of the limit on; without one, never.
pub(crate) fn near_limit(memory: &v1::Memory) -> bool {
    memory.limit_bytes > 0 && memory.content_bytes >= memory.limit_bytes - memory.limit_bytes / 5
}

/// A stream's place in the fleet. When it is dropped, the stream has ended.
#[derive(Debug)]
pub(crate) struct Presence {
    fleet: Fleet,
    vm: Arc<Vm>,
}

impl Presence {
    /// A ping is about to be answered. `revision` is the newest whose content the filter has, or will wait for.
    pub(crate) fn pinged(&self, revision: u64, lease: Duration, now: Instant) {
        self.vm.facts().leases.renew(revision, lease, now);
    }

    /// It has applied what it was sent.
    pub(crate) fn acked(&self, revision: u64, memory: Option<v1::Memory>, now: Instant) {
        let mut facts = self.vm.facts();
        facts.memory = memory.or(facts.memory);
        let before = facts.acked;
        facts.acked = before.max(Some((revision, now)));
        if let Some((before, _)) = before {
            for shown in facts.course.covered(before, revision) {
                let waited = now.saturating_duration_since(shown);
                self.fleet.0.commit_to_ack.observe(waited.as_secs_f64());
            }
        }
    }

    /// It holds other content than its position has. Until it acks again, it has applied nothing.
    pub(crate) fn drifted(&self) {
        let mut facts = self.vm.facts();
        facts.acked = None;
        facts.leases.distrust();
    }

    /// Whose word it is when it reports what it has seen.
    pub(crate) fn reporter(&self) -> Reporter {
        Reporter {
            workload: self.vm.identity.peer.clone(),
            proxy: self.vm.identity.node.clone(),
        }
    }

    /// It has rejected what it was sent; `reason` is the word of an enum.
    pub(crate) fn nacked(&self, reason: &'static str) {
        let mut facts = self.vm.facts();
        facts.nacks += 1;
        facts.last_nack = Some(reason);
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.fleet.depart(&self.vm, Instant::now());
    }
}
