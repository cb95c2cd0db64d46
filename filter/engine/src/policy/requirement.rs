//! What a rule demands of a known, active user.

use scimesh_proto::scope::{InvalidTerm, Term};
use scimesh_proto::snapshot::{Snapshot, TermSet, TermState};
use serde::Deserialize;

use super::document;
use super::strict::NonEmpty;

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

/// `require`. Terms are looked up by name in the snapshot at hand, so no place of a bit can be mistaken for another's.
#[derive(Debug)]
pub(crate) struct Requirement {
    any_of: Option<NonEmpty<Condition>>,
    all_of: Option<NonEmpty<Condition>>,
    none_of: Option<NonEmpty<Condition>>,
}

impl Requirement {
    /// The error is the field and what is wrong with it.
    pub(super) fn compile(
        document: document::Require,
    ) -> Result<Requirement, (&'static str, &'static str)> {
        let document::Require {
            any_of,
            all_of,
            none_of,
        } = document;
        if any_of.is_none() && all_of.is_none() && none_of.is_none() {
            return Err((
                "require",
                "needs anyOf, allOf or noneOf; anyOf: [\"active\"] is any active user",
            ));
        }
        let excludes_all = |list: &NonEmpty<_>| list.iter().any(|c| *c == Condition::Active);
        if none_of.as_ref().is_some_and(excludes_all) {
            return Err((
                "require.noneOf",
                "\"active\" would refuse everybody; write allow: NOBODY",
            ));
        }
        Ok(Requirement {
            any_of,
            all_of,
            none_of,
        })
    }

    /// Every term in it.
    pub(super) fn terms(&self) -> impl Iterator<Item = &Term> {
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
    pub(super) fn admits_without_terms(&self) -> bool {
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
        let found = |term: &Term| {
            snapshot
                .scope()
                .index_of(term)
                .filter(|place| snapshot.term_state(*place) == TermState::Found)
        };
        let has = |condition: &Condition| match condition {
            Condition::Active => true,
            Condition::Term(term) => found(term).is_some_and(|place| held.contains(place)),
        };
        let lacks = |condition: &Condition| match condition {
            Condition::Active => false,
            Condition::Term(term) => found(term).is_some_and(|place| !held.contains(place)),
        };
        let any = self.any_of.as_ref().is_none_or(|list| list.iter().any(has));
        let all = self.all_of.as_ref().is_none_or(|list| list.iter().all(has));
        let none = self
            .none_of
            .as_ref()
            .is_none_or(|list| list.iter().all(lacks));
        any && all && none
    }
}
