//! What a filter does while no feeder can be heard: it goes on for as long as its lease, and never longer.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use scimesh_tests::envoy::{Envoy, filter_config};
use scimesh_tests::eventually::eventually;
use scimesh_tests::mesh::{Mesh, PATIENCE, Plan, payments_policy};
use serde_json::json;

/// The shortest lease that a policy may ask for.
const LEASE: Duration = Duration::from_secs(5);

/// Of the feeder's metrics, since its start.
const SNAPSHOTS: &str = "scimesh_feeder_feed_snapshots_sent_total";
const DELTAS: &str = "scimesh_feeder_feed_deltas_sent_total";

#[tokio::test(flavor = "multi_thread")]
async fn the_lease_outlives_the_feeder_and_a_restart_resumes_with_a_delta() -> Result<()> {
    let mut policy = payments_policy();
    policy["maxStaleness"] = json!("5s");
    let mut mesh = Mesh::start(&policy).await?;
    let alice = mesh.acme.scim.create_user("alice", "alice-0001").await?;
    let bob = mesh.acme.scim.create_user("bob", "bob-0001").await?;
    let payments = mesh
        .acme
        .scim
        .create_group("payments", &[&alice, &bob])
        .await?;
    let token = mesh.acme.issuer.token("alice-0001")?;
    mesh.await_status("/payments", Some(&token), 200).await?;
    mesh.feeder.kill()?;
    let killed = Instant::now();
    mesh.expect("/payments", Some(&token), 200).await?;
    // Each connection is a new one, so both workers are asked; nothing sent after the lease's end is allowed.
    let mut refused_in_a_row = 0;
    let client = Envoy::fresh_connections()?;
    let mut last_allowed = killed;
    while refused_in_a_row < 30 {
        let sent = Instant::now();
        ensure!(sent - killed < LEASE + PATIENCE, "the lease never ends");
        let answer = mesh
            .envoy
            .send(client.get(mesh.envoy.url("/payments")), Some(&token))
            .await?;
        if answer.status == 200 {
            last_allowed = sent;
            refused_in_a_row = 0;
        } else {
            assert_eq!(answer.status, 503, "{}", answer.body);
            assert_eq!(answer.reason().as_deref(), Some("lease_ended"));
            refused_in_a_row += 1;
        }
    }
    let served = last_allowed - killed;
    assert!(
        served <= LEASE,
        "still allowed {served:?} after the feeder's end"
    );
    // A ping every third of the lease: at least half of it was left when the feeder died.
    assert!(served >= LEASE / 2, "allowed for only {served:?}");
    mesh.expect("/health", None, 200).await?;

    mesh.feeder.start().await?;
    mesh.acme.scim.remove_member(&payments, &bob).await?;
    mesh.await_status("/payments", Some(&token), 200).await?;
    mesh.await_status("/payments", Some(&mesh.acme.issuer.token("bob-0001")?), 403)
        .await?;
    assert_eq!(mesh.feeder.metric(SNAPSHOTS).await?, 0.0);
    assert!(mesh.feeder.metric(DELTAS).await? >= 1.0);
    mesh.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_envoy_that_starts_before_the_feeder_refuses_and_then_serves() -> Result<()> {
    let mut policy = payments_policy();
    policy["hold"] = json!({ "timeout": "100ms", "requests": 256 });
    let mut mesh = Plan::new(&policy).feeder_stopped().start().await?;
    let token = mesh.acme.issuer.token("alice-0001")?;
    let refusal = mesh.expect("/other", Some(&token), 503).await?;
    assert_eq!(refusal.reason().as_deref(), Some("no_snapshot"));
    mesh.expect("/health", None, 200).await?;
    let arrivals = mesh.upstream.take_arrivals();
    assert!(arrivals.iter().all(|arrival| arrival == "GET /health"));

    mesh.feeder.start().await?;
    mesh.acme.scim.create_user("alice", "alice-0001").await?;
    mesh.await_status("/other", Some(&token), 200).await?;
    mesh.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_before_the_first_snapshot_is_held_and_then_decided() -> Result<()> {
    let mut policy = payments_policy();
    policy["hold"] = json!({ "timeout": "20s", "requests": 2 });
    let mut mesh = Plan::new(&policy).feeder_stopped().start().await?;
    let token = mesh.acme.issuer.token("alice-0001")?;

    // Two workers hold two each; of so many requests the others are refused at once.
    let client = Envoy::fresh_connections()?;
    let mut requests = tokio::task::JoinSet::new();
    for _ in 0..30 {
        let request = client
            .get(mesh.envoy.url("/other"))
            .bearer_auth(&token)
            .send();
        requests.spawn(async move { Ok::<_, anyhow::Error>(request.await?.status().as_u16()) });
    }
    let mut refused = 0;
    while requests.len() > 4 {
        let Some(status) = requests.join_next().await else {
            break;
        };
        assert_eq!(status??, 503);
        refused += 1;
    }
    assert_eq!(refused, 26);
    mesh.expect("/health", None, 200).await?;

    mesh.feeder.start().await?;
    let mut decided = requests.join_all().await;
    for status in decided.drain(..) {
        // acme is known, alice is not: decided on the snapshot, not for want of it.
        assert_eq!(status?, 403);
    }
    mesh.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_does_not_carry_a_held_request_past_its_decision() -> Result<()> {
    let mut policy = payments_policy();
    policy["hold"] = json!({ "timeout": "20s", "requests": 2 });
    let mut mesh = Plan::new(&policy)
        .discovered()
        .feeder_stopped()
        .start()
        .await?;
    // With this, Envoy asks the filter about the body of a request whose headers it has stopped.
    let mut config = filter_config(&policy.to_string(), Some("2"))?;
    config["config"]["allow_on_headers_stop_iteration"] = json!(true);
    let before = mesh.envoy.stat("scimesh.config_reload").await?;
    mesh.envoy.update("2", &config)?;
    eventually("the update", PATIENCE, async || {
        ensure!(mesh.envoy.stat("scimesh.config_reload").await? > before);
        Ok(())
    })
    .await?;
    let token = mesh.acme.issuer.token("alice-0001")?;
    let client = Envoy::fresh_connections()?;
    let request = client
        .post(mesh.envoy.url("/other"))
        .bearer_auth(&token)
        .body("x".repeat(100_000));
    let request = tokio::spawn(request.send());
    eventually("the request to be held", PATIENCE, async || {
        ensure!(mesh.envoy.stat("ingress.downstream_rq_active").await? > 0);
        Ok(())
    })
    .await?;
    mesh.feeder.start().await?;
    let answer = request.await??;
    // acme is known, alice is not. From the backstop it would have no reason.
    let status = answer.status().as_u16();
    let body = answer.text().await?;
    assert!(
        status == 403 && body.contains("unknown_subject"),
        "{status} {body}"
    );

    // And a body that comes after the decision follows its request.
    mesh.acme.scim.create_user("alice", "alice-0001").await?;
    mesh.await_status("/other", Some(&token), 200).await?;
    let request = client.post(mesh.envoy.url("/other"));
    let answer = mesh
        .envoy
        .send(request.body("x".repeat(100_000)), Some(&token))
        .await?;
    assert_eq!(answer.status, 200, "{}", answer.body);
    mesh.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_cluster_that_envoy_does_not_know_has_a_reason_of_its_own() -> Result<()> {
    let mesh = Plan::new(&payments_policy())
        .without_feed_cluster()
        .start()
        .await?;
    let token = mesh.acme.issuer.token("alice-0001")?;
    eventually("the reason", PATIENCE, async || {
        let answer = mesh.expect("/other", Some(&token), 503).await?;
        ensure!(
            answer.reason().as_deref() == Some("feed_cluster_missing"),
            "{}",
            answer.body
        );
        Ok(())
    })
    .await?;
    mesh.expect("/health", None, 200).await?;
    mesh.end().await
}
