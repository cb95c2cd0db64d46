//! Random histories against a naive model: whatever happens to a directory, a filter that follows by deltas, skipping
//! revisions as it likes, holds what the model says, and what a fresh snapshot would give it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use proptest::prelude::*;
use scimesh_proto::binding::{Attribute, Binding, Source};
use scimesh_proto::digest::{Key, SubjectDigest};
use scimesh_proto::position::History;
use scimesh_proto::replica::{HighWater, Received, Replica};
use scimesh_proto::scope::{Scope, Term};
use scimesh_proto::snapshot::{TermSet, TermState};
use serde_json::json;
use uuid::Uuid;

use super::scope::Standing;
use crate::directory::{
    Attributes, Directory, Draft, Keys, Member, MemberChange, Refused, Tenant, User,
};

const TENANT: &str = "corp";

/// One SCIM write, in small numbers so that names and memberships collide.
#[derive(Debug, Clone)]
enum Write {
    CreateUser {
        who: u8,
        name: u8,
    },
    UpdateUser {
        who: usize,
        name: u8,
        active: bool,
        role: u8,
    },
    DeleteUser {
        who: usize,
    },
    CreateGroup {
        name: u8,
        members: Vec<usize>,
    },
    RenameGroup {
        which: usize,
        name: u8,
    },
    SetMembers {
        which: usize,
        members: Vec<usize>,
    },
    AddMembers {
        which: usize,
        members: Vec<usize>,
    },
    RemoveMembers {
        which: usize,
        members: Vec<usize>,
    },
    DeleteGroup {
        which: usize,
    },
    /// Several in one command, each all or nothing.
    Bulk(Vec<Write>),
    /// The filter catches up here.
    Follow,
}

fn write() -> impl Strategy<Value = Write> {
    prop_oneof![
        8 => one_write(),
        2 => prop::collection::vec(one_write(), 2..6).prop_map(Write::Bulk),
    ]
}

fn one_write() -> impl Strategy<Value = Write> {
    let members = || prop::collection::vec(0..24_usize, 0..3);
    prop_oneof![
        3 => (any::<u8>(), 0..6_u8).prop_map(|(who, name)| Write::CreateUser { who, name }),
        4 => (0..24_usize, 0..6_u8, any::<bool>(), 0..3_u8)
            .prop_map(|(who, name, active, role)| Write::UpdateUser { who, name, active, role }),
        1 => (0..24_usize).prop_map(|who| Write::DeleteUser { who }),
        2 => (0..4_u8, members()).prop_map(|(name, members)| Write::CreateGroup { name, members }),
        2 => (0..8_usize, 0..4_u8).prop_map(|(which, name)| Write::RenameGroup { which, name }),
        1 => (0..8_usize, members()).prop_map(|(which, members)| Write::SetMembers { which, members }),
        5 => (0..8_usize, members()).prop_map(|(which, members)| Write::AddMembers { which, members }),
        3 => (0..8_usize, members()).prop_map(|(which, members)| Write::RemoveMembers { which, members }),
        1 => (0..8_usize).prop_map(|which| Write::DeleteGroup { which }),
        2 => Just(Write::Follow),
    ]
}

fn user(name: u8, who: u8, active: bool, role: u8) -> Attributes {
    let kind = ["", "spiffe://td/", "spiffe://other/"][name as usize % 3];
    let letter = ["m", "M"][who as usize % 2];
    let attributes = json!({
        "userName": format!("User-{who}"),
        "externalId": format!("{kind}x{name}"),
        "emails": [{"value": format!("{letter}{}@corp.example", name / 2)}, {"value": format!("M{}@corp.example", name / 2)}, {"value": format!("u{who}@corp.example")}],
        "roles": [{"value": format!("r{role}")}],
        "active": active,
    });
    attributes.as_object().unwrap().clone()
}

fn group(name: u8) -> Attributes {
    let attributes =
        json!({"displayName": format!("g{name}"), "externalId": format!("gx{}", name % 2)});
    attributes.as_object().unwrap().clone()
}

/// The id of some user (the first 16 numbers) or group (the others) of the tenant.
fn member(tenant: &Tenant, number: usize) -> Option<Uuid> {
    match number {
        0..16 => tenant
            .users()
            .nth(number % tenant.user_count().max(1))
            .map(|user| user.id),
        _ => some_group(tenant, number),
    }
}

fn some_group(tenant: &Tenant, number: usize) -> Option<Uuid> {
    tenant
        .groups()
        .nth(number % tenant.group_count().max(1))
        .map(|group| group.id)
}

