//! Whose tokens say something else than the directory about which groups.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use scimesh_proto::digest::SubjectDigest;
use scimesh_proto::scope::Scope;

use super::report::Drift;
use super::{Room, is_kept};

/// Subjects in order, not by hashes: peers choose them.
#[derive(Debug, Default)]
pub(super) struct Drifts {
    subjects: BTreeMap<SubjectDigest, Vec<Difference>>,
    /// The text of every term that is told of, once.
    terms: HashSet<Arc<str>>,
}

/// A term of which a subject's token says something else.
#[derive(Debug)]
struct Difference {
    term: Arc<str>,
    side: Side,
    at: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Gone,
    Gained,
}

/// A subject, and when it was seen last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Seen {
    pub(crate) at: Instant,
    pub(crate) subject: SubjectDigest,
}

/// Both kinds of a term.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Sides {
    /// Those whose tokens claim it, though they don't hold it.
    pub(crate) gone: Vec<Seen>,
    /// Those who hold it, though their tokens don't claim it.
    pub(crate) gained: Vec<Seen>,
}

impl Drifts {
    /// What one comparison says of a subject: all that is known of it and of the scope's terms, from then on. Returns how many of its terms
    /// found no room.
    pub(super) fn take(
        &mut self,
        scope: &Scope,
        drift: &Drift,
        now: Instant,
        room: &mut Room,
    ) -> u64 {
        let mut differences = self.subjects.remove(&drift.subject).unwrap_or_default();
        let before = differences.len();
        // What other scopes ask of the subject, this one knows nothing of.
        differences.retain(|difference| !in_scope(scope, &difference.term));
        room.give(before - differences.len());
        let gone = drift.gone.iter().map(|place| (place, Side::Gone));
        let gained = drift.gained.iter().map(|place| (place, Side::Gained));
        let mut left_out = 0;
        for (place, side) in gone.chain(gained) {
            let Some(term) = scope.terms().get(*place) else {
                continue;
            };
            if !room.take() {
                left_out += 1;
                continue;
            }
            differences.push(Difference {
                term: self.text_of(term.as_str()),
                side,
                at: now,
            });
        }
        if !differences.is_empty() {
            self.subjects.insert(drift.subject, differences);
        }
        left_out
    }

    /// Drops what is too old.
    pub(super) fn forget(&mut self, now: Instant, room: &mut Room) {
        self.subjects.retain(|_, differences| {
            let before = differences.len();
            differences.retain(|difference| is_kept(difference.at, now));
            room.give(before - differences.len());
            !differences.is_empty()
        });
        self.terms.retain(|term| Arc::strong_count(term) > 1);
    }

    pub(super) fn by_term(&self, now: Instant) -> BTreeMap<Arc<str>, Sides> {
        let mut terms: BTreeMap<Arc<str>, Sides> = BTreeMap::new();
        for (subject, differences) in &self.subjects {
            for Difference { term, side, at } in differences {
                if !is_kept(*at, now) {
                    continue;
                }
                let sides = terms.entry(term.clone()).or_default();
                let seen = Seen {
                    at: *at,
                    subject: *subject,
                };
                match side {
                    Side::Gone => sides.gone.push(seen),
                    Side::Gained => sides.gained.push(seen),
                }
            }
        }
        terms
    }

    /// How many claim at least one term that is gone, and how many have gained one.
    pub(super) fn subjects(&self, now: Instant) -> (usize, usize) {
        let count = |side| {
            let differs = |differences: &&Vec<Difference>| {
                let mut differences = differences.iter();
                differences.any(|one| one.side == side && is_kept(one.at, now))
            };
            self.subjects.values().filter(differs).count()
        };
        (count(Side::Gone), count(Side::Gained))
    }

    #[cfg(test)]
    pub(super) fn entries(&self) -> usize {
        self.subjects.values().map(Vec::len).sum()
    }

    fn text_of(&mut self, term: &str) -> Arc<str> {
        if let Some(text) = self.terms.get(term) {
            return text.clone();
        }
        let text: Arc<str> = term.into();
        self.terms.insert(text.clone());
        text
    }
}

fn in_scope(scope: &Scope, term: &str) -> bool {
    let terms = scope.terms();
    terms
        .binary_search_by(|held| held.as_str().as_bytes().cmp(term.as_bytes()))
        .is_ok()
}
