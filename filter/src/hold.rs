//! Requests that wait for the first content of their feed.
//!
//! Knows how many wait and since when; not what they ask for.

use std::collections::BTreeMap;
use std::rc::Rc;

use scimesh_engine::Moment;

use crate::session::elapsed;
use crate::vm::Plugin;

/// The requests of one VM that wait, in the order of their arrival (the host's context ids grow, and each filter in a
/// request's chain has one of its own).
#[derive(Default)]
pub(crate) struct Holds {
    waiting: BTreeMap<u32, Held>,
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

    /// Whether this request is still waiting.
    pub(crate) fn holds(&self, context: u32) -> bool {
        self.waiting.contains_key(&context)
    }

    /// The client of a request is gone.
    pub(crate) fn forget(&mut self, context: u32) {
        self.waiting.remove(&context);
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
