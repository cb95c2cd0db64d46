//! What the feeder counts. One [`Metrics`], made at the start; the parts hold clones of their handles and record into
//! them; the server of probes says under which names they are exported. Units are in the names, and every label is
//! bounded: by the operator (tenants) or by an enum.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};

/// Every handle.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    /// Of the SCIM server.
    pub scim: ScimMetrics,
    /// Of the writer.
    pub commits: CommitMetrics,
    /// Of the feed.
    pub feed: FeedMetrics,
    /// Of servers' certificates.
    pub tls: TlsMetrics,
}

/// What the SCIM server counts.
#[derive(Debug, Clone)]
pub struct ScimMetrics {
    pub(crate) requests: Family<ScimRequest, Counter>,
    pub(crate) duration: Histogram,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct ScimRequest {
    /// Empty for a request without a valid token.
    tenant: String,
    method: &'static str,
    /// `2xx`, `4xx`, …
    status: &'static str,
}

impl Default for ScimMetrics {
    fn default() -> Self {
        ScimMetrics {
            requests: Family::default(),
            duration: Histogram::new(latency_buckets()),
        }
    }
}

impl ScimMetrics {
    /// A request was answered. `tenant` is that of its token, if that was valid.
    pub fn answered(
        &self,
        tenant: Option<&str>,
        method: &http::Method,
        status: http::StatusCode,
        took: Duration,
    ) {
        let request = ScimRequest {
            tenant: tenant.unwrap_or_default().to_owned(),
            method: method_label(method),
            status: status_label(status),
        };
        self.requests.get_or_create(&request).inc();
        self.duration.observe(took.as_secs_f64());
    }
}

/// The client chooses the method's name; it does not choose our labels.
pub(crate) fn method_label(method: &http::Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        _ => "other",
    }
}

fn status_label(status: http::StatusCode) -> &'static str {
    match status.as_u16() {
        100..=199 => "1xx",
        200..=299 => "2xx",
        300..=399 => "3xx",
        400..=499 => "4xx",
        _ => "5xx",
    }
}

/// What the writer counts.
#[derive(Debug, Clone)]
pub struct CommitMetrics {
    /// Seconds from a command's arrival to its being durable, of commands that changed something.
    pub duration: Histogram,
    /// Commands that one sync made durable.
    pub batch: Histogram,
    pub(crate) failures: Family<Reason, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Reason {
    reason: &'static str,
}

impl Default for CommitMetrics {
    fn default() -> Self {
        CommitMetrics {
            duration: Histogram::new(latency_buckets()),
            batch: Histogram::new(exponential_buckets(1.0, 2.0, 10)),
            failures: Family::default(),
        }
    }
}

impl CommitMetrics {
    /// The store could not make a batch durable; `reason` is the word of an enum.
    pub fn failed(&self, reason: &'static str) {
        self.failures.get_or_create(&Reason { reason }).inc();
    }
}

/// What the feed counts.
#[derive(Debug, Clone)]
pub struct FeedMetrics {
    /// Snapshots sent.
    pub snapshots: Counter,
    /// Their bytes.
    pub snapshot_bytes: Counter,
    /// Deltas sent.
    pub deltas: Counter,
    /// Their bytes.
    pub delta_bytes: Counter,
    /// Filters that came with other content than their revision has.
    pub drifted: Counter,
    /// Acks received.
    pub acks: Counter,
    /// Seconds from a change's being shown to readers to the ack that covers it; each change for each filter that follows a scope that it changes.
    pub commit_to_ack: Histogram,
    pub(crate) nacks: Family<Reason, Counter>,
    pub(crate) closed: Family<Reason, Counter>,
    pub(crate) refused: Family<Reason, Counter>,
    /// What filters report.
    pub reports: ReportMetrics,
}

impl Default for FeedMetrics {
    fn default() -> Self {
        FeedMetrics {
            refused: Family::default(),
            snapshots: Counter::default(),
            snapshot_bytes: Counter::default(),
            deltas: Counter::default(),
            delta_bytes: Counter::default(),
            acks: Counter::default(),
            // To nine minutes: proxies stop, and come back.
            commit_to_ack: Histogram::new(exponential_buckets(0.0005, 2.0, 21)),
            nacks: Family::default(),
            drifted: Counter::default(),
            closed: Family::default(),
            reports: ReportMetrics::default(),
        }
    }
}

impl FeedMetrics {
    /// A peer was not let in, or not any longer; `reason` is the word of an enum.
    pub fn refused(&self, reason: &'static str) {
        self.refused.get_or_create(&Reason { reason }).inc();
    }

    /// A filter rejected an update; `reason` is the word of an enum, never the filter's own.
    pub fn nacked(&self, reason: &'static str) {
        self.nacks.get_or_create(&Reason { reason }).inc();
    }

    /// The feeder refused or ended a stream; `reason` is the word of an enum.
    pub fn closed(&self, reason: &'static str) {
        self.closed.get_or_create(&Reason { reason }).inc();
    }
}

/// What filters report of what they saw. Tenants are those that exist; nobody else's word is a label.
#[derive(Debug, Clone, Default)]
pub struct ReportMetrics {
    /// Reports taken in.
    pub reports: Counter,
    /// Those that came too soon after another one of the same stream.
    pub dropped: Counter,
    pub(crate) compared: Family<OfTenant, Counter>,
    pub(crate) unknown: Family<OfTenant, Counter>,
    pub(crate) shadow_refusals: Family<OfTenant, Counter>,
    pub(crate) left_out: Family<OfTenant, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct OfTenant {
    pub(crate) tenant: String,
}

impl ReportMetrics {
    /// What one report says of a tenant.
    pub(crate) fn reported(
        &self,
        tenant: &str,
        compared: u64,
        unknown: u64,
        shadow_refusals: u64,
        left_out: u64,
    ) {
        let label = OfTenant {
            tenant: tenant.to_owned(),
        };
        for (family, count) in [
            (&self.compared, compared),
            (&self.unknown, unknown),
            (&self.shadow_refusals, shadow_refusals),
            (&self.left_out, left_out),
        ] {
            family.get_or_create(&label).inc_by(count);
        }
    }
}

/// What is counted of servers' certificates.
#[derive(Debug, Clone, Default)]
pub struct TlsMetrics {
    pub(crate) reloads: Family<Reload, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Reload {
    server: &'static str,
    outcome: &'static str,
}

impl TlsMetrics {
    /// The files of a server were other ones; `outcome` is `done` or `failed`.
    pub fn reloaded(&self, server: &'static str, outcome: &'static str) {
        let reload = Reload { server, outcome };
        self.reloads.get_or_create(&reload).inc();
    }

    /// How often that was so.
    #[cfg(test)]
    pub(crate) fn count(&self, server: &'static str, outcome: &'static str) -> u64 {
        let reload = Reload { server, outcome };
        self.reloads.get_or_create(&reload).get()
    }
}

/// From a tenth of a millisecond to three seconds.
fn latency_buckets() -> impl Iterator<Item = f64> {
    exponential_buckets(0.0001, 2.0, 16)
}
