//! Nothing of a response has been sent when the request ends.

use anyhow::{Result, ensure};
use futures::future::try_join_all;
use scimesh_tests::envoy::Envoy;
use scimesh_tests::eventually::eventually;
use scimesh_tests::mesh::PATIENCE;

use crate::world::{World, streams_policy};

#[tokio::test(flavor = "multi_thread")]
async fn who_still_waits_for_an_answer_is_refused_like_anybody() -> Result<()> {
    let world = World::start(&streams_policy()).await?;
    let client = Envoy::fresh_connections()?;
    let asking = try_join_all((0..12).map(|_| {
        let request = client.get(world.mesh.envoy.url("/silence"));
        world.mesh.envoy.send(request, Some(&world.alice.token))
    }));
    let removing = async {
        let mut arrived = 0;
        eventually("the requests to arrive", PATIENCE, async || {
            let arrivals = world.mesh.upstream.take_arrivals();
            arrived += arrivals
                .iter()
                .filter(|line| line.contains("/silence"))
                .count();
            ensure!(arrived == 12, "{arrived}");
            Ok(())
        })
        .await?;
        let scim = &world.mesh.acme.scim;
        scim.remove_member(&world.payments, &world.alice.id).await
    };
    let (answers, removed) = tokio::join!(asking, removing);
    removed?;
    for answer in answers? {
        ensure!(answer.status == 403, "{}", answer.status);
        ensure!(
            answer.reason().as_deref() == Some("unknown_subject"),
            "{}",
            answer.body
        );
        let media_type = answer.headers.get("content-type");
        ensure!(media_type.is_some_and(|value| value == "application/problem+json"));
    }
    for line in world.logged_cuts(12).await? {
        assert_eq!(line.get("details"), "scimesh_unknown_subject");
        assert_eq!(line.get("reason"), "unknown_subject");
    }
    world.end().await
}
