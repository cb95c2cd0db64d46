//! What others check of a SCIM service, on the real feeder: scim2-tester (by scim2-cli) and scim-sanity.

use anyhow::Result;
use reqwest::{Method, StatusCode};
use scimesh_tests::feeder::Feeder;
use scimesh_tests::scim::{PATCH_OP, Scim};
use scimesh_tests::suite::{self, Report};
use serde_json::json;
use tempfile::TempDir;

async fn tenant() -> Result<(TempDir, Feeder, Scim)> {
    let dir = tempfile::tempdir()?;
    let mut feeder = Feeder::new(dir.path())?;
    feeder.start().await?;
    let scim = feeder
        .create_tenant("acme", "https://idp.acme.example")
        .await?;
    Ok((dir, feeder, scim))
}

fn base(feeder: &Feeder) -> String {
    format!("http://{}/scim/v2", feeder.scim_address())
}

/// At least `count` checks were run, and those named `exceptions` failed, saying what is expected of them, and no others:
/// an exception that passes by now is one no more.
fn assert_conforms(report: &Report, count: usize, exceptions: &[(&str, &str)]) {
    assert!(
        report.checks.len() >= count,
        "only {} checks were run, not {count}:\n{}",
        report.checks.len(),
        report.output
    );
    let failed: Vec<_> = report
        .failed()
        .map(|check| (check.name.as_str(), check.told.trim_end()))
        .collect();
    assert_eq!(failed, exceptions, "the failed checks, the expected ones");
}

#[tokio::test(flavor = "multi_thread")]
async fn scim2_tester_is_content_with_every_check() -> Result<()> {
    let (_dir, mut feeder, scim) = tenant().await?;
    let report = suite::scim2_cli(&base(&feeder), scim.token()).await?;
    assert_conforms(&report, 135, &[]);
    feeder.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn scim_sanity_wants_nothing_but_200_for_the_patch_of_a_group() -> Result<()> {
    let (_dir, mut feeder, scim) = tenant().await?;
    let report = suite::scim_sanity(&base(&feeder), scim.token()).await?;
    // RFC 7644 section 3.5.2 leaves it to the server: 200 with the group, or 204. Entra ID wants 204, and so does every
    // reader of a large group. The one in the middle adds a member who does not exist, and would be content with 200.
    let exceptions = [
        (
            "PATCH /Groups/{id}",
            "Expected HTTP 200, got 204 (RFC 7644 §3.3); Response body is empty",
        ),
        ("PATCH /Groups/{id} add member", "Expected 200, got 400"),
        ("PATCH /Groups/{id} remove members", "Expected 200, got 204"),
    ];
    assert_conforms(&report, 28, &exceptions);

    // Somebody who does exist is added, with the 204 that the suite does not want either.
    let user = scim.create_user("ada", "ada-0001").await?;
    let group = scim.create_group("admins", &[]).await?;
    let add = json!({
        "schemas": [PATCH_OP],
        "Operations": [{ "op": "add", "path": "members", "value": [{ "value": user }] }],
    });
    let path = format!("/Groups/{group}");
    let answer = scim.send(Method::PATCH, &path, Some(&add)).await?;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    feeder.stop().await
}
