//! The terms that a subject holds, and what a scope's terms resolve to.

use hashbrown::HashMap;

use crate::scope::MAX_TERMS;
use crate::wire::{Malformed, v1};

/// What a term of the scope resolves to in the directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum TermState {
    /// One group, or a value that needs no resolving.
    Found = 1,
    /// No such group.
    Missing = 2,
    /// More than one group of that name.
    Ambiguous = 3,
}

impl From<TermState> for v1::TermState {
    fn from(state: TermState) -> Self {
        match state {
            TermState::Found => v1::TermState::Found,
            TermState::Missing => v1::TermState::Missing,
            TermState::Ambiguous => v1::TermState::Ambiguous,
        }
    }
}

impl TermState {
    pub(crate) fn read(wire: i32) -> Result<TermState, Malformed> {
        match v1::TermState::try_from(wire) {
            Ok(v1::TermState::Found) => Ok(TermState::Found),
            Ok(v1::TermState::Missing) => Ok(TermState::Missing),
            Ok(v1::TermState::Ambiguous) => Ok(TermState::Ambiguous),
            _ => Err(Malformed::Invalid {
                field: "terms",
                why: "unknown state",
            }),
        }
    }
}

/// A set of places in [`Scope::terms`](crate::scope::Scope::terms), as bits: bit i of byte i/8, no zero byte at the end.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct TermSet(Box<[u8]>);

impl TermSet {
    /// The set of these places, in any order.
    pub fn from_indices(indices: impl IntoIterator<Item = usize>) -> TermSet {
        let mut bytes: Vec<u8> = Vec::new();
        for index in indices {
            let byte = index / 8;
            if bytes.len() <= byte {
                bytes.resize(byte + 1, 0);
            }
            if let Some(slot) = bytes.get_mut(byte) {
                *slot |= 1 << (index % 8);
            }
        }
        TermSet(bytes.into())
    }

    /// Whether the term at this place is in it.
    pub fn contains(&self, index: usize) -> bool {
        self.0
            .get(index / 8)
            .is_some_and(|byte| byte & (1 << (index % 8)) != 0)
    }

    /// Whether it has no term.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The places in it, in order.
    pub fn indices(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.0.len() * 8).filter(|index| self.contains(*index))
    }

    /// Its one form on the wire and under the digest.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Reads the wire's form of a set over `terms` terms.
    pub(crate) fn read(bytes: &[u8], terms: usize) -> Result<TermSet, Malformed> {
        const FIELD: &str = "entries.table";
        let Some(last) = bytes.last() else {
            return Ok(TermSet::default());
        };
        if *last == 0 {
            return Err(Malformed::Invalid {
                field: FIELD,
                why: "ends with a zero byte",
            });
        }
        let highest = (bytes.len() - 1) * 8 + last.ilog2() as usize;
        if highest >= terms || highest >= MAX_TERMS {
            return Err(Malformed::Invalid {
                field: FIELD,
                why: "names a term that the scope does not have",
            });
        }
        Ok(TermSet(bytes.into()))
    }
}

/// Interned term sets: the entries of a snapshot share a few of them.
#[derive(Debug, Default)]
pub(crate) struct TermSets {
    ids: HashMap<TermSet, u32>,
    sets: Vec<(TermSet, u32)>,
    free: Vec<u32>,
}

impl TermSets {
    /// The number of this set, which is counted as used once more.
    pub(crate) fn acquire(&mut self, set: TermSet) -> u32 {
        if let Some(&id) = self.ids.get(&set) {
            if let Some((_, uses)) = self.sets.get_mut(id as usize) {
                *uses += 1;
            }
            return id;
        }
        let id = match self.free.pop() {
            Some(id) => {
                if let Some(slot) = self.sets.get_mut(id as usize) {
                    *slot = (set.clone(), 1);
                }
                id
            }
            None => {
                self.sets.push((set.clone(), 1));
                (self.sets.len() - 1) as u32
            }
        };
        self.ids.insert(set, id);
        id
    }

    /// One use more of a set that is used.
    pub(crate) fn retain(&mut self, id: u32) {
        if let Some((_, uses)) = self.sets.get_mut(id as usize) {
            *uses += 1;
        }
    }

    /// One use less; an unused set is forgotten.
    pub(crate) fn release(&mut self, id: u32) {
        let Some((set, uses)) = self.sets.get_mut(id as usize) else {
            return;
        };
        *uses -= 1;
        if *uses == 0 {
            self.ids.remove(&std::mem::take(set));
            self.free.push(id);
        }
    }

