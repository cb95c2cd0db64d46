//! What is nobody's business is in no log, no metric and, where it is a secret, in no file.

use std::fs;

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use scimesh_tests::eventually::eventually;
use scimesh_tests::mesh::{Mesh, PATIENCE, payments_policy};
use serde_json::json;

const PASSWORD: &str = "correct-horse-battery";
const EMAIL: &str = "alice.private@corp.example";

/// Fails, naming the place and not the secret, if a text has one of them.
fn keeps_quiet(place: &str, text: &[u8], secrets: &[(&str, &str)]) -> Result<()> {
    for (name, secret) in secrets {
        let there = text
            .windows(secret.len())
            .any(|part| part == secret.as_bytes());
        ensure!(!there, "{place} has the {name}");
    }
    Ok(())
}

#[tokio::test]
async fn no_token_password_or_email_is_in_logs_or_metrics_and_no_secret_on_disk() -> Result<()> {
    let mut mesh = Mesh::start(&payments_policy()).await?;
    mesh.feeder.stop().await?;
    mesh.feeder.start_with(&["--log-level", "trace"]).await?;
    let user = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "userName": "alice", "externalId": "alice-0001", "active": true, "password": PASSWORD,
        "emails": [{ "value": EMAIL, "primary": true }],
    });
    let alice = mesh.acme.scim.create("/Users", &user).await?;
    let token = mesh.acme.issuer.token("alice-0001")?;
    mesh.await_status("/rest", Some(&token), 200).await?;
    mesh.expect("/payments", Some(&token), 403).await?;
    // What is refused is not quoted either: an unknown attribute, a filter, a credential.
    let odd = json!({ "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "b", "e-mail": EMAIL, "passwort": PASSWORD });
    for (method, path, body) in [
        (Method::POST, "/Users".to_owned(), Some(&odd)),
        (
            Method::GET,
            format!("/Users?filter=emails.value%20eq%20%22{EMAIL}%22"),
            None,
        ),
        (
            Method::GET,
            format!("/Users?filter=password%20eq%20%22{PASSWORD}%22"),
            None,
        ),
        (Method::GET, format!("/Users/{EMAIL}"), None),
    ] {
        mesh.acme.scim.send(method, &path, body).await?;
    }
    let file = mesh.dir().join("token");
    fs::write(&file, &token)?;
    let file = file.display().to_string();
    mesh.feeder.run(&["explain", "--token", &file]).await?;
    mesh.acme.scim.set_active(&alice, false).await?;
    mesh.await_status("/rest", Some(&token), 403).await?;

    let scim_token = mesh.acme.scim.token().to_owned();
    let signature = token.rsplit('.').next().context("a signature")?;
    let secrets = [
        ("SCIM token", scim_token.as_str()),
        ("user's token", signature),
        ("password", PASSWORD),
    ];
    let private = [&secrets[..], &[("email", EMAIL)]].concat();
    let metrics = mesh.feeder.metrics().await?;
    ensure!(metrics.contains("scimesh_"), "no metrics to look at");
    keeps_quiet("/metrics", metrics.as_bytes(), &private)?;
    let stats = eventually("statistics to look at", PATIENCE, async || {
        let stats = format!("{:?}", mesh.envoy.stats("").await?);
        ensure!(stats.contains("requests_total"), "none of the filter's");
        Ok(stats)
    })
    .await?;
    keeps_quiet("/stats", stats.as_bytes(), &private)?;
    let log = mesh.feeder.log();
    ensure!(log.contains("SCIM request"), "no log to look at");
    keeps_quiet("the feeder's log", log.as_bytes(), &private)?;
    let log = mesh.envoy.process().log();
    keeps_quiet("Envoy's log", log.as_bytes(), &private)?;
    mesh.feeder.stop().await?;
    let mut looked_at = 0;
    for entry in fs::read_dir(mesh.feeder.data_dir())? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            let bytes = fs::read(entry.path())?;
            looked_at += bytes.len();
            keeps_quiet(&entry.file_name().to_string_lossy(), &bytes, &secrets)?;
        }
    }
    ensure!(looked_at > 10_000, "no database to look at");
    mesh.end().await
}
