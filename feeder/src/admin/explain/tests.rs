//! An explanation is what a filter with the whole snapshot would do, whatever the directory, the policy and the request.

use proptest::prelude::*;
use scimesh_engine::decide;
use scimesh_proto::digest::Key;
use scimesh_proto::position::History;
use scimesh_proto::snapshot::Snapshot;
use uuid::Uuid;

use super::*;
use crate::admin::explanation::State;
use crate::config::Desired;
use crate::directory::{Attributes, Draft, Keys, Resolved};

const NOW: i64 = 1_800_000_000;

/// Issuers of every attribute, one of them shared with another tenant, one that ignores case; and workloads.
const BINDINGS: &str = r#"tenants:
  corp:
    bindings:
    - { issuer: "https://x", attribute: externalId }
    - { issuer: "https://n", attribute: userName, ignoreCase: true }
    - { issuer: "https://m", claim: email, attribute: email }
    - { issuer: "https://mm", claim: email, attribute: email, ignoreCase: true }
    - { issuer: "https://i", attribute: id }
    - { issuer: "https://shared", claim: oid, attribute: userName, pin: { claim: tid, value: a } }
    - { trustDomain: td, attribute: externalId }
  acme:
    bindings:
    - { issuer: "https://shared", claim: oid, attribute: userName, pin: { claim: tid, value: b } }
"#;

fn attributes(value: Value) -> Attributes {
    value.as_object().unwrap().clone()
}

fn id(number: usize) -> Uuid {
    Uuid::from_u128(number as u128 + 1)
}

/// A user: which externalId, which email, active, which role.
type Person = (usize, usize, bool, usize);

fn external_id(number: usize) -> &'static str {
    [
        "x0",
        "x1",
        "spiffe://td/a",
        "spiffe://td/b",
        "spiffe://other/a",
    ][number]
}

fn email(number: usize) -> &'static str {
    ["ada@corp.example", "Ada@corp.example", "bob@corp.example"][number]
}

/// People with their places and ids.
fn numbered(people: &[Person], from: usize) -> impl Iterator<Item = (usize, Uuid, Person)> {
    let people = people.iter().copied().enumerate();
    people.map(move |(number, person)| (number, id(from + number), person))
}

/// Groups 0 to 3 of the tenant corp have the numbers 100 to 103; the last two share a name.
fn directory(former: &[Person], people: &[Person], members: &[(usize, usize)]) -> Directory {
    let history = History {
        generation: 1,
        id: [1; 16],
    };
    let keys = Keys {
        content: Key::new([2; 32]),
        proof: Key::new([3; 32]),
    };
    let empty = Directory::new(history, 0, keys);
    let mut draft = Draft::new(&empty, Timestamp::UNIX_EPOCH);
    crate::admin::reconcile(&mut draft, &Desired::parse(BINDINGS).unwrap(), false).unwrap();
    // Who came before: they leave their names behind.
    let gone = numbered(former, 200).map(|person| (person, true));
    for ((number, id, (external, mail, active, role)), goes) in
        gone.chain(numbered(people, 0).map(|person| (person, false)))
    {
        let user = json!({
            "userName": format!("User{number}"), "externalId": external_id(external), "active": active,
            "emails": [{"value": email(mail)}], "roles": [{"value": format!("r{role}")}],
        });
        draft.create_user("corp", id, attributes(user)).unwrap();
        if goes {
            draft.delete_user("corp", id).unwrap();
        }
    }
    for group in 0..4 {
        let name = format!("g{}", group.min(2));
        let group_attributes =
            attributes(json!({"displayName": name, "externalId": format!("e{group}")}));
        draft
            .create_group("corp", id(100 + group), group_attributes, &[])
            .unwrap();
    }
    for (group, member) in members {
        let member = match member {
            0..4 => id(100 + member),
            _ => id((member - 4) % people.len()),
        };
        let add = crate::directory::MemberChange::Add(vec![member]);
        // Deeper than may be, or in itself: refused.
        let _ = draft.change_members("corp", id(100 + group), &[add]);
    }
    draft.finish().directory
}

fn policy(mode: &str, require: Value, workload: Option<&str>, active: bool) -> String {
    let mut require = require;
    if let Some(term) = workload {
        require["workload"] = json!({ "anyOf": [term] });
    }
    let mut rules = vec![
        json!({ "name": "open", "to": [{ "paths": ["/open"] }], "allow": "PUBLIC" }),
        json!({ "name": "trial", "to": [{ "methods": ["GET"] }], "require": { "noneOf": ["group:g0"] }, "mode": "SHADOW" }),
        json!({ "name": "main", "to": [{ "paths": ["/main/{**}"] }], "require": require, "maxTokenAge": "1h" }),
    ];
    if !active {
        // Without it, only who holds a term is known.
        rules.remove(1);
    }
    let document =
        json!({ "tenant": "corp", "feed": { "cluster": "c" }, "mode": mode, "rules": rules });
    document.to_string()
}

