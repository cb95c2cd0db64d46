//! What the identity provider says of a user decides the user's next request, with a token that stays valid throughout.

use anyhow::Result;
use scimesh_tests::mesh::{Mesh, payments_policy};

#[tokio::test(flavor = "multi_thread")]
async fn a_user_removed_from_the_group_is_refused_and_put_back_is_allowed() -> Result<()> {
    let mesh = Mesh::start(&payments_policy()).await?;
    let alice = mesh.acme.scim.create_user("alice", "alice-0001").await?;
    let payments = mesh.acme.scim.create_group("payments", &[&alice]).await?;
    let token = mesh.acme.issuer.token("alice-0001")?;
    mesh.await_status("/payments", Some(&token), 200).await?;

    mesh.acme.scim.remove_member(&payments, &alice).await?;
    let refusal = mesh.await_status("/payments", Some(&token), 403).await?;
    assert_eq!(refusal.reason().as_deref(), Some("not_permitted"));
    assert_eq!(refusal.headers["content-type"], "application/problem+json");

    // From here on nothing gets through, while what asks for no group still does.
    mesh.upstream.take_arrivals();
    mesh.expect("/payments", Some(&token), 403).await?;
    mesh.expect("/payments/7/", Some(&token), 403).await?;
    assert_eq!(mesh.upstream.take_arrivals().len(), 0);
    mesh.expect("/other", Some(&token), 200).await?;

    mesh.acme.scim.add_member(&payments, &alice).await?;
    mesh.await_status("/payments", Some(&token), 200).await?;
    mesh.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn membership_of_a_nested_group_ends_at_every_level() -> Result<()> {
    let mesh = Mesh::start(&payments_policy()).await?;
    let scim = &mesh.acme.scim;
    let alice = scim.create_user("alice", "alice-0001").await?;
    let oncall = scim.create_group("payments-oncall", &[&alice]).await?;
    let admins = scim.create_group("payments-admins", &[&oncall]).await?;
    let payments = scim.create_group("payments", &[&admins]).await?;
    let token = mesh.acme.issuer.token("alice-0001")?;
    mesh.await_status("/payments", Some(&token), 200).await?;

    for (group, member) in [(&oncall, &alice), (&admins, &oncall), (&payments, &admins)] {
        scim.remove_member(group, member).await?;
        mesh.await_status("/payments", Some(&token), 403).await?;
        scim.add_member(group, member).await?;
        mesh.await_status("/payments", Some(&token), 200).await?;
    }

    // A group between the user and the policy's group vanishes.
    scim.delete(&format!("/Groups/{admins}")).await?;
    mesh.await_status("/payments", Some(&token), 403).await?;
    mesh.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_way_into_the_group_counts_until_it_ends_too() -> Result<()> {
    let mesh = Mesh::start(&payments_policy()).await?;
    let scim = &mesh.acme.scim;
    let alice = scim.create_user("alice", "alice-0001").await?;
    let one = scim.create_group("one", &[&alice]).await?;
    let two = scim.create_group("two", &[&alice]).await?;
    scim.create_group("payments", &[&one, &two]).await?;
    let token = mesh.acme.issuer.token("alice-0001")?;
    mesh.await_status("/payments", Some(&token), 200).await?;

    scim.remove_member(&one, &alice).await?;
    // Bob comes by the same push; when he is in, so is all that was pushed before him.
    let bob = scim.create_user("bob", "bob-0001").await?;
    scim.add_member(&one, &bob).await?;
    let bobs = mesh.acme.issuer.token("bob-0001")?;
    mesh.await_status("/payments", Some(&bobs), 200).await?;
    mesh.expect("/payments", Some(&token), 200).await?;

    scim.remove_member(&two, &alice).await?;
    mesh.await_status("/payments", Some(&token), 403).await?;
    mesh.expect("/payments", Some(&bobs), 200).await?;
    mesh.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deactivated_user_may_nothing_until_activated_again() -> Result<()> {
    let mesh = Mesh::start(&payments_policy()).await?;
    let alice = mesh.acme.scim.create_user("alice", "alice-0001").await?;
    mesh.acme.scim.create_group("payments", &[&alice]).await?;
    let token = mesh.acme.issuer.token("alice-0001")?;
    mesh.await_status("/payments", Some(&token), 200).await?;

    mesh.acme.scim.set_active(&alice, false).await?;
    let refusal = mesh.await_status("/other", Some(&token), 403).await?;
    assert_eq!(refusal.reason().as_deref(), Some("unknown_subject"));
    mesh.expect("/payments", Some(&token), 403).await?;

    mesh.acme.scim.set_active(&alice, true).await?;
    mesh.await_status("/payments", Some(&token), 200).await?;
    mesh.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_user_or_group_opens_nothing() -> Result<()> {
    let mesh = Mesh::start(&payments_policy()).await?;
    let scim = &mesh.acme.scim;
    let alice = scim.create_user("alice", "alice-0001").await?;
    let bob = scim.create_user("bob", "bob-0001").await?;
    let payments = scim.create_group("payments", &[&alice, &bob]).await?;
    let alices = mesh.acme.issuer.token("alice-0001")?;
    let bobs = mesh.acme.issuer.token("bob-0001")?;
    mesh.await_status("/payments", Some(&alices), 200).await?;

    scim.delete(&format!("/Users/{alice}")).await?;
    mesh.await_status("/other", Some(&alices), 403).await?;
    mesh.expect("/payments", Some(&alices), 403).await?;
    mesh.expect("/payments", Some(&bobs), 200).await?;

    scim.delete(&format!("/Groups/{payments}")).await?;
    mesh.await_status("/payments", Some(&bobs), 403).await?;
    mesh.expect("/other", Some(&bobs), 200).await?;

    // A group of that name later is what the policy means again.
    scim.create_group("payments", &[&bob]).await?;
    mesh.await_status("/payments", Some(&bobs), 200).await?;
    mesh.expect("/payments", Some(&alices), 403).await?;
    mesh.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn two_groups_of_one_name_open_nothing() -> Result<()> {
    let mesh = Mesh::start(&payments_policy()).await?;
    let scim = &mesh.acme.scim;
    let alice = scim.create_user("alice", "alice-0001").await?;
    scim.create_group("payments", &[&alice]).await?;
    let token = mesh.acme.issuer.token("alice-0001")?;
    mesh.await_status("/payments", Some(&token), 200).await?;

    let twin = scim.create_group("payments", &[]).await?;
    mesh.await_status("/payments", Some(&token), 403).await?;
    scim.delete(&format!("/Groups/{twin}")).await?;
    mesh.await_status("/payments", Some(&token), 200).await?;
    mesh.end().await
}
