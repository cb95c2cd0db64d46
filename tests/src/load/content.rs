//! What a scope has to hold, found the naive way: from plain maps, by walking down from each term's group. The digests of
//! the feeder and of every proxy are held against it.

use std::collections::{BTreeMap, BTreeSet};

use scimesh_proto::binding::{Attribute, Binding, Source};
use scimesh_proto::digest::{ContentDigest, Key};
use scimesh_proto::scope::Scope;
use scimesh_proto::snapshot::{TermSet, TermState};

use super::staff::{Staff, subject};

/// A scope's whole content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// What each term of the scope resolves to.
    pub states: Vec<TermState>,
    /// The places of the terms that each user holds.
    pub entries: BTreeMap<u32, BTreeSet<usize>>,
}

/// The binding that [installed](super::install) tenants have.
pub fn binding(issuer: &str) -> Binding {
    Binding {
        source: Source::Token {
            issuer: issuer.to_owned(),
            claim: "sub".to_owned(),
            pin: None,
            groups: None,
        },
        attribute: Attribute::ExternalId,
        ignore_case: false,
    }
}

impl Content {
    /// Of a scope whose terms are all `group:NAME`.
    pub fn of(staff: &Staff, scope: &Scope) -> Content {
        let mut content = Content {
            states: Vec::new(),
            entries: BTreeMap::new(),
        };
        let active = |user: &u32| staff.users.get(user) == Some(&true);
        if scope.any_active() {
            let everybody = staff.users.keys().filter(|user| active(user));
            content.entries = everybody.map(|user| (*user, BTreeSet::new())).collect();
        }
        for (place, term) in scope.terms().iter().enumerate() {
            let groups = staff.groups.iter();
            let named: Vec<u32> = groups
                .filter(|(_, group)| group.name == term.value())
                .map(|(number, _)| *number)
                .collect();
            content.states.push(match named.as_slice() {
                [] => TermState::Missing,
                [group] => {
                    for user in members(staff, *group).into_iter().filter(active) {
                        content.entries.entry(user).or_default().insert(place);
                    }
                    TermState::Found
                }
                _ => TermState::Ambiguous,
            });
        }
        content
    }

    /// Its digest under a database's key, with these bindings.
    pub fn digest(&self, key: &Key, scope: &Scope, bindings: &[Binding]) -> ContentDigest {
        let mut digest = ContentDigest::default();
        for (term, state) in scope.terms().iter().zip(&self.states) {
            digest += key.term(term, *state);
        }
        for binding in bindings {
            digest += key.binding(binding);
            for (user, places) in &self.entries {
                let subject = key.subject(scope.tenant(), binding, subject(*user).as_bytes());
                let terms = TermSet::from_indices(places.iter().copied());
                digest += key.entry(&subject, &terms);
            }
        }
        digest
    }
}

/// Users in the group, however deep.
fn members(staff: &Staff, group: u32) -> BTreeSet<u32> {
    let (mut users, mut seen, mut next) = (BTreeSet::new(), BTreeSet::new(), vec![group]);
    while let Some(number) = next.pop() {
        if !seen.insert(number) {
            continue;
        }
        if let Some(group) = staff.groups.get(&number) {
            users.extend(&group.users);
            next.extend(&group.groups);
        }
    }
    users
}
