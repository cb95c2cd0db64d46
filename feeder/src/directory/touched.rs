//! From what the change log says was touched to the names whose entries may differ.
//!
//! Whoever gained or lost a term by membership has, before or after, a path to a group of that term with a logged edge on
//! it. Take the last one: all that lies below it is as it is today, and all that lies above it is in the union of today's
//! memberships and the logged ones. So it is enough to ask of each logged edge whether it lies below such a group in that
//! union, and then to walk down from it as things are. Some of the names found may not have changed, which is harmless.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::change::{Change, Name, Touched};
use super::entry::Resolved;
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
    let mut parents: HashMap<Slot, Vec<Slot>> = HashMap::new();
    for (group, members) in &edges {
        for member in members {
            parents.entry(*member).or_default().push(*group);
        }
    }
    let above = |group: Slot| {
        walk(vec![group], |slot, open| {
            open.extend(tenant.parents(slot));
            open.extend(parents.get(&slot).into_iter().flatten());
        })
    };
    // A group that had a term when the log begins and lost it within is among `groups`.
    let lost: HashSet<Slot> = groups.iter().copied().collect();
    let mut open = groups;
    for (group, members) in &edges {
        let mut above = above(*group).into_iter();
        if above.any(|slot| resolved.is_target(slot) || lost.contains(&slot)) {
            open.extend(members);
        }
    }
    for slot in walk(open, |slot, open| open.extend(tenant.members(slot))) {
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

/// Everything that can be reached from `start`, itself included.
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
