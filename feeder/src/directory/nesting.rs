//! How deep groups nest.
//!
//! A chain is a row of groups, each a member of the one before. Groups that contain each other in a circle are one link
//! of the chain, as long as the circle has groups: a circle is harmless, but no way around the bound.

use std::cell::Cell;
use std::collections::{HashMap, HashSet};

use super::tenant::Tenant;
use super::user::Slot;

/// Groups in a chain at most, unless the [bounds](super::Bounds) say otherwise.
pub const MAX_DEPTH: usize = 16;

/// The length of the longest chain through `group` and one of `added`, which have just become its members.
///
/// Costs what the groups above it and below them cost; users are never looked at, nor the group's other members unless a circle has come about.
/// With it comes how many memberships had to be looked at.
pub(super) fn depth(tenant: &Tenant, group: Slot, added: &[Slot]) -> (usize, usize) {
    let looked_at = Cell::new(0);
    let depth = depth_of(
        group,
        added,
        |slot| count(&looked_at, tenant.linked(slot)),
        |slot| count(&looked_at, tenant.nested(slot)),
    );
    (depth, looked_at.get())
}

fn count<'a>(looked_at: &Cell<usize>, slots: &'a [Slot]) -> &'a [Slot] {
    looked_at.set(looked_at.get() + slots.len());
    slots
}

fn depth_of<'a>(
    group: Slot,
    added: &'a [Slot],
    parents: impl Fn(Slot) -> &'a [Slot],
    nested: impl Fn(Slot) -> &'a [Slot],
) -> usize {
    let (above, above_ring) = longest_chain(group, parents);
    let new = |slot| if slot == group { added } else { nested(slot) };
    let (below, ring) = longest_chain(group, new);
    if ring == 1 {
        // Whoever is in a circle with the group was so before, and is above it.
        return above + below - 1;
    }
    // An added one leads back to the group: all that leads away from the new circle leads away from the group now.
    let (below, _) = longest_chain(group, nested);
    above + below - above_ring
}

/// The length of the longest chain that starts at `start`, and how many groups are in a circle with it (itself at least).
fn longest_chain<'a>(start: Slot, next: impl Fn(Slot) -> &'a [Slot]) -> (usize, usize) {
    let finished = finishing_order(start, &next);
    let mut before: HashMap<Slot, Vec<Slot>> = HashMap::new();
    for slot in &finished {
        for follower in next(*slot) {
            before.entry(*follower).or_default().push(*slot);
        }
    }
    // Kosaraju: walked backwards in the reverse of the finishing order, each walk finds one circle, and circles come in
    // the order of the chain. So when one is found, all that lead to it are known.
    let mut circle_of: HashMap<Slot, usize> = HashMap::new();
    let mut lengths: Vec<usize> = Vec::new();
    let mut ring = 1;
    for root in finished.iter().rev() {
        if circle_of.contains_key(root) {
            continue;
        }
        let circle = lengths.len();
        let mut size = 0;
        let mut longest_before = 0;
        let mut open = vec![*root];
        circle_of.insert(*root, circle);
        while let Some(slot) = open.pop() {
            size += 1;
            for leader in before.get(&slot).into_iter().flatten() {
                match circle_of.get(leader) {
                    None => {
                        circle_of.insert(*leader, circle);
                        open.push(*leader);
                    }
                    Some(other) if *other != circle => {
                        let length = lengths.get(*other).copied().unwrap_or_default();
                        longest_before = longest_before.max(length);
                    }
                    Some(_) => {}
                }
            }
        }
        if circle == 0 {
            ring = size;
        }
        lengths.push(longest_before + size);
    }
    (lengths.into_iter().max().unwrap_or(1), ring)
}

/// Everything that can be reached from `start`, in the order in which a depth-first walk leaves it.
fn finishing_order<'a>(start: Slot, next: &impl Fn(Slot) -> &'a [Slot]) -> Vec<Slot> {
    let mut seen = HashSet::from([start]);
    let mut finished = Vec::new();
    let mut path = vec![(start, next(start).iter())];
    while let Some((slot, followers)) = path.last_mut() {
        match followers.next() {
            Some(follower) => {
                if seen.insert(*follower) {
                    path.push((*follower, next(*follower).iter()));
                }
            }
            None => {
                finished.push(*slot);
                path.pop();
            }
        }
    }
    finished
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn chain(edges: &[(u32, u32)], start: u32) -> (usize, usize) {
        let mut next: HashMap<Slot, Vec<Slot>> = HashMap::new();
        for (from, to) in edges {
            next.entry(Slot(*from)).or_default().push(Slot(*to));
        }
        longest_chain(Slot(start), |slot| next.get(&slot).map_or(&[], |v| v))
    }

    #[test]
    fn the_longest_of_several_chains_counts() {
        assert_eq!(chain(&[], 1), (1, 1));
        assert_eq!(chain(&[(1, 2), (2, 3), (1, 3), (3, 4)], 1), (4, 1));
        assert_eq!(chain(&[(1, 2), (1, 3), (3, 4), (4, 5), (2, 5)], 1), (4, 1));
    }

    #[test]
    fn a_circle_counts_as_long_as_it_is() {
        assert_eq!(chain(&[(1, 2), (2, 1)], 1), (2, 2));
        assert_eq!(chain(&[(1, 1)], 1), (1, 1));
        assert_eq!(chain(&[(1, 2), (2, 3), (3, 2), (3, 4)], 1), (4, 1));
    }

    proptest! {
        /// Added a few at a time, groups are as deep as the whole of them is.
        #[test]
        fn what_is_added_tells_when_the_whole_becomes_too_deep(
            additions in prop::collection::vec((0..9_u32, prop::collection::vec(0..9_u32, 1..3)), 1..30),
            limit in 2..6_usize,
        ) {
            let mut nested: HashMap<Slot, Vec<Slot>> = HashMap::new();
            let mut parents: HashMap<Slot, Vec<Slot>> = HashMap::new();
            for (group, members) in additions {
                let group = Slot(group);
                let (nested_before, parents_before) = (nested.clone(), parents.clone());
                let mut added = Vec::new();
                for member in members.into_iter().map(Slot) {
                    let of = nested.entry(group).or_default();
                    if !of.contains(&member) {
                        of.push(member);
                        parents.entry(member).or_default().push(group);
                        added.push(member);
                    }
                }
                let above = |slot| parents.get(&slot).map_or(&[][..], |v| v);
                let below = |slot| nested.get(&slot).map_or(&[][..], |v| v);
                let whole = (0..9).map(|slot| longest_chain(Slot(slot), below).0).max();
                let too_deep = depth_of(group, &added, above, below) > limit;
                prop_assert_eq!(too_deep, whole > Some(limit));
                if too_deep {
                    (nested, parents) = (nested_before, parents_before);
                }
            }
        }
    }
}
