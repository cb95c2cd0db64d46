//! Envoy's configuration: what Istio would generate for a sidecar with the filter, as far as it matters here.

use std::net::SocketAddr;
use std::path::Path;

use serde_json::{Value, json};

use crate::clocks::Clocks;
use crate::issuer::Issuer;
use crate::workload::Authority;

/// The cluster that leads to the feeder; policies name it as `feed.cluster`.
pub const FEED_CLUSTER: &str = "scimesh_feed";

/// How the filter's configuration comes.
#[derive(Debug, Clone, Copy)]
pub enum Delivery<'a> {
    /// In the bootstrap.
    Static(&'a Value),
    /// By extension discovery, as Istio does it, from this file.
    Discovery(&'a Path),
}

/// What differs between one proxy and another.
pub struct Bootstrap<'a> {
    /// Where requests come in.
    pub listen: SocketAddr,
    /// Envoy's own administration.
    pub admin: SocketAddr,
    /// The service behind it.
    pub upstream: SocketAddr,
    /// The feeder; `None` leaves the cluster out.
    pub feed: Option<SocketAddr>,
    /// Whose tokens jwt_authn verifies.
    pub issuers: &'a [Issuer],
    /// The filter.
    pub filter: Delivery<'a>,
    /// Requests come over TLS, and client certificates of this authority are verified; plainly without one.
    pub authority: Option<&'a Authority>,
    /// The request header whose value becomes filter state `io.istio.peer_principal`: a waypoint, whose tunnel this is.
    pub principal: Option<&'a str>,
    /// The process's clocks; the kernel's without them.
    pub clocks: Option<&'a Clocks>,
}

impl Bootstrap<'_> {
    /// The whole file, as JSON.
    pub fn to_json(&self) -> Value {
        let mut clusters = vec![cluster("upstream", self.upstream, false)];
        clusters.extend(self.feed.map(|feed| cluster(FEED_CLUSTER, feed, true)));
        json!({
            "node": { "id": "story", "cluster": "stories" },
            "admin": { "address": address(self.admin) },
            "static_resources": { "listeners": [self.listener()], "clusters": clusters },
        })
    }

    fn listener(&self) -> Value {
        json!({
            "name": "ingress",
            "stat_prefix": "ingress",
            "address": address(self.listen),
            "filter_chains": [{ "transport_socket": self.transport(), "filters": [{
                "name": "envoy.filters.network.http_connection_manager",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
                    "stat_prefix": "ingress",
                    // Istio's pathNormalization BASE.
                    "normalize_path": true,
                    // Envoy's own limit is 60 KiB of headers in all; the filter shall see such a request.
                    "max_request_headers_kb": 96,
                    "stream_idle_timeout": "0s",
                    "upgrade_configs": [{ "upgrade_type": "websocket" }],
                    "route_config": { "virtual_hosts": [{
                        "name": "all",
                        "domains": ["*"],
                        "routes": [{
                            "match": { "prefix": "/" },
                            "route": { "cluster": "upstream", "timeout": "0s" },
                        }],
                    }] },
                    "http_filters": self.filters(),
                },
            }] }],
        })
    }

    fn filters(&self) -> Vec<Value> {
        let mut filters: Vec<Value> = self.principal.map(peer_principal).into_iter().collect();
        filters.extend([self.jwt_authn(), self.filter(), backstop(), router()]);
        filters
    }

    /// As Istio writes it for PERMISSIVE: who has no certificate comes in without one.
    fn transport(&self) -> Value {
        let Some(authority) = self.authority else {
            return Value::Null;
        };
        let inline = |text: &str| json!({ "inline_string": text });
        json!({
            "name": "envoy.transport_sockets.tls",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
                "require_client_certificate": false,
                "common_tls_context": {
                    "tls_certificates": [{
                        "certificate_chain": inline(authority.server_certificate()),
                        "private_key": inline(authority.server_key()),
                    }],
                    "validation_context": { "trusted_ca": inline(authority.certificate()) },
                },
            },
        })
    }

    /// As Istio writes it for one RequestAuthentication per issuer: any verified token, or none.
    fn jwt_authn(&self) -> Value {
        let mut providers = serde_json::Map::new();
        let mut either = Vec::new();
        let mut each = Vec::new();
        for (i, issuer) in self.issuers.iter().enumerate() {
            let name = format!("origins-{i}");
            providers.insert(
                name.clone(),
                json!({
                    "issuer": issuer.url(),
                    "local_jwks": { "inline_string": issuer.jwks() },
                    "payload_in_metadata": "payload",
                    "forward": true,
                }),
            );
            either.push(json!({ "provider_name": name }));
            each.push(json!({ "requires_any": { "requirements": [
                { "provider_name": name }, { "allow_missing": {} },
            ] } }));
        }
        let requires = match each.as_slice() {
            [only] => only.clone(),
            _ => {
                either.push(json!({ "requires_all": { "requirements": each } }));
                json!({ "requires_any": { "requirements": either } })
            }
        };
        json!({
            "name": "envoy.filters.http.jwt_authn",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
                "providers": providers,
                "rules": [{ "match": { "prefix": "/" }, "requires": requires }],
            },
        })
    }

    fn filter(&self) -> Value {
        match self.filter {
            Delivery::Static(config) => json!({ "name": "scimesh", "typed_config": config }),
            Delivery::Discovery(path) => json!({
                "name": "scimesh",
                "config_discovery": {
                    "config_source": {
                        "resource_api_version": "V3",
                        "path_config_source": { "path": path },
                    },
                    "type_urls": ["type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm"],
                },
            }),
        }
    }
}

