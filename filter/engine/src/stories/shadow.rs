//! SHADOW: recorded, and without effect.

#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

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
