//! A scope's whole content at a revision, as a filter holds it.

pub(crate) mod delta;
pub mod parts;
mod table;
mod terms;
mod touched;

use std::sync::Arc;

use crate::binding::Binding;
use crate::digest::{ContentDigest, Key, SubjectDigest};
use crate::position::Position;
use crate::scope::Scope;
use crate::wire::{Malformed, v1};
use parts::PartReader;
use table::Table;
use terms::TermSets;
pub use terms::{TermSet, TermState};
pub use touched::Touched;

/// In place of a number in the newer table: whoever is gone.
const GONE: u32 = u32::MAX;

/// Who is known, what each holds, and how tokens name them: everything that a decision may ask of the directory.
///
/// Only [`Replica`](crate::replica::Replica) changes one, and only to what its digest was verified for.
#[derive(Debug)]
pub struct Snapshot {
    scope: Scope,
    position: Position,
    key: Key,
    /// Shared with what was let in by them.
    bindings: Arc<[Binding]>,
    terms: Vec<TermState>,
    /// By subject, the number of its term set.
    table: Table,
    /// What has changed since, in front of `table` until it is [settled](Self::settle): a large change counts at once, and is
    /// worked in little by little.
    newer: Table,
    len: usize,
    sets: TermSets,
    digest: ContentDigest,
}

/// A subject was given twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Duplicate;

impl Snapshot {
    /// A content without entries. `terms` has one state for each of the scope's terms, in their order.
    pub fn new(
        scope: Scope,
        position: Position,
        key: Key,
        bindings: Vec<Binding>,
        terms: Vec<TermState>,
    ) -> Snapshot {
        let mut snapshot = Snapshot {
            digest: ContentDigest::default(),
            table: Table::default(),
            newer: Table::default(),
            len: 0,
            sets: TermSets::default(),
            scope,
            position,
            key,
            bindings: bindings.into(),
            terms,
        };
        snapshot.digest = snapshot.head_digest(&snapshot.bindings, &snapshot.terms);
        snapshot
    }

    /// Adds an entry while the content is being built.
    pub fn insert(&mut self, subject: SubjectDigest, terms: TermSet) -> Result<(), Duplicate> {
        let number = self.sets.acquire(terms);
        self.add(subject, number)
    }

    /// The same with a set that is kept already, counted once more for this entry.
    fn add(&mut self, subject: SubjectDigest, number: u32) -> Result<(), Duplicate> {
        if let Some(before) = self.table.insert(subject, number) {
            self.table.insert(subject, before);
            self.sets.release(number);
            return Err(Duplicate);
        }
        if let Some(terms) = self.sets.get(number) {
            self.digest += self.key.entry(&subject, terms);
        }
        self.len += 1;
        Ok(())
    }

    /// Adds a part of what it is built from.
    pub(crate) fn take(
        &mut self,
        reader: &mut PartReader,
        wire: &v1::Part,
    ) -> Result<(), Malformed> {
        let sets = &mut self.sets;
        // Kept once more for the table of the update, so that none is forgotten before its entry.
        let part = reader.read(wire, |set| sets.acquire(set))?;
        for (subject, number) in part.changed {
            self.sets.retain(number);
            self.add(subject, number)
                .map_err(|Duplicate| Malformed::Invalid {
                    field: "part.changed",
                    why: "a subject twice",
                })?;
        }
        Ok(())
    }

    /// All of it has been taken.
    pub(crate) fn finish(&mut self, reader: &PartReader) {
        for number in reader.table() {
            self.sets.release(*number);
        }
    }

    /// What it is the content of.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Where in which history.
    pub fn position(&self) -> &Position {
        &self.position
    }

    /// Digest of all of the content.
    pub fn digest(&self) -> ContentDigest {
        self.digest
    }

    /// The tenant's bindings, at most one for an issuer and one for a trust domain.
    pub fn bindings(&self) -> &[Binding] {
        &self.bindings
    }

    /// The same, to be kept: another list, even one that says the same, is at another address.
    pub fn shared_bindings(&self) -> &Arc<[Binding]> {
        &self.bindings
    }

    /// The binding for tokens of this issuer.
    pub fn binding_of_issuer(&self, issuer: &[u8]) -> Option<&Binding> {
        let mut bindings = self.bindings.iter();
        bindings.find(|binding| binding.issuer().map(str::as_bytes) == Some(issuer))
    }

    /// The binding for workloads of this trust domain.
    pub fn binding_of_trust_domain(&self, name: &str) -> Option<&Binding> {
        let mut bindings = self.bindings.iter();
        bindings.find(|binding| binding.trust_domain() == Some(name))
    }

    /// What the term at this place of the scope resolves to; a place beyond the scope is missing.
    pub fn term_state(&self, index: usize) -> TermState {
        self.terms.get(index).copied().unwrap_or(TermState::Missing)
    }

    /// Who is meant by this name under one of the [`bindings`](Self::bindings).
    pub fn subject(&self, binding: &Binding, name: &[u8]) -> SubjectDigest {
        self.key.subject(self.scope.tenant(), binding, name)
    }

    /// The terms of a known, active user. None: nobody is known by that name, or (unless
    /// [`Scope::any_active`]) they hold none of the scope's terms.
    pub fn terms_of(&self, subject: &SubjectDigest) -> Option<&TermSet> {
        let number = match self.newer.get(subject) {
            Some(GONE) => return None,
            Some(number) => number,
            None => self.table.get(subject)?,
        };
        self.sets.get(number)
    }

    /// How many entries it has.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes of memory that the entries and their term sets take, with what is allocated and not used yet. The scope and the
    /// bindings, a few kilobytes however many users there are, do not count.
    pub fn bytes(&self) -> usize {
        self.table.bytes() + self.newer.bytes() + self.sets.bytes()
    }

    /// How many different sets of terms the entries have.
    pub fn distinct_sets(&self) -> usize {
        self.sets.len()
    }

    /// Every entry, in no order.
    pub fn entries(&self) -> impl Iterator<Item = (SubjectDigest, &TermSet)> {
        let older = self.table.iter();
        let older = older.filter(|(subject, _)| self.newer.get(subject).is_none());
        let newer = self.newer.iter().filter(|(_, number)| *number != GONE);
        older
            .chain(newer)
            .filter_map(|(subject, number)| Some((*subject, self.sets.get(*number)?)))
    }

    /// Works some of what has changed in, a bounded number of entries. The content stays the same. Returns whether there is more.
    pub fn settle(&mut self) -> bool {
        for (subject, number) in self.newer.pop_page() {
            let before = match number {
                GONE => self.table.remove(&subject),
                number => self.table.insert(subject, number),
            };
            if let Some(before) = before {
                self.sets.release(before);
            }
        }
        !self.is_settled()
    }

    /// Whether [`settle`](Self::settle) has anything to do.
    pub(crate) fn is_settled(&self) -> bool {
        self.newer.is_empty()
    }

    fn head_digest(&self, bindings: &[Binding], terms: &[TermState]) -> ContentDigest {
        head_digest(&self.key, &self.scope, bindings, terms)
    }
}

/// Digest of a scope's bindings and term states: the part of the content's digest that is not entries.
pub fn head_digest(
    key: &Key,
    scope: &Scope,
    bindings: &[Binding],
    terms: &[TermState],
) -> ContentDigest {
    let mut digest = ContentDigest::default();
    for binding in bindings {
        digest += key.binding(binding);
    }
    for (term, state) in scope.terms().iter().zip(terms) {
        digest += key.term(term, *state);
    }
    digest
}
