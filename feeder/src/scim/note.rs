//! What is known of a request when its log line is written.

use std::sync::{Arc, Mutex, PoisonError};

use uuid::Uuid;

use super::dialect::Seen;
use crate::schema::Unknown;

/// Filled in while the request is answered. Clones share it. A std mutex: nothing waits while it is held.
#[derive(Debug, Clone, Default)]
pub(crate) struct Note(Arc<Mutex<Facts>>);

/// Names of attributes and numbers; never values, tokens or names of people.
#[derive(Debug, Clone, Default)]
pub(crate) struct Facts {
    /// Whose token it was.
    pub(crate) tenant: Option<Arc<str>>,
    /// The resource that was created, read or changed.
    pub(crate) resource: Option<Uuid>,
    /// Where the directory stood when the request's change was durable.
    pub(crate) revision: Option<u64>,
    /// How many names it gave to somebody whom they do not mean yet.
    pub(crate) held: usize,
    /// What was let through.
    pub(crate) seen: Seen,
    /// It is one of many of which one has its line.
    pub(crate) quiet: bool,
}

impl Note {
    pub(crate) fn tenant(&self, tenant: &Arc<str>) {
        self.with(|facts| facts.tenant = Some(tenant.clone()));
    }

    pub(crate) fn resource(&self, id: Uuid) {
        self.with(|facts| facts.resource = Some(id));
    }

    pub(crate) fn revision(&self, revision: u64) {
        self.with(|facts| facts.revision = Some(revision));
    }

    pub(crate) fn held(&self, names: usize) {
        self.with(|facts| facts.held = names);
    }

    /// Adds what a part of the request was let through with.
    pub(crate) fn seen(&self, seen: &Seen) {
        self.with(|facts| facts.seen.merge(seen));
    }

    /// An attribute that the request failed by, if it looks like a known one: any other text may be anything.
    pub(crate) fn misnamed(&self, unknown: &Unknown) {
        if unknown.resembles.is_some() {
            self.with(|facts| facts.seen.misnamed(unknown.clone()));
        }
    }

    /// Leaves the request without a line.
    pub(crate) fn quiet(&self) {
        self.with(|facts| facts.quiet = true);
    }

    /// What is known so far.
    pub(crate) fn facts(&self) -> Facts {
        self.with(|facts| facts.clone())
    }

    fn with<T>(&self, change: impl FnOnce(&mut Facts) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
