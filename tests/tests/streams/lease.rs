//! The filter does not hear that what it knows is current.

use std::time::{Duration, Instant};

use anyhow::Result;
use scimesh_tests::eventually::eventually;
use scimesh_tests::mesh::{PATIENCE, with};
use serde_json::{Value, json};

use crate::lane::Kind;
use crate::world::{World, all_cut, all_flow, streams_policy};

/// The shortest lease that a policy may ask for.
const LEASE: Duration = Duration::from_secs(5);

fn short_lease() -> Value {
    with(streams_policy(), "maxStaleness", json!("5s"))
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_feeder_is_silent_all_that_is_open_ends_one_by_one_before_the_lease_does()
-> Result<()> {
    let mut world = World::start(&short_lease()).await?;
    let mut lanes = world.open_kind(Kind::Served, &world.alice.token).await?;
    lanes.extend(world.open_kind(Kind::Echo, &world.bob.token).await?);
    world.mesh.feeder.process()?.pause()?;
    // No ping has been answered since.
    let stopped = Instant::now();
    let mut cuts = all_cut(&mut lanes).await?;
    cuts.sort();
    let (Some(first), Some(last)) = (cuts.first(), cuts.last()) else {
        anyhow::bail!("nothing was open");
    };
    println!("from {:?} to {:?}", *first - stopped, *last - stopped);
    assert!(*last - stopped < LEASE, "{:?}", *last - stopped);
    assert!(*last - *first > Duration::from_millis(300), "all at once");
    for line in world.logged_cuts(lanes.len()).await? {
        assert_eq!(line.get("reason"), "lease_ended");
    }
    world.mesh.feeder.process()?.resume()?;
    let token = Some(world.alice.token.as_str());
    world.mesh.await_status("/any", token, 200).await?;
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_open_outlasts_many_leases_while_the_feeder_answers() -> Result<()> {
    let world = World::start(&short_lease()).await?;
    let mut lanes = world.open(&world.alice).await?;
    let opened = Instant::now();
    while opened.elapsed() < 2 * LEASE {
        all_flow(&mut lanes).await?;
    }
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_envoy_that_stood_still_ends_what_was_open_with_its_first_tick() -> Result<()> {
    let mut world = World::start(&short_lease()).await?;
    let mut lanes = world.open_kind(Kind::Served, &world.alice.token).await?;
    world.mesh.envoy.process().pause()?;
    let stopped = Instant::now();
    eventually("the lease to be over", PATIENCE, async || {
        anyhow::ensure!(stopped.elapsed() > LEASE);
        Ok(())
    })
    .await?;
    world.mesh.envoy.process().resume()?;
    all_cut(&mut lanes).await?;
    for line in world.logged_cuts(lanes.len()).await? {
        assert_eq!(line.get("reason"), "lease_ended");
    }
    let token = Some(world.alice.token.as_str());
    world.mesh.await_status("/any", token, 200).await?;
    world.end().await
}
