//! One page of a list, collected from all of it.

use super::order::{Order, Position};
use crate::scim::stored::Stored;

/// Which part of the list is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) from: From,
    pub(crate) count: usize,
}

/// Where it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum From {
    /// After so many resources.
    Index(usize),
    /// After what stands there, or at the beginning.
    After(Option<Position>),
}

/// One page.
#[derive(Debug)]
pub(crate) struct Page {
    /// Resources in the whole list.
    pub(crate) total: usize,
    pub(crate) items: Vec<Stored>,
    /// Where it ends, if the list goes on after it.
    pub(crate) end: Option<Position>,
}

/// Takes the resources of a list one by one, in the order of creation, and keeps those of the page.
#[derive(Debug)]
pub(crate) struct Collecting<'s> {
    part: Part,
    order: Order<'s>,
    total: usize,
    kept: Vec<(Position, Stored)>,
    /// The list goes on after what is kept.
    more: bool,
}

impl<'s> Collecting<'s> {
    pub(crate) fn new(part: Part, order: Order<'s>) -> Collecting<'s> {
        Collecting {
            part,
            order,
            total: 0,
            kept: Vec::new(),
            more: false,
        }
    }

    /// Looks at the next one.
    pub(crate) fn take(&mut self, position: Position, stored: Stored) {
        self.total += 1;
        let before = match &self.part.from {
            From::After(Some(after)) => self.order.compare(&position, after).is_le(),
            From::After(None) => false,
            // What an attribute orders is skipped when it is in order.
            From::Index(skip) => !self.is_sorted() && self.total <= *skip,
        };
        if before {
            return;
        }
        match self.is_sorted() || self.kept.len() < self.part.count {
            true => self.kept.push((position, stored)),
            false => self.more = true,
        }
        // What can't be on the page is let go of from time to time, so that a page takes no more memory than itself and what is before it.
        let wanted = self.wanted();
        if self.is_sorted() && self.kept.len() > wanted.saturating_mul(2).saturating_add(100) {
            self.keep_first(wanted);
        }
    }

    /// How many of the next so many resources are before the page and need not be looked at.
    pub(crate) fn before(&self, resources: usize) -> usize {
        match self.part.from {
            From::Index(skip) => skip.saturating_sub(self.total).min(resources),
            From::After(_) => 0,
        }
    }

    /// Where the page begins, if that is after a certain resource.
    pub(crate) fn after(&self) -> Option<&Position> {
        match &self.part.from {
            From::After(after) => after.as_ref(),
            From::Index(_) => None,
        }
    }

    /// How many more have to be looked at to fill the page and to know whether the list goes on.
    pub(crate) fn room(&self) -> usize {
        (self.part.count - self.kept.len()).saturating_add(1)
    }

    /// Counts resources that are not on the page.
    pub(crate) fn pass(&mut self, resources: usize) {
        self.total += resources;
    }

    pub(crate) fn page(mut self) -> Page {
        if self.is_sorted() {
            let skip = self.skip().min(self.kept.len());
            self.keep_first(self.wanted());
            let order = self.order;
            self.kept
                .sort_unstable_by(|(one, _), (other, _)| order.compare(one, other));
            self.kept.drain(..skip);
            self.more = self.kept.len() > self.part.count;
            self.kept.truncate(self.part.count);
        }
        let last = self.kept.last().map(|(position, _)| position.clone());
        Page {
            total: self.total,
            end: last.filter(|_| self.more),
            items: self.kept.into_iter().map(|(_, stored)| stored).collect(),
        }
    }

    fn is_sorted(&self) -> bool {
        self.order.place().is_some()
    }

    fn skip(&self) -> usize {
        match self.part.from {
            From::Index(skip) => skip,
            From::After(_) => 0,
        }
    }

    /// How many have to be kept when an attribute orders them: what is before the page, the page, and one that says that the list goes on.
    fn wanted(&self) -> usize {
        let page = self.part.count.saturating_add(1);
        self.skip().saturating_add(page)
    }

    fn keep_first(&mut self, wanted: usize) {
        if self.kept.len() > wanted {
            let order = self.order;
            let compare = |(one, _): &_, (other, _): &_| order.compare(one, other);
            self.kept.select_nth_unstable_by(wanted, compare);
            self.kept.truncate(wanted);
        }
    }
}
