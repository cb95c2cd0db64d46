//! The JSON Schema of a policy: the committed one is current, and says of documents what the parser says.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test: what clippy.toml allows in tests it does not in the functions beside them"
)]

use scimesh_engine::{Policy, policy_schema};
use serde_json::{Value, json};

const COMMITTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/policy.schema.json");

/// With `UPDATE=1` it is written instead.
#[test]
fn the_committed_schema_is_current() {
    let current = format!("{:#}\n", policy_schema());
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(COMMITTED, &current).unwrap();
    }
    let committed = std::fs::read_to_string(COMMITTED).unwrap_or_default();
    assert!(
        committed == current,
        "docs/policy.schema.json is old: UPDATE=1 cargo test -p scimesh-engine --test schema"
    );
}

fn document() -> Value {
    json!({
        "name": "pay",
        "tenant": "corp",
        "feed": { "cluster": "outbound|9443||feeder.example", "authority": "feeder:9443" },
        "hold": { "timeout": "500ms", "requests": 10 },
        "maxStaleness": "5m",
        "mode": "ENFORCE",
        "headers": { "subject": "x-subject", "issuer": "x-issuer", "rule": "x-rule", "groups": "x-groups" },
        "rules": [
            { "name": "health", "to": [{ "paths": ["/healthz"], "methods": ["GET"] }], "allow": "PUBLIC" },
            { "name": "metrics", "to": [{ "paths": ["/metrics"] }], "allow": "NOBODY", "mode": "SHADOW" },
            {
                "name": "refunds",
                "to": [
                    { "methods": ["POST", "M-SEARCH", "*"], "paths": ["/accounts/{*}/refunds", "*.js", "/x*", "*"] },
                    { "hosts": ["a.example", "*.b.example", "api.*", "*", "[::1]", "c.example:*"], "notHosts": ["d"], "ports": ["1", "65535"] },
                    { "notPorts": ["80"], "notMethods": ["PUT"], "notPaths": ["/{**}/admin/"] },
                ],
                "require": {
                    "anyOf": ["active", "group:a b"], "allOf": ["role:x", "entitlement:y"], "noneOf": ["groupExternalId:7"],
                    "workload": { "anyOf": ["active"], "allOf": ["group:jobs"], "noneOf": ["group:old"] },
                },
                "maxStaleness": "1m30s",
                "maxTokenAge": "1h",
                "mode": "SHADOW",
            },
        ],
    })
}

fn is_policy(document: &Value) -> bool {
    Policy::parse(document.to_string().as_bytes()).is_ok()
}

fn schema() -> jsonschema::Validator {
    jsonschema::validator_for(&policy_schema()).unwrap()
}

#[test]
fn it_is_a_schema_and_takes_a_policy_with_every_field() {
    assert!(jsonschema::meta::is_valid(&policy_schema()));
    let document = document();
    Policy::parse(document.to_string().as_bytes()).unwrap();
    if let Err(error) = schema().validate(&document) {
        panic!("{error} at {}", error.instance_path());
    }
}

/// Everything in the document, by the way to it.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                places(value, &format!("{at}/{name}"), found);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                places(value, &format!("{at}/{index}"), found);
            }
        }
        _ => {}
    }
}

/// What a schema can't know of a document that has been changed in one place: that a name is unique, a duration short enough, a number no host.
fn is_beyond_a_schema(at: &str, value: &Value) -> bool {
    let text = value.as_str().unwrap_or_default();
    let number = text.bytes().all(|b| b.is_ascii_digit());
    at.ends_with("/name")
        || at == "/hold/timeout" && text == "5m"
        || at == "/maxStaleness" && text == "1m"
        || at.to_ascii_lowercase().contains("hosts/") && number
}

#[test]
fn what_the_parser_takes_the_schema_takes_and_obvious_mistakes_neither_takes() {
    let schema = schema();
    let document = document();
    let mut found = Vec::new();
    places(&document, "", &mut found);
    let texts = [
        "",
        "a",
        "5m",
        "1m",
        "active",
        "group:x",
        "group:",
        "Active",
        "GET",
        "get",
        "/x",
        "/x?y",
        "80",
        "0",
        "x-a",
        "X-A",
        "x-envoy-a",
        "PUBLIC",
        "SHADOW",
        "*",
        "a.example",
        "a.example:80",
        "a b",
        "é",
    ];
    let mut values = vec![
        Value::Null,
        json!([]),
        json!({}),
        json!(7),
        json!(-1),
        json!(true),
        json!({ "unknown": 1 }),
        json!([null]),
    ];
    values.extend(texts.map(Value::from));
    let (mut taken, mut refused) = (0, 0);
    for at in &found {
        for value in &values {
            let mut changed = document.clone();
            *changed.pointer_mut(at).unwrap() = value.clone();
            let (parser, schema) = (is_policy(&changed), schema.is_valid(&changed));
            assert!(schema || !parser, "only the parser takes {value} at {at}");
            if parser {
                taken += 1;
            } else if schema {
                assert!(
                    is_beyond_a_schema(at, value),
                    "only the schema takes {value} at {at}"
                );
            } else {
                refused += 1;
            }
        }
        let (parent, field) = at.rsplit_once('/').unwrap_or_default();
        let mut changed = document.clone();
        if let Some(Value::Object(fields)) = changed.pointer_mut(parent)
            && fields.remove(field).is_some()
        {
            assert_eq!(
                is_policy(&changed),
                schema.is_valid(&changed),
                "without {at}"
            );
            let Some(Value::Object(fields)) = changed.pointer_mut(parent) else {
                unreachable!();
            };
            fields.insert(format!("{field}s"), json!("x"));
            assert!(!schema.is_valid(&changed), "{at}s");
        }
    }
    assert!(taken > 50 && refused > 1000, "{taken} {refused}");
}

#[test]
fn a_rule_has_one_effect() {
    let schema = schema();
    for (field, value) in [
        ("require", json!({ "anyOf": ["active"] })),
        ("maxStaleness", json!("1m")),
        ("maxTokenAge", json!("1m")),
    ] {
        let mut document = document();
        document["rules"][0][field] = value;
        assert!(
            !schema.is_valid(&document) && !is_policy(&document),
            "{field}"
        );
    }
}
