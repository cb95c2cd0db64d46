//! How many there were in the last hour, to five minutes.

use std::time::Duration;

use super::KEPT;

/// As long as one number counts for.
const SLOT: Duration = Duration::from_secs(5 * 60);

/// An hour of whole ones, and the one that has begun.
const SLOTS: usize = (KEPT.as_secs() / SLOT.as_secs()) as usize + 1;

/// Five minutes, by their number from 1 on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slot(u32);

impl Slot {
    /// So long after the beginning.
    pub(super) fn at(since: Duration) -> Slot {
        let slot = since.as_secs() / SLOT.as_secs() + 1;
        Slot(u32::try_from(slot).unwrap_or(u32::MAX))
    }
}

/// A count that forgets. Of more than four billion in five minutes it knows no number.
#[derive(Debug, Clone, Default)]
pub(super) struct Lately {
    /// Each with the slot that it is of; one serves every thirteenth.
    counts: [(u32, u32); SLOTS],
}

impl Lately {
    pub(super) fn add(&mut self, Slot(now): Slot, count: u64) {
        let Some((of, counted)) = self.counts.get_mut(now as usize % SLOTS) else {
            return;
        };
        if *of != now {
            (*of, *counted) = (now, 0);
        }
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        *counted = counted.saturating_add(count);
    }

    pub(super) fn total(&self, Slot(now): Slot) -> u64 {
        let kept = |of: u32| of > 0 && of <= now && ((now - of) as usize) < SLOTS;
        let counts = self.counts.iter().filter(|(of, _)| kept(*of));
        counts.map(|(_, counted)| u64::from(*counted)).sum()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_count_is_of_this_and_the_twelve_slots_before(
            steps in prop::collection::vec((0..2_000_u64, 0..5_u64), 0..60),
        ) {
            let mut lately = Lately::default();
            let mut all = Vec::new();
            let mut now = 0;
            for (seconds, count) in steps {
                now += seconds;
                lately.add(Slot::at(Duration::from_secs(now)), count);
                all.push((now / 300, count));
                let kept = all.iter().filter(|(slot, _)| now / 300 - slot <= 12);
                let expected: u64 = kept.map(|(_, count)| count).sum();
                prop_assert_eq!(lately.total(Slot::at(Duration::from_secs(now))), expected);
            }
        }
    }

    #[test]
    fn a_peer_that_exaggerates_overflows_nothing() {
        let mut lately = Lately::default();
        let slot = Slot::at(Duration::ZERO);
        lately.add(slot, u64::MAX);
        lately.add(slot, u64::MAX);
        assert_eq!(lately.total(slot), u64::from(u32::MAX));
        let last = Slot::at(Duration::MAX);
        lately.add(last, 1);
        assert_eq!(lately.total(last), 1);
    }
}
