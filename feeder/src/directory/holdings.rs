//! Term sets that are made once: a million users hold a few different ones, and most hold what one group gives.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use scimesh_proto::snapshot::TermSet;

use super::user::Slot;

/// Sets that are remembered at most. Beyond it all are forgotten, and made again as they come.
const REMEMBERED: usize = 1 << 16;

/// Hashes numbers of resources. Nobody chooses them, they are counted: spreading them is enough.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct SlotHasher(u64);

impl Hasher for SlotHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u32(u32::from(*byte));
        }
    }

    fn write_u32(&mut self, value: u32) {
        let mixed = (self.0 ^ u64::from(value)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ (mixed >> 32);
    }
}

/// A map by the numbers of users or groups.
pub(super) type SlotMap<V> = HashMap<Slot, V, BuildHasherDefault<SlotHasher>>;
/// Users or groups by their numbers.
pub(super) type SlotSet = std::collections::HashSet<Slot, BuildHasherDefault<SlotHasher>>;

/// Makes the union of sets, and each result once.
#[derive(Debug, Default)]
pub(super) struct Unions {
    made: HashMap<Box<[u8]>, Arc<TermSet>>,
    bits: Vec<u8>,
}

impl Unions {
    /// The set of the terms at these places.
    pub(super) fn of_places(&mut self, places: impl IntoIterator<Item = usize>) -> Arc<TermSet> {
        let set = TermSet::from_indices(places);
        self.bits.clear();
        self.bits.extend_from_slice(set.as_bytes());
        self.made()
    }

    /// The terms that are in one of the two.
    pub(super) fn of_two(&mut self, one: Arc<TermSet>, other: &Arc<TermSet>) -> Arc<TermSet> {
        if Arc::ptr_eq(&one, other) || other.is_empty() {
            return one;
        }
        if one.is_empty() {
            return other.clone();
        }
        let (long, short) = match one.as_bytes().len() < other.as_bytes().len() {
            true => (other, &one),
            false => (&one, other),
        };
        self.bits.clear();
        self.bits.extend_from_slice(long.as_bytes());
        for (bits, more) in self.bits.iter_mut().zip(short.as_bytes()) {
            *bits |= more;
        }
        self.made()
    }

    fn made(&mut self) -> Arc<TermSet> {
        if let Some(set) = self.made.get(self.bits.as_slice()) {
            return set.clone();
        }
        if self.made.len() >= REMEMBERED {
            self.made.clear();
        }
        let contains = |place: &usize| {
            let byte = self.bits.get(place / 8);
            byte.is_some_and(|byte| byte & (1 << (place % 8)) != 0)
        };
        let set = Arc::new(TermSet::from_indices(
            (0..self.bits.len() * 8).filter(contains),
        ));
        self.made.insert(self.bits.as_slice().into(), set.clone());
        set
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_union_is_what_all_of_its_parts_hold_and_equal_ones_are_one(
            parts in prop::collection::vec(prop::collection::vec(0..40_usize, 0..4), 1..6),
        ) {
            let mut unions = Unions::default();
            let mut union = Arc::new(TermSet::default());
            for part in &parts {
                let part = unions.of_places(part.iter().copied());
                union = unions.of_two(union, &part);
            }
            let whole = unions.of_places(parts.into_iter().flatten());
            prop_assert_eq!(&union, &whole);
            prop_assert!(whole.is_empty() || Arc::ptr_eq(&union, &whole));
        }
    }
}
