//! An explanation is the decision's own: nothing in it may say otherwise.

use proptest::prelude::*;
use serde_json::{Value, json};
#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;
use crate::explain::{Asked, Demandable, Explanation, Field, List, Standing, explain};
use crate::{Mode, Unnamed, Unusable};

fn explained(policy: &Policy, request: &Request<'_>) -> Explanation {
    let snapshot = company(policy.scope());
    explain(policy, &snapshot, &renewed(1), request, NOW)
}

fn satisfied(conditions: &[Demandable]) -> bool {
    let of = |list: List| {
        let listed = conditions
            .iter()
            .filter(move |condition| condition.list == list);
        listed.map(|condition| condition.standing)
    };
    (of(List::AnyOf).next().is_none() || of(List::AnyOf).any(|s| s == Standing::Held))
        && of(List::AllOf).all(|s| s == Standing::Held)
        && of(List::NoneOf).all(|s| s == Standing::NotHeld)
}

/// Rules of every kind, some of which only look.
fn watched() -> Value {
    json!([
        { "name": "hosts", "to": [{ "hosts": ["admin.example.com"] }, { "notHosts": ["*.example.com"], "ports": ["8080"] }], "allow": "NOBODY" },
        { "name": "open", "to": [{ "paths": ["/open"] }], "allow": "PUBLIC", "mode": "SHADOW" },
        { "name": "trial", "to": [{ "notMethods": ["POST"] }], "require": { "allOf": ["group:admins", "role:owner"], "noneOf": ["group:contractors"] }, "mode": "SHADOW" },
        { "name": "jobs", "to": [{ "paths": ["/jobs"] }], "require": { "anyOf": ["active"], "workload": { "anyOf": ["group:jobs", "group:nowhere"] } } },
        { "name": "refunds", "to": [{ "methods": ["POST"], "paths": ["/refunds"] }], "require": { "anyOf": ["role:owner", "group:nowhere"] } },
        { "name": "reads", "to": [{ "methods": ["GET"], "notPaths": ["/none"] }], "require": { "noneOf": ["group:contractors"] } },
    ])
}

proptest! {
    #[test]
    fn an_explanation_says_what_the_decision_says(
        method in "GET|POST|get", path in "/(open|jobs|refunds|none|//)?", host in "(svc|admin)\\.example\\.(com|org)|,",
        port in prop::option::of(8080u16..8082), peer in prop::option::of("spiffe://(cluster\\.local|else)/ns/pay/sa/(batch|reports)|x"),
        who in prop::option::of("alice|bob|carol|mallory|"), issuer in 0usize..2, mode in "ENFORCE|SHADOW",
    ) {
        let policy = policy_in(&mode, watched());
        let token = who.map(|who| Token::of([ISSUER, "https://else"][issuer]).says("sub", &who));
        let connection = Wire { port, peer: peer.map(String::into_bytes) };
        let request = Request {
            method: method.as_bytes(),
            host: host.as_bytes(),
            connection: &connection,
            ..get(&path, token.as_ref())
        };
        let Explanation { decision, rules } = explained(&policy, &request);
        prop_assert_eq!(&decision, &decided(&policy, &request));
        prop_assert_eq!(decision.rule.is_some(), decision.rule == rules.last().map(|last| last.rule) && decision.rule.is_some());
        let mut recorded = Vec::new();
        for (place, asked) in rules.iter().enumerate() {
            prop_assert_eq!(asked.rule, place);
            let Asked { unmet, says, demand, .. } = asked;
            prop_assert_eq!(says.is_some(), unmet.iter().any(Vec::is_empty));
            prop_assert_eq!(says.is_some() && asked.mode == Mode::Enforce, decision.rule == Some(place));
            if asked.mode == Mode::Shadow && let Some(reason) = says.filter(|reason| !reason.allows()) {
                recorded.push((place, reason));
            }
            let Some(demand) = demand else { continue };
            let met = |part: &Option<Vec<Demandable>>| part.as_deref().is_none_or(satisfied);
            match says {
                Some(Reason::Permitted) => prop_assert!(met(&demand.user) && met(&demand.workload)),
                Some(Reason::NotPermitted) => prop_assert!(!met(&demand.user)),
                Some(Reason::WorkloadNotPermitted) => prop_assert!(!met(&demand.workload)),
                _ => {}
            }
        }
        prop_assert_eq!(recorded, decision.shadowed);
    }
}

