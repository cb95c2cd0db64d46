//! At which revisions the content of one scope has changed, as far as that is remembered: what a filter that acked one
//! revision has thereby applied.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Changes that are remembered. Of a filter that is further behind nothing is said to its favour.
const KEPT: usize = 64;

/// The course of one scope. Its feed tells it how far it has come; nothing else writes to it.
#[derive(Debug, Default)]
pub(crate) struct Course(Mutex<Past>);

#[derive(Debug, Default)]
struct Past {
    /// How far it has come.
    revision: u64,
    /// What changed since is in `changes`; what changed before is not known.
    known_from: u64,
    /// When that was shown.
    known_since: Option<Instant>,
    changes: VecDeque<Changed>,
    withheld_since: Option<u64>,
}

/// The content at `after` is another one than at `to`, and the same from there to the next change. In between nobody looked.
#[derive(Debug, Clone, Copy)]
struct Changed {
    after: u64,
    to: u64,
    /// When the first revision that may have changed it was shown.
    shown: Instant,
    /// The revisions in between were withheld: whoever acked one of them still had the content at `after`.
    withheld: bool,
}

impl Course {
    /// The scope's content was looked at in this revision; `changed_at` is the newest revision that changed it, or the first at which it was looked
    /// at. `withheld_since`: its tenant is frozen, and that was its first revision that is not sent. `shown` says when a revision was shown to
    /// readers. To be called before anything of that revision is sent.
    pub(crate) fn reached(
        &self,
        revision: u64,
        changed_at: u64,
        withheld_since: Option<u64>,
        shown: impl Fn(u64) -> Instant,
    ) {
        let mut past = self.past();
        if past.known_since.is_none() {
            past.known_since = Some(shown(revision));
            past.known_from = revision;
        } else if changed_at > past.revision {
            if past.changes.len() == KEPT
                && let Some(oldest) = past.changes.pop_front()
            {
                past.known_from = oldest.to;
                past.known_since = Some(oldest.shown);
            }
            let change = Changed {
                after: past.sent(past.revision),
                to: changed_at,
                shown: shown(past.revision + 1),
                withheld: past.withheld_since.is_some(),
            };
            past.changes.push_back(change);
        }
        past.revision = revision;
        past.withheld_since = withheld_since;
    }

    /// The newest revision that counts as applied by whoever has acked `acked`: nothing of what is sent has changed in between.
    pub(crate) fn applied(&self, acked: u64) -> u64 {
        let past = self.past();
        let applied = if acked < past.known_from {
            acked
        } else {
            match past.next_change(acked) {
                Some(change) if change.withheld => change.after,
                Some(change) => acked.max(change.after),
                None => acked.max(past.revision),
            }
        };
        past.sent(applied)
    }

    /// The first revision that is withheld.
    pub(crate) fn withheld_since(&self) -> Option<u64> {
        self.past().withheld_since
    }

    /// When the oldest change was shown that whoever has acked `acked` has not applied; none if there is none.
    pub(crate) fn awaited_since(&self, acked: u64) -> Option<Instant> {
        let past = self.past();
        if acked < past.known_from {
            return past.known_since;
        }
        past.next_change(acked).map(|change| change.shown)
    }

    /// When the changes were shown that an ack of `to` covers, and the one of `from` before it did not.
    pub(crate) fn covered(&self, from: u64, to: u64) -> Vec<Instant> {
        let past = self.past();
        let covered = past.changes.iter();
        covered
            .filter(|change| from < change.to && change.to <= to)
            .map(|change| change.shown)
            .collect()
    }

    fn past(&self) -> std::sync::MutexGuard<'_, Past> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Past {
    fn next_change(&self, acked: u64) -> Option<&Changed> {
        let next = self.changes.partition_point(|change| change.to <= acked);
        self.changes.get(next)
    }

    /// The newest revision up to `revision` of which nothing is withheld.
    fn sent(&self, revision: u64) -> u64 {
        match self.withheld_since {
            Some(first) => revision.min(first.saturating_sub(1)),
            None => revision,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_change_is_awaited_from_when_it_was_shown_and_covered_once() {
        let start = Instant::now();
        let shown = |revision| start + Duration::from_secs(revision);
        let course = Course::default();
        course.reached(10, 10, None, shown);
        // The scope is late: it looks at 13 and 14 together, and one of them is a change.
        course.reached(12, 10, None, shown);
        course.reached(14, 14, None, shown);
        course.reached(20, 20, None, shown);
        assert_eq!(course.applied(10), 12);
        assert_eq!(course.awaited_since(11), Some(shown(13)));
        assert_eq!(course.covered(10, 14), [shown(13)]);
        assert_eq!(course.covered(14, 20), [shown(15)]);
        assert_eq!(course.covered(10, 20), [shown(13), shown(15)]);
        assert_eq!(course.awaited_since(20), None);
        // Of what was before the scope was followed, nothing is known.
        assert_eq!(course.applied(9), 9);
        assert_eq!(course.awaited_since(9), Some(shown(10)));
    }

    #[test]
    fn what_is_withheld_is_not_applied_by_whoever_acks_it_nor_when_it_is_sent_at_last() {
        let course = Course::default();
        let reached = |revision, changed_at, withheld_since| {
            course.reached(revision, changed_at, withheld_since, |_| Instant::now());
        };
        let applied = || [10, 12, 15, 16].map(|acked| course.applied(acked));
        reached(10, 10, None);
        reached(12, 10, None);
        reached(15, 10, Some(13));
        assert_eq!(applied(), [12; 4]);
        assert_eq!(course.withheld_since(), Some(13));
        reached(16, 16, None);
        assert_eq!(applied(), [12, 12, 12, 16]);
        // Frozen and thawed without a change that the scope is sent.
        reached(18, 16, Some(17));
        assert_eq!(course.applied(18), 16);
        reached(19, 16, None);
        assert_eq!(course.applied(18), 19);
    }

    proptest! {
        /// Held against every content there was: who has acked A has applied N if all contents from A to N are the same.
        #[test]
        fn applied_is_what_has_the_same_content(
            changes in prop::collection::vec(prop::bool::weighted(0.3), 1..300),
            looks in prop::collection::vec(prop::bool::weighted(0.8), 300),
            first in 0usize..20,
        ) {
            let mut contents = vec![0u64];
            for changed in &changes {
                contents.push(contents.last().unwrap() + u64::from(*changed));
            }
            let course = Course::default();
            let first = first.min(changes.len());
            let (mut last, mut changed_at) = (first, first as u64);
            let mut all_seen = true;
            course.reached(first as u64, first as u64, None, |_| Instant::now());
            for now in first + 1..contents.len() {
                if !looks[now - 1] && now + 1 < contents.len() {
                    all_seen = false;
                    continue;
                }
                if contents[now] != contents[last] {
                    changed_at = now as u64;
                }
                course.reached(now as u64, changed_at, None, |_| Instant::now());
                last = now;
            }
            for acked in 0..contents.len() {
                let applied = course.applied(acked as u64) as usize;
                prop_assert!(acked <= applied && applied < contents.len());
                let same = contents[acked..].iter().take_while(|content| **content == contents[acked]).count();
                prop_assert!(applied < acked + same, "{acked}: {applied}");
                let changes_since = contents.last().unwrap() - contents[acked];
                if all_seen && acked >= first && changes_since < KEPT as u64 {
                    prop_assert_eq!(applied, acked + same - 1);
                }
            }
        }
    }
}
