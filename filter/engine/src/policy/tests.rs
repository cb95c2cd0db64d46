//! What is a policy, what is none, and what the error says.

use proptest::prelude::*;
use serde_json::{Value, json};
#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

fn document() -> Value {
    json!({
        "tenant": "corp",
        "feed": { "cluster": "outbound|9443||scimesh-feeder.scimesh-system.svc.cluster.local" },
        "hold": { "timeout": "500ms", "requests": 10 },
        "maxStaleness": "5m",
        "mode": "ENFORCE",
        "rules": [
            { "name": "health", "to": [{ "paths": ["/healthz"], "methods": ["GET"] }], "allow": "PUBLIC" },
            { "name": "metrics-stay-inside", "to": [{ "paths": ["/metrics"] }], "allow": "NOBODY" },
            {
                "name": "refunds",
                "to": [{ "methods": ["POST"], "paths": ["/accounts/{*}/refunds"] }],
                "require": { "anyOf": ["group:payments-admins"], "noneOf": ["group:contractors"] },
                "maxStaleness": "2m",
                "maxTokenAge": "15m",
                "mode": "SHADOW",
            },
        ],
    })
}

fn parse(document: &Value) -> Result<Policy, InvalidPolicy> {
    Policy::parse(document.to_string().as_bytes())
}

/// The document with one place changed.
fn with(pointer: &str, value: Value) -> Value {
    let mut document = document();
    let (parent, field) = pointer.rsplit_once('/').unwrap();
    match document.pointer_mut(parent).unwrap() {
        Value::Object(map) => drop(map.insert(field.to_owned(), value)),
        Value::Array(list) => match field {
            "-" => list.push(value),
            index => list[index.parse::<usize>().unwrap()] = value,
        },
        other => panic!("{other} has no places"),
    }
    document
}

fn without(pointer: &str) -> Value {
    let mut document = document();
    let (parent, field) = pointer.rsplit_once('/').unwrap();
    let parent = document.pointer_mut(parent).unwrap();
    assert!(parent.as_object_mut().unwrap().remove(field).is_some());
    document
}

#[test]
fn a_policy_is_read_as_it_is_written() {
    let policy = parse(&document()).unwrap();
    assert_eq!(policy.scope().tenant(), "corp");
    let terms: Vec<&str> = policy.scope().terms().iter().map(|t| t.as_str()).collect();
    assert_eq!(terms, ["group:contractors", "group:payments-admins"]);
    assert!(!policy.scope().any_active());
    assert_eq!(
        policy.feed().authority,
        "scimesh-feeder.scimesh-system.svc.cluster.local"
    );
    assert_eq!(
        policy.hold(),
        Hold {
            timeout: Duration::from_millis(500),
            requests: 10
        }
    );
    assert_eq!(policy.min_staleness(), Duration::from_secs(120));
    assert_eq!(policy.mode(), Mode::Enforce);
    assert_eq!(policy.rule_name(1), Some("metrics-stay-inside"));
}

#[test]
fn what_may_be_left_out_has_the_documented_value() {
    let policy = parse(&json!({
        "tenant": "corp",
        "feed": { "cluster": "scimesh-feeder" },
        "rules": [{ "name": "health", "to": [{ "paths": ["/healthz"] }], "allow": "PUBLIC" }],
    }))
    .unwrap();
    assert_eq!(
        policy.hold(),
        Hold {
            timeout: Duration::from_secs(2),
            requests: 256
        }
    );
    assert_eq!(policy.min_staleness(), Duration::from_secs(300));
    assert_eq!(policy.mode(), Mode::Enforce);
    assert_eq!(policy.feed().authority, "scimesh-feeder");
}

