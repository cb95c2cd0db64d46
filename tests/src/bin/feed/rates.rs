//! How long a change takes to so many streams, and what that costs the feeder.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use scimesh_tests::budget::Budgets;
use scimesh_tests::envoy::Envoy;
use scimesh_tests::load::fleet::{Fleet, Shape};
use scimesh_tests::load::follower::Behaviour;
use scimesh_tests::load::timeline::Deliveries;
use scimesh_tests::sample::ms;
use tokio::task::block_in_place;

use crate::Arguments;
use crate::front;
use crate::stage::Stage;

/// For followers to begin, or to catch up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);

/// Connections that a sidecar has for all streams, or thereabouts.
const FEW: usize = 4;

/// How many of a hundred followers behave badly, and how.
const BAD: [(usize, Behaviour); 3] = [
    (0, Behaviour::Stall),
    (33, Behaviour::Mute),
    (66, Behaviour::Lag(Duration::from_secs(2))),
];

struct Figures {
    deliveries: Deliveries,
    took: Duration,
    cpu: Duration,
    memory: u64,
}

/// All numbers of streams, each with all numbers of scopes.
pub(crate) async fn measure(
    stage: &mut Stage,
    arguments: &Arguments,
    budgets: &mut Budgets,
) -> Result<()> {
    println!(
        "\n### Changes to streams, {} a second for {} s\n",
        arguments.rate, arguments.seconds
    );
    title();
    for scopes in &arguments.scopes {
        for streams in &arguments.streams {
            let figures = Run::new(arguments, *streams, *scopes).on(stage).await?;
            print(&format!("{streams} streams, {scopes} scopes"), &figures);
            let name = format!("{streams} streams, {scopes} scopes");
            let deliveries = &figures.deliveries;
            if *streams == 2000 {
                let slowest = deliveries.after_answer.percentile(100);
                budgets.hold(
                    &format!("slowest ack, {name}"),
                    millis(slowest),
                    500.0,
                    "ms",
                );
            }
            if *streams >= 1000 {
                let each = figures.memory as f64 / *streams as f64 / 1024.0;
                budgets.hold(
                    &format!("feeder memory a stream, {name}"),
                    each,
                    40.0,
                    "KiB",
                );
            }
            let p99 = millis(deliveries.after_answer.percentile(99));
            budgets.tell(&format!("SCIM answer to ack, p99, {name}"), p99, "ms");
        }
    }
    Ok(())
}

/// Three of a hundred followers read nothing, ack nothing, or ack late: do the others notice?
pub(crate) async fn bad_readers(
    stage: &mut Stage,
    dir: &Path,
    arguments: &Arguments,
    budgets: &mut Budgets,
) -> Result<()> {
    let streams = arguments.streams.iter().copied().filter(|s| *s <= 2000);
    let streams = streams.max().unwrap_or(100).max(100);
    println!("\n### Stopped and slow readers among {streams} streams: the others\n");
    title();
    let run = |readers, connections| Run {
        readers,
        connections,
        ..Run::new(arguments, streams, 1)
    };
    let all = arguments.connections;
    let good = run(Readers::Good, all).on(stage).await?;
    print("all read", &good);
    let bad = run(Readers::SomeBad, all).on(stage).await?;
    print("1% stopped, 1% without acks, 1% with late ones", &bad);
    hold(
        budgets,
        &bad,
        &format!("slowest ack beside stopped readers, {streams} streams"),
    );
    let front = front::start(dir, stage.feeder.feed_address()).await?;
    let multiplexed = Run {
        feed: Some(front.address()),
        ..run(Readers::SomeBad, FEW)
    };
    let bad = multiplexed.on(stage).await?;
    print("the same, over 4 connections through one Envoy", &bad);
    hold(
        budgets,
        &bad,
        &format!("the same through one Envoy, {streams} streams"),
    );
    end(front).await
}

fn hold(budgets: &mut Budgets, figures: &Figures, name: &str) {
    let slowest = figures.deliveries.after_answer.percentile(100);
    budgets.hold(name, millis(slowest), 500.0, "ms");
}

async fn end(mut front: Envoy) -> Result<()> {
    front.process().check()?;
    front.stop().await
}

