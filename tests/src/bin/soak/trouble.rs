//! What happens to streams: they are cut, stop reading, stop acking, or lag, each for a while.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rand::RngExt;
use rand::rngs::StdRng;
use scimesh_tests::load::fleet::Fleet;
use scimesh_tests::load::follower::Behaviour;

/// Troubles at a time at most, of all followers.
const ONE_IN: usize = 10;

/// Who is in trouble, and until when.
#[derive(Debug, Default)]
pub(crate) struct Trouble {
    until: BTreeMap<usize, Instant>,
    counts: BTreeMap<&'static str, usize>,
}

impl Trouble {
    /// One more, and the end of those that are over.
    pub(crate) fn go_on(&mut self, fleet: &Fleet, random: &mut StdRng) -> Result<()> {
        let now = Instant::now();
        let over = self.until.iter().filter(|(_, until)| **until <= now);
        let over: Vec<usize> = over.map(|(place, _)| *place).collect();
        for place in over {
            self.until.remove(&place);
            let follower = fleet.followers().get(place).context("a follower")?;
            follower.behave(Behaviour::Follow);
        }
        let place = random.random_range(0..fleet.followers().len());
        if self.until.len() >= fleet.followers().len().div_ceil(ONE_IN)
            || self.until.contains_key(&place)
        {
            return Ok(());
        }
        let (name, behaviour, most) = match random.random_range(0..10) {
            0..4 => ("cut", Behaviour::Away, 3.0),
            4..7 => ("stopped reading", Behaviour::Stall, 10.0),
            7..8 => ("stopped acking", Behaviour::Mute, 10.0),
            _ => (
                "acked late",
                Behaviour::Lag(Duration::from_millis(700)),
                10.0,
            ),
        };
        let time = Duration::from_secs_f64(random.random_range(0.05..most));
        let follower = fleet.followers().get(place).context("a follower")?;
        follower.behave(behaviour);
        self.until.insert(place, now + time);
        *self.counts.entry(name).or_default() += 1;
        Ok(())
    }

    /// Everybody follows again.
    pub(crate) fn end(&mut self, fleet: &Fleet) {
        self.until.clear();
        for follower in fleet.followers() {
            if follower.behaviour() != Behaviour::Follow {
                follower.behave(Behaviour::Follow);
            }
        }
    }

    /// How often each happened.
    pub(crate) fn counts(&self) -> &BTreeMap<&'static str, usize> {
        &self.counts
    }
}
