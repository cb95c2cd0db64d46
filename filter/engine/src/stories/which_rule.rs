//! Which rule decides.

#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

#[test]
fn the_first_rule_that_matches_decides_alone() {
    let policy = policy_of(layered());
    let bob = sub("bob");
    for (method, path, rule, why) in [
        ("GET", "/healthz", 0, Reason::Public),
        ("GET", "/healthz/", 0, Reason::Public),
        ("GET", "/%68ealthz?x=y", 0, Reason::Public),
        ("POST", "/healthz", 3, Reason::Permitted),
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
fn what_could_be_read_in_two_ways_is_refused_under_every_rule() {
    let anybody =
        policy_of(json!([{ "name": "all", "to": [{ "methods": ["*"] }], "allow": "PUBLIC" }]));
    let good = get("/", None);
    let hosts: [&[u8]; 5] = [
        b"",
        b"a.example,b.example",
        b"user@a.example",
        b"a.example\xff",
        b"a..b",
    ];
    for host in hosts {
        let request = Request { host, ..good };
        let reason = decided(&anybody, &request).reason;
        assert_eq!(reason, Reason::AmbiguousHost, "{host:?}");
    }
    let methods: [&[u8]; 6] = [b"", b"GE T", b"get", b"Post", b"GET\0", b"GET,POST"];
    for method in methods {
        let request = Request { method, ..good };
        let reason = decided(&anybody, &request).reason;
        assert_eq!(reason, Reason::AmbiguousMethod, "{method:?}");
    }
    let pathless = Request { path: None, ..good };
    assert_eq!(
        decided(&anybody, &pathless).reason,
        Reason::AmbiguousPath,
        "only CONNECT has no path"
    );
}

#[test]
fn a_rule_on_ports_where_the_port_is_not_known_refuses_every_request() {
    let unknown = Wire::default();
    let request = Request {
        connection: &unknown,
        ..get("/", None)
    };
    for to in [json!({ "ports": ["80"] }), json!({ "notPorts": ["80"] })] {
        let policy = policy_of(json!([
            { "name": "closed", "to": [to], "allow": "NOBODY" },
            { "name": "all", "to": [{ "methods": ["*"] }], "allow": "PUBLIC" },
        ]));
        assert_eq!(decided(&policy, &request).reason, Reason::UnknownPort);
    }
    let policy =
        policy_of(json!([{ "name": "all", "to": [{ "methods": ["*"] }], "allow": "PUBLIC" }]));
    assert_eq!(decided(&policy, &request).reason, Reason::Public);
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

#[test]
fn a_preflight_is_admitted_by_a_rule_of_its_own() {
    let policy = policy_of(json!([
        { "name": "preflights", "to": [{ "methods": ["OPTIONS"], "paths": ["/api/*"] }], "allow": "PUBLIC" },
        { "name": "api", "to": [{ "paths": ["/api/*"] }], "require": { "anyOf": ["group:admins"] } },
    ]));
    let ask = |method: &'static [u8], path| {
        let request = Request {
            method,
            ..get(path, None)
        };
        decided(&policy, &request).reason
    };
    assert_eq!(ask(b"OPTIONS", "/api/v1"), Reason::Public);
    assert_eq!(ask(b"OPTIONS", "/admin"), Reason::NoRule);
    assert_eq!(ask(b"OPTIONS", "*"), Reason::AmbiguousPath);
    assert_eq!(ask(b"options", "/api/v1"), Reason::AmbiguousMethod);
    assert_eq!(ask(b"GET", "/api/v1"), Reason::NoToken);
}

#[test]
fn a_grpc_method_is_a_path() {
    let policy = policy_of(json!([
        { "name": "refund", "to": [{ "paths": ["/pay.v1.Accounts/Refund"] }], "allow": "NOBODY" },
        { "name": "accounts", "to": [{ "paths": ["/pay.v1.Accounts/*"] }], "allow": "PUBLIC" },
    ]));
    for (path, why) in [
        ("/pay.v1.Accounts/Refund", Reason::Nobody),
        ("/pay.v1.Accounts/Refund/", Reason::Nobody),
        ("/pay.v1.Accounts/%52efund", Reason::Nobody),
        ("/pay%2ev1.Accounts/Refund", Reason::Nobody),
        ("/pay.v1.Accounts/Refund.", Reason::AmbiguousPath),
        ("/pay.v1.Accounts%2fRefund", Reason::AmbiguousPath),
        ("/pay.v1.Accounts/Balance", Reason::Public),
        ("/pay.v1.accounts/Balance", Reason::NoRule),
        ("/pay.v1.AccountsX/Balance", Reason::NoRule),
    ] {
        let request = Request {
            method: b"POST",
            ..get(path, None)
        };
        assert_eq!(decided(&policy, &request).reason, why, "{path}");
    }
}

#[test]
fn the_first_thing_that_is_wrong_is_told() {
    let policy = policy_of(json!([
        { "name": "one", "to": [{ "ports": ["80"], "paths": ["/one"] }], "require": { "anyOf": ["group:admins"], "workload": { "anyOf": ["group:jobs"] } }, "maxTokenAge": "1m" },
    ]));
    let (none, known) = (
        Wire::default(),
        Wire {
            port: Some(80),
            peer: None,
        },
    );
    let (mallory, aged) = (
        sub("mallory"),
        sub("mallory").with("iat", Claim::Number(NOW.wall.as_secs_f64())),
    );
    let token = |token| Some(token as &dyn Claims);
    let all_wrong = Request {
        method: b"get",
        path: Some(b"//"),
        host: b"",
        connection: &none,
        token: None,
    };
    let mut request = all_wrong;
    let why = |request: &Request<'_>| decide(&policy, None, &Lease::default(), request, NOW).reason;
    assert_eq!(why(&request), Reason::AmbiguousMethod);
    request.method = b"GET";
    assert_eq!(why(&request), Reason::AmbiguousPath);
    request.path = Some(b"/two");
    assert_eq!(why(&request), Reason::AmbiguousHost);
    request.host = b"a";
    assert_eq!(why(&request), Reason::UnknownPort);
    request.connection = &known;
    assert_eq!(why(&request), Reason::NoRule);
    request.path = Some(b"/one");
    assert_eq!(why(&request), Reason::NoToken);
    request.token = token(&mallory);
    assert_eq!(why(&request), Reason::TokenTooOld);
    request.token = token(&aged);
    assert_eq!(why(&request), Reason::NoWorkload);
    let stranger = Wire {
        peer: Some(b"spiffe://elsewhere/x".to_vec()),
        ..known
    };
    request.connection = &stranger;
    assert_eq!(why(&request), Reason::NoSnapshot);
    let snapshot = company(policy.scope());
    let with = |lease: &Lease, request: &Request<'_>| {
        decide(&policy, Some(&snapshot), lease, request, NOW).reason
    };
    assert_eq!(with(&Lease::default(), &request), Reason::LeaseEnded);
    let lease = renewed(1);
    assert_eq!(with(&lease, &request), Reason::UnknownSubject);
    let fresh = sub("alice").with("iat", Claim::Number(NOW.wall.as_secs_f64()));
    request.token = token(&fresh);
    assert_eq!(with(&lease, &request), Reason::UnknownTrustDomain);
    let reports = Wire {
        port: Some(80),
        ..from_peer(REPORTS)
    };
    request.connection = &reports;
    assert_eq!(with(&lease, &request), Reason::UnknownWorkload);
    let batch = Wire {
        port: Some(80),
        ..from_peer(BATCH)
    };
    request.connection = &batch;
    assert_eq!(with(&lease, &request), Reason::Permitted);
}
