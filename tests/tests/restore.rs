//! Databases that are older than what proxies know: restored, which they take, and put back behind the feeder's back, which they do not.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use scimesh_tests::mesh::{Mesh, PATIENCE, payments_policy, with};
use serde_json::{Value, json};
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

/// The shortest lease that a policy may ask for.
const LEASE: Duration = Duration::from_secs(5);

const GENERATION: &str = "scimesh_feeder_generation";
const NACKS: &str = "scimesh_feeder_feed_nacks_total";

fn short_lease() -> Value {
    with(payments_policy(), "maxStaleness", json!("5s"))
}

/// Alice in payments, bob not, known to every worker: alice's id, the group's, and their tokens.
async fn company(mesh: &Mesh) -> Result<(String, String, String, String)> {
    let alice = mesh.acme.scim.create_user("alice", "alice-0001").await?;
    mesh.acme.scim.create_user("bob", "bob-0001").await?;
    let payments = mesh.acme.scim.create_group("payments", &[&alice]).await?;
    let (alices, bobs) = (
        mesh.acme.issuer.token("alice-0001")?,
        mesh.acme.issuer.token("bob-0001")?,
    );
    mesh.await_status("/payments", Some(&alices), 200).await?;
    mesh.await_status("/payments", Some(&bobs), 403).await?;
    Ok((alice, payments, alices, bobs))
}

async fn ready(mesh: &Mesh) -> Result<(u16, String)> {
    let url = format!("http://{}/readyz", mesh.feeder.admin_address());
    let answer = reqwest::get(url).await?;
    Ok((answer.status().as_u16(), answer.text().await?))
}

/// What gRPC's health service on the feed's port says of the feed: what a mesh or a kubelet asks.
async fn health(mesh: &Mesh) -> Result<ServingStatus> {
    let address = format!("http://{}", mesh.feeder.feed_address());
    let channel = Channel::from_shared(address)?.connect_lazy();
    let service = "scimesh.feed.v1.Feed".to_owned();
    let asked = HealthCheckRequest { service };
    let answer = HealthClient::new(channel).check(asked).await?;
    Ok(answer.into_inner().status())
}

/// For longer than a lease that is not renewed.
async fn goes_on(mesh: &Mesh, token: &str) -> Result<()> {
    let start = Instant::now();
    while start.elapsed() < LEASE + LEASE / 2 {
        mesh.expect("/payments", Some(token), 200).await?;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_backup_that_is_restored_is_taken_whole() -> Result<()> {
    let mut mesh = Mesh::start(&short_lease()).await?;
    let (alice, payments, alices, bobs) = company(&mesh).await?;
    let generation = mesh.feeder.metric(GENERATION).await?;
    let backup = mesh.dir().join("backup");
    let backup = backup.display().to_string();
    mesh.feeder.run(&["backup", &backup]).await?;
    let again = mesh.feeder.command(&["backup", &backup]).await?;
    assert_eq!(again.code, Some(1), "{}", again.stdout);
    // What comes after it.
    mesh.acme.scim.remove_member(&payments, &alice).await?;
    let bob = mesh
        .acme
        .scim
        .get("/Users?filter=userName%20eq%20%22bob%22")
        .await?;
    let bob = bob["Resources"][0]["id"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    mesh.acme.scim.add_member(&payments, &bob).await?;
    mesh.await_status("/payments", Some(&alices), 403).await?;
    mesh.await_status("/payments", Some(&bobs), 200).await?;

    let running = mesh
        .feeder
        .command(&["restore", &backup, "--replace"])
        .await?;
    ensure!(
        !running.success && running.stderr.contains("is using"),
        "{running:?}"
    );
    mesh.feeder.stop().await?;
    let refused = mesh.feeder.command(&["restore", &backup]).await?;
    ensure!(
        !refused.success && refused.stderr.contains("--replace"),
        "{refused:?}"
    );
    mesh.feeder.run(&["restore", &backup, "--replace"]).await?;
    mesh.feeder.start().await?;
    mesh.await_status("/payments", Some(&alices), 200).await?;
    mesh.await_status("/payments", Some(&bobs), 403).await?;
    ensure!(mesh.feeder.metric(GENERATION).await? > generation);
    // And what comes now follows it.
    mesh.acme.scim.add_member(&payments, &bob).await?;
    mesh.await_status("/payments", Some(&bobs), 200).await?;
    goes_on(&mesh, &alices).await?;
    assert_eq!(mesh.feeder.metric(NACKS).await?, 0.0);
    mesh.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_copy_that_was_written_on_renews_no_lease_until_it_is_accepted() -> Result<()> {
    let mut mesh = Mesh::start(&short_lease()).await?;
    let (alice, payments, alices, _) = company(&mesh).await?;
    mesh.feeder.stop().await?;
    let database = mesh.feeder.data_dir().join("scimesh.db");
    let copy = std::fs::read(&database)?;
    mesh.feeder.start().await?;
    mesh.acme.scim.remove_member(&payments, &alice).await?;
    mesh.await_status("/payments", Some(&alices), 403).await?;
    // The whole fleet is away while the old copy goes past what it knows.
    mesh.envoy.process().pause()?;
    mesh.feeder.kill()?;
    for log in ["scimesh.db", "scimesh.db-wal"] {
        let _ = std::fs::remove_file(mesh.feeder.data_dir().join(log));
    }
    std::fs::write(&database, copy)?;
    mesh.feeder.start().await?;
    for number in 0..5 {
        let name = format!("late-{number}");
        mesh.acme.scim.create_user(&name, &name).await?;
    }
    assert_eq!(ready(&mesh).await?.0, 200);
    assert_eq!(health(&mesh).await?, ServingStatus::Serving);
    mesh.envoy.process().resume()?;

    let start = Instant::now();
    loop {
        let answers = mesh.get_everywhere("/payments", Some(&alices)).await?;
        ensure!(
            answers.iter().all(|answer| answer.status != 200),
            "alice is back"
        );
        if answers.iter().all(|answer| answer.status == 503) && ready(&mesh).await?.0 == 503 {
            break;
        }
        ensure!(start.elapsed() < PATIENCE, "the old copy renews leases");
    }
    let (_, why) = ready(&mesh).await?;
    assert!(why.contains("old copy"), "{why}");
    assert_eq!(health(&mesh).await?, ServingStatus::NotServing);
    mesh.feeder.stop().await?;
    mesh.envoy.process().pause()?;
    mesh.feeder.start_unready().await?;
    assert_eq!(ready(&mesh).await?.0, 503, "a restart forgets");
    assert_eq!(health(&mesh).await?, ServingStatus::NotServing);
    mesh.envoy.process().resume()?;

    mesh.feeder.stop().await?;
    mesh.feeder.run(&["restore", "--accept-rollback"]).await?;
    mesh.feeder.start().await?;
    assert_eq!(health(&mesh).await?, ServingStatus::Serving);
    // What was lost is lost: that is what was accepted.
    mesh.await_status("/payments", Some(&alices), 200).await?;
    goes_on(&mesh, &alices).await?;
    mesh.end().await
}
