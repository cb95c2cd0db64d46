//! What happens to requests: a small company behind a policy, told request by request.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use scimesh_proto::binding::{Attribute, Binding, Pin};
use scimesh_proto::digest::Key;
use scimesh_proto::position::{History, Position, Proof};
use scimesh_proto::scope::{Scope, Term};
use scimesh_proto::snapshot::{Snapshot, TermSet, TermState};
use serde_json::{Value, json};
#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::{Claim, Claims, Decision, Lease, Moment, Policy, Reason, Request, decide};

const ISSUER: &str = "https://idp.corp.example";
const MAIL_ISSUER: &str = "https://mail.example";
const SHARED_ISSUER: &str = "https://login.shared.example";

/// A token: its claims, and which of them were asked for.
#[derive(Default)]
struct Token {
    claims: BTreeMap<String, Claim>,
    asked: RefCell<Vec<String>>,
}

impl Token {
    fn with(mut self, name: &str, claim: Claim) -> Token {
        self.claims.insert(name.to_owned(), claim);
        self
    }

    fn says(self, name: &str, text: &str) -> Token {
        self.with(name, Claim::Text(text.as_bytes().to_vec()))
    }

    fn of(issuer: &str) -> Token {
        Token::default().says("iss", issuer)
    }
}

impl Claims for Token {
    fn claim(&self, name: &str) -> Claim {
        self.asked.borrow_mut().push(name.to_owned());
        self.claims.get(name).cloned().unwrap_or(Claim::Absent)
    }
}

fn sub(value: &str) -> Token {
    Token::of(ISSUER).says("sub", value)
}

/// alice is in admins, bob a contractor in admins, carol in nothing; eve is known by her email, frank by the shared issuer.
fn company(scope: &Scope) -> Snapshot {
    company_where(scope, |_| TermState::Found)
}

fn company_where(scope: &Scope, state: impl Fn(&str) -> TermState) -> Snapshot {
    let position = Position {
        history: History {
            generation: 1,
            id: [1; 16],
        },
        revision: 7,
        proof: Proof([0; 16]),
    };
    let binding = |issuer: &str, claim: &str, attribute, pin| Binding {
        issuer: issuer.to_owned(),
        claim: claim.to_owned(),
        attribute,
        pin,
    };
    let pin = Pin {
        claim: "tid".to_owned(),
        value: "corp-tid".to_owned(),
    };
    let bindings = vec![
        binding(ISSUER, "sub", Attribute::ExternalId, None),
        binding(SHARED_ISSUER, "oid", Attribute::Id, Some(pin)),
        binding(MAIL_ISSUER, "email", Attribute::Email, None),
    ];
    let states = scope.terms().iter().map(|term| state(term.as_str()));
    let mut snapshot = Snapshot::new(
        scope.clone(),
        position,
        Key::new([3; 32]),
        bindings.clone(),
        states.collect(),
    );
    for (binding, value, terms) in [
        (&bindings[0], "alice", &["group:admins", "role:owner"][..]),
        (&bindings[0], "bob", &["group:admins", "group:contractors"]),
        (&bindings[0], "carol", &[]),
        (&bindings[1], "frank", &["group:admins"]),
        (&bindings[2], "eve@corp.example", &["group:admins"]),
    ] {
        let places = terms
            .iter()
            .filter_map(|term| scope.index_of(&Term::parse(term).unwrap()));
        let held = TermSet::from_indices(places);
        if scope.any_active() || !held.is_empty() {
            let subject = snapshot.subject(binding, value.as_bytes());
            snapshot.insert(subject, held).unwrap();
        }
    }
    snapshot
}

fn policy_of(rules: Value) -> Policy {
    policy_in("ENFORCE", rules)
}

fn policy_in(mode: &str, rules: Value) -> Policy {
    let document =
        json!({ "tenant": "corp", "feed": { "cluster": "feeder" }, "mode": mode, "rules": rules });
    Policy::parse(document.to_string().as_bytes()).unwrap()
}

/// One rule over every request.
fn requiring(require: Value) -> Policy {
    policy_of(json!([{ "name": "all", "to": [{ "methods": ["*"] }], "require": require }]))
}

fn admins() -> Policy {
    requiring(json!({ "anyOf": ["group:admins"] }))
}

