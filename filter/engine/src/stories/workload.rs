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
