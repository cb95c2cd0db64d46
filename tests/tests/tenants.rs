//! Tenants and identity providers never mix, whatever their users call themselves.

use anyhow::Result;
use scimesh_tests::mesh::{Mesh, payments_policy};
use scimesh_tests::scim::USER;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn the_same_sub_from_the_other_tenants_issuer_is_somebody_else() -> Result<()> {
    let mesh = Mesh::start(&payments_policy()).await?;
    let alice = mesh.acme.scim.create_user("alice", "alice-0001").await?;
    mesh.acme.scim.create_group("payments", &[&alice]).await?;
    mesh.await_status(
        "/payments",
        Some(&mesh.acme.issuer.token("alice-0001")?),
        200,
    )
    .await?;
    mesh.upstream.take_arrivals();

    // Before globex has anybody of that name, and after it has one, in a group of the same name.
    let theirs = mesh.globex.issuer.token("alice-0001")?;
    let refusal = mesh.expect("/payments", Some(&theirs), 401).await?;
    assert_eq!(refusal.reason().as_deref(), Some("unknown_issuer"));
    let user = mesh.globex.scim.create_user("alice", "alice-0001").await?;
    mesh.globex.scim.create_group("payments", &[&user]).await?;
    let carol = mesh.globex.scim.create_user("carol", "carol-0001").await?;
    mesh.globex.scim.create_group("more", &[&carol]).await?;

    // Something of acme's own, pushed later, has arrived: so has whatever globex' push was going to change.
    let bob = mesh.acme.scim.create_user("bob", "bob-0001").await?;
    let bobs = mesh.acme.issuer.token("bob-0001")?;
    mesh.await_status("/other", Some(&bobs), 200).await?;
    mesh.upstream.take_arrivals();
    mesh.expect("/payments", Some(&theirs), 401).await?;
    mesh.expect("/other", Some(&theirs), 401).await?;
    mesh.expect(
        "/payments",
        Some(&mesh.globex.issuer.token("carol-0001")?),
        401,
    )
    .await?;

    // A subject that only globex has, in its group of the same name, is nobody in acme either.
    mesh.expect(
        "/payments",
        Some(&mesh.acme.issuer.token("carol-0001")?),
        403,
    )
    .await?;
    assert_eq!(mesh.upstream.take_arrivals().len(), 0);

    // And their deletions are not ours.
    mesh.globex.scim.delete(&format!("/Users/{user}")).await?;
    mesh.acme.scim.delete(&format!("/Users/{bob}")).await?;
    mesh.await_status("/other", Some(&bobs), 403).await?;
    mesh.expect(
        "/payments",
        Some(&mesh.acme.issuer.token("alice-0001")?),
        200,
    )
    .await?;
    mesh.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_under_one_binding_is_no_name_under_another() -> Result<()> {
    let mesh = Mesh::start(&payments_policy()).await?;
    let scim = &mesh.acme.scim;
    // acme's second identity provider names users by a verified address.
    let by_email = [
        "binding",
        "set",
        "--tenant",
        "acme",
        "--issuer",
        mesh.stranger.url(),
        "--claim",
        "email",
        "--attribute",
        "email",
    ];
    mesh.feeder.run(&by_email).await?;
    let alice = scim
        .create(
            "/Users",
            &json!({
                "schemas": [USER], "userName": "alice", "externalId": "alice-0001", "active": true,
                "emails": [{ "value": "alice@acme.example" }],
            }),
        )
        .await?;
    scim.create_group("payments", &[&alice]).await?;
    // Mallory chose her address: it is what Alice's `sub` is.
    scim.create(
        "/Users",
        &json!({
            "schemas": [USER], "userName": "mallory", "externalId": "mallory-0001", "active": true,
            "emails": [{ "value": "alice-0001" }],
        }),
    )
    .await?;
    let by_email = |email: &str| {
        mesh.stranger
            .token_with(json!({ "sub": "x", "email": email, "email_verified": true }))
    };
    mesh.await_status(
        "/payments",
        Some(&mesh.acme.issuer.token("alice-0001")?),
        200,
    )
    .await?;
    mesh.await_status("/payments", Some(&by_email("alice@acme.example")?), 200)
        .await?;
    mesh.await_status("/other", Some(&by_email("alice-0001")?), 200)
        .await?;
    mesh.upstream.take_arrivals();

    // Each provider's tokens are read by its own binding only.
    mesh.expect("/payments", Some(&by_email("alice-0001")?), 403)
        .await?;
    mesh.expect(
        "/payments",
        Some(&mesh.acme.issuer.token("alice@acme.example")?),
        403,
    )
    .await?;
    mesh.expect("/payments", Some(&mesh.stranger.token("alice-0001")?), 401)
        .await?;
    let both =
        json!({ "sub": "alice-0001", "email": "mallory@acme.example", "email_verified": true });
    mesh.expect("/payments", Some(&mesh.stranger.token_with(both)?), 403)
        .await?;

    // An address that the provider has not verified names nobody.
    for unverified in [
        json!({ "email": "alice@acme.example" }),
        json!({ "email": "alice@acme.example", "email_verified": false }),
    ] {
        mesh.expect(
            "/payments",
            Some(&mesh.stranger.token_with(unverified)?),
            401,
        )
        .await?;
    }
    assert_eq!(mesh.upstream.take_arrivals().len(), 0);
    mesh.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn tenants_that_share_an_issuer_are_told_apart_by_their_pin() -> Result<()> {
    let mesh = Mesh::start(&payments_policy()).await?;
    for (tenant, pin) in [("acme", "org=acme"), ("globex", "org=globex")] {
        mesh.feeder
            .run(&[
                "binding",
                "set",
                "--tenant",
                tenant,
                "--issuer",
                mesh.stranger.url(),
                "--claim",
                "sub",
                "--attribute",
                "externalId",
                "--pin",
                pin,
            ])
            .await?;
    }
    let alice = mesh.acme.scim.create_user("alice", "alice-0001").await?;
    mesh.acme.scim.create_group("payments", &[&alice]).await?;
    let with = |org: serde_json::Value| {
        mesh.stranger
            .token_with(json!({ "sub": "alice-0001", "org": org }))
    };
    mesh.await_status("/payments", Some(&with(json!("acme"))?), 200)
        .await?;
    mesh.upstream.take_arrivals();
    for other in [
        json!("globex"),
        json!("acme "),
        json!(["acme"]),
        json!(null),
        json!(""),
    ] {
        mesh.expect("/payments", Some(&with(other)?), 401).await?;
    }
    mesh.expect("/payments", Some(&mesh.stranger.token("alice-0001")?), 401)
        .await?;
    assert_eq!(mesh.upstream.take_arrivals().len(), 0);

    // The binding goes, and with it everybody whom it named.
    mesh.feeder
        .run(&[
            "binding",
            "remove",
            "--tenant",
            "acme",
            "--issuer",
            mesh.stranger.url(),
            "--pin",
            "org=acme",
        ])
        .await?;
    mesh.await_status("/payments", Some(&with(json!("acme"))?), 401)
        .await?;
    mesh.expect(
        "/payments",
        Some(&mesh.acme.issuer.token("alice-0001")?),
        200,
    )
    .await?;
    mesh.end().await
}
