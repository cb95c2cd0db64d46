//! The largest directory that the feeder has to hold: its memory, and how long until it serves.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use scimesh_tests::budget::Budgets;
use scimesh_tests::load::fleet::{Fleet, Shape};
use scimesh_tests::load::staff::Plan;
use scimesh_tests::machine;
use scimesh_tests::sample::ms;

use crate::Arguments;
use crate::stage::Stage;

/// For a snapshot of everybody.
const PATIENCE: Duration = Duration::from_secs(300);

const GIB: f64 = 1073741824.0;

/// On a feeder of its own.
pub(crate) async fn measure(
    dir: &Path,
    arguments: &Arguments,
    budgets: &mut Budgets,
) -> Result<()> {
    let users = arguments.most_users;
    let plan = Plan {
        users,
        groups: (users / 50).max(100),
        memberships: users as usize * 20,
        seed: 1,
    };
    let start = Instant::now();
    let mut stage = Stage::set(dir, &plan).await?;
    let made = start.elapsed();
    let name = format!("{users} users, {} memberships", stage.staff.memberships());
    println!("\n### {name}\n");
    let database = machine::size(stage.feeder.data_dir())? as f64 / GIB;
    println!("Made in {}; the database has {database:.2} GiB.", ms(made));
    // What the installing has left in caches is there after any restart.
    let start = Instant::now();
    stage.restart().await?;
    let ready = start.elapsed().as_secs_f64();
    let process = stage.feeder.process()?;
    let (resident, peak) = (process.resident()? as f64, process.peak()? as f64);
    budgets.hold(&format!("ready after its start, {name}"), ready, 10.0, "s");
    budgets.hold(
        &format!("feeder's memory, {name}"),
        resident / GIB,
        2.0,
        "GiB",
    );
    budgets.hold(
        &format!("its peak while starting, {name}"),
        peak / GIB,
        2.0,
        "GiB",
    );

    let scopes = stage.scopes(1, true)?;
    let start = Instant::now();
    let fleet = Fleet::start(stage.feeder.feed_address(), &Shape::default(), &scopes.all)?;
    let current = fleet.current(start, PATIENCE).await?;
    let bytes = fleet.totals().bytes;
    println!(
        "The first stream has its snapshot of all active users after {}: {:.2} MiB.",
        ms(current - start),
        bytes as f64 / 1048576.0
    );
    let each = bytes as f64 / stage.staff.users.len() as f64;
    budgets.hold(
        &format!("snapshot on the wire, a subject, {name}"),
        each,
        16.0,
        "bytes",
    );
    let process = stage.feeder.process()?;
    let (resident, peak) = (process.resident()? as f64, process.peak()? as f64);
    budgets.hold(
        &format!("feeder's memory with a snapshot sent, {name}"),
        resident / GIB,
        2.0,
        "GiB",
    );
    budgets.hold(
        &format!("its peak meanwhile, {name}"),
        peak / GIB,
        2.0,
        "GiB",
    );
    drop(fleet);
    stage.feeder.stop().await
}
