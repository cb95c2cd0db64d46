//! `make bench-snapshot`: what a million users are on the wire and in a real Envoy, and what its requests notice of them.

mod asking;
mod callbacks;
mod world;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use scimesh_tests::budget::Budgets;
use scimesh_tests::envoy::{Envoy, WORKERS};
use scimesh_tests::eventually::eventually;
use scimesh_tests::exposition::sum;
use scimesh_tests::probe::{Probe, Question};
use scimesh_tests::sample::{Sample, ms};
use scimesh_tests::{artifact, machine};

use asking::Asking;
use world::{CLAIMS, Claims, World};

/// Users of the directory that tells what a proxy takes without any.
const NOBODY: u32 = 100;
/// The users that the budgets are for; with fewer, what is fixed weighs more.
const MILLION: u32 = 1_000_000;
/// For what a large directory takes.
const PATIENCE: Duration = Duration::from_secs(120);
/// How much more the processor time may be with more users and still count as the same.
const SAME: f64 = 1.1;

/// What a million users are on the wire and in a real Envoy, and what its requests notice of them
#[derive(Parser)]
struct Arguments {
    /// Numbers of users
    #[arg(long, value_delimiter = ',', default_values_t = [1000, 10_000, 100_000, 1_000_000])]
    users: Vec<u32>,
    /// Requests for the processor time of one, five times
    #[arg(long, default_value_t = 8000)]
    requests: usize,
    /// Seconds of requests while nothing else happens
    #[arg(long, default_value_t = 5)]
    seconds: u64,
}

/// What was measured with one number of users.
struct Figures {
    users: u32,
    wire: f64,
    document: f64,
    /// Bytes in one VM: the content, at rest and at most, and all of its memory, at first and at last.
    content: [u64; 2],
    memory: [u64; 2],
    /// VMs that have content.
    vms: u64,
    /// Bytes of the process, at rest and at most while content is replaced.
    resident: [u64; 2],
    cpu: Duration,
    applied: Duration,
    idle: Sample,
    during: Sample,
    callbacks: Sample,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    ensure!(
        arguments.users.iter().all(|users| *users >= NOBODY) && arguments.seconds > 0,
        "too little to say anything"
    );
    println!("## Snapshots\n\n{}", machine::description()?);
    println!(
        "A real Envoy with {WORKERS} workers. All users and sixteen groups in scope. Feeder and clients share these processors. Load of the machine before\n\
         this: {}.\n",
        machine::load()?
    );
    let dir = artifact::scratch()?;
    let nobody = measure(dir.path(), NOBODY, &arguments).await?;
    let mut all = Vec::new();
    for users in &arguments.users {
        all.push(measure(dir.path(), *users, &arguments).await?);
    }
    memory(&all, &nobody);
    requests(&all);
    budgets(&all, &nobody).print();
    Ok(())
}

async fn measure(dir: &Path, users: u32, arguments: &Arguments) -> Result<Figures> {
    let dir = dir.join(users.to_string());
    let mut world = World::new(&dir, users).await?;
    let mut envoy = world.envoy("info").await?;
    let requests: Result<Vec<_>> = (0..8)
        .map(|asker| world.request(asker, Claims::Both))
        .collect();
    let requests = requests?;
    let sent = world
        .feeder
        .metric("scimesh_feeder_feed_snapshots_sent_bytes_total")
        .await?;
    let snapshots = world
        .feeder
        .metric("scimesh_feeder_feed_snapshots_sent_total")
        .await?;
    let streams = world.feeder.metric("scimesh_feeder_feed_streams").await?;
    let vm = at_rest(&envoy, users).await?;
    let resident = envoy.resident()?;

    let mut cpu = Vec::new();
    for _ in 0..5 {
        cpu.push(asking::cpu(&mut envoy, &requests, arguments.requests)?);
    }
    let asking = Asking::start(&envoy, &requests)?;
    let from = Instant::now();
    tokio::time::sleep(Duration::from_secs(arguments.seconds)).await;
    let idle = asking.end(from, Instant::now())?;

    envoy.process().forget_peak()?;
    let asking = Asking::start(&envoy, &requests)?;
    let (applied, from, most) = replace(&world, &envoy).await?;
    let during = asking.end(from, from + applied)?;
    let after = at_rest(&envoy, users).await?;
    let peak = envoy.process().peak()?;
    end(envoy).await?;

    // In another proxy: the trace would be part of what is measured above.
    let [first, _] = CLAIMS;
    world.bind(first).await?;
    let traced = world.envoy("trace").await?;
    replace(&world, &traced).await?;
    let callbacks = callbacks::times(&end(traced).await?)?;

    let figures = Figures {
        users,
        wire: sent / snapshots.max(1.0) / f64::from(users),
        document: world.document()? as f64 / f64::from(users),
        content: [vm.content, most],
        memory: [vm.memory, after.memory],
        vms: streams as u64,
        resident: [resident, peak],
        cpu: Sample::new(cpu).percentile(50),
        applied,
        idle,
        during,
        callbacks,
    };
    world.feeder.stop().await?;
    std::fs::remove_dir_all(dir)?;
    Ok(figures)
}

