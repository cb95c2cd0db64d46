//! The reading of one request: what it was let through with, and how much work it may still ask for.

use super::dialect::{Dialect, Seen};
use super::limits::{Exceeded, Limit, Limits};
use crate::schema::{Naming, Unknown};

/// What it takes to find out what an unknown name resembles: it is compared with every known one.
const UNKNOWN_STEPS: usize = 500;

/// Passed to whatever reads a part of the request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Reading {
    limits: Limits,
    /// Steps done so far.
    work: usize,
    seen: Seen,
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
    pub(crate) fn spend(&mut self, steps: usize) -> Result<(), Exceeded> {
        self.work = self.work.saturating_add(steps);
        self.limits.allow(Limit::Work, self.work)
    }

    /// What the request may ask for at most.
    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Whether the request may have so many of something.
    pub(crate) fn allow(&self, limit: Limit, count: usize) -> Result<(), Exceeded> {
        self.limits.allow(limit, count)
    }

    /// Notes a shape beyond the RFCs.
    pub(crate) fn note(&mut self, dialect: Dialect) {
        self.seen.note(dialect);
    }

    /// Notes how an attribute was named, if not as the RFC has it.
    pub(crate) fn naming(&mut self, naming: Naming) {
        match naming {
            Naming::Standard => {}
            Naming::Bare => self.note(Dialect::BareExtension),
            Naming::Dotted => self.note(Dialect::DottedUrn),
        }
    }

    /// Notes an attribute that was ignored because nobody knows it. Finding that out was work.
    pub(crate) fn ignored(&mut self, unknown: Unknown) {
        self.work = self.work.saturating_add(UNKNOWN_STEPS);
        self.seen.ignored(unknown);
    }

    /// What was let through so far.
    pub(crate) fn seen(&self) -> &Seen {
        &self.seen
    }
}
