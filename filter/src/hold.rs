//! Requests that wait for the first content of their feed.
//!
//! Knows how many wait and since when; not what they ask for.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use scimesh_engine::Moment;

use crate::session::elapsed;
use crate::vm::Plugin;

/// The requests of one VM that wait, in the order of their arrival (the host's context ids grow, and each filter in a
/// request's chain has one of its own).
#[derive(Default)]
pub(crate) struct Holds {
    waiting: BTreeMap<u32, Held>,
    /// Those that were let go of and do not go on, while the host has their contexts.
    refused: BTreeSet<u32>,
}

struct Held {
    plugin: Rc<Plugin>,
    since: Moment,
}

impl Drop for Held {
    fn drop(&mut self) {
        let held = &self.plugin.held;
        held.set(held.get().saturating_sub(1));
    }
}

impl Holds {
    /// Takes a request in, unless as many of its policy's wait already as that admits: no policy fills another's places.
    pub(crate) fn take(&mut self, context: u32, plugin: &Rc<Plugin>, now: Moment) -> bool {
        let held = plugin.held.get();
        if held >= plugin.policy.hold().requests {
            return false;
        }
        plugin.held.set(held + 1);
        let held = Held {
            plugin: plugin.clone(),
            since: now,
        };
        self.waiting.insert(context, held);
        true
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether what follows the headers of this request stays back: it is still waiting, or was refused.
    pub(crate) fn holds(&self, context: u32) -> bool {
        self.waiting.contains_key(&context) || self.refused.contains(&context)
    }

    /// A request that was let go of does not go on.
    pub(crate) fn refuse(&mut self, context: u32) {
        self.refused.insert(context);
    }

    /// A request goes on, or its client is gone.
    pub(crate) fn forget(&mut self, context: u32) {
        self.waiting.remove(&context);
        self.refused.remove(&context);
    }

    /// Lets go of those that can be answered: their feed is `ready`, or they have waited long enough.
    pub(crate) fn release(
        &mut self,
        now: Moment,
        ready: impl Fn(&Plugin) -> bool,
    ) -> Vec<(u32, Rc<Plugin>)> {
        let released = self.waiting.extract_if(.., |_, held| {
            ready(&held.plugin) || elapsed(held.since, now) >= held.plugin.policy.hold().timeout
        });
        released
            .map(|(context, held)| (context, held.plugin.clone()))
            .collect()
    }
}
