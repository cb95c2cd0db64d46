//! Whoever one is elsewhere, or was here before, helps nobody.

use anyhow::Result;
use scimesh_tests::mesh::policy;
use serde_json::{Value, json};

use crate::row::{Row, authorized};
use crate::siege::Siege;

fn tenant_policy() -> Value {
    let rule = |name: &str, require: Value| json!({ "name": name, "to": [{ "paths": [format!("/{name}")] }], "require": require });
    policy(json!([
        rule("twins", json!({ "anyOf": ["group:twins"] })),
        rule("no-twins", json!({ "noneOf": ["group:twins"] })),
        rule("ghosts", json!({ "anyOf": ["active"], "allOf": ["group:ghosts"] })),
        rule("no-ghosts", json!({ "noneOf": ["group:ghosts"] })),
        rule("no-payments", json!({ "noneOf": ["group:payments"] })),
        { "name": "rest", "to": [{ "paths": ["/{**}"] }], "require": { "anyOf": ["group:payments"] } },
    ]))
}

const ALLOWED: &str = "GET /x HTTP/1.1";
const UNKNOWN_ISSUER: &str = "401 unknown_issuer";
const UNKNOWN: &str = "403 unknown_subject";
const NOT_PERMITTED: &str = "403 not_permitted";

fn bearer(name: impl Into<String>, token: &str, expected: &str) -> Row {
    Row::new(name, authorized("/x", &format!("Bearer {token}")), expected)
}

/// Globex has a member of the same name and number, in a group of the same name; and carol, whom acme has not.
async fn elsewhere(siege: &Siege) -> Result<Vec<Row>> {
    let (acme, globex) = (&siege.mesh.acme, &siege.mesh.globex);
    let member = globex.scim.create_user("member", "member-0001").await?;
    let guest = globex.scim.create_user("guest", "guest-0001").await?;
    let carol = globex.scim.create_user("carol", "carol-0001").await?;
    let all = [member.as_str(), &guest, &carol];
    globex.scim.create_group("payments", &all).await?;
    Ok(vec![
        bearer(
            "the member's namesake",
            &globex.issuer.token("member-0001")?,
            UNKNOWN_ISSUER,
        ),
        bearer(
            "carol, of globex",
            &globex.issuer.token("carol-0001")?,
            UNKNOWN_ISSUER,
        ),
        bearer(
            "carol, as one of acme's",
            &acme.issuer.token("carol-0001")?,
            UNKNOWN,
        ),
        bearer(
            "globex's member by id",
            &acme.issuer.token(&member)?,
            UNKNOWN,
        ),
        bearer(
            "acme's member by id",
            &acme.issuer.token(&siege.member)?,
            UNKNOWN,
        ),
        bearer(
            "a guest whose namesake is a member",
            &acme.issuer.token("guest-0001")?,
            NOT_PERMITTED,
        ),
        bearer(
            "the member of an issuer that nobody has bound",
            &siege.mesh.stranger.token("member-0001")?,
            UNKNOWN_ISSUER,
        ),
        bearer(
            "a token that says which tenant it is for",
            &globex
                .issuer
                .token_with(json!({ "sub": "member-0001", "tenant": "acme", "tid": "acme" }))?,
            UNKNOWN_ISSUER,
        ),
    ])
}

/// Both tenants have users of one issuer, told apart by `tid`.
async fn shared(siege: &Siege) -> Result<Vec<Row>> {
    let issuer = &siege.mesh.stranger;
    for tenant in ["acme", "globex"] {
        let pin = format!("tid={tenant}");
        let set = [
            "binding",
            "set",
            "--tenant",
            tenant,
            "--issuer",
            issuer.url(),
            "--pin",
            &pin,
        ];
        siege.mesh.feeder.run(&set).await?;
    }
    let with = |sub: &str, tid: Value| issuer.token_with(json!({ "sub": sub, "tid": tid }));
    siege
        .await_status(&with("member-0001", json!("acme"))?, 200)
        .await?;
    let mut rows = vec![
        bearer(
            "the right tid",
            &with("member-0001", json!("acme"))?,
            ALLOWED,
        ),
        bearer("no tid", &issuer.token("member-0001")?, UNKNOWN_ISSUER),
        bearer(
            "carol with acme's tid",
            &with("carol-0001", json!("acme"))?,
            UNKNOWN,
        ),
        bearer(
            "another claim for tid",
            &issuer.token_with(json!({ "sub": "member-0001", "TID": "acme", "tid.": "acme" }))?,
            UNKNOWN_ISSUER,
        ),
    ];
    for tid in [
        json!("globex"),
        json!("Acme"),
        json!("acme "),
        json!(" acme"),
        json!("acme\0"),
        json!("acm"),
        json!(""),
        json!("*"),
        json!("acme,globex"),
        json!(null),
        json!(true),
        json!(7),
        json!(["acme"]),
        json!(["acme", "globex"]),
        json!({ "acme": "acme" }),
    ] {
        rows.push(bearer(
            format!("tid {tid}"),
            &with("member-0001", tid)?,
            UNKNOWN_ISSUER,
        ));
    }
    Ok(rows)
}

