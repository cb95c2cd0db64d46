//! Counters that are added up here and handed to the host now and then, so that counting a request costs no call.
//!
//! Nothing is lost and nothing counted twice while the VM lives: what the host did not take stays, and is handed over the next time.

use super::Metrics;

/// The counters of a VM.
#[derive(Default)]
pub(super) struct Tally {
    counters: Vec<Counter>,
    /// Those that have something to hand over, each once.
    changed: Vec<usize>,
}

struct Counter {
    name: String,
    /// None until the host is first told of it.
    id: Option<u32>,
    pending: u64,
}

impl Tally {
    /// The place of the counter of this name, which is the same whenever it is asked for.
    pub(super) fn place(&mut self, name: String) -> usize {
        let known = self.counters.iter().position(|known| known.name == name);
        known.unwrap_or_else(|| {
            self.counters.push(Counter {
                name,
                id: None,
                pending: 0,
            });
            self.counters.len() - 1
        })
    }

    /// Counts one more.
    pub(super) fn count(&mut self, place: usize) {
        if let Some(counter) = self.counters.get_mut(place) {
            if counter.pending == 0 {
                self.changed.push(place);
            }
            counter.pending += 1;
        }
    }

    /// Hands over what was counted since the last time. One counter that the host does not take holds back no other.
    pub(super) fn hand_over<M: Metrics>(&mut self, metrics: &mut M) -> Result<(), M::Error> {
        let mut result = Ok(());
        let counters = &mut self.counters;
        self.changed.retain(|place| {
            let Some(counter) = counters.get_mut(*place) else {
                return false;
            };
            let handed = counter.hand_over(metrics);
            let stays = handed.is_err();
            result = std::mem::replace(&mut result, Ok(())).and(handed);
            stays
        });
        result
    }
}

impl Counter {
    fn hand_over<M: Metrics>(&mut self, metrics: &mut M) -> Result<(), M::Error> {
        let id = match self.id {
            Some(id) => id,
            None => *self.id.insert(metrics.define_counter(&self.name)?),
        };
        metrics.add(id, i64::try_from(self.pending).unwrap_or(i64::MAX))?;
        self.pending = 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::Shown;
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[derive(Debug, Clone)]
    enum Event {
        Counted(u8),
        HandedOver { failing: bool },
    }

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![
            8 => (0..6u8).prop_map(Event::Counted),
            1 => any::<bool>().prop_map(|failing| Event::HandedOver { failing }),
        ]
    }

    proptest! {
        /// However counting and handing over alternate, and whichever of the host's calls fail, the host ends with what was counted.
        #[test]
        fn nothing_is_lost_or_counted_twice(events in prop::collection::vec(event(), 0..200)) {
            let mut tally = Tally::default();
            let mut host = Shown::default();
            let mut expected = BTreeMap::new();
            for event in events {
                match event {
                    Event::Counted(counter) => {
                        let name = format!("c{counter}");
                        let place = tally.place(name.clone());
                        tally.count(place);
                        *expected.entry(name).or_insert(0) += 1;
                    }
                    Event::HandedOver { failing } => {
                        host.failing = failing;
                        let _ = tally.hand_over(&mut host);
                        for (name, value) in host.values() {
                            prop_assert!(value <= expected[&name]);
                        }
                        prop_assert!(failing || host.values() == expected);
                    }
                }
            }
            host.failing = false;
            tally.hand_over(&mut host).unwrap();
            prop_assert_eq!(host.values(), expected);
        }
    }

    #[test]
    fn a_counter_is_defined_when_it_is_first_needed_and_then_never_again() {
        let mut tally = Tally::default();
        let mut host = Shown::default();
        let place = tally.place("a".to_owned());
        tally.hand_over(&mut host).unwrap();
        assert_eq!(host.calls, 0, "nothing was counted");
        for _ in 0..3 {
            tally.count(place);
            tally.count(place);
            tally.hand_over(&mut host).unwrap();
        }
        assert_eq!(host.calls, 1 + 3);
        assert_eq!(host.values(), BTreeMap::from([("a".to_owned(), 6)]));
    }

    #[test]
    fn one_name_is_one_counter() {
        let mut tally = Tally::default();
        assert_eq!(tally.place("a".to_owned()), 0);
        assert_eq!(tally.place("b".to_owned()), 1);
        assert_eq!(tally.place("a".to_owned()), 0);
    }
}