const NOW: Moment = Moment {
    monotonic: Duration::from_secs(1_000),
    wall: Duration::from_secs(1_800_000_000),
};

fn renewed(seconds_ago: u64) -> Lease {
    let mut lease = Lease::default();
    lease.renew(Moment {
        monotonic: NOW.monotonic - Duration::from_secs(seconds_ago),
        wall: NOW.wall - Duration::from_secs(seconds_ago),
    });
    lease
}

fn get<'a>(path: &'a str, token: Option<&'a Token>) -> Request<'a> {
    Request {
        method: b"GET",
        path: Some(path.as_bytes()),
        host: b"svc.example.com",
        port: Some(8080),
        token: token.map(|token| token as &dyn Claims),
    }
}

fn decided(policy: &Policy, request: &Request<'_>) -> Decision {
    let snapshot = company(policy.scope());
    decide(policy, Some(&snapshot), &renewed(1), request, NOW)
}

/// Why `policy` answers `GET /` with this token as it does.
fn reason(policy: &Policy, token: &Token) -> Reason {
    let decision = decided(policy, &get("/", Some(token)));
    assert_eq!(decision.allowed, decision.reason.allows());
    decision.reason
}

// ---- who

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

// ---- tokens

#[test]
fn the_same_sub_of_another_issuer_is_someone_else() {
    let policy = admins();
    for token in [
        Token::of("https://idp.evil.example").says("sub", "alice"),
        Token::of(&format!("{ISSUER}/")).says("sub", "alice"),
        Token::of(&ISSUER.to_ascii_uppercase()).says("sub", "alice"),
        Token::default().says("sub", "alice"),
        sub("alice").with("iss", Claim::Other),
        sub("alice").says("iss", ""),
        sub("alice").says("iss", &format!("{ISSUER}\0")),
    ] {
        assert_eq!(
            reason(&policy, &token),
            Reason::UnknownIssuer,
            "{:?}",
            token.claims
        );
    }
    // A known issuer, but its binding reads another claim.
    let token = Token::of(MAIL_ISSUER).says("sub", "alice");
    assert_eq!(reason(&policy, &token), Reason::NoSubject);
    // A claim value of one binding names nobody under another.
    let token = sub("eve@corp.example");
    assert_eq!(reason(&policy, &token), Reason::UnknownSubject);
}

#[test]
fn a_claim_that_is_no_plain_text_names_nobody() {
    let policy = admins();
    let long = "a".repeat(1025);
    for claim in [
        Claim::Absent,
        Claim::Other,
        Claim::Bool(true),
        Claim::Number(7.0),
        Claim::Text(vec![]),
        Claim::Text(b"alice\0".to_vec()),
        Claim::Text(long.into_bytes()),
    ] {
        let token = Token::of(ISSUER).with("sub", claim.clone());
        assert_eq!(reason(&policy, &token), Reason::NoSubject, "{claim:?}");
    }
    for near in ["Alice", "alice ", " alice", "alice\n", "alic", "alicee"] {
        assert_eq!(
            reason(&policy, &sub(near)),
            Reason::UnknownSubject,
            "{near:?}"
        );
    }
    let token = Token::of(ISSUER).with("sub", Claim::Text(b"alice\xff".to_vec()));
    assert_eq!(reason(&policy, &token), Reason::UnknownSubject);
}

#[test]
fn an_email_counts_only_when_the_token_says_that_it_was_verified() {
    let policy = admins();
    let eve = || Token::of(MAIL_ISSUER).says("email", "eve@corp.example");
    assert_eq!(
        reason(&policy, &eve().with("email_verified", Claim::Bool(true))),
        Reason::Permitted
    );
    for claim in [
        Claim::Absent,
        Claim::Bool(false),
        Claim::Number(1.0),
        Claim::Text(b"true".to_vec()),
        Claim::Other,
    ] {
        let token = eve().with("email_verified", claim.clone());
        assert_eq!(reason(&policy, &token), Reason::NoSubject, "{claim:?}");
    }
}

