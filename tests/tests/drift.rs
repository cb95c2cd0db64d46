//! What tokens say of groups, beside what the directory says: `scimesh drift` tells what they would still let in.

#![allow(
    clippy::indexing_slicing,
    reason = "what is indexed is JSON, by functions that only tests call"
)]

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use scimesh_tests::eventually::eventually;
use scimesh_tests::mesh::{Mesh, PATIENCE, Plan, policy};
use serde_json::{Value, json};

/// A proxy compares somebody's token no sooner again than after a minute.
const MINUTE: i64 = 61;
/// The feeder does not listen to a proxy that reports again within a second; one whose clocks are set might.
const LISTENS_AGAIN: Duration = Duration::from_millis(1200);

/// Payments for one group, audits for another, all else for whoever is active.
fn two_groups() -> Value {
    let rule = |name: &str| {
        json!({
            "name": name,
            "to": [{ "paths": [format!("/{name}")] }],
            "require": { "anyOf": [format!("group:{name}")] },
        })
    };
    let rest = json!({ "name": "rest", "to": [{ "paths": ["/{**}"] }], "require": { "anyOf": ["active"] } });
    policy(json!([rule("payments"), rule("audits"), rest]))
}

/// A mesh whose tokens list groups, by their names, in a claim `groups`.
async fn listing() -> Result<Mesh> {
    let mesh = Plan::new(&two_groups()).own_clocks().start().await?;
    let issuer = mesh.acme.issuer.url();
    let binding = [
        "binding", "set", "--tenant", "acme", "--issuer", issuer, "--claim", "sub",
    ];
    let groups = [
        "--attribute",
        "externalId",
        "--groups-claim",
        "groups",
        "--groups-claim-is",
        "displayName",
    ];
    mesh.feeder
        .run(&[&binding[..], &groups[..]].concat())
        .await?;
    Ok(mesh)
}

/// What the report says.
#[derive(Debug, PartialEq, Eq)]
struct Report {
    compared: u64,
    unknown: u64,
    /// By group: who claims it and is out of it, and who is in it and does not claim it.
    groups: Vec<(String, Vec<String>, Vec<String>)>,
}

async fn report(mesh: &Mesh) -> Result<Report> {
    let report = mesh
        .feeder
        .run(&["drift", "acme", "--output", "json"])
        .await?;
    let report: Value = serde_json::from_str(&report)?;
    let tenant = &report["tenants"][0];
    let number = |field: &str| tenant[field].as_u64().with_context(|| report.to_string());
    let names = |row: &Value| {
        let named = row["named"].as_array().into_iter().flatten();
        let name = |one: &Value| {
            one["users"][0]["userName"]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        };
        named.map(name).collect()
    };
    let rows = tenant["groups"].as_array().into_iter().flatten();
    Ok(Report {
        compared: number("compared")?,
        unknown: number("unknown")?,
        groups: rows
            .map(|row| {
                let term = row["term"].as_str().unwrap_or_default();
                (term.to_owned(), names(&row["gone"]), names(&row["gained"]))
            })
            .collect(),
    })
}

/// One group of the report.
fn group(name: &str, gone: &[&str], gained: &[&str]) -> (String, Vec<String>, Vec<String>) {
    let owned = |names: &[&str]| names.iter().map(|name| name.to_string()).collect();
    (format!("group:{name}"), owned(gone), owned(gained))
}

