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

#[test]
fn a_name_is_compared_without_case_only_where_the_binding_says_so() {
    let policy = admins();
    let gus = |name: &str| reason(&policy, &Token::of(NAME_ISSUER).says("upn", name));
    assert_eq!(gus("gus@corp.example"), Reason::Permitted);
    assert_eq!(gus("Gus@CORP.example"), Reason::Permitted);
    for near in [
        "gus@corp.example ",
        "g\u{fc}s@corp.example",
        "gu\u{17f}@corp.example",
        "gus@corp.exampl\u{212f}",
        "gus@corp.example.",
    ] {
        assert_eq!(gus(near), Reason::UnknownSubject, "{near:?}");
    }
    let mail = |email: &str| {
        let token = Token::of(MAIL_ISSUER).says("email", email);
        reason(&policy, &token.with("email_verified", Claim::Bool(true)))
    };
    assert_eq!(mail("eve@corp.example"), Reason::Permitted);
    assert_eq!(mail("Eve@corp.example"), Reason::UnknownSubject);
}

#[test]
fn a_user_in_more_groups_than_a_token_can_name_is_known_by_the_directory() {
    // What Entra ID puts into the token of a user with more than 200 groups.
    let token = || {
        sub("alice")
            .with("_claim_names", Claim::Other)
            .with("_claim_sources", Claim::Other)
    };
    assert_eq!(reason(&admins(), &token()), Reason::Permitted);
    // And what a token says of groups is not asked.
    let token = token().with("groups", Claim::Other).says("roles", "x");
    assert_eq!(reason(&admins(), &token), Reason::Permitted);
    for claim in ["groups", "roles", "_claim_names"] {
        assert!(!token.asked.borrow().contains(&claim.to_owned()));
    }
}

#[test]
fn a_claim_of_the_longest_size_still_names_somebody() {
    let policy = requiring(json!({ "anyOf": ["active"] }));
    let mut snapshot = company(policy.scope());
    let binding = snapshot
        .binding_of_issuer(ISSUER.as_bytes())
        .unwrap()
        .clone();
    let longest = "a".repeat(1024);
    let subject = snapshot.subject(&binding, longest.as_bytes());
    snapshot.insert(subject, TermSet::default()).unwrap();
    let token = sub(&longest);
    let decision = decide(
        &policy,
        Some(&snapshot),
        &renewed(1),
        &get("/", Some(&token)),
        NOW,
    );
    assert_eq!(decision.reason, Reason::Permitted);
    let subject = decision.subject.unwrap();
    assert_eq!(
        (subject.name, subject.issuer),
        (longest.into(), ISSUER.into())
    );
}
