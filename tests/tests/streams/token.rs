//! A token expires while what it let in is open.

use anyhow::{Result, ensure};
use scimesh_tests::mesh::with;
use serde_json::{Value, json};

use crate::lane::Kind;
use crate::world::{World, all_cut, all_flow, now, streams_policy, until};

/// Expects that what this token opens is cut when the clock says `end`, and no earlier.
async fn cut_at(policy: &Value, claims: Value, end: u64) -> Result<()> {
    let world = World::start(policy).await?;
    let mut others = world.open_kind(Kind::Served, &world.alice.token).await?;
    let mut all = json!({ "sub": "alice" });
    let shift = now()?;
    for (name, ahead) in claims.as_object().into_iter().flatten() {
        let at = shift as i64 + ahead.as_i64().unwrap_or_default();
        all = with(all, name, json!(at));
    }
    let end = shift + end;
    let token = world.mesh.acme.issuer.token_with(all)?;
    let mut lanes = world.open_kind(Kind::Served, &token).await?;
    lanes.extend(world.open_kind(Kind::Echo, &token).await?);
    while now()? + 1 < end {
        all_flow(&mut lanes).await?;
    }
    all_cut(&mut lanes).await?;
    ensure!(now()? >= end, "too early");
    ensure!(now()? <= end + 1, "too late");
    for line in world.logged_cuts(lanes.len()).await? {
        assert_eq!(line.get("reason"), "token_expired");
    }
    all_flow(&mut others).await?;
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_open_ends_when_its_token_expires() -> Result<()> {
    cut_at(&streams_policy(), json!({ "exp": 8 }), 8).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_was_let_in_a_little_late_has_its_minute() -> Result<()> {
    cut_at(&streams_policy(), json!({ "exp": -50 }), 10).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_open_ends_when_its_token_is_too_old_for_the_rule() -> Result<()> {
    let mut policy = streams_policy();
    policy["rules"][1]["maxTokenAge"] = json!("1h");
    cut_at(&policy, json!({ "iat": 8 - 3600 }), 8).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_may_let_streams_outlive_their_tokens() -> Result<()> {
    let policy = with(streams_policy(), "cutAtExpiry", json!(false));
    let world = World::start(&policy).await?;
    let end = now()? + 5;
    let claims = json!({ "sub": "alice", "exp": end });
    let token = world.mesh.acme.issuer.token_with(claims)?;
    let mut lanes = world.open_kind(Kind::Echo, &token).await?;
    until(end + 2).await?;
    all_flow(&mut lanes).await?;
    // But not their user's leaving.
    let scim = &world.mesh.acme.scim;
    scim.remove_member(&world.payments, &world.alice.id).await?;
    all_cut(&mut lanes).await?;
    world.end().await
}
