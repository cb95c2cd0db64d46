//! Who may: terms, and what can't be resolved.

#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

#[test]
fn a_member_may_and_others_may_not() {
    let policy = admins();
    assert_eq!(reason(&policy, &sub("alice")), Reason::Permitted);
    assert_eq!(reason(&policy, &sub("carol")), Reason::UnknownSubject);
    assert_eq!(reason(&policy, &sub("mallory")), Reason::UnknownSubject);
    let token = sub("alice");
    let decision = decided(&policy, &get("/", Some(&token)));
    assert!(decision.subject.is_some());
    assert_eq!(decision.rule, Some(0));
    assert_eq!(decided(&policy, &get("/", None)).reason, Reason::NoToken);
}

#[test]
fn require_means_any_all_and_none() {
    for (require, alice, bob, carol) in [
        (json!({ "anyOf": ["active"] }), true, true, true),
        (
            json!({ "anyOf": ["role:owner", "group:contractors"] }),
            true,
            true,
            false,
        ),
        (
            json!({ "anyOf": ["role:owner", "active"] }),
            true,
            true,
            true,
        ),
        (
            json!({ "allOf": ["group:admins", "role:owner"] }),
            true,
            false,
            false,
        ),
        (
            json!({ "allOf": ["group:admins", "active"] }),
            true,
            true,
            false,
        ),
        (
            json!({ "noneOf": ["group:contractors"] }),
            true,
            false,
            true,
        ),
        (
            json!({ "noneOf": ["group:contractors", "role:owner"] }),
            false,
            false,
            true,
        ),
        (
            json!({ "anyOf": ["group:admins"], "noneOf": ["group:contractors"] }),
            true,
            false,
            false,
        ),
        (
            json!({ "anyOf": ["group:contractors"], "allOf": ["group:admins"] }),
            false,
            true,
            false,
        ),
    ] {
        let policy = requiring(require.clone());
        for (who, allowed) in [("alice", alice), ("bob", bob), ("carol", carol)] {
            assert_eq!(
                reason(&policy, &sub(who)).allows(),
                allowed,
                "{who} under {require}"
            );
        }
        assert_eq!(
            reason(&policy, &sub("mallory")),
            Reason::UnknownSubject,
            "{require}"
        );
    }
}

#[test]
fn a_known_user_who_fails_is_told_apart_from_an_unknown_one() {
    let policy = requiring(json!({ "anyOf": ["group:admins"], "noneOf": ["group:contractors"] }));
    assert_eq!(reason(&policy, &sub("bob")), Reason::NotPermitted);
}

#[test]
fn what_can_not_be_resolved_helps_nobody() {
    let requires = [
        json!({ "anyOf": ["group:admins"] }),
        json!({ "allOf": ["group:admins"] }),
        json!({ "noneOf": ["group:contractors"] }),
    ];
    for require in requires {
        let policy = requiring(require.clone());
        let token = sub("alice");
        let request = get("/", Some(&token));
        assert!(decided(&policy, &request).allowed);
        for state in [TermState::Missing, TermState::Ambiguous] {
            let snapshot = company_where(policy.scope(), |_| state);
            let decision = decide(&policy, Some(&snapshot), &renewed(1), &request, NOW);
            assert_eq!(
                decision.reason,
                Reason::NotPermitted,
                "{require} with {state:?} terms"
            );
        }
    }
}

#[test]
fn a_snapshot_of_another_scope_never_lends_its_bits() {
    // In the policy's scope, admins is term 0; in the snapshot's, contractors is.
    let policy = admins();
    let terms = ["group:contractors", "group:zebras"].map(|term| Term::parse(term).unwrap());
    let other = Scope::new("corp", terms, false).unwrap();
    let token = sub("bob");
    let request = get("/", Some(&token));
    let decision = decide(&policy, Some(&company(&other)), &renewed(1), &request, NOW);
    assert_eq!(decision.reason, Reason::NotPermitted);

    // The same terms of another tenant are other groups.
    let stranger = Scope::new("other", policy.scope().terms().to_vec(), true).unwrap();
    let decision = decide(
        &policy,
        Some(&company(&stranger)),
        &renewed(1),
        &request,
        NOW,
    );
    assert_eq!(decision.reason, Reason::NoSnapshot);
}
