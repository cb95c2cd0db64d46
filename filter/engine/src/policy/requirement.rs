//! What a rule demands of a known, active user, and of a known workload.

use std::fmt;

use scimesh_proto::scope::{InvalidTerm, Term};
use scimesh_proto::snapshot::{Snapshot, TermSet, TermState};
use serde::Deserialize;

use super::document;
use super::strict::{NonEmpty, Object};

/// One element of `anyOf`, `allOf` or `noneOf`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) enum Condition {
    /// `active`: every known user is.
    Active,
    Term(Term),
}

/// A text that is no condition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}': {why}, or active")]
pub(crate) struct InvalidCondition {
    text: String,
    why: InvalidTerm,
}

impl TryFrom<String> for Condition {
    type Error = InvalidCondition;

    fn try_from(text: String) -> Result<Self, InvalidCondition> {
        if text == "active" {
            return Ok(Condition::Active);
        }
        match Term::parse(&text) {
            Ok(term) => Ok(Condition::Term(term)),
            Err(why) => Err(InvalidCondition { text, why }),
        }
    }
}

/// How somebody stands to a condition. Only the first two can satisfy anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Meets it.
    Held,
    /// Does not, and that is certain.
    NotHeld,
    /// It names a group that does not exist.
    Missing,
    /// It names a group by what several have.
    Ambiguous,
}

/// Where a condition stands in `require`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum List {
    /// `anyOf`
    AnyOf,
    /// `allOf`
    AllOf,
    /// `noneOf`
    NoneOf,
}

/// What a user, or a workload, must hold. Terms are looked up by name in the snapshot at hand, so no place of a bit can be
/// mistaken for another's.
#[derive(Debug)]
pub(crate) struct Requirement {
    pub(crate) any_of: Option<NonEmpty<Condition>>,
    pub(crate) all_of: Option<NonEmpty<Condition>>,
    pub(crate) none_of: Option<NonEmpty<Condition>>,
}

/// `require`, in its two parts. There is at least one.
#[derive(Debug)]
pub(crate) struct Requirements {
    /// Of the token's user.
    pub(crate) user: Option<Requirement>,
    /// Of the mTLS peer.
    pub(crate) workload: Option<Requirement>,
}

/// A field, and what is wrong with it.
type Wrong = (&'static str, &'static str);

impl Requirements {
    pub(super) fn compile(document: document::Require) -> Result<Requirements, Wrong> {
        let document::Require {
            any_of,
            all_of,
            none_of,
            workload,
        } = document;
        let user = Requirement {
            any_of,
            all_of,
            none_of,
        };
        let user = (!user.is_empty()).then_some(user);
        let workload = workload.map(|Object(workload)| Requirement {
            any_of: workload.any_of,
            all_of: workload.all_of,
            none_of: workload.none_of,
        });
        if user.is_none() && workload.is_none() {
            return Err((
                "require",
                "needs anyOf, allOf, noneOf or workload; anyOf: [\"active\"] is any active user",
            ));
        }
        if workload.as_ref().is_some_and(Requirement::is_empty) {
            return Err((
                "require.workload",
                "needs anyOf, allOf or noneOf; anyOf: [\"active\"] is any known workload",
            ));
        }
        const FIELDS: [&str; 2] = ["require.noneOf", "require.workload.noneOf"];
        for (part, field) in [&user, &workload].into_iter().zip(FIELDS) {
            if part.as_ref().is_some_and(Requirement::excludes_all) {
                return Err((
                    field,
                    "\"active\" would refuse everybody; write allow: NOBODY",
                ));
            }
        }
        Ok(Requirements { user, workload })
    }

    /// One or both.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &Requirement> {
        self.user.iter().chain(&self.workload)
    }
}

impl Requirement {
    fn is_empty(&self) -> bool {
        self.any_of.is_none() && self.all_of.is_none() && self.none_of.is_none()
    }

    fn excludes_all(&self) -> bool {
        let mut none_of = self.none_of.iter().flat_map(NonEmpty::iter);
        none_of.any(|condition| *condition == Condition::Active)
    }

    /// Every term in it.
    pub(crate) fn terms(&self) -> impl Iterator<Item = &Term> {
        [&self.any_of, &self.all_of, &self.none_of]
            .into_iter()
            .flatten()
            .flat_map(NonEmpty::iter)
            .filter_map(|condition| match condition {
                Condition::Term(term) => Some(term),
                Condition::Active => None,
            })
    }

    /// Whether a user without any term may satisfy it, so that all active users must be known.
    pub(crate) fn admits_without_terms(&self) -> bool {
        let active = |condition: &Condition| *condition == Condition::Active;
        let any = self
            .any_of
            .as_ref()
            .is_none_or(|list| list.iter().any(active));
        let all = self
            .all_of
            .as_ref()
            .is_none_or(|list| list.iter().all(active));
        any && all
    }

    /// Whether a known, active user who holds `held` in `snapshot` satisfies it. A term that is not found helps nobody.
    pub(crate) fn admits(&self, snapshot: &Snapshot, held: &TermSet) -> bool {
        let is =
            |standing| move |condition: &Condition| condition.standing(snapshot, held) == standing;
        let (has, lacks) = (is(Standing::Held), is(Standing::NotHeld));
        let any = self.any_of.as_ref().is_none_or(|list| list.iter().any(has));
        let all = self.all_of.as_ref().is_none_or(|list| list.iter().all(has));
        let none = self
            .none_of
            .as_ref()
            .is_none_or(|list| list.iter().all(lacks));
        any && all && none
    }

    /// Every condition, with the list that it stands in.
    pub(crate) fn conditions(&self) -> impl Iterator<Item = (List, &Condition)> {
        let lists = [
            (List::AnyOf, &self.any_of),
            (List::AllOf, &self.all_of),
            (List::NoneOf, &self.none_of),
        ];
        lists.into_iter().flat_map(|(list, conditions)| {
            let conditions = conditions.iter().flat_map(NonEmpty::iter);
            conditions.map(move |condition| (list, condition))
        })
    }
}

impl Condition {
    /// How a known, active user who holds `held` in `snapshot` stands to it.
    pub(crate) fn standing(&self, snapshot: &Snapshot, held: &TermSet) -> Standing {
        let Condition::Term(term) = self else {
            return Standing::Held;
        };
        let Some(place) = snapshot.scope().index_of(term) else {
            return Standing::Missing;
        };
        match snapshot.term_state(place) {
            TermState::Missing => Standing::Missing,
            TermState::Ambiguous => Standing::Ambiguous,
            TermState::Found if held.contains(place) => Standing::Held,
            TermState::Found => Standing::NotHeld,
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Condition::Active => f.write_str("active"),
            Condition::Term(term) => term.fmt(f),
        }
    }
}