#[test]
fn a_pin_tells_the_tenants_of_a_shared_issuer_apart() {
    let policy = admins();
    let frank = || Token::of(SHARED_ISSUER).says("oid", "frank");
    assert_eq!(
        reason(&policy, &frank().says("tid", "corp-tid")),
        Reason::Permitted
    );
    for token in [
        frank(),
        frank().says("tid", "other-tid"),
        frank().says("tid", "corp-tid\0"),
        frank().says("tid", ""),
        frank().with("tid", Claim::Other),
    ] {
        assert_eq!(
            reason(&policy, &token),
            Reason::UnknownIssuer,
            "{:?}",
            token.claims
        );
    }
}

#[test]
fn a_rule_that_wants_a_fresh_token_refuses_old_ones() {
    let policy = policy_of(json!([{
        "name": "fresh", "to": [{ "methods": ["*"] }], "require": { "anyOf": ["group:admins"] }, "maxTokenAge": "15m"
    }]));
    let issued = |ago: f64| Claim::Number(NOW.wall.as_secs_f64() - ago);
    for (claim, fresh) in [
        (issued(0.0), true),
        (issued(900.0), true),
        (issued(901.0), false),
        (issued(-60.0), true),
        (issued(-61.0), false),
        (Claim::Absent, false),
        (Claim::Number(f64::NAN), false),
        (Claim::Number(f64::INFINITY), false),
        (Claim::Number(f64::NEG_INFINITY), false),
        (Claim::Text(b"1800000000".to_vec()), false),
        (Claim::Bool(true), false),
        (Claim::Other, false),
    ] {
        let token = sub("alice").with("iat", claim.clone());
        let expected = if fresh {
            Reason::Permitted
        } else {
            Reason::TokenTooOld
        };
        assert_eq!(reason(&policy, &token), expected, "{claim:?}");
    }
}

// ---- when

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

// ---- which rule

fn layered() -> Policy {
    policy_of(json!([
        { "name": "health", "to": [{ "paths": ["/healthz"], "methods": ["GET"] }], "allow": "PUBLIC" },
        { "name": "metrics", "to": [{ "paths": ["/metrics"] }, { "paths": ["/debug/*"] }], "allow": "NOBODY" },
        { "name": "refunds", "to": [{ "methods": ["POST"], "paths": ["/accounts/{*}/refunds"] }], "require": { "anyOf": ["role:owner"] } },
        { "name": "rest", "to": [{ "paths": ["/{**}"] }], "require": { "anyOf": ["active"] } },
    ]))
}

fn asked<'a>(method: &'a str, path: &'a str, token: &'a Token) -> Request<'a> {
    Request {
        method: method.as_bytes(),
        ..get(path, Some(token))
    }
}

#[test]
fn the_first_rule_that_matches_decides_alone() {
    let policy = layered();
    let bob = sub("bob");
    for (method, path, rule, why) in [
        ("GET", "/healthz", 0, Reason::Public),
        ("GET", "/healthz/", 0, Reason::Public),
        ("GET", "/%68ealthz?x=y", 0, Reason::Public),
        ("POST", "/healthz", 3, Reason::Permitted),
        ("get", "/healthz", 3, Reason::Permitted),
        ("GET", "/metrics", 1, Reason::Nobody),
        ("GET", "/metrics/", 1, Reason::Nobody),
        ("GET", "/debug/pprof", 1, Reason::Nobody),
        ("GET", "/debug", 1, Reason::Nobody),
        ("POST", "/accounts/7/refunds", 2, Reason::NotPermitted),
        ("POST", "/accounts/7/refunds/", 2, Reason::NotPermitted),
        ("GET", "/accounts/7/refunds", 3, Reason::Permitted),
        ("POST", "/accounts/7/8/refunds", 3, Reason::Permitted),
    ] {
        let decision = decided(&policy, &asked(method, path, &bob));
        assert_eq!(
            (decision.rule, decision.reason),
            (Some(rule), why),
            "{method} {path}"
        );
    }
    assert_eq!(policy.rule_name(2), Some("refunds"));
    assert_eq!(policy.rule_name(4), None);
}

#[test]
fn what_no_rule_matches_is_refused() {
    let policy =
        policy_of(json!([{ "name": "one", "to": [{ "paths": ["/one"] }], "allow": "PUBLIC" }]));
    let decision = decided(&policy, &get("/two", None));
    assert_eq!(
        (decision.allowed, decision.reason, decision.rule),
        (false, Reason::NoRule, None)
    );
}