fn apply(draft: &mut Draft, write: &Write) -> Result<(), Refused> {
    let tenant = draft.tenant(TENANT)?.clone();
    let members = |numbers: &[usize]| -> Vec<Uuid> {
        numbers
            .iter()
            .filter_map(|number| member(&tenant, *number))
            .collect()
    };
    let some_user = |number: usize| {
        tenant
            .users()
            .nth(number % tenant.user_count().max(1))
            .map(|user| user.id)
    };
    match write {
        Write::CreateUser { who, name } => {
            draft.create_user(TENANT, Uuid::new_v4(), user(*name, *who, true, 0))?;
        }
        Write::UpdateUser {
            who,
            name,
            active,
            role,
        } => {
            if let Some(id) = some_user(*who) {
                draft.update_user(TENANT, id, user(*name, *who as u8, *active, *role))?;
            }
        }
        Write::DeleteUser { who } => {
            if let Some(id) = some_user(*who) {
                draft.delete_user(TENANT, id)?;
            }
        }
        Write::CreateGroup {
            name,
            members: numbers,
        } => {
            draft.create_group(TENANT, Uuid::new_v4(), group(*name), &members(numbers))?;
        }
        Write::RenameGroup { which, name } => {
            if let Some(id) = some_group(&tenant, *which) {
                draft.update_group(TENANT, id, group(*name), &[])?;
            }
        }
        Write::SetMembers {
            which,
            members: numbers,
        } => {
            if let Some(id) = some_group(&tenant, *which) {
                draft.change_members(TENANT, id, &[MemberChange::Set(members(numbers))])?;
            }
        }
        Write::AddMembers {
            which,
            members: numbers,
        } => {
            if let Some(id) = some_group(&tenant, *which) {
                draft.change_members(TENANT, id, &[MemberChange::Add(members(numbers))])?;
            }
        }
        Write::RemoveMembers {
            which,
            members: numbers,
        } => {
            if let Some(id) = some_group(&tenant, *which) {
                draft.change_members(TENANT, id, &[MemberChange::Remove(members(numbers))])?;
            }
        }
        Write::DeleteGroup { which } => {
            if let Some(id) = some_group(&tenant, *which) {
                draft.delete_group(TENANT, id)?;
            }
        }
        Write::Bulk(writes) => {
            for write in writes {
                let _ = draft.attempt(|draft| apply(draft, write));
            }
        }
        Write::Follow => {}
    }
    Ok(())
}

/// What the scope's content must be, found by looking at everything: no index, no memory, no sharing.
fn naive(
    directory: &Directory,
    scope: &Scope,
) -> (Vec<TermState>, BTreeMap<SubjectDigest, TermSet>) {
    let tenant = directory.tenant(TENANT).unwrap();
    let groups_of = |term: &Term| -> Vec<_> {
        let value = term.value();
        let means = |group: &&Arc<crate::directory::Group>| match term
            .as_str()
            .split_once(':')
            .unwrap()
            .0
        {
            "group" => &*group.display_name == value,
            _ => group.external_id.as_deref() == Some(value),
        };
        tenant.groups().filter(means).collect()
    };
    let is_group_term = |term: &Term| term.as_str().starts_with("group");
    let states = scope
        .terms()
        .iter()
        .map(|term| match groups_of(term).len() {
            _ if !is_group_term(term) => TermState::Found,
            0 => TermState::Missing,
            1 => TermState::Found,
            _ => TermState::Ambiguous,
        });
    let mut entries = BTreeMap::new();
    for binding in tenant.bindings() {
        let known: BTreeSet<_> = tenant
            .users()
            .flat_map(|user| values(user, binding))
            .collect();
        for value in known {
            let named: Vec<_> = tenant
                .users()
                .filter(|user| values(user, binding).contains(&value))
                .collect();
            let [user] = named.as_slice() else { continue };
            if !user.identity.active {
                continue;
            }
            let within = |group: &Arc<crate::directory::Group>| {
                let mut seen = BTreeSet::new();
                let mut open = vec![group.slot];
                while let Some(slot) = open.pop() {
                    if let Some(Member::Group(group)) = tenant.member(slot)
                        && seen.insert(slot)
                    {
                        if group.members.contains(&user.slot) {
                            return true;
                        }
                        open.extend(group.members.iter());
                    }
                }
                false
            };
            let held = scope.terms().iter().enumerate().filter(|(_, term)| {
                if is_group_term(term) {
                    matches!(groups_of(term).as_slice(), [group] if within(group))
                } else {
                    user.identity
                        .roles
                        .iter()
                        .any(|role| **role == *term.value())
                }
            });
            let terms = TermSet::from_indices(held.map(|(index, _)| index));
            if !terms.is_empty() || scope.any_active() {
                let key = &directory.keys().content;
                let subject = key.subject(TENANT, binding, value.as_bytes());
                entries.insert(subject, terms);
            }
        }
    }
    (states.collect(), entries)
}

