//! With a policy that does not parse, Envoy does not start.

use anyhow::{Context, Result, ensure};
use scimesh_tests::bootstrap::{Bootstrap, Delivery};
use scimesh_tests::envoy::filter_config;
use scimesh_tests::issuer::Issuer;
use scimesh_tests::mesh::PATIENCE;
use scimesh_tests::{address, artifact};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::listeners::listed_policy;

#[tokio::test(flavor = "multi_thread")]
async fn with_a_policy_that_does_not_parse_envoy_does_not_start() -> Result<()> {
    let good = listed_policy();
    let with = |field: &str, value: Value| {
        let mut policy = good.clone();
        policy[field] = value;
        policy.to_string()
    };
    let both = json!([{ "name": "x", "to": [{ "paths": ["/x"] }], "allow": "PUBLIC", "require": { "anyOf": ["active"] } }]);
    for text in [
        "{ rules: ".to_owned(),
        with("maxStalness", json!("5m")),
        with("rules", json!([])),
        with("rules", both),
        with("mode", json!("shadow")),
    ] {
        let dir = tempfile::tempdir()?;
        let config = filter_config(&text, None)?;
        let bootstrap = Bootstrap {
            listen: address::free()?,
            admin: address::free()?,
            upstream: address::free()?,
            feed: None,
            issuers: &[Issuer::new("https://idp.acme.example")?],
            filter: Delivery::Static(&config),
            authority: None,
            principal: None,
        };
        let file = dir.path().join("envoy.json");
        std::fs::write(&file, bootstrap.to_json().to_string())?;
        let envoy = Command::new(artifact::envoy()?)
            .args(["--concurrency", "1", "--disable-hot-restart", "-c"])
            .arg(&file)
            .kill_on_drop(true)
            .output();
        let ended = tokio::time::timeout(PATIENCE, envoy).await;
        let ended = ended.with_context(|| format!("Envoy goes on with {text}"))??;
        let said = String::from_utf8_lossy(&ended.stderr);
        ensure!(
            !ended.status.success() && said.contains("scimesh: the policy"),
            "{text}: {said}"
        );
    }
    Ok(())
}
