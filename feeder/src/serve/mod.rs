//! The running feeder: opens the store, starts the writer and the servers, and joins them all again.
//!
//! ```text
//! data dir (lock) -> store -> ledger -> feed (gRPC)
//!                                 '---> scim (HTTP), admin.sock (HTTP), probes (HTTP), the end of holds
//! ```
//!
//! Whatever ends before it was told to ends the process, with its cause: a feeder that lost a part of itself must not
//! look alive.

mod exposure;
mod feed;
mod health;
mod holds;
mod http;
mod probes;
mod registry;
mod scim;
mod stall;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use jiff::SignedDuration;
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

pub use exposure::{Exposed, FeedEndpoint, ScimEndpoint};
use http::{Limits, Server};
use probes::{Probes, WhyNot};

use crate::admin::{self, Brakes};
use crate::config::Desired;
use crate::data_dir::DataDir;
use crate::feed::{FeedService, PeerMode};
use crate::ledger::{Ledger, Writer};
use crate::metrics::{CommitMetrics, Metrics};
use crate::store::Store;
use crate::tls::{self, Reloading};

/// How long requests under way may take to finish when the feeder stops.
const DRAIN: Duration = Duration::from_secs(10);

/// Writing the largest directory into a file takes minutes.
const COPY: Duration = Duration::from_secs(3600);

const ADMIN: Limits = Limits {
    connections: 64,
    connections_per_address: 0,
    head: Duration::from_secs(30),
    request: Duration::from_secs(60),
    stall: Duration::from_secs(30),
    drain: DRAIN,
};

/// The API answers a request that takes too long itself, with an error of its own; only if it fails to does this.
const SCIM_GRACE: Duration = Duration::from_secs(5);

const PROBES: Limits = Limits {
    connections: 64,
    connections_per_address: 0,
    head: Duration::from_secs(10),
    request: Duration::from_secs(10),
    stall: Duration::from_secs(10),
    drain: Duration::from_secs(1),
};

/// What a feeder is told at its start.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Its own, and no other process's.
    pub data_dir: PathBuf,
    /// Where and how SCIM is served.
    pub scim: ScimEndpoint,
    /// Where and how the feed is served.
    pub feed: FeedEndpoint,
    /// Where probes and metrics are served.
    pub admin_listen: SocketAddr,
    /// How long a name that somebody lost means nobody else; zero: no time at all.
    pub name_hold: Duration,
    /// Tenants and bindings to start with; it deletes no tenant.
    pub desired: Option<Desired>,
}

/// Where a feeder is reached: what port 0 became.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Addresses {
    /// SCIM.
    pub scim: SocketAddr,
    /// gRPC.
    pub feed: SocketAddr,
    /// Probes and metrics.
    pub admin: SocketAddr,
}

