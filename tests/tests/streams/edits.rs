//! A policy is edited while requests are open: they stay with the policy that let them in.

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use scimesh_tests::envoy::filter_config;
use scimesh_tests::eventually::eventually;
use scimesh_tests::mesh::{PATIENCE, Plan, policy, with};
use serde_json::{Value, json};

use crate::lane::Kind;
use crate::world::{World, all_cut, all_flow, streams_policy};

/// For nobody who is open.
fn edited() -> Value {
    policy(json!([
        { "name": "edited", "to": [{ "paths": ["/health"] }], "allow": "NOBODY" },
        { "name": "streams", "to": [{ "paths": ["/{**}"] }], "require": { "anyOf": ["group:audit"] } },
    ]))
}

async fn edit(resource: &str) -> Result<()> {
    let world = World::with(Plan::new(&streams_policy()).discovered()).await?;
    let mut alices = world.open(&world.alice).await?;
    let mut bobs = world.open(&world.bob).await?;
    let config = filter_config(&edited().to_string(), Some(resource))?;
    world.mesh.envoy.update("2", &config)?;
    world.mesh.await_status("/health", None, 403).await?;
    world
        .mesh
        .expect("/any", Some(&world.bob.token), 403)
        .await?;
    all_flow(&mut alices).await?;
    all_flow(&mut bobs).await?;
    // The old policy's content is still current.
    let scim = &world.mesh.acme.scim;
    scim.remove_member(&world.payments, &world.alice.id).await?;
    all_cut(&mut alices).await?;
    all_flow(&mut bobs).await?;
    // With its last request the old policy goes as well.
    scim.remove_member(&world.payments, &world.bob.id).await?;
    all_cut(&mut bobs).await?;
    scim.create_group("audit", &[&world.bob.id]).await?;
    let token = Some(world.bob.token.as_str());
    world.mesh.await_status("/any", token, 200).await?;
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn in_the_same_vm_the_old_policy_goes_on_ending_what_it_let_in() -> Result<()> {
    edit("1").await
}

#[tokio::test(flavor = "multi_thread")]
async fn in_another_vm_the_old_policy_goes_on_ending_what_it_let_in() -> Result<()> {
    edit("2").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_was_held_first_ends_like_any_other() -> Result<()> {
    let hold = json!({ "timeout": "20s", "requests": 1024 });
    let patient = with(streams_policy(), "hold", hold);
    let mut world = World::with(Plan::new(&patient).discovered()).await?;
    world.mesh.feeder.process()?.pause()?;
    let reloads = world.mesh.envoy.stat("scimesh.config_reload").await?;
    let config = filter_config(&patient.to_string(), Some("2"))?;
    world.mesh.envoy.update("2", &config)?;
    eventually("the update", PATIENCE, async || {
        ensure!(world.mesh.envoy.stat("scimesh.config_reload").await? > reloads);
        Ok(())
    })
    .await?;
    let process = world.mesh.feeder.process()?.id();
    let opening = world.open_kind(Kind::Echo, &world.alice.token);
    let resuming = async {
        eventually("requests to be held", PATIENCE, async || {
            let active = world.mesh.envoy.stat("downstream_rq_active").await?;
            ensure!(active >= 12, "{active}");
            Ok(())
        })
        .await?;
        let arrived = world.mesh.upstream.take_arrivals();
        ensure!(
            !arrived.iter().any(|line| line.contains("/echo")),
            "none was held"
        );
        resume(process)
    };
    let (lanes, resumed) = tokio::join!(opening, resuming);
    resumed?;
    let mut lanes = lanes?;
    let scim = &world.mesh.acme.scim;
    scim.remove_member(&world.payments, &world.alice.id).await?;
    all_cut(&mut lanes).await?;
    world.end().await
}

/// SIGCONT, while others have a hold on the world.
fn resume(process: u32) -> Result<()> {
    let process = i32::try_from(process).ok().and_then(Pid::from_raw);
    Ok(kill_process(
        process.context("a process id")?,
        Signal::CONT,
    )?)
}
