//! What a revision touched: enough to find, later, every name whose entry may differ from then.

use std::sync::Arc;

use imbl::Vector;
use scimesh_proto::binding::Attribute;
use serde::{Deserialize, Serialize};

use super::user::Slot;

/// One revision's change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The revision that it made.
    pub revision: u64,
    /// What it touched, and in which tenant, in no order.
    pub touched: Vec<(Arc<str>, Touched)>,
}

/// A value of an attribute that bindings can refer to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "(String, Arc<str>)", try_from = "(String, Arc<str>)")]
pub struct Name {
    /// Which attribute.
    pub attribute: Attribute,
    /// Its value, to the letter.
    pub value: Arc<str>,
}

impl From<Name> for (String, Arc<str>) {
    fn from(name: Name) -> Self {
        (name.attribute.as_str().to_owned(), name.value)
    }
}

impl TryFrom<(String, Arc<str>)> for Name {
    type Error = String;

    fn try_from((attribute, value): (String, Arc<str>)) -> Result<Self, String> {
        match Attribute::parse(&attribute) {
            Some(attribute) => Ok(Name { attribute, value }),
            None => Err(format!("no such attribute: {attribute}")),
        }
    }
}

/// A part of the directory that a change touched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Touched {
    /// A user came, went, or changed what it is or holds; or the hold of a name that it has ended.
    User {
        /// Every name before and after; or the one that was held.
        names: Vec<Name>,
    },
    /// Direct memberships came or went.
    Members {
        /// Of this group.
        group: Slot,
        /// Users and groups.
        members: Vec<Slot>,
    },
    /// A group came, went, or changed what terms resolve to it.
    Group {
        /// Its number.
        group: Slot,
        /// The text of every term before and after: `group:NAME`.
        terms: Vec<Arc<str>>,
    },
    /// Where a binding's tokens list groups. Whom it names is the same.
    GroupsClaim,
    /// Bindings came or went, or the tenant itself: all of its content may differ.
    Everything,
}

impl Touched {
    /// Roughly how much memory and disk it takes, in members and names.
    fn weight(&self) -> usize {
        match self {
            Touched::User { names } => names.len(),
            Touched::Members { members, .. } => members.len(),
            Touched::Group { terms, .. } => terms.len(),
            Touched::GroupsClaim | Touched::Everything => 1,
        }
    }
}

/// Changes kept at most, and their weight at most: some 60 MB.
const MAX_CHANGES: usize = 100_000;
const MAX_WEIGHT: usize = 2_000_000;

/// The latest changes, oldest first, without a gap up to the directory's revision.
#[derive(Debug, Clone, Default)]
pub struct ChangeLog {
    changes: Vector<Arc<Change>>,
    weight: usize,
}

impl ChangeLog {
    pub(crate) fn push(&mut self, change: Arc<Change>) {
        self.weight += weight(&change);
        self.changes.push_back(change);
        while self.changes.len() > MAX_CHANGES || self.weight > MAX_WEIGHT {
            match self.changes.pop_front() {
                Some(oldest) => self.weight -= weight(&oldest),
                None => break,
            }
        }
    }

    /// The oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Change>> {
        self.changes.iter()
    }

    /// The revision of the oldest change that is kept.
    pub(crate) fn oldest(&self) -> Option<u64> {
        self.changes.front().map(|change| change.revision)
    }

    /// The changes after `revision`, oldest first, or none if some of them are no longer kept. `newest` is the
    /// directory's own revision.
    pub(crate) fn since(&self, revision: u64, newest: u64) -> Option<Vec<Arc<Change>>> {
        let missing = newest.checked_sub(revision)?;
        let missing = usize::try_from(missing).ok()?;
        let start = self.changes.len().checked_sub(missing)?;
        Some(self.changes.iter().skip(start).cloned().collect())
    }
}

fn weight(change: &Change) -> usize {
    let touched = change.touched.iter();
    1 + touched.map(|(_, touched)| touched.weight()).sum::<usize>()
}
