//! A policy is configuration: it is edited under load, and sometimes it is wrong.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, ensure};
use scimesh_tests::envoy::{Envoy, filter_config};
use scimesh_tests::eventually::eventually;
use scimesh_tests::exposition::sum;
use scimesh_tests::mesh::{Mesh, PATIENCE, Plan, payments_policy, policy};
use serde_json::{Value, json};
use tokio::task::JoinSet;

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_does_not_parse_at_start_refuses_everything() -> Result<()> {
    let mut mesh = Plan::with_text("{ rules: ").discovered().start().await?;
    let alice = mesh.acme.scim.create_user("alice", "alice-0001").await?;
    mesh.acme.scim.create_group("payments", &[&alice]).await?;
    let token = mesh.acme.issuer.token("alice-0001")?;
    for path in ["/payments", "/other", "/health"] {
        let answer = mesh.envoy.get(path, Some(&token)).await?;
        assert!(
            answer.status >= 500,
            "{path}: {} {}",
            answer.status,
            answer.body
        );
    }
    assert_eq!(mesh.upstream.take_arrivals().len(), 0);
    ensure!(mesh.envoy.stat("scimesh.config_fail").await? > 0);
    ensure!(mesh.envoy.process().log().contains("scimesh: the policy"));

    // A good one later is all it takes.
    let good = filter_config(&payments_policy().to_string(), Some("2"))?;
    mesh.envoy.update("2", &good)?;
    mesh.await_status("/payments", Some(&token), 200).await?;
    mesh.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn under_a_bad_update_the_old_policy_goes_on() -> Result<()> {
    let mesh = Plan::new(&payments_policy()).discovered().start().await?;
    let alice = mesh.acme.scim.create_user("alice", "alice-0001").await?;
    let payments = mesh.acme.scim.create_group("payments", &[&alice]).await?;
    let token = mesh.acme.issuer.token("alice-0001")?;
    mesh.await_status("/payments", Some(&token), 200).await?;

    let mut misspelt = payments_policy();
    misspelt["maxStalness"] = json!("1m");
    for (version, bad) in [("2", "not JSON".to_owned()), ("3", misspelt.to_string())] {
        let before = mesh.envoy.stat("update_rejected").await?;
        mesh.envoy
            .update(version, &filter_config(&bad, Some(version))?)?;
        eventually("the rejection to be counted", PATIENCE, async || {
            ensure!(mesh.envoy.stat("update_rejected").await? > before);
            Ok(())
        })
        .await?;
        mesh.expect("/payments", Some(&token), 200).await?;
        mesh.expect("/payments", None, 401).await?;
    }
    // The old policy goes on with live data, not with what it had.
    mesh.acme.scim.remove_member(&payments, &alice).await?;
    mesh.await_status("/payments", Some(&token), 403).await?;
    mesh.end().await
}

/// Each edit asks for other groups, so that the filter needs another part of the directory, and shows by a rule of its
/// own that it is in force.
fn edited_policy(edit: u32) -> (String, Value) {
    let marker = format!("/edit-{edit}");
    let terms = if edit.is_multiple_of(2) {
        json!(["group:payments", "group:ledger"])
    } else {
        json!(["group:payments"])
    };
    let policy = policy(json!([
        { "name": "marker", "to": [{ "paths": [marker] }], "allow": "PUBLIC" },
        { "name": "payments", "to": [{ "paths": ["/payments", "/stream"] }], "require": { "anyOf": terms } },
    ]));
    (marker, policy)
}

/// Edits back and forth while requests stream in; `new_vm` as Istio does it, or the configuration alone.
async fn edited_under_load(new_vm: bool) -> Result<()> {
    let mesh = Arc::new(Plan::new(&payments_policy()).discovered().start().await?);
    let alice = mesh.acme.scim.create_user("alice", "alice-0001").await?;
    mesh.acme.scim.create_group("payments", &[&alice]).await?;
    mesh.acme.scim.create_group("ledger", &[&alice]).await?;
    let token = mesh.acme.issuer.token("alice-0001")?;
    mesh.await_status("/payments", Some(&token), 200).await?;

    let stop = Arc::new(AtomicBool::new(false));
    let mut load = JoinSet::new();
    for lane in 0..4 {
        let (mesh, stop, token) = (mesh.clone(), stop.clone(), token.clone());
        load.spawn(async move {
            // Half of the lanes keep their connection, half open a new one each time.
            let client = if lane % 2 == 0 {
                reqwest::Client::new()
            } else {
                Envoy::fresh_connections()?
            };
            let mut served = 0u64;
            while !stop.load(Ordering::Relaxed) {
                let request = client.get(mesh.envoy.url("/payments"));
                let answer = mesh.envoy.send(request, Some(&token)).await?;
                ensure!(
                    answer.status == 200,
                    "after {served}: {} {}",
                    answer.status,
                    answer.body
                );
                served += 1;
            }
            Ok(served)
        });
    }

    // A download that began under the first policy goes on under it, whatever comes after.
    let mut download = reqwest::Client::new()
        .get(mesh.envoy.url("/stream"))
        .bearer_auth(&token)
        .send()
        .await?
        .error_for_status()?;
    let ended = stop.clone();
    load.spawn(async move {
        let mut chunks = 0;
        while !ended.load(Ordering::Relaxed) {
            download.chunk().await?.context("the download was cut")?;
            chunks += 1;
        }
        Ok(chunks)
    });

    for edit in 2..10 {
        let (marker, policy) = edited_policy(edit);
        let version = edit.to_string();
        let config = filter_config(
            &policy.to_string(),
            Some(if new_vm { &version } else { "1" }),
        )?;
        mesh.envoy.update(&version, &config)?;
        mesh.await_status(&marker, None, 200).await?;
        mesh.expect("/payments", Some(&token), 200).await?;
    }
    stop.store(true, Ordering::Relaxed);
    for served in load.join_all().await {
        ensure!(served? > 0, "a lane asked nothing");
    }
    let mesh = Arc::into_inner(mesh).context("the lanes have ended")?;
    mesh.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_under_load_refuses_nobody_wrongly() -> Result<()> {
    edited_under_load(false).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_that_brings_a_new_vm_under_load_refuses_nobody_wrongly() -> Result<()> {
    edited_under_load(true).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shorter_lease_in_the_same_vm_refuses_nobody_wrongly() -> Result<()> {
    let mesh = Plan::new(&payments_policy()).discovered().start().await?;
    let alice = mesh.acme.scim.create_user("alice", "alice-0001").await?;
    mesh.acme.scim.create_group("payments", &[&alice]).await?;
    let token = mesh.acme.issuer.token("alice-0001")?;
    mesh.await_status("/payments", Some(&token), 200).await?;

    // Under a lease of 5 minutes the next ping is far; what it has is too old for the policy to come.
    eventually("the lease to be older than 5 s", PATIENCE, async || {
        let all = mesh.envoy.prometheus().await?;
        let upto = [("le", "5000")];
        let younger = sum(&all, "scimesh_snapshot_age_milliseconds_bucket", &upto);
        let noted = sum(&all, "scimesh_snapshot_age_milliseconds_count", &[]);
        ensure!(noted > younger, "{younger} of {noted}");
        Ok(())
    })
    .await?;
    let mut stricter = payments_policy();
    stricter["maxStaleness"] = json!("5s");
    stricter["rules"][0]["to"][0]["paths"] = json!(["/stricter"]);
    mesh.envoy
        .update("2", &filter_config(&stricter.to_string(), Some("1"))?)?;
    loop {
        mesh.expect("/payments", Some(&token), 200).await?;
        if mesh.expect("/stricter", None, 200).await.is_ok() {
            break;
        }
    }
    mesh.expect("/payments", Some(&token), 200).await?;
    mesh.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_decide_in_order_and_by_method() -> Result<()> {
    let policy = policy(json!([
        { "name": "inside", "to": [{ "paths": ["/metrics"] }], "allow": "NOBODY" },
        {
            "name": "refunds",
            "to": [{ "methods": ["POST"], "paths": ["/accounts/{*}/refunds"] }],
            "require": { "anyOf": ["group:payments"], "noneOf": ["group:contractors"] },
        },
        { "name": "read", "to": [{ "methods": ["GET"], "paths": ["/accounts/{**}"] }], "require": { "anyOf": ["active"] } },
    ]));
    let mesh = Mesh::start(&policy).await?;
    let scim = &mesh.acme.scim;
    let alice = scim.create_user("alice", "alice-0001").await?;
    let bob = scim.create_user("bob", "bob-0001").await?;
    scim.create_user("carol", "carol-0001").await?;
    scim.create_group("payments", &[&alice, &bob]).await?;
    let contractors = scim.create_group("contractors", &[&bob]).await?;
    let token = |sub| mesh.acme.issuer.token(sub);
    let (alices, bobs, carols) = (
        token("alice-0001")?,
        token("bob-0001")?,
        token("carol-0001")?,
    );
    mesh.await_status("/accounts/7", Some(&carols), 200).await?;

    let post = async |token: &str, path: &str| {
        let answer = mesh
            .envoy
            .request(reqwest::Method::POST, path, Some(token))
            .await?;
        anyhow::Ok((answer.status, answer.reason()))
    };
    assert_eq!(post(&alices, "/accounts/7/refunds").await?, (200, None));
    assert_eq!(post(&alices, "/accounts/7/refunds/").await?, (200, None));
    assert_eq!(post(&bobs, "/accounts/7/refunds").await?.0, 403);
    assert_eq!(post(&carols, "/accounts/7/refunds").await?.0, 403);
    assert_eq!(
        post(&alices, "/accounts/7").await?,
        (403, Some("no_rule".into()))
    );
    mesh.expect("/accounts/7/refunds", Some(&carols), 200)
        .await?;
    let reason = mesh.expect("/metrics", Some(&alices), 403).await?.reason();
    assert_eq!(reason.as_deref(), Some("nobody"));

    // A group that can't be resolved never helps: without contractors, noneOf can't be shown to hold.
    scim.delete(&format!("/Groups/{contractors}")).await?;
    eventually("refunds to end", PATIENCE, async || {
        let (status, _) = post(&alices, "/accounts/7/refunds").await?;
        ensure!(status == 403);
        Ok(())
    })
    .await?;
    mesh.end().await
}
