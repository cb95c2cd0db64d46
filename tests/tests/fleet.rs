//! What `scimesh status` says of the proxies, and that they do what it says.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use scimesh_tests::eventually::eventually;
use scimesh_tests::mesh::{Mesh, PATIENCE, payments_policy, with};
use serde_json::{Value, json};

/// Of most stories: the shortest that a policy may ask for.
const LEASE: Duration = Duration::from_secs(5);

const APPLIED: i32 = 0;
const REFUSED: i32 = 1;
const PENDING: i32 = 4;
const UNKNOWN: i32 = 5;

struct Company {
    mesh: Mesh,
    alice: String,
    payments: String,
    token: String,
}

/// Alice in payments, known to every worker, and each of them in the fleet.
async fn company(lease: &str) -> Result<Company> {
    let policy = with(payments_policy(), "maxStaleness", json!(lease));
    let mesh = Mesh::start(&policy).await?;
    let alice = mesh.acme.scim.create_user("alice", "alice-0001").await?;
    let payments = mesh.acme.scim.create_group("payments", &[&alice]).await?;
    let token = mesh.acme.issuer.token("alice-0001")?;
    mesh.await_status("/payments", Some(&token), 200).await?;
    Ok(Company {
        mesh,
        alice,
        payments,
        token,
    })
}

/// The newest revision.
async fn revision(mesh: &Mesh) -> Result<u64> {
    let status = mesh.feeder.run(&["status", "--output", "json"]).await?;
    let status: Value = serde_json::from_str(&status)?;
    let revision = status.pointer("/feeder/revision").and_then(Value::as_u64);
    revision.context("a revision")
}

/// Who has applied a revision, and the exit status that says it.
async fn who(mesh: &Mesh, revision: u64, more: &[&str]) -> Result<(i32, Value)> {
    let number = revision.to_string();
    let mut arguments = vec!["status", "--output", "json", "--revision", &number];
    arguments.extend_from_slice(more);
    let outcome = mesh.feeder.command(&arguments).await?;
    let code = outcome.code.context("it was killed")?;
    if code == REFUSED {
        return Ok((code, json!(outcome.stderr)));
    }
    Ok((code, serde_json::from_str(&outcome.stdout)?))
}

/// The stands of the filters, without repetition.
fn stands(applied: &Value) -> Vec<&str> {
    let rows = applied["filters"].as_array().into_iter().flatten();
    let stands: BTreeSet<_> = rows.filter_map(|row| row["stand"].as_str()).collect();
    stands.into_iter().collect()
}

