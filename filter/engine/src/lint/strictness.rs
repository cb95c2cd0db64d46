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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use scimesh_proto::digest::Key;
    use scimesh_proto::position::{History, Position, Proof};
    use scimesh_proto::snapshot::{Snapshot, TermSet, TermState};
    use serde_json::{Value, json};
    #[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;
    use crate::policy::Policy;

    fn policy(one: &Value, other: &Value) -> Option<Policy> {
        let rule = |name: &str, effect: &Value| {
            let mut rule = effect.clone();
            rule["name"] = json!(name);
            rule["to"] = json!([{ "methods": ["*"] }]);
            rule
        };
        let document = json!({ "tenant": "corp", "feed": { "cluster": "c" }, "rules": [rule("one", one), rule("other", other)] });
        Policy::parse(document.to_string().as_bytes()).ok()
    }

    fn strict(one: Value, other: Value) -> bool {
        let policy = policy(&one, &other).unwrap();
        at_least_as_strict(policy.rules().first(), policy.rules().get(1))
    }

    fn requiring(require: Value) -> Value {
        json!({ "require": require })
    }

    #[test]
    fn what_is_stricter_is_known_to_be() {
        let (public, nobody) = (json!({ "allow": "PUBLIC" }), json!({ "allow": "NOBODY" }));
        let active = requiring(json!({ "anyOf": ["active"] }));
        let a = requiring(json!({ "anyOf": ["group:a"] }));
        let a_or_b = requiring(json!({ "anyOf": ["group:a", "group:b"] }));
        let a_and_b = requiring(json!({ "allOf": ["group:a", "group:b"] }));
        let a_not_b = requiring(json!({ "anyOf": ["group:a"], "noneOf": ["group:b"] }));
        let not_b = requiring(json!({ "noneOf": ["group:b"] }));
        let work = requiring(json!({ "workload": { "anyOf": ["group:a"] } }));
        let both = requiring(json!({ "anyOf": ["group:a"], "workload": { "anyOf": ["group:a"] } }));
        let with = |rule: &Value, field: &str, span: &str| {
            let mut rule = rule.clone();
            rule[field] = json!(span);
            rule
        };
        let quick = with(&a, "maxStaleness", "1m");
        let young = with(&a, "maxTokenAge", "5m");
        let younger = with(&a, "maxTokenAge", "1m");
        for (one, other) in [
            (&nobody, &a),
            (&a, &public),
            (&a, &active),
            (&a, &a_or_b),
            (&a_and_b, &a),
            (&a_and_b, &a_or_b),
            (&a_not_b, &a),
            (&a_not_b, &not_b),
            (&both, &work),
            (&both, &a),
            (&quick, &a),
            (&young, &a),
            (&younger, &young),
        ] {
            assert!(strict(one.clone(), other.clone()), "{one} {other}");
            assert!(strict(one.clone(), one.clone()), "{one}");
            assert!(!strict(other.clone(), one.clone()), "{other} {one}");
        }
        assert!(!strict(work.clone(), a.clone()) && !strict(a.clone(), work));
        let policy = policy(&a, &nobody).unwrap();
        let rules = policy.rules();
        assert!(at_least_as_strict(None, rules.first()));
        assert!(at_least_as_strict(rules.get(1), None) && !at_least_as_strict(rules.first(), None));
    }

    fn some_requirement() -> impl Strategy<Value = Value> {
        let terms = |least: usize| {
            prop::sample::subsequence(vec!["group:a", "group:b", "role:c", "active"], least..=2)
        };
        (terms(0), terms(0), prop::sample::subsequence(vec!["group:a", "group:b", "role:c"], 0..=2)).prop_map(
            |(any, all, none)| {
                let lists = [("anyOf", any), ("allOf", all), ("noneOf", none)];
                let given = lists.into_iter().filter(|(_, list)| !list.is_empty());
                json!({ "require": given.map(|(name, list)| (name.to_owned(), json!(list))).collect::<serde_json::Map<_, _>>() })
            },
        )
    }

    proptest! {
        /// Whoever holds what, and whatever can't be resolved: the stricter one admits nobody whom the other refuses.
        #[test]
        fn the_stricter_one_admits_nobody_whom_the_other_refuses(one in some_requirement(), other in some_requirement()) {
            let Some(policy) = policy(&one, &other) else { return Ok(()) };
            let [first, second] = policy.rules() else { unreachable!() };
            prop_assume!(at_least_as_strict(Some(first), Some(second)));
            let count = policy.scope().terms().len();
            for missing in 0..1usize << count {
                let states = (0..count).map(|place| if missing >> place & 1 == 1 { TermState::Missing } else { TermState::Found });
                let position = Position { history: History { generation: 1, id: [0; 16] }, revision: 1, proof: Proof([0; 16]) };
                let snapshot = Snapshot::new(policy.scope().clone(), position, Key::new([0; 32]), Vec::new(), states.collect());
                for held in 0..1usize << count {
                    let held = TermSet::from_indices((0..count).filter(|place| held >> place & 1 == 1));
                    let admits = |rule: &Rule| rule.demand().unwrap().requirements.user.as_ref().unwrap().admits(&snapshot, &held);
                    prop_assert!(!admits(first) || admits(second), "{one} {other}");
                }
            }
        }
    }
}
