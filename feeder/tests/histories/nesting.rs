//! How deep a tenant's groups nest.

use super::attributes::Kind;
use super::service::Tenant;

/// The length of the longest chain. Groups in a circle are one link of it, as long as the circle has groups.
pub(crate) fn depth(tenant: &Tenant) -> usize {
    let groups: Vec<_> = tenant.of(Kind::Group).collect();
    let count = groups.len();
    let mut reaches = vec![vec![false; count]; count];
    for (from, group) in groups.iter().enumerate() {
        for (to, other) in groups.iter().enumerate() {
            reaches[from][to] = group.document.members.contains(&other.id);
        }
    }
    for via in 0..count {
        for from in 0..count {
            for to in 0..count {
                reaches[from][to] |= reaches[from][via] && reaches[via][to];
            }
        }
    }
    let circle = |of: usize| -> Vec<usize> {
        let with = |other: &usize| *other == of || reaches[of][*other] && reaches[*other][of];
        (0..count).filter(with).collect()
    };
    let mut known = vec![0; count];
    // Whoever reaches fewer comes first: what a group reaches outside of its circle reaches less than it does.
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by_key(|of| reaches[*of].iter().filter(|reached| **reached).count());
    for of in order {
        let ring = circle(of);
        let beyond = (0..count).filter(|to| reaches[of][*to] && !ring.contains(to));
        known[of] = ring.len() + beyond.map(|to| known[to]).max().unwrap_or(0);
    }
    known.into_iter().max().unwrap_or(0)
}