    /// How many sets are used.
    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }

    /// Bytes of memory that are allocated for it.
    pub(crate) fn bytes(&self) -> usize {
        let held = self.ids.keys().chain(self.sets.iter().map(|(set, _)| set));
        let held: usize = held.map(|set| set.0.len()).sum();
        held + self.ids.allocation_size()
            + self.sets.capacity() * size_of::<(TermSet, u32)>()
            + self.free.capacity() * size_of::<u32>()
    }

    pub(crate) fn get(&self, id: u32) -> Option<&TermSet> {
        self.sets.get(id as usize).map(|(set, _)| set)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    #[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn a_set_is_shared_while_somebody_holds_it_and_its_place_is_used_again() {
        let mut sets = TermSets::default();
        let one = TermSet::from_indices([1]);
        let first = sets.acquire(one.clone());
        assert_eq!(sets.acquire(one.clone()), first);
        sets.release(first);
        assert_eq!(sets.get(first), Some(&one));
        sets.release(first);
        for number in 0..1000 {
            let set = TermSet::from_indices([number]);
            let id = sets.acquire(set.clone());
            assert_eq!(sets.get(id), Some(&set));
            sets.release(id);
        }
        assert_eq!((sets.sets.len(), sets.ids.len()), (1, 0));
    }

    #[test]
    fn what_sets_take_grows_with_them_and_is_no_less_than_they_are() {
        let mut sets = TermSets::default();
        assert_eq!(sets.bytes(), 0);
        for number in 0..100 {
            let before = sets.bytes();
            sets.acquire(TermSet::from_indices([8 * number]));
            let after = sets.bytes();
            assert!(after >= before + 2 * (number + 1), "{before} {after}");
            sets.acquire(TermSet::from_indices([8 * number]));
            assert_eq!(sets.bytes(), after);
        }
    }

    #[test]
    fn what_sets_take_is_told_to_the_byte() {
        let mut sets = TermSets::default();
        let ids: Vec<u32> = (0..100)
            .map(|number| sets.acquire(TermSet::from_indices([8 * number])))
            .collect();
        let held: usize = (1..=100).sum();
        let slots = sets.sets.capacity() * size_of::<(TermSet, u32)>();
        let table = sets.ids.allocation_size();
        assert_eq!(sets.bytes(), 2 * held + slots + table);
        ids.into_iter().for_each(|id| sets.release(id));
        assert!(sets.free.capacity() >= 100);
        assert_eq!(sets.bytes(), slots + table + 4 * sets.free.capacity());
    }

    #[test]
    fn a_state_is_read_as_it_was_written() {
        for state in [TermState::Found, TermState::Missing, TermState::Ambiguous] {
            assert_eq!(
                TermState::read(v1::TermState::from(state).into()),
                Ok(state)
            );
        }
        for wire in [v1::TermState::Unspecified.into(), 4, -1] {
            assert!(TermState::read(wire).is_err(), "{wire}");
        }
    }

    #[test]
    fn a_set_over_a_scope_names_none_but_its_terms() {
        let wire = TermSet::from_indices([8]);
        assert_eq!(TermSet::read(wire.as_bytes(), 9), Ok(wire.clone()));
        assert!(TermSet::read(wire.as_bytes(), 8).is_err());
        assert!(TermSet::read(&[0], 8).is_err());
        assert!(TermSet::read(TermSet::from_indices([MAX_TERMS]).as_bytes(), usize::MAX).is_err());
        assert_eq!(TermSet::read(&[], 0), Ok(TermSet::default()));
    }

    proptest! {
        #[test]
        fn a_set_holds_what_was_put_in(places in prop::collection::btree_set(0usize..MAX_TERMS, 0..20)) {
            let set = TermSet::from_indices(places.iter().rev().copied());
            prop_assert_eq!(set.indices().collect::<Vec<_>>(), places.iter().copied().collect::<Vec<_>>());
            prop_assert!((0..MAX_TERMS + 9).all(|place| set.contains(place) == places.contains(&place)));
            prop_assert_eq!(set.is_empty(), places.is_empty());
            prop_assert_eq!(TermSet::read(set.as_bytes(), MAX_TERMS), Ok(set.clone()));
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), terms in 0usize..2000) {
            if let Ok(set) = TermSet::read(&bytes, terms) {
                prop_assert!(set.indices().all(|place| place < terms));
                prop_assert_eq!(set.as_bytes(), &bytes[..]);
            }
        }
    }
}
