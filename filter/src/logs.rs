//! Lines in Envoy's log that requests or a flapping feeder can cause, as many as somebody can read.
//!
//! Of each subject a few lines come at once and then one now and then, which says how many were left out before it.

use std::cell::RefCell;
use std::time::Duration;

use proxy_wasm::types::LogLevel;

use crate::host;

/// What a line is about. Many of one leave room for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subject {
    /// The host refused a call.
    Host,
    /// The feed's streams come and go.
    Stream,
    /// Updates are refused.
    Update,
}

/// Lines of one subject that may come at once.
const AT_ONCE: u32 = 5;
/// The time for which one more line uses up the room.
const EACH: Duration = Duration::from_secs(10);

thread_local! {
    static LIMITS: RefCell<[Limit; 3]> = RefCell::default();
}

/// Writes a line, unless there were too many of the subject.
pub(crate) fn write(subject: Subject, level: LogLevel, line: &str) {
    // Without a clock, as if no time passed.
    let now = host::now().map_or(Duration::ZERO, |now| now.monotonic);
    let admitted = LIMITS.with_borrow_mut(|limits| {
        let limit = limits.get_mut(subject as usize);
        limit.and_then(|limit| limit.admit(now))
    });
    match admitted {
        None => {}
        Some(0) => host::log(level, &format!("scimesh: {line}")),
        Some(n) => host::log(
            level,
            &format!("scimesh: {line} ({n} lines like it left out)"),
        ),
    }
}

/// The lines of one subject: after [`AT_ONCE`] of them, one each [`EACH`].
#[derive(Debug, Default)]
struct Limit {
    /// When all of its room is free again.
    free: Duration,
    left_out: u64,
}

impl Limit {
    /// Whether a line may be written at `now`: then how many were left out since the last one.
    fn admit(&mut self, now: Duration) -> Option<u64> {
        let free = self.free.max(now);
        if free - now > EACH * (AT_ONCE - 1) {
            self.left_out += 1;
            return None;
        }
        self.free = free + EACH;
        Some(std::mem::take(&mut self.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_few_lines_come_at_once_and_then_one_now_and_then() {
        let mut limit = Limit::default();
        let mut written = |seconds| limit.admit(at(seconds));
        let burst: Vec<_> = (0..8).map(|_| written(100)).collect();
        let [first @ .., _, _, _] = burst.as_slice() else {
            panic!("eight");
        };
        assert_eq!(first, [Some(0); 5]);
        assert_eq!(burst[5..], [None; 3]);
        assert_eq!(written(109), None);
        assert_eq!(written(110), Some(4), "and says what was left out");
        assert_eq!(written(111), None);
        assert_eq!(written(120), Some(1));
    }

    #[test]
    fn who_was_silent_for_a_while_may_say_a_few_again() {
        let mut limit = Limit::default();
        for _ in 0..100 {
            limit.admit(at(0));
        }
        assert_eq!(limit.admit(at(50)), Some(95));
        let more: Vec<_> = (0..5).map(|_| limit.admit(at(50))).collect();
        assert_eq!(more, [Some(0), Some(0), Some(0), Some(0), None]);
    }
}
