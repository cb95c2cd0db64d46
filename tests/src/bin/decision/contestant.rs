//! What is compared: the same proxy with one or another chain of filters.

use std::fmt::Write as _;
use std::net::SocketAddr;

use anyhow::Result;
use scimesh_tests::artifact;
use scimesh_tests::bootstrap::{FEED_CLUSTER, address, backstop, cluster, router, verdict, wasm};
use scimesh_tests::envoy::filter_config;
use scimesh_tests::issuer::Issuer;
use serde_json::{Value, json};

use crate::authorization::Authorization;
use crate::directory::{Directory, ISSUER, TENANT, groups_of, subject};

const AUTHORIZATION_CLUSTER: &str = "ext_authz";
/// Users in the Lua filter's table.
pub(crate) const LUA_USERS: usize = 1000;

/// One chain of filters. All but the first begin with jwt_authn, which is what the others are held against.
#[derive(Clone, Copy)]
pub(crate) enum Contestant<'a> {
    Nothing,
    JwtAuthn,
    NativeRbac,
    Noop,
    Lua,
    ExtAuthz(&'a Authorization),
    Scimesh(&'a Directory),
    /// With the native RBAC filter behind it that refuses what it has not allowed.
    Backstopped(&'a Directory),
}

/// What a contestant has to answer to be the one that it says it is.
pub(crate) struct Answers {
    pub(crate) not_permitted: u16,
    pub(crate) forged: u16,
}

impl Contestant<'_> {
    /// For the report.
    pub(crate) fn name(&self) -> String {
        match self {
            Contestant::Nothing => "no filter".to_owned(),
            Contestant::JwtAuthn => "jwt_authn".to_owned(),
            Contestant::NativeRbac => "+ native RBAC on the token's groups".to_owned(),
            Contestant::Noop => "+ wasm that does nothing".to_owned(),
            Contestant::Lua => format!("+ Lua, a table of {LUA_USERS} users"),
            Contestant::ExtAuthz(_) => "+ ext_authz, gRPC on loopback".to_owned(),
            Contestant::Scimesh(directory) => {
                format!("+ Scimesh, {} users", directory.users)
            }
            Contestant::Backstopped(directory) => {
                format!("+ Scimesh, {} users, backstop", directory.users)
            }
        }
    }

    /// See [`Answers`].
    pub(crate) fn answers(&self) -> Answers {
        let (not_permitted, forged) = match self {
            Contestant::Nothing => (200, 200),
            Contestant::JwtAuthn | Contestant::Noop | Contestant::ExtAuthz(_) => (200, 401),
            Contestant::NativeRbac
            | Contestant::Lua
            | Contestant::Scimesh(_)
            | Contestant::Backstopped(_) => (403, 401),
        };
        Answers {
            not_permitted,
            forged,
        }
    }

    /// Envoy's configuration. The route answers by itself: what a filter adds does not depend on what comes behind it, and
    /// an upstream with its connections would only add noise.
    pub(crate) fn bootstrap(
        &self,
        listen: SocketAddr,
        admin: SocketAddr,
        issuer: &Issuer,
    ) -> Result<Value> {
        let mut filters = match self {
            Contestant::Nothing => Vec::new(),
            _ => vec![jwt_authn(issuer)],
        };
        let mut clusters = Vec::new();
        match self {
            Contestant::Nothing | Contestant::JwtAuthn => {}
            Contestant::NativeRbac => filters.push(native_rbac()),
            Contestant::Noop => filters.push(filter(wasm(&artifact::noop()?, "", None))),
            Contestant::Lua => filters.push(lua()?),
            Contestant::ExtAuthz(server) => {
                filters.push(ext_authz());
                clusters.push(cluster(AUTHORIZATION_CLUSTER, server.address(), true));
            }
            Contestant::Scimesh(directory) | Contestant::Backstopped(directory) => {
                filters.push(filter(filter_config(&policy().to_string(), None)?));
                if let Contestant::Backstopped(_) = self {
                    filters.push(backstop(&[verdict(None)]));
                }
                let feed = directory.feeder.feed_address();
                clusters.push(cluster(FEED_CLUSTER, feed, true));
            }
        }
        filters.push(router());
        Ok(json!({
            "node": { "id": "bench", "cluster": "bench" },
            "admin": { "address": address(admin) },
            "static_resources": { "clusters": clusters, "listeners": [{
                "name": "ingress",
                "address": address(listen),
                "filter_chains": [{ "filters": [{
                    "name": "envoy.filters.network.http_connection_manager",
                    "typed_config": {
                        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
                        "stat_prefix": "ingress",
                        "normalize_path": true,
                        "route_config": { "virtual_hosts": [{
                            "name": "all",
                            "domains": ["*"],
                            "routes": [{
                                "match": { "prefix": "/" },
                                "direct_response": { "status": 200, "body": { "inline_string": "ok\n" } },
                            }],
                        }] },
                        "http_filters": filters,
                    },
                }] }],
            }] },
        }))
    }
}

/// As Istio writes it, but with Envoy's cache of verified tokens, which is off unless asked for: without it each
/// request's signature is verified anew, for more than most filters here cost, and alike for all of them.
fn jwt_authn(issuer: &Issuer) -> Value {
    json!({
        "name": "envoy.filters.http.jwt_authn",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
            "providers": { "origins-0": {
                "issuer": issuer.url(),
                "local_jwks": { "inline_string": issuer.jwks() },
                "payload_in_metadata": "payload",
                "forward": true,
                "jwt_cache_config": {},
            } },
            "rules": [{ "match": { "prefix": "/" }, "requires": { "requires_any": { "requirements": [
                { "provider_name": "origins-0" }, { "allow_missing": {} },
            ] } } }],
        },
    })
}