fn terms() -> impl Strategy<Value = Vec<&'static str>> {
    let all = vec![
        "group:g0",
        "group:g1",
        "group:g2",
        "group:gone",
        "groupExternalId:e2",
        "role:r0",
    ];
    prop::sample::subsequence(all, 1..=3)
}

fn requires() -> impl Strategy<Value = Value> {
    prop_oneof![
        terms().prop_map(|any| json!({ "anyOf": any })),
        terms().prop_map(|all| json!({ "allOf": all })),
        terms().prop_map(|none| json!({ "noneOf": none })),
        (terms(), terms()).prop_map(|(any, none)| json!({ "anyOf": any, "noneOf": none })),
        Just(json!({ "anyOf": ["active"] })),
    ]
}

fn tokens() -> impl Strategy<Value = Map<String, Value>> {
    let issuers = [
        "https://x",
        "https://n",
        "https://m",
        "https://mm",
        "https://i",
        "https://shared",
        "https://X",
        "https://x/",
    ];
    let names = prop_oneof![
        (0..5_usize).prop_map(|number| json!(external_id(number))),
        (0..3_usize).prop_map(|number| json!(email(number))),
        prop::sample::select(vec![
            json!("User0"),
            json!("uSER1"),
            json!(""),
            json!("a\0"),
            json!(7),
            json!(null),
            json!(["User0"])
        ]),
        (0..4_usize).prop_map(|number| json!(id(number))),
    ];
    let verified = prop::sample::select(vec![json!(true), json!("true"), json!(null)]);
    let tids = prop::sample::select(vec!["a", "b"]);
    let ages = prop::sample::select(vec![-120, 0, 60, 7200]);
    (prop::sample::select(issuers.to_vec()), names, verified, tids, ages).prop_map(|(issuer, name, verified, tid, age)| {
        attributes(json!({ "iss": issuer, "sub": name, "email": name, "oid": name, "email_verified": verified, "tid": tid, "iat": NOW - age }))
    })
}

/// All that a filter holds.
fn whole(directory: &Directory, scope: &Scope) -> Snapshot {
    let mut resolved = Resolved::new(directory, scope);
    let mut snapshot = Snapshot::new(
        scope.clone(),
        directory.position(),
        directory.keys().content.clone(),
        resolved.bindings(),
        resolved.states().to_vec(),
    );
    resolved.for_each(|subject, terms| snapshot.insert(subject, terms.clone()).unwrap());
    snapshot
}

fn now() -> Timestamp {
    Timestamp::from_second(NOW).unwrap()
}

