//! The way that a scope's content has come lately: at which revisions it stood, and what each step changed.
//!
//! A filter that holds one of these revisions is told what it lacks without asking the directory again. Of any other revision only the change log
//! knows.

use std::sync::Arc;

use imbl::Vector;

use crate::directory::Difference;

/// Entries in all steps at most, some 4 MB: of these are the groups of a hundred thousand, once for each scope.
const MAX_ENTRIES: usize = 150_000;
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
    steps: Vector<(u64, Arc<Difference>)>,
    since: u64,
    entries: usize,
}

impl Steps {
    /// The content stands at this revision, and how it came there is not known.
    pub(super) fn begin(revision: u64) -> Steps {
        Steps {
            stood: Vector::unit((revision, revision)),
            steps: Vector::new(),
            since: revision,
            entries: 0,
        }
    }

    /// The next step, to this revision.
    pub(super) fn step(&mut self, revision: u64, difference: Difference) {
        match self.stood.back_mut() {
            // What no filter is sent has no revision of its own.
            Some((_, last)) if *last + 1 >= revision => *last = revision,
            _ => self.stood.push_back((revision, revision)),
        }
        if difference.terms || !difference.entries.is_empty() {
            self.entries += difference.entries.len();
            self.steps.push_back((revision, Arc::new(difference)));
        }
        while self.entries > MAX_ENTRIES || self.steps.len() > MAX_STEPS {
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
    pub(super) fn since(&self, held: u64) -> Option<Arc<Difference>> {
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
            several => Arc::new(Difference::all(several.iter().rev().map(|step| &***step))),
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
        }
    }

    fn entries(steps: &Steps, held: u64) -> Option<usize> {
        steps.since(held).map(|difference| difference.entries.len())
    }

    #[test]
    fn only_from_where_it_stood_is_it_known_what_differs() {
        let mut steps = Steps::begin(5);
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
        let mut steps = Steps::begin(0);
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
}
