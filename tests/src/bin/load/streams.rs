//! `load streams`

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;
use scimesh_proto::scope::{Scope, Term};
use scimesh_tests::load::fleet::{Fleet, Shape};
use scimesh_tests::load::follower::Behaviour;

/// Between two lines.
const REPORT: Duration = Duration::from_secs(1);

#[derive(Args)]
pub(crate) struct Arguments {
    /// Where the feeder serves its feed, without TLS: on loopback
    #[arg(long, default_value = "127.0.0.1:9443")]
    feed: SocketAddr,
    /// Streams: one for each worker of each proxy, and one for its main thread
    #[arg(long, default_value_t = 100)]
    streams: usize,
    /// HTTP/2 connections that they share: as many as workers where proxies connect themselves, few behind a sidecar
    #[arg(long, default_value_t = 100)]
    connections: usize,
    /// The tenant's name
    #[arg(long, default_value = "corp")]
    tenant: String,
    /// Scopes that they follow, in turn
    #[arg(long, default_value_t = 1)]
    scopes: usize,
    /// Groups in each scope
    #[arg(long, default_value_t = 16)]
    terms: usize,
    /// Groups in the directory, as for `load directory`
    #[arg(long, default_value_t = 200)]
    groups: usize,
    /// Scopes have only the members of their groups, not every active user
    #[arg(long)]
    only_members: bool,
    /// Hold and verify all content, as a filter does: some 50 bytes an entry and stream
    #[arg(long)]
    whole: bool,
    /// The policies' `maxStaleness`, in seconds: pings come three times as often
    #[arg(long, default_value_t = 300)]
    max_staleness: u64,
    /// Of a hundred streams, so many read nothing
    #[arg(long, default_value_t = 0)]
    stopped: usize,
    /// How long; without an end if absent
    #[arg(long)]
    seconds: Option<u64>,
}

pub(crate) async fn run(arguments: &Arguments) -> Result<()> {
    ensure!(
        arguments.groups > 0 && arguments.scopes > 0,
        "no scope, or nothing in it"
    );
    let scopes: Result<Vec<Scope>> = (0..arguments.scopes).map(|n| scope(arguments, n)).collect();
    let shape = Shape {
        streams: arguments.streams,
        connections: arguments.connections.min(arguments.streams),
        light: !arguments.whole,
        lease: Duration::from_secs(arguments.max_staleness),
        ..Shape::default()
    };
    let start = Instant::now();
    let fleet = Fleet::start(arguments.feed, &shape, &scopes?)?;
    for (place, follower) in fleet.followers().iter().enumerate() {
        if place % 100 < arguments.stopped {
            follower.behave(Behaviour::Stall);
        }
    }
    println!(
        "connected | current | revisions           | messages/s | KiB/s   | snapshots | refused"
    );
    let mut before = fleet.totals();
    while arguments
        .seconds
        .is_none_or(|seconds| start.elapsed() < Duration::from_secs(seconds))
    {
        tokio::time::sleep(REPORT).await;
        let now = fleet.totals();
        let (mut current, mut lowest, mut highest) = (0, u64::MAX, 0);
        for follower in fleet.followers() {
            let seen = follower.seen();
            let held = seen.position.map_or(0, |held| held.revision);
            (lowest, highest) = (lowest.min(held), highest.max(held));
            let lease = Duration::from_secs(arguments.max_staleness);
            current += usize::from(seen.current.is_some_and(|(_, at)| at.elapsed() < lease));
        }
        println!(
            "{:>9} | {current:>7} | {lowest:>8} .. {highest:<7} | {:>10} | {:>7.0} | {:>9} | {:>7}",
            now.connected,
            now.messages - before.messages,
            (now.bytes - before.bytes) as f64 / 1024.0,
            now.snapshots,
            now.nacks
        );
        before = now;
    }
    fleet.check()?;
    for (end, streams) in fleet.ends() {
        println!("{streams} streams ended last with {end}");
    }
    Ok(())
}

/// Some of the groups that `load directory` makes, others for each scope.
fn scope(arguments: &Arguments, number: usize) -> Result<Scope> {
    let groups = (0..arguments.terms).map(|term| (number * 7 + term) % arguments.groups);
    let terms = groups.map(|group| Term::parse(&format!("group:team-{group:05}")));
    let terms: Vec<Term> = terms.collect::<Result<_, _>>()?;
    Scope::new(&arguments.tenant, terms, !arguments.only_members).context("a scope")
}
