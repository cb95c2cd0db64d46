//! Until when a filter may go on by what it holds.
//!
//! A filter renews its lease by a pong, and only when it holds the revision that the pong names. So whatever it decides by
//! content older than revision N, it decides by a lease that a pong below N has renewed: a later pong does not prolong that,
//! however often the filter pings. Kept is therefore, for each pong, the revision that it named and when that lease ends.
//!
//! The lease runs from the sending of the ping; here it is counted from its receipt, which is later. Both ends count on
//! monotonic clocks that run at one pace; nothing is asked of what they show.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Pongs whose leases end within this share of a lease are kept as one, of the lowest revision and the last end: a filter may ping as often as
/// it likes. A lease then seems to end later than it does, by this share at most.
const SHARE: u32 = 16;

/// Kept at most, also of a filter that tells another lease with each ping. Beyond, the two oldest become one.
const KEPT: usize = 32;

/// The leases that one filter may still have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Leases(VecDeque<Renewal>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Renewal {
    /// The lowest revision that one of its pongs named.
    revision: u64,
    /// When the lease of its first ping ends.
    first_end: Instant,
    /// When the last one does.
    end: Instant,
}

impl Leases {
    /// Whatever it holds, until `end`.
    pub(crate) fn until(end: Instant) -> Leases {
        Leases(VecDeque::from([Renewal {
            revision: 0,
            first_end: end,
            end,
        }]))
    }

    /// A ping is about to be answered with this revision.
    pub(crate) fn renew(&mut self, revision: u64, lease: Duration, now: Instant) {
        self.0.retain(|kept| kept.end > now);
        let end = now + lease;
        match self.0.back_mut() {
            Some(last) if last.revision == revision || end < last.first_end + lease / SHARE => {
                last.revision = last.revision.min(revision);
                last.end = last.end.max(end);
            }
            _ => self.push(Renewal {
                revision,
                first_end: end,
                end,
            }),
        }
    }

    /// What it holds is not what the pongs took it to hold: none of them says anything of it, but that its lease goes on.
    pub(crate) fn distrust(&mut self) {
        for kept in &mut self.0 {
            kept.revision = 0;
        }
    }

    /// It may have any of the other's as well.
    pub(crate) fn join(&mut self, other: Leases) {
        for renewal in other.0 {
            self.push(renewal);
        }
    }

    fn push(&mut self, renewal: Renewal) {
        self.0.push_back(renewal);
        if self.0.len() > KEPT
            && let Some(oldest) = self.0.pop_front()
            && let Some(next) = self.0.front_mut()
        {
            next.revision = next.revision.min(oldest.revision);
            next.end = next.end.max(oldest.end);
        }
    }

    /// When the last lease ends by which it may go on with content older than `revision`; none if there is none now.
    pub(crate) fn end_before(&self, revision: u64, now: Instant) -> Option<Instant> {
        let older = self.0.iter().filter(|kept| kept.revision < revision);
        older.map(|kept| kept.end).filter(|end| *end > now).max()
    }

    /// When the last one ends of all.
    pub(crate) fn end(&self, now: Instant) -> Option<Instant> {
        self.end_before(u64::MAX, now)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LEASE: Duration = Duration::from_secs(300);

    #[test]
    fn a_pong_prolongs_only_what_is_as_new_as_it_says() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut leases = Leases::default();
        assert_eq!(leases.end(start), None);
        leases.renew(7, LEASE, start);
        leases.renew(8, LEASE, after(100));
        leases.renew(9, LEASE, after(200));
        assert_eq!(leases.end_before(7, after(200)), None);
        assert_eq!(leases.end_before(8, after(200)), Some(after(300)));
        assert_eq!(leases.end_before(9, after(200)), Some(after(400)));
        assert_eq!(leases.end(after(200)), Some(after(500)));
        assert_eq!(leases.end_before(8, after(300)), None, "it has ended");
    }

    proptest! {
        /// Held against all pongs, one by one: never too early, and too late by a share of the lease at most.
        #[test]
        fn an_end_is_never_early_and_hardly_late(pings in prop::collection::vec((0u64..4, 0u64..40), 1..200)) {
            let start = Instant::now();
            let (mut now, mut revision) = (start, 1);
            let mut leases = Leases::default();
            let mut all = Vec::new();
            for (newer, pause) in pings {
                now += Duration::from_secs(pause);
                revision += newer;
                leases.renew(revision, LEASE, now);
                all.push((revision, now + LEASE));
                for asked in revision.saturating_sub(20)..=revision + 1 {
                    let true_end = all.iter().filter(|(named, end)| *named < asked && *end > now).map(|(_, end)| *end).max();
                    let told = leases.end_before(asked, now);
                    prop_assert!(told >= true_end, "{asked} at {revision}: {told:?} is before {true_end:?}");
                    if let (Some(told), Some(true_end)) = (told, true_end) {
                        prop_assert!(told <= true_end + LEASE / SHARE);
                    }
                }
                prop_assert!(leases.0.len() <= 2 * SHARE as usize);
            }
        }

        /// A filter tells a lease as it likes: little is kept, and none ends early.
        #[test]
        fn whatever_leases_it_tells_few_are_kept(pings in prop::collection::vec((0u64..3, 0u64..100_000), 1..300)) {
            let now = Instant::now();
            let mut leases = Leases::default();
            let mut all = Vec::new();
            let mut revision = 0;
            for (newer, seconds) in pings {
                revision += newer;
                leases.renew(revision, Duration::from_secs(seconds), now);
                all.push((revision, now + Duration::from_secs(seconds)));
            }
            prop_assert!(leases.0.len() <= KEPT);
            for asked in 0..=revision + 1 {
                let true_end = all.iter().filter(|(named, end)| *named < asked && *end > now).map(|(_, end)| *end).max();
                prop_assert!(leases.end_before(asked, now) >= true_end);
            }
        }
    }
}
