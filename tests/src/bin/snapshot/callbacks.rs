//! How long the filter keeps a thread of Envoy's at a time, by Envoy's own trace of every call into it: the trace is written
//! meanwhile, so the truth is less.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use scimesh_tests::sample::Sample;

/// The callbacks in which content comes, or is worked in.
const CALLBACKS: [&str; 2] = ["proxy_on_grpc_receive", "proxy_on_tick"];

/// A callback that is under way on one thread: its name, when it began, and how deep the host has come back since.
struct Inside<'a> {
    name: &'a str,
    began: Duration,
    depth: usize,
}

/// Of the log of an Envoy: how long each callback took.
pub(crate) fn times(log: &str) -> Result<Sample> {
    let mut threads: BTreeMap<&str, Inside<'_>> = BTreeMap::new();
    let mut times = Vec::new();
    for line in log.lines() {
        let Some((time, thread)) = head(line) else {
            continue;
        };
        if let Some((_, call)) = line.split_once("[host->vm] ") {
            let name = call.split('(').next().unwrap_or_default();
            let began = clock(time).context("a time of day")?;
            threads
                .entry(thread)
                .and_modify(|inside| inside.depth += 1)
                .or_insert(Inside {
                    name,
                    began,
                    depth: 1,
                });
        } else if line.contains("[host<-vm] ")
            && let Some(inside) = threads.get_mut(thread)
        {
            inside.depth -= 1;
            if inside.depth == 0 {
                if CALLBACKS.contains(&inside.name) {
                    let ended = clock(time).context("a time of day")?;
                    times.push(ended.saturating_sub(inside.began));
                }
                threads.remove(thread);
            }
        }
    }
    Ok(Sample::new(times))
}

/// `[2026-01-31 12:34:56.123456][77][trace][wasm] …`: time and thread.
fn head(line: &str) -> Option<(&str, &str)> {
    let mut parts = line.strip_prefix('[')?.split("][");
    Some((parts.next()?, parts.next()?))
}

/// Since midnight. A callback over midnight takes no time at all.
fn clock(time: &str) -> Option<Duration> {
    let (_, clock) = time.split_once(' ')?;
    let mut parts = clock.split([':', '.']);
    let mut next = || parts.next()?.parse::<u64>().ok();
    let (hours, minutes, seconds, micros) = (next()?, next()?, next()?, next()?);
    let seconds = Duration::from_secs((hours * 60 + minutes) * 60 + seconds);
    Some(seconds + Duration::from_micros(micros))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callback_lasts_until_its_own_return_not_that_of_a_call_within() {
        let log = "\
            [2026-01-31 12:00:00.000100][1][trace][wasm] [x] [host->vm] proxy_on_tick(2)\n\
            [2026-01-31 12:00:00.000150][2][trace][wasm] [x] [host->vm] proxy_on_request_headers(3, 4, 1)\n\
            [2026-01-31 12:00:00.000200][1][trace][wasm] [x] [vm->host] env.proxy_get_property(1)\n\
            [2026-01-31 12:00:00.000300][1][trace][wasm] [x] [host->vm] proxy_on_memory_allocate(9)\n\
            [2026-01-31 12:00:00.000400][1][trace][wasm] [x] [host<-vm] proxy_on_memory_allocate return: 7\n\
            [2026-01-31 12:00:00.000500][2][trace][wasm] [x] [host<-vm] proxy_on_request_headers return: 0\n\
            [2026-01-31 12:00:01.000100][1][trace][wasm] [x] [host<-vm] proxy_on_tick return: void\n";
        let times = times(log).unwrap();
        assert_eq!(times.len(), 1);
        assert_eq!(times.percentile(100), Duration::from_secs(1));
    }
}
