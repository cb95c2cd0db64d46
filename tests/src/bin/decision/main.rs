//! `make bench-decision`: what a decision costs in Envoy, beside what else could decide, in the same run.

mod authorization;
mod calls;
mod contestant;
mod directory;
mod figures;
mod proxy;
mod report;
mod requests;

use std::path::Path;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use scimesh_tests::issuer::Issuer;
use scimesh_tests::{artifact, machine};

use authorization::Authorization;
use calls::Calls;
use contestant::Contestant;
use directory::{Directory, ISSUER};
use figures::Figures;
use proxy::{LANES, Proxy};
use report::Budget;
use requests::{ASKERS, Requests};

/// How much more the processor time may be with more users and still count as the same.
const SAME: f64 = 1.1;

/// What a decision costs in Envoy, beside what else could decide
#[derive(Parser)]
struct Arguments {
    /// Rounds; each starts every proxy anew, because where a process happens to lie in memory moves its speed
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Turns that each proxy takes in a round
    #[arg(long, default_value_t = 8)]
    turns: usize,
    /// Requests in a turn for the processor time
    #[arg(long, default_value_t = 4000)]
    requests: usize,
    /// Requests in a turn for the latency
    #[arg(long, default_value_t = 1000)]
    alone: usize,
    /// Users in Scimesh's directories
    #[arg(long, value_delimiter = ',', default_values_t = [1000, 100_000])]
    users: Vec<usize>,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    ensure!(
        arguments.rounds * arguments.turns > 0 && arguments.requests > 0 && arguments.alone > 0,
        "too little to say anything"
    );
    ensure!(
        !arguments.users.is_empty() && arguments.users.iter().all(|users| *users >= ASKERS * 10),
        "those who ask have numbers up to {}",
        ASKERS * 10
    );
    introduce(&arguments)?;
    let dir = artifact::scratch()?;
    let dir = dir.path();
    let issuer = Issuer::new(ISSUER)?;
    let requests = Requests::new(&issuer)?;
    let server = Authorization::start().await?;
    let mut directories = Vec::new();
    for users in &arguments.users {
        let dir = dir.join(format!("feeder-{users}"));
        directories.push(Directory::load(&dir, *users).await?);
    }
    let asks = Asks {
        issuer: &issuer,
        requests: &requests,
    };
    let mut entries = vec![
        Entry::new(Contestant::Nothing),
        Entry::new(Contestant::JwtAuthn),
        Entry::new(Contestant::NativeRbac),
        Entry::new(Contestant::Noop),
        Entry::new(Contestant::Lua),
        Entry::new(Contestant::ExtAuthz(&server)),
    ];
    let scimesh = directories.iter().map(Contestant::Scimesh);
    let backstopped = directories.iter().take(1).map(Contestant::Backstopped);
    entries.extend(scimesh.chain(backstopped).map(Entry::new));
    for round in 0..arguments.rounds {
        let dir = dir.join(format!("round-{round}"));
        asks.race(&dir, &mut entries, &arguments).await?;
    }
    let measured = arguments.rounds * arguments.turns * (arguments.requests + arguments.alone);
    ensure!(
        server.asked() >= measured as u64,
        "ext_authz was asked only {} times for {measured} requests",
        server.asked()
    );
    let base = figures(&entries, |c| matches!(c, Contestant::JwtAuthn))?;
    report::costs(&entries, base);
    report::budgets(&budgets(&entries, base)?);

    let mut traced = Vec::new();
    let filters = ["wasm that does nothing", "Scimesh"];
    let wasm = entries.iter().map(|entry| &entry.contestant);
    let wasm = wasm.filter(|c| matches!(c, Contestant::Noop | Contestant::Scimesh(_)));
    for (name, contestant) in filters.into_iter().zip(wasm) {
        let dir = dir.join(format!("trace-{}", traced.len()));
        traced.push((name, asks.trace(&dir, contestant).await?));
    }
    println!(
        "What one allowed request makes of calls, as Envoy's own trace (`--component-log-level wasm:trace`) has them:\n"
    );
    report::calls(&traced);

    for directory in &mut directories {
        directory.feeder.process()?.check()?;
        directory.feeder.stop().await?;
    }
    Ok(())
}

/// A contestant, and what was measured of it.
pub(crate) struct Entry<'a> {
    contestant: Contestant<'a>,
    figures: Figures,
}

impl<'a> Entry<'a> {
    fn new(contestant: Contestant<'a>) -> Entry<'a> {
        Entry {
            contestant,
            figures: Figures::default(),
        }
    }
}

/// What is asked of every proxy.
struct Asks<'a> {
    issuer: &'a Issuer,
    requests: &'a Requests,
}

