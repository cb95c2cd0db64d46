//! Gauges of which each VM has a share: a process has a VM per worker and one on its main thread, and all of them write the
//! same gauges. So each adds the difference that its own share has made since it last said so, and takes all of it back at its end.

use std::collections::BTreeMap;

use super::Metrics;

/// What a VM contributes to each gauge, by the gauge's name.
pub(super) type Shares = BTreeMap<String, u64>;

/// The gauges of a VM.
#[derive(Default)]
pub(super) struct Levels {
    gauges: BTreeMap<String, Gauge>,
}

#[derive(Default)]
struct Gauge {
    /// None until the host is first told of it.
    id: Option<u32>,
    /// What the host has of this VM's.
    shown: u64,
}

impl Levels {
    /// From now on the VM's shares are these, and nothing of any other gauge. One gauge that the host does not take holds back no
    /// other; it is tried again the next time.
    pub(super) fn show<M: Metrics>(
        &mut self,
        shares: &Shares,
        metrics: &mut M,
    ) -> Result<(), M::Error> {
        for name in shares.keys() {
            if !self.gauges.contains_key(name) {
                self.gauges.insert(name.clone(), Gauge::default());
            }
        }
        let mut result = Ok(());
        for (name, gauge) in &mut self.gauges {
            let share = shares.get(name).copied().unwrap_or_default();
            result = result.and(gauge.show(name, share, metrics));
        }
        result
    }
}

impl Gauge {
    fn show<M: Metrics>(
        &mut self,
        name: &str,
        share: u64,
        metrics: &mut M,
    ) -> Result<(), M::Error> {
        // Of two numbers below 2^63 the difference is right.
        let change = share.wrapping_sub(self.shown).cast_signed();
        if change == 0 {
            return Ok(());
        }
        let id = match self.id {
            Some(id) => id,
            None => *self.id.insert(metrics.define_gauge(name)?),
        };
        metrics.add(id, change)?;
        self.shown = share;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::Shown;
    use super::*;
    use proptest::prelude::*;

    fn shares() -> impl Strategy<Value = Shares> {
        prop::collection::btree_map("[ab]", 0..1000u64, 0..3)
    }

    proptest! {
        /// Several VMs write the same gauges, and some of the host's calls fail: once they succeed again a gauge is the sum of what
        /// is each VM's, and zero when all VMs have gone.
        #[test]
        fn a_gauge_is_the_sum_of_all_shares(
            steps in prop::collection::vec((0..3usize, shares(), any::<bool>()), 0..50)
        ) {
            let mut host = Shown::default();
            let mut vms: [(Levels, Shares); 3] = Default::default();
            for (vm, share, failing) in steps {
                host.failing = failing;
                let (levels, held) = &mut vms[vm];
                *held = share;
                let _ = levels.show(held, &mut host);
                host.failing = false;
                let mut expected = Shares::new();
                for (levels, held) in &mut vms {
                    levels.show(held, &mut host).unwrap();
                    for (name, value) in held {
                        *expected.entry(name.clone()).or_default() += *value;
                    }
                }
                for (name, value) in host.values() {
                    prop_assert_eq!(value, expected.get(&name).copied().unwrap_or_default());
                }
            }
            for (levels, _) in &mut vms {
                levels.show(&Shares::new(), &mut host).unwrap();
            }
            prop_assert!(host.values().values().all(|value| *value == 0));
        }
    }

    #[test]
    fn a_gauge_that_stays_as_it_is_costs_no_call() {
        let mut levels = Levels::default();
        let mut host = Shown::default();
        let shares = Shares::from([("a".to_owned(), 7), ("nothing".to_owned(), 0)]);
        levels.show(&shares, &mut host).unwrap();
        levels.show(&shares, &mut host).unwrap();
        assert_eq!(host.calls, 2, "defined, and added to");
        assert_eq!(host.values(), Shares::from([("a".to_owned(), 7)]));
    }
}
