//! From what the change log says was touched to where entries may differ.
//!
//! Whoever gained or lost a term by membership has, before or after, a path to a group of that term with a logged edge on
//! it. Take the last one: all that lies below it is as it is today, and all that lies above it is in the union of today's
//! memberships and the logged ones. So it is enough to ask of each logged edge whether it lies below such a group in that
//! union, and then to walk down from it as things are. Some of what is found may not have changed, which is harmless.
//!
//! No user is looked at here: what this costs is what was logged, and the groups above and below it.

use std::collections::HashSet;
use std::sync::Arc;

use super::change::{Change, Name, Touched};
use super::entry::Resolved;
use super::holdings::{SlotMap, SlotSet};
use super::tenant::Tenant;
use super::user::Slot;

/// What of a scope's content may have changed.
#[derive(Debug)]
pub enum Touch {
    /// All of it: the bindings changed, and whom they name.
    Everything,
    /// What is within this.
    Within(Reach),
}

/// Where entries may have changed.
#[derive(Debug, Default)]
pub struct Reach {
    /// Names that somebody had or has who came, went, or changed; or that mean somebody else.
    pub(super) names: HashSet<Name>,
    /// Who may have gained or lost terms, and nothing else.
    users: Vec<Slot>,
    /// Groups whose members may have, likewise.
    groups: Vec<Slot>,
    /// Whether a group's terms changed, and so perhaps the state of one.
    pub(super) terms: bool,
    /// Whether bindings changed, and yet name whom they named.
    pub(super) bindings: bool,
}

impl Reach {
    /// Every user whose terms may have changed, once, the oldest first.
    pub(super) fn users(&self, tenant: &Tenant) -> Vec<Slot> {
        let mut users = self.users.clone();
        for group in &self.groups {
            // Nested groups are among them, and are nobody's entries.
            let members = tenant.group_at(*group).into_iter();
            users.extend(members.flat_map(|group| &group.members));
        }
        users.sort_unstable();
        users.dedup();
        users
    }
}

/// What `changes`, which lead up to the directory that `resolved` was resolved in, may have changed of its scope.
pub fn touched(resolved: &Resolved, changes: &[Arc<Change>]) -> Touch {
    let mut reach = Reach::default();
    let mut edges: SlotMap<Vec<Slot>> = SlotMap::default();
    let mut regrouped: Vec<Slot> = Vec::new();
    for touched in of_tenant(resolved.scope().tenant(), changes) {
        match touched {
            Touched::Everything => return Touch::Everything,
            Touched::GroupsClaim => reach.bindings = true,
            Touched::User { names } => reach.names.extend(names.iter().cloned()),
            Touched::Members { group, members } => {
                edges.entry(*group).or_default().extend(members);
            }
            Touched::Group { group, terms } => {
                if terms.iter().any(|term| in_scope(resolved, term)) {
                    reach.terms = true;
                    regrouped.push(*group);
                    if let Some(tenant) = resolved.tenant() {
                        let holders = terms.iter().flat_map(|term| tenant.groups_of_term(term));
                        regrouped.extend(holders.map(|group| group.slot));
                    }
                }
            }
        }
    }
    let Some(tenant) = resolved.tenant() else {
        return Touch::Within(reach);
    };
    // A group that had a term when the log begins and lost it within is among these.
    let lost: SlotSet = regrouped.iter().copied().collect();
    let decides = |group: Slot| resolved.is_target(group) || lost.contains(&group);
    let mut open = regrouped;
    for group in below_those(tenant, &edges, decides) {
        open.extend(edges.get(&group).into_iter().flatten());
    }
    let mut seen = SlotSet::default();
    while let Some(slot) = open.pop() {
        match tenant.group_at(slot) {
            None => reach.users.push(slot),
            Some(_) if !seen.insert(slot) => {}
            Some(_) => {
                reach.groups.push(slot);
                open.extend(tenant.nested(slot));
            }
        }
    }
    Touch::Within(reach)
}

/// How many parts of one tenant's directory changes may have touched: counted up to `limit`, in a time that does not grow beyond it.
pub(crate) fn weight(
    directory: &super::Directory,
    tenant: &str,
    changes: &[Arc<Change>],
    limit: usize,
) -> usize {
    let held = directory.tenant(tenant);
    let mut weight = 0;
    let mut seen = SlotSet::default();
    for touched in of_tenant(tenant, changes) {
        let mut open: Vec<Slot> = match touched {
            Touched::Everything => return limit,
            Touched::GroupsClaim => {
                weight += 1;
                Vec::new()
            }
            Touched::User { .. } => {
                weight += 1;
                Vec::new()
            }
            Touched::Members { members, .. } => {
                weight += members.len();
                members.iter().take(limit).copied().collect()
            }
            Touched::Group { group, .. } => vec![*group],
        };
        // One edge may lead to a group of any size.
        while let Some(slot) = open.pop() {
            if weight >= limit || seen.len() >= limit {
                return limit;
            }
            let held = held.filter(|_| seen.insert(slot));
            if let Some(group) = held.and_then(|held| held.group_at(slot)) {
                weight += group.members.len();
                open.extend(held.into_iter().flat_map(|held| held.nested(slot)));
            }
        }
    }
    weight.min(limit)
}

