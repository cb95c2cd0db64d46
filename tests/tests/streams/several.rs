//! Several filters have let a request in, and each may end it; or several at once.

use anyhow::{Result, ensure};
use futures::future::try_join_all;
use scimesh_tests::envoy::Envoy;
use scimesh_tests::eventually::eventually;
use scimesh_tests::mesh::{PATIENCE, Plan, policy, with};
use serde_json::{Value, json};

use crate::world::{World, all_cut, all_flow, streams_policy};

fn named(name: &str, group: &str) -> Value {
    let rules = json!([
        { "name": "streams", "to": [{ "paths": ["/{**}"] }], "require": { "anyOf": [group] } },
    ]);
    with(policy(rules), "name", json!(name))
}

#[tokio::test(flavor = "multi_thread")]
async fn each_of_two_filters_ends_what_it_would_refuse() -> Result<()> {
    let plan = Plan::new(&with(
        streams_policy(),
        "rules",
        json!([
            { "name": "all", "to": [{ "paths": ["/{**}"] }], "require": { "anyOf": ["active"] } },
        ]),
    ));
    let world = World::with(plan.and(&named("payments", "group:payments"))).await?;
    let mut alices = world.open(&world.alice).await?;
    let mut bobs = world.open(&world.bob).await?;
    let scim = &world.mesh.acme.scim;
    scim.remove_member(&world.payments, &world.alice.id).await?;
    all_cut(&mut alices).await?;
    all_flow(&mut bobs).await?;
    scim.set_active(&world.bob.id, false).await?;
    all_cut(&mut bobs).await?;
    world.end().await
}

/// One feed for both, so that both end it in the same tick.
#[tokio::test(flavor = "multi_thread")]
async fn what_two_filters_end_at_once_ends_once() -> Result<()> {
    let plan = Plan::new(&streams_policy()).and(&named("again", "group:payments"));
    let world = World::with(plan).await?;
    let mut alices = world.open(&world.alice).await?;
    let mut bobs = world.open(&world.bob).await?;
    let client = Envoy::fresh_connections()?;
    let asking = try_join_all((0..12).map(|_| {
        let request = client.get(world.mesh.envoy.url("/silence"));
        world.mesh.envoy.send(request, Some(&world.alice.token))
    }));
    let removing = async {
        let mut arrived = 0;
        eventually("the requests to arrive", PATIENCE, async || {
            let arrivals = world.mesh.upstream.take_arrivals();
            arrived += arrivals
                .iter()
                .filter(|line| line.contains("/silence"))
                .count();
            ensure!(arrived == 12, "{arrived}");
            Ok(())
        })
        .await?;
        let scim = &world.mesh.acme.scim;
        scim.remove_member(&world.payments, &world.alice.id).await
    };
    let (answers, removed) = tokio::join!(asking, removing);
    removed?;
    for answer in answers? {
        ensure!(answer.status == 403, "{}", answer.status);
    }
    all_cut(&mut alices).await?;
    all_flow(&mut bobs).await?;
    world.logged_cuts(alices.len() + 12).await?;
    world.end().await
}
