//! What Envoy's statistics show of this VM, under `wasmcustom.`: all VMs of a process add to the same counters, and the
//! gauges are those of the one that wrote last.

use std::cell::OnceCell;

use proxy_wasm::types::MetricType;
use scimesh_engine::{Decision, Moment, Reason};

use crate::host::{self, HostError};
use crate::open::Cut;
use crate::session::memory_bytes;
use crate::vm::Feed;

thread_local! {
    static STATS: OnceCell<Stats> = const { OnceCell::new() };
}

struct Stats {
    /// Requests, by why they were allowed or refused.
    decisions: Counters,
    /// Requests that a SHADOW policy let go on and ENFORCE would have refused.
    shadow: Counters,
    /// Refusals of SHADOW rules, which decide nothing.
    shadow_rules: Counters,
    /// Open requests that were ended, by why.
    cuts: Counters,
    open: u32,
    revision: u32,
    age: u32,
    entries: u32,
    memory: u32,
    content: u32,
    limit: u32,
}

struct Counters(Vec<(Reason, u32)>);

impl Counters {
    fn define(reasons: &[Reason], name: impl Fn(Reason) -> String) -> Result<Counters, HostError> {
        let define = |reason| {
            let id = host::define_metric(MetricType::Counter, &name(reason))?;
            Ok((reason, id))
        };
        let ids = reasons.iter().copied().map(define);
        Ok(Counters(ids.collect::<Result<_, _>>()?))
    }

    fn count(&self, reason: Reason) -> Result<(), HostError> {
        match self.0.iter().find(|(known, _)| *known == reason) {
            Some((_, id)) => host::increment_metric(*id),
            None => Ok(()),
        }
    }
}

impl Stats {
    fn define() -> Result<Stats, HostError> {
        let refusals: Vec<Reason> = Reason::ALL.into_iter().filter(|r| !r.allows()).collect();
        let gauge = |name| host::define_metric(MetricType::Gauge, name);
        Ok(Stats {
            decisions: Counters::define(&Reason::ALL, |reason| {
                let effect = if reason.allows() { "allow" } else { "deny" };
                format!("scimesh_decisions.{effect}.{reason}")
            })?,
            shadow: Counters::define(&refusals, |reason| {
                format!("scimesh_decisions.shadow.{reason}")
            })?,
            shadow_rules: Counters::define(&refusals, |reason| {
                format!("scimesh_shadow_rules.{reason}")
            })?,
            cuts: Counters::define(&refusals, |reason| format!("scimesh_cuts.{reason}"))?,
            open: gauge("scimesh_open_requests")?,
            revision: gauge("scimesh_revision")?,
            age: gauge("scimesh_snapshot_age_seconds")?,
            entries: gauge("scimesh_entries")?,
            memory: gauge("scimesh_memory_bytes")?,
            content: gauge("scimesh_content_bytes")?,
            limit: gauge("scimesh_content_limit_bytes")?,
        })
    }
}

/// Defines the VM's metrics, unless it has them.
pub(crate) fn define() -> Result<(), HostError> {
    STATS.with(|stats| {
        if stats.get().is_none() {
            // Nothing in between could have set it.
            let _ = stats.set(Stats::define()?);
        }
        Ok(())
    })
}

fn with(f: impl FnOnce(&Stats) -> Result<(), HostError>) -> Result<(), HostError> {
    STATS.with(|stats| stats.get().map_or(Ok(()), f))
}

/// Counts what became of a request.
pub(crate) fn count(decision: &Decision) -> Result<(), HostError> {
    with(|stats| {
        for (_, reason) in &decision.shadowed {
            stats.shadow_rules.count(*reason)?;
        }
        match decision.would_refuse {
            Some(reason) => stats.shadow.count(reason),
            None => stats.decisions.count(decision.reason),
        }
    })
}

/// Counts a request that was refused because nothing could be decided.
pub(crate) fn count_failure(reason: Reason) -> Result<(), HostError> {
    with(|stats| stats.decisions.count(reason))
}

/// Counts an open request that is ended.
pub(crate) fn cut(cut: &Cut) -> Result<(), HostError> {
    with(|stats| stats.cuts.count(cut.reason))
}

/// Shows a feed's state. What was never received is not shown.
pub(crate) fn show(feed: &Feed, now: Moment) -> Result<(), HostError> {
    with(|stats| {
        if let Some(snapshot) = feed.snapshot() {
            host::record_metric(stats.revision, snapshot.position().revision)?;
            host::record_metric(stats.entries, snapshot.len() as u64)?;
        }
        // One gauge for all VMs of the process: each adds what has changed in it.
        host::adjust_metric(stats.open, feed.open_change())?;
        let (content, limit) = feed.memory();
        host::record_metric(stats.memory, memory_bytes())?;
        host::record_metric(stats.content, content)?;
        host::record_metric(stats.limit, limit)?;
        if let Some(age) = feed.lease().age(now) {
            host::record_metric(stats.age, age.as_secs())?;
        }
        Ok(())
    })
}
