//! What the feeder counts. One [`Metrics`], made at the start; the parts hold clones of their handles and record into
//! them; [`Metrics::registry`] says under which names they are exported. Units are in the names, and every label is
//! bounded: by the operator (tenants) or by an enum.

use std::fmt;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use crate::feed::FeedService;
use crate::ledger::Ledger;

/// Every handle.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    /// Of the SCIM server.
    pub scim: ScimMetrics,
    /// Of the writer.
    pub commits: CommitMetrics,
    /// Of the feed.
    pub feed: FeedMetrics,
}

/// What the SCIM server counts.
#[derive(Debug, Clone)]
pub struct ScimMetrics {
    requests: Family<ScimRequest, Counter>,
    duration: Histogram,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ScimRequest {
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
fn method_label(method: &http::Method) -> &'static str {
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
    failures: Family<Reason, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
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
#[derive(Debug, Clone, Default)]
pub struct FeedMetrics {
    /// Snapshots sent.
    pub snapshots: Counter,
    /// Their bytes.
    pub snapshot_bytes: Counter,
    /// Deltas sent.
    pub deltas: Counter,
    /// Their bytes.
    pub delta_bytes: Counter,
    /// Acks received.
    pub acks: Counter,
    nacks: Family<Reason, Counter>,
    closed: Family<Reason, Counter>,
}

impl FeedMetrics {
    /// A filter rejected an update; `reason` is the word of an enum, never the filter's own.
    pub fn nacked(&self, reason: &'static str) {
        self.nacks.get_or_create(&Reason { reason }).inc();
    }

    /// The feeder refused or ended a stream; `reason` is the word of an enum.
    pub fn closed(&self, reason: &'static str) {
        self.closed.get_or_create(&Reason { reason }).inc();
    }
}

/// From a tenth of a millisecond to three seconds.
fn latency_buckets() -> impl Iterator<Item = f64> {
    exponential_buckets(0.0001, 2.0, 16)
}

impl Metrics {
    /// Everything, under the names that it is exported by.
    pub fn registry(&self, ledger: Ledger, streams: FeedService) -> Registry {
        let mut all = Registry::with_prefix("scimesh_feeder");
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        all.register("build", "The program that runs", build);

        let Metrics {
            scim,
            commits,
            feed,
        } = self.clone();
        all.register("scim_requests", "SCIM requests answered", scim.requests);
        all.register_with_unit(
            "scim_request_duration",
            "From the head of a SCIM request to that of its response",
            Unit::Seconds,
            scim.duration,
        );
        all.register_with_unit(
            "commit_duration",
            "From a command's arrival at the writer to its being durable",
            Unit::Seconds,
            commits.duration,
        );
        all.register(
            "commit_batch_commands",
            "Commands that one sync made durable",
            commits.batch,
        );
        all.register(
            "commit_failures",
            "Batches that the store could not make durable",
            commits.failures,
        );
        all.register("feed_snapshots_sent", "Snapshots sent", feed.snapshots);
        all.register_with_unit(
            "feed_snapshots_sent",
            "Their bytes",
            Unit::Bytes,
            feed.snapshot_bytes,
        );
        all.register("feed_deltas_sent", "Deltas sent", feed.deltas);
        all.register_with_unit(
            "feed_deltas_sent",
            "Their bytes",
            Unit::Bytes,
            feed.delta_bytes,
        );
        all.register("feed_acks", "Updates that a filter applied", feed.acks);
        all.register("feed_nacks", "Updates that a filter rejected", feed.nacks);
        all.register(
            "feed_streams_closed",
            "Streams that the feeder refused or ended",
            feed.closed,
        );
        all.register_collector(Box::new(Content { ledger, streams }));
        all
    }
}

/// What there is, read when it is asked for: nobody has to keep gauges in step with it.
#[derive(Debug)]
struct Content {
    ledger: Ledger,
    streams: FeedService,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Tenant {
    tenant: String,
}

impl Collector for Content {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let directory = self.ledger.directory();
        let mut gauge = |name, help, value| {
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)
        };
        gauge(
            "revision",
            "Newest durable revision",
            number(directory.revision()),
        )?;
        let generation = directory.history().generation;
        gauge(
            "generation",
            "Generation of the database's history",
            number(generation),
        )?;
        gauge("tenants", "Tenants", number(directory.tenants().count()))?;
        gauge(
            "feed_streams",
            "Streams open now",
            number(self.streams.streams()),
        )?;
        gauge(
            "feed_scopes",
            "Scopes that they follow",
            number(self.streams.scopes()),
        )?;
        let rolled_back = self.streams.rolled_back();
        gauge(
            "database_is_old_copy",
            "1 if a filter has proved it",
            i64::from(rolled_back),
        )?;
        let broken = self.ledger.broken().is_some();
        gauge(
            "store_broken",
            "1 if nothing can be written before a restart",
            i64::from(broken),
        )?;
        let mut family = |name, help, count: fn(&crate::directory::Tenant) -> usize| {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            directory.tenants().try_for_each(|tenant| {
                let label = Tenant {
                    tenant: tenant.name().to_string(),
                };
                ConstGauge::new(number(count(tenant))).encode(family.encode_family(&label)?)
            })
        };
        family("users", "Users, active or not", |tenant| {
            tenant.user_count()
        })?;
        family("groups", "Groups", |tenant| tenant.group_count())
    }
}

/// Gauges are signed; nothing here comes near the difference.
fn number(value: impl TryInto<i64>) -> i64 {
    value.try_into().unwrap_or(i64::MAX)
}
