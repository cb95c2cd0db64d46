//! A real Envoy that follows the feed like the simulated ones: a policy of one rule for each of some groups, and a last one
//! for everybody.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::address;
use crate::bootstrap::{Bootstrap, Delivery, FEED_CLUSTER};
use crate::envoy::{Envoy, Launch, filter_config};
use crate::issuer::Issuer;

/// What differs between one of these proxies and another.
#[derive(Debug, Clone)]
pub struct Plan<'a> {
    /// The policy's tenant.
    pub tenant: &'a str,
    /// The displayNames of the groups of which the policy speaks.
    pub groups: &'a [String],
    /// The policy's `maxStaleness`.
    pub max_staleness: &'a str,
    /// How much the log says of wasm: `info`, or `trace` for every call between filter and host.
    pub wasm_log_level: &'a str,
}

/// The path that only members of the group at this place may ask for.
pub fn path_of(place: usize) -> String {
    format!("/teams/{place}/minutes")
}

/// Starts one, its files in `dir`. Its route answers by itself, and it verifies each token once.
pub async fn start(
    dir: &Path,
    feed: SocketAddr,
    issuer: &Issuer,
    plan: &Plan<'_>,
) -> Result<Envoy> {
    std::fs::create_dir_all(dir)?;
    let config = filter_config(&policy(plan).to_string(), None)?;
    let bootstrap = Bootstrap {
        listen: address::free()?,
        admin: address::free()?,
        upstream: address::free()?,
        feed: Some(feed),
        issuers: std::slice::from_ref(issuer),
        filter: Delivery::Static(&config),
        authority: None,
        principal: None,
    };
    let mut launch = Launch::of(&bootstrap);
    launch.wasm_log_level = plan.wasm_log_level;
    alter(&mut launch.config)?;
    Envoy::launch(dir, &launch).await
}

fn policy(plan: &Plan<'_>) -> Value {
    let rule = |(place, group): (usize, &String)| {
        json!({
            "name": format!("team-{place}"),
            "to": [{ "paths": [format!("/teams/{place}/{{**}}")] }],
            "require": { "anyOf": [format!("group:{group}")] },
        })
    };
    let mut rules: Vec<Value> = plan.groups.iter().enumerate().map(rule).collect();
    rules.push(json!({
        "name": "everything-else", "to": [{ "paths": ["/{**}"] }], "require": { "anyOf": ["active"] },
    }));
    json!({
        "tenant": plan.tenant, "feed": { "cluster": FEED_CLUSTER },
        "maxStaleness": plan.max_staleness, "rules": rules,
    })
}

fn alter(config: &mut Value) -> Result<()> {
    const MANAGER: &str = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config";
    let manager = config.pointer_mut(MANAGER).context("a listener")?;
    let routes = manager.pointer_mut("/route_config/virtual_hosts/0/routes");
    *routes.context("routes")? = json!([{
        "match": { "prefix": "/" }, "direct_response": { "status": 200 },
    }]);
    let provider = manager.pointer_mut("/http_filters/0/typed_config/providers/origins-0");
    let provider = provider
        .and_then(Value::as_object_mut)
        .context("jwt_authn")?;
    provider.insert(
        "jwt_cache_config".to_owned(),
        json!({ "jwt_cache_size": 100 }),
    );
    Ok(())
}
