//! What could stretch a lease, or renew it on knowledge that is not current: processes that stand still, and a database from
//! the day before.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use scimesh_tests::envoy::{Envoy, filter_config};
use scimesh_tests::eventually::eventually;
use scimesh_tests::mesh::{EVERYWHERE, Mesh, PATIENCE, Plan, payments_policy};
use serde_json::{Value, json};
use tokio::task::JoinSet;

/// The shortest lease that a policy may ask for.
const LEASE: Duration = Duration::from_secs(5);

fn short_lease() -> Value {
    let mut policy = payments_policy();
    if let Value::Object(fields) = &mut policy {
        fields.insert("maxStaleness".to_owned(), json!("5s"));
    }
    policy
}

/// Alice in payments, known to every worker: her id, the group's and her token.
async fn alice_at_work(mesh: &Mesh) -> Result<(String, String, String)> {
    let alice = mesh.acme.scim.create_user("alice", "alice-0001").await?;
    let payments = mesh.acme.scim.create_group("payments", &[&alice]).await?;
    let token = mesh.acme.issuer.token("alice-0001")?;
    mesh.await_status("/payments", Some(&token), 200).await?;
    Ok((alice, payments, token))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_envoy_that_stood_still_allows_nothing_by_what_it_knew_before() -> Result<()> {
    let mut mesh = Mesh::start(&short_lease()).await?;
    let (alice, payments, token) = alice_at_work(&mesh).await?;

    mesh.envoy.process().pause()?;
    let stopped = Instant::now();
    mesh.acme.scim.remove_member(&payments, &alice).await?;
    // They wait in Envoy's sockets, and are the first that it sees when it goes on.
    let client = Envoy::fresh_connections()?;
    let mut requests = JoinSet::new();
    for _ in 0..EVERYWHERE {
        let request = client.get(mesh.envoy.url("/payments")).bearer_auth(&token);
        requests.spawn(async move { request.send().await });
    }
    eventually("the lease to be over", PATIENCE, async || {
        ensure!(stopped.elapsed() > LEASE);
        Ok(())
    })
    .await?;
    mesh.envoy.process().resume()?;
    for answer in requests.join_all().await {
        let status = answer?.status().as_u16();
        ensure!(status == 503 || status == 403, "{status}");
    }
    mesh.await_status("/payments", Some(&token), 403).await?;
    mesh.acme.scim.add_member(&payments, &alice).await?;
    mesh.await_status("/payments", Some(&token), 200).await?;
    mesh.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feeder_that_stands_still_renews_nothing_and_goes_on_when_it_can() -> Result<()> {
    let mut mesh = Mesh::start(&short_lease()).await?;
    let (_, _, token) = alice_at_work(&mesh).await?;
    mesh.feeder.process()?.pause()?;
    mesh.expect("/payments", Some(&token), 200).await?;
    let refusal = mesh.await_status("/payments", Some(&token), 503).await?;
    assert_eq!(refusal.reason().as_deref(), Some("lease_ended"));
    mesh.feeder.process()?.resume()?;
    mesh.await_status("/payments", Some(&token), 200).await?;
    mesh.end().await
}

/// Until so much time has passed.
async fn pass(since: Instant, time: Duration) -> Result<()> {
    eventually(&format!("{time:?} to pass"), PATIENCE, async || {
        ensure!(since.elapsed() > time);
        Ok(())
    })
    .await
}

/// By when an answer renews is shown natively (the filter's `session`): here the filter may leave the silent stream before it reads the late answer.
#[tokio::test(flavor = "multi_thread")]
async fn answers_that_waited_while_envoy_stood_still_let_nobody_in() -> Result<()> {
    let mut mesh = Mesh::start(&short_lease()).await?;
    let (_, _, token) = alice_at_work(&mesh).await?;
    // The next pings, which come every third of a lease, wait in the feeder's sockets; their answers in Envoy's.
    mesh.feeder.process()?.pause()?;
    pass(Instant::now(), LEASE / 2).await?;
    mesh.expect("/payments", Some(&token), 200).await?;
    mesh.envoy.process().pause()?;
    let stopped = Instant::now();
    mesh.feeder.process()?.resume()?;
    pass(stopped, LEASE).await?;
    mesh.feeder.process()?.pause()?;
    mesh.envoy.process().resume()?;
    // Envoy has read them when the second round is answered.
    for _ in 0..2 {
        let refusal = mesh.expect("/payments", Some(&token), 503).await?;
        assert_eq!(refusal.reason().as_deref(), Some("lease_ended"));
    }
    mesh.feeder.process()?.resume()?;
    mesh.await_status("/payments", Some(&token), 200).await?;
    mesh.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_is_stricter_ends_first_and_alone() -> Result<()> {
    let mut policy = payments_policy();
    policy["maxStaleness"] = json!("12s");
    policy["rules"][1]["maxStaleness"] = json!("5s");
    let mut mesh = Mesh::start(&policy).await?;
    let (_, _, token) = alice_at_work(&mesh).await?;
    mesh.feeder.process()?.pause()?;
    let stopped = Instant::now();
    let refusal = mesh.await_status("/payments", Some(&token), 503).await?;
    assert_eq!(refusal.reason().as_deref(), Some("lease_ended"));
    mesh.expect("/other", Some(&token), 200).await?;
    pass(stopped, LEASE).await?;
    mesh.expect("/payments", Some(&token), 503).await?;
    let refusal = mesh.await_status("/other", Some(&token), 503).await?;
    assert_eq!(refusal.reason().as_deref(), Some("lease_ended"));
    mesh.expect("/health", None, 200).await?;
    mesh.feeder.process()?.resume()?;
    mesh.await_status("/payments", Some(&token), 200).await?;
    mesh.expect("/other", Some(&token), 200).await?;
    mesh.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_never_received_is_not_called_stale() -> Result<()> {
    let mut policy = short_lease();
    policy["hold"] = json!({ "timeout": "100ms", "requests": 256 });
    let plan = Plan::new(&policy).discovered().feeder_stopped();
    let mut mesh = plan.start().await?;
    let token = mesh.acme.issuer.token("alice-0001")?;
    let refusal = mesh.expect("/payments", Some(&token), 503).await?;
    assert_eq!(refusal.reason().as_deref(), Some("no_snapshot"));
    mesh.feeder.start().await?;
    alice_at_work(&mesh).await?;
    mesh.feeder.stop().await?;
    let refusal = mesh.await_status("/payments", Some(&token), 503).await?;
    assert_eq!(refusal.reason().as_deref(), Some("lease_ended"));
    // New VMs have nothing that could be stale.
    let before = mesh.envoy.stat("scimesh.config_reload").await?;
    mesh.envoy
        .update("2", &filter_config(&policy.to_string(), Some("2"))?)?;
    eventually("the update", PATIENCE, async || {
        ensure!(mesh.envoy.stat("scimesh.config_reload").await? > before);
        let refusal = mesh.expect("/payments", Some(&token), 503).await?;
        ensure!(refusal.reason().as_deref() == Some("no_snapshot"));
        Ok(())
    })
    .await?;
    mesh.end().await
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_copy_of_the_database_lets_nobody_back_in() -> Result<()> {
    let mut mesh = Mesh::start(&short_lease()).await?;
    let (alice, payments, token) = alice_at_work(&mesh).await?;
    let bob = mesh.acme.scim.create_user("bob", "bob-0001").await?;
    let bobs = mesh.acme.issuer.token("bob-0001")?;
    mesh.acme.scim.add_member(&payments, &bob).await?;
    mesh.await_status("/payments", Some(&bobs), 200).await?;

    mesh.feeder.stop().await?;
    let backup = mesh.dir().join("backup");
    copy(mesh.feeder.data_dir(), &backup)?;
    mesh.feeder.start().await?;
    mesh.acme.scim.remove_member(&payments, &alice).await?;
    mesh.await_status("/payments", Some(&token), 403).await?;
    mesh.feeder.stop().await?;
    fs::remove_dir_all(mesh.feeder.data_dir())?;
    copy(&backup, mesh.feeder.data_dir())?;
    mesh.feeder.start().await?;

    // Until the lease's end bob is served on what is newer than the database; then nobody is. Alice never again.
    let start = Instant::now();
    loop {
        for answer in mesh.get_everywhere("/payments", Some(&token)).await? {
            ensure!(answer.status != 200, "alice is back");
        }
        let answers = mesh.get_everywhere("/payments", Some(&bobs)).await?;
        if answers.iter().all(|answer| answer.status == 503) {
            break;
        }
        ensure!(start.elapsed() < PATIENCE, "the old copy renews leases");
    }
    let ready = format!("http://{}/readyz", mesh.feeder.admin_address());
    let unready = reqwest::get(&ready).await?;
    assert_eq!(unready.status().as_u16(), 503);
    let why = unready.text().await.context("a reason")?;
    assert!(why.contains("old copy"), "{why}");
    mesh.end().await
}
