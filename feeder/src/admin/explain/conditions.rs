//! What a rule demands, with the groups by which it is held.

use std::collections::HashMap;
use std::sync::Arc;

use scimesh_engine::explain::{Demandable, Demanded, List, Standing};
use scimesh_proto::scope::{Term, TermKind};

use crate::admin::explanation::{Condition, GroupRow, Require, State};
use crate::directory::{Group, Slot, Tenant, User};

/// A rule's demand; of `user` and of `workload`, as far as they are known to anybody.
pub(super) fn require(
    tenant: &Tenant,
    demand: Demanded,
    user: Option<&User>,
    workload: Option<&User>,
) -> Require {
    let of = |part: Option<Vec<Demandable>>, who: Option<&User>| {
        let conditions = part?.into_iter();
        Some(conditions.map(|c| condition(tenant, c, who)).collect())
    };
    Require {
        user: of(demand.user, user),
        workload: of(demand.workload, workload),
        max_staleness_seconds: demand.max_staleness.as_secs_f64(),
        max_token_age_seconds: demand.max_token_age.map(|age| age.as_secs_f64()),
    }
}

fn condition(tenant: &Tenant, demandable: Demandable, who: Option<&User>) -> Condition {
    let Demandable {
        list,
        condition,
        standing,
    } = demandable;
    let term = Term::parse(&condition).ok();
    let groups = match &term {
        Some(term) => tenant.groups_of_term(term.as_str()),
        None => Vec::new(),
    };
    let state = match standing {
        // The filter is not told of active users without terms, and need not be: nobody is let in by this.
        Standing::NotHeld if term.is_none() && who.is_some_and(|user| user.identity.active) => {
            State::Held
        }
        Standing::Held => State::Held,
        Standing::NotHeld => State::NotHeld,
        Standing::Missing => State::Missing,
        Standing::Ambiguous => State::Ambiguous,
    };
    let via = match (state, who, groups.as_slice()) {
        (State::Held, Some(user), [group]) => chain(tenant, user.slot, group.slot),
        _ => Vec::new(),
    };
    let groups = match (state, &term) {
        (State::Missing, Some(term)) if term.kind() == TermKind::Group => {
            tenant.groups_displayed_as(term.value()).map(row).collect()
        }
        (State::Ambiguous, _) => groups.into_iter().map(row).collect(),
        _ => Vec::new(),
    };
    let (list, met) = match list {
        List::AnyOf => ("anyOf", state == State::Held),
        List::AllOf => ("allOf", state == State::Held),
        List::NoneOf => ("noneOf", state == State::NotHeld),
    };
    Condition {
        list: list.to_owned(),
        condition,
        state,
        met,
        via,
        groups,
    }
}

fn row(group: &Arc<Group>) -> GroupRow {
    GroupRow {
        id: group.id,
        display_name: group.display_name.to_string(),
    }
}

/// The shortest way from a member up to a group: the names of the groups on it, the group itself last. Empty if there is none.
fn chain(tenant: &Tenant, member: Slot, group: Slot) -> Vec<String> {
    // From each group that was met to the one below it.
    let mut below: HashMap<Slot, Option<Slot>> = HashMap::new();
    let mut row: Vec<Slot> = Vec::new();
    for direct in tenant.parents(member) {
        below.insert(direct, None);
        row.push(direct);
    }
    while !below.contains_key(&group) && !row.is_empty() {
        let mut next = Vec::new();
        for slot in row {
            for parent in tenant.parents(slot) {
                below.entry(parent).or_insert_with(|| {
                    next.push(parent);
                    Some(slot)
                });
            }
        }
        row = next;
    }
    let mut names = Vec::new();
    let mut at = below.contains_key(&group).then_some(group);
    while let Some(slot) = at {
        let held = tenant.group_at(slot);
        names.extend(held.map(|group| group.display_name.to_string()));
        at = below.get(&slot).copied().flatten();
    }
    names.reverse();
    names
}
