//! A name that passes to somebody else opens nothing for a while: tokens made for the former holder do not become the next one.

use anyhow::Result;
use scimesh_tests::mesh::{Mesh, payments_policy};
use scimesh_tests::scim::USER;
use serde_json::json;

/// Acme's users are known by userName to their own issuer, and by a verified address to another one.
async fn named_by_what_passes(mesh: &Mesh) -> Result<()> {
    for (issuer, claim, attribute) in [
        (mesh.acme.issuer.url(), "preferred_username", "userName"),
        (mesh.stranger.url(), "email", "email"),
    ] {
        let binding = ["binding", "set", "--tenant", "acme", "--issuer", issuer];
        let names = ["--claim", claim, "--attribute", attribute];
        mesh.feeder.run(&[&binding[..], &names].concat()).await?;
    }
    Ok(())
}

async fn employ(mesh: &Mesh, name: &str, external_id: &str) -> Result<String> {
    let user = json!({
        "schemas": [USER], "userName": name, "externalId": external_id, "active": true,
        "emails": [{ "value": format!("{name}@acme.example") }],
    });
    mesh.acme.scim.create("/Users", &user).await
}

/// Tokens for whoever has this userName, and for whoever has this address.
fn tokens(mesh: &Mesh, name: &str) -> Result<[String; 2]> {
    let by_name = json!({ "sub": "x", "preferred_username": name });
    let email = format!("{name}@acme.example");
    let by_email = json!({ "sub": "x", "email": email, "email_verified": true });
    Ok([
        mesh.acme.issuer.token_with(by_name)?,
        mesh.stranger.token_with(by_email)?,
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_one_of_the_name_is_nobody_until_the_hold_ends() -> Result<()> {
    let mut mesh = Mesh::start(&payments_policy()).await?;
    named_by_what_passes(&mesh).await?;
    let alice = employ(&mesh, "alice", "alice-0001").await?;
    let payments = mesh.acme.scim.create_group("payments", &[&alice]).await?;
    let old = tokens(&mesh, "alice")?;
    for token in &old {
        mesh.await_status("/payments", Some(token), 200).await?;
    }

    // Alice leaves; another Alice comes, gets her name and her address, and is in the same group.
    mesh.acme.scim.delete(&format!("/Users/{alice}")).await?;
    let next = employ(&mesh, "alice", "alice-0002").await?;
    mesh.acme.scim.add_member(&payments, &next).await?;
    // Bob comes by the same push; when he is in, so is all that was pushed before him.
    let bob = employ(&mesh, "bob", "bob-0001").await?;
    mesh.acme.scim.add_member(&payments, &bob).await?;
    for token in &tokens(&mesh, "bob")? {
        mesh.await_status("/payments", Some(token), 200).await?;
    }
    mesh.upstream.take_arrivals();
    let new = tokens(&mesh, "alice")?;
    for token in old.iter().chain(&new) {
        for path in ["/payments", "/other"] {
            let refusal = mesh.expect(path, Some(token), 403).await?;
            assert_eq!(refusal.reason().as_deref(), Some("unknown_subject"));
        }
    }
    assert_eq!(mesh.upstream.take_arrivals().len(), 0);

    // The operator knows that no token of the first Alice is left, and vouches for the name.
    let release = ["hold", "release", "--tenant", "acme", "--value", "alice"];
    let name = [&release[..], &["--attribute", "userName"]].concat();
    mesh.feeder.run(&name).await?;
    let [by_name, by_email] = &new;
    mesh.await_status("/payments", Some(by_name), 200).await?;
    mesh.expect("/payments", Some(by_email), 403).await?;

    // The address is held over a restart, and until its time has come.
    mesh.feeder.stop().await?;
    mesh.feeder.start().await?;
    let carol = employ(&mesh, "carol", "carol-0001").await?;
    mesh.acme.scim.add_member(&payments, &carol).await?;
    let [carols, _] = tokens(&mesh, "carol")?;
    mesh.await_status("/payments", Some(&carols), 200).await?;
    mesh.expect("/payments", Some(by_email), 403).await?;
    mesh.feeder.stop().await?;
    mesh.feeder.start_with(&["--name-hold", "1s"]).await?;
    mesh.await_status("/payments", Some(by_email), 200).await?;
    mesh.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_person_is_known_by_the_name_at_once() -> Result<()> {
    let mesh = Mesh::start(&payments_policy()).await?;
    named_by_what_passes(&mesh).await?;
    let alice = employ(&mesh, "alice", "alice-0001").await?;
    let payments = mesh.acme.scim.create_group("payments", &[&alice]).await?;
    let tokens = tokens(&mesh, "alice")?;
    for token in &tokens {
        mesh.await_status("/payments", Some(token), 200).await?;
    }
    // Her identity provider does not update, it deletes and creates again.
    mesh.acme.scim.delete(&format!("/Users/{alice}")).await?;
    for token in &tokens {
        mesh.await_status("/payments", Some(token), 403).await?;
    }
    let again = employ(&mesh, "alice", "alice-0001").await?;
    mesh.acme.scim.add_member(&payments, &again).await?;
    for token in &tokens {
        mesh.await_status("/payments", Some(token), 200).await?;
    }
    mesh.end().await
}