/// Both workers see the token, more than a minute after they last did; then the report is this.
async fn seen(
    mesh: &Mesh,
    minutes: &mut i64,
    token: &str,
    status: u16,
    groups: &[(String, Vec<String>, Vec<String>)],
) -> Result<Report> {
    let began = Instant::now();
    eventually("the feeder to listen again", PATIENCE, async || {
        ensure!(began.elapsed() > LISTENS_AGAIN);
        Ok(())
    })
    .await?;
    let before = report(mesh).await?;
    *minutes += 1;
    let clocks = mesh.clocks.as_ref().context("clocks")?;
    clocks.set_wall(*minutes * MINUTE)?;
    mesh.expect("/payments", Some(token), status).await?;
    eventually("the report to follow", PATIENCE, async || {
        let now = report(mesh).await?;
        ensure!(
            now.compared >= before.compared + 2,
            "{now:?} after {before:?}"
        );
        ensure!(now.groups == groups, "{now:?}");
        Ok(now)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_report_says_what_tokens_would_still_let_in() -> Result<()> {
    let mesh = listing().await?;
    let scim = &mesh.acme.scim;
    let alice = scim.create_user("alice", "alice-0001").await?;
    let payments = scim.create_group("payments", &[&alice]).await?;
    let audits = scim.create_group("audits", &[]).await?;
    let token = |claims: Value| {
        let mut all = json!({ "sub": "alice-0001" });
        if let (Some(all), Value::Object(claims)) = (all.as_object_mut(), claims) {
            all.extend(claims);
        }
        mesh.acme.issuer.token_with(all)
    };
    let before = token(json!({ "groups": ["choir", "payments"] }))?;
    let minutes = &mut 0;
    mesh.await_status("/payments", Some(&before), 200).await?;
    let report = seen(&mesh, minutes, &before, 200, &[]).await?;
    assert_eq!(report.unknown, 0);

    // Removed. The token that she had before still says that she may.
    scim.remove_member(&payments, &alice).await?;
    mesh.await_status("/payments", Some(&before), 403).await?;
    let gone = [group("payments", &["alice"], &[])];
    seen(&mesh, minutes, &before, 403, &gone).await?;

    // One that says nothing of groups, because they are too many or are none, takes nothing back.
    for claims in [
        json!({ "_claim_names": { "groups": "src1" }, "_claim_sources": { "src1": { "endpoint": "https://graph.example" } } }),
        json!({ "groups": ["payments"], "_claim_names": { "groups": "src1" } }),
        json!({ "groups": 7 }),
        json!({ "groups": null }),
        json!({ "groups": { "payments": "yes" } }),
        json!({ "groups": ["payments", 7] }),
        json!({ "groups": ["payments", ["nested"]] }),
    ] {
        let unknown = token(claims.clone())?;
        let before = self::report(&mesh).await?.unknown;
        let report = seen(&mesh, minutes, &unknown, 403, &gone).await?;
        assert_eq!(report.unknown, before + 2, "{claims}");
    }

    // A new token takes it back.
    let after = token(json!({ "groups": ["choir"] }))?;
    seen(&mesh, minutes, &after, 403, &[]).await?;

    // What she has gained since is no danger, and is told.
    scim.add_member(&audits, &alice).await?;
    mesh.await_status("/audits", Some(&after), 200).await?;
    let gained = [group("audits", &[], &["alice"])];
    seen(&mesh, minutes, &after, 403, &gained).await?;
    // A lone text is one group; none are none.
    let one = token(json!({ "groups": "audits" }))?;
    seen(&mesh, minutes, &one, 403, &[]).await?;
    let none = token(json!({ "groups": [] }))?;
    seen(&mesh, minutes, &none, 403, &gained).await?;

    // Deactivated: all that her token claims has gone.
    let both = token(json!({ "groups": ["audits", "payments"] }))?;
    scim.set_active(&alice, false).await?;
    mesh.await_status("/audits", Some(&both), 403).await?;
    let gone = [
        group("audits", &["alice"], &[]),
        group("payments", &["alice"], &[]),
    ];
    seen(&mesh, minutes, &both, 403, &gone).await?;
    mesh.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_compared_once_a_minute_in_each_worker_and_a_strangers_never() -> Result<()> {
    let mesh = listing().await?;
    let alice = mesh.acme.scim.create_user("alice", "alice-0001").await?;
    mesh.acme.scim.create_group("payments", &[&alice]).await?;
    let claims = json!({ "sub": "alice-0001", "groups": [] });
    let alice = mesh.acme.issuer.token_with(claims.clone())?;
    let stranger = mesh.stranger.token_with(claims)?;
    mesh.expect("/payments", Some(&stranger), 401).await?;
    mesh.await_status("/payments", Some(&alice), 200).await?;
    for _ in 0..3 {
        mesh.expect("/", Some(&alice), 200).await?;
        mesh.expect("/payments", Some(&stranger), 401).await?;
    }
    let gained = [group("payments", &[], &["alice"])];
    let report = seen(&mesh, &mut 0, &alice, 200, &gained).await?;
    assert_eq!(report.compared, 4);
    mesh.end().await
}
