//! Snapshots, leases, and what needs neither.

#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

#[test]
fn without_a_snapshot_or_with_an_ended_lease_nobody_is_let_in() {
    let policy = admins();
    let token = sub("alice");
    let request = get("/", Some(&token));
    let snapshot = company(policy.scope());
    let why = |snapshot, lease: &Lease| decide(&policy, snapshot, lease, &request, NOW).reason;
    assert_eq!(why(None, &renewed(0)), Reason::NoSnapshot);
    assert_eq!(why(Some(&snapshot), &Lease::default()), Reason::LeaseEnded);
    assert_eq!(why(Some(&snapshot), &renewed(299)), Reason::Permitted);
    assert_eq!(why(Some(&snapshot), &renewed(300)), Reason::LeaseEnded);
    // Who has no token learns that, feed or no feed.
    let decision = decide(&policy, None, &Lease::default(), &get("/", None), NOW);
    assert_eq!(decision.reason, Reason::NoToken);
    // A stale directory may not know today's issuers: that is no fault of the token's.
    let stranger = Token::of("https://new.example").says("sub", "x");
    let decision = decide(
        &policy,
        Some(&snapshot),
        &renewed(300),
        &get("/", Some(&stranger)),
        NOW,
    );
    assert_eq!(decision.reason, Reason::LeaseEnded);
}

#[test]
fn a_rule_may_be_stricter_about_staleness_than_its_policy() {
    let policy = policy_of(json!([
        { "name": "strict", "to": [{ "paths": ["/refunds"] }], "require": { "anyOf": ["group:admins"] }, "maxStaleness": "2m" },
        { "name": "rest", "to": [{ "paths": ["/{**}"] }], "require": { "anyOf": ["group:admins"] } },
    ]));
    assert_eq!(policy.min_staleness(), Duration::from_secs(120));
    let snapshot = company(policy.scope());
    let token = sub("alice");
    let at = |path, ago| {
        decide(
            &policy,
            Some(&snapshot),
            &renewed(ago),
            &get(path, Some(&token)),
            NOW,
        )
        .reason
    };
    assert_eq!(at("/refunds", 119), Reason::Permitted);
    assert_eq!(at("/refunds", 120), Reason::LeaseEnded);
    assert_eq!(at("/", 120), Reason::Permitted);
}

#[test]
fn public_needs_no_token_snapshot_or_lease() {
    let policy = policy_of(
        json!([{ "name": "health", "to": [{ "paths": ["/healthz"] }], "allow": "PUBLIC" }]),
    );
    let decision = decide(
        &policy,
        None,
        &Lease::default(),
        &get("/healthz", None),
        NOW,
    );
    assert_eq!(
        (decision.allowed, decision.reason, decision.subject),
        (true, Reason::Public, None)
    );
    let token = sub("alice");
    decide(
        &policy,
        None,
        &Lease::default(),
        &get("/healthz", Some(&token)),
        NOW,
    );
    assert!(token.asked.borrow().is_empty(), "no claim is read in vain");
}

#[test]
fn a_clock_that_is_set_extends_nothing() {
    let policy = admins();
    let snapshot = company(policy.scope());
    let token = sub("alice");
    let lease = renewed(0);
    let later = |monotonic: u64, wall: i64| {
        let now = Moment {
            monotonic: NOW.monotonic + Duration::from_secs(monotonic),
            wall: Duration::from_secs(NOW.wall.as_secs().saturating_add_signed(wall)),
        };
        decide(
            &policy,
            Some(&snapshot),
            &lease,
            &get("/", Some(&token)),
            now,
        )
        .reason
    };
    assert_eq!(later(299, 299), Reason::Permitted);
    // The wall clock was set back by an hour; the machine slept for an hour.
    assert_eq!(later(299, -3600), Reason::Permitted);
    assert_eq!(later(300, -3600), Reason::LeaseEnded);
    assert_eq!(later(1, 3600), Reason::LeaseEnded);
}
