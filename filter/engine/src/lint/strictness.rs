//! Whether one rule lets nobody in whom another would refuse.

use crate::policy::strict::NonEmpty;
use crate::policy::{Condition, Effect, Requirement, Rule};

/// Whether everybody whom `rule` lets in would be let in by `other`; no rule lets nobody in. What it can't tell is a no.
pub(super) fn at_least_as_strict(rule: Option<&Rule>, other: Option<&Rule>) -> bool {
    let Some(rule) = rule else {
        return true;
    };
    let Some(other) = other else {
        return matches!(rule.effect, Effect::Nobody);
    };
    match (&rule.effect, &other.effect) {
        (_, Effect::Public) | (Effect::Nobody, _) => true,
        (Effect::Public, _) | (_, Effect::Nobody) => false,
        (Effect::Require(demand), Effect::Require(than)) => {
            let age = match (demand.max_token_age, than.max_token_age) {
                (_, None) => true,
                (None, Some(_)) => false,
                (Some(age), Some(than)) => age <= than,
            };
            let (parts, than_parts) = (&demand.requirements, &than.requirements);
            age && demand.max_staleness <= than.max_staleness
                && part_implies(parts.user.as_ref(), than_parts.user.as_ref())
                && part_implies(parts.workload.as_ref(), than_parts.workload.as_ref())
        }
    }
}

fn part_implies(part: Option<&Requirement>, than: Option<&Requirement>) -> bool {
    match (part, than) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(part), Some(than)) => implies(part, than),
    }
}

/// Whether whoever satisfies `part` satisfies `than`.
fn implies(part: &Requirement, than: &Requirement) -> bool {
    let held: Vec<&Condition> = each(&part.all_of).chain(only(&part.any_of)).collect();
    let holds =
        |condition: &Condition| *condition == Condition::Active || held.contains(&condition);
    let lacks = |condition: &Condition| each(&part.none_of).any(|none| none == condition);
    let wanted: Vec<&Condition> = each(&than.any_of).collect();
    let any = than.any_of.is_none()
        || wanted.iter().any(|condition| holds(condition))
        || part.any_of.is_some() && each(&part.any_of).all(|one| wanted.contains(&one));
    any && each(&than.all_of).all(holds) && each(&than.none_of).all(lacks)
}

fn each(list: &Option<NonEmpty<Condition>>) -> impl Iterator<Item = &Condition> {
    list.iter().flat_map(NonEmpty::iter)
}

/// The condition of a list that has just one.
fn only(list: &Option<NonEmpty<Condition>>) -> Option<&Condition> {
    let mut conditions = each(list);
    conditions.next().filter(|_| conditions.next().is_none())
}
