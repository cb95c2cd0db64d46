//! The names that metrics are exported by, and the gauges of what there is, which are read when they are asked for.

use std::fmt;
use std::time::Instant;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use crate::feed::FeedService;
use crate::ledger::Ledger;
use crate::metrics::Metrics;
use crate::tls;

/// Each server's by its name.
pub(super) type Certificates = Vec<(&'static str, tls::Current)>;

/// Everything that the feeder counts, and what there is, under the names that it is exported by.
pub(super) fn registry(
    metrics: &Metrics,
    ledger: Ledger,
    streams: FeedService,
    certificates: Certificates,
) -> Registry {
    let mut all = Registry::with_prefix("scimesh_feeder");
    let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
    all.register("build", "The program that runs", build);

    let Metrics {
        scim,
        commits,
        feed,
        tls,
    } = metrics.clone();
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
    all.register(
        "feed_digest_mismatches",
        "Filters that came with other content than their revision has",
        feed.drifted,
    );
    all.register("feed_acks", "Updates that a filter applied", feed.acks);
    all.register_with_unit(
        "feed_commit_to_ack",
        "From a change's being visible to the ack of each filter that it is sent to",
        Unit::Seconds,
        feed.commit_to_ack,
    );
    all.register("feed_nacks", "Updates that a filter rejected", feed.nacks);
    all.register(
        "feed_streams_closed",
        "Streams that the feeder refused or ended",
        feed.closed,
    );
    all.register(
        "feed_streams_refused",
        "Streams that the feed did not let in, or not any longer, by what was against it",
        feed.refused,
    );
    let reports = feed.reports;
    all.register(
        "reports",
        "Reports of what filters saw, and did not decide by",
        reports.reports,
    );
    all.register(
        "reports_dropped",
        "Reports that came too soon after another one of their stream",
        reports.dropped,
    );
    all.register(
        "report_entries_left_out",
        "Of what filters saw, what they or this feeder had no room for",
        reports.left_out,
    );
    all.register(
        "drift_compared",
        "Tokens whose groups filters compared with the directory",
        reports.compared,
    );
    all.register(
        "drift_unknown",
        "Those of them that do not list their groups",
        reports.unknown,
    );
    all.register(
        "shadow_refusals",
        "Requests that SHADOW rules and policies would have refused",
        reports.shadow_refusals,
    );
    all.register(
        "tls_reloads",
        "New certificates, keys or authorities found in a server's files, and whether they could be used",
        tls.reloads,
    );
    all.register_collector(Box::new(Content {
        ledger,
        streams,
        certificates,
    }));
    all
}

/// What there is, read when it is asked for: nobody has to keep gauges in step with it.
#[derive(Debug)]
struct Content {
    ledger: Ledger,
    streams: FeedService,
    certificates: Certificates,
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
        let fleet = self.streams.fleet().totals(Instant::now());
        gauge(
            "feed_filters_connected",
            "Filter VMs that follow now, however many scopes each does",
            number(fleet.vms),
        )?;
        gauge(
            "feed_filters_departed",
            "Filters whose stream has ended, and whose lease has not",
            number(fleet.departed),
        )?;
        gauge(
            "feed_filters_near_memory_limit",
            "Connected filters whose content takes at least 80 % of its limit",
            number(fleet.near_memory_limit),
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
        if !self.certificates.is_empty() {
            let mut expiry = encoder.encode_descriptor(
                "tls_certificate_expiry_timestamp",
                "When a server's certificate ends, in Unix time",
                Some(&Unit::Seconds),
                MetricType::Gauge,
            )?;
            for (server, tls) in &self.certificates {
                let gauge = ConstGauge::new(tls.not_after().as_second());
                gauge.encode(expiry.encode_family(&[("server", *server)])?)?;
            }
        }
        let slowest = ConstGauge::new(fleet.slowest_ack.as_secs_f64());
        slowest.encode(encoder.encode_descriptor(
            "feed_slowest_ack",
            "Age of the oldest change that a connected filter has not acked",
            Some(&Unit::Seconds),
            MetricType::Gauge,
        )?)?;
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
        family("groups", "Groups", |tenant| tenant.group_count())?;
        family(
            "held_names",
            "Names held after somebody lost them",
            |tenant| tenant.release_count(),
        )?;
        let help = "Subjects whose tokens were seen within an hour to claim groups that they are out of (gone), or to lack some that they are in (gained)";
        let mut drift =
            encoder.encode_descriptor("drift_subjects", help, None, MetricType::Gauge)?;
        for tenant in directory.tenants() {
            let observations = self.streams.observations();
            let (gone, gained) = observations.subjects(tenant, Instant::now());
            for (kind, count) in [("gone", gone), ("gained", gained)] {
                let labels = [("tenant", &**tenant.name()), ("kind", kind)];
                ConstGauge::new(number(count)).encode(drift.encode_family(&labels)?)?;
            }
        }
        let help = "Tenants of which nothing is published that came after this revision";
        let mut frozen =
            encoder.encode_descriptor("frozen_at_revision", help, None, MetricType::Gauge)?;
        directory.all_frozen().try_for_each(|(tenant, held)| {
            let label = Tenant {
                tenant: tenant.to_string(),
            };
            ConstGauge::new(number(held.revision)).encode(frozen.encode_family(&label)?)
        })
    }
}

/// Gauges are signed; nothing here comes near the difference.
fn number(value: impl TryInto<i64>) -> i64 {
    value.try_into().unwrap_or(i64::MAX)
}