fn of_tenant<'a>(
    tenant: &'a str,
    changes: &'a [Arc<Change>],
) -> impl Iterator<Item = &'a Touched> + 'a {
    let logged = changes.iter().flat_map(|change| &change.touched);
    logged
        .filter(move |(of, _)| **of == *tenant)
        .map(|(_, touched)| touched)
}

/// Those groups with logged edges that lie below a deciding one, in the union of today's memberships and the logged ones.
fn below_those(
    tenant: &Tenant,
    edges: &SlotMap<Vec<Slot>>,
    decides: impl Fn(Slot) -> bool,
) -> Vec<Slot> {
    let mut logged_parents: SlotMap<Vec<Slot>> = SlotMap::default();
    for (group, members) in edges {
        // Only what lies above a group with an edge is asked for.
        for member in members
            .iter()
            .filter(|member| is_or_was_group(tenant, edges, **member))
        {
            logged_parents.entry(*member).or_default().push(*group);
        }
    }
    // Up from all of them at once, and from the deciding ones that are met, down again the same ways.
    let mut open: Vec<Slot> = edges.keys().copied().collect();
    let mut seen: SlotSet = open.iter().copied().collect();
    let mut ways_down: SlotMap<Vec<Slot>> = SlotMap::default();
    let mut deciding = Vec::new();
    while let Some(slot) = open.pop() {
        if decides(slot) {
            deciding.push(slot);
        }
        let logged = logged_parents.get(&slot).into_iter().flatten();
        for parent in tenant.linked(slot).iter().chain(logged) {
            ways_down.entry(*parent).or_default().push(slot);
            if seen.insert(*parent) {
                open.push(*parent);
            }
        }
    }
    let mut below: SlotSet = deciding.iter().copied().collect();
    let mut open = deciding;
    while let Some(slot) = open.pop() {
        let ways = ways_down.get(&slot).into_iter().flatten();
        open.extend(ways.filter(|slot| below.insert(**slot)));
    }
    edges
        .keys()
        .copied()
        .filter(|group| below.contains(group))
        .collect()
}

/// Users have no members and never had: a group that is gone has logged edges.
fn is_or_was_group(tenant: &Tenant, edges: &SlotMap<Vec<Slot>>, slot: Slot) -> bool {
    edges.contains_key(&slot) || tenant.group_at(slot).is_some()
}

fn in_scope(resolved: &Resolved, term: &str) -> bool {
    let terms = resolved.scope().terms();
    terms
        .binary_search_by(|held| held.as_str().as_bytes().cmp(term.as_bytes()))
        .is_ok()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use scimesh_proto::digest::Key;
    use scimesh_proto::position::History;
    use serde_json::json;
    use uuid::Uuid;

    use super::*;
    use crate::directory::{Directory, Draft, Keys, MemberChange, Refused};

    /// A directory in which a group of a hundred is the only member of another one, and so on, five times.
    fn directory() -> (Directory, Uuid) {
        let history = History {
            generation: 1,
            id: [1; 16],
        };
        let key = || Key::new([2; 32]);
        let keys = Keys {
            content: key(),
            proof: key(),
        };
        let empty = Directory::new(history, 0, keys);
        let mut draft = Draft::new(&empty, Timestamp::UNIX_EPOCH);
        draft.create_tenant("corp").unwrap();
        let attributes = |name: String| {
            let attributes = json!({"userName": name, "displayName": name});
            attributes.as_object().unwrap().clone()
        };
        let mut members: Vec<Uuid> = (0..100).map(Uuid::from_u128).collect();
        for (number, id) in members.iter().enumerate() {
            let user = attributes(format!("u{number}"));
            draft.create_user("corp", *id, user).unwrap();
        }
        for number in 0..5 {
            let (group, id) = (attributes(format!("g{number}")), Uuid::new_v4());
            draft.create_group("corp", id, group, &members).unwrap();
            members = vec![id];
        }
        (draft.finish().directory, members[0])
    }

    #[test]
    fn an_edge_weighs_what_is_below_it_up_to_the_limit() {
        let (directory, top) = directory();
        let weigh = |tenant: &str, limit, command: &dyn Fn(&mut Draft) -> Result<(), Refused>| {
            let mut draft = Draft::new(&directory, Timestamp::UNIX_EPOCH);
            command(&mut draft).unwrap();
            let made = draft.finish();
            weight(&made.directory, tenant, &[made.change.unwrap()], limit)
        };
        let name = |name: &str| {
            let attributes = json!({"displayName": name});
            attributes.as_object().unwrap().clone()
        };
        let nest = |draft: &mut Draft| {
            let outer = draft
                .create_group("corp", Uuid::new_v4(), name("outer"), &[])?
                .id;
            draft
                .change_members("corp", outer, &[MemberChange::Add(vec![top])])
                .map(drop)
        };
        // The edge once as one and once as the new group's member; then four groups, each a member of the one above, and the users.
        assert_eq!(weigh("corp", 512, &nest), 2 + 4 + 100);
        assert_eq!(weigh("corp", 50, &nest), 50);
        assert_eq!(weigh("acme", 512, &nest), 0);
        let rename = |draft: &mut Draft| {
            draft
                .update_group("corp", top, name("other"), &[])
                .map(drop)
        };
        assert_eq!(weigh("corp", 512, &rename), 4 + 100);
        let user = |draft: &mut Draft| draft.delete_user("corp", Uuid::from_u128(7));
        // The user, and the one edge of theirs.
        assert_eq!(weigh("corp", 512, &user), 2);
    }
}
