//! A scope's whole content at a revision, as a filter holds it.

pub mod entries;
mod terms;

use std::hash::{BuildHasherDefault, Hasher};

use hashbrown::HashMap;

use crate::binding::Binding;
use crate::digest::{ContentDigest, Key, SubjectDigest};
use crate::position::Position;
use crate::scope::Scope;
use terms::TermSets;
pub use terms::{TermSet, TermState};

/// Passes a [`SubjectDigest`]'s own bits on.
#[derive(Debug, Clone, Copy, Default)]
pub struct DigestHasher(u64);

impl Hasher for DigestHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

/// A map keyed by subjects.
pub type SubjectMap<V> = HashMap<SubjectDigest, V, BuildHasherDefault<DigestHasher>>;

/// Who is known, what each holds, and how tokens name them: everything that a decision may ask of the directory.
///
/// Only [`Replica`](crate::replica::Replica) changes one, and only to what its digest was verified for.
#[derive(Debug)]
pub struct Snapshot {
    scope: Scope,
    position: Position,
    key: Key,
    bindings: Vec<Binding>,
    terms: Vec<TermState>,
    entries: SubjectMap<u32>,
    sets: TermSets,
    digest: ContentDigest,
}

/// A subject was given twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Duplicate;

/// A verified change, ready to be applied without fail.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) position: Position,
    pub(crate) bindings: Option<Vec<Binding>>,
    pub(crate) terms: Option<Vec<TermState>>,
    /// Each subject's new terms, or none if it is gone.
    pub(crate) entries: SubjectMap<Option<TermSet>>,
}

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
            entries: SubjectMap::default(),
            sets: TermSets::default(),
            scope,
            position,
            key,
            bindings,
            terms,
        };
        snapshot.digest = snapshot.head_digest(&snapshot.bindings, &snapshot.terms);
        snapshot
    }

    /// Adds an entry while the content is being built.
    pub fn insert(&mut self, subject: SubjectDigest, terms: TermSet) -> Result<(), Duplicate> {
        if self.entries.contains_key(&subject) {
            return Err(Duplicate);
        }
        self.digest += self.key.entry(&subject, &terms);
        let id = self.sets.acquire(terms);
        self.entries.insert(subject, id);
        Ok(())
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
        self.entries.get(subject).and_then(|id| self.sets.get(*id))
    }

    /// How many entries it has.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes of memory that the entries and their term sets take, with what is allocated and not used yet. The scope and the
    /// bindings, a few kilobytes however many users there are, do not count.
    pub fn bytes(&self) -> usize {
        self.entries.allocation_size() + self.sets.bytes()
    }

    /// Every entry, in no order.
    pub fn entries(&self) -> impl Iterator<Item = (SubjectDigest, &TermSet)> {
        self.entries
            .iter()
            .filter_map(|(subject, id)| Some((*subject, self.sets.get(*id)?)))
    }

    /// The digest that the content would have after `change`.
    pub(crate) fn digest_after(&self, change: &Change) -> ContentDigest {
        let mut digest = self.digest;
        digest -= self.head_digest(&self.bindings, &self.terms);
        digest += self.head_digest(
            change.bindings.as_ref().unwrap_or(&self.bindings),
            change.terms.as_ref().unwrap_or(&self.terms),
        );
        for (subject, after) in &change.entries {
            if let Some(before) = self.terms_of(subject) {
                digest -= self.key.entry(subject, before);
            }
            if let Some(after) = after {
                digest += self.key.entry(subject, after);
            }
        }
        digest
    }

    /// Makes `change`, whose digest is `digest`, and can't fail.
    pub(crate) fn apply(&mut self, change: Change, digest: ContentDigest) {
        for (subject, after) in change.entries {
            let before = match after {
                Some(set) => {
                    let id = self.sets.acquire(set);
                    self.entries.insert(subject, id)
                }
                None => self.entries.remove(&subject),
            };
            if let Some(before) = before {
                self.sets.release(before);
            }
        }
        if let Some(bindings) = change.bindings {
            self.bindings = bindings;
        }
        if let Some(terms) = change.terms {
            self.terms = terms;
        }
        self.position = change.position;
        self.digest = digest;
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
