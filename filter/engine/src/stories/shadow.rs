//! SHADOW: recorded, and without effect.

#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use proptest::prelude::*;

use super::*;

#[test]
fn a_shadow_rule_is_recorded_and_skipped() {
    let policy = policy_of(json!([
        { "name": "owners", "to": [{ "methods": ["*"] }], "require": { "anyOf": ["role:owner"] }, "mode": "SHADOW" },
        { "name": "closed", "to": [{ "methods": ["*"] }], "allow": "NOBODY", "mode": "SHADOW" },
        { "name": "open", "to": [{ "methods": ["*"] }], "allow": "PUBLIC", "mode": "SHADOW" },
        { "name": "admins", "to": [{ "methods": ["*"] }], "require": { "anyOf": ["group:admins"] } },
    ]));
    let (alice, bob) = (sub("alice"), sub("bob"));
    let decision = decided(&policy, &get("/", Some(&alice)));
    assert_eq!((decision.allowed, decision.rule), (true, Some(3)));
    assert_eq!(decision.shadowed, [(1, Reason::Nobody)]);
    assert_eq!(decision.would_refuse, None);
    let decision = decided(&policy, &get("/", Some(&bob)));
    assert_eq!(
        decision.shadowed,
        [(0, Reason::NotPermitted), (1, Reason::Nobody)]
    );
    assert!(decision.allowed);
    // An enforced rule behind a shadow rule still refuses.
    let decision = decided(&policy, &get("/", None));
    assert_eq!(
        (decision.allowed, decision.reason),
        (false, Reason::NoToken)
    );
    // Who asks is found out once, however many rules want to know.
    let asked = bob.asked.borrow();
    assert_eq!(asked.iter().filter(|name| *name == "sub").count(), 1);
}

#[test]
fn a_shadow_policy_refuses_nothing_and_says_what_it_would() {
    let policy = policy_in(
        "SHADOW",
        json!([{ "name": "admins", "to": [{ "paths": ["/a"] }], "require": { "anyOf": ["group:admins"] } }]),
    );
    let alice = sub("alice");
    let decision = decided(&policy, &get("/a", Some(&alice)));
    assert_eq!(
        (decision.allowed, decision.reason, decision.would_refuse),
        (true, Reason::Permitted, None)
    );
    for (path, why) in [
        ("/a", Reason::NoToken),
        ("/b", Reason::NoRule),
        ("//", Reason::AmbiguousPath),
    ] {
        let decision = decided(&policy, &get(path, None));
        assert_eq!(
            (decision.allowed, decision.reason, decision.would_refuse),
            (true, why, Some(why))
        );
    }
    let decision = decide(
        &policy,
        None,
        &Lease::default(),
        &get("/a", Some(&alice)),
        NOW,
    );
    assert_eq!(
        (decision.allowed, decision.would_refuse),
        (true, Some(Reason::NoSnapshot))
    );
}

#[test]
fn a_shadow_rule_on_ports_refuses_nothing_where_the_port_is_not_known() {
    let unknown = Wire::default();
    let request = Request {
        connection: &unknown,
        ..get("/", None)
    };
    for to in [json!({ "ports": ["80"] }), json!({ "notPorts": ["80"] })] {
        let rules = json!([
            { "name": "closed", "to": [to], "allow": "NOBODY", "mode": "SHADOW" },
            { "name": "all", "to": [{ "methods": ["*"] }], "allow": "PUBLIC" },
        ]);
        let decision = decided(&policy_of(rules.clone()), &request);
        assert_eq!((decision.reason, decision.rule), (Reason::Public, Some(1)));
        assert_eq!(decision.shadowed, [(0, Reason::UnknownPort)]);
        let decision = decided(&policy_in("SHADOW", rules), &request);
        assert_eq!((decision.allowed, decision.would_refuse), (true, None));
    }
}

#[test]
fn the_upstream_is_told_of_no_group_that_shadow_rules_alone_name() {
    let told = |shadow: Value| {
        let document = json!({
            "tenant": "corp", "feed": { "cluster": "feeder" }, "headers": { "groups": "x-groups" },
            "rules": [
                { "name": "trial", "to": [{ "methods": ["*"] }], "require": { "noneOf": ["group:contractors"] }, "mode": shadow },
                { "name": "admins", "to": [{ "methods": ["*"] }], "require": { "anyOf": ["group:admins"] } },
                { "name": "closed", "to": [{ "paths": ["/closed"] }], "require": { "anyOf": ["group:contractors"] }, "mode": "SHADOW" },
            ],
        });
        let policy = Policy::parse(document.to_string().as_bytes()).unwrap();
        let snapshot = company(policy.scope());
        let bob = sub("bob");
        let decision = decide(
            &policy,
            Some(&snapshot),
            &renewed(1),
            &get("/", Some(&bob)),
            NOW,
        );
        let told = policy.headers().values(&policy, Some(&snapshot), &decision);
        told.into_iter().map(|(_, value)| value).collect::<Vec<_>>()
    };
    assert_eq!(told(json!("SHADOW")), ["group:admins"]);
    assert_eq!(told(json!("ENFORCE")), [""; 0], "refused");
}