/// What a binding may know the user by.
fn values(user: &User, binding: &Binding) -> Vec<String> {
    let identity = &user.identity;
    let mut values: Vec<String> = match binding.attribute {
        Attribute::ExternalId => identity.external_id.iter().map(|v| v.to_string()).collect(),
        Attribute::UserName => vec![identity.user_name.to_string()],
        Attribute::Id => vec![user.id.to_string()],
        Attribute::Email => identity.emails.iter().map(|v| v.to_string()).collect(),
    };
    if binding.ignore_case {
        for value in &mut values {
            value.make_ascii_lowercase();
        }
    }
    if let Some(trust_domain) = binding.trust_domain() {
        values.retain(|value| value.starts_with(&format!("spiffe://{trust_domain}/")));
    }
    values
}

fn directory() -> Directory {
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
    draft.create_tenant(TENANT).unwrap();
    for (issuer, attribute, ignore_case) in [
        ("https://a", Attribute::ExternalId, false),
        ("https://b", Attribute::Email, false),
        ("https://c", Attribute::Id, false),
        ("https://d", Attribute::Email, true),
        ("https://e", Attribute::UserName, true),
    ] {
        let source = Source::Token {
            issuer: issuer.to_owned(),
            claim: "sub".to_owned(),
            pin: None,
        };
        let binding = Binding {
            source,
            attribute,
            ignore_case,
        };
        draft.set_binding(TENANT, binding).unwrap();
    }
    let workloads = Binding {
        source: Source::Workload {
            trust_domain: "td".to_owned(),
        },
        attribute: Attribute::ExternalId,
        ignore_case: false,
    };
    draft.set_binding(TENANT, workloads).unwrap();
    let users: Vec<Uuid> = (0..4)
        .map(|n| {
            draft
                .create_user(TENANT, Uuid::new_v4(), user(n, n, true, n % 2))
                .unwrap()
                .id
        })
        .collect();
    let mut below = users[0];
    for name in 0..4 {
        below = draft
            .create_group(
                TENANT,
                Uuid::new_v4(),
                group(name),
                &[below, users[name as usize]],
            )
            .unwrap()
            .id;
    }
    draft.finish().directory
}

fn scope(any_active: bool) -> Scope {
    let terms = ["group:g0", "group:g1", "groupExternalId:gx1", "role:r1"]
        .map(|term| Term::parse(term).unwrap());
    Scope::new(TENANT, terms, any_active).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn following_by_deltas_is_reading_the_whole(
        writes in prop::collection::vec(write(), 1..60),
        any_active: bool,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let scope = scope(any_active);
        let mut directory = directory();
        let mut standing = Arc::new(Standing::read(Arc::new(directory.clone()), scope.clone()));
        let mut replica = Replica::new(scope.clone());
        let mut highest = HighWater::default();
        for write in &writes {
            let mut draft = Draft::new(&directory, Timestamp::UNIX_EPOCH);
            if apply(&mut draft, write).is_ok() {
                directory = draft.finish().directory;
                standing = Arc::new(standing.advance(Arc::new(directory.clone())));
            }
            let fresh = Standing::read(Arc::new(directory.clone()), scope.clone());
            prop_assert_eq!(standing.digest(), fresh.digest());
            if !matches!(write, Write::Follow) {
                continue;
            }
            let held = replica.snapshot().map(|snapshot| snapshot.position().revision);
            let update = runtime.block_on(standing.update(held));
            for message in update.iter() {
                match replica.receive(message.clone(), &mut highest) {
                    Ok(Received::Part | Received::Applied(_)) => {}
                    other => prop_assert!(false, "{:?}", other),
                }
            }
            let snapshot = replica.snapshot().unwrap();
            let (states, entries) = naive(&directory, &scope);
            let followed: BTreeMap<_, _> =
                snapshot.entries().map(|(subject, terms)| (subject, terms.clone())).collect();
            prop_assert_eq!(followed, entries);
            let followed: Vec<_> = (0..states.len()).map(|index| snapshot.term_state(index)).collect();
            prop_assert_eq!(followed, states);
            prop_assert_eq!(snapshot.position().revision, directory.revision());
        }
    }
}
