//! What the linter says of policies, and that it is so.

use proptest::prelude::*;
use scimesh_proto::scope::TermKind;
use serde_json::{Value, json};

use super::samples::Samples;
use super::*;
use crate::matching::Target;

use crate::{Connection, Lease, Moment, Request, decide};
#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn policy_in(mode: &str, rules: Value) -> Policy {
    let document =
        json!({ "tenant": "corp", "feed": { "cluster": "feeder" }, "mode": mode, "rules": rules });
    Policy::parse(document.to_string().as_bytes()).unwrap()
}

fn policy(rules: Value) -> Policy {
    policy_in("ENFORCE", rules)
}

/// A rule of this name, over these operations.
fn rule(name: &str, to: Value, effect: Value) -> Value {
    let mut rule = json!({ "name": name, "to": to });
    let effect = match effect {
        Value::String(allow) => json!({ "allow": allow }),
        Value::Array(any_of) => json!({ "require": { "anyOf": any_of } }),
        other => other,
    };
    for (field, value) in effect.as_object().unwrap() {
        rule[field] = value.clone();
    }
    rule
}

fn at(paths: &str) -> Value {
    json!([{ "paths": paths.split(' ').collect::<Vec<_>>() }])
}

fn every() -> Value {
    at("/{**}")
}

fn admins() -> Value {
    json!(["group:admins"])
}

fn active() -> Value {
    json!(["active"])
}

/// `error unreachable-rule b`, for each finding but the notes on every user.
fn said_at(placement: Option<Placement>, policy: &Policy) -> Vec<String> {
    let found = lint(policy, placement, None);
    let found = found
        .iter()
        .filter(|finding| finding.code != Code::EveryUser);
    found
        .map(|finding| {
            let name = finding.rule.as_ref().map_or("-", |(_, name)| name);
            format!("{} {} {name}", finding.severity, finding.code)
        })
        .collect()
}

fn said(rules: Value) -> Vec<String> {
    said_at(Some(Placement::Gateway), &policy(rules))
}

fn message(placement: Option<Placement>, rules: Value, code: Code) -> String {
    let found = lint(&policy(rules), placement, None);
    let finding = found.into_iter().find(|finding| finding.code == code);
    finding.unwrap().message
}

#[test]
fn the_documented_policy_has_notes_alone() {
    let rules = json!([
        rule(
            "health",
            json!([{ "paths": ["/healthz"], "methods": ["GET"] }]),
            json!("PUBLIC")
        ),
        rule("metrics-stay-inside", at("/metrics"), json!("NOBODY")),
        rule(
            "refunds",
            json!([{ "methods": ["POST"], "paths": ["/accounts/{*}/refunds"] }]),
            json!({ "require": { "anyOf": ["group:payments-admins"], "noneOf": ["group:contractors"] }, "maxStaleness": "2m", "maxTokenAge": "15m" })
        ),
        rule("everything-else", every(), active()),
    ]);
    for placement in [None, Some(Placement::Sidecar), Some(Placement::Waypoint)] {
        assert_eq!(said_at(placement, &policy(rules.clone())), [""; 0]);
        let found = lint(&policy(rules.clone()), placement, None);
        assert_eq!(found.len(), 1);
        assert!(found[0].message.contains("'everything-else'"));
    }
}

#[test]
fn a_rule_behind_a_weaker_one_is_an_error_and_behind_a_stricter_one_a_warning() {
    let weaker = json!([
        rule("a", every(), active()),
        rule("b", at("/admin/*"), admins())
    ]);
    assert_eq!(said(weaker.clone()), ["error unreachable-rule b"]);
    let why = message(None, weaker, Code::UnreachableRule);
    assert!(why.contains("GET /admin is decided by 'a'"), "{why}");
    let stricter = json!([
        rule("a", every(), admins()),
        rule("b", at("/admin/*"), active())
    ]);
    assert_eq!(said(stricter), ["warning unreachable-rule b"]);
}

#[test]
fn rules_together_cover_what_none_covers_alone() {
    let rules = |last: Value| {
        json!([
            rule(
                "reads",
                json!([{ "methods": ["GET"], "paths": ["/x/*"] }]),
                admins()
            ),
            rule(
                "writes",
                json!([{ "notMethods": ["GET"], "paths": ["/x/{**}"] }]),
                admins()
            ),
            rule("both", last, admins()),
        ])
    };
    assert_eq!(
        said(rules(at("/x/{*}/y /x"))),
        ["warning unreachable-rule both"]
    );
    assert_eq!(said(rules(at("/x/{*}/y /y"))), [""; 0]);
}