/// Has all content replaced; gives how long it took until every worker decided by the new one, when that began, and the
/// most bytes that content took in a VM, on average over all of them.
async fn replace(world: &World, envoy: &Envoy) -> Result<(Duration, Instant, u64)> {
    let question = Question {
        method: "GET",
        path: "/accounts/4711",
        token: world.token(0, Claims::Other)?,
    };
    let probe = Probe::start(envoy, &question, 1).await?;
    let [_, other] = CLAIMS;
    let from = Instant::now();
    world.bind(other).await?;
    let watched = async {
        let mut most = 0;
        loop {
            most = most.max(gauges(envoy).await?.content);
            tokio::time::sleep(Duration::from_millis(20)).await;
            if probe.answers(200)? {
                return anyhow::Ok(most);
            }
        }
    };
    let most = tokio::time::timeout(PATIENCE, watched).await;
    let most = most.context("the new content did not come")??;
    let applied = probe.settled(200, from).await?;
    Ok((applied, from, most))
}

/// What the filter's gauges say of a VM, on average over all of them.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Gauges {
    memory: u64,
    content: u64,
}

async fn gauges(envoy: &Envoy) -> Result<Gauges> {
    let all = envoy.prometheus().await?;
    let sum = |name| sum(&all, name, &[]) as u64;
    let vms = sum("scimesh_vms").max(1);
    Ok(Gauges {
        memory: sum("scimesh_memory_bytes") / vms,
        content: sum("scimesh_content_bytes") / vms,
    })
}

/// The gauges as soon as they are of all content and no longer move: VMs add theirs in turn, ten times a second.
async fn at_rest(envoy: &Envoy, users: u32) -> Result<Gauges> {
    let mut last = Gauges::default();
    eventually("the filter's gauges to rest", PATIENCE, async || {
        tokio::time::sleep(Duration::from_millis(250)).await;
        let all = envoy.prometheus().await?;
        let entries = sum(&all, "scimesh_snapshot_entries", &[]);
        let vms = sum(&all, "scimesh_vms", &[]);
        ensure!(
            vms > 0.0 && entries == vms * f64::from(users),
            "{entries} entries in {vms} VMs"
        );
        let before = std::mem::replace(&mut last, gauges(envoy).await?);
        ensure!(last == before, "{before:?}, then {last:?}");
        Ok(last)
    })
    .await
}

async fn end(mut envoy: Envoy) -> Result<String> {
    envoy.process().check()?;
    envoy.stop().await?;
    let log = envoy.process().log();
    ensure!(!log.contains("panicked"), "the filter panicked");
    Ok(log)
}

fn memory(all: &[Figures], nobody: &Figures) {
    println!(
        "| bytes a subject | wire | JSON document | content in a VM | at most while replacing | VM's memory after | VMs | process | at most while replacing |"
    );
    println!(
        "|----------------:|-----:|--------------:|----------------:|------------------------:|------------------:|----:|--------:|------------------------:|"
    );
    for figures in all {
        let [content, most] = figures.content.map(|bytes| figures.each(bytes));
        let [resident, peak] = figures.resident_over(nobody);
        println!(
            "| {:>15} | {:>4.1} | {:>13.1} | {content:>15.1} | {most:>23.1} | {:>17.1} | {:>3} | {resident:>7.1} | {peak:>23.1} |",
            figures.users,
            figures.wire,
            figures.document,
            figures.memory_over(nobody),
            figures.vms,
        );
    }
    println!(
        "\nMemory of VM and process is what they have more than with {NOBODY} users; VMs are those of the process that have content.\n"
    );
}

