//! A tenant that its operator has frozen, in front of the real Envoy: who was in stays in, whatever the identity provider pushes, until it is unfrozen.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use scimesh_tests::envoy::filter_config;
use scimesh_tests::eventually::eventually;
use scimesh_tests::mesh::{Mesh, PATIENCE, Plan, payments_policy, with};
use serde_json::{Value, json};

/// The shortest lease that a policy may ask for.
const LEASE: Duration = Duration::from_secs(5);

/// For longer than any lease that began before, every worker answers this.
async fn goes_on(mesh: &Mesh, token: &str, status: u16) -> Result<()> {
    let start = Instant::now();
    while start.elapsed() < LEASE + LEASE / 2 {
        mesh.expect("/payments", Some(token), status).await?;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_pushed_to_a_frozen_tenant_waits_until_it_is_unfrozen() -> Result<()> {
    let policy = with(payments_policy(), "maxStaleness", json!("5s"));
    let mut mesh = Plan::new(&policy).discovered().start().await?;
    let alice = mesh.acme.scim.create_user("alice", "alice-0001").await?;
    let payments = mesh.acme.scim.create_group("payments", &[&alice]).await?;
    let token = mesh.acme.issuer.token("alice-0001")?;
    mesh.await_status("/payments", Some(&token), 200).await?;

    let frozen = mesh
        .feeder
        .run(&["freeze", "acme", "--output", "json"])
        .await?;
    let frozen: Value = serde_json::from_str(&frozen)?;
    // The removal is answered with 2xx, and stored.
    mesh.acme.scim.remove_member(&payments, &alice).await?;
    mesh.acme.scim.set_active(&alice, false).await?;
    let user = mesh.acme.scim.get(&format!("/Users/{alice}")).await?;
    assert_eq!(user["active"], false);
    // She still gets in, and for longer than her proxy could without word from the feeder.
    goes_on(&mesh, &token, 200).await?;
    let gauge = "scimesh_feeder_frozen_at_revision";
    let at = frozen["revision"].as_f64().unwrap_or_default();
    assert_eq!(mesh.feeder.metric(gauge).await?, at);
    let claims = json!({ "iss": mesh.acme.issuer.url(), "sub": "alice-0001" }).to_string();
    let explained = mesh.feeder.run(&["explain", "--claims", &claims]).await?;
    ensure!(explained.contains("FROZEN"), "{explained}");
    ensure!(explained.contains("alice"), "{explained}");

    mesh.feeder.stop().await?;
    mesh.feeder.start().await?;
    goes_on(&mesh, &token, 200).await?;
    // And by a proxy that has never heard of the tenant before.
    let before = mesh.envoy.stat("scimesh.config_reload").await?;
    mesh.envoy
        .update("2", &filter_config(&policy.to_string(), Some("2"))?)?;
    eventually("the update", PATIENCE, async || {
        ensure!(mesh.envoy.stat("scimesh.config_reload").await? > before);
        Ok(())
    })
    .await?;
    mesh.await_status("/payments", Some(&token), 200).await?;
    goes_on(&mesh, &token, 200).await?;

    let shown = mesh
        .feeder
        .command(&["unfreeze", "acme", "--output", "json"])
        .await?;
    assert_eq!(shown.code, Some(6), "{}", shown.stderr);
    let shown: Value = serde_json::from_str(&shown.stdout)?;
    let shift = |term: &str| {
        let terms = shown["terms"].as_array().into_iter().flatten();
        terms
            .filter(|shift| shift["term"] == term)
            .map(|shift| (shift["gain"].clone(), shift["lose"].clone()))
            .collect::<Vec<_>>()
    };
    assert_eq!(shift("group:payments"), [(json!(0), json!(1))], "{shown}");
    assert_eq!(shift("active"), [(json!(0), json!(1))], "{shown}");
    mesh.expect("/payments", Some(&token), 200).await?;

    let done = Instant::now();
    mesh.feeder.run(&["unfreeze", "acme", "--yes"]).await?;
    mesh.await_status("/payments", Some(&token), 403).await?;
    ensure!(done.elapsed() < LEASE, "after {:?}", done.elapsed());
    assert_eq!(mesh.feeder.metric(gauge).await?, 0.0);
    assert_eq!(
        mesh.feeder
            .metric("scimesh_feeder_feed_nacks_total")
            .await?,
        0.0
    );
    mesh.end().await
}