#[test]
fn an_operation_that_never_matters_is_named() {
    let rules = json!([
        rule("a", at("/a/*"), active()),
        rule(
            "b",
            json!([{ "paths": ["/b"] }, { "paths": ["/a/b"] }, { "methods": ["GET"], "notMethods": ["GET"] }]),
            admins()
        ),
    ]);
    let found = lint(&policy(rules), None, None);
    let fields: Vec<_> = found
        .iter()
        .map(|f| (f.code, f.severity, f.field.as_str()))
        .collect();
    let operation = (Code::UnreachableOperation, Severity::Warning);
    assert_eq!(
        fields[1..],
        [
            (operation.0, operation.1, "to[1]"),
            (operation.0, operation.1, "to[2]")
        ]
    );
    assert!(found[2].message.contains("no request can match"));
}

#[test]
fn what_a_rule_loses_to_a_weaker_one_that_also_reaches_elsewhere_is_named() {
    let reads = json!([{ "methods": ["GET", "HEAD"], "paths": ["/{**}"] }]);
    let crossing = json!([
        rule("reads", reads, active()),
        rule("admin", at("/admin/*"), admins())
    ]);
    assert_eq!(said(crossing.clone()), ["warning partly-shadowed admin"]);
    let why = message(None, crossing, Code::PartlyShadowed);
    assert!(why.contains("GET /admin is decided by 'reads'"), "{why}");
    let preflights = json!([{ "methods": ["OPTIONS"], "paths": ["*"] }]);
    assert_eq!(
        said(json!([
            rule("cors", preflights, json!("PUBLIC")),
            rule("admin", at("/admin/*"), admins())
        ])),
        [""; 0]
    );
    assert_eq!(
        said(json!([
            rule(
                "logo",
                json!([{ "methods": ["GET"], "paths": ["/admin/logo"] }]),
                json!("PUBLIC")
            ),
            rule("admin", at("/admin/*"), admins())
        ])),
        [""; 0]
    );
}

#[test]
fn on_a_sidecar_a_condition_on_the_host_is_an_error_if_what_comes_after_is_weaker() {
    let rules = |first: Value, last: Value| {
        json!([
            rule(
                "inside",
                json!([{ "hosts": ["admin.corp"], "paths": ["/{**}"] }]),
                first
            ),
            rule("rest", every(), last),
        ])
    };
    let sidecar = Some(Placement::Sidecar);
    let evaded = rules(admins(), active());
    assert_eq!(
        said_at(sidecar, &policy(evaded.clone())),
        ["error host-evades inside"]
    );
    assert_eq!(
        said_at(None, &policy(evaded.clone())),
        ["warning host-evades inside"]
    );
    assert_eq!(
        said_at(Some(Placement::Gateway), &policy(evaded.clone())),
        [""; 0]
    );
    let why = message(sidecar, evaded, Code::HostEvades);
    assert!(why.contains("GET / is decided by 'rest'"), "{why}");
    for strict in [
        json!("NOBODY"),
        admins(),
        json!({ "require": { "allOf": ["group:admins", "role:x"] } }),
    ] {
        let found = said_at(sidecar, &policy(rules(admins(), strict.clone())));
        assert!(
            !found.iter().any(|said| said.starts_with("error")),
            "{strict}: {found:?}"
        );
    }
    let claimed = rules(active(), admins());
    assert_eq!(
        said_at(sidecar, &policy(claimed)),
        ["warning host-claims inside"]
    );
    let same = json!([
        rule(
            "not",
            json!([{ "notHosts": ["a.corp"], "paths": ["/x"] }]),
            json!("NOBODY")
        ),
        rule("rest", every(), active()),
    ]);
    assert_eq!(said_at(sidecar, &policy(same)), ["error host-evades not"]);
}

