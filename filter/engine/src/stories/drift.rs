//! What a token says of groups, beside what the directory says.

#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use scimesh_proto::binding::{GroupName, GroupsClaim};

use super::*;
use crate::{drift, groups_claim};

/// Of a policy that names both kinds of groups, and a role.
fn scope() -> Scope {
    let terms = json!([
        "group:admins",
        "group:contractors",
        "groupExternalId:admins",
        "role:owner"
    ]);
    requiring(json!({ "anyOf": terms })).scope().clone()
}

/// The terms that a token listing `listed` claims and its subject has lost, and those that they have and it does not claim.
fn differing(snapshot: &Snapshot, who: &str, is: GroupName, listed: &[&str]) -> [Vec<String>; 2] {
    let binding = snapshot.binding_of_issuer(ISSUER.as_bytes()).unwrap();
    let subject = snapshot.subject(binding, who.as_bytes());
    let listed: Vec<Vec<u8>> = listed.iter().map(|name| name.as_bytes().to_vec()).collect();
    let drift = drift(snapshot, &subject, is, &listed);
    assert_eq!(
        drift.is_empty(),
        drift.gone.is_empty() && drift.gained.is_empty()
    );
    let terms = snapshot.scope().terms();
    [drift.gone, drift.gained].map(|places| {
        assert!(places.is_sorted());
        places
            .iter()
            .map(|place| terms[*place].to_string())
            .collect()
    })
}

#[test]
fn a_token_and_the_directory_agree_or_differ_by_terms_of_the_scope() {
    let company = company(&scope());
    for (who, listed, gone, gained) in [
        ("alice", &["admins"][..], &[][..], &[][..]),
        ("alice", &["choir", "admins", "owner"], &[], &[]),
        ("alice", &[], &[], &["group:admins"]),
        ("alice", &["Admins"], &[], &["group:admins"]),
        (
            "alice",
            &["admins", "admins", "contractors"],
            &["group:contractors"],
            &[],
        ),
        ("bob", &["contractors"], &[], &["group:admins"]),
        ("bob", &[], &[], &["group:admins", "group:contractors"]),
        // Of whom the directory does not know, everything has gone.
        (
            "mallory",
            &["contractors", "admins"],
            &["group:admins", "group:contractors"],
            &[],
        ),
        ("mallory", &[], &[], &[]),
    ] {
        let found = differing(&company, who, GroupName::DisplayName, listed);
        assert_eq!(found[0], gone, "{who} {listed:?}");
        assert_eq!(found[1], gained, "{who} {listed:?}");
    }
    // One kind of name is not the other.
    let found = differing(&company, "alice", GroupName::ExternalId, &["admins"]);
    assert_eq!(found[0], ["groupExternalId:admins"]);
    assert_eq!(found[1], [""; 0]);
}

#[test]
fn what_can_not_be_resolved_has_gone_and_was_gained_by_nobody() {
    for state in [TermState::Missing, TermState::Ambiguous] {
        let company = company_where(&scope(), |term| {
            if term == "group:admins" {
                state
            } else {
                TermState::Found
            }
        });
        let found = differing(
            &company,
            "bob",
            GroupName::DisplayName,
            &["admins", "contractors"],
        );
        assert_eq!(found[0], ["group:admins"]);
        assert_eq!(found[1], [""; 0]);
        let found = differing(&company, "bob", GroupName::DisplayName, &["contractors"]);
        assert_eq!(found, [vec![], Vec::<String>::new()]);
    }
}

#[test]
fn the_binding_of_the_issuer_says_where_groups_are_listed() {
    let groups = GroupsClaim {
        claim: "roles".into(),
        is: GroupName::ExternalId,
    };
    let bindings = [(ISSUER, Some(groups.clone())), (NAME_ISSUER, None)];
    let bindings = bindings.map(|(issuer, groups)| Binding {
        source: Source::Token {
            issuer: issuer.into(),
            claim: "sub".into(),
            pin: None,
            groups,
        },
        attribute: Attribute::ExternalId,
        ignore_case: false,
    });
    let company = company(&scope());
    let states = vec![TermState::Found; scope().terms().len()];
    let snapshot = Snapshot::new(
        scope(),
        *company.position(),
        Key::new([3; 32]),
        bindings.into(),
        states,
    );
    assert_eq!(groups_claim(&snapshot, ISSUER.as_bytes()), Some(&groups));
    assert_eq!(groups_claim(&snapshot, NAME_ISSUER.as_bytes()), None);
    assert_eq!(groups_claim(&snapshot, MAIL_ISSUER.as_bytes()), None);
}
