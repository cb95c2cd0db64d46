//! What Envoy's statistics show of this VM, under `wasmcustom.scimesh_`; `docs/telemetry.md` says what they mean.
//!
//! A process has several VMs, and all of them write the same statistics: what is counted is added up ([`tally`]), a gauge is the
//! sum of the VMs' shares ([`levels`]), and what can't be added, ages and durations, is a histogram. A request makes no
//! host call here; ticks do, and the end of a root context.

mod levels;
mod name;
mod tally;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use proxy_wasm::types::MetricType;
use scimesh_engine::{Decision, Moment, Policy, Reason};

use crate::host::{self, HostError};
use crate::open::Cut;
use crate::session::{elapsed, memory_bytes};
use crate::vm::{Feed, Plugin, Vm};
use levels::{Levels, Shares};
use name::name;
use tally::Tally;

/// How often at most anything is handed to the host, however often root contexts tick.
const EACH: Duration = Duration::from_millis(100);
/// How often a feed's age is noted.
const EACH_AGE: Duration = Duration::from_secs(1);

thread_local! {
    static STATS: RefCell<Stats> = RefCell::default();
}

#[derive(Default)]
struct Stats {
    tally: Tally,
    levels: Levels,
    histograms: BTreeMap<String, u32>,
    handed_over: Option<Moment>,
    aged: Option<Moment>,
}

/// The host's statistics.
trait Metrics {
    type Error;
    fn define_counter(&mut self, name: &str) -> Result<u32, Self::Error>;
    fn define_gauge(&mut self, name: &str) -> Result<u32, Self::Error>;
    /// To a counter more than zero; to a gauge anything.
    fn add(&mut self, id: u32, offset: i64) -> Result<(), Self::Error>;
}

struct Host;

impl Metrics for Host {
    type Error = HostError;

    fn define_counter(&mut self, name: &str) -> Result<u32, HostError> {
        host::define_metric(MetricType::Counter, name)
    }

    fn define_gauge(&mut self, name: &str) -> Result<u32, HostError> {
        host::define_metric(MetricType::Gauge, name)
    }

    fn add(&mut self, id: u32, offset: i64) -> Result<(), HostError> {
        host::increment_metric(id, offset)
    }
}

/// What a policy's filter does to a request, as far as it is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// The request was decided, like this.
    Decided(&'static str),
    /// A SHADOW rule, which decides nothing, would have refused it.
    Shadowed,
    /// It had been allowed, and was ended.
    Cut,
}

/// The word for what became of a request: the label of a metric, and a field of the access log.
pub(crate) fn word(decision: &Decision) -> &'static str {
    match (decision.allowed, decision.would_refuse) {
        (false, _) => "deny",
        (true, None) => "allow",
        (true, Some(_)) => "shadow_deny",
    }
}

