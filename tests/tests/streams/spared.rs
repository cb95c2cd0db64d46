//! What is never ended: what nobody's standing had let in.

use anyhow::{Result, ensure};
use scimesh_tests::eventually::eventually;
use scimesh_tests::mesh::{PATIENCE, with};
use serde_json::json;

use crate::world::{World, all_flow, streams_policy};

#[tokio::test(flavor = "multi_thread")]
async fn a_shadow_policy_ends_nothing() -> Result<()> {
    let world = World::start(&with(streams_policy(), "mode", json!("SHADOW"))).await?;
    let mut lanes = world.open(&world.alice).await?;
    let scim = &world.mesh.acme.scim;
    scim.remove_member(&world.payments, &world.alice.id).await?;
    let token = Some(world.alice.token.as_str());
    // A worker that still knows her would allow what it is asked, and count that.
    eventually("every worker to know", PATIENCE, async || {
        let decided = ["requests_total", "rule=.=streams"];
        let allowed = [&decided[..], &["decision=.=allow"]].concat();
        // Counts come a little later, with ticks.
        let all = world.settled(&decided).await?;
        let before = world.counted(&allowed).await?;
        let asked = world.mesh.get_everywhere("/any", token).await?.len();
        world.await_count(&decided, all as usize + asked).await?;
        let counted = world.counted(&allowed).await? - before;
        ensure!(counted == 0, "{counted} would be allowed");
        Ok(())
    })
    .await?;
    assert!(world.counted(&["requests_total", "shadow_deny"]).await? > 0);
    all_flow(&mut lanes).await?;
    assert_eq!(world.counted(&["cut_requests_total"]).await?, 0);
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_public_stays_open_and_so_does_what_a_shadow_rule_alone_would_refuse() -> Result<()>
{
    let rules = json!([
        { "name": "tried", "to": [{ "paths": ["/{**}"] }], "require": { "anyOf": ["group:payments"] }, "mode": "SHADOW" },
        { "name": "any", "to": [{ "paths": ["/any"] }], "require": { "anyOf": ["group:payments"] } },
        { "name": "stream", "to": [{ "paths": ["/stream"] }], "allow": "PUBLIC" },
        { "name": "rest", "to": [{ "paths": ["/{**}"] }], "require": { "anyOf": ["active"] } },
    ]);
    let policy = with(streams_policy(), "rules", rules);
    let world = World::start(&with(policy, "maxStaleness", json!("5s"))).await?;
    let mut lanes = world.open(&world.alice).await?;
    let scim = &world.mesh.acme.scim;
    scim.remove_member(&world.payments, &world.alice.id).await?;
    let token = Some(world.alice.token.as_str());
    world.mesh.await_status("/any", token, 403).await?;
    all_flow(&mut lanes).await?;
    assert_eq!(world.counted(&["cut_requests_total"]).await?, 0);
    world.end().await
}
