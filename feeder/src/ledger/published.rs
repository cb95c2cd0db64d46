//! When the latest revisions were shown to readers. Not stored: a restarted feeder begins with the revision that it found.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Moments that are remembered: at 1,000 commits a second the last four seconds, and far more than a proxy that keeps up needs.
const KEPT: usize = 4096;

/// See the module.
#[derive(Debug)]
pub(crate) struct Published(Mutex<VecDeque<(u64, Instant)>>);

impl Published {
    /// Begins with the revision that is there.
    pub(crate) fn new(revision: u64, at: Instant) -> Published {
        Published(Mutex::new(VecDeque::from([(revision, at)])))
    }

    /// All revisions up to this one are shown from now on.
    pub(crate) fn record(&self, revision: u64, at: Instant) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.back().is_some_and(|(newest, _)| *newest >= revision) {
            return;
        }
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back((revision, at));
    }

    /// When this revision was first shown, or the oldest that is remembered; now if it has not been.
    pub(crate) fn at(&self, revision: u64) -> Instant {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let first = kept.partition_point(|(shown, _)| *shown < revision);
        kept.get(first).map_or_else(Instant::now, |(_, at)| *at)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_revision_was_shown_when_the_first_directory_was_that_has_it() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let published = Published::new(5, start);
        published.record(6, after(1));
        published.record(9, after(2));
        // A commit that is no revision.
        published.record(9, after(3));
        let at = |revision| published.at(revision);
        assert_eq!([at(2), at(5), at(6)], [start, start, after(1)]);
        assert_eq!([at(7), at(8), at(9)], [after(2); 3]);
        assert!(at(10) <= Instant::now());
        for revision in 10..=(9 + KEPT as u64) {
            published.record(revision, after(revision));
        }
        assert_eq!(at(5), after(10), "forgotten");
    }
}