#[test]
fn an_ambiguous_path_is_refused_even_where_everything_is_public() {
    let policy =
        policy_of(json!([{ "name": "all", "to": [{ "methods": ["*"] }], "allow": "PUBLIC" }]));
    for path in [
        "//admin",
        "/x/../admin",
        "/x%2f..%2fadmin",
        "/%252e%252e/admin",
        "/admin;a=b",
        "/x\\admin",
        "*",
        "",
    ] {
        let decision = decided(&policy, &get(path, None));
        assert_eq!(
            (decision.allowed, decision.reason, decision.rule),
            (false, Reason::AmbiguousPath, None),
            "{path}"
        );
        assert_eq!(decision.reason.status(), 400);
    }
}

#[test]
fn connect_meets_no_condition_on_paths() {
    let connect = Request {
        method: b"CONNECT",
        path: None,
        ..get("", None)
    };
    for to in [
        json!({ "paths": ["/{**}"] }),
        json!({ "paths": ["*"] }),
        json!({ "notPaths": ["/admin"] }),
    ] {
        let policy = policy_of(json!([{ "name": "all", "to": [to], "allow": "PUBLIC" }]));
        assert_eq!(decided(&policy, &connect).reason, Reason::NoRule, "{to}");
    }
    let policy = policy_of(
        json!([{ "name": "all", "to": [{ "methods": ["CONNECT"] }], "allow": "PUBLIC" }]),
    );
    assert_eq!(decided(&policy, &connect).reason, Reason::Public);
}

#[test]
fn conditions_hold_together_and_lists_are_alternatives() {
    let request = get("/a/b", None);
    for (to, matches) in [
        (
            json!([{ "methods": ["GET"], "paths": ["/a/*"], "hosts": ["*.example.com"], "ports": ["8080"] }]),
            true,
        ),
        (json!([{ "methods": ["POST"], "paths": ["/a/*"] }]), false),
        (
            json!([{ "methods": ["POST", "GET"], "paths": ["/x", "/a/b"] }]),
            true,
        ),
        (
            json!([{ "methods": ["POST"] }, { "paths": ["/a/b"] }]),
            true,
        ),
        (json!([{ "paths": ["/a/*"], "notPaths": ["/a/b"] }]), false),
        (json!([{ "paths": ["/a/*"], "notPaths": ["/a/c"] }]), true),
        (json!([{ "notPaths": ["/c", "/a/{*}"] }]), false),
        (json!([{ "notMethods": ["POST", "PUT"] }]), true),
        (json!([{ "notMethods": ["GET"] }]), false),
        (json!([{ "hosts": ["svc.example.com"] }]), true),
        (json!([{ "hosts": ["example.com"] }]), false),
        (json!([{ "notHosts": ["example.com"] }]), true),
        (json!([{ "notHosts": ["*.example.com"] }]), false),
        (json!([{ "ports": ["80", "8080"] }]), true),
        (json!([{ "ports": ["80"] }]), false),
        (json!([{ "notPorts": ["80"] }]), true),
        (json!([{ "notPorts": ["8080"] }]), false),
    ] {
        let policy = policy_of(json!([{ "name": "all", "to": to, "allow": "PUBLIC" }]));
        assert_eq!(decided(&policy, &request).allowed, matches, "{to}");
    }
}

#[test]
fn a_malformed_request_meets_neither_a_condition_nor_its_negation() {
    let good = get("/", None);
    let hosts: [&[u8]; 5] = [
        b"",
        b"a.example,b.example",
        b"user@a.example",
        b"a.example\xff",
        b"a..b",
    ];
    let requests = hosts
        .map(|host| {
            (
                Request { host, ..good },
                "hosts",
                "notHosts",
                json!(["*"]),
                json!(["z.example"]),
            )
        })
        .into_iter()
        .chain([
            (
                Request { port: None, ..good },
                "ports",
                "notPorts",
                json!(["80"]),
                json!(["80"]),
            ),
            (
                Request {
                    method: b"",
                    ..good
                },
                "methods",
                "notMethods",
                json!(["*"]),
                json!(["POST"]),
            ),
            (
                Request {
                    method: b"GE T",
                    ..good
                },
                "methods",
                "notMethods",
                json!(["*"]),
                json!(["POST"]),
            ),
            (
                Request { path: None, ..good },
                "paths",
                "notPaths",
                json!(["*"]),
                json!(["/admin"]),
            ),
        ]);
    for (request, field, negation, all, none) in requests {
        for (field, patterns) in [(field, all), (negation, none)] {
            let policy = policy_of(
                json!([{ "name": "all", "to": [{ field: patterns }], "allow": "PUBLIC" }]),
            );
            assert_eq!(decided(&policy, &request).reason, Reason::NoRule, "{field}");
        }
    }
}

