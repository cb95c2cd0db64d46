//! One listener for each way of configuring Envoy around the filter, all of one worker.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use scimesh_tests::address;
use scimesh_tests::mesh::policy;
use serde_json::{Value, json};

use crate::siege::listen;

/// The policy of them all.
pub(crate) fn listed_policy() -> Value {
    policy(json!([
        { "name": "hop", "to": [{ "paths": ["/hop"] }], "allow": "PUBLIC" },
        { "name": "admin", "to": [{ "paths": ["/admin", "/admin/{**}"] }], "allow": "NOBODY" },
        { "name": "tried", "to": [{ "paths": ["/tried"] }], "allow": "NOBODY", "mode": "SHADOW" },
        { "name": "opened", "to": [{ "paths": ["/opened"] }], "allow": "PUBLIC", "mode": "SHADOW" },
        { "name": "rest", "to": [{ "paths": ["/{**}"] }], "require": { "anyOf": ["group:payments"] } },
    ]))
}

/// The filter among a listener's.
const FILTER: usize = 1;
const BACKSTOP: usize = 2;

fn with_policy(http: &mut Value, policy: &Value) {
    let configuration =
        &mut http["http_filters"][FILTER]["typed_config"]["config"]["configuration"];
    configuration["value"] = json!(policy.to_string());
}

fn route(http: &mut Value) -> &mut Value {
    &mut http["route_config"]["virtual_hosts"][0]["routes"][0]["route"]
}

/// One listener for each configuration, all of one worker.
pub(crate) struct Listeners(pub(crate) [SocketAddr; 14]);

impl Listeners {
    pub(crate) fn new() -> Result<Listeners> {
        let mut all = Vec::new();
        for _ in 0..14 {
            all.push(address::free()?);
        }
        Ok(Listeners(all.try_into().ok().context("as many")?))
    }

    pub(crate) fn configure(&self, envoy: &mut Value) -> Result<()> {
        let [
            plain,
            merging,
            unescaping,
            rejecting,
            redirecting,
            hopping,
            rewriting,
            retrying,
            unbacked,
            unfiltered,
            shadow,
            lost,
            deaf,
            foreign,
        ] = self.0;
        listen(envoy, plain, |http| http["normalize_path"] = json!(false));
        listen(envoy, merging, |http| http["merge_slashes"] = json!(true));
        for (address, action) in [
            (unescaping, "UNESCAPE_AND_FORWARD"),
            (rejecting, "REJECT_REQUEST"),
            (redirecting, "UNESCAPE_AND_REDIRECT"),
        ] {
            listen(envoy, address, |http| {
                http["path_with_escaped_slashes_action"] = json!(action)
            });
        }
        listen(envoy, hopping, |http| {
            route(http)["internal_redirect_policy"] = json!({ "max_internal_redirects": 3 });
        });
        listen(envoy, rewriting, |http| {
            let routes = http["route_config"]["virtual_hosts"][0]["routes"].as_array_mut();
            let rewrite = json!({
                "match": { "prefix": "/pub" },
                "route": { "cluster": "upstream", "prefix_rewrite": "/admin" },
            });
            if let Some(routes) = routes {
                routes.insert(0, rewrite);
            }
        });
        listen(envoy, retrying, |http| {
            route(http)["retry_policy"] = json!({ "retry_on": "5xx", "num_retries": 2 });
            http["http_protocol_options"] = json!({ "accept_http_10": true });
        });
        listen(envoy, unbacked, |http| {
            if let Some(filters) = http["http_filters"].as_array_mut() {
                filters.remove(BACKSTOP);
            }
        });
        // As on a worker where Envoy has left the filter out.
        listen(envoy, unfiltered, |http| {
            if let Some(filters) = http["http_filters"].as_array_mut() {
                filters.remove(FILTER);
            }
        });
        listen(envoy, shadow, |http| {
            let mut policy = listed_policy();
            policy["mode"] = json!("SHADOW");
            with_policy(http, &policy);
        });
        // A cluster that Envoy does not know, one where nobody listens, and a tenant that the feeder has not.
        let mut policies = [
            (lost, "nowhere", "acme"),
            (deaf, "deaf", "acme"),
            (foreign, "", "initech"),
        ]
        .into_iter()
        .map(|(address, cluster, tenant)| {
            let mut policy = listed_policy();
            policy["tenant"] = json!(tenant);
            if !cluster.is_empty() {
                policy["feed"]["cluster"] = json!(cluster);
                // Nothing that would be worth waiting for.
                policy["hold"] = json!({ "timeout": "50ms" });
            }
            (address, policy)
        });
        policies.try_for_each(|(address, policy)| {
            listen(envoy, address, |http| with_policy(http, &policy));
            anyhow::Ok(())
        })?;
        let clusters = &mut envoy["static_resources"]["clusters"];
        let mut dead = clusters[0].clone();
        dead["name"] = json!("deaf");
        let nobody = address::free()?;
        dead["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"]["socket_address"] =
            json!({ "address": nobody.ip().to_string(), "port_value": nobody.port() });
        dead["load_assignment"]["cluster_name"] = json!("deaf");
        clusters.as_array_mut().context("clusters")?.push(dead);
        Ok(())
    }
}