impl<'a> Asks<'a> {
    /// Starts all proxies, then has them take turns, so that what else the machine does meets them all.
    async fn race(
        &self,
        dir: &Path,
        entries: &mut [Entry<'_>],
        arguments: &Arguments,
    ) -> Result<()> {
        let mut proxies = Vec::new();
        for (place, entry) in entries.iter().enumerate() {
            let dir = dir.join(place.to_string());
            let mut proxy = self.start(&dir, &entry.contestant, "info").await?;
            // Whatever is slow at first: connections, caches, memory.
            proxy.cpu(arguments.requests)?;
            proxies.push(proxy);
        }
        for _ in 0..arguments.turns {
            for (proxy, entry) in proxies.iter_mut().zip(entries.iter_mut()) {
                let cpu = proxy.cpu(arguments.requests)?;
                let latencies = proxy.latencies(arguments.alone)?;
                entry.figures.add(cpu, latencies);
            }
        }
        for proxy in proxies {
            proxy.end().await?;
        }
        Ok(())
    }

    /// What one request makes of calls.
    async fn trace(&self, dir: &Path, contestant: &Contestant<'_>) -> Result<Calls> {
        let mut proxy = self.start(dir, contestant, "trace").await?;
        proxy.latencies(1)?;
        calls::of_last_request(&proxy.end().await?)
    }

    async fn start(
        &self,
        dir: &Path,
        contestant: &Contestant<'_>,
        wasm_log_level: &str,
    ) -> Result<Proxy<'a>> {
        Proxy::start(dir, contestant, self.issuer, self.requests, wasm_log_level)
            .await
            .with_context(|| contestant.name())
    }
}

fn introduce(arguments: &Arguments) -> Result<()> {
    println!("## Decisions\n\n{}", machine::description()?);
    println!("Load of the machine before this: {}.\n", machine::load()?);
    println!(
        "Envoy with one worker, HTTP/1.1 on loopback; the client and all servers share the machine. The same request everywhere, by\n\
         {ASKERS} users in turn: GET /accounts/4711/refunds with seven headers and an ES256 token. The route answers by itself: what a\n\
         filter adds does not depend on what comes behind it, and an upstream would only add noise. jwt_authn with Envoy's cache of\n\
         verified tokens (100 of them, its default): without it, each request would pay for a signature's verification, the same for all.\n"
    );
    println!(
        "{} rounds, each with new processes, of {} turns each; in a turn each proxy answers {} requests, {LANES} under way at a time,\n\
         whose processor time (all of Envoy's threads, user and system) is counted, and then {} on one connection one by one,\n\
         whose latency is. Figures are medians over all turns; what is added is the median of the differences turn by turn.\n",
        arguments.rounds, arguments.turns, arguments.requests, arguments.alone
    );
    Ok(())
}

/// Scimesh's figures beside what they are held against.
fn budgets(entries: &[Entry<'_>], base: &Figures) -> Result<Vec<Budget>> {
    let cpu = |figures: &Figures| figures.cpu_over(base).median;
    let latency = |figures: &Figures| figures.latency_over(base).median;
    let lua = figures(entries, |c| matches!(c, Contestant::Lua))?;
    let noop = figures(entries, |c| matches!(c, Contestant::Noop))?;
    let ext_authz = figures(entries, |c| matches!(c, Contestant::ExtAuthz(_)))?;
    let mut budgets = Vec::new();
    let mut first = None;
    for entry in entries {
        let Contestant::Scimesh(directory) = entry.contestant else {
            continue;
        };
        let users = directory.users;
        let mut hold = |what, measured, limit: &str, at_most| {
            budgets.push(Budget {
                figure: format!("{what}, {users} users"),
                measured,
                limit: limit.to_owned(),
                at_most,
            });
        };
        let own = cpu(&entry.figures);
        hold("CPU added", own, "what Lua adds", cpu(lua));
        hold(
            "CPU added",
            own,
            "3 x wasm that does nothing",
            3.0 * cpu(noop),
        );
        if let Some((fewer, of_fewer)) = first {
            let limit = format!("{SAME} x that of {fewer} users");
            hold("CPU added", own, &limit, SAME * of_fewer);
        }
        first = first.or(Some((users, own)));
        let own = latency(&entry.figures);
        hold(
            "p50 added",
            own,
            "1/10 of what ext_authz adds",
            latency(ext_authz) / 10.0,
        );
    }
    Ok(budgets)
}

fn figures<'e>(
    entries: &'e [Entry<'_>],
    is: impl Fn(&Contestant<'_>) -> bool,
) -> Result<&'e Figures> {
    let entry = entries.iter().find(|entry| is(&entry.contestant));
    Ok(&entry.context("a contestant")?.figures)
}