#[test]
fn a_method_that_no_rule_names_is_asked_for_too() {
    let unreachable = |methods: &[&str]| {
        let named = json!([{ "methods": methods, "paths": ["/{**}"] }]);
        let rules = json!([
            rule("named", named, admins()),
            rule("others", every(), admins()),
        ]);
        said(rules).contains(&"warning unreachable-rule others".to_owned())
    };
    let usual = ["GET", "POST", "HEAD", "OPTIONS", "CONNECT", "BREW"];
    assert!(!unreachable(&usual) && !unreachable(&usual[..5]));
    assert!(unreachable(&["*"]));
}

#[test]
fn hosts_may_be_addresses() {
    let on = |host: &str| json!([{ "hosts": [host], "paths": ["/{**}"] }]);
    let rules = |first: &str, second: &str| {
        json!([
            rule("first", on(first), admins()),
            rule("second", on(second), admins()),
            rule("rest", every(), json!("NOBODY")),
        ])
    };
    for (first, second) in [("10.0.0.1", "10.*"), ("10.*", "*.1"), ("10.0.0.2", "*.1")] {
        assert_eq!(said(rules(first, second)), [""; 0], "{first} {second}");
    }
    for (first, second) in [("10.*", "10.0.0.1"), ("*.1", "10.0.0.1")] {
        let unreachable = ["warning unreachable-rule second"];
        assert_eq!(said(rules(first, second)), unreachable, "{first} {second}");
    }
}

#[test]
fn preflights_that_need_a_token_are_named() {
    let options = |paths: &str| json!([{ "methods": ["OPTIONS"], "paths": [paths] }]);
    let named = json!([rule(
        "api",
        json!([{ "methods": ["GET", "HEAD", "OPTIONS"], "paths": ["/api/*"] }]),
        admins()
    )]);
    assert_eq!(said(named), ["warning preflight-refused api"]);
    let swallowed = json!([
        rule("api", at("/api/*"), admins()),
        rule("cors", options("/{**}"), json!("PUBLIC"))
    ]);
    assert_eq!(said(swallowed), ["warning preflight-refused cors"]);
    let admitted = json!([
        rule("cors", options("/api/*"), json!("PUBLIC")),
        rule("api", at("/api/*"), admins())
    ]);
    assert_eq!(said(admitted), [""; 0]);
}

#[test]
fn head_is_as_well_guarded_as_get() {
    let get = |methods: Value| {
        json!([
            rule(
                "admin",
                json!([{ "methods": methods, "paths": ["/admin"] }]),
                admins()
            ),
            rule("rest", every(), active()),
        ])
    };
    assert_eq!(said(get(json!(["GET"]))), ["warning weaker-head admin"]);
    assert_eq!(said(get(json!(["GET", "HEAD"]))), [""; 0]);
    assert_eq!(said(get(json!(["POST"]))), [""; 0]);
}

#[test]
fn connect_comes_through_rules_without_paths() {
    let all = |effect: Value| json!([rule("all", json!([{ "methods": ["*"] }]), effect)]);
    assert_eq!(said(all(admins())), ["note connect-allowed all"]);
    assert_eq!(said(all(json!("NOBODY"))), [""; 0]);
    assert_eq!(said(json!([rule("all", every(), admins())])), [""; 0]);
}

#[test]
fn public_rules_that_are_wider_than_they_look_are_named() {
    for (to, expected) in [
        (every(), "warning wide-public"),
        (json!([{ "methods": ["GET"] }]), "warning wide-public"),
        (
            json!([{ "methods": ["GET"], "notPaths": ["/admin/*"] }]),
            "warning public-by-exclusion",
        ),
        (at("/static/*"), "note public-methods"),
        (
            json!([{ "methods": ["GET"], "paths": ["/docs*"] }]),
            "warning open-prefix",
        ),
        (
            json!([{ "methods": ["GET"], "paths": ["*.js"] }]),
            "warning public-suffix",
        ),
    ] {
        let said = said(json!([rule("p", to.clone(), json!("PUBLIC"))]));
        assert!(said.contains(&format!("{expected} p")), "{to}: {said:?}");
    }
    let plain = json!([{ "methods": ["GET"], "paths": ["/docs/*", "/static/app-*", "/"] }]);
    assert_eq!(said(json!([rule("p", plain, json!("PUBLIC"))])), [""; 0]);
}

