//! What happens when Envoy has left the filter out, as it silently does on a worker where it fails to load.

use anyhow::Result;
use scimesh_tests::bootstrap::{Bootstrap, Delivery, nothing};
use scimesh_tests::envoy::Envoy;
use scimesh_tests::issuer::Issuer;
use scimesh_tests::upstream::Upstream;
use scimesh_tests::{address, artifact};

#[tokio::test(flavor = "multi_thread")]
async fn a_request_without_the_filters_verdict_goes_no_further() -> Result<()> {
    artifact::envoy()?;
    let dir = tempfile::tempdir()?;
    let upstream = Upstream::start(address::free()?).await?;
    let issuers = [
        Issuer::new("https://idp.acme.example")?,
        Issuer::new("https://idp.globex.example")?,
    ];
    let nothing = nothing();
    let bootstrap = Bootstrap {
        listen: address::free()?,
        admin: address::free()?,
        upstream: upstream.address(),
        feed: None,
        issuers: &issuers,
        filter: Delivery::Static(&nothing),
        authority: None,
        principal: None,
    };
    let mut envoy = Envoy::start(dir.path(), &bootstrap).await?;

    for token in [None, Some(issuers[1].token("anybody")?.as_str())] {
        let answer = envoy.get("/", token).await?;
        assert_eq!(answer.status, 403, "{}", answer.body);
        assert_eq!(answer.body, "RBAC: access denied");
    }
    // The token was good: jwt_authn itself refuses one that is not.
    let forged = Issuer::new(issuers[0].url())?.token("anybody")?;
    assert_eq!(envoy.get("/", Some(&forged)).await?.status, 401);
    assert_eq!(upstream.take_arrivals().len(), 0);
    envoy.stop().await
}