/// How many VMs are in these rows.
fn vms(rows: &Value) -> usize {
    let rows = rows.as_array().into_iter().flatten();
    let vms: BTreeSet<_> = rows.map(|row| row["vm"].to_string()).collect();
    vms.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_applied_by_both_workers_and_not_by_a_proxy_that_stands_still() -> Result<()> {
    let Company {
        mut mesh,
        alice,
        payments,
        token,
    } = company("5s").await?;
    let now = revision(&mesh).await?;
    let (code, applied) = who(&mesh, now, &["--wait", "20s"]).await?;
    assert_eq!((code, stands(&applied)), (APPLIED, vec!["applied"]));
    assert!(vms(&applied["filters"]) >= 2, "{applied:#}");
    let row = &applied["filters"][0];
    let about = [
        &row["tenant"],
        &row["workload"],
        &row["version"],
        &row["terms"],
        &row["anyActive"],
    ];
    let version = json!(env!("CARGO_PKG_VERSION"));
    assert_eq!(
        about,
        [
            &json!("acme"),
            &json!("local"),
            &version,
            &json!(1),
            &json!(true)
        ]
    );
    assert_eq!(row["nacks"], 0);
    let table = mesh.feeder.run(&["status"]).await?;
    assert!(table.contains("ready") && table.contains("acme"), "{table}");

    let (code, error) = who(&mesh, now + 1000, &[]).await?;
    assert_eq!(code, REFUSED, "{error}");
    assert!(error.to_string().contains("ahead"), "{error}");
    let (code, error) = who(&mesh, now, &["--tenant", "acmee"]).await?;
    assert_eq!(code, REFUSED, "{error}");

    mesh.envoy.process().pause()?;
    // Of another tenant: nothing that this proxy is sent.
    mesh.globex.scim.create_user("bob", "bob-0001").await?;
    let others = revision(&mesh).await?;
    let (code, applied) = who(&mesh, others, &["--wait", "20s"]).await?;
    assert_eq!((code, stands(&applied)), (APPLIED, vec!["applied"]));

    mesh.acme.scim.remove_member(&payments, &alice).await?;
    let removed = revision(&mesh).await?;
    let (code, applied) = who(&mesh, removed, &["--wait", "100ms"]).await?;
    assert_eq!((code, stands(&applied)), (PENDING, vec!["pending"]));
    assert!(applied["until"].is_string(), "{applied:#}");
    let (code, _) = who(&mesh, removed, &["--tenant", "globex"]).await?;
    assert_eq!(code, APPLIED);
    let metrics = mesh
        .feeder
        .metric("scimesh_feeder_feed_slowest_ack_seconds")
        .await?;
    assert!(metrics > 0.0, "{metrics}");

    // By its lease it stops, though it is still connected; and that is true of it.
    let (code, applied) = who(&mesh, removed, &["--wait", "20s"]).await?;
    assert_eq!(code, APPLIED, "{applied:#}");
    assert!(!stands(&applied).contains(&"applied"), "{applied:#}");
    mesh.envoy.process().resume()?;
    for answer in mesh.get_everywhere("/payments", Some(&token)).await? {
        ensure!(answer.status != 200, "allowed by what was revoked");
    }
    let (code, applied) = who(&mesh, removed, &["--wait", "20s"]).await?;
    assert_eq!(code, APPLIED);
    eventually("the proxy to apply it", PATIENCE, async || {
        let (_, applied) = who(&mesh, removed, &[]).await?;
        ensure!(stands(&applied) == ["applied"], "{applied:#}");
        Ok(())
    })
    .await
    .with_context(|| format!("{applied:#}"))?;
    ensure!(
        mesh.feeder
            .metric("scimesh_feeder_feed_commit_to_ack_seconds_count")
            .await?
            > 0.0
    );
    mesh.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_proxy_that_is_gone_the_end_of_its_lease_is_told_and_comes() -> Result<()> {
    let Company {
        mut mesh,
        alice,
        payments,
        ..
    } = company("5s").await?;
    mesh.envoy.process().kill()?;
    let killed = Instant::now();
    mesh.acme.scim.remove_member(&payments, &alice).await?;
    let removed = revision(&mesh).await?;
    let gone = eventually("the feeder to notice", PATIENCE, async || {
        let (code, applied) = who(&mesh, removed, &[]).await?;
        ensure!(
            code == PENDING && applied["filters"] == json!([]),
            "{applied:#}"
        );
        Ok(applied)
    })
    .await?;
    assert!(vms(&gone["departed"]) >= 2, "{gone:#}");
    assert!(
        gone["until"].is_string() && gone["departed"][0]["until"].is_string(),
        "{gone:#}"
    );
    ensure!(
        mesh.feeder
            .metric("scimesh_feeder_feed_filters_departed")
            .await?
            >= 2.0
    );

    let (code, over) = who(&mesh, removed, &["--wait", "20s"]).await?;
    assert_eq!((code, &over["departed"]), (APPLIED, &json!([])), "{over:#}");
    // The last ping is a third of the lease ago at most, and a little more when the machine is busy.
    assert!(killed.elapsed() > LEASE / 2, "{:?}", killed.elapsed());
    mesh.end_without_envoy().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feeder_that_was_restarted_knows_nothing_until_the_longest_lease_is_over() -> Result<()> {
    let Company { mut mesh, .. } = company("10s").await?;
    let now = revision(&mesh).await?;
    let (code, _) = who(&mesh, now, &["--wait", "20s"]).await?;
    assert_eq!(code, APPLIED);
    mesh.feeder.kill()?;
    let killed = Instant::now();
    mesh.feeder.start().await?;
    eventually("the filters to be back", PATIENCE, async || {
        let (code, applied) = who(&mesh, now, &[]).await?;
        ensure!(code == UNKNOWN, "{code} {applied:#}");
        ensure!(applied["unknownUntil"].is_string(), "{applied:#}");
        ensure!(vms(&applied["filters"]) >= 2, "{applied:#}");
        Ok(())
    })
    .await?;
    let (code, applied) = who(&mesh, now, &["--wait", "20s"]).await?;
    assert_eq!((code, &applied["unknownUntil"]), (APPLIED, &Value::Null));
    assert_eq!(stands(&applied), ["applied"]);
    assert!(killed.elapsed() >= 2 * LEASE, "{:?}", killed.elapsed());
    mesh.end().await
}
