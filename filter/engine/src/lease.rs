//! How long a filter may go on deciding without hearing that it is current.

use std::time::Duration;

/// One instant on two clocks, each since its own origin.
///
/// The monotonic clock can't be set, but may stand still while the machine sleeps; the wall clock goes on, but can be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Moment {
    /// Since an origin of the clock's own choice.
    pub monotonic: Duration,
    /// Since the Unix epoch.
    pub wall: Duration,
}

/// Runs from the sending of the last ping whose answer showed that the filter was current. The default was never renewed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lease {
    renewed: Option<Moment>,
    /// How long it lasts at most, whatever a policy admits; none: as long as that.
    told: Option<Duration>,
}

impl Lease {
    /// The filter was current when it sent this ping. An older ping than the one that counts changes nothing.
    pub fn renew(&mut self, ping_sent: Moment) {
        self.renew_with(ping_sent, None);
    }

    /// The same, and the ping told the feeder that the lease lasts so long. The feeder counts on that: a policy that comes later and admits more has it from
    /// the next ping on.
    pub fn renew_for(&mut self, ping_sent: Moment, told: Duration) {
        self.renew_with(ping_sent, Some(told));
    }

    fn renew_with(&mut self, ping_sent: Moment, told: Option<Duration>) {
        if self
            .renewed
            .is_none_or(|old| old.monotonic <= ping_sent.monotonic)
        {
            self.renewed = Some(ping_sent);
            self.told = told;
        }
    }

    /// How long ago that was, by whichever clock says longer. None if it never was.
    pub fn age(&self, now: Moment) -> Option<Duration> {
        let renewed = self.renewed?;
        let monotonic = now.monotonic.saturating_sub(renewed.monotonic);
        // A wall clock that was set back says zero here, and the other one counts.
        let wall = now.wall.saturating_sub(renewed.wall);
        Some(monotonic.max(wall))
    }

    /// Whether it is younger than `max_staleness`, and than what was told of it.
    pub(crate) fn holds(&self, now: Moment, max_staleness: Duration) -> bool {
        let longest = self.length(max_staleness);
        self.age(now).is_some_and(|age| age < longest)
    }

    /// The age at which it ends for who may go by it for `max_staleness`: no later than what was told of it.
    pub fn length(&self, max_staleness: Duration) -> Duration {
        self.told
            .map_or(max_staleness, |told| told.min(max_staleness))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn at(monotonic: u64, wall: u64) -> Moment {
        Moment {
            monotonic: Duration::from_secs(monotonic),
            wall: Duration::from_secs(wall),
        }
    }

    #[test]
    fn a_lease_that_was_never_renewed_does_not_hold() {
        let lease = Lease::default();
        assert_eq!(lease.age(at(0, 0)), None);
        assert!(!lease.holds(at(0, 0), Duration::MAX));
    }

    #[test]
    fn it_ends_when_its_time_is_up_and_not_a_moment_later() {
        let mut lease = Lease::default();
        lease.renew(at(10, 1000));
        assert!(lease.holds(at(39, 1029), Duration::from_secs(30)));
        assert!(!lease.holds(at(40, 1030), Duration::from_secs(30)));
    }

    #[test]
    fn it_does_not_outlast_what_the_feeder_was_told() {
        let mut lease = Lease::default();
        lease.renew_for(at(10, 1000), Duration::from_secs(30));
        assert!(lease.holds(at(39, 1029), Duration::MAX));
        assert!(!lease.holds(at(40, 1030), Duration::from_secs(300)));
        assert!(!lease.holds(at(20, 1010), Duration::from_secs(10)));
        lease.renew_for(at(20, 1010), Duration::from_secs(300));
        lease.renew_for(at(10, 1000), Duration::from_secs(900));
        assert!(lease.holds(at(319, 1309), Duration::from_secs(300)));
        assert!(!lease.holds(at(320, 1310), Duration::from_secs(900)));
    }

    #[test]
    fn a_late_answer_to_an_old_ping_extends_nothing() {
        let mut lease = Lease::default();
        lease.renew(at(20, 1010));
        lease.renew(at(10, 1000));
        assert_eq!(lease.age(at(25, 1015)), Some(Duration::from_secs(5)));
    }

    #[test]
    fn setting_the_wall_clock_back_extends_nothing() {
        let mut lease = Lease::default();
        lease.renew(at(10, 1000));
        assert_eq!(lease.age(at(50, 500)), Some(Duration::from_secs(40)));
    }

    #[test]
    fn a_machine_that_slept_finds_its_lease_ended() {
        let mut lease = Lease::default();
        lease.renew(at(10, 1000));
        assert_eq!(lease.age(at(11, 4600)), Some(Duration::from_secs(3600)));
    }
}
