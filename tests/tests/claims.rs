//! Only a verified token whose claim is a plain string names anybody.

use anyhow::Result;
use reqwest::Method;
use scimesh_tests::issuer::Issuer;
use scimesh_tests::mesh::{Mesh, payments_policy};
use scimesh_tests::scim::USER;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn without_an_identity_there_is_no_way_in() -> Result<()> {
    let mesh = Mesh::start(&payments_policy()).await?;
    let alice = mesh.acme.scim.create_user("alice", "alice-0001").await?;
    mesh.acme.scim.create_group("payments", &[&alice]).await?;
    let token = mesh.acme.issuer.token("alice-0001")?;
    mesh.await_status("/payments", Some(&token), 200).await?;
    mesh.upstream.take_arrivals();

    let reason = mesh.expect("/payments", None, 401).await?.reason();
    assert_eq!(reason.as_deref(), Some("no_token"));
    // Verified, but from an issuer that no binding names.
    let stranger = mesh.stranger.token("alice-0001")?;
    let reason = mesh
        .expect("/payments", Some(&stranger), 401)
        .await?
        .reason();
    assert_eq!(reason.as_deref(), Some("unknown_issuer"));
    // From an issuer that jwt_authn itself does not know.
    let unknown = Issuer::new("https://idp.unknown.example")?.token("alice-0001")?;
    mesh.expect("/payments", Some(&unknown), 401).await?;
    // Forged: the right issuer, another key.
    let forged = Issuer::new(mesh.acme.issuer.url())?.token("alice-0001")?;
    mesh.expect("/payments", Some(&forged), 401).await?;
    // Verified, without the claim.
    let nameless = mesh
        .acme
        .issuer
        .token_with(json!({ "email": "alice-0001" }))?;
    let reason = mesh
        .expect("/payments", Some(&nameless), 401)
        .await?
        .reason();
    assert_eq!(reason.as_deref(), Some("no_subject"));
    assert_eq!(mesh.upstream.take_arrivals().len(), 0);

    // What is public needs none of it.
    mesh.expect("/health", None, 200).await?;
    mesh.expect("/health", Some(&stranger), 200).await?;
    mesh.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_that_is_no_plain_string_names_nobody() -> Result<()> {
    // Envoy hands a number over as the eight bytes of a double. These eight spell Alice's externalId, and the double
    // is a whole number below 2^53, so no JSON parser rounds it.
    let spelled = *b"alice-3C";
    let number = f64::from_le_bytes(spelled);
    assert!(number.fract() == 0.0 && number < 9_007_199_254_740_992.0);
    let number = number as u64;

    let mesh = Mesh::start(&payments_policy()).await?;
    let scim = &mesh.acme.scim;
    let alice = scim
        .create_user("alice", std::str::from_utf8(&spelled)?)
        .await?;
    let truth = scim.create_user("truth", "true").await?;
    let one = scim.create_user("one", "\u{1}").await?;
    scim.create_group("payments", &[&alice, &truth, &one])
        .await?;
    // Envoy itself refuses tokens whose `sub` is no string, so the other issuer's tokens name users by another claim.
    let other_claim = [
        "binding",
        "set",
        "--tenant",
        "acme",
        "--issuer",
        mesh.stranger.url(),
        "--claim",
        "uid",
    ];
    mesh.feeder.run(&other_claim).await?;
    let token = mesh.acme.issuer.token("alice-3C")?;
    let by_uid = mesh.stranger.token_with(json!({ "uid": "alice-3C" }))?;
    mesh.await_status("/payments", Some(&token), 200).await?;
    mesh.await_status("/payments", Some(&by_uid), 200).await?;
    mesh.upstream.take_arrivals();

    for value in [
        json!(number),
        json!(true),
        json!(false),
        json!(null),
        json!(""),
        json!(["alice-3C"]),
        json!({ "alice-3C": "alice-3C" }),
        json!("alice-3C\0"),
        json!("\0alice-3C"),
        json!("alice-3C\0mallory"),
    ] {
        let sub = mesh.acme.issuer.token_with(json!({ "sub": value }))?;
        let refusal = mesh.envoy.get("/payments", Some(&sub)).await?;
        assert_eq!(refusal.status, 401, "sub {value}: {}", refusal.body);
        let uid = mesh
            .stranger
            .token_with(json!({ "sub": "alice-3C", "uid": value }))?;
        let refusal = mesh.envoy.get("/payments", Some(&uid)).await?;
        assert_eq!(refusal.status, 401, "uid {value}: {}", refusal.body);
        assert_eq!(
            refusal.reason().as_deref(),
            Some("no_subject"),
            "uid {value}"
        );
    }
    for value in [" alice-3C", "ALICE-3C", "alice-3", "alice-3C ", "álice-3C"] {
        let token = mesh.acme.issuer.token(value)?;
        let refusal = mesh.envoy.get("/payments", Some(&token)).await?;
        assert_eq!(refusal.status, 403, "sub {value:?}: {}", refusal.body);
    }
    assert_eq!(mesh.upstream.take_arrivals().len(), 0);
    mesh.expect("/payments", Some(&token), 200).await?;
    mesh.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_header_harms_the_request_that_follows() -> Result<()> {
    let mesh = Mesh::start(&payments_policy()).await?;
    let alice = mesh.acme.scim.create_user("alice", "alice-0001").await?;
    mesh.acme.scim.create_group("payments", &[&alice]).await?;
    let token = mesh.acme.issuer.token("alice-0001")?;
    mesh.await_status("/payments", Some(&token), 200).await?;

    // One client for each: the harmless request goes over the same connection, to the same worker.
    for round in 0..20 {
        let client = reqwest::Client::new();
        for hostile in [
            vec![0xFF],
            vec![b'a'; 60 * 1024],
            b"caf\xE9\x80\xFE".to_vec(),
        ] {
            let request = client
                .request(Method::GET, mesh.envoy.url("/payments"))
                .header(
                    "x-note",
                    reqwest::header::HeaderValue::from_bytes(&hostile)?,
                );
            let answer = mesh.envoy.send(request, Some(&token)).await?;
            assert_eq!(answer.status, 200, "round {round}: {}", answer.body);
            let harmless = client.request(Method::GET, mesh.envoy.url("/payments"));
            assert_eq!(mesh.envoy.send(harmless, Some(&token)).await?.status, 200);
        }
        let request = client
            .request(Method::GET, mesh.envoy.url("/payments"))
            .header(
                "host",
                reqwest::header::HeaderValue::from_bytes(b"\xFF\xFE")?,
            );
        let answer = mesh.envoy.send(request, Some(&token)).await?;
        assert!([200, 400].contains(&answer.status), "{}", answer.body);
    }
    mesh.expect("/payments", Some(&token), 200).await?;
    mesh.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_leaves_its_groups_out_costs_nobody_access() -> Result<()> {
    let mesh = Mesh::start(&payments_policy()).await?;
    let scim = &mesh.acme.scim;
    let alice = scim.create_user("alice", "alice-0001").await?;
    let payments = scim.create_group("payments", &[&alice]).await?;
    scim.create_user("bob", "bob-0001").await?;
    // As Entra has it above 200 groups.
    let overage = |sub| {
        mesh.acme.issuer.token_with(json!({
            "sub": sub,
            "_claim_names": { "groups": "src1" },
            "_claim_sources": { "src1": {
                "endpoint": "https://graph.example/v1.0/users/alice/getMemberObjects",
            } },
        }))
    };
    let (alices, bobs) = (overage("alice-0001")?, overage("bob-0001")?);
    mesh.await_status("/payments", Some(&alices), 200).await?;
    let refusal = mesh.await_status("/payments", Some(&bobs), 403).await?;
    assert_eq!(refusal.reason().as_deref(), Some("not_permitted"));
    // What a token itself says of groups never counts.
    let boast = json!({ "sub": "bob-0001", "groups": ["payments"], "roles": ["payments"] });
    let boast = mesh.acme.issuer.token_with(boast)?;
    mesh.expect("/payments", Some(&boast), 403).await?;
    scim.remove_member(&payments, &alice).await?;
    mesh.await_status("/payments", Some(&alices), 403).await?;
    mesh.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_issuer_names_the_same_user_in_its_own_way() -> Result<()> {
    let mesh = Mesh::start(&payments_policy()).await?;
    let scim = &mesh.acme.scim;
    let user = json!({
        "schemas": [USER],
        "userName": "Alice@Corp.Example",
        "externalId": "alice-0001",
        "emails": [{ "value": "alice.k@corp.example", "type": "work", "primary": true }],
        "active": true,
    });
    let alice = scim.create("/Users", &user).await?;
    let payments = scim.create_group("payments", &[&alice]).await?;
    // By acme's issuer the externalId names her, by a second one her userName, by a third her email.
    let (second, third) = (&mesh.stranger, &mesh.globex.issuer);
    let remove = ["binding", "remove", "--tenant", "globex"];
    mesh.feeder.run(&remove).await?;
    for (issuer, claim, attribute, more) in [
        (second, "upn", "userName", &["--ignore-case"][..]),
        (third, "email", "emails.value", &[]),
    ] {
        let mut binding = vec!["binding", "set", "--tenant", "acme"];
        binding.extend(["--issuer", issuer.url(), "--claim", claim]);
        binding.extend(["--attribute", attribute]);
        binding.extend(more);
        mesh.feeder.run(&binding).await?;
    }
    let by_id = mesh.acme.issuer.token("alice-0001")?;
    let by_name = |name: &str| second.token_with(json!({ "sub": "x", "upn": name }));
    let by_email = |email: &str, verified: serde_json::Value| {
        third.token_with(json!({ "sub": "x", "email": email, "email_verified": verified }))
    };
    let names = [
        by_id.clone(),
        by_name("Alice@Corp.Example")?,
        by_name("aLICE@cORP.eXAMPLE")?,
        by_email("alice.k@corp.example", json!(true))?,
    ];
    for token in &names {
        mesh.await_status("/payments", Some(token), 200).await?;
    }
    mesh.upstream.take_arrivals();
    // What names her by one issuer names nobody by another. U+212A, the Kelvin sign, is no k, and a dotless i no i.
    for (token, status, word) in [
        (
            mesh.acme.issuer.token("ALICE-0001")?,
            403,
            "unknown_subject",
        ),
        (
            mesh.acme.issuer.token("Alice@Corp.Example")?,
            403,
            "unknown_subject",
        ),
        (by_name("alice-0001")?, 403, "unknown_subject"),
        (by_name("alice.k@corp.example")?, 403, "unknown_subject"),
        (by_name("Al\u{131}ce@Corp.Example")?, 403, "unknown_subject"),
        (
            by_email("Alice@Corp.Example", json!(true))?,
            403,
            "unknown_subject",
        ),
        (
            by_email("ALICE.K@corp.example", json!(true))?,
            403,
            "unknown_subject",
        ),
        (
            by_email("alice.\u{212A}@corp.example", json!(true))?,
            403,
            "unknown_subject",
        ),
        (
            by_email("alice.k@corp.example", json!("true"))?,
            401,
            "no_subject",
        ),
        (
            by_email("alice.k@corp.example", json!(false))?,
            401,
            "no_subject",
        ),
        (
            by_email("alice.k@corp.example", json!(1))?,
            401,
            "no_subject",
        ),
    ] {
        let refusal = mesh.expect("/payments", Some(&token), status).await?;
        assert_eq!(refusal.reason().as_deref(), Some(word), "{}", refusal.body);
    }
    assert_eq!(mesh.upstream.take_arrivals().len(), 0);
    // One push ends them all.
    scim.remove_member(&payments, &alice).await?;
    for token in &names {
        mesh.await_status("/payments", Some(token), 403).await?;
    }
    mesh.end().await
}
