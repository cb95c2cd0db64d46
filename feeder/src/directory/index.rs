//! From a value to the resources that have it.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, LazyLock};

use imbl::{OrdMap, OrdSet};

use super::user::{Slot, fold};

/// Who has a value: nearly always one.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Holders {
    One(Slot),
    Many(OrdSet<Slot>),
}

/// Values and their holders. Values are compared exactly.
#[derive(Debug, Clone, Default)]
pub(super) struct Index {
    holders: OrdMap<Arc<str>, Holders>,
    /// How many values have had several holders since they were last nobody's.
    doubles: usize,
}

impl Index {
    /// Everybody who has `value`, in order of their numbers.
    pub(super) fn holders(&self, value: &str) -> impl Iterator<Item = Slot> + '_ {
        let (one, many) = match self.holders.get(value) {
            None => (None, None),
            Some(Holders::One(slot)) => (Some(*slot), None),
            Some(Holders::Many(slots)) => (None, Some(slots)),
        };
        one.into_iter().chain(many.into_iter().flatten().copied())
    }

    /// Whether a value may have several holders.
    pub(super) fn has_doubles(&self) -> bool {
        self.doubles > 0
    }

    pub(super) fn add(&mut self, value: &Arc<str>, slot: Slot) {
        match self.holders.get_mut(value) {
            None => {
                self.holders.insert(value.clone(), Holders::One(slot));
            }
            Some(Holders::Many(slots)) => {
                slots.insert(slot);
            }
            Some(Holders::One(one)) if *one == slot => {}
            Some(holders @ Holders::One(_)) => {
                if let Holders::One(one) = *holders {
                    *holders = Holders::Many(OrdSet::from_iter([one, slot]));
                    self.doubles += 1;
                }
            }
        }
    }

    pub(super) fn remove(&mut self, value: &str, slot: Slot) {
        let gone = match self.holders.get_mut(value) {
            None => false,
            Some(Holders::One(one)) => *one == slot,
            Some(Holders::Many(slots)) => {
                slots.remove(&slot);
                let gone = slots.is_empty();
                self.doubles -= usize::from(gone);
                gone
            }
        };
        if gone {
            self.holders.remove(value);
        }
    }
}

/// Which texts a resource has, without regard to case. A text only locates: whoever looks one up has to look whether it is really the one.
/// This takes a few bytes for each text, however long, and does not slow down where a million resources have the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Located(OrdSet<(Locator, Slot)>);

impl Located {
    /// Everybody who may have the text, in order of their numbers.
    pub(super) fn holders(&self, locator: Locator) -> impl Iterator<Item = Slot> + '_ {
        let range = (locator, Slot(u32::MIN))..=(locator, Slot(u32::MAX));
        self.0.range(range).map(|(_, slot)| *slot)
    }

    pub(super) fn add(&mut self, locator: Locator, slot: Slot) {
        self.0.insert((locator, slot));
    }

    pub(super) fn remove(&mut self, locator: Locator, slot: Slot) {
        self.0.remove(&(locator, slot));
    }
}

/// Where a text stands in [`Located`]: a hash of it, folded, under a key that this process made up, so that nobody can choose texts that meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Locator(u64);

impl Locator {
    pub(crate) fn of(text: &str) -> Locator {
        static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        Locator(KEY.hash_one(fold(text)))
    }
}
