//! What holds for every policy and every request.

use proptest::prelude::*;
use scimesh_proto::snapshot::TermState;
use serde_json::{Value, json};
#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

fn conditions() -> impl Strategy<Value = Vec<&'static str>> {
    let all = vec![
        "group:admins",
        "group:contractors",
        "role:owner",
        "group:nowhere",
    ];
    prop::sample::subsequence(all, 0..=4)
}

fn require_of(any: &[&str], all: &[&str], none: &[&str]) -> Option<Value> {
    let lists = [("anyOf", any), ("allOf", all), ("noneOf", none)];
    let given = lists.into_iter().filter(|(_, list)| !list.is_empty());
    let map: serde_json::Map<String, Value> = given
        .map(|(name, list)| (name.to_owned(), json!(list)))
        .collect();
    (!map.is_empty()).then_some(Value::Object(map))
}

fn state_of(state: u8) -> TermState {
    match state {
        0 => TermState::Missing,
        1 => TermState::Ambiguous,
        _ => TermState::Found,
    }
}

proptest! {
    #[test]
    fn demanding_more_never_lets_more_in(any in conditions(), all in conditions(), none in conditions(), more in conditions(), missing in 0u8..6, who in "alice|bob|carol|mallory") {
        let Some(require) = require_of(&any, &all, &none) else { return Ok(()) };
        let union = |list: &[&'static str]| {
            let extra = more.iter().filter(|term| !list.contains(term));
            list.iter().chain(extra).copied().collect::<Vec<_>>()
        };
        let token = sub(&who);
        let request = get("/", Some(&token));
        let allowed = |require: Value| {
            let policy = requiring(require);
            let snapshot = company_where(policy.scope(), |term| state_of(if term.ends_with("admins") { missing } else { 2 }));
            decide(&policy, Some(&snapshot), &renewed(1), &request, NOW).allowed
        };
        let before = allowed(require);
        if let Some(stricter) = require_of(&any, &all, &union(&none)) {
            prop_assert!(before || !allowed(stricter));
        }
        if let Some(stricter) = require_of(&any, &union(&all), &none) {
            prop_assert!(before || !allowed(stricter));
        }
        if any.is_empty() && let Some(stricter) = require_of(&more, &all, &none) {
            prop_assert!(before || !allowed(stricter));
        }
    }

    #[test]
    fn losing_a_term_from_sight_never_lets_anyone_in(any in conditions(), all in conditions(), none in conditions(), lost in conditions(), state in 0u8..2, who in "alice|bob|carol|mallory") {
        let Some(require) = require_of(&any, &all, &none) else { return Ok(()) };
        let policy = requiring(require);
        let token = sub(&who);
        let request = get("/", Some(&token));
        let before = decided(&policy, &request).allowed;
        let snapshot = company_where(policy.scope(), |term| state_of(if lost.contains(&term) { state } else { 2 }));
        let after = decide(&policy, Some(&snapshot), &renewed(1), &request, NOW).allowed;
        prop_assert!(before || !after);
    }

    #[test]
    fn a_workload_helps_only_where_it_is_asked_for(
        any in conditions(), none in conditions(), of_workload in conditions(), with_user in any::<bool>(),
        who in prop::option::of("alice|bob|carol|mallory"), peer in prop::sample::select(vec![BATCH, REPORTS, "spiffe://elsewhere/x", "spiffe://", ""]),
    ) {
        let mut require = match require_of(&any, &[], &none) {
            Some(Value::Object(lists)) if with_user => lists,
            _ => Default::default(),
        };
        let for_user = !require.is_empty();
        if !of_workload.is_empty() || !for_user {
            let jobs: Vec<&str> = of_workload.iter().copied().chain(["group:jobs"]).collect();
            require.insert("workload".to_owned(), json!({ "anyOf": jobs }));
        }
        let for_workload = require.contains_key("workload");
        let policy = requiring(Value::Object(require));
        let token = who.as_deref().map(sub);
        let connection = from_peer(peer);
        let with = Request { connection: &connection, ..get("/", token.as_ref()) };
        let without = get("/", token.as_ref());
        let tokenless = Request { token: None, ..with };
        let (with, without, tokenless) = (decided(&policy, &with), decided(&policy, &without), decided(&policy, &tokenless));
        // Nobody gets in by losing the peer, nor by losing the token.
        prop_assert!(with.allowed || !without.allowed);
        prop_assert!(with.allowed || !tokenless.allowed);
        if for_user {
            prop_assert!(!tokenless.allowed);
            prop_assert_eq!(tokenless.reason, Reason::NoToken);
        } else {
            prop_assert_eq!(with.reason, tokenless.reason);
        }
        if for_workload {
            prop_assert!(!without.allowed);
        } else {
            prop_assert_eq!(with.reason, without.reason);
        }
    }

    #[test]
    fn what_is_refused_whatever_the_rules_is_refused_under_every_rule(path in "(/|%2f|%2e|\\.|;|a|%25|\u{ff0f}|#){0,6}", method in "GET|get|CONNECT", host in "a|a,b|127\\.1|a:80") {
        let connect = method == "CONNECT";
        let request = Request { method: method.as_bytes(), path: (!connect).then_some(path.as_bytes()), host: host.as_bytes(), ..get("", None) };
        let reasons = [layered(), json!([{ "name": "all", "to": [{ "methods": ["*"] }], "allow": "PUBLIC" }])]
            .map(|rules| decided(&policy_of(rules), &request).reason);
        let ambiguous = |reason: &Reason| reason.status() == 400;
        prop_assert_eq!(ambiguous(&reasons[0]), ambiguous(&reasons[1]));
        let clear = method != "get" && (host == "a" || host == "a:80") && (connect || crate::CanonicalPath::parse(path.as_bytes()).is_ok());
        prop_assert_eq!(ambiguous(&reasons[1]), !clear);
    }

    #[test]
    fn no_request_panics_and_none_is_let_in_for_nothing(
        method in prop::collection::vec(any::<u8>(), 0..8),
        path in prop::option::of(prop::collection::vec(any::<u8>(), 0..40)),
        host in prop::collection::vec(any::<u8>(), 0..40),
        port in any::<Option<u16>>(),
        peer in prop::option::of(prop::collection::vec(any::<u8>(), 0..40)),
        iss in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let token = Token::default().with("iss", Claim::Text(iss));
        let connection = Wire { port, peer };
        let request = Request { method: &method, path: path.as_deref(), host: &host, connection: &connection, token: Some(&token) };
        prop_assert!(!decided(&admins(), &request).allowed);
        let reason = decided(&policy_of(layered()), &request).reason;
        prop_assert!(!reason.allows() || path.is_some_and(|path| path.starts_with(b"/healthz")));
    }
}
