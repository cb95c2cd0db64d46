//! CONNECT: bytes both ways, which no filter looks into.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use scimesh_tests::mesh::{Plan, with};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::world::{User, World, streams_policy};

const PATIENCE: Duration = Duration::from_secs(20);

/// Envoy opens tunnels to the service.
fn tunnels(config: &mut Value) -> Result<()> {
    let manager = config
        .pointer_mut("/static_resources/listeners/0/filter_chains/0/filters/0/typed_config")
        .context("a connection manager")?;
    manager["upgrade_configs"] = json!([{ "upgrade_type": "CONNECT" }]);
    // It has no path, so that no rule for paths is about it.
    let rules = manager
        .pointer_mut("/http_filters/0/typed_config/rules")
        .and_then(Value::as_array_mut)
        .context("rules for tokens")?;
    let rule = rules.first().context("a rule")?.clone();
    rules.push(with(rule, "match", json!({ "connect_matcher": {} })));
    let routes = manager
        .pointer_mut("/route_config/virtual_hosts/0/routes")
        .and_then(Value::as_array_mut)
        .context("routes")?;
    let connect = json!({ "upgrade_type": "CONNECT", "connect_config": {} });
    let route = json!({ "cluster": "upstream", "timeout": "0s", "upgrade_configs": [connect] });
    routes.insert(
        0,
        json!({ "match": { "connect_matcher": {} }, "route": route }),
    );
    Ok(())
}

/// A tunnel through which the service sends without end.
async fn open(world: &World, user: &User) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(world.mesh.envoy.address()).await?;
    let token = &user.token;
    let head = format!(
        "CONNECT service:80 HTTP/1.1\r\nhost: service:80\r\nauthorization: Bearer {token}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    let answer = hears(&mut stream).await?.context("no answer")?;
    let answer = String::from_utf8_lossy(&answer);
    ensure!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    stream
        .write_all(b"GET /stream HTTP/1.1\r\nhost: service\r\n\r\n")
        .await?;
    hears(&mut stream).await?.context("nothing comes")?;
    Ok(stream)
}

/// Some bytes; none at the end.
async fn hears(stream: &mut TcpStream) -> Result<Option<Vec<u8>>> {
    let mut bytes = vec![0; 4096];
    match timeout(PATIENCE, stream.read(&mut bytes))
        .await
        .context("it is open, and nothing comes")?
    {
        Ok(0) | Err(_) => Ok(None),
        Ok(read) => {
            bytes.truncate(read);
            Ok(Some(bytes))
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tunnel_ends_like_any_other_request() -> Result<()> {
    let rules = json!([
        { "name": "tunnels", "to": [{ "methods": ["CONNECT"] }], "require": { "anyOf": ["group:payments"] } },
        { "name": "rest", "to": [{ "paths": ["/{**}"] }], "require": { "anyOf": ["group:payments"] } },
    ]);
    let plan = Plan::new(&with(streams_policy(), "rules", rules));
    let world = World::altered(plan, tunnels).await?;
    let mut alices = open(&world, &world.alice).await?;
    let mut bobs = open(&world, &world.bob).await?;
    let scim = &world.mesh.acme.scim;
    scim.remove_member(&world.payments, &world.alice.id).await?;
    let draining = async {
        while hears(&mut alices).await?.is_some() {}
        anyhow::Ok(())
    };
    match timeout(PATIENCE, draining).await {
        Ok(drained) => drained?,
        Err(_) => bail!("her tunnel is open"),
    }
    for _ in 0..10 {
        hears(&mut bobs).await?.context("his was cut")?;
    }
    world.logged_cuts(1).await?;
    world.end().await
}
