//! The way that a scope's content has come lately: at which revisions it stood, and what each step changed.
//!
//! A filter that holds one of these revisions is told what it lacks without asking the directory again. Of any other revision only the change log
//! knows.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use imbl::Vector;

use crate::directory::Difference;

/// Entries in all steps of a scope at most, of 24 bytes: a group of 100,000 who are known by two names.
const MAX_ENTRIES: usize = 250_000;
/// Entries in all steps of all scopes at most: 100 MB.
const MAX_SHARED: usize = 4_000_000;
/// Rows of revisions at most.
const MAX_ROWS: usize = 1024;
/// Steps at most.
const MAX_STEPS: usize = 4096;

/// A value: a copy shares everything.
#[derive(Debug, Clone)]
pub(super) struct Steps {
    /// Rows of revisions, from one to another, at each of which the content stood. Not at those between rows: several were taken at once.
    stood: Vector<(u64, u64)>,
    /// What changed on the way to a revision. All after `since`.
    steps: Vector<(u64, Arc<Kept>)>,
    since: u64,
    entries: usize,
    shared: Arc<Shared>,
}

/// Counts what the steps of all scopes hold together. What finds no room is not kept, and told from the change log.
#[derive(Debug, Default)]
pub(super) struct Shared(AtomicUsize);

/// A difference that is counted for as long as somebody has it.
#[derive(Debug)]
pub(super) struct Kept {
    difference: Difference,
    shared: Arc<Shared>,
}

impl Kept {
    fn new(difference: Difference, shared: &Arc<Shared>) -> Kept {
        let count = difference.entries.len();
        shared.0.fetch_add(count, Ordering::Relaxed);
        let shared = shared.clone();
        Kept { difference, shared }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let count = self.difference.entries.len();
        self.shared.0.fetch_sub(count, Ordering::Relaxed);
    }
}

impl std::ops::Deref for Kept {
    type Target = Difference;

    fn deref(&self) -> &Difference {
        &self.difference
    }
}

impl Steps {
    /// The content stands at this revision, and how it came there is not known.
    pub(super) fn begin(revision: u64, shared: Arc<Shared>) -> Steps {
        Steps {
            stood: Vector::unit((revision, revision)),
            steps: Vector::new(),
            since: revision,
            entries: 0,
            shared,
        }
    }

    /// The same, from a revision on to which nothing is known to lead.
    pub(super) fn again(&self, revision: u64) -> Steps {
        Steps::begin(revision, self.shared.clone())
    }

    /// The next step, to this revision.
    pub(super) fn step(&mut self, revision: u64, difference: Difference) {
        match self.stood.back_mut() {
            // What no filter is sent has no revision of its own.
            Some((_, last)) if *last + 1 >= revision => *last = revision,
            _ => self.stood.push_back((revision, revision)),
        }
        if difference.terms || difference.bindings || !difference.entries.is_empty() {
            self.entries += difference.entries.len();
            let kept = Kept::new(difference, &self.shared);
            self.steps.push_back((revision, Arc::new(kept)));
        }
        while self.entries > MAX_ENTRIES
            || self.steps.len() > MAX_STEPS
            || self.shared.0.load(Ordering::Relaxed) > MAX_SHARED
        {
            let Some((revision, oldest)) = self.steps.pop_front() else {
                break;
            };
            self.entries -= oldest.entries.len();
            self.since = revision;
        }
        while self.stood.len() > MAX_ROWS {
            self.stood.pop_front();
        }
    }

    /// What differs from the content of revision `held`, if that is known here.
    pub(super) fn since(&self, held: u64) -> Option<Arc<Kept>> {
        let stood = self.stood.iter().rev();
        let row = stood.take_while(|(_, last)| held <= *last).last();
        if held < self.since || row.is_none_or(|(first, _)| held < *first) {
            return None;
        }
        let later = self.steps.iter().rev();
        let later: Vec<_> = later
            .take_while(|(revision, _)| held < *revision)
            .map(|(_, step)| step)
            .collect();
        Some(match later.as_slice() {
            [only] => Arc::clone(only),
            several => {
                let all = Difference::all(several.iter().rev().map(|step| &step.difference));
                Arc::new(Kept::new(all, &self.shared))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use scimesh_proto::digest::SubjectDigest;

    use super::*;

    fn difference(entries: impl IntoIterator<Item = usize>) -> Difference {
        let entry = |number: usize| (SubjectDigest((number as u128).to_le_bytes()), None);
        Difference {
            entries: entries.into_iter().map(entry).collect(),
            terms: false,
            bindings: false,
        }
    }

    fn entries(steps: &Steps, held: u64) -> Option<usize> {
        steps.since(held).map(|difference| difference.entries.len())
    }

    #[test]
    fn only_from_where_it_stood_is_it_known_what_differs() {
        let mut steps = Steps::begin(5, Arc::default());
        steps.step(6, difference([1]));
        // At 8 it never stood: what was there may have come and gone.
        steps.step(9, difference([1, 2]));
        steps.step(10, difference([]));
        steps.step(10, difference([]));
        assert_eq!(steps.stood.len(), 2);
        let known: Vec<_> = (4..12).map(|held| entries(&steps, held)).collect();
        let of = [None, Some(2), Some(2), None, None, Some(0), Some(0), None];
        assert_eq!(known, of);
    }

    #[test]
    fn what_is_kept_is_bounded_and_what_is_not_kept_is_not_known() {
        let mut steps = Steps::begin(0, Arc::default());
        for revision in 1..=4 {
            steps.step(revision, difference(0..MAX_ENTRIES / 2));
        }
        let known: Vec<_> = (0..5).map(|held| entries(&steps, held)).collect();
        let half = Some(MAX_ENTRIES / 2);
        assert_eq!(known, [None, None, half, half, Some(0)]);
        // One that is too large leaves nothing.
        steps.step(5, difference(0..MAX_ENTRIES + 1));
        assert_eq!((entries(&steps, 4), entries(&steps, 5)), (None, Some(0)));
        for revision in 6..10_000 {
            steps.step(2 * revision, difference([1]));
        }
        assert_eq!(
            (steps.stood.len(), steps.steps.len()),
            (MAX_ROWS, MAX_STEPS)
        );
        assert_eq!(
            (entries(&steps, 12), entries(&steps, 2 * 9_998)),
            (None, Some(1))
        );
    }

    #[test]
    fn all_scopes_together_keep_no_more_than_there_is_room_for() {
        let shared: Arc<Shared> = Arc::default();
        let scopes = || {
            let mut steps = Steps::begin(0, shared.clone());
            steps.step(1, difference(0..MAX_ENTRIES));
            steps
        };
        let kept: Vec<_> = (0..20).map(|_| scopes()).collect();
        let count = shared.0.load(Ordering::Relaxed);
        assert!(
            count <= MAX_SHARED && count + MAX_ENTRIES > MAX_SHARED,
            "{count}"
        );
        let knowing = kept.iter().filter(|steps| entries(steps, 0).is_some());
        assert_eq!(knowing.count(), MAX_SHARED / MAX_ENTRIES);
        drop(kept);
        assert_eq!(shared.0.load(Ordering::Relaxed), 0);
    }
}
