//! What the directory says of a user changes.

use anyhow::Result;
use scimesh_tests::mesh::with;
use serde_json::json;

use crate::world::{World, all_cut, all_flow, streams_policy};

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_the_group_loses_what_is_open_and_nobody_else_does() -> Result<()> {
    let world = World::start(&streams_policy()).await?;
    let mut alices = world.open(&world.alice).await?;
    let mut bobs = world.open(&world.bob).await?;
    let scim = &world.mesh.acme.scim;
    scim.remove_member(&world.payments, &world.alice.id).await?;
    all_cut(&mut alices).await?;
    all_flow(&mut bobs).await?;
    for line in world.logged_cuts(alices.len()).await? {
        assert_eq!(line.get("reason"), "unknown_subject");
    }
    let cuts = ["cut_requests_total", "unknown_subject", "rule=.=streams"];
    world.await_count(&cuts, alices.len()).await?;
    all_flow(&mut bobs).await?;
    // What has ended is not remembered.
    world.await_count(&["open_requests"], bobs.len()).await?;
    drop((alices, bobs));
    world.await_count(&["open_requests"], 0).await?;
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deactivated_user_loses_what_is_open() -> Result<()> {
    let world = World::start(&streams_policy()).await?;
    let mut alices = world.open(&world.alice).await?;
    let mut bobs = world.open(&world.bob).await?;
    let scim = &world.mesh.acme.scim;
    scim.set_active(&world.alice.id, false).await?;
    all_cut(&mut alices).await?;
    all_flow(&mut bobs).await?;
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_leaves_the_group_takes_its_members_along() -> Result<()> {
    let world = World::start(&streams_policy()).await?;
    let scim = &world.mesh.acme.scim;
    let team = scim.create_group("team", &[&world.alice.id]).await?;
    scim.add_member(&world.payments, &team).await?;
    scim.remove_member(&world.payments, &world.alice.id).await?;
    // She is still in it, by the team.
    let mut alices = world.open(&world.alice).await?;
    let mut bobs = world.open(&world.bob).await?;
    scim.remove_member(&world.payments, &team).await?;
    all_cut(&mut alices).await?;
    all_flow(&mut bobs).await?;
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_group_still_admits_stays_open() -> Result<()> {
    let either = json!({ "anyOf": ["group:payments", "group:audit"] });
    let rules = json!([{ "name": "streams", "to": [{ "paths": ["/{**}"] }], "require": either }]);
    let world = World::start(&with(streams_policy(), "rules", rules)).await?;
    let scim = &world.mesh.acme.scim;
    let audit = scim.create_group("audit", &[&world.alice.id]).await?;
    let mut alices = world.open(&world.alice).await?;
    let mut bobs = world.open(&world.bob).await?;
    scim.remove_member(&world.payments, &world.alice.id).await?;
    scim.remove_member(&world.payments, &world.bob.id).await?;
    all_cut(&mut bobs).await?;
    all_flow(&mut alices).await?;
    scim.remove_member(&audit, &world.alice.id).await?;
    all_cut(&mut alices).await?;
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_is_called_otherwise_admits_nobody_any_more() -> Result<()> {
    let rules = json!([
        { "name": "known", "to": [{ "paths": ["/stream"] }], "require": { "anyOf": ["active"] } },
        { "name": "streams", "to": [{ "paths": ["/{**}"] }], "require": { "anyOf": ["group:payments"] } },
    ]);
    let world = World::start(&with(streams_policy(), "rules", rules)).await?;
    let open = |kind| world.open_kind(kind, &world.alice.token);
    let mut spared = open(crate::lane::Kind::Served).await?;
    let mut members = open(crate::lane::Kind::Echo).await?;
    let rename = json!([{ "op": "replace", "path": "displayName", "value": "billing" }]);
    let group = format!("/Groups/{}", world.payments);
    world.mesh.acme.scim.patch(&group, rename).await?;
    all_cut(&mut members).await?;
    for line in world.logged_cuts(members.len()).await? {
        assert_eq!(line.get("reason"), "not_permitted");
    }
    all_flow(&mut spared).await?;
    world.end().await
}
