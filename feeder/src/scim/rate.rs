//! How often a token may be used: a bucket each, refilled at a steady rate.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use super::error::Error;
use super::limits::{Limit, Limits};
use crate::directory::TokenHash;

/// Requests after which buckets that are full again are forgotten, those of revoked tokens among them.
const TIDY: usize = 1024;

/// The buckets. There is one only for a token that opens a tenant: whoever guesses tokens fills no memory.
#[derive(Debug)]
pub(crate) struct Rate {
    tokens: Option<DefaultKeyedRateLimiter<TokenHash>>,
    /// Log lines about refusals, by tenant.
    lines: DefaultKeyedRateLimiter<Arc<str>>,
    clock: DefaultClock,
    asked: AtomicUsize,
    limits: Limits,
}

/// A request that came too soon.
#[derive(Debug)]
pub(crate) struct TooSoon {
    /// What the client is told.
    pub(crate) error: Error,
    /// Whether it is worth a log line: one a second of a tenant is.
    pub(crate) logged: bool,
}

impl Rate {
    pub(crate) fn new(limits: Limits) -> Rate {
        let number = |value: usize| NonZeroU32::new(u32::try_from(value).unwrap_or(u32::MAX));
        let tokens = number(limits.requests_per_second).map(|rate| {
            let burst = number(limits.requests_burst).unwrap_or(NonZeroU32::MIN);
            RateLimiter::keyed(Quota::per_second(rate).allow_burst(burst))
        });
        Rate {
            tokens,
            lines: RateLimiter::keyed(Quota::per_second(NonZeroU32::MIN)),
            clock: DefaultClock::default(),
            asked: AtomicUsize::new(0),
            limits,
        }
    }

    /// Counts a request with this token, which opens this tenant.
    pub(crate) fn count(&self, token: TokenHash, tenant: &Arc<str>) -> Result<(), TooSoon> {
        let Some(tokens) = &self.tokens else {
            return Ok(());
        };
        if self.asked.fetch_add(1, Ordering::Relaxed) % TIDY == TIDY - 1 {
            tokens.retain_recent();
            self.lines.retain_recent();
        }
        tokens.check_key(&token).map_err(|early| TooSoon {
            error: Error::TooOften {
                limit: Limit::RequestsPerSecond.exceeded(self.limits.requests_per_second),
                retry_after: whole_seconds(early.wait_time_from(self.clock.now())),
            },
            logged: self.lines.check_key(tenant).is_ok(),
        })
    }
}

/// Rounded up, and at least one: whoever comes back after it is let in.
fn whole_seconds(wait: Duration) -> u64 {
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(per_second: usize, burst: usize) -> Rate {
        Rate::new(Limits {
            requests_per_second: per_second,
            requests_burst: burst,
            ..Limits::default()
        })
    }

    #[test]
    fn beyond_the_burst_a_token_is_told_when_to_come_back_and_others_are_not_held_up() {
        let rate = rate(1, 3);
        let (corp, token) = (Arc::from("corp"), TokenHash::of("a"));
        for _ in 0..3 {
            assert!(rate.count(token, &corp).is_ok());
        }
        let first = rate.count(token, &corp).unwrap_err();
        assert!(matches!(
            first.error,
            Error::TooOften { retry_after: 1, .. }
        ));
        assert!(first.logged);
        assert!(!rate.count(token, &corp).unwrap_err().logged);
        assert!(rate.count(TokenHash::of("b"), &corp).is_ok());
    }

    #[test]
    fn tokens_that_are_not_used_are_forgotten() {
        let rate = rate(1_000_000, 1);
        let corp = Arc::from("corp");
        for number in 0..10 * TIDY {
            let token = TokenHash::of(&number.to_string());
            assert!(rate.count(token, &corp).is_ok());
        }
        assert!(rate.tokens.as_ref().unwrap().len() <= 2 * TIDY);
    }

    #[test]
    fn without_a_rate_there_is_no_bound() {
        let rate = rate(0, 1);
        let corp = Arc::from("corp");
        assert!((0..100_000).all(|_| rate.count(TokenHash::of("a"), &corp).is_ok()));
    }

    #[test]
    fn waiting_is_told_in_seconds_and_never_too_short() {
        for (wait, seconds) in [(0, 1), (1, 1), (1000, 1), (1001, 2), (59_999, 60)] {
            assert_eq!(whole_seconds(Duration::from_millis(wait)), seconds);
        }
    }
}
