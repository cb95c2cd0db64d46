use std::time::Duration;

use scimesh_proto::scope::Term;
use serde_json::{Value, json};
use tonic::Code;

use super::*;

const APP: &str = "spiffe://td/ns/shop/sa/app";
const OTHER: &str = "spiffe://td/ns/shop/sa/other";

fn rules(rules: Value) -> Arc<Rules> {
    Arc::new(serde_json::from_value(rules).unwrap())
}

/// Both may have all of corp.
fn shop() -> Arc<Rules> {
    rules(json!([{ "peer": "spiffe://td/ns/shop/**", "tenants": ["corp"] }]))
}

fn gate(rules: &Arc<Rules>, limits: Limits) -> Arc<Gate> {
    Arc::new(Gate::new(rules.clone(), limits, FeedMetrics::default()))
}

fn workload(id: &str) -> Peer {
    Peer::Workload(id.into())
}

fn scope(tenant: &str, terms: &[&str]) -> Scope {
    let terms = terms.iter().map(|term| Term::parse(term).unwrap());
    Scope::new(tenant, terms, false).unwrap()
}

/// What the stream is told when it is ended, which must come at once.
async fn ended(pass: &Pass) -> Code {
    let told = tokio::time::timeout(Duration::from_secs(10), pass.revoked());
    told.await.expect("it goes on").code()
}

fn exhausted(refused: Result<Pass, Refusal>, limit: Limit) {
    match refused {
        Err(Refusal::Exhausted { limit: which, .. }) => assert_eq!(which, limit),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_stream_ends_when_the_rules_no_longer_let_it_be() {
    let rules_then = shop();
    let gate = gate(&rules_then, Limits::default());
    let enter = |id: &str| gate.enter(workload(id), || rules_then.clone()).unwrap();
    let [app, silent, other] = [enter(APP), enter(APP), enter(OTHER)];
    app.follow(&scope("corp", &["group:a"]), &rules_then)
        .unwrap();
    other
        .follow(&scope("corp", &["group:a"]), &rules_then)
        .unwrap();

    let now = rules(json!([
        { "peer": APP, "tenants": ["corp"], "terms": ["group:b"] },
        { "peer": OTHER, "tenants": ["corp"], "terms": ["group:a*"] },
    ]));
    gate.set_rules(&now);
    assert_eq!(ended(&app).await, Code::PermissionDenied);
    // It has not said what it asks for, and may still ask for something that it may have.
    tokio::select! {
        biased;
        status = other.revoked() => panic!("{status}"),
        status = silent.revoked() => panic!("{status}"),
        () = tokio::task::yield_now() => {}
    }
    gate.set_rules(&Arc::default());
    assert_eq!(ended(&silent).await, Code::PermissionDenied);
    assert_eq!(ended(&other).await, Code::PermissionDenied);
}

#[tokio::test]
async fn rules_that_change_while_a_stream_comes_in_are_not_missed() {
    let rules = shop();
    let gate = gate(&rules, Limits::default());
    // They change after the stream has asked for the old ones, and before it waits for new ones.
    let pass = gate.enter(workload(APP), || {
        gate.set_rules(&Arc::default());
        rules.clone()
    });
    assert_eq!(ended(&pass.unwrap()).await, Code::PermissionDenied);
}

#[test]
fn what_is_refused_says_nothing_of_what_there_is() {
    let rules = rules(json!([{ "peer": APP, "tenants": ["corp"], "terms": ["group:a"] }]));
    let gate = gate(&rules, Limits::default());
    let told = |scope: &Scope| {
        let pass = gate.enter(workload(APP), || rules.clone()).unwrap();
        let status = pass.follow(scope, &rules).unwrap_err();
        (status.code(), status.message().to_owned())
    };
    let refused = told(&scope("acme", &[]));
    assert_eq!(refused.0, Code::PermissionDenied);
    assert_eq!(told(&scope("nowhere", &[])), refused);
    assert_eq!(told(&scope("corp", &["group:b"])), refused);
    assert_eq!(told(&Scope::new("corp", [], true).unwrap()), refused);
    let stranger = gate.enter(workload("spiffe://td/ns/x/sa/y"), || rules.clone());
    let status = stranger.unwrap_err().status();
    assert_eq!((status.code(), status.message().to_owned()), refused);
}

#[test]
fn a_peer_has_no_more_than_its_share_and_what_it_gives_back_it_can_have_again() {
    let rules = shop();
    let limits = Limits {
        streams_per_peer: 3,
        scopes_per_peer: 2,
        terms_per_peer: 3,
        ..Limits::default()
    };
    let gate = gate(&rules, limits);
    let enter = |id: &str| gate.enter(workload(id), || rules.clone());
    let follow = |pass: &Pass, terms: &[&str]| pass.admit(&scope("corp", terms), &rules);
    let limit = |refused: Result<(), Refusal>| match refused {
        Err(Refusal::Exhausted { limit, .. }) => limit,
        other => panic!("{other:?}"),
    };

    let [first, second, third] = [APP; 3].map(|id| enter(id).unwrap());
    exhausted(enter(APP), Limit::StreamsPerPeer);
    enter(OTHER).unwrap();

    follow(&first, &["group:a", "group:b"]).unwrap();
    let larger = follow(&second, &["group:c", "group:d"]);
    assert_eq!(limit(larger), Limit::TermsPerPeer);
    // The same scope again is no other one.
    follow(&second, &["group:a", "group:b"]).unwrap();
    follow(&third, &["group:c"]).unwrap();
    drop(first);
    let fourth = enter(APP).unwrap();
    assert_eq!(limit(follow(&fourth, &[])), Limit::ScopesPerPeer);
    drop(second);
    follow(&fourth, &["group:d", "group:e"]).unwrap();

    drop((third, fourth));
    let shares = gate.shares();
    assert_eq!((shares.streams, shares.peers.len()), (0, 0), "{shares:?}");
}

#[test]
fn there_is_a_bound_for_all_together_and_the_machines_own_have_no_other() {
    let rules = shop();
    let limits = Limits {
        streams: 3,
        streams_per_peer: 1,
        scopes_per_peer: 1,
        ..Limits::default()
    };
    let gate = gate(&rules, limits);
    let local = || gate.enter(Peer::Local, || panic!("nobody asks the rules for it"));
    let (first, second) = (local().unwrap(), local().unwrap());
    first
        .admit(&scope("acme", &["group:a"]), &Rules::default())
        .unwrap();
    second
        .admit(&scope("globex", &["group:b"]), &Rules::default())
        .unwrap();
    let third = gate.enter(workload(APP), || rules.clone()).unwrap();
    exhausted(local(), Limit::Streams);
    exhausted(
        gate.enter(workload(OTHER), || rules.clone()),
        Limit::Streams,
    );
    drop(third);
    local().unwrap();
}

#[test]
fn connections_of_a_peer_are_counted_until_they_are_gone() {
    let limits = Limits {
        connections_per_peer: 1,
        ..Limits::default()
    };
    let gate = gate(&shop(), limits);
    let connection = gate.connect(APP.into()).unwrap();
    assert!(gate.connect(APP.into()).is_err());
    gate.connect(OTHER.into()).unwrap();
    drop(connection);
    gate.connect(APP.into()).unwrap();
    assert!(gate.shares().peers.is_empty());
}
