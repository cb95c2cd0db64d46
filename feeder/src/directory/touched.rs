//! From what the change log says was touched to the names whose entries may differ.
//!
//! Whoever gained or lost a term by membership has a path to a group of that term, before or after, and a logged edge on
//! it. Both the old and the new path lie in the union of today's memberships and the logged ones. So the names behind the
//! logged edges in that union are all there can be; some of them may not have changed, which is harmless.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::change::{Change, Name, Touched};
use super::entry::Resolved;
use super::tenant::Tenant;
use super::user::Slot;

/// What of a scope's content may have changed.
#[derive(Debug, PartialEq, Eq)]
pub enum Touch {
    /// All of it: the bindings changed.
    Everything,
    /// The entries of these names, and the states of terms.
    Names(HashSet<Name>),
}

/// What `changes`, which lead up to the directory that `resolved` was resolved in, may have changed of its scope.
pub fn touched_names(resolved: &Resolved, changes: &[Arc<Change>]) -> Touch {
    let tenant_name = resolved.scope().tenant();
    let mut names = HashSet::new();
    let mut edges: HashMap<Slot, Vec<Slot>> = HashMap::new();
    let mut groups: Vec<Slot> = Vec::new();
    let logged = changes.iter().flat_map(|change| &change.touched);
    for (tenant, touched) in logged {
        if **tenant != *tenant_name {
            continue;
        }
        match touched {
            Touched::Everything => return Touch::Everything,
            Touched::User { names: touched } => names.extend(touched.iter().cloned()),
            Touched::Members { group, members } => {
                edges.entry(*group).or_default().extend(members);
            }
            Touched::Group { group, terms } => {
                if terms.iter().any(|term| in_scope(resolved, term)) {
                    groups.push(*group);
                    if let Some(tenant) = resolved.tenant() {
                        let holders = terms.iter().flat_map(|term| tenant.groups_of_term(term));
                        groups.extend(holders.map(|group| group.slot));
                    }
                }
            }
        }
    }
    let Some(tenant) = resolved.tenant() else {
        return Touch::Names(names);
    };
    let union = Union::new(tenant, &edges);
    // A group that had a term when the log begins and lost it within is among `groups`.
    let targets: HashSet<Slot> = groups.iter().copied().collect();
    let matters = |slot: Slot| targets.contains(&slot) || resolved.is_target(slot);
    let mut open = groups;
    for (group, members) in &edges {
        if union.above(*group).into_iter().any(matters) {
            open.extend(members);
        }
    }
    for slot in union.below(open) {
        if let Some(user) = tenant.user_at(slot) {
            names.extend(user.names());
        }
    }
    Touch::Names(names)
}

fn in_scope(resolved: &Resolved, term: &str) -> bool {
    let terms = resolved.scope().terms();
    terms
        .binary_search_by(|held| held.as_str().as_bytes().cmp(term.as_bytes()))
        .is_ok()
}

/// Today's memberships and the logged ones.
struct Union<'a> {
    tenant: &'a Tenant,
    members: &'a HashMap<Slot, Vec<Slot>>,
    groups: HashMap<Slot, Vec<Slot>>,
}

impl<'a> Union<'a> {
    fn new(tenant: &'a Tenant, members: &'a HashMap<Slot, Vec<Slot>>) -> Union<'a> {
        let mut groups: HashMap<Slot, Vec<Slot>> = HashMap::new();
        for (group, members) in members {
            for member in members {
                groups.entry(*member).or_default().push(*group);
            }
        }
        Union {
            tenant,
            members,
            groups,
        }
    }

    /// The group and every group that it is or was in.
    fn above(&self, group: Slot) -> Vec<Slot> {
        walk(vec![group], |slot, open| {
            open.extend(self.tenant.parents(slot));
            open.extend(self.groups.get(&slot).into_iter().flatten());
        })
    }

    /// These and everybody who is or was in them.
    fn below(&self, start: Vec<Slot>) -> Vec<Slot> {
        walk(start, |slot, open| {
            open.extend(self.tenant.members(slot));
            open.extend(self.members.get(&slot).into_iter().flatten());
        })
    }
}

fn walk(start: Vec<Slot>, mut next: impl FnMut(Slot, &mut Vec<Slot>)) -> Vec<Slot> {
    let mut seen = HashSet::new();
    let mut reached = Vec::new();
    let mut open = start;
    while let Some(slot) = open.pop() {
        if seen.insert(slot) {
            reached.push(slot);
            next(slot, &mut open);
        }
    }
    reached
}