/// Runs a feeder until `shutdown` ends, then stops it in order. `ready` is called once, when everything is served. The
/// error says what kept it from starting, or what ended it.
pub async fn run(
    settings: Settings,
    ready: impl FnOnce(&Addresses),
    shutdown: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    settings.scim.check()?;
    settings.feed.check()?;
    let metrics = Metrics::default();
    let scim_tls = settings.scim.tls.clone().map(tls::Files::Server);
    let feed_tls = settings.feed.tls.clone().map(tls::Files::Mutual);
    let open = |server, files: Option<tls::Files>| {
        let opened = files.map(|files| Reloading::open(server, files, metrics.tls.clone()));
        opened.transpose().map(Option::unzip)
    };
    let (scim_tls, scim_files) = open("scim", scim_tls)?;
    let (feed_tls, feed_files) = open("feed", feed_tls)?;

    let data_dir = DataDir::own(&settings.data_dir)?;
    if data_dir.is_open_to_others() {
        let path = data_dir.path().display();
        tracing::warn!(%path, "every account of this machine can enter the data directory: chmod o-rwx");
    }
    let scim_listener = listen("SCIM", settings.scim.listen).await?;
    let feed_listener = listen("the feed", settings.feed.listen).await?;
    let admin_listener = listen("the admin address", settings.admin_listen).await?;
    let addresses = Addresses {
        scim: scim_listener.local_addr()?,
        feed: feed_listener.local_addr()?,
        admin: admin_listener.local_addr()?,
    };

    let (ledger, writer) = open_ledger(&data_dir, settings.name_hold, metrics.commits.clone())?;
    if let Some(desired) = settings.desired {
        let applied = ledger.commit(move |draft| admin::reconcile(draft, &desired, false));
        let applied = applied
            .await
            .context("cannot apply the configuration file")?;
        tracing::info!(
            changes = applied.value.len(),
            "applied the configuration file"
        );
    }
    let socket = data_dir.listen()?;

    let feed = FeedService::new(
        ledger.clone(),
        peers(&settings.feed, &ledger),
        settings.feed.limits,
        metrics.feed.clone(),
    );
    let stop = CancellationToken::new();
    let stop_probes = CancellationToken::new();

    let mut parts = JoinSet::new();
    let scim = Server {
        name: "scim",
        listener: scim_listener,
        tls: scim_tls.clone(),
        router: scim::router(&settings.scim, ledger.clone(), metrics.scim.clone()),
        limits: scim_limits(&settings.scim.limits),
        address: |peer| Some(peer.ip().to_canonical()),
    };
    parts.spawn(part("the SCIM server", scim.run(stop.clone())));
    let admin = Server {
        name: "admin.sock",
        listener: socket.listener,
        tls: None,
        router: admin::router(
            Brakes {
                ledger: ledger.clone(),
                feed: feed.clone(),
                data_dir: data_dir.path().into(),
            },
            unready(ledger.clone(), feed.clone(), stop.clone()),
        ),
        limits: Limits {
            request: COPY,
            ..ADMIN
        },
        address: |_| None,
    };
    parts.spawn(part("the administration socket", admin.run(stop.clone())));
    let unready = unready(ledger.clone(), feed.clone(), stop.clone());
    let grpc = feed::serve(
        feed.clone(),
        feed_listener,
        feed_tls.clone(),
        settings.feed.limits,
        unready.clone(),
        stop.clone(),
    );
    parts.spawn(async { ("the feed's server", grpc.await) });
    let rules = feed.clone().follow_rules(stop.clone());
    parts.spawn(part("the feed's access rules", rules));
    for files in scim_files.into_iter().chain(feed_files) {
        parts.spawn(part("the reading of certificates", files.run(stop.clone())));
    }

    let holds = holds::end_holds(ledger.clone(), stop.clone());
    parts.spawn(part("the end of holds", holds));

    let scim_tls = scim_tls.map(|tls| ("scim", tls));
    let feed_tls = feed_tls.map(|tls| ("feed", tls));
    let certificates = scim_tls.into_iter().chain(feed_tls).collect();
    let probes = Server {
        name: "probes",
        listener: admin_listener,
        tls: None,
        router: probes::router(Probes {
            lost: lost(ledger.clone()),
            unready,
            metrics: Arc::new(registry::registry(
                &metrics,
                ledger.clone(),
                feed.clone(),
                certificates,
            )),
        }),
        limits: PROBES,
        address: |_| None,
    };
    let mut probes = tokio::spawn(probes.run(stop_probes.clone()));

    drop(ledger);
    let mut writer = writer;
    tracing::info!(scim = %addresses.scim, feed = %addresses.feed, admin = %addresses.admin, "ready");
    ready(&addresses);

    let mut outcome = tokio::select! {
        () = shutdown => Ok(()),
        Some(ended) = parts.join_next() => Err(ended_early(ended)),
        ended = &mut probes => Err(ended_early(ended.map(|()| ("the probes' server", Ok(()))))),
        () = writer.ended() => Err(anyhow!("the writer ended")),
    };

    stop.cancel();
    if timeout(DRAIN, feed.close()).await.is_err() {
        tracing::warn!("streams did not end in time");
    }
    drop(feed);
    while let Some(ended) = parts.join_next().await {
        outcome = outcome.and(flat(ended));
    }
    stop_probes.cancel();
    if !probes.is_finished() {
        outcome = outcome.and((&mut probes).await.context("the probes' server"));
    }
    // No handle on the ledger is left: the writer stores what it has taken, and ends.
    if timeout(DRAIN, writer.ended()).await.is_err() {
        outcome = outcome.and(Err(anyhow!("the writer did not end in time")));
    }
    if let Err(error) = std::fs::remove_file(&socket.path) {
        tracing::warn!(%error, "could not remove the administration socket");
    }
    outcome
}