#[test]
fn the_authority_is_given_or_found_in_the_clusters_name() {
    let authority =
        |feed: Value| parse(&with("/feed", feed)).map(|policy| policy.feed().authority.clone());
    assert_eq!(
        authority(json!({ "cluster": "outbound|9443|v1|feeder.example" })).unwrap(),
        "feeder.example"
    );
    assert_eq!(authority(json!({ "cluster": "feeder" })).unwrap(), "feeder");
    assert_eq!(
        authority(json!({ "cluster": "a|b", "authority": "feeder:9443" })).unwrap(),
        "feeder:9443"
    );
    assert_eq!(
        authority(json!({ "cluster": "outbound|9443||x", "authority": "y" })).unwrap(),
        "y"
    );
    for feed in [
        json!({ "cluster": "a|b" }),
        json!({ "cluster": "outbound|9443||" }),
        json!({ "cluster": "outbound|9443||a|b" }),
        json!({ "cluster": "inbound|9443||a" }),
        json!({ "cluster": "feeder", "authority": "" }),
        json!({ "cluster": "feeder", "authority": "a b" }),
    ] {
        assert_eq!(
            authority(feed.clone()).unwrap_err().field,
            "feed.authority",
            "{feed}"
        );
    }
    assert_eq!(
        authority(json!({ "cluster": "" })).unwrap_err().field,
        "feed.cluster"
    );
}

#[test]
fn every_active_user_is_asked_for_only_when_a_rule_may_admit_one_without_terms() {
    for (require, any_active) in [
        (json!({ "anyOf": ["active"] }), true),
        (json!({ "anyOf": ["group:a", "active"] }), true),
        (json!({ "allOf": ["active"] }), true),
        (json!({ "noneOf": ["group:a"] }), true),
        (json!({ "anyOf": ["active"], "noneOf": ["group:a"] }), true),
        (json!({ "anyOf": ["group:a"] }), false),
        (json!({ "allOf": ["group:a", "active"] }), false),
        (json!({ "anyOf": ["active"], "allOf": ["group:a"] }), false),
        (
            json!({ "anyOf": ["group:a"], "noneOf": ["group:b"] }),
            false,
        ),
    ] {
        let policy = parse(&with("/rules/2/require", require.clone())).unwrap();
        assert_eq!(policy.scope().any_active(), any_active, "{require}");
    }
}

