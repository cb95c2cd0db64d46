//! A request that is open is asked again whether it would be let in.

#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;
use crate::Grant;

fn both() -> Policy {
    requiring(json!({ "anyOf": ["group:admins"], "workload": { "anyOf": ["group:jobs"] } }))
}

/// What alice, through batch, is let in by.
fn granted(policy: &Policy, snapshot: &Snapshot) -> Option<Grant> {
    grant(policy, snapshot, &sub("alice"))
}

fn grant(policy: &Policy, snapshot: &Snapshot, token: &Token) -> Option<Grant> {
    let peer = from_peer(BATCH);
    let request = Request {
        connection: &peer,
        ..get("/", Some(token))
    };
    let decision = decide(policy, Some(snapshot), &renewed(1), &request, NOW);
    assert_eq!(decision.reason, Reason::Permitted);
    Grant::of(policy, Some(snapshot), decision)
}

/// The company with other bindings, under another key.
fn bound(policy: &Policy, key: u8, change: impl Fn(&mut Binding)) -> Snapshot {
    let before = company(policy.scope());
    let mut bindings = before.bindings().to_vec();
    bindings.iter_mut().for_each(change);
    let states = policy.scope().terms().iter().map(|_| TermState::Found);
    let mut after = Snapshot::new(
        policy.scope().clone(),
        *before.position(),
        Key::new([key; 32]),
        bindings,
        states.collect(),
    );
    let known = [(0, "alice", "group:admins"), (4, BATCH, "group:jobs")];
    for (place, name, term) in known {
        let place = policy
            .scope()
            .index_of(&Term::parse(term).unwrap())
            .map(|at| (place, at));
        let Some((binding, term)) = place else {
            continue;
        };
        let binding = &after.bindings()[binding];
        let subject = after.subject(binding, name.as_bytes());
        let _ = after.insert(subject, TermSet::from_indices([term]));
    }
    after
}

fn of_issuer(binding: &Binding) -> bool {
    binding.issuer() == Some(ISSUER)
}

#[test]
fn what_is_open_stays_while_nothing_has_changed() {
    let policy = both();
    let snapshot = company(policy.scope());
    let mut grant = granted(&policy, &snapshot).unwrap();
    assert_eq!(grant.subjects().count(), 2);
    assert!(grant.needs_token());
    assert_eq!(grant.still(&policy, Some(&snapshot)), Ok(()));
    assert_eq!(grant.still(&policy, None), Err(Reason::NoSnapshot));
}

#[test]
fn only_what_the_rule_asked_for_is_asked_again() {
    let user = admins();
    let grant = granted(&user, &company(user.scope())).unwrap();
    assert_eq!((grant.subjects().count(), grant.needs_token()), (1, true));
    let workload = requiring(json!({ "workload": { "anyOf": ["group:jobs"] } }));
    let grant = granted(&workload, &company(workload.scope())).unwrap();
    assert_eq!((grant.subjects().count(), grant.needs_token()), (1, false));
}

#[test]
fn what_nobodys_standing_let_in_is_nothing_to_ask_again() {
    let token = sub("alice");
    for (policy, path) in [
        (policy_of(layered()), "/healthz"),
        (policy_of(layered()), "/metrics"),
        (policy_in("SHADOW", layered()), "/other"),
    ] {
        let snapshot = company(policy.scope());
        let request = get(path, Some(&token));
        let decision = decide(&policy, Some(&snapshot), &renewed(1), &request, NOW);
        assert!(
            Grant::of(&policy, Some(&snapshot), decision).is_none(),
            "{path}"
        );
    }
}

#[test]
fn a_term_that_is_not_found_any_more_ends_what_it_let_in() {
    let policy = admins();
    let mut grant = granted(&policy, &company(policy.scope())).unwrap();
    for state in [TermState::Missing, TermState::Ambiguous] {
        let after = company_where(policy.scope(), |_| state);
        assert_eq!(
            grant.still(&policy, Some(&after)),
            Err(Reason::NotPermitted)
        );
    }
}

#[test]
fn under_another_key_the_same_are_known_by_other_digests() {
    let policy = both();
    let mut grant = granted(&policy, &company(policy.scope())).unwrap();
    let before: Vec<_> = grant.subjects().collect();
    let after = bound(&policy, 9, |_| {});
    assert_eq!(grant.still(&policy, Some(&after)), Ok(()));
    let now: Vec<_> = grant.subjects().collect();
    assert!(before.iter().all(|subject| !now.contains(subject)));
    assert!(now.iter().all(|subject| after.terms_of(subject).is_some()));
}