#[test]
fn excluding_a_method_excludes_it_in_any_case() {
    let policy = policy_of(
        json!([{ "name": "all", "to": [{ "notMethods": ["POST"] }], "allow": "PUBLIC" }]),
    );
    for (method, reason) in [
        ("GET", Reason::Public),
        ("POST", Reason::NoRule),
        ("post", Reason::NoRule),
        ("Post", Reason::NoRule),
    ] {
        let token = Token::default();
        assert_eq!(
            decided(&policy, &asked(method, "/", &token)).reason,
            reason,
            "{method}"
        );
    }
}

#[test]
fn hosts_are_compared_without_case_port_and_root_dot() {
    let policy = policy_of(
        json!([{ "name": "one", "to": [{ "hosts": ["svc.example.com"] }], "allow": "PUBLIC" }]),
    );
    for host in [
        "svc.example.com",
        "SVC.Example.COM.:8080",
        "svc.example.com:1",
    ] {
        let request = Request {
            host: host.as_bytes(),
            ..get("/", None)
        };
        assert!(decided(&policy, &request).allowed, "{host}");
    }
}

// ---- shadow

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

// ---- properties

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
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

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
    fn no_request_panics_and_none_is_let_in_for_nothing(
        method in prop::collection::vec(any::<u8>(), 0..8),
        path in prop::option::of(prop::collection::vec(any::<u8>(), 0..40)),
        host in prop::collection::vec(any::<u8>(), 0..40),
        port in any::<Option<u16>>(),
        iss in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let token = Token::default().with("iss", Claim::Text(iss));
        let request = Request { method: &method, path: path.as_deref(), host: &host, port, token: Some(&token) };
        prop_assert!(!decided(&admins(), &request).allowed);
        let reason = decided(&layered(), &request).reason;
        prop_assert!(!reason.allows() || path.is_some_and(|path| path.starts_with(b"/healthz")));
    }

    #[test]
    fn shadow_rules_change_no_decision(path in "/(healthz|metrics|a|accounts/7/refunds)/?", method in "GET|POST", who in "alice|bob|carol|mallory", at in 0usize..5) {
        let rules = |shadow: bool| {
            let Value::Array(mut rules) = json!([
                { "name": "health", "to": [{ "paths": ["/healthz"] }], "allow": "PUBLIC" },
                { "name": "metrics", "to": [{ "paths": ["/metrics"] }], "allow": "NOBODY" },
                { "name": "refunds", "to": [{ "methods": ["POST"], "paths": ["/accounts/{*}/refunds"] }], "require": { "anyOf": ["role:owner"] } },
                { "name": "rest", "to": [{ "paths": ["/{**}"] }], "require": { "anyOf": ["active"] } },
            ]) else { unreachable!() };
            if shadow {
                rules.insert(at, json!({ "name": "trial", "to": [{ "methods": ["*"] }], "require": { "noneOf": ["group:admins"] }, "mode": "SHADOW" }));
            }
            Value::Array(rules)
        };
        let token = sub(&who);
        let request = asked(&method, &path, &token);
        let without = decided(&policy_of(rules(false)), &request);
        let with = decided(&policy_of(rules(true)), &request);
        prop_assert_eq!((without.allowed, without.reason), (with.allowed, with.reason));
        let shadow = decided(&policy_in("SHADOW", rules(false)), &request);
        prop_assert_eq!((shadow.allowed, shadow.reason), (true, without.reason));
        prop_assert_eq!(shadow.would_refuse.is_none(), without.allowed);
    }
}