fn asking(policy: String, who: Who) -> Explain {
    let request = Requested {
        method: "GET".to_owned(),
        path: Some("/main/a".to_owned()),
        host: None,
        port: None,
    };
    Explain {
        tenant: Some("corp".to_owned()),
        policy,
        who,
        workload: None,
        request,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn what_is_explained_is_what_the_whole_snapshot_decides(
        former in prop::collection::vec((0..5_usize, 0..3_usize, Just(true), Just(0_usize)), 0..2),
        people in prop::collection::vec((0..5_usize, 0..3_usize, prop::bool::weighted(0.8), 0..2_usize), 1..4),
        members in prop::collection::vec((0..4_usize, 0..8_usize), 0..8),
        mode in "ENFORCE|SHADOW", require in requires(), asks_workload in prop::option::of(terms()), active: bool,
        token in prop::option::weighted(0.9, tokens()), workload in prop::option::of(0..5_usize),
        method in "GET|GET|GET|GET|POST|get", path in "/(open|main/a|main/b|main/c|main/a/|else|main//)",
    ) {
        let directory = directory(&former, &people, &members);
        let text = policy(&mode, require, asks_workload.map(|terms| terms[0]), active);
        let policy = Policy::parse(text.as_bytes()).unwrap();
        let snapshot = whole(&directory, policy.scope());
        let workload = workload.map(external_id);
        let payload = token.as_ref().map(Payload);
        let mut lease = Lease::default();
        lease.renew(moment(now()));
        let request = Request {
            method: method.as_bytes(),
            path: Some(path.as_bytes()),
            host: b"any.example",
            connection: &Wire { port: None, peer: workload },
            token: payload.as_ref().map(|token| token as &dyn Claims),
        };
        let decision = decide(&policy, Some(&snapshot), &lease, &request, moment(now()));

        let asked = Explain {
            workload: workload.map(str::to_owned),
            request: Requested { method, path: Some(path), host: None, port: None },
            ..asking(text, token.clone().map_or(Who::Nobody, Who::Claims))
        };
        let explained = explain(&directory, &asked, now()).unwrap();
        let [case] = explained.cases.as_slice() else { panic!("{explained:?}") };
        prop_assert_eq!(case.allowed, decision.allowed);
        prop_assert_eq!(&case.reason, decision.reason.as_str());
        prop_assert_eq!(&case.would_refuse, &decision.would_refuse.map(|reason| reason.to_string()));
        prop_assert_eq!(case.rule.as_deref(), decision.rule.and_then(|rule| policy.rule_name(rule)));
        // Who is named is who the whole snapshot knows.
        let known = payload.as_ref().and_then(|token| {
            let subject = explain::user(&snapshot, token).ok()?;
            snapshot.terms_of(&subject.digest)
        });
        let naming = case.user.as_ref();
        prop_assert_eq!(naming.is_some_and(|naming| naming.problem.is_none()), known.is_some());
        let refused = !decision.reason.allows();
        prop_assert_eq!(refused, !case.changes.is_empty(), "{:?}", case);
        // Whoever holds a group is in it by some way.
        for rule in &case.rules {
            let user = rule.require.iter().flat_map(|require| require.user.iter().flatten());
            for condition in user {
                let by_group = condition.condition.starts_with("group") && condition.state == State::Held;
                prop_assert_eq!(by_group, !condition.via.is_empty(), "{:?}", condition);
            }
        }
    }

    #[test]
    fn a_token_names_whom_some_tenants_filter_knows(
        former in prop::collection::vec((0..5_usize, 0..3_usize, Just(true), Just(0_usize)), 0..2),
        people in prop::collection::vec((0..5_usize, 0..3_usize, any::<bool>(), 0..2_usize), 1..4),
        token in tokens(),
    ) {
        let directory = directory(&former, &people, &[]);
        let asked = ExplainToken { tenant: None, claims: token.clone() };
        let explained = explain_token(&directory, &asked).unwrap();
        for tenant in directory.tenants() {
            let scope = Scope::new(tenant.name(), [], true).unwrap();
            let snapshot = whole(&directory, &scope);
            let subject = explain::user(&snapshot, &Payload(&token)).ok();
            let known = subject.is_some_and(|subject| snapshot.terms_of(&subject.digest).is_some());
            let told = explained.tenants.iter().find(|told| told.tenant == **tenant.name());
            prop_assert_eq!(told.is_some_and(|told| told.naming.problem.is_none()), known);
        }
        prop_assert_eq!(explained.tenants.is_empty(), explained.problem.is_some());
    }
}

#[test]
fn a_user_is_found_by_whatever_they_are_called_and_tried_under_each_binding() {
    let directory = directory(&[], &[(0, 0, true, 0), (1, 0, true, 1)], &[(0, 4)]);
    let text = || policy("ENFORCE", json!({ "anyOf": ["group:g0"] }), None, true);
    let of = |called: &str, issuer: Option<&str>| {
        let named = called.to_owned();
        let issuer = issuer.map(str::to_owned);
        explain(
            &directory,
            &asking(text(), Who::User { named, issuer }),
            now(),
        )
    };
    for called in ["user0", "USER0", "x0", &id(0).to_string()] {
        let explained = of(called, None).unwrap();
        let reasons: Vec<&str> = explained
            .cases
            .iter()
            .map(|case| case.reason.as_str())
            .collect();
        // Both have the one email: by their two issuers it names nobody.
        assert_eq!(
            reasons,
            [
                "permitted",
                "unknown_subject",
                "unknown_subject",
                "permitted",
                "permitted",
                "permitted"
            ],
            "{called}"
        );
    }
    let by_name = of("user0", Some("https://n")).unwrap();
    let [case] = by_name.cases.as_slice() else {
        panic!("{by_name:?}")
    };
    let naming = case.user.as_ref().unwrap();
    assert_eq!(naming.users[0].found_by, ["userName"]);
    let said = |result: Result<Explained, Unexplained>| result.unwrap_err().to_string();
    let both = said(of("ada@corp.example", None));
    assert!(both.contains("User0") && both.contains("User1"), "{both}");
    assert!(said(of("nobody", None)).contains("no user of tenant \"corp\""));
    let slip = said(of("user0", Some("https://n/")));
    assert!(slip.contains("differ in a final slash"), "{slip}");
}