#[test]
fn an_error_names_the_rule_and_the_field() {
    for (document, field) in [
        // unknown, missing, null
        (with("/tenants", json!("x")), "tenants"),
        (with("/rules/2/requires", json!({})), "rules[2].requires"),
        (
            with("/rules/2/to/0/path", json!(["/x"])),
            "rules[2].to[0].path",
        ),
        (
            with("/rules/2/require/oneOf", json!(["group:a"])),
            "rules[2].require.oneOf",
        ),
        (with("/feed/host", json!("x")), "feed.host"),
        (with("/hold/request", json!(1)), "hold.request"),
        (without("/tenant"), "."),
        (without("/rules"), "."),
        (without("/feed"), "."),
        (without("/rules/2/name"), "rules[2]"),
        (without("/rules/2/to"), "rules[2]"),
        (with("/mode", Value::Null), "mode"),
        (with("/maxStaleness", Value::Null), "maxStaleness"),
        (with("/hold", Value::Null), "hold"),
        (with("/rules/2/allow", Value::Null), "rules[2].allow"),
        (
            with("/rules/2/require/noneOf", Value::Null),
            "rules[2].require.noneOf",
        ),
        (
            with("/rules/2/to/0/notPaths", Value::Null),
            "rules[2].to[0].notPaths",
        ),
        (
            with("/rules/2/maxTokenAge", Value::Null),
            "rules[2].maxTokenAge",
        ),
        // empty
        (with("/rules", json!([])), "rules"),
        (with("/rules/0/to", json!([])), "rules[0].to"),
        (
            with("/rules/0/to/0/paths", json!([])),
            "rules[0].to[0].paths",
        ),
        (
            with("/rules/2/require/anyOf", json!([])),
            "rules[2].require.anyOf",
        ),
        (
            with("/rules/2/require/noneOf", json!([])),
            "rules[2].require.noneOf",
        ),
        (with("/rules/0/to/0", json!({})), "rules[0] 'health': to"),
        (
            with("/rules/2/require", json!({})),
            "rules[2] 'refunds': require",
        ),
        // wrong type
        (with("/tenant", json!(7)), "tenant"),
        (
            with("/rules/0/to/0/paths", json!("/x")),
            "rules[0].to[0].paths",
        ),
        (
            with("/rules/0/to/0/ports", json!([80])),
            "rules[0].to[0].ports[0]",
        ),
        (
            with("/rules/2/require", json!([["group:a"]])),
            "rules[2].require",
        ),
        (
            with("/rules/2/require", json!("active")),
            "rules[2].require",
        ),
        (with("/rules/0/to/0", json!([["x"]])), "rules[0].to[0]"),
        (with("/feed", json!(["feeder"])), "feed"),
        (with("/hold", json!(["2s"])), "hold"),
        (
            with("/rules/0/allow", json!({ "PUBLIC": null })),
            "rules[0].allow",
        ),
        (with("/hold/requests", json!(-1)), "hold.requests"),
        (with("/hold/requests", json!(1.5)), "hold.requests"),
        // wrong value
        (with("/tenant", json!("Corp")), "tenant"),
        (with("/tenant", json!("")), "tenant"),
        (with("/mode", json!("shadow")), "mode"),
        (with("/rules/0/allow", json!("public")), "rules[0].allow"),
        (with("/rules/0/mode", json!("OFF")), "rules[0].mode"),
        (with("/rules/0/name", json!("Health")), "rules[0].name"),
        (with("/rules/0/name", json!("")), "rules[0].name"),
        (with("/rules/0/name", json!("-x")), "rules[0].name"),
        (
            with("/rules/0/name", json!("a".repeat(64))),
            "rules[0].name",
        ),
        (with("/rules/1/name", json!("health")), "rules[1].name"),
        (with("/maxStaleness", json!("5")), "maxStaleness"),
        (with("/maxStaleness", json!("4999ms")), "maxStaleness"),
        (
            with("/rules/2/maxStaleness", json!("4s")),
            "rules[2] 'refunds': maxStaleness",
        ),
        (
            with("/rules/2/maxStaleness", json!("6m")),
            "rules[2] 'refunds': maxStaleness",
        ),
        (
            with("/rules/2/maxTokenAge", json!("0s")),
            "rules[2] 'refunds': maxTokenAge",
        ),
        (
            with("/rules/0/maxStaleness", json!("1m")),
            "rules[0] 'health': maxStaleness",
        ),
        (
            with("/rules/1/maxTokenAge", json!("1m")),
            "rules[1] 'metrics-stay-inside': maxTokenAge",
        ),
        (with("/hold/timeout", json!("61s")), "hold.timeout"),
        (with("/hold/requests", json!(65_537)), "hold.requests"),
        (
            with("/rules/0/to/0/paths/0", json!("/a/../b")),
            "rules[0].to[0].paths[0]",
        ),
        (
            with("/rules/0/to/0/methods/0", json!("get")),
            "rules[0].to[0].methods[0]",
        ),
        (
            with("/rules/0/to/0/hosts", json!(["a b"])),
            "rules[0].to[0].hosts[0]",
        ),
        (
            with("/rules/0/to/0/ports", json!(["0"])),
            "rules[0].to[0].ports[0]",
        ),
        (
            with("/rules/0/to/0/ports", json!(["80", "65536"])),
            "rules[0].to[0].ports[1]",
        ),
        (
            with("/rules/0/to/0/ports", json!(["+80"])),
            "rules[0].to[0].ports[0]",
        ),
        (
            with("/rules/2/require/anyOf/0", json!("admins")),
            "rules[2].require.anyOf[0]",
        ),
        (
            with("/rules/2/require/anyOf/0", json!("Active")),
            "rules[2].require.anyOf[0]",
        ),
        (
            with("/rules/2/require/noneOf/0", json!("active")),
            "rules[2] 'refunds': require.noneOf",
        ),
        // neither or both
        (
            with("/rules/2/allow", json!("PUBLIC")),
            "rules[2] 'refunds': require",
        ),
        (without("/rules/0/allow"), "rules[0] 'health': require"),
    ] {
        let error = parse(&document).expect_err(&document.to_string());
        assert_eq!(error.field, field, "{error}");
        assert!(!error.problem.is_empty());
    }
}

