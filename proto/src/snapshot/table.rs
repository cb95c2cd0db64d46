//! Subjects and a number for each, sorted, in pages.
//!
//! A hash table of a million doubles at once, takes up to twice the room, and moves everything in one go. Here a subject
//! takes its 20 bytes and little more, a change moves one page, and a table grows page by page.

use crate::digest::SubjectDigest;

/// Entries in a page at most: 5 KB, which is what an insertion moves.
pub(super) const PAGE: usize = 256;
/// Room that a page which is no longer full gets at a time.
const ROOM: usize = 16;

/// A subject and its number.
pub(super) type Entry = (SubjectDigest, u32);

#[derive(Debug, Default)]
pub(super) struct Table {
    /// For each page a subject that is no greater than any in it, and greater than any before it.
    lows: Vec<SubjectDigest>,
    pages: Vec<Vec<Entry>>,
    len: usize,
    /// Entries that the pages have room for.
    room: usize,
}

impl Table {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes of memory that are allocated for it.
    pub(super) fn bytes(&self) -> usize {
        self.room * size_of::<Entry>()
            + self.pages.capacity() * size_of::<Vec<Entry>>()
            + self.lows.capacity() * size_of::<SubjectDigest>()
    }

    pub(super) fn get(&self, subject: &SubjectDigest) -> Option<u32> {
        let page = self.pages.get(self.page_of(subject))?;
        let at = find(page, subject).ok()?;
        page.get(at).map(|(_, number)| *number)
    }

    /// Returns what the subject's number was.
    pub(super) fn insert(&mut self, subject: SubjectDigest, number: u32) -> Option<u32> {
        let index = self.page_of(&subject);
        let last = index + 1 == self.pages.len();
        let Some(page) = self.pages.get_mut(index) else {
            self.add_page(0, subject, vec![(subject, number)]);
            return None;
        };
        let at = match find(page, &subject) {
            Ok(at) => {
                let (_, old) = page.get_mut(at)?;
                return Some(std::mem::replace(old, number));
            }
            Err(at) => at,
        };
        if page.len() < PAGE {
            let room = page.capacity();
            if page.len() == room {
                page.reserve_exact(ROOM.min(PAGE - room));
            }
            page.insert(at, (subject, number));
            self.room += page.capacity() - room;
            self.len += 1;
            if let Some(low) = self.lows.get_mut(index) {
                *low = (*low).min(subject);
            }
            return None;
        }
        if last && at == PAGE {
            // In order, as a snapshot comes: pages stay full.
            let mut page = Vec::with_capacity(PAGE);
            page.push((subject, number));
            self.add_page(index + 1, subject, page);
            return None;
        }
        let room = page.capacity();
        let upper = page.split_off(PAGE / 2);
        page.shrink_to(PAGE / 2 + ROOM);
        self.room = self.room + page.capacity() - room;
        self.len -= upper.len();
        if let Some((low, _)) = upper.first() {
            self.add_page(index + 1, *low, upper);
        }
        self.insert(subject, number)
    }

    /// Returns what its number was.
    pub(super) fn remove(&mut self, subject: &SubjectDigest) -> Option<u32> {
        let index = self.page_of(subject);
        let page = self.pages.get_mut(index)?;
        let at = find(page, subject).ok()?;
        let room = page.capacity();
        let (_, number) = page.remove(at);
        self.len -= 1;
        if page.is_empty() {
            self.room -= room;
            self.pages.remove(index);
            self.lows.remove(index);
        } else if page.len() * 2 + ROOM < room {
            page.shrink_to(page.len() + ROOM);
            self.room = self.room + page.capacity() - room;
        }
        Some(number)
    }

    /// Takes the last page out.
    pub(super) fn pop_page(&mut self) -> Vec<Entry> {
        let page = self.pages.pop().unwrap_or_default();
        self.lows.pop();
        self.len -= page.len();
        self.room -= page.capacity();
        page
    }

    /// Every entry, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.pages.iter().flatten()
    }

    /// The page that has the subject if any has.
    fn page_of(&self, subject: &SubjectDigest) -> usize {
        let rank = subject.rank();
        let after = self.lows.partition_point(|low| low.rank() <= rank);
        after.saturating_sub(1)
    }

    fn add_page(&mut self, index: usize, low: SubjectDigest, page: Vec<Entry>) {
        self.len += page.len();
        self.room += page.capacity();
        self.lows.insert(index, low);
        self.pages.insert(index, page);
    }
}

fn find(page: &[Entry], subject: &SubjectDigest) -> Result<usize, usize> {
    page.binary_search_by_key(&subject.rank(), |(held, _)| held.rank())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use proptest::prelude::*;
    #[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn subject(number: u128) -> SubjectDigest {
        SubjectDigest::of_rank(number)
    }

    /// What it says of itself holds.
    fn check(table: &Table, model: &BTreeMap<SubjectDigest, u32>) {
        assert!(
            table
                .iter()
                .copied()
                .eq(model.iter().map(|(s, n)| (*s, *n)))
        );
        assert_eq!(
            (table.len(), table.is_empty()),
            (model.len(), model.is_empty())
        );
        assert_eq!(
            table.room,
            table.pages.iter().map(Vec::capacity).sum::<usize>()
        );
        assert_eq!(table.lows.len(), table.pages.len());
        for (subject, number) in model {
            assert_eq!(table.get(subject), Some(*number));
        }
    }

    #[test]
    fn a_million_in_order_take_little_more_than_they_are() {
        let mut table = Table::default();
        for number in 0..1_000_000 {
            table.insert(subject(number << 100), 7);
        }
        let each = table.bytes() as f64 / table.len() as f64;
        assert!(each < 20.5, "{each}");
    }

    #[test]
    fn what_came_in_any_order_takes_at_most_a_quarter_more_and_what_went_makes_room() {
        let mut table = Table::default();
        for number in 0..100_000u128 {
            table.insert(
                subject(number.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)),
                7,
            );
        }
        let full = table.bytes();
        assert!(full < 100_000 * 32, "{full}");
        for number in 0..99_000u128 {
            table.remove(&subject(
                number.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835),
            ));
        }
        assert_eq!(table.len(), 1000);
        assert!(table.bytes() < full / 4, "{} of {full}", table.bytes());
        while !table.is_empty() {
            table.pop_page();
        }
        assert_eq!((table.len(), table.room), (0, 0));
    }

    proptest! {
        #[test]
        fn it_is_a_sorted_map(
            start in 0u128..2000,
            steps in prop::collection::vec((0u128..2000, any::<u32>(), any::<bool>()), 0..2000),
        ) {
            let mut table = Table::default();
            let mut model = BTreeMap::new();
            for number in start..start + 700 {
                table.insert(subject(number), 0);
                model.insert(subject(number), 0);
            }
            for (number, value, insert) in steps {
                let subject = subject(number);
                if insert {
                    prop_assert_eq!(table.insert(subject, value), model.insert(subject, value));
                } else {
                    prop_assert_eq!(table.remove(&subject), model.remove(&subject));
                }
            }
            check(&table, &model);
        }
    }
}