fn scim_limits(limits: &crate::scim::Limits) -> Limits {
    Limits {
        connections: limits.connections,
        connections_per_address: limits.connections_per_address,
        request: Duration::from_secs(limits.request_seconds as u64) + SCIM_GRACE,
        ..ADMIN
    }
}

/// How one of the feeder's parts ended.
type Ended = (&'static str, anyhow::Result<()>);

async fn part(name: &'static str, running: impl Future<Output = ()>) -> Ended {
    running.await;
    (name, Ok(()))
}

fn flat(ended: Result<Ended, tokio::task::JoinError>) -> anyhow::Result<()> {
    let (name, result) = ended?;
    result.context(name)
}

fn ended_early(ended: Result<Ended, tokio::task::JoinError>) -> anyhow::Error {
    match ended {
        Ok((name, Ok(()))) => anyhow!("{name} ended without having been told to"),
        Ok((name, Err(error))) => error.context(name),
        Err(error) => error.into(),
    }
}

async fn listen(what: &str, address: SocketAddr) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind(address).await;
    listener.with_context(|| format!("cannot listen on {address} for {what}"))
}

fn open_ledger(
    data_dir: &DataDir,
    name_hold: Duration,
    metrics: CommitMetrics,
) -> anyhow::Result<(Ledger, Writer)> {
    let (store, directory) = Store::open(data_dir.path()).context("cannot open the store")?;
    tracing::info!(
        generation = directory.history().generation,
        revision = directory.revision(),
        tenants = directory.tenants().count(),
        "opened the store"
    );
    let name_hold = SignedDuration::try_from(name_hold).context("the hold of names")?;
    let directory = directory.with_name_hold(name_hold);
    Ledger::start(store, directory, metrics).context("cannot start the writer")
}

fn peers(feed: &FeedEndpoint, ledger: &Ledger) -> PeerMode {
    let mode = match (feed.behind_sidecar, &feed.tls) {
        (true, _) => PeerMode::BehindSidecar,
        (false, Some(_)) => PeerMode::MutualTls,
        (false, None) => {
            tracing::warn!(
                address = %feed.listen,
                "the feed serves every process of this machine: no --feed-behind-sidecar, no mutual TLS"
            );
            PeerMode::Loopback
        }
    };
    if mode != PeerMode::Loopback && ledger.directory().feed_access().iter().next().is_none() {
        tracing::warn!(
            "there is no rule of feedAccess, so every filter is refused: `scimesh apply` a file with one"
        );
    }
    mode
}

/// Why only a restart helps: after a sync that failed, only reading the disk again tells what is on it.
fn lost(ledger: Ledger) -> WhyNot {
    Arc::new(move || ledger.broken().map(|error| error.to_string()))
}

/// Why nothing should be sent here now.
fn unready(ledger: Ledger, feed: FeedService, stop: CancellationToken) -> WhyNot {
    let lost = lost(ledger);
    Arc::new(move || {
        if stop.is_cancelled() {
            return Some("the feeder is shutting down".to_owned());
        }
        if feed.rolled_back() {
            return Some(
                "the database is an old copy: filters know more of its history".to_owned(),
            );
        }
        lost()
    })
}
