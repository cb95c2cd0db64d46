//! What is shown live, with the times it took.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use scimesh_tests::probe::{Probe, Question};
use scimesh_tests::scim::PATCH_OP;
use scimesh_tests::wire::Connection;
use serde_json::json;

use crate::stage::Stage;

/// Connections that keep asking, for each worker of Envoy.
const LANES: usize = 2;
/// What the scenes ask for.
pub(crate) const REFUND: &str = "/accounts/7/refunds";

/// Plays them. Every answer that is not as announced ends the show with an error.
pub(crate) async fn play(stage: &Stage) -> Result<()> {
    changes(stage).await?;
    others(stage).await
}

/// One person's day, as her identity provider tells it.
async fn changes(stage: &Stage) -> Result<()> {
    let acme = &stage.acme;
    let anna = acme.loaded.people.first().context("Anna")?;
    let admins = format!("/Groups/{}", acme.group("payments-admins")?);
    let user = format!("/Users/{anna}");
    let question = Question {
        method: "POST",
        path: REFUND,
        token: acme.token(0)?,
    };

    println!(
        "\nAnna Berg is in payments-admins, which is in payments, which is in finance. She asks, without a pause,"
    );
    println!(
        "on {} connections over both workers: POST {REFUND}\n",
        LANES * 2
    );
    let start = Instant::now();
    let probe = Probe::start(&stage.envoy, &question, LANES).await?;
    probe.settled(200, start).await?;
    println!("  200  allowed");

    let remove = json!([{ "op": "remove", "path": format!("members[value eq \"{anna}\"]") }]);
    let add = json!([{ "op": "add", "path": "members", "value": [{ "value": anna }] }]);
    let active = |active: bool| json!([{ "op": "replace", "path": "active", "value": active }]);
    let script = [
        ("removed from the group", &admins, remove, 403),
        ("put back", &admins, add, 200),
        ("deactivated", &user, active(false), 403),
        ("activated again", &user, active(true), 200),
    ];
    let mut idp = Connection::open(stage.feeder.scim_address())?;
    for (what, path, operations, status) in script {
        let body = json!({ "schemas": [PATCH_OP], "Operations": operations }).to_string();
        let path = format!("/scim/v2{path}");
        let change = idp.exchange("PATCH", &path, acme.scim.token(), &body)?;
        ensure!(
            (200..300).contains(&change.status),
            "{what}: the feeder answered {}",
            change.status
        );
        let last = probe.settled(status, change.received).await?;
        println!(
            "  {}  SCIM PATCH: {what}, on disk and answered in {}",
            change.status,
            ms(change.received - change.sent)
        );
        let (verdict, other) = if status == 200 {
            ("allowed", "refusal")
        } else {
            ("refused", "allowed answer")
        };
        let last = if last.is_zero() {
            format!("no {other} came after the SCIM response")
        } else {
            format!("the last {other} came {} after the SCIM response", ms(last))
        };
        println!("  {status}  {verdict}; {last}");
    }
    Ok(())
}

/// Who is refused whatever happens to her.
async fn others(stage: &Stage) -> Result<()> {
    let acme = &stage.acme;
    println!("\nOthers, the same request:\n");
    for (who, token, status) in [
        ("no token", None, 401),
        (
            "Dora Berg, in payments-admins, but a contractor",
            Some(acme.token(3)?),
            403,
        ),
        (
            "globex' number 1001, in globex' payments-admins",
            Some(stage.globex.token(0)?),
            401,
        ),
    ] {
        let answer = stage
            .envoy
            .request(Method::POST, REFUND, token.as_deref())
            .await?;
        ensure!(
            answer.status == status,
            "{who}: {} {}",
            answer.status,
            answer.body
        );
        let reason = answer.reason().unwrap_or_default();
        println!("  {status}  {who}: {reason}");
    }
    Ok(())
}

fn ms(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}