#[test]
fn requirements_that_admit_more_than_they_look_are_named() {
    for (require, expected) in [
        (json!({ "noneOf": ["group:c"] }), "warning none-of-alone r"),
        (
            json!({ "anyOf": ["group:a", "active"] }),
            "warning active-beside-terms r",
        ),
        (
            json!({ "anyOf": ["group:a"], "workload": { "noneOf": ["group:c"] } }),
            "warning none-of-alone r",
        ),
    ] {
        let said = said_at(
            None,
            &policy(json!([rule("r", every(), json!({ "require": require }))])),
        );
        assert_eq!(said, [expected], "{require}");
    }
    let said_so = json!({ "require": { "anyOf": ["active"], "noneOf": ["group:c"] } });
    assert_eq!(said(json!([rule("r", every(), said_so)])), [""; 0]);
}

#[test]
fn shadow_refuses_nothing_and_allows_nothing() {
    let trial = |effect: Value, rest: Value| {
        let mut trial = rule("trial", at("/x"), effect);
        trial["mode"] = json!("SHADOW");
        json!([trial, rule("rest", rest, active())])
    };
    assert_eq!(
        said(trial(json!("NOBODY"), every())),
        ["warning shadow-rule trial"]
    );
    assert_eq!(said(trial(admins(), every())), ["note shadow-rule trial"]);
    assert_eq!(said(trial(active(), at("/y"))), ["note shadow-rule trial"]);
    assert_eq!(said(trial(active(), every())), [""; 0]);
    let rules = json!([rule("rest", every(), active())]);
    assert_eq!(
        said_at(None, &policy_in("SHADOW", rules)),
        ["note shadow-policy -"]
    );
}

#[test]
fn a_place_makes_rules_void() {
    let ports = json!([rule(
        "p",
        json!([{ "ports": ["8080"], "paths": ["/{**}"] }]),
        admins()
    )]);
    let workload = json!([rule(
        "w",
        every(),
        json!({ "require": { "workload": { "anyOf": ["group:jobs"] } } })
    )]);
    for (rules, placement, expected) in [
        (&ports, Placement::Waypoint, vec!["error ports-unknown p"]),
        (&ports, Placement::Gateway, vec!["note ports-unknown p"]),
        (&ports, Placement::Sidecar, vec![]),
        (
            &workload,
            Placement::Gateway,
            vec!["warning workload-at-gateway w"],
        ),
        (&workload, Placement::Waypoint, vec![]),
        (&workload, Placement::Sidecar, vec![]),
    ] {
        assert_eq!(said_at(Some(placement), &policy(rules.clone())), expected);
    }
}

#[test]
fn short_leases_are_named_where_they_are_set() {
    let short = |own: Option<&str>, all: &str| {
        let mut strict = rule("strict", at("/x"), admins());
        if let Some(own) = own {
            strict["maxStaleness"] = json!(own);
        }
        let document = json!({ "tenant": "corp", "feed": { "cluster": "c" }, "maxStaleness": all, "rules": [strict, rule("rest", every(), active())] });
        said_at(
            None,
            &Policy::parse(document.to_string().as_bytes()).unwrap(),
        )
    };
    assert_eq!(short(Some("30s"), "5m"), ["warning short-lease strict"]);
    assert_eq!(short(None, "30s"), ["warning short-lease -"]);
    assert_eq!(short(Some("60s"), "5m"), [""; 0]);
}

#[test]
fn names_that_differ_in_case_alone_are_named() {
    let paths = json!([
        rule("a", at("/Admin"), json!("NOBODY")),
        rule("b", at("/admin"), admins())
    ]);
    assert_eq!(said(paths), ["warning case-differs b"]);
    let terms = json!([
        rule("a", at("/a"), admins()),
        rule("b", at("/b"), json!(["group:Admins"]))
    ]);
    assert_eq!(said(terms), ["warning case-differs b"]);
    let both = json!([rule("a", at("/Admin /admin"), json!("NOBODY"))]);
    assert_eq!(said(both), [""; 0]);
}

