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

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use prometheus_client::metrics::histogram::Histogram;
use scimesh_proto::scope::Scope;
use scimesh_proto::wire::v1;

pub(crate) use course::Course;
use leases::Leases;
pub(crate) use vm::{Stand, Vm};

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
    next: u64,
    connected: BTreeMap<u64, Arc<Vm>>,
    numbers: HashMap<vm::Identity, u64>,
    departed: HashMap<vm::Identity, Departed>,
    nameless: Nameless,
}

/// A filter whose stream has ended.
#[derive(Debug, Clone)]
pub(crate) struct Departed {
    pub(crate) vm: Arc<Vm>,
    pub(crate) since: Timestamp,
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
    pub(crate) departed: Vec<(Departed, Instant)>,
    /// How many more there are of those, and until when at the latest.
    pub(crate) nameless: Option<(u64, Instant)>,
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
        let mut facts = vm::Facts {
            acked: held.map(|held| (held, now)),
            ..vm::Facts::default()
        };
        if now < self.0.unmet_until {
            facts.leases = Leases::until(self.0.unmet_until);
        }
        let vm = Arc::new(Vm::new(peer, node, scope, course, facts));
        let mut registry = self.registry();
        let number = registry.next;
        registry.next += 1;
        // It comes again, perhaps before the end of its former stream was noticed. Whatever it still has is now its own.
        let stale = registry.numbers.insert(vm.identity.clone(), number);
        let stale = stale.and_then(|stale| registry.connected.remove(&stale));
        let departed = registry.departed.remove(&vm.identity);
        for former in stale
            .into_iter()
            .chain(departed.map(|departed| departed.vm))
        {
            let former = former.facts();
            let mut facts = vm.lock();
            facts.leases.join(former.leases);
            facts.nacks += former.nacks;
            facts.last_nack = former.last_nack;
        }
        registry.connected.insert(number, vm.clone());
        drop(registry);
        Presence {
            fleet: self.clone(),
            number,
            vm,
        }
    }

    /// Of a filter that is connected no longer: its obligations stay until its last lease has ended.
    fn depart(&self, number: u64, vm: &Arc<Vm>, now: Instant) {
        let mut registry = self.registry();
        if registry.connected.remove(&number).is_none() {
            // Its next stream has taken over.
            return;
        }
        registry.numbers.remove(&vm.identity);
        if vm.lock().leases.end(now).is_none() {
            return;
        }
        if registry.departed.len() >= DEPARTED {
            registry.forget_ended(now);
        }
        if registry.departed.len() >= DEPARTED {
            let leases = vm.facts().leases;
            registry.nameless.count += 1;
            registry.nameless.leases.join(leases);
            return;
        }
        let departed = Departed {
            vm: vm.clone(),
            since: Timestamp::now(),
        };
        registry.departed.insert(vm.identity.clone(), departed);
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

    /// Those who follow now, of one tenant or of all.
    pub(crate) fn connected(&self, tenant: Option<&str>) -> Vec<Arc<Vm>> {
        let registry = self.registry();
        let vms = registry.connected.values();
        vms.filter(|vm| tenant.is_none_or(|tenant| vm.tenant == tenant))
            .cloned()
            .collect()
    }

    /// How every filter stands to a revision that is shown to readers already: those of one tenant, or all.
    pub(crate) fn survey(&self, revision: u64, tenant: Option<&str>, now: Instant) -> Survey {
        let wanted = |vm: &Vm| tenant.is_none_or(|tenant| vm.tenant == tenant);
        let mut registry = self.registry();
        registry.forget_ended(now);
        let connected = registry.connected.values().filter(|vm| wanted(vm));
        let departed = registry.departed.values().filter(|one| wanted(&one.vm));
        let nameless = &registry.nameless;
        Survey {
            connected: connected
                .map(|vm| (vm.clone(), vm.stand(revision, true, now)))
                .collect(),
            departed: departed
                .filter_map(|one| match one.vm.stand(revision, false, now) {
                    Stand::Pending(end) => Some((one.clone(), end)),
                    _ => None,
                })
                .collect(),
            nameless: nameless
                .leases
                .end_before(revision, now)
                .map(|end| (nameless.count, end)),
            unmet_until: (now < self.0.unmet_until).then_some(self.0.unmet_until),
        }
    }

    /// What there is now, for gauges.
    pub(crate) fn totals(&self, now: Instant) -> Totals {
        let connected = self.connected(None);
        let names: HashSet<_> = connected
            .iter()
            .map(|vm| (&vm.identity.peer, &vm.identity.node, &vm.identity.vm))
            .collect();
        let awaited = connected.iter().filter_map(|vm| vm.awaited_since());
        let slowest = awaited.map(|since| now.saturating_duration_since(since));
        let tight = connected.iter().filter(|vm| {
            let memory = vm.lock().memory;
            memory.is_some_and(|memory| near_limit(&memory))
        });
        Totals {
            vms: names.len(),
            slowest_ack: slowest.max().unwrap_or_default(),
            near_memory_limit: tight.count(),
            departed: {
                let mut registry = self.registry();
                registry.forget_ended(now);
                registry.departed.len() as u64 + registry.nameless.count
            },
        }
    }

    fn registry(&self) -> MutexGuard<'_, Registry> {
        let registry = self.0.registry.lock();
        registry.unwrap_or_else(PoisonError::into_inner)
    }
}

impl Registry {
    fn forget_ended(&mut self, now: Instant) {
        self.departed
            .retain(|_, departed| departed.vm.lock().leases.end(now).is_some());
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

/// A stream's place in the fleet. When it is dropped, the filter has departed.
#[derive(Debug)]
pub(crate) struct Presence {
    fleet: Fleet,
    number: u64,
    vm: Arc<Vm>,
}

impl Presence {
    /// A ping is about to be answered. `revision` is the newest whose content the filter has, or will wait for.
    pub(crate) fn pinged(&self, revision: u64, lease: Duration, now: Instant) {
        self.vm.lock().leases.renew(revision, lease, now);
    }

    /// It has applied what it was sent.
    pub(crate) fn acked(&self, revision: u64, memory: Option<v1::Memory>, now: Instant) {
        let before = {
            let mut facts = self.vm.lock();
            facts.memory = memory.or(facts.memory);
            facts.acked.replace((revision, now))
        };
        if let Some((before, _)) = before {
            for shown in self.vm.course().covered(before, revision) {
                let waited = now.saturating_duration_since(shown);
                self.fleet.0.commit_to_ack.observe(waited.as_secs_f64());
            }
        }
    }

    /// It has rejected what it was sent; `reason` is the word of an enum.
    pub(crate) fn nacked(&self, reason: &'static str) {
        let mut facts = self.vm.lock();
        facts.nacks += 1;
        facts.last_nack = Some(reason);
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.fleet.depart(self.number, &self.vm, Instant::now());
    }
}
