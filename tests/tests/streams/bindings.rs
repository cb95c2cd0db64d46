//! The operator changes how tokens name users.

use anyhow::Result;

use crate::lane::Kind;
use crate::world::{World, all_cut, streams_policy};

#[tokio::test(flavor = "multi_thread")]
async fn without_its_binding_an_issuers_tokens_keep_nothing_open() -> Result<()> {
    let world = World::start(&streams_policy()).await?;
    let mut alices = world.open(&world.alice).await?;
    let issuer = world.mesh.acme.issuer.url();
    let binding = ["--tenant", "acme", "--issuer", issuer];
    let remove = [&["binding", "remove"], &binding[..]].concat();
    world.mesh.feeder.run(&remove).await?;
    all_cut(&mut alices).await?;
    for line in world.logged_cuts(alices.len()).await? {
        assert_eq!(line.get("reason"), "unknown_issuer");
    }
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_binding_that_reads_another_claim_ends_what_the_old_one_let_in() -> Result<()> {
    let world = World::start(&streams_policy()).await?;
    let mut alices = world.open_kind(Kind::Echo, &world.alice.token).await?;
    let issuer = world.mesh.acme.issuer.url();
    let set = ["binding", "set", "--tenant", "acme", "--issuer", issuer];
    let other = ["--claim", "upn", "--attribute", "externalId"];
    world.mesh.feeder.run(&[&set[..], &other].concat()).await?;
    all_cut(&mut alices).await?;
    world.end().await
}