/// As Istio writes an AuthorizationPolicy on the claim `groups`.
fn native_rbac() -> Value {
    let in_group = |group: &str| {
        json!({ "sourced_metadata": { "metadata_matcher": {
            "filter": "envoy.filters.http.jwt_authn",
            "path": [{ "key": "payload" }, { "key": "groups" }],
            "value": { "list_match": { "one_of": { "string_match": { "exact": group } } } },
        } } })
    };
    json!({
        "name": "envoy.filters.http.rbac",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC",
            "rules": { "action": "ALLOW", "policies": { "refunds": {
                "permissions": [{ "and_rules": { "rules": [
                    { "header": { "name": ":method", "string_match": { "exact": "GET" } } },
                    { "uri_template": {
                        "name": "uri-template",
                        "typed_config": {
                            "@type": "type.googleapis.com/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig",
                            "path_template": "/accounts/*/refunds",
                        },
                    } },
                ] } }],
                "principals": [{ "and_ids": { "ids": [
                    { "or_ids": { "ids": [
                        in_group("payments-admins"), in_group("payments-auditors"),
                    ] } },
                    { "not_id": in_group("contractors") },
                ] } }],
            } } },
        },
    })
}

fn lua() -> Result<Value> {
    let mut source = format!("local issuer = \"{ISSUER}\"\nlocal users = {{\n");
    for number in 0..LUA_USERS {
        write!(source, "[\"{}\"] = {{", subject(number))?;
        for group in groups_of(number) {
            write!(source, " [\"{group}\"] = true,")?;
        }
        source.push_str(" },\n");
    }
    source.push_str("}\n");
    source.push_str(include_str!("lookup.lua"));
    Ok(json!({
        "name": "envoy.filters.http.lua",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua",
            "default_source_code": { "inline_string": source },
        },
    }))
}

fn ext_authz() -> Value {
    json!({
        "name": "envoy.filters.http.ext_authz",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz",
            "transport_api_version": "V3",
            "grpc_service": {
                "envoy_grpc": { "cluster_name": AUTHORIZATION_CLUSTER },
                "timeout": "5s",
            },
        },
    })
}

fn filter(config: Value) -> Value {
    json!({ "name": "wasm", "typed_config": config })
}

/// What a team would write. The rule that decides here is the fourth, and the last one has all users sent to the proxy.
fn policy() -> Value {
    json!({
        "tenant": TENANT,
        "feed": { "cluster": FEED_CLUSTER },
        "rules": [
            { "name": "health", "to": [{ "paths": ["/healthz"], "methods": ["GET"] }], "allow": "PUBLIC" },
            { "name": "metrics-stay-inside", "to": [{ "paths": ["/metrics"] }], "allow": "NOBODY" },
            {
                "name": "refunds",
                "to": [{ "methods": ["POST"], "paths": ["/accounts/{*}/refunds"] }],
                "require": { "anyOf": ["group:payments-admins"], "noneOf": ["group:contractors"] },
            },
            {
                "name": "refunds-seen",
                "to": [{ "methods": ["GET"], "paths": ["/accounts/{*}/refunds"] }],
                "require": {
                    "anyOf": ["group:payments-admins", "group:payments-auditors"],
                    "noneOf": ["group:contractors"],
                },
            },
            { "name": "everything-else", "to": [{ "paths": ["/{**}"] }], "require": { "anyOf": ["active"] } },
        ],
    })
}
