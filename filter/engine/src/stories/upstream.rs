//! What the upstream is told.

#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

const SUBJECT: &str = "x-subject";
const ISSUED_BY: &str = "x-issuer";
const RULE: &str = "x-rule";
const GROUPS: &str = "x-groups";

/// Everything is told, under `rules`.
fn telling(mode: &str, rules: Value) -> Policy {
    let document = json!({
        "tenant": "corp", "feed": { "cluster": "feeder" }, "mode": mode, "rules": rules,
        "headers": { "subject": SUBJECT, "issuer": ISSUED_BY, "rule": RULE, "groups": GROUPS },
    });
    Policy::parse(document.to_string().as_bytes()).unwrap()
}

fn one(require: Value) -> Value {
    json!([{ "name": "one", "to": [{ "methods": ["*"] }], "require": require }])
}

fn told(policy: &Policy, request: &Request<'_>) -> BTreeMap<String, String> {
    told_where(policy, request, |_| TermState::Found)
}

fn told_where(
    policy: &Policy,
    request: &Request<'_>,
    state: impl Fn(&str) -> TermState,
) -> BTreeMap<String, String> {
    let snapshot = company_where(policy.scope(), state);
    let decision = decide(policy, Some(&snapshot), &renewed(1), request, NOW);
    let values = policy.headers().values(policy, Some(&snapshot), &decision);
    values
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

fn pairs<const N: usize>(pairs: [(&str, &str); N]) -> BTreeMap<String, String> {
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    pairs.into_iter().map(owned).collect()
}

#[test]
fn the_upstream_learns_who_asks_by_which_rule_and_in_which_of_the_policys_groups() {
    let policy = telling(
        "ENFORCE",
        one(
            json!({ "anyOf": ["role:owner", "group:admins", "groupExternalId:77", "group:contractors", "active"] }),
        ),
    );
    let alice = sub("alice");
    let expected = [
        (SUBJECT, "alice"),
        (ISSUED_BY, ISSUER),
        (RULE, "one"),
        (GROUPS, "group:admins"),
    ];
    assert_eq!(told(&policy, &get("/", Some(&alice))), pairs(expected));
    let bob = sub("bob");
    let groups = &told(&policy, &get("/", Some(&bob)))[GROUPS];
    assert_eq!(groups, "group:admins,group:contractors");
    // Known, and in none of them: told, and empty.
    let carol = sub("carol");
    assert_eq!(told(&policy, &get("/", Some(&carol)))[GROUPS], "");
}

#[test]
fn a_value_can_not_be_taken_for_more_than_it_is() {
    let policy = telling("ENFORCE", one(json!({ "anyOf": ["active"] })));
    let snapshot = company(policy.scope());
    let alice = sub("alice");
    let mut decision = decide(
        &policy,
        Some(&snapshot),
        &renewed(1),
        &get("/", Some(&alice)),
        NOW,
    );
    let subject = decision.subject.as_mut().unwrap();
    subject.name = "a,b\r\nx: 1 %41é".into();
    subject.issuer = vec![0xff, b' '];
    let values = policy.headers().values(&policy, Some(&snapshot), &decision);
    assert_eq!(
        values[0],
        (SUBJECT, "a%2Cb%0D%0Ax:%201%20%2541%C3%A9".to_owned())
    );
    assert_eq!(values[1], (ISSUED_BY, "%FF%20".to_owned()));
}

#[test]
fn what_the_rule_did_not_ask_for_is_not_told() {
    let alice = sub("alice");
    let rule_only = |name| pairs([(RULE, name)]);
    let public = json!({ "name": "open", "to": [{ "methods": ["*"] }], "allow": "PUBLIC" });
    let policy = telling("ENFORCE", json!([public]));
    assert_eq!(told(&policy, &get("/", Some(&alice))), rule_only("open"));
    // A SHADOW rule that has looked at the token tells nothing of it.
    let trial = json!({ "name": "trial", "to": [{ "methods": ["*"] }], "require": { "anyOf": ["group:admins"] }, "mode": "SHADOW" });
    let policy = telling("ENFORCE", json!([trial, public]));
    for who in ["alice", "mallory"] {
        let token = sub(who);
        assert_eq!(
            told(&policy, &get("/", Some(&token))),
            rule_only("open"),
            "{who}"
        );
    }
    let wire = from_peer(BATCH);
    let request = Request {
        connection: &wire,
        ..get("/", Some(&alice))
    };
    let jobs = json!({ "workload": { "anyOf": ["group:jobs"] } });
    let policy = telling("ENFORCE", one(jobs));
    assert_eq!(told(&policy, &request), rule_only("one"));
    let both = json!({ "anyOf": ["group:admins"], "workload": { "anyOf": ["group:jobs"] } });
    let policy = telling("ENFORCE", one(both));
    assert_eq!(told(&policy, &request)[SUBJECT], "alice");
    assert_eq!(
        told(&policy, &request)[GROUPS],
        "group:admins",
        "the user's, not the workload's"
    );
}

#[test]
fn what_can_not_be_resolved_is_nobodys() {
    let policy = telling(
        "ENFORCE",
        one(json!({ "anyOf": ["group:contractors", "group:admins"] })),
    );
    let bob = sub("bob");
    for state in [TermState::Missing, TermState::Ambiguous] {
        let lost = |term: &str| match term {
            "group:admins" => state,
            _ => TermState::Found,
        };
        let told = told_where(&policy, &get("/", Some(&bob)), lost);
        assert_eq!(told[GROUPS], "group:contractors");
    }
}

#[test]
fn a_refused_request_and_a_shadow_policy_tell_nothing() {
    let require = one(json!({ "anyOf": ["group:admins"] }));
    let (alice, carol) = (sub("alice"), sub("carol"));
    let policy = telling("ENFORCE", require.clone());
    assert_eq!(told(&policy, &get("/", Some(&carol))), pairs([]));
    let policy = telling("SHADOW", require);
    for token in [&alice, &carol] {
        assert_eq!(told(&policy, &get("/", Some(token))), pairs([]));
    }
}

#[test]
fn only_what_is_configured_is_told() {
    let document = json!({
        "tenant": "corp", "feed": { "cluster": "feeder" }, "rules": one(json!({ "anyOf": ["group:admins"] })),
        "headers": { "groups": GROUPS },
    });
    let policy = Policy::parse(document.to_string().as_bytes()).unwrap();
    let alice = sub("alice");
    let told = told(&policy, &get("/", Some(&alice)));
    assert_eq!(told, pairs([(GROUPS, "group:admins")]));
}