/// The filter's configuration: the module and its pluginConfig, to the letter. Istio puts each version of a WasmPlugin
/// into the environment, and with another environment comes a new VM.
pub fn wasm(module: &Path, plugin_config: &str, resource_version: Option<&str>) -> Value {
    let environment = match resource_version {
        Some(version) => json!({ "ISTIO_META_WASM_PLUGIN_RESOURCE_VERSION": version }),
        None => json!({}),
    };
    json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
        "config": {
            "name": "scimesh",
            "failure_policy": "FAIL_RELOAD",
            "vm_config": {
                "runtime": "envoy.wasm.runtime.v8",
                "code": { "local": { "filename": module } },
                "environment_variables": { "key_values": environment },
            },
            "configuration": {
                "@type": "type.googleapis.com/google.protobuf.StringValue",
                "value": plugin_config,
            },
        },
    })
}

/// What the watched file holds under [`Delivery::Discovery`].
pub fn discovery_response(version: &str, config: &Value) -> Value {
    json!({
        "version_info": version,
        "resources": [{
            "@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
            "name": "scimesh",
            "typed_config": config,
        }],
    })
}

/// Only what the filter allowed, word by word, goes on: the backstop for a filter that Envoy left out.
fn backstop() -> Value {
    json!({
        "name": "envoy.filters.http.rbac",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC",
            "rules": {
                "action": "ALLOW",
                "policies": { "scimesh-verdict": {
                    "permissions": [{ "any": true }],
                    "principals": [{ "filter_state": {
                        "key": "wasm.scimesh_verdict",
                        "string_match": { "exact": "allow" },
                    } }],
                } },
            },
        },
    })
}

/// As in a waypoint, but for where the value comes from: there it is the tunnel's certificate.
fn peer_principal(header: &str) -> Value {
    json!({
        "name": "envoy.filters.http.set_filter_state",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.set_filter_state.v3.Config",
            "on_request_headers": [{
                "object_key": "io.istio.peer_principal",
                "factory_key": "envoy.hashable_string",
                "format_string": {
                    "text_format_source": { "inline_string": format!("%REQ({header})%") },
                    "omit_empty_values": true,
                },
                "skip_if_empty": true,
                "shared_with_upstream": "ONCE",
            }],
        },
    })
}

fn router() -> Value {
    json!({
        "name": "envoy.filters.http.router",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
        },
    })
}

fn cluster(name: &str, endpoint: SocketAddr, http2: bool) -> Value {
    let protocol = if http2 {
        json!({ "http2_protocol_options": {} })
    } else {
        json!({ "http_protocol_options": {} })
    };
    json!({
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{ "lb_endpoints": [{ "endpoint": { "address": address(endpoint) } }] }],
        },
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": protocol,
            },
        },
    })
}

fn address(address: SocketAddr) -> Value {
    json!({ "socket_address": {
        "address": address.ip().to_string(), "port_value": address.port(),
    } })
}