/// Event, rule and reason: what one of a policy's counters counts.
type Counted = (Event, Option<usize>, &'static str);

/// Where a policy's counters are among the VM's.
#[derive(Default)]
pub(crate) struct Places(RefCell<BTreeMap<Counted, usize>>);

/// Counts what became of a request.
pub(crate) fn count(plugin: &Plugin, decision: &Decision) {
    STATS.with_borrow_mut(|stats| {
        for (rule, reason) in &decision.shadowed {
            stats.count(plugin, Event::Shadowed, Some(*rule), reason.as_str());
        }
        let event = Event::Decided(word(decision));
        stats.count(plugin, event, decision.rule, decision.reason.as_str());
    });
}

/// Counts a request that was refused because nothing could be decided; without a plugin it is nobody's.
pub(crate) fn count_failure(plugin: Option<&Plugin>, reason: Reason) {
    let event = Event::Decided("deny");
    STATS.with_borrow_mut(|stats| match plugin {
        Some(plugin) => stats.count(plugin, event, None, reason.as_str()),
        None => {
            let name = counter(None, event, None, reason.as_str());
            let place = stats.tally.place(name);
            stats.tally.count(place);
        }
    });
}

/// Counts an open request that was ended, under the rule that had let it in.
pub(crate) fn cut(cut: &Cut) {
    let reason = cut.reason.as_str();
    STATS.with_borrow_mut(|stats| stats.count(&cut.plugin, Event::Cut, Some(cut.rule), reason));
}

/// A feed's update has just been applied. What counts begins with its first piece.
pub(crate) fn applied(feed: &Feed, now: Moment) -> Result<(), HostError> {
    let Some(since) = feed.updated_from() else {
        return Ok(());
    };
    let took = elapsed(since, now);
    STATS.with_borrow_mut(|stats| stats.observe(APPLY, feed.tenant(), took))
}

/// Hands to the host what has changed, unless that was done a moment ago.
pub(crate) fn tick(vm: &Vm, now: Moment) -> Result<(), HostError> {
    STATS.with_borrow_mut(|stats| {
        let is_due =
            |last: Option<Moment>, each| last.is_none_or(|last| elapsed(last, now) >= each);
        if !is_due(stats.handed_over, EACH) {
            return Ok(());
        }
        stats.handed_over = Some(now);
        let mut result = stats.hand_over(vm);
        if is_due(stats.aged, EACH_AGE) {
            stats.aged = Some(now);
            for feed in vm.feeds() {
                if let Some(age) = feed.lease().age(now) {
                    result = result.and(stats.observe(AGE, feed.tenant(), age));
                }
            }
        }
        result
    })
}

/// A root context has gone, and perhaps with it the last that ticks.
pub(crate) fn root_left(vm: &Vm) -> Result<(), HostError> {
    STATS.with_borrow_mut(|stats| stats.hand_over(vm))
}

const APPLY: &str = "apply_milliseconds";
const AGE: &str = "snapshot_age_milliseconds";

impl Stats {
    fn count(&mut self, plugin: &Plugin, event: Event, rule: Option<usize>, reason: &'static str) {
        let mut places = plugin.places.0.borrow_mut();
        let place = places.entry((event, rule, reason)).or_insert_with(|| {
            let name = counter(Some(&plugin.policy), event, rule, reason);
            self.tally.place(name)
        });
        self.tally.count(*place);
    }

    fn hand_over(&mut self, vm: &Vm) -> Result<(), HostError> {
        let counted = self.tally.hand_over(&mut Host);
        counted.and(self.levels.show(&shares(vm), &mut Host))
    }

    fn observe(&mut self, metric: &str, tenant: &str, time: Duration) -> Result<(), HostError> {
        let name = of_tenant(metric, tenant);
        let id = match self.histograms.get(&name) {
            Some(id) => *id,
            None => {
                let id = host::define_metric(MetricType::Histogram, &name)?;
                *self.histograms.entry(name).or_insert(id)
            }
        };
        host::record_metric(id, u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
    }
}

fn counter(
    policy: Option<&Policy>,
    event: Event,
    rule: Option<usize>,
    reason: &'static str,
) -> String {
    let (metric, decision) = match event {
        Event::Decided(decision) => ("requests_total", Some(decision)),
        Event::Shadowed => ("shadow_rule_denials_total", None),
        Event::Cut => ("cut_requests_total", None),
    };
    let rule = policy
        .zip(rule)
        .and_then(|(policy, rule)| policy.rule_name(rule));
    let labels = [
        ("tenant", policy.map(|policy| policy.scope().tenant())),
        ("policy", policy.and_then(Policy::name)),
        ("rule", rule),
        ("decision", decision),
        ("reason", Some(reason)),
    ];
    name(metric, &labels)
}

fn of_tenant(metric: &str, tenant: &str) -> String {
    name(metric, &[("tenant", Some(tenant))])
}

/// What the VM contributes to each gauge. A VM without a policy, or that is about to go, contributes nothing.
fn shares(vm: &Vm) -> Shares {
    let mut shares = Shares::new();
    for feed in vm.feeds() {
        let mut add = |metric, value| {
            *shares.entry(of_tenant(metric, feed.tenant())).or_default() += value;
        };
        let (content, limit) = feed.memory();
        add("feeds", 1);
        add("feeds_connected", u64::from(feed.is_connected()));
        add("content_bytes", content);
        add("content_limit_bytes", limit);
        add("open_requests", feed.open() as u64);
        if let Some(snapshot) = feed.snapshot() {
            add("snapshots", 1);
            add("snapshot_entries", snapshot.len() as u64);
            add("snapshot_revision_sum", snapshot.position().revision);
        }
    }
    if !shares.is_empty() {
        shares.insert(name("vms", &[]), 1);
        shares.insert(name("memory_bytes", &[]), memory_bytes());
        shares.insert(name("held_requests", &[]), vm.holds.len() as u64);
    }
    shares
}

#[cfg(test)]
mod tests;
