//! From a value to the resources that have it.

use std::sync::Arc;

use imbl::OrdMap;

use super::user::Slot;

/// Who has a value: nearly always one.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Holders {
    One(Slot),
    Many(Arc<[Slot]>),
}

impl Holders {
    fn as_slice(&self) -> &[Slot] {
        match self {
            Holders::One(slot) => std::slice::from_ref(slot),
            Holders::Many(slots) => slots,
        }
    }
}

/// Values and their holders. Values are compared exactly.
#[derive(Debug, Clone, Default)]
pub(super) struct Index(OrdMap<Arc<str>, Holders>);

impl Index {
    /// Everybody who has `value`, in order of their numbers.
    pub(super) fn holders(&self, value: &str) -> &[Slot] {
        self.0.get(value).map_or(&[], Holders::as_slice)
    }

    pub(super) fn add(&mut self, value: &Arc<str>, slot: Slot) {
        let holders = match self.0.get(value) {
            None => Holders::One(slot),
            Some(holders) => {
                let mut slots = holders.as_slice().to_vec();
                if let Err(place) = slots.binary_search(&slot) {
                    slots.insert(place, slot);
                }
                Holders::Many(slots.into())
            }
        };
        self.0.insert(value.clone(), holders);
    }

    pub(super) fn remove(&mut self, value: &str, slot: Slot) {
        let Some((value, holders)) = self.0.get_key_value(value) else {
            return;
        };
        let rest: Vec<Slot> = holders
            .as_slice()
            .iter()
            .copied()
            .filter(|holder| *holder != slot)
            .collect();
        let value = value.clone();
        match rest.as_slice() {
            [] => {
                self.0.remove(&value);
            }
            [one] => {
                self.0.insert(value, Holders::One(*one));
            }
            _ => {
                self.0.insert(value, Holders::Many(rest.into()));
            }
        }
    }
}
