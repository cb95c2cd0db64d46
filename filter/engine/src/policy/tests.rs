//! What is a policy, what is none, and what the error says.

use proptest::prelude::*;
use scimesh_proto::scope::Term;
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
fn the_contents_memory_has_a_bound() {
    let bound = |memory: Value| {
        let feed = json!({ "cluster": "feeder", "maxMemoryMiB": memory });
        parse(&with("/feed", feed)).map(|policy| policy.feed().max_memory)
    };
    let absent = parse(&with("/feed", json!({ "cluster": "feeder" }))).unwrap();
    assert_eq!(absent.feed().max_memory, 512 << 20);
    assert_eq!(bound(json!(1)).ok(), Some(1 << 20));
    assert_eq!(bound(json!(896)).ok(), Some(896 << 20));
    for wrong in [json!(0), json!(897)] {
        assert_eq!(bound(wrong).unwrap_err().field, "feed.maxMemoryMiB");
    }
    for wrong in [json!(-1), json!(1.5), json!("1Gi"), json!(null)] {
        assert!(bound(wrong.clone()).is_err(), "{wrong}");
    }
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
        (with("/", json!("x")), "."),
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
        (with("/maxStaleness", json!("604801s")), "maxStaleness"),
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
        // the name
        (with("/name", json!("")), "name"),
        (with("/name", json!("Pay")), "name"),
        (with("/name", json!("-pay")), "name"),
        (with("/name", json!("pay_1")), "name"),
        (with("/name", json!("a".repeat(64))), "name"),
        (with("/name", json!(7)), "name"),
        (with("/name", Value::Null), "name"),
        // headers
        (with("/headers", json!({})), "headers"),
        (with("/headers", json!([])), "headers"),
        (with("/headers", json!("x-subject")), "headers"),
        (with("/headers", Value::Null), "headers"),
        (
            with("/headers", json!({ "subject": null })),
            "headers.subject",
        ),
        (
            with("/headers", json!({ "groups": ["x-groups"] })),
            "headers.groups",
        ),
        (
            with("/headers", json!({ "user": "x-user" })),
            "headers.user",
        ),
        // workload
        (
            with("/rules/2/require/workload", json!({})),
            "rules[2] 'refunds': require.workload",
        ),
        (
            with("/rules/2/require", json!({ "workload": {} })),
            "rules[2] 'refunds': require.workload",
        ),
        (
            with("/rules/2/require/workload", Value::Null),
            "rules[2].require.workload",
        ),
        (
            with("/rules/2/require/workload", json!(["group:jobs"])),
            "rules[2].require.workload",
        ),
        (
            with("/rules/2/require/workload", json!("active")),
            "rules[2].require.workload",
        ),
        (
            with("/rules/2/require/workload", json!({ "anyOf": [] })),
            "rules[2].require.workload.anyOf",
        ),
        (
            with("/rules/2/require/workload", json!({ "allOf": null })),
            "rules[2].require.workload.allOf",
        ),
        (
            with("/rules/2/require/workload", json!({ "allOf": ["jobs"] })),
            "rules[2].require.workload.allOf[0]",
        ),
        (
            with("/rules/2/require/workload", json!({ "noneOf": [7] })),
            "rules[2].require.workload.noneOf[0]",
        ),
        (
            with("/rules/2/require/workload", json!({ "noneOf": ["active"] })),
            "rules[2] 'refunds': require.workload.noneOf",
        ),
        (
            with(
                "/rules/2/require/workload",
                json!({ "workload": { "anyOf": ["active"] } }),
            ),
            "rules[2].require.workload.workload",
        ),
        (
            with(
                "/rules/2/require",
                json!({ "workload": { "anyOf": ["active"] } }),
            ),
            "rules[2] 'refunds': maxTokenAge",
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
fn a_header_has_a_name_of_its_own() {
    let longest = format!("x-{}", "a".repeat(126));
    for good in ["x-a", "x-scimesh-subject", "x-9", "x--", "x-b2", &longest] {
        parse(&with("/headers", json!({ "subject": good }))).unwrap();
    }
    let longer = format!("{longest}a");
    for bad in [
        "",
        "x-",
        "subject",
        "X-Subject",
        "x-Subject",
        "x_subject",
        "x-sub_ject",
        "x-sub ject",
        "x-é",
        "x-a\r\nx-b",
        "authorization",
        ":path",
        "x-envoy-peer-metadata",
        "x-istio-attributes",
        "x-forwarded-client-cert",
        "x-request-id",
        "x-b3-traceid",
        &longer,
    ] {
        for field in ["subject", "issuer", "rule", "groups"] {
            let error = parse(&with("/headers", json!({ field: bad }))).unwrap_err();
            assert_eq!(error.field, format!("headers.{field}"), "{bad:?}");
        }
    }
    let twice = json!({ "subject": "x-a", "issuer": "x-b", "groups": "x-a" });
    let error = parse(&with("/headers", twice)).unwrap_err();
    assert_eq!(error.field, "headers.groups");
}

#[test]
fn a_name_and_headers_are_there_if_they_were_given() {
    let policy = parse(&document()).unwrap();
    assert_eq!(policy.name(), None);
    assert!(policy.headers().is_empty());
    for name in ["pay", "7-a", &"a".repeat(63)] {
        let policy = parse(&with("/name", json!(name))).unwrap();
        assert_eq!(policy.name(), Some(name));
    }
    for field in ["subject", "issuer", "rule", "groups"] {
        let policy = parse(&with("/headers", json!({ field: "x-a" }))).unwrap();
        assert!(!policy.headers().is_empty(), "{field}");
    }
}

#[test]
fn a_workloads_terms_are_in_scope_as_a_users_are() {
    for (require, terms, any_active) in [
        (
            json!({ "workload": { "anyOf": ["group:jobs"] } }),
            &["group:jobs"][..],
            false,
        ),
        (json!({ "workload": { "anyOf": ["active"] } }), &[], true),
        (
            json!({ "workload": { "noneOf": ["group:old"] } }),
            &["group:old"],
            true,
        ),
        (
            json!({ "anyOf": ["group:a"], "workload": { "allOf": ["role:x"], "noneOf": ["group:b"] } }),
            &["group:a", "group:b", "role:x"],
            false,
        ),
        (
            json!({ "anyOf": ["group:a"], "workload": { "anyOf": ["active"] } }),
            &["group:a"],
            true,
        ),
    ] {
        let mut document = with("/rules/2/require", require.clone());
        document["rules"][2]
            .as_object_mut()
            .unwrap()
            .remove("maxTokenAge");
        let policy = parse(&document).unwrap();
        let scope = policy.scope();
        let held: Vec<&str> = scope.terms().iter().map(Term::as_str).collect();
        assert_eq!(
            (&held[..], scope.any_active()),
            (terms, any_active),
            "{require}"
        );
    }
}

#[test]
fn a_policy_knows_whether_a_rule_depends_on_the_port() {
    for (to, uses) in [
        (json!({ "ports": ["80"] }), true),
        (json!({ "notPorts": ["80"], "paths": ["/x"] }), true),
        (json!({ "hosts": ["a.example:*"] }), false),
    ] {
        let policy = parse(&with("/rules/1/to", json!([{ "paths": ["/"] }, to]))).unwrap();
        assert_eq!(policy.uses_port(), uses, "{to}");
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
fn what_is_just_within_its_bounds_is_taken() {
    for document in [
        with("/maxStaleness", json!("2m")),
        with("/rules/2/maxStaleness", json!("5s")),
        with("/rules/2/maxStaleness", json!("5m")),
        with("/rules/2/maxTokenAge", json!("1ms")),
        with("/hold", json!({ "timeout": "60s", "requests": 65_536 })),
        with("/hold", json!({ "timeout": "0s", "requests": 0 })),
        with("/rules/0/name", json!("a".repeat(63))),
        with("/rules/0/to/0/ports", json!(["1", "65535"])),
    ] {
        parse(&document).unwrap();
    }
    let mut shortest = with("/maxStaleness", json!("5s"));
    shortest["rules"][2]["maxStaleness"] = json!("5s");
    parse(&shortest).unwrap();
    let good = document().to_string();
    let longest = format!("{good}{}", " ".repeat(MAX_BYTES - good.len()));
    Policy::parse(longest.as_bytes()).unwrap();
}

#[test]
fn a_list_for_an_object_is_called_that() {
    let error = parse(&with("/feed", json!(["feeder"]))).unwrap_err();
    assert!(error.problem.contains("expected an object"), "{error}");
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
        let places = ["/tenant", "/feed", "/feed/cluster", "/feed/maxMemoryMiB", "/hold", "/hold/timeout", "/maxStaleness", "/mode", "/rules", "/rules/0",
            "/rules/0/name", "/rules/0/to", "/rules/0/to/0", "/rules/0/to/0/paths", "/rules/0/to/0/paths/0", "/rules/0/to/0/methods/0",
            "/name", "/headers", "/rules/2/require/workload",
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