/// Which requests a rule is about.
fn operations() -> impl Strategy<Value = Value> {
    prop::sample::select(vec![
        json!({ "methods": ["*"] }),
        json!({ "paths": ["/a"] }),
        json!({ "notPaths": ["/a"] }),
        json!({ "methods": ["POST"] }),
        json!({ "ports": ["8080"] }),
        json!({ "notPorts": ["8080"] }),
        json!({ "hosts": ["a.example"] }),
    ])
}

/// What a rule says of them.
fn effects() -> impl Strategy<Value = Value> {
    prop::sample::select(vec![
        json!({ "allow": "PUBLIC" }),
        json!({ "allow": "NOBODY" }),
        json!({ "require": { "anyOf": ["active"] } }),
        json!({ "require": { "anyOf": ["group:admins"] } }),
        json!({ "require": { "anyOf": ["group:admins"], "noneOf": ["group:contractors"] }, "maxStaleness": "5s" }),
        json!({ "require": { "noneOf": ["role:owner"] }, "maxTokenAge": "15m" }),
        json!({ "require": { "anyOf": ["group:admins"], "workload": { "anyOf": ["group:jobs"] } } }),
        json!({ "require": { "workload": { "anyOf": ["active"] } } }),
    ])
}

/// A rule, and whether it is in SHADOW.
fn rules() -> impl Strategy<Value = Vec<(Value, bool)>> {
    let rule = (operations(), effects(), any::<bool>()).prop_map(|(to, mut rule, shadow)| {
        rule["to"] = json!([to]);
        rule["mode"] = json!(if shadow { "SHADOW" } else { "ENFORCE" });
        (rule, shadow)
    });
    prop::collection::vec(rule, 1..6).prop_map(|mut rules| {
        for (place, (rule, _)) in rules.iter_mut().enumerate() {
            rule["name"] = json!(format!("rule-{place}"));
        }
        rules
    })
}

proptest! {
    /// Enforced rules decide as if the SHADOW rules before, between and behind them were not there.
    #[test]
    fn what_is_decided_is_decided_without_shadow_rules(
        rules in rules(), path in prop::sample::select(vec!["/a", "/b", "//", "/%2e"]), method in "GET|POST|get", host in "a\\.example|b\\.example|a,b",
        who in prop::option::of("alice|bob|carol|mallory"), issuer in any::<bool>(), peer in prop::sample::select(vec![BATCH, REPORTS, "spiffe://elsewhere/x", ""]),
        port in prop::option::of(prop::sample::select(vec![8080u16, 80])), age in prop::option::of(0u64..400), held in any::<bool>(),
    ) {
        let enforced: Vec<Value> = rules.iter().filter(|(_, shadow)| !shadow).map(|(rule, _)| rule.clone()).collect();
        let all: Vec<Value> = rules.into_iter().map(|(rule, _)| rule).collect();
        prop_assume!(!enforced.is_empty());
        let (with, without) = (policy_of(json!(all)), policy_of(json!(enforced)));
        let token = who.map(|who| if issuer { sub(&who) } else { Token::of("https://elsewhere").says("sub", &who) });
        let connection = Wire { port, peer: (!peer.is_empty()).then(|| peer.into()) };
        let request = Request {
            method: method.as_bytes(), path: Some(path.as_bytes()), host: host.as_bytes(), connection: &connection,
            token: token.as_ref().map(|token| token as &dyn Claims),
        };
        let lease = age.map(renewed).unwrap_or_default();
        let decided = |policy: &Policy, scope: &Scope| {
            let snapshot = company(scope);
            let decision = decide(policy, held.then_some(&snapshot), &lease, &request, NOW);
            let rule = decision.rule.and_then(|rule| policy.rule_name(rule)).map(str::to_owned);
            (decision, rule)
        };
        let (full, rule) = decided(&with, with.scope());
        let (bare, bare_rule) = decided(&without, with.scope());
        prop_assert_eq!((full.allowed, full.reason, &rule), (bare.allowed, bare.reason, &bare_rule));
        prop_assert_eq!((&full.would_refuse, bare.shadowed), (&None, vec![]));
        prop_assert!(full.shadowed.iter().all(|(_, reason)| !reason.allows()));
        // A SHADOW rule may have more users sent. Then those who hold nothing are known, and refused all the same.
        let (own, own_rule) = decided(&without, without.scope());
        prop_assert_eq!((own.allowed, own.reason.status(), &own_rule), (full.allowed, full.reason.status(), &rule));

        // The same under a SHADOW policy, but for what becomes of it.
        let shadow = policy_in("SHADOW", json!(all));
        let (decision, shadow_rule) = decided(&shadow, with.scope());
        prop_assert!(decision.allowed);
        prop_assert_eq!((decision.reason, shadow_rule, decision.shadowed), (full.reason, rule, full.shadowed));
        prop_assert_eq!(decision.would_refuse, Some(full.reason).filter(|reason| !reason.allows()));
    }
}