#[test]
fn terms_are_held_against_the_directory() {
    let mut vocabulary = Vocabulary::default();
    for (kind, value) in [
        (TermKind::Group, "Payments Admins"),
        (TermKind::Group, "staff"),
        (TermKind::Group, "twins"),
        (TermKind::Group, "twins"),
        (TermKind::Role, "owner"),
        (TermKind::Role, "owner"),
    ] {
        vocabulary.add(kind, value);
    }
    for (require, severity, code, word) in [
        (
            json!({ "anyOf": ["group:payments-admins"] }),
            "error",
            Code::TermMissing,
            "\"group:Payments Admins\"",
        ),
        (
            json!({ "anyOf": ["group:staff", "group:gone"] }),
            "warning",
            Code::TermMissing,
            "nobody passes",
        ),
        (
            json!({ "allOf": ["group:staff", "group:gone"] }),
            "error",
            Code::TermMissing,
            "refuses everybody",
        ),
        (
            json!({ "anyOf": ["active"], "noneOf": ["group:gone"] }),
            "error",
            Code::TermMissing,
            "refuses everybody",
        ),
        (
            json!({ "anyOf": ["group:twins"] }),
            "error",
            Code::TermAmbiguous,
            "2 groups",
        ),
        (
            json!({ "anyOf": ["group:owner"] }),
            "error",
            Code::TermMissing,
            "\"role:owner\"",
        ),
        (
            json!({ "anyOf": ["active"], "noneOf": ["role:guest"] }),
            "warning",
            Code::TermMissing,
            "nobody is kept out",
        ),
        (
            json!({ "workload": { "anyOf": ["role:Owner"] } }),
            "error",
            Code::TermMissing,
            "\"role:owner\"",
        ),
    ] {
        let policy = policy(json!([rule("r", every(), json!({ "require": require }))]));
        let found = lint(&policy, None, Some(&vocabulary));
        let finding = found.iter().find(|finding| finding.code == code).unwrap();
        assert_eq!(finding.severity.as_str(), severity, "{require}");
        assert!(
            finding.message.contains(word),
            "{require}: {}",
            finding.message
        );
    }
    let known = json!([rule("r", every(), json!(["group:staff", "role:owner"]))]);
    assert_eq!(lint(&policy(known), None, Some(&vocabulary)), []);
}

/// Every row of the page is a finding, and every finding has its row.
#[test]
fn the_page_tells_every_code() {
    let page = include_str!("../../../../docs/policy-lint.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `"));
    let told: Vec<&str> = rows.filter_map(|row| row.split('`').next()).collect();
    let codes: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(told, codes);
}

#[test]
fn a_policy_with_too_many_patterns_is_said_to_be_so() {
    let rules = (0..200).map(|n| {
        let ports: Vec<String> = (1..6).map(|port| (n * 5 + port).to_string()).collect();
        let to =
            json!([{ "paths": [format!("/{n}")], "methods": [format!("M{n}")], "ports": ports }]);
        rule(&format!("r{n}"), to, admins())
    });
    let rules = rules.collect::<Vec<_>>();
    assert_eq!(said_at(None, &policy(json!(rules))), ["note too-complex -"]);
}

struct At(u16);

impl Connection for At {
    fn local_port(&self) -> Option<u16> {
        Some(self.0)
    }

    fn peer(&self) -> Option<Vec<u8>> {
        None
    }
}

fn some_paths() -> impl Strategy<Value = Vec<String>> {
    let pattern = prop_oneof![
        "(/[ab]{1,2}){0,3}",
        "(/[ab]{1,2}){0,2}/?\\*",
        "\\*/?[ab]{1,2}",
        "(/(a|b|\\{\\*\\})){0,3}(/\\{\\*\\*\\}(/[ab]){0,2})?",
        Just("/a%25b*".to_owned()),
        Just("*".to_owned()),
    ];
    let pattern = pattern.prop_filter("not empty", |text| !text.is_empty());
    prop::collection::vec(pattern, 1..3)
}

fn some_operation() -> impl Strategy<Value = Value> {
    let names = |all: &'static [&'static str]| prop::sample::subsequence(all, 1..=2);
    (
        prop::option::weighted(0.7, (any::<bool>(), some_paths())),
        prop::option::weighted(
            0.4,
            (any::<bool>(), names(&["GET", "POST", "CONNECT", "*"])),
        ),
        prop::option::weighted(
            0.3,
            (
                any::<bool>(),
                names(&["a.b", "*.b", "a.*", "[::1]", "10.0.0.1", "10.*", "*.1", "*"]),
            ),
        ),
        prop::option::weighted(0.2, (any::<bool>(), names(&["80", "8080"]))),
    )
        .prop_map(|(paths, methods, hosts, ports)| {
            let mut to = json!({});
            let mut put = |is: &str, not: &str, list: Option<(bool, Value)>| {
                if let Some((positive, list)) = list {
                    to[if positive { is } else { not }] = list;
                }
            };
            put(
                "paths",
                "notPaths",
                paths.map(|(positive, list)| (positive, json!(list))),
            );
            put(
                "methods",
                "notMethods",
                methods.map(|(positive, list)| (positive, json!(list))),
            );
            put(
                "hosts",
                "notHosts",
                hosts.map(|(positive, list)| (positive, json!(list))),
            );
            put(
                "ports",
                "notPorts",
                ports.map(|(positive, list)| (positive, json!(list))),
            );
            if to == json!({}) {
                to["methods"] = json!(["GET"]);
            }
            to
        })
}