#[test]
fn what_is_no_single_json_object_is_refused() {
    let good = document().to_string();
    for bad in [
        "",
        " ",
        "{}",
        "[]",
        "null",
        "\"x\"",
        "{",
        "tenant: corp",
        &format!("{good}{good}"),
        &format!("{good} x"),
        &format!("[{good}]"),
    ] {
        assert!(Policy::parse(bad.as_bytes()).is_err(), "{bad}");
    }
    let mut bytes = good.into_bytes();
    let at = bytes.iter().position(|b| *b == b'h').unwrap();
    bytes[at] = 0xff;
    assert!(Policy::parse(&bytes).is_err());
    assert!(Policy::parse("[".repeat(100_000).as_bytes()).is_err());
}

#[test]
fn a_key_that_is_there_twice_is_refused() {
    let good = document().to_string();
    for (once, twice, field) in [
        (
            r#""tenant":"corp""#,
            r#""tenant":"corp","tenant":"other""#,
            ".",
        ),
        (
            r#""allow":"NOBODY""#,
            r#""allow":"NOBODY","allow":"PUBLIC""#,
            "rules[1]",
        ),
        (
            r#""noneOf":["#,
            r#""noneOf":["group:x"],"noneOf":["#,
            "rules[2].require",
        ),
        (
            r#""paths":["/metrics"]"#,
            r#""paths":["/metrics"],"p\u0061ths":["/x"]"#,
            "rules[1].to[0]",
        ),
    ] {
        assert!(good.contains(once), "{once}");
        let error = Policy::parse(good.replace(once, twice).as_bytes()).unwrap_err();
        assert!(error.problem.contains("duplicate field"), "{error}");
        assert_eq!(error.field, field, "{error}");
    }
}

#[test]
fn a_policy_is_bounded() {
    let rule = |n: usize| json!({ "name": format!("r{n}"), "to": [{ "paths": ["/x"] }], "require": { "anyOf": [format!("group:{n}")] } });
    let rules = |n: usize| with("/rules", (0..n).map(rule).collect());
    assert!(parse(&rules(MAX_RULES)).is_ok());
    assert_eq!(parse(&rules(MAX_RULES + 1)).unwrap_err().field, "rules");
    let terms: Vec<String> = (0..2000).map(|n| format!("group:{n}")).collect();
    assert_eq!(
        parse(&with("/rules/2/require/anyOf", json!(terms)))
            .unwrap_err()
            .field,
        "rules"
    );
    let padded = format!("{}{}", document(), " ".repeat(MAX_BYTES));
    assert!(Policy::parse(padded.as_bytes()).is_err());
}

proptest! {
    #[test]
    fn no_bytes_panic(json in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(Policy::parse(&json).is_err());
    }

    #[test]
    fn no_damage_panics(at in any::<prop::sample::Index>(), by in prop::collection::vec(any::<u8>(), 0..4), cut in 0usize..8) {
        let mut json = document().to_string().into_bytes();
        let at = at.index(json.len());
        let end = (at + cut).min(json.len());
        json.splice(at..end, by);
        let _ = Policy::parse(&json);
    }

    #[test]
    fn no_value_in_any_place_panics(place in any::<prop::sample::Index>(), value in value()) {
        let places = ["/tenant", "/feed", "/feed/cluster", "/hold", "/hold/timeout", "/maxStaleness", "/mode", "/rules", "/rules/0",
            "/rules/0/name", "/rules/0/to", "/rules/0/to/0", "/rules/0/to/0/paths", "/rules/0/to/0/paths/0", "/rules/0/to/0/methods/0",
            "/rules/0/allow", "/rules/2/require", "/rules/2/require/anyOf", "/rules/2/require/anyOf/0", "/rules/2/maxTokenAge"];
        let _ = parse(&with(places[place.index(places.len())], value));
    }
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        ".*".prop_map(Value::from),
        "[/*{}%a.0-9ms:]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec(("[a-zA-Z]{1,8}", inner), 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}
