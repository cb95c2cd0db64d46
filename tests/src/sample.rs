//! Measured times, and what is said of them.

use std::time::Duration;

/// Times of one thing, measured again and again.
#[derive(Debug, Clone, Default)]
pub struct Sample {
    sorted: Vec<Duration>,
}

impl Sample {
    /// Of these times, in any order.
    pub fn new(mut times: Vec<Duration>) -> Sample {
        times.sort_unstable();
        Sample { sorted: times }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.sorted.len()
    }

    /// Whether nothing was measured.
    pub fn is_empty(&self) -> bool {
        self.sorted.is_empty()
    }

    /// The smallest time that at least `percent` percent of all do not exceed; zero of none.
    pub fn percentile(&self, percent: usize) -> Duration {
        self.per_mille(percent * 10)
    }

    /// The same of a thousand.
    pub fn per_mille(&self, per_mille: usize) -> Duration {
        let rank = (self.sorted.len() * per_mille).div_ceil(1000);
        let time = self.sorted.get(rank.saturating_sub(1));
        time.copied().unwrap_or_default()
    }
}

/// In milliseconds, for people.
pub fn ms(time: Duration) -> String {
    let ms = time.as_secs_f64() * 1000.0;
    match ms {
        ..100.0 => format!("{ms:.2} ms"),
        ..10_000.0 => format!("{ms:.0} ms"),
        _ => format!("{:.1} s", ms / 1000.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_a_time_that_was_measured() {
        let times = (1..=200).rev().map(Duration::from_millis).collect();
        let sample = Sample::new(times);
        let percentiles = [0, 50, 99, 100].map(|percent| sample.percentile(percent).as_millis());
        assert_eq!(percentiles, [1, 100, 198, 200]);
        assert_eq!(sample.per_mille(994).as_millis(), 199);
        assert_eq!(Sample::default().percentile(50), Duration::ZERO);
    }
}