#[test]
fn a_rule_that_does_not_match_says_by_which_condition() {
    let policy = policy_of(watched());
    let alice = sub("alice");
    let Explanation { decision, rules } = explained(&policy, &asked("DELETE", "/none", &alice));
    assert_eq!(decision.reason, Reason::NoRule);
    let unmet = |rule: usize| rules[rule].unmet.clone();
    assert_eq!(
        unmet(0),
        [vec![Field::Hosts], vec![Field::NotHosts]],
        "one for each operation"
    );
    assert_eq!(unmet(2), [vec![]]);
    assert_eq!(unmet(4), [vec![Field::Methods, Field::Paths]]);
    assert_eq!(unmet(5), [vec![Field::Methods, Field::NotPaths]]);
}

#[test]
fn who_holds_what_is_told_term_by_term() {
    let policy = requiring(
        json!({ "anyOf": ["group:admins", "group:gone"], "noneOf": ["group:twice", "role:owner"], "allOf": ["active"] }),
    );
    let state = |term: &str| match term {
        "group:gone" => TermState::Missing,
        "group:twice" => TermState::Ambiguous,
        _ => TermState::Found,
    };
    let snapshot = company_where(policy.scope(), state);
    let standings = |who: &str| {
        let token = sub(who);
        let explained = explain(
            &policy,
            &snapshot,
            &renewed(1),
            &get("/", Some(&token)),
            NOW,
        );
        let demand = explained.rules.last().unwrap().demand.clone().unwrap();
        let conditions = demand.user.unwrap().into_iter();
        conditions
            .map(|c| (c.condition, c.standing))
            .collect::<Vec<_>>()
    };
    let expected = |admins, active, owner| {
        let rows = [
            ("group:admins", admins),
            ("group:gone", Standing::Missing),
            ("active", active),
            ("group:twice", Standing::Ambiguous),
            ("role:owner", owner),
        ];
        rows.map(|(condition, standing)| (condition.to_owned(), standing))
            .to_vec()
    };
    use Standing::{Held, NotHeld};
    assert_eq!(standings("alice"), expected(Held, Held, Held));
    assert_eq!(standings("bob"), expected(Held, Held, NotHeld));
    assert_eq!(standings("mallory"), expected(NotHeld, NotHeld, NotHeld));
}

#[test]
fn a_token_that_names_nobody_says_why() {
    let policy = admins();
    let snapshot = company(policy.scope());
    let why = |token: Token| crate::explain::user(&snapshot, &token).unwrap_err();
    let shared = || Token::of(SHARED_ISSUER).says("oid", "frank");
    let mail = || Token::of(MAIL_ISSUER).says("email", "eve@corp.example");
    for (token, unnamed) in [
        (Token::default(), Unnamed::Issuer(Unusable::Absent)),
        (
            Token::default().with("iss", Claim::Number(1.0)),
            Unnamed::Issuer(Unusable::NotText),
        ),
        (Token::of("https://idp.corp.example/"), Unnamed::Unbound),
        (shared(), Unnamed::Pin(Some(Unusable::Absent))),
        (shared().says("tid", "other-tid"), Unnamed::Pin(None)),
        (Token::of(ISSUER), Unnamed::Claim(Unusable::Absent)),
        (sub(""), Unnamed::Claim(Unusable::Empty)),
        (sub("a\0"), Unnamed::Claim(Unusable::Nul)),
        (sub(&"a".repeat(1025)), Unnamed::Claim(Unusable::TooLong)),
        (
            Token::of(ISSUER).with("sub", Claim::Other),
            Unnamed::Claim(Unusable::NotText),
        ),
        (mail(), Unnamed::UnverifiedEmail),
        (
            mail().says("email_verified", "true"),
            Unnamed::UnverifiedEmail,
        ),
    ] {
        let decided = reason(&policy, &token);
        let said = why(token);
        assert_eq!(said, unnamed);
        assert_eq!(said.reason(), decided, "{said:?}");
    }
}
