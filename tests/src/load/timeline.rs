//! When which revision was made and whom it concerned, and how long it took to get there.

use std::time::{Duration, Instant};

use super::fleet::Fleet;
use super::follower::Behaviour;
use super::idp::Pushed;
use crate::sample::Sample;

/// Whose content a change changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Concerns {
    /// Every scope's.
    All,
    /// That of the scope at this place, and no other.
    Scope(usize),
}

/// The changes of a measurement, without a gap.
#[derive(Debug)]
pub struct Timeline {
    /// The revision before the first one.
    start: u64,
    changes: Vec<(Concerns, Pushed)>,
}

/// What came of them.
#[derive(Debug, Default)]
pub struct Deliveries {
    /// From the arrival of the SCIM answer to the ack; 0 where the ack was first.
    pub after_answer: Sample,
    /// From the sending of the SCIM request to the ack: the commit lies between, so no commit took longer to be acked.
    pub after_request: Sample,
    /// Changes that reached a stream, each counted for each.
    pub delivered: usize,
    /// Those that should have.
    pub expected: usize,
    /// Updates that carried them; each may carry several.
    pub updates: usize,
    /// Followers that follow as they should.
    pub streams: usize,
}

impl Timeline {
    /// Begins at the feeder's current revision.
    pub fn new(start: u64) -> Timeline {
        Timeline {
            start,
            changes: Vec::new(),
        }
    }

    /// The next revision was made.
    pub fn push(&mut self, concerns: Concerns, pushed: Pushed) {
        self.changes.push((concerns, pushed));
    }

    /// The newest revision.
    pub fn revision(&self) -> u64 {
        self.start + self.changes.len() as u64
    }

    /// The newest revision that changed the content of the scope at this place.
    pub fn newest_of(&self, scope: usize) -> u64 {
        let mut revision = self.revision();
        for (concerns, _) in self.changes.iter().rev() {
            if *concerns == Concerns::All || *concerns == Concerns::Scope(scope) {
                return revision;
            }
            revision -= 1;
        }
        self.start
    }

    /// When the first change was sent.
    pub fn began(&self) -> Option<Instant> {
        self.changes.first().map(|(_, pushed)| pushed.sent)
    }

    /// How long the answers took.
    pub fn answers(&self) -> Sample {
        let times = self
            .changes
            .iter()
            .map(|(_, pushed)| pushed.received - pushed.sent);
        Sample::new(times.collect())
    }

    /// What those who follow as they should have noted.
    pub fn deliveries(&self, fleet: &Fleet) -> Deliveries {
        let (mut answers, mut requests) = (Vec::new(), Vec::new());
        let mut all = Deliveries::default();
        for follower in fleet.followers() {
            if follower.behaviour() != Behaviour::Follow {
                continue;
            }
            all.streams += 1;
            let scope = follower.identity().scope;
            let concerned = |concerns: &Concerns| {
                matches!(concerns, Concerns::All) || *concerns == Concerns::Scope(scope)
            };
            all.expected += self
                .changes
                .iter()
                .filter(|(concerns, _)| concerned(concerns))
                .count();
            for delivery in &follower.seen().deliveries {
                let place = |revision: u64| {
                    usize::try_from(revision.saturating_sub(self.start)).unwrap_or_default()
                };
                let carried = self.changes.get(place(delivery.from)..place(delivery.to));
                let carried = carried.unwrap_or_default().iter();
                let before = answers.len();
                for (_, pushed) in carried.filter(|(concerns, _)| concerned(concerns)) {
                    answers.push(since(pushed.received, delivery.at));
                    requests.push(since(pushed.sent, delivery.at));
                }
                all.updates += usize::from(answers.len() > before);
            }
        }
        all.delivered = answers.len();
        all.after_answer = Sample::new(answers);
        all.after_request = Sample::new(requests);
        all
    }
}

fn since(earlier: Instant, later: Instant) -> Duration {
    later.saturating_duration_since(earlier)
}
