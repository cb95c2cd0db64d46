//! What was measured of one contestant, turn by turn, and how it differs from another's.

use std::time::Duration;

use scimesh_tests::sample::Sample;

/// Of one contestant. All have had the same turns, so that the figures of one place were measured within seconds.
#[derive(Default)]
pub(crate) struct Figures {
    /// Processor time of a request, in microseconds.
    cpu: Vec<f64>,
    /// Each turn's median latency, in microseconds.
    medians: Vec<f64>,
    latencies: Vec<Duration>,
}

/// A median, and the quartiles around it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spread {
    pub(crate) low: f64,
    pub(crate) median: f64,
    pub(crate) high: f64,
}

impl Figures {
    /// One more turn.
    pub(crate) fn add(&mut self, cpu: Duration, latencies: Vec<Duration>) {
        self.cpu.push(microseconds(cpu));
        self.latencies.extend(&latencies);
        let median = Sample::new(latencies).percentile(50);
        self.medians.push(microseconds(median));
    }

    /// Processor time of a request.
    pub(crate) fn cpu(&self) -> Spread {
        spread(self.cpu.clone())
    }

    /// What a request takes more of it than `base`'s: the median of the differences, each of neighbours in time.
    pub(crate) fn cpu_over(&self, base: &Figures) -> Spread {
        differences(&self.cpu, &base.cpu)
    }

    /// The same of the median latency.
    pub(crate) fn latency_over(&self, base: &Figures) -> Spread {
        differences(&self.medians, &base.medians)
    }

    /// Of all turns.
    pub(crate) fn latencies(&self) -> Sample {
        Sample::new(self.latencies.clone())
    }
}

pub(crate) fn microseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn differences(ours: &[f64], base: &[f64]) -> Spread {
    spread(
        ours.iter()
            .zip(base)
            .map(|(own, base)| own - base)
            .collect(),
    )
}

fn spread(mut values: Vec<f64>) -> Spread {
    values.sort_by(f64::total_cmp);
    let at = |quarter| {
        let place = values.len().saturating_sub(1) * quarter / 4;
        values.get(place).copied().unwrap_or_default()
    };
    Spread {
        low: at(1),
        median: at(2),
        high: at(3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_that_slows_down_does_not_move_a_difference() {
        let (mut ours, mut base) = (Figures::default(), Figures::default());
        for slower in 0..5 {
            base.add(
                Duration::from_micros(50 + 10 * slower),
                vec![Duration::from_micros(100)],
            );
            ours.add(
                Duration::from_micros(57 + 10 * slower),
                vec![Duration::from_micros(130)],
            );
        }
        let cpu = ours.cpu_over(&base);
        assert!(
            (cpu.low - 7.0).abs() < 1e-6 && (cpu.high - 7.0).abs() < 1e-6,
            "{cpu:?}"
        );
        assert!((ours.latency_over(&base).median - 30.0).abs() < 1e-6);
        assert!((base.cpu().median - 70.0).abs() < 1e-6);
    }
}
