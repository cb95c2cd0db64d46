//! `scimesh serve`

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::builder::BoolishValueParser;
use tokio::signal::unix::{SignalKind, signal};
use tracing::info;

use super::log::LogArgs;
use crate::config::Desired;
use crate::descriptors;
use crate::feed;
use crate::limits::{Named, Setting};
use crate::scim;
use crate::serve::{self, Addresses, FeedEndpoint, ScimEndpoint, Settings};
use crate::tls::{IdentityFiles, MutualFiles};

#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    /// Where identity providers push users and groups: SCIM 2.0 under /scim/v2
    #[arg(
        long,
        env = "SCIMESH_SCIM_LISTEN",
        value_name = "ADDR",
        default_value = "127.0.0.1:8080"
    )]
    scim_listen: SocketAddr,
    /// Where filters open their streams: gRPC
    #[arg(
        long,
        env = "SCIMESH_FEED_LISTEN",
        value_name = "ADDR",
        default_value = "127.0.0.1:9443"
    )]
    feed_listen: SocketAddr,
    /// Where /healthz, /readyz and /metrics are: HTTP, nothing secret
    #[arg(
        long,
        env = "SCIMESH_ADMIN_LISTEN",
        value_name = "ADDR",
        default_value = "127.0.0.1:9090"
    )]
    admin_listen: SocketAddr,

    /// Tenants and bindings to start with, as for `scimesh apply`
    #[arg(long, env = "SCIMESH_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// The URL of SCIM as clients see it, for `meta.location`; from the request if absent
    #[arg(long, env = "SCIMESH_SCIM_BASE_URL", value_name = "URL")]
    scim_base_url: Option<String>,

    /// How long a userName or email that somebody lost names nobody else; 0s holds none
    #[arg(long, env = "SCIMESH_NAME_HOLD", value_name = "DURATION", default_value = "24h", value_parser = humantime::parse_duration)]
    name_hold: Duration,

    /// A limit of the SCIM server; repeatable, and in the variable separated by commas
    #[arg(
        long,
        env = "SCIMESH_SCIM_LIMIT",
        value_name = "NAME=VALUE",
        value_delimiter = ',',
        long_help = limits_help::<scim::Limit>("the SCIM server", |limit| scim::Limits::default().get(limit))
    )]
    scim_limit: Vec<scim::Setting>,

    /// A limit of the feed; repeatable, and in the variable separated by commas
    #[arg(
        long,
        env = "SCIMESH_FEED_LIMIT",
        value_name = "NAME=VALUE",
        value_delimiter = ',',
        long_help = limits_help::<feed::Limit>("the feed", |limit| feed::Limits::default().get(limit))
    )]
    feed_limit: Vec<feed::Setting>,

    /// Certificate chain of the SCIM server, PEM
    #[arg(
        long,
        env = "SCIMESH_SCIM_TLS_CERT",
        value_name = "FILE",
        requires = "scim_tls_key"
    )]
    scim_tls_cert: Option<PathBuf>,
    /// Its private key, PEM
    #[arg(
        long,
        env = "SCIMESH_SCIM_TLS_KEY",
        value_name = "FILE",
        requires = "scim_tls_cert"
    )]
    scim_tls_key: Option<PathBuf>,
    /// Serve SCIM without TLS off loopback: something in front of it, and nothing else, can reach it and does TLS
    #[arg(long, env = "SCIMESH_BEHIND_TLS_PROXY", value_parser = BoolishValueParser::new())]
    behind_tls_proxy: bool,

    /// Certificate chain of the feed's server, PEM
    #[arg(long, env = "SCIMESH_FEED_TLS_CERT", value_name = "FILE", requires_all = ["feed_tls_key", "feed_client_ca"])]
    feed_tls_cert: Option<PathBuf>,
    /// Its private key, PEM
    #[arg(long, env = "SCIMESH_FEED_TLS_KEY", value_name = "FILE", requires_all = ["feed_tls_cert", "feed_client_ca"])]
    feed_tls_key: Option<PathBuf>,
    /// The authorities whose certificates the feed's peers must have, PEM
    #[arg(long, env = "SCIMESH_FEED_CLIENT_CA", value_name = "FILE", requires_all = ["feed_tls_cert", "feed_tls_key"])]
    feed_client_ca: Option<PathBuf>,
    /// The feed is on loopback behind this pod's sidecar, which says who the peer is (x-forwarded-client-cert)
    #[arg(long, env = "SCIMESH_FEED_BEHIND_SIDECAR", value_parser = BoolishValueParser::new())]
    feed_behind_sidecar: bool,

    #[command(flatten)]
    log: LogArgs,
}

impl ServeArgs {
    pub(super) fn run(self, data_dir: PathBuf) -> anyhow::Result<()> {
        self.log.start()?;
        descriptors::take_all();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?;
        let settings = self.settings(data_dir)?;
        runtime.block_on(async {
            let shutdown = signals()?;
            serve::run(settings, announce, shutdown).await
        })
    }

    fn settings(self, data_dir: PathBuf) -> anyhow::Result<Settings> {
        let mut scim_limits = scim::Limits::default();
        for Setting { limit, value } in self.scim_limit {
            scim_limits.set(limit, value);
        }
        let mut feed_limits = feed::Limits::default();
        for Setting { limit, value } in self.feed_limit {
            feed_limits.set(limit, value);
        }
        let scim_tls = self.scim_tls_cert.zip(self.scim_tls_key);
        let feed_tls = self
            .feed_tls_cert
            .zip(self.feed_tls_key)
            .zip(self.feed_client_ca);
        Ok(Settings {
            data_dir,
            scim: ScimEndpoint {
                listen: self.scim_listen,
                tls: scim_tls.map(|(cert, key)| IdentityFiles { cert, key }),
                behind_tls_proxy: self.behind_tls_proxy,
                base_url: self.scim_base_url,
                limits: scim_limits,
            },
            feed: FeedEndpoint {
                listen: self.feed_listen,
                tls: feed_tls.map(|((cert, key), client_ca)| MutualFiles {
                    identity: IdentityFiles { cert, key },
                    client_ca,
                }),
                behind_sidecar: self.feed_behind_sidecar,
                limits: feed_limits,
            },
            admin_listen: self.admin_listen,
            name_hold: self.name_hold,
            desired: self.config.as_deref().map(Desired::read).transpose()?,
        })
    }
}

/// Every limit of a server with its default.
fn limits_help<L: Named>(server: &str, default: impl Fn(L) -> usize) -> String {
    let mut help = format!(
        "A limit of {server}; repeatable, and in the variable separated by commas. What is beyond one is refused, by an error that names it. Names and defaults:\n"
    );
    for limit in L::ALL {
        let off = if *limit.range().start() == 0 {
            "; 0: none"
        } else {
            ""
        };
        let (name, value, of) = (limit.name(), default(*limit), limit.of());
        help.push_str(&format!("\n  {name}={value}  {of}{off}"));
    }
    help
}

/// One line of JSON with the addresses in use, so that whoever asked for port 0 learns what it became.
fn announce(addresses: &Addresses) {
    // Nobody has to read it.
    let _ = serde_json::to_string(addresses)
        .map_err(io::Error::from)
        .and_then(|line| writeln!(io::stdout().lock(), "{line}"));
}

/// Ends when the process is asked to. Installed before anything runs, so that no signal is missed.
fn signals() -> io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        let name = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        info!(signal = name, "shutting down");
    })
}