fn requests(all: &[Figures]) {
    println!(
        "|   users | CPU a request | idle p50 | p99      | p99.9    | replaced in | meanwhile p50 | p99      | p99.9    | callbacks | p99.9    | longest  |"
    );
    println!(
        "|--------:|--------------:|---------:|---------:|---------:|------------:|--------------:|---------:|---------:|----------:|---------:|---------:|"
    );
    for figures in all {
        let [idle, during] = [&figures.idle, &figures.during]
            .map(|sample| [500, 990, 999].map(|rank| ms(sample.per_mille(rank))));
        let [idle50, idle99, idle999] = idle;
        let [during50, during99, during999] = during;
        println!(
            "| {:>7} | {:>10.1} µs | {idle50:>8} | {idle99:>8} | {idle999:>8} | {:>11} | {during50:>13} | {during99:>8} | {during999:>8} | {:>9} | {:>8} | {:>8} |",
            figures.users,
            figures.cpu.as_secs_f64() * 1e6,
            ms(figures.applied),
            figures.callbacks.len(),
            ms(figures.callbacks.per_mille(999)),
            ms(figures.callbacks.per_mille(1000)),
        );
    }
    println!(
        "\nCallbacks are those of the feed's messages and of ticks, in another Envoy, by its trace (`--component-log-level wasm:trace`), which is\n\
         written meanwhile: the truth is less.\n"
    );
}

fn budgets(all: &[Figures], nobody: &Figures) -> Budgets {
    let mut budgets = Budgets::default();
    let first = all.first().map(|figures| (figures.users, figures.cpu));
    for figures in all {
        let of = format!("{} users", figures.users);
        let mut hold = |name: &str, measured, at_most, unit| {
            let name = format!("{name}, {of}");
            match figures.users >= MILLION {
                true => budgets.hold(&name, measured, at_most, unit),
                false => budgets.tell(&name, measured, unit),
            }
        };
        let [content, most] = figures.content.map(|bytes| figures.each(bytes));
        let memory = figures.memory_over(nobody);
        hold(
            "snapshot on the wire, a subject",
            figures.wire,
            16.0,
            "bytes",
        );
        hold("content in a VM, a subject", content, 40.0, "bytes");
        hold("at most while replacing, a subject", most, 80.0, "bytes");
        hold("VM's memory after that, a subject", memory, 80.0, "bytes");
        let millis = |time: Duration| time.as_secs_f64() * 1e3;
        let [idle, during] = [&figures.idle, &figures.during].map(|s| millis(s.percentile(99)));
        hold(
            "request p99 while replacing, and 2 x that when idle",
            during,
            2.0 * idle,
            "ms",
        );
        hold(
            "callbacks p99.9",
            millis(figures.callbacks.per_mille(999)),
            2.0,
            "ms",
        );
        let micros = |time: Duration| time.as_secs_f64() * 1e6;
        if let Some((fewer, cpu)) = first
            && fewer != figures.users
        {
            let name = format!("CPU a request, {of}, and {SAME} x that of {fewer}");
            budgets.hold(&name, micros(figures.cpu), SAME * micros(cpu), "µs");
        }
        let longest = millis(figures.callbacks.percentile(100));
        budgets.tell(&format!("longest callback, {of}"), longest, "ms");
        budgets.tell(
            &format!("all content replaced, {of}"),
            millis(figures.applied),
            "ms",
        );
    }
    budgets
}

impl Figures {
    fn each(&self, bytes: u64) -> f64 {
        bytes as f64 / f64::from(self.users)
    }

    fn memory_over(&self, nobody: &Figures) -> f64 {
        let ([_, own], [_, base]) = (self.memory, nobody.memory);
        self.each(own.saturating_sub(base))
    }

    fn resident_over(&self, nobody: &Figures) -> [f64; 2] {
        let [base, _] = nobody.resident;
        self.resident
            .map(|bytes| self.each(bytes.saturating_sub(base)))
    }
}