/// One measurement.
#[derive(Clone, Copy)]
struct Run<'a> {
    arguments: &'a Arguments,
    streams: usize,
    scopes: usize,
    connections: usize,
    readers: Readers,
    /// Where streams are opened, if not at the feeder itself.
    feed: Option<SocketAddr>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Readers {
    Good,
    SomeBad,
}

impl<'a> Run<'a> {
    fn new(arguments: &'a Arguments, streams: usize, scopes: usize) -> Run<'a> {
        Run {
            arguments,
            streams,
            scopes,
            connections: arguments.connections,
            readers: Readers::Good,
            feed: None,
        }
    }

    async fn on(self, stage: &mut Stage) -> Result<Figures> {
        stage.restart().await?;
        let arguments = self.arguments;
        let scopes = stage.scopes(self.scopes, false)?;
        let shape = Shape {
            streams: self.streams,
            connections: self.connections.min(self.streams),
            ..Shape::default()
        };
        let feed = self.feed.unwrap_or(stage.feeder.feed_address());
        // One of each scope first: what a scope takes is not the streams'.
        let first = Shape {
            streams: scopes.all.len().min(self.streams),
            connections: 1,
            ..shape.clone()
        };
        let start = Instant::now();
        let warm = Fleet::start(feed, &first, &scopes.all)?;
        warm.current(start, PATIENCE).await?;
        let before = stage.feeder.process()?.resident()?;
        let fleet = Fleet::start(feed, &shape, &scopes.all)?;
        fleet.current(start, PATIENCE).await?;
        let memory = stage.feeder.process()?.resident()?.saturating_sub(before);
        drop(warm);
        if self.readers == Readers::SomeBad {
            for (place, follower) in fleet.followers().iter().enumerate() {
                if let Some((_, behaviour)) = BAD.iter().find(|(turn, _)| place % 100 == *turn) {
                    follower.behave(*behaviour);
                }
            }
        }
        fleet
            .followers()
            .iter()
            .for_each(|follower| follower.note(true));
        let mut timeline = stage.timeline().await?;
        let time = Duration::from_secs(arguments.seconds);
        let cpu = stage.feeder.process()?.cpu_ticks()?;
        let began = Instant::now();
        block_in_place(|| stage.churn(&scopes, arguments.rate, time, &mut timeline))?;
        fleet
            .reached(
                |follower| timeline.newest_of(follower.identity().scope),
                PATIENCE,
            )
            .await?;
        let took = began.elapsed();
        let cpu = stage.feeder.process()?.cpu_ticks()?.saturating_sub(cpu);
        stage.check(&timeline).await?;
        fleet.check()?;
        let deliveries = timeline.deliveries(&fleet);
        ensure!(
            deliveries.delivered == deliveries.expected,
            "{} changes reached a stream, not {}",
            deliveries.delivered,
            deliveries.expected
        );
        Ok(Figures {
            deliveries,
            took,
            cpu,
            memory,
        })
    }
}

fn title() {
    println!(
        "| {:<46} | p50      | p99      | slowest  | of SCIM request: p99 | delivered/s | changes an update | feeder's CPU | CPU a delivery | KiB a stream |",
        "from the SCIM answer to the ack"
    );
    println!(
        "|:{:-<46}-|---------:|---------:|---------:|---------------------:|------------:|------------------:|-------------:|---------------:|-------------:|",
        ""
    );
}

fn print(name: &str, figures: &Figures) {
    let deliveries = &figures.deliveries;
    let (answer, request) = (&deliveries.after_answer, &deliveries.after_request);
    let seconds = figures.took.as_secs_f64();
    let delivered = deliveries.delivered as f64;
    let streams = deliveries.streams.max(1) as f64;
    println!(
        "| {name:<46} | {:>8} | {:>8} | {:>8} | {:>20} | {:>11.0} | {:>17.2} | {:>10.0} % | {:>11.1} µs | {:>12.1} |",
        ms(answer.percentile(50)),
        ms(answer.percentile(99)),
        ms(answer.percentile(100)),
        ms(request.percentile(99)),
        delivered / seconds,
        delivered / deliveries.updates.max(1) as f64,
        figures.cpu.as_secs_f64() / seconds * 100.0,
        figures.cpu.as_secs_f64() * 1e6 / delivered.max(1.0),
        figures.memory as f64 / streams / 1024.0,
    );
}

pub(crate) fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
