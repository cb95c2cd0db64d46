//! The load tools themselves: simulated proxies hold, change by change and over the feeder's death, what the naive model says.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use scimesh_tests::feeder::Feeder;
use scimesh_tests::load::churn::Churn;
use scimesh_tests::load::content::{Content, binding};
use scimesh_tests::load::fleet::{Fleet, Shape};
use scimesh_tests::load::follower::Behaviour;
use scimesh_tests::load::idp::Idp;
use scimesh_tests::load::install::install;
use scimesh_tests::load::staff::{Plan, Staff};
use tokio::task::block_in_place;

const TENANT: &str = "corp";
const ISSUER: &str = "https://idp.corp.example";
const PATIENCE: Duration = Duration::from_secs(30);
const PLAN: Plan = Plan {
    users: 300,
    groups: 60,
    memberships: 3000,
    seed: 5,
};

async fn feeder(dir: &Path, staff: &Staff) -> Result<(Feeder, Idp)> {
    let mut feeder = Feeder::new(dir)?;
    install(staff, TENANT, ISSUER, feeder.data_dir()).await?;
    feeder.start().await?;
    let token = feeder.run(&["token", "create", "--tenant", TENANT]).await?;
    let idp = Idp::new(feeder.scim_address(), &token);
    Ok((feeder, idp))
}

fn shape(streams: usize, light: bool) -> Shape {
    Shape {
        streams,
        connections: 2,
        light,
        lease: Duration::from_secs(6),
        ..Shape::default()
    }
}

/// Everybody is current, and holds what the model says.
async fn agree(fleets: &[&Fleet], staff: &Staff) -> Result<()> {
    let start = Instant::now();
    for fleet in fleets {
        fleet.current(start, PATIENCE).await?;
        fleet.check()?;
    }
    let all = fleets.iter().flat_map(|fleet| fleet.followers());
    let key = all.clone().find_map(|follower| follower.seen().key.clone());
    let key = key.context("nobody has the key")?;
    for follower in all {
        let scope = follower.scope();
        let right = Content::of(staff, scope).digest(&key, scope, &[binding(ISSUER)]);
        let held = follower.seen().digest;
        ensure!(
            held == Some(right),
            "{:?} holds {held:?} where {right:?} is right",
            follower.identity()
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn simulated_proxies_hold_what_the_naive_model_says_whatever_happens() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut staff = Staff::new(&PLAN)?;
    let (mut feeder, mut idp) = feeder(dir.path(), &staff).await?;
    let scopes = [
        staff.scope(TENANT, &[0, 5, 9, 12], true)?,
        staff.scope(TENANT, &[1, 10, 15], false)?,
    ];
    let feed = feeder.feed_address();
    let whole = Fleet::start(feed, &shape(6, false), &scopes)?;
    let light = Fleet::start(feed, &shape(6, true), &scopes)?;
    agree(&[&whole, &light], &staff).await?;

    let mut churn = Churn::new(5);
    let bad = [
        Behaviour::Stall,
        Behaviour::Mute,
        Behaviour::Lag(Duration::from_millis(100)),
        Behaviour::Away,
    ];
    for turn in 0..4 {
        for (follower, behaviour) in light.followers().iter().zip(bad) {
            follower.behave(behaviour);
        }
        block_in_place(|| {
            (0..100).try_for_each(|_| {
                let change = churn.next(&staff);
                idp.push_through(&change, PATIENCE)?;
                staff.apply(&change)
            })
        })?;
        if turn == 1 {
            feeder.kill()?;
            feeder.start().await?;
        }
        for follower in light.followers() {
            follower.behave(Behaviour::Follow);
        }
        agree(&[&whole, &light], &staff).await?;
    }
    let totals = whole.totals();
    ensure!(totals.nacks == 0, "{totals:?}");
    drop((whole, light));
    feeder.stop().await
}
