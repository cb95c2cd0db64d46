//! The feeder is killed, and everybody comes back at once.

use std::time::{Duration, Instant};

use anyhow::Result;
use scimesh_tests::budget::Budgets;
use scimesh_tests::load::fleet::{Fleet, Shape};
use scimesh_tests::load::follower::Behaviour;
use scimesh_tests::sample::ms;
use tokio::task::block_in_place;

use crate::Arguments;
use crate::rates::{PATIENCE, millis};
use crate::stage::{Stage, start_feeder};

/// With as many streams as there are at most: once with what they hold, once as proxies that were restarted too.
pub(crate) async fn measure(
    stage: &mut Stage,
    arguments: &Arguments,
    budgets: &mut Budgets,
) -> Result<()> {
    let streams = arguments.streams.iter().copied().max().unwrap_or(1);
    let scopes = arguments.scopes.iter().copied().max().unwrap_or(1);
    println!(
        "\n### {streams} streams, {scopes} scopes, after SIGKILL of the feeder, with {} changes a second from its return on\n",
        arguments.rate
    );
    println!(
        "| {:<46} | feeder ready | all current, after the kill | after it was ready | sent, MiB | snapshots | feeder's memory, MiB | its peak |",
        "the streams come back"
    );
    println!(
        "|:{:-<46}-|-------------:|----------------------------:|-------------------:|----------:|----------:|---------------------:|---------:|",
        ""
    );
    for forget in [false, true] {
        let name = match forget {
            false => "with what they hold",
            true => "with nothing",
        };
        storm(stage, arguments, streams, scopes, (name, forget), budgets).await?;
    }
    Ok(())
}

async fn storm(
    stage: &mut Stage,
    arguments: &Arguments,
    streams: usize,
    scopes: usize,
    (name, forget): (&str, bool),
    budgets: &mut Budgets,
) -> Result<()> {
    stage.restart().await?;
    let scopes = stage.scopes(scopes, true)?;
    let shape = Shape {
        streams,
        connections: arguments.connections.min(streams),
        ..Shape::default()
    };
    let start = Instant::now();
    let fleet = Fleet::start(stage.feeder.feed_address(), &shape, &scopes.all)?;
    fleet.current(start, PATIENCE).await?;
    // Behind by some changes, not all by the same.
    for (place, follower) in fleet.followers().iter().enumerate() {
        if place % 2 == 0 {
            follower.behave(Behaviour::Stall);
        }
    }
    let mut timeline = stage.timeline().await?;
    block_in_place(|| (0..arguments.rate).try_for_each(|_| stage.change(&scopes, &mut timeline)))?;
    stage.feeder.kill()?;
    let killed = Instant::now();
    stage.idp.reconnect();
    let fleet = match forget {
        false => fleet,
        true => {
            drop(fleet);
            Fleet::start(stage.feeder.feed_address(), &shape, &scopes.all)?
        }
    };
    for follower in fleet.followers() {
        follower.behave(Behaviour::Follow);
    }
    let before = fleet.totals();
    start_feeder(&mut stage.feeder).await?;
    let ready = Instant::now();
    let stop = std::sync::atomic::AtomicBool::new(false);
    let current = async {
        let current = fleet.current(ready, PATIENCE).await;
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        current
    };
    let churn = async {
        while !stop.load(std::sync::atomic::Ordering::Relaxed) {
            block_in_place(|| stage.change(&scopes, &mut timeline))?;
            tokio::time::sleep(Duration::from_secs(1) / arguments.rate.max(1)).await;
        }
        anyhow::Ok(())
    };
    let (current, churned) = tokio::join!(current, churn);
    let current = current?;
    churned?;
    fleet.check()?;
    let after = fleet.totals();
    let process = stage.feeder.process()?;
    let mib = |bytes: u64| bytes as f64 / 1048576.0;
    let peak = mib(process.peak()?);
    let sent = mib(after.bytes - before.bytes);
    println!(
        "| {name:<46} | {:>12} | {:>27} | {:>18} | {sent:>9.1} | {:>9} | {:>20.0} | {peak:>8.0} |",
        ms(ready - killed),
        ms(current - killed),
        ms(current - ready),
        after.snapshots - before.snapshots,
        mib(process.resident()?),
    );
    let of = format!("{streams} streams that come back {name}");
    budgets.tell(
        &format!("all current after SIGKILL, {of}"),
        millis(current - killed),
        "ms",
    );
    budgets.tell(&format!("feeder's peak memory, {of}"), peak, "MiB");
    budgets.tell(&format!("sent, {of}"), sent, "MiB");
    drop(fleet);
    stage.check(&timeline).await
}