/// Those who were members until just now.
async fn formerly(siege: &Siege) -> Result<Vec<Row>> {
    let (acme, globex) = (&siege.mesh.acme, &siege.mesh.globex);
    let mut ids = Vec::new();
    for name in ["leaver", "sleeper", "goner", "mover"] {
        let id = acme.scim.create_user(name, &format!("{name}-0001")).await?;
        acme.scim.add_member(&siege.payments, &id).await?;
        siege
            .await_status(&acme.issuer.token(&format!("{name}-0001"))?, 200)
            .await?;
        ids.push(id);
    }
    let [leaver, sleeper, goner, mover] = ids.as_slice() else {
        anyhow::bail!("four users");
    };
    acme.scim.remove_member(&siege.payments, leaver).await?;
    acme.scim.set_active(sleeper, false).await?;
    acme.scim.delete(&format!("/Users/{goner}")).await?;
    acme.scim.delete(&format!("/Users/{mover}")).await?;
    globex.scim.create_user("mover", "mover-0001").await?;
    let mut rows = Vec::new();
    for (name, expected) in [
        ("leaver", NOT_PERMITTED),
        ("sleeper", UNKNOWN),
        ("goner", UNKNOWN),
        ("mover", UNKNOWN),
    ] {
        let token = acme.issuer.token(&format!("{name}-0001"))?;
        siege.await_status(&token, 403).await?;
        rows.push(bearer(name, &token, expected));
    }
    rows.push(bearer(
        "mover, from where they are now",
        &globex.issuer.token("mover-0001")?,
        UNKNOWN_ISSUER,
    ));
    Ok(rows)
}

/// Two groups of one name, and one that does not exist: they help nobody in, and nobody out of a `noneOf`.
async fn unresolved(siege: &Siege) -> Result<Vec<Row>> {
    let scim = &siege.mesh.acme.scim;
    let guest = scim.create_user("twin", "twin-0001").await?;
    scim.create_group("twins", &[&siege.member, &guest]).await?;
    let token = siege.mesh.acme.issuer.token("twin-0001")?;
    siege.mesh.await_status("/twins", Some(&token), 200).await?;
    scim.create_group("twins", &[&siege.member]).await?;
    siege.mesh.await_status("/twins", Some(&token), 403).await?;
    siege.recorder.take();
    let row = |name: &str, target: &str, token: &str, expected: &str| {
        Row::new(
            name,
            authorized(target, &format!("Bearer {token}")),
            expected,
        )
    };
    Ok(vec![
        row("two groups of the name", "/twins", "$member", NOT_PERMITTED),
        row("in neither of them", "/no-twins", "$guest", NOT_PERMITTED),
        row("no group of the name", "/ghosts", "$member", NOT_PERMITTED),
        row("in no such group", "/no-ghosts", "$member", NOT_PERMITTED),
        row(
            "in a group that is excluded",
            "/no-payments",
            "$member",
            NOT_PERMITTED,
        ),
        row(
            "in none that is",
            "/no-payments",
            "$guest",
            "GET /no-payments HTTP/1.1",
        ),
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn who_one_is_elsewhere_or_was_before_helps_nobody() -> Result<()> {
    let siege = Siege::lay(&tenant_policy(), |_| Ok(())).await?;
    siege.withstand(&elsewhere(&siege).await?)?;
    siege.withstand(&shared(&siege).await?)?;
    siege.withstand(&formerly(&siege).await?)?;
    siege.withstand(&unresolved(&siege).await?)?;
    siege.end().await
}