fn some_policy() -> impl Strategy<Value = Option<Policy>> {
    let effect = prop_oneof![
        Just(json!("PUBLIC")),
        Just(json!("NOBODY")),
        Just(admins()),
        Just(active()),
    ];
    let operations = prop::collection::vec(some_operation(), 1..3);
    let rules = prop::collection::vec((operations, effect, prop::bool::weighted(0.2)), 1..6);
    rules.prop_map(|rules| {
        let rules: Vec<Value> = rules
            .into_iter()
            .enumerate()
            .map(|(index, (to, effect, shadow))| {
                let mut rule = rule(&format!("r{index}"), json!(to), effect);
                if shadow {
                    rule["mode"] = json!("SHADOW");
                }
                rule
            })
            .collect();
        let document = json!({ "tenant": "corp", "feed": { "cluster": "c" }, "rules": rules });
        // A few of the patterns are none.
        Policy::parse(document.to_string().as_bytes()).ok()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// The whole of the order's soundness: each request is like a sample, rule by rule and operation by operation.
    #[test]
    fn every_request_is_like_a_sample(
        policy in some_policy(),
        requests in prop::collection::vec((
            "GET|POST|CONNECT|PUT",
            prop::option::weighted(0.9, "(/[abx%25]{1,3}){0,4}/?"),
            "a\\.b|x\\.b|a\\.x|a|\\[::1\\]|b\\.a\\.b|10\\.0\\.0\\.[12]|10\\.x|127\\.0\\.0\\.1",
            prop::sample::select(vec![80u16, 8080, 9]),
        ), 1..20),
    ) {
        let Some(policy) = policy else { return Ok(()) };
        let samples = Samples::of(&policy).unwrap();
        let found = lint(&policy, None, None);
        let never: Vec<usize> = found.iter().filter(|f| f.code == Code::UnreachableRule).map(|f| f.rule.as_ref().unwrap().0).collect();
        for (method, path, host, port) in &requests {
            let connection = At(*port);
            let request = Request {
                method: method.as_bytes(),
                path: path.as_deref().map(str::as_bytes),
                host: host.as_bytes(),
                connection: &connection,
                token: None,
            };
            let Ok(target) = Target::new(&request) else { continue };
            let hits: Vec<(usize, usize)> = policy.rules().iter().enumerate().flat_map(|(rule, held)| {
                let operations = held.to.iter().enumerate().filter(|(_, to)| to.matches(&target));
                operations.map(move |(operation, _)| (rule, operation)).collect::<Vec<_>>()
            }).collect();
            let alike = samples.iter().any(|sample| {
                sample.hits.iter().map(|hit| (hit.rule, hit.operation)).eq(hits.iter().copied())
            });
            prop_assert!(alike, "{method} {path:?} {host} {port}: {hits:?}");
            let decision = decide(&policy, None, &Lease::default(), &request, NOW);
            prop_assert!(!decision.rule.is_some_and(|rule| never.contains(&rule)));
        }
    }

    /// A sample is a request, and comes to the rule that it is said to come to.
    #[test]
    fn every_sample_is_decided_as_it_says(policy in some_policy()) {
        let Some(policy) = policy else { return Ok(()) };
        for sample in Samples::of(&policy).unwrap().iter() {
            let decision = decide(&policy, None, &Lease::default(), &sample.request(), NOW);
            prop_assert_eq!(decision.rule, sample.decided(&policy).map(|hit| hit.rule), "{:?}", sample);
        }
    }
}

const NOW: Moment = Moment {
    monotonic: std::time::Duration::ZERO,
    wall: std::time::Duration::ZERO,
};
