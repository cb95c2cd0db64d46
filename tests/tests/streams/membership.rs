//! What the directory says of a user changes.

use std::time::Instant;

use anyhow::Result;

use crate::world::{World, all_cut, all_flow, streams_policy};

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_the_group_loses_what_is_open_and_nobody_else_does() -> Result<()> {
    let world = World::start(&streams_policy()).await?;
    let mut alices = world.open(&world.alice).await?;
    let mut bobs = world.open(&world.bob).await?;
    world
        .mesh
        .acme
        .scim
        .remove_member(&world.payments, &world.alice.id)
        .await?;
    let removed = Instant::now();
    all_cut(&mut alices).await?;
    println!(
        "{} requests cut after {:?}",
        alices.len(),
        removed.elapsed()
    );
    all_flow(&mut bobs).await?;
    for line in world.logged_cuts(alices.len()).await? {
        println!(
            "{} {} {} {} {} {}",
            line.get("path"),
            line.get("protocol"),
            line.get("status"),
            line.get("details"),
            line.get("flags"),
            line.get("reason")
        );
        assert_eq!(line.get("reason"), "unknown_subject");
    }
    all_flow(&mut bobs).await?;
    world.end().await
}