#[test]
fn where_a_token_lists_groups_has_no_part_in_who_is_open() {
    let policy = both();
    let mut grant = granted(&policy, &company(policy.scope())).unwrap();
    let listing = bound(&policy, 3, |binding| {
        if let Source::Token { groups, .. } = &mut binding.source {
            *groups = Some(scimesh_proto::binding::GroupsClaim {
                claim: "groups".to_owned(),
                is: scimesh_proto::binding::GroupName::DisplayName,
            });
        }
    });
    assert_eq!(grant.still(&policy, Some(&listing)), Ok(()));
}

#[test]
fn a_binding_that_would_read_the_token_in_another_way_ends_what_is_open() {
    type Change = fn(&mut Binding);
    let changes: [(Change, Reason); 6] = [
        (
            |b| set(b, "iss", "https://gone", None),
            Reason::UnknownIssuer,
        ),
        (|b| set(b, "claim", "upn", None), Reason::UnknownIssuer),
        (
            |b| set(b, "pin", "", Some(("tid", "x"))),
            Reason::UnknownIssuer,
        ),
        (
            |b| {
                if of_issuer(b) {
                    b.attribute = Attribute::Id;
                }
            },
            Reason::UnknownIssuer,
        ),
        (
            |b| {
                if of_issuer(b) {
                    b.ignore_case = true;
                }
            },
            Reason::UnknownIssuer,
        ),
        (
            |b| {
                if let Source::Workload { trust_domain } = &mut b.source {
                    *trust_domain = "elsewhere".to_owned();
                }
            },
            Reason::UnknownTrustDomain,
        ),
    ];
    for (number, (change, reason)) in changes.into_iter().enumerate() {
        let policy = both();
        let mut grant = granted(&policy, &company(policy.scope())).unwrap();
        let after = bound(&policy, 3, change);
        assert_eq!(grant.still(&policy, Some(&after)), Err(reason), "{number}");
    }
}

fn set(binding: &mut Binding, what: &str, to: &str, of: Option<(&str, &str)>) {
    if !of_issuer(binding) {
        return;
    }
    let Source::Token {
        issuer, claim, pin, ..
    } = &mut binding.source
    else {
        return;
    };
    match what {
        "iss" => *issuer = to.to_owned(),
        "claim" => *claim = to.to_owned(),
        _ => {
            *pin = of.map(|(claim, value)| Pin {
                claim: claim.to_owned(),
                value: value.to_owned(),
            });
        }
    }
}

#[test]
fn a_token_ends_what_it_let_in() {
    let of = |policy: &Policy, claims: &[(&str, Claim)]| {
        let mut token = sub("alice");
        for (name, claim) in claims {
            token = token.with(name, claim.clone());
        }
        let grant = grant(policy, &company(policy.scope()), &token).unwrap();
        let expiry = grant.expiry(policy, &token, NOW);
        expiry.map(|expiry| expiry.as_secs_f64() - NOW.wall.as_secs_f64())
    };
    let now = NOW.wall.as_secs_f64();
    let at = |ahead: f64| Claim::Number(now + ahead);
    let plain = admins();
    assert_eq!(of(&plain, &[]), None);
    assert_eq!(of(&plain, &[("exp", at(30.0))]), Some(30.0));
    // jwt_authn lets tokens in for a minute more.
    assert_eq!(of(&plain, &[("exp", at(0.0))]), Some(60.0));
    assert_eq!(of(&plain, &[("exp", at(-50.0))]), Some(10.0));
    // What is no time at all helps nobody.
    for nonsense in [Claim::Other, Claim::Number(-1.0), Claim::Number(f64::NAN)] {
        assert!(
            of(&plain, &[("exp", nonsense.clone())]).unwrap() < 0.0,
            "{nonsense:?}"
        );
    }
    assert!(of(&plain, &[("exp", Claim::Number(f64::MAX))]).unwrap() > 1e9);

    let mut document = json!({
        "tenant": "corp", "feed": { "cluster": "feeder" },
        "rules": [{
            "name": "all", "to": [{ "methods": ["*"] }], "maxTokenAge": "15m",
            "require": { "anyOf": ["group:admins"] },
        }],
    });
    let young = Policy::parse(document.to_string().as_bytes()).unwrap();
    let issued = ("iat", at(-600.0));
    assert_eq!(of(&young, std::slice::from_ref(&issued)), Some(300.0));
    assert_eq!(of(&young, &[issued.clone(), ("exp", at(30.0))]), Some(30.0));
    assert_eq!(
        of(&young, &[issued.clone(), ("exp", at(900.0))]),
        Some(300.0)
    );
    document["cutAtExpiry"] = json!(false);
    let lasting = Policy::parse(document.to_string().as_bytes()).unwrap();
    assert_eq!(of(&lasting, &[issued, ("exp", at(30.0))]), None);
}
