//! A real Envoy before the feeder, as its sidecar is: many streams come to the feeder over few connections.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::Result;
use scimesh_tests::address;
use scimesh_tests::bootstrap::{self, FEED_CLUSTER, cluster, router};
use scimesh_tests::envoy::{Envoy, Launch, WORKERS};
use serde_json::{Value, json};

/// Starts one, its files in `dir`.
pub(crate) async fn start(dir: &Path, feed: SocketAddr) -> Result<Envoy> {
    std::fs::create_dir_all(dir)?;
    let (listen, admin) = (address::free()?, address::free()?);
    let launch = Launch {
        config: config(listen, admin, feed),
        listen,
        admin,
        workers: WORKERS,
        wasm_log_level: "info",
        clocks: None,
    };
    Envoy::launch(dir, &launch).await
}

fn config(listen: SocketAddr, admin: SocketAddr, feed: SocketAddr) -> Value {
    let mut feed = cluster(FEED_CLUSTER, feed, true);
    if let Some(fields) = feed.as_object_mut() {
        // Envoy's own bound is 1,024 requests under way, and each stream is one.
        let most = json!({ "max_requests": 100_000 });
        fields.insert(
            "circuit_breakers".to_owned(),
            json!({ "thresholds": [most] }),
        );
    }
    json!({
        "node": { "id": "front", "cluster": "front" },
        "admin": { "address": bootstrap::address(admin) },
        "static_resources": {
            "listeners": [{
                "name": "feed",
                "address": bootstrap::address(listen),
                "filter_chains": [{ "filters": [{
                    "name": "envoy.filters.network.http_connection_manager",
                    "typed_config": {
                        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
                        "stat_prefix": "feed",
                        "codec_type": "HTTP2",
                        "http2_protocol_options": { "max_concurrent_streams": 100_000 },
                        "stream_idle_timeout": "0s",
                        "route_config": { "virtual_hosts": [{
                            "name": "feed",
                            "domains": ["*"],
                            "routes": [{
                                "match": { "prefix": "/" },
                                "route": { "cluster": FEED_CLUSTER, "timeout": "0s" },
                            }],
                        }] },
                        "http_filters": [router()],
                    },
                }] }],
            }],
            "clusters": [feed],
        },
    })
}
