//! A change to a snapshot, taken in part by part beside it, and in front of it all at once.
//!
//! What it needs of the snapshot until then is only the term sets, which are kept once for both. A change that is not
//! made must be [dropped](Snapshot::forget) for that.

use super::parts::{Part, PartReader};
use super::table::Table;
use super::{GONE, Snapshot};
use crate::binding::Binding;
use crate::digest::ContentDigest;
use crate::position::Position;
use crate::snapshot::{TermState, Touched};
use crate::wire::{Malformed, PART_SUBJECTS, v1};

/// What is known of a change so far.
#[derive(Debug)]
pub(crate) struct Delta {
    position: Position,
    bindings: Option<Vec<Binding>>,
    terms: Option<Vec<TermState>>,
    reader: PartReader,
    newer: Table,
    /// Of the content with it.
    len: usize,
    digest: ContentDigest,
}

impl Delta {
    pub(crate) fn position(&self) -> &Position {
        &self.position
    }

    /// How many subjects have come.
    pub(crate) fn subjects(&self) -> u64 {
        self.reader.subjects()
    }

    /// The digest that the content would have.
    pub(crate) fn digest(&self) -> ContentDigest {
        self.digest
    }

    /// Bytes of memory that it takes beside the snapshot's.
    pub(crate) fn bytes(&self) -> usize {
        self.newer.bytes()
    }

    fn is_small(&self) -> bool {
        self.newer.len() <= PART_SUBJECTS
    }
}

impl Snapshot {
    /// Begins a change, of which nothing counts yet.
    pub(crate) fn change(
        &self,
        position: Position,
        bindings: Option<Vec<Binding>>,
        terms: Option<Vec<TermState>>,
    ) -> Delta {
        let mut digest = self.digest;
        digest -= self.head_digest(&self.bindings, &self.terms);
        digest += self.head_digest(
            bindings.as_deref().unwrap_or(&self.bindings),
            terms.as_ref().unwrap_or(&self.terms),
        );
        Delta {
            position,
            bindings,
            terms,
            reader: PartReader::new(self.scope.terms().len()),
            newer: Table::default(),
            len: self.len,
            digest,
        }
    }

    /// Takes more of a change in. After an error it must be forgotten.
    pub(crate) fn change_part(
        &mut self,
        delta: &mut Delta,
        wire: &v1::Part,
    ) -> Result<(), Malformed> {
        let sets = &mut self.sets;
        let Part { changed, removed } = delta.reader.read(wire, |set| sets.acquire(set))?;
        let removed = removed.into_iter().map(|subject| (subject, GONE));
        for (subject, number) in changed.into_iter().chain(removed) {
            if let Some(before) = delta.newer.insert(subject, number) {
                delta.newer.insert(subject, before);
                return Err(Malformed::Invalid {
                    field: "part.removed",
                    why: "a subject that the update also changes",
                });
            }
            if let Some(before) = self.terms_of(&subject) {
                delta.digest -= self.key.entry(&subject, before);
                delta.len -= 1;
            }
            if number != GONE {
                self.sets.retain(number);
                delta.len += 1;
            }
            if let Some(after) = self.sets.get(number) {
                delta.digest += self.key.entry(&subject, after);
            }
        }
        Ok(())
    }

    /// Makes a change that was verified: all of it counts from now on. Gives it back if it is large and an earlier large one is not
    /// [settled](Self::settle) yet.
    pub(crate) fn make(&mut self, delta: Delta) -> Option<Delta> {
        if !self.newer.is_empty() && !delta.is_small() {
            return Some(delta);
        }
        if self.newer.is_empty() {
            self.newer = delta.newer;
        } else {
            for (subject, number) in delta.newer.iter() {
                if let Some(before) = self.newer.insert(*subject, *number)
                    && before != GONE
                {
                    self.sets.release(before);
                }
            }
        }
        for number in delta.reader.table() {
            self.sets.release(*number);
        }
        if let Some(bindings) = delta.bindings {
            self.bindings = bindings.into();
        }
        if let Some(terms) = delta.terms {
            self.terms = terms;
        }
        self.position = delta.position;
        self.len = delta.len;
        self.digest = delta.digest;
        None
    }

    /// Whose standing a change would touch. A term's state, and how tokens name somebody, are about everybody.
    pub(crate) fn touched_by(&self, delta: &Delta) -> Touched {
        let bindings = delta.bindings.as_deref();
        let same = bindings.is_none_or(|bindings| *bindings == *self.bindings)
            && delta
                .terms
                .as_ref()
                .is_none_or(|terms| *terms == self.terms);
        if !same || delta.newer.len() > Touched::MAX {
            return Touched::All;
        }
        Touched::Subjects(delta.newer.iter().map(|(subject, _)| *subject).collect())
    }

    /// Lets go of a change that is not made.
    pub(crate) fn forget(&mut self, delta: Delta) {
        let held = delta.newer.iter().map(|(_, number)| *number);
        for number in held.filter(|number| *number != GONE) {
            self.sets.release(number);
        }
        for number in delta.reader.table() {
            self.sets.release(*number);
        }
    }
}
