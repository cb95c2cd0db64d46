//! Envoy's configuration: what Istio would generate for a sidecar with the filter, as far as it matters here.

use std::net::SocketAddr;
use std::path::Path;

use serde_json::{Value, json};

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
    /// In the bootstrap, several in one chain; the backstop demands the verdict of each.
    Several(&'a [Named]),
}

/// One of several filters.
#[derive(Debug, Clone)]
pub struct Named {
    /// The policy's name, if it has one: what the backstop goes by.
    pub name: Option<String>,
    /// The filter's configuration; see [`wasm`].
    pub config: Value,
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
}

impl Bootstrap<'_> {
    /// The whole file, as JSON.
    pub fn to_json(&self) -> Value {
        let mut clusters = vec![cluster("upstream", self.upstream, false)];
        clusters.extend(self.feed.map(|feed| cluster(FEED_CLUSTER, feed, true)));
        json!({
            "node": { "id": "story", "cluster": "stories" },
            "admin": { "address": address(self.admin) },
            "stats_config": { "stats_tags": stats_tags() },
            // Histograms show what came before the last flush.
            "stats_flush_interval": "1s",
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
                    // Over HTTP/2 trailers pass in any case.
                    "http_protocol_options": { "enable_trailers": true },
                    "upgrade_configs": [{ "upgrade_type": "websocket" }],
                    "route_config": { "virtual_hosts": [{
                        "name": "all",
                        "domains": ["*"],
                        "routes": [{
                            "match": { "prefix": "/" },
                            "route": { "cluster": "upstream", "timeout": "0s" },
                        }],
                    }] },
                    "http_filters": self.http_filters(),
                },
            }] }],
        })
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

    fn http_filters(&self) -> Vec<Value> {
        let mut filters: Vec<Value> = self.principal.map(peer_principal).into_iter().collect();
        filters.push(self.jwt_authn());
        let demanded = match self.filter {
            Delivery::Static(config) => {
                filters.push(json!({ "name": "scimesh", "typed_config": config }));
                vec![verdict(None)]
            }
            Delivery::Discovery(path) => {
                filters.push(json!({
                    "name": "scimesh",
                    "config_discovery": {
                        "config_source": {
                            "resource_api_version": "V3",
                            "path_config_source": { "path": path },
                        },
                        "type_urls": ["type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm"],
                    },
                }));
                vec![verdict(None)]
            }
            Delivery::Several(chain) => {
                filters.extend(chain.iter().map(|filter| {
                    let name = filter.name.as_deref().unwrap_or("unnamed");
                    json!({ "name": format!("scimesh-{name}"), "typed_config": filter.config })
                }));
                chain
                    .iter()
                    .map(|one| verdict(one.name.as_deref()))
                    .collect()
            }
        };
        filters.extend([backstop(&demanded), router()]);
        filters
    }
}

/// The labels of the filter's statistics.
pub const LABELS: [&str; 5] = ["tenant", "policy", "rule", "decision", "reason"];

/// How Envoy takes them out of a statistic's name. Istio writes the same for the names in `extraStatTags`.
pub fn stats_tags() -> Value {
    let tag = |label| json!({ "tag_name": label, "regex": format!(r"({label}=\.=(.*?);\.;)") });
    LABELS.map(tag).into()
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

/// A filter that does nothing: what is in the chain in place of one that Envoy has left out.
pub fn nothing() -> Value {
    json!({ "@type": "type.googleapis.com/envoy.extensions.filters.http.cors.v3.Cors" })
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

/// Filter state that only a policy of this name sets; no request can.
pub fn verdict(policy: Option<&str>) -> Value {
    let key = match policy {
        None => "wasm.scimesh_verdict".to_owned(),
        Some(name) => format!("wasm.scimesh_verdict_{name}"),
    };
    json!({ "filter_state": { "key": key, "string_match": { "exact": "allow" } } })
}

/// Only what every filter allowed, word by word, goes on: the backstop for a filter that Envoy left out.
pub fn backstop(verdicts: &[Value]) -> Value {
    json!({
        "name": "envoy.filters.http.rbac",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC",
            "rules": {
                "action": "ALLOW",
                "policies": { "scimesh-verdict": {
                    "permissions": [{ "any": true }],
                    "principals": [{ "and_ids": { "ids": verdicts } }],
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

/// The end of every chain.
pub fn router() -> Value {
    json!({
        "name": "envoy.filters.http.router",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
        },
    })
}

/// A cluster of one endpoint.
pub fn cluster(name: &str, endpoint: SocketAddr, http2: bool) -> Value {
    let protocol = if http2 {
        json!({ "http2_protocol_options": {} })
    } else {
        json!({ "http_protocol_options": { "enable_trailers": true } })
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

/// As Envoy writes an address.
pub fn address(address: SocketAddr) -> Value {
    json!({ "socket_address": {
        "address": address.ip().to_string(), "port_value": address.port(),
    } })
}
