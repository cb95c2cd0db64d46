//! Rules about the mTLS peer, alone and together with the token's user.

#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

fn from<'a>(connection: &'a Wire, token: Option<&'a Token>) -> Request<'a> {
    Request {
        connection,
        ..get("/", token)
    }
}

fn why(policy: &Policy, peer: Option<&str>, token: Option<&Token>) -> Reason {
    let connection = peer.map_or(PLAIN, from_peer);
    decided(policy, &from(&connection, token)).reason
}

#[test]
fn a_workload_may_by_its_service_accounts_groups() {
    let jobs = requiring(json!({ "workload": { "anyOf": ["group:jobs"] } }));
    assert_eq!(why(&jobs, Some(BATCH), None), Reason::Permitted);
    for (peer, reason) in [
        (None, Reason::NoWorkload),
        (Some(""), Reason::NoWorkload),
        (Some("spiffe://cluster.local"), Reason::NoWorkload),
        (
            Some("https://cluster.local/ns/pay/sa/batch"),
            Reason::NoWorkload,
        ),
        (
            Some("spiffe://elsewhere/ns/pay/sa/batch"),
            Reason::UnknownTrustDomain,
        ),
        (Some(REPORTS), Reason::UnknownWorkload),
        (
            Some("spiffe://cluster.local/ns/pay/sa/Batch"),
            Reason::UnknownWorkload,
        ),
    ] {
        assert_eq!(why(&jobs, peer, None), reason, "{peer:?}");
    }
    let known = requiring(json!({ "workload": { "noneOf": ["group:jobs"] } }));
    assert_eq!(why(&known, Some(REPORTS), None), Reason::Permitted);
    assert_eq!(why(&known, Some(BATCH), None), Reason::WorkloadNotPermitted);
}

#[test]
fn a_workload_never_stands_in_for_a_missing_user() {
    let alice = sub("alice");
    let posing = sub(BATCH);
    let users = requiring(json!({ "anyOf": ["group:jobs", "group:admins"] }));
    assert_eq!(why(&users, Some(BATCH), None), Reason::NoToken);
    assert_eq!(
        why(&users, Some(BATCH), Some(&posing)),
        Reason::UnknownSubject
    );
    assert_eq!(why(&users, Some(BATCH), Some(&alice)), Reason::Permitted);
    let both =
        requiring(json!({ "anyOf": ["group:admins"], "workload": { "anyOf": ["group:jobs"] } }));
    assert_eq!(why(&both, Some(BATCH), Some(&alice)), Reason::Permitted);
    assert_eq!(why(&both, Some(BATCH), None), Reason::NoToken);
    assert_eq!(why(&both, None, Some(&alice)), Reason::NoWorkload);
    assert_eq!(
        why(&both, Some(REPORTS), Some(&alice)),
        Reason::UnknownWorkload
    );
    assert_eq!(
        why(&both, Some(BATCH), Some(&sub("mallory"))),
        Reason::UnknownSubject
    );
}

#[test]
fn a_bad_id_is_told_before_the_feeds_state_and_a_missing_token_before_that() {
    let both =
        requiring(json!({ "anyOf": ["group:admins"], "workload": { "anyOf": ["group:jobs"] } }));
    let alice = sub("alice");
    let why = |peer: Option<&str>, token| {
        let connection = peer.map_or(PLAIN, from_peer);
        let request = from(&connection, token);
        decide(&both, None, &Lease::default(), &request, NOW).reason
    };
    assert_eq!(why(None, None), Reason::NoToken);
    for peer in [None, Some(""), Some("spiffe://A/x"), Some("alice")] {
        assert_eq!(why(peer, Some(&alice)), Reason::NoWorkload, "{peer:?}");
    }
    assert_eq!(why(Some(BATCH), Some(&alice)), Reason::NoSnapshot);
}

#[test]
fn a_rule_about_a_workload_reads_no_token_and_tells_no_subject() {
    let jobs = requiring(json!({ "workload": { "anyOf": ["group:jobs"] } }));
    let alice = sub("alice");
    let connection = from_peer(BATCH);
    let decision = decided(&jobs, &from(&connection, Some(&alice)));
    assert_eq!(
        (decision.reason, decision.subject),
        (Reason::Permitted, None)
    );
    assert!(alice.asked.borrow().is_empty());
}

#[test]
fn a_workload_needs_a_current_directory_as_a_user_does() {
    let jobs = requiring(json!({ "workload": { "anyOf": ["group:jobs"] } }));
    let snapshot = company(jobs.scope());
    let connection = from_peer(BATCH);
    let request = from(&connection, None);
    let why = |snapshot, lease| decide(&jobs, snapshot, &lease, &request, NOW).reason;
    assert_eq!(why(Some(&snapshot), renewed(299)), Reason::Permitted);
    assert_eq!(why(Some(&snapshot), renewed(300)), Reason::LeaseEnded);
    assert_eq!(why(None, renewed(0)), Reason::NoSnapshot);
    for state in [TermState::Missing, TermState::Ambiguous] {
        let lost = company_where(jobs.scope(), |_| state);
        let reason = decide(&jobs, Some(&lost), &renewed(1), &request, NOW).reason;
        assert_eq!(reason, Reason::WorkloadNotPermitted, "{state:?}");
    }
}

#[test]
fn who_asks_is_asked_once_however_many_rules_want_to_know() {
    struct Counted(std::cell::Cell<u32>);
    impl Connection for Counted {
        fn local_port(&self) -> Option<u16> {
            panic!("no rule depends on the port")
        }
        fn peer(&self) -> Option<Vec<u8>> {
            self.0.set(self.0.get() + 1);
            Some(REPORTS.into())
        }
    }
    let rule = |name: &str, mode: &str| json!({ "name": name, "to": [{ "methods": ["*"] }], "require": { "workload": { "anyOf": ["group:jobs"] } }, "mode": mode });
    let policy = policy_of(json!([
        rule("a", "SHADOW"),
        rule("b", "SHADOW"),
        rule("c", "ENFORCE")
    ]));
    let connection = Counted(0.into());
    let request = Request {
        connection: &connection,
        ..get("/", None)
    };
    let decision = decided(&policy, &request);
    assert_eq!(decision.shadowed.len(), 2);
    assert_eq!(decision.reason, Reason::UnknownWorkload);
    assert_eq!(connection.0.get(), 1);
}
