//! The reading of one request: what it was let through with, and how much work it may still ask for.

use thiserror::Error;

use super::dialect::{Dialect, Seen};
use super::settings::Limits;
use crate::schema::Unknown;

/// Passed to whatever reads a part of the request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Reading {
    limits: Limits,
    /// Steps done so far.
    work: u64,
    seen: Seen,
}

/// A request whose meaning takes more steps than a request may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the request asks for more work than {limit} steps: send it in parts")]
pub(crate) struct TooMuchWork {
    /// The bound.
    pub(crate) limit: u64,
}

impl Reading {
    /// Nothing read yet.
    pub(crate) fn new(limits: Limits) -> Reading {
        Reading {
            limits,
            work: 0,
            seen: Seen::default(),
        }
    }

    /// Counts steps of work: values looked at, compared or copied. Where a short text can ask for a lot of them, this is asked before they are done.
    pub(crate) fn spend(&mut self, steps: usize) -> Result<(), TooMuchWork> {
        self.work = self.work.saturating_add(steps as u64);
        match self.work > self.limits.work {
            true => Err(TooMuchWork {
                limit: self.limits.work,
            }),
            false => Ok(()),
        }
    }

    /// Notes a shape beyond the RFCs.
    pub(crate) fn note(&mut self, dialect: Dialect) {
        self.seen.note(dialect);
    }

    /// Notes an attribute that was ignored because nobody knows it.
    pub(crate) fn ignored(&mut self, unknown: Unknown) {
        self.seen.ignored(unknown);
    }

    /// What was let through so far.
    pub(crate) fn seen(&self) -> &Seen {
        &self.seen
    }
}
