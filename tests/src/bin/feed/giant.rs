//! A group that is far larger than the others comes into another, is renamed, and goes: who else waits for that?

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use scimesh_tests::budget::Budgets;
use scimesh_tests::eventually::eventually;
use scimesh_tests::load::change::Change;
use scimesh_tests::load::content::{Content, binding};
use scimesh_tests::load::fleet::{Fleet, Shape};
use scimesh_tests::load::follower::Follower;
use scimesh_tests::load::idp::Idp;
use scimesh_tests::load::staff::{Plan, Staff};
use scimesh_tests::sample::{Sample, ms};
use tokio::task::block_in_place;

use crate::Arguments;
use crate::rates::{PATIENCE, millis};
use crate::stage::{ISSUER, Stage, TENANT};

/// Between two writes of those who are to notice nothing.
const PAUSE: Duration = Duration::from_millis(2);
/// For those writes before and after the large one, so that all that it delays is among them.
const MARGIN: Duration = Duration::from_millis(300);

/// On a feeder of its own.
pub(crate) async fn measure(
    dir: &Path,
    arguments: &Arguments,
    budgets: &mut Budgets,
) -> Result<()> {
    let members = arguments.giant;
    println!("\n### A group of {members} users\n");
    let plan = Plan {
        users: members * 2,
        groups: 100,
        memberships: members as usize * 2,
        seed: 1,
    };
    let mut staff = Staff::new(&plan)?;
    let giant = staff.found("giant", (0..members).collect());
    let outer = staff.found("outer", BTreeSet::new());
    // Of no group that is large: whom the revocations are about, and whom those meanwhile.
    let small = staff.found("small", (0..100).collect());
    let other = staff.found("other", BTreeSet::new());
    let mut stage = Stage::with(dir, staff).await?;
    let scope = stage.staff.scope(TENANT, &[outer, giant, small], false)?;
    let shape = Shape {
        light: false,
        ..Shape::default()
    };
    let start = Instant::now();
    let fleet = Fleet::start(stage.feeder.feed_address(), &shape, &[scope])?;
    fleet.current(start, PATIENCE).await?;
    let follower = fleet.followers().first().context("a follower")?;
    follower.note(true);

    println!(
        "| {:<24} | its own answer | other writes: p50 | p99      | slowest  | a revocation right after: answered | at the proxy |",
        "the group is"
    );
    println!(
        "|:{:-<24}-|---------------:|------------------:|---------:|---------:|-----------------------------------:|-------------:|",
        ""
    );
    let name = "giant, renamed".to_owned();
    let changes = [
        (
            "nested into another",
            Change::Nest {
                outer,
                inner: giant,
            },
        ),
        ("renamed", Change::Rename { group: giant, name }),
        (
            "taken out again",
            Change::Unnest {
                outer,
                inner: giant,
            },
        ),
        (
            "nested once more",
            Change::Nest {
                outer,
                inner: giant,
            },
        ),
        ("deleted", Change::Dissolve { group: giant }),
    ];
    for (turn, (name, change)) in (0..).zip(changes) {
        let done = AtomicBool::new(false);
        let token = stage.idp.token().to_owned();
        let address = stage.feeder.scim_address();
        let outcome = block_in_place(|| {
            std::thread::scope(|scope| {
                let others = scope.spawn(|| -> Result<Vec<Duration>> {
                    let mut idp = Idp::new(address, &token);
                    let mut times = Vec::new();
                    while !done.load(Ordering::Relaxed) {
                        for change in [
                            Change::Join {
                                group: other,
                                user: members,
                            },
                            Change::Part {
                                group: other,
                                user: members,
                            },
                        ] {
                            let pushed = idp.push(&change)?;
                            times.push(pushed.received - pushed.sent);
                            std::thread::sleep(PAUSE);
                        }
                    }
                    Ok(times)
                });
                std::thread::sleep(MARGIN);
                let pushed = stage.idp.push(&change);
                let revoke = Change::Part {
                    group: small,
                    user: turn,
                };
                let revoked = stage.idp.push(&revoke);
                std::thread::sleep(MARGIN);
                done.store(true, Ordering::Relaxed);
                let times = others.join().unwrap_or_else(|_| Ok(Vec::new()));
                anyhow::Ok((pushed?, revoked?, times?))
            })
        });
        let (pushed, revoked, times) = outcome?;
        stage.staff.apply(&change)?;
        stage.staff.apply(&Change::Part {
            group: small,
            user: turn,
        })?;
        let at = arrival(follower, &stage.staff).await?;
        let times = Sample::new(times);
        let slowest = times.percentile(100);
        let arrived = at.saturating_duration_since(revoked.received);
        println!(
            "| {name:<24} | {:>14} | {:>17} | {:>8} | {:>8} | {:>34} | {:>12} |",
            ms(pushed.received - pushed.sent),
            ms(times.percentile(50)),
            ms(times.percentile(99)),
            ms(slowest),
            ms(revoked.received - revoked.sent),
            ms(arrived)
        );
        let of = format!("a group of {members} is {name}");
        budgets.hold(
            &format!("slowest other SCIM write while {of}"),
            millis(slowest),
            50.0,
            "ms",
        );
        budgets.hold(
            &format!("revocation at a proxy after {of}"),
            millis(arrived),
            500.0,
            "ms",
        );
    }
    fleet.check()?;
    stage.feeder.stop().await
}

/// When the follower had what its scope has at `staff`, by the digest: others' writes do not concern it.
async fn arrival(follower: &Follower, staff: &Staff) -> Result<Instant> {
    let key = follower.seen().key.clone().context("a key")?;
    let scope = follower.scope();
    let wanted = Content::of(staff, scope).digest(&key, scope, &[binding(ISSUER)]);
    eventually("the revocation to arrive", PATIENCE, async || {
        let seen = follower.seen();
        let mut deliveries = seen.deliveries.iter();
        let arrived = deliveries.find(|delivery| delivery.digest == Some(wanted));
        Ok(arrived.context("other content")?.at)
    })
    .await
}
