//! A claim names somebody only if it is the very text that the binding asks for.

use anyhow::Result;
use scimesh_tests::issuer::Issuer;
use scimesh_tests::mesh::policy;
use scimesh_tests::scim::USER;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use crate::row::{Row, authorized};
use crate::siege::Siege;

fn claim_policy() -> Value {
    policy(json!([
        { "name": "open", "to": [{ "paths": ["/open"] }], "require": { "anyOf": ["active"] } },
        { "name": "rest", "to": [{ "paths": ["/{**}"] }], "require": { "anyOf": ["group:payments"] } },
    ]))
}

const ALLOWED: &str = "GET /x HTTP/1.1";
const NO_SUBJECT: &str = "401 no_subject";
const UNKNOWN: &str = "403 unknown_subject";
const NOT_PERMITTED: &str = "403 not_permitted";
const UNVERIFIED: &str = "401";

/// Eight bytes that are a text, and a number that Envoy hands over as the same eight bytes.
const SPELLED: [u8; 8] = *b"alice-3C";

/// An object that has its names in this order, and as often as they stand there.
struct Repeated(Vec<(&'static str, Value)>);

impl Serialize for Repeated {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

fn bearer(name: impl Into<String>, token: &str, expected: &str) -> Row {
    Row::new(name, authorized("/x", &format!("Bearer {token}")), expected)
}

/// Of an issuer whose claim `uid` is the externalId: Envoy itself looks at the type of `sub`.
fn values(issuer: &Issuer) -> Result<Vec<Row>> {
    let number = f64::from_le_bytes(SPELLED) as u64;
    let rows = [
        (json!("alice-3C"), ALLOWED),
        (json!("ren\u{e9}-0001"), ALLOWED),
        (json!("\u{1}"), ALLOWED),
        (json!(number), NO_SUBJECT),
        (json!(number.to_string()), UNKNOWN),
        (json!(1), NO_SUBJECT),
        (json!(true), NO_SUBJECT),
        (json!(false), NO_SUBJECT),
        (json!(null), NO_SUBJECT),
        (json!(""), NO_SUBJECT),
        (json!([]), NO_SUBJECT),
        (json!({}), NO_SUBJECT),
        (json!(["alice-3C"]), NO_SUBJECT),
        (json!(["alice-3C", "member-0001"]), NO_SUBJECT),
        (json!({ "alice-3C": true }), NO_SUBJECT),
        (json!({ "uid": "alice-3C" }), NO_SUBJECT),
        (json!("\0"), NO_SUBJECT),
        (json!("alice-3C\0"), NO_SUBJECT),
        (json!("\0alice-3C"), NO_SUBJECT),
        (json!("alice-3C\0mallory"), NO_SUBJECT),
        (json!("a".repeat(1024)), UNKNOWN),
        (json!("a".repeat(1025)), NO_SUBJECT),
        (json!(format!("alice-3C{}", " ".repeat(1100))), NO_SUBJECT),
        (json!(" alice-3C"), UNKNOWN),
        (json!("alice-3C "), UNKNOWN),
        (json!("alice-3C\n"), UNKNOWN),
        (json!("Alice-3C"), UNKNOWN),
        (json!("alice-3c"), UNKNOWN),
        (json!("alice-3"), UNKNOWN),
        (json!("*"), UNKNOWN),
        (json!("%"), UNKNOWN),
        (json!("alice-3C,member-0001"), UNKNOWN),
        // The same letters otherwise composed, and ones that look alike.
        (json!("rene\u{301}-0001"), UNKNOWN),
        (json!("\u{430}lice-3C"), UNKNOWN),
        (json!("\u{ff41}lice-3C"), UNKNOWN),
        (json!("alice\u{2010}3C"), UNKNOWN),
        (json!("alice-3C\u{200b}"), UNKNOWN),
        (json!("group:payments"), UNKNOWN),
    ];
    let mut all = Vec::new();
    for (value, expected) in rows {
        let name: String = format!("uid {value}").chars().take(60).collect();
        let token = issuer.token_with(json!({ "sub": "alice-3C", "uid": value }))?;
        all.push(bearer(name, &token, expected));
    }
    let without = issuer.token_with(json!({ "sub": "alice-3C", "UID": "alice-3C" }))?;
    all.push(bearer("no uid", &without, NO_SUBJECT));
    Ok(all)
}

/// Of acme's own issuer, whose `sub` is the externalId: what else the token says.
fn lies(issuer: &Issuer) -> Result<Vec<Row>> {
    let member = |more: Value| {
        let mut claims = json!({ "sub": "member-0001" });
        if let (Some(claims), Value::Object(more)) = (claims.as_object_mut(), more) {
            claims.extend(more);
        }
        issuer.token_with(claims)
    };
    let guest = |more: &[(&str, Value)]| {
        let mut claims = json!({ "sub": "guest-0001" });
        for (name, value) in more {
            claims[*name] = value.clone();
        }
        issuer.token_with(claims)
    };
    let twice = |first: &str, second: &str| {
        let claims = Repeated(vec![
            ("iss", json!(issuer.url())),
            ("exp", json!(4_000_000_000u32)),
            ("sub", json!(first)),
            ("sub", json!(second)),
        ]);
        issuer.sign(&issuer.header(), &claims)
    };
    let mut rows = Vec::new();
    for (name, value) in [
        ("groups", json!(["payments"])),
        ("group", json!("payments")),
        ("roles", json!(["payments"])),
        ("externalId", json!("member-0001")),
        ("uid", json!("member-0001")),
        ("email", json!("member@acme.example")),
        ("preferred_username", json!("member")),
        ("tenant", json!("acme")),
        ("admin", json!(true)),
        ("scimesh_verdict", json!("allow")),
        ("act", json!({ "sub": "member-0001" })),
        ("SUB", json!("member-0001")),
        ("sub\0", json!("member-0001")),
        ("sub.sub", json!("member-0001")),
    ] {
        let label = format!("a guest who says {}", name.escape_debug());
        rows.push(bearer(label, &guest(&[(name, value)])?, NOT_PERMITTED));
    }
    for sub in [
        json!(1),
        json!(true),
        json!(null),
        json!(["member-0001"]),
        json!({ "member-0001": 1 }),
    ] {
        let token = issuer.token_with(json!({ "sub": sub }))?;
        rows.push(bearer(format!("sub {sub}"), &token, UNVERIFIED));
    }
    let overage = json!({
        "_claim_names": { "groups": "src1" },
        "_claim_sources": { "src1": { "endpoint": "https://graph.example/users/1/getMemberObjects" } },
    });
    let deep = (0..60).fold(json!(1), |inner, _| json!([inner]));
    rows.extend([
        bearer("sub with NUL", &issuer.token("member-0001\0")?, NO_SUBJECT),
        bearer("sub empty", &issuer.token("")?, NO_SUBJECT),
        bearer("sub in capitals", &issuer.token("MEMBER-0001")?, UNKNOWN),
        bearer(
            "a member with too many groups for a token",
            &member(overage)?,
            ALLOWED,
        ),
        bearer(
            "a member who is in no group, as the token says",
            &member(json!({ "groups": [] }))?,
            ALLOWED,
        ),
        bearer(
            "a member, and nested lists",
            &member(json!({ "x": deep }))?,
            ALLOWED,
        ),
        bearer(
            "a member, and a thousand claims",
            &member((0..1000).map(|n| (format!("x{n}"), json!(n))).collect())?,
            ALLOWED,
        ),
        bearer(
            "the guest's sub, then the member's",
            &twice("guest-0001", "member-0001")?,
            UNVERIFIED,
        ),
        bearer(
            "the member's sub, then the guest's",
            &twice("member-0001", "guest-0001")?,
            UNVERIFIED,
        ),
    ]);
    Ok(rows)
}

/// Of an issuer whose `email` is an address in the directory.
fn addresses(issuer: &Issuer) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    let address = "member@acme.example";
    for (email, verified, expected) in [
        (json!(address), json!(true), ALLOWED),
        (json!(address), json!("true"), NO_SUBJECT),
        (json!(address), json!("True"), NO_SUBJECT),
        (json!(address), json!("\u{1}"), NO_SUBJECT),
        (json!(address), json!(1), NO_SUBJECT),
        (json!(address), json!(false), NO_SUBJECT),
        (json!(address), json!(null), NO_SUBJECT),
        (json!(address), json!([true]), NO_SUBJECT),
        (json!(address), json!({ "true": true }), NO_SUBJECT),
        (json!([address]), json!(true), NO_SUBJECT),
        (json!("Member@acme.example"), json!(true), UNKNOWN),
        (json!("member@ACME.example"), json!(true), UNKNOWN),
        (json!("member+x@acme.example"), json!(true), UNKNOWN),
        (json!("<member@acme.example>"), json!(true), UNKNOWN),
        (json!("mailto:member@acme.example"), json!(true), UNKNOWN),
        (json!("member@acme.example."), json!(true), UNKNOWN),
        (json!("member-0001"), json!(true), UNKNOWN),
        (json!("shared@acme.example"), json!(true), UNKNOWN),
    ] {
        let name = format!("email {email}, verified {verified}");
        let claims = json!({ "sub": "x", "email": email, "email_verified": verified });
        rows.push(bearer(name, &issuer.token_with(claims)?, expected));
    }
    let unsaid = issuer.token_with(json!({ "sub": "x", "email": address }))?;
    rows.push(bearer("an email, verified or not", &unsaid, NO_SUBJECT));
    Ok(rows)
}

/// Of an issuer whose claim has a name that could be taken for a path.
fn names(issuer: &Issuer, claim: &str) -> Result<Vec<Row>> {
    let member = json!("member-0001");
    let mut rows = Vec::new();
    for (claims, expected) in [
        (json!({ claim: member }), ALLOWED),
        (
            json!({ "https://acme": { "example/uid": member } }),
            NO_SUBJECT,
        ),
        (
            json!({ "https:": { "": { "acme.example": { "uid": member } } } }),
            NO_SUBJECT,
        ),
        (
            json!({ "https://acme.example": { "uid": member } }),
            NO_SUBJECT,
        ),
        (json!({ "uid": member }), NO_SUBJECT),
        (json!({ claim: { claim: member } }), NO_SUBJECT),
    ] {
        let mut all = json!({ "sub": "member-0001" });
        if let (Some(all), Value::Object(claims)) = (all.as_object_mut(), claims.clone()) {
            all.extend(claims);
        }
        let token = issuer.token_with(all)?;
        rows.push(bearer(format!("{claims}"), &token, expected));
    }
    Ok(rows)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_names_somebody_only_to_the_letter() -> Result<()> {
    let siege = Siege::lay(&claim_policy(), |_| Ok(())).await?;
    let scim = &siege.mesh.acme.scim;
    for (name, id) in [
        ("alice", std::str::from_utf8(&SPELLED)?),
        ("ren\u{e9}", "ren\u{e9}-0001"),
        ("one", "\u{1}"),
        ("truth", "true"),
    ] {
        let user = scim.create_user(name, id).await?;
        scim.add_member(&siege.payments, &user).await?;
    }
    for (name, address) in [
        ("mail", "member@acme.example"),
        ("twin", "shared@acme.example"),
        ("other-twin", "shared@acme.example"),
    ] {
        let user = json!({
            "schemas": [USER], "userName": name, "externalId": name, "active": true,
            "emails": [{ "value": address }],
        });
        let user = scim.create("/Users", &user).await?;
        scim.add_member(&siege.payments, &user).await?;
    }
    let uid = &siege.mesh.stranger;
    siege.bind(uid, &["--claim", "uid"]).await?;
    siege
        .await_status(&uid.token_with(json!({ "uid": "alice-3C" }))?, 200)
        .await?;
    siege.withstand(&values(uid)?)?;
    siege.withstand(&lies(&siege.mesh.acme.issuer)?)?;

    // The other issuers of this mesh, under other bindings.
    let email = &siege.mesh.globex.issuer;
    siege
        .mesh
        .feeder
        .run(&["binding", "remove", "--tenant", "globex"])
        .await?;
    siege
        .bind(email, &["--claim", "email", "--attribute", "email"])
        .await?;
    let token =
        email.token_with(json!({ "email": "member@acme.example", "email_verified": true }))?;
    siege.await_status(&token, 200).await?;
    siege.withstand(&addresses(email)?)?;

    let claim = "https://acme.example/uid";
    siege.bind(uid, &["--claim", claim]).await?;
    siege
        .await_status(&uid.token_with(json!({ claim: "member-0001" }))?, 200)
        .await?;
    siege.withstand(&names(uid, claim)?)?;
    siege.end().await
}
