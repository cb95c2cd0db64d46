//! What goes back and forth between Envoy and a filter for one request, by Envoy's own trace of it.

use std::iter;

use anyhow::{Context, Result, ensure};

/// Names in the order of their first appearance, and how often each appears.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Counts(pub(crate) Vec<(String, usize)>);

/// Of one request.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Calls {
    /// What the filter asks of Envoy.
    pub(crate) to_host: Counts,
    /// Where Envoy enters the filter, also from within those.
    pub(crate) to_filter: Counts,
}

impl Counts {
    fn count(&mut self, name: &str) {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, count)) => *count += 1,
            None => self.0.push((name.to_owned(), 1)),
        }
    }

    pub(crate) fn of(&self, name: &str) -> usize {
        let known = self.0.iter().find(|(known, _)| known == name);
        known.map_or(0, |(_, count)| *count)
    }

    pub(crate) fn sum(&self) -> usize {
        self.0.iter().map(|(_, count)| count).sum()
    }
}

/// One line of the trace.
#[derive(Debug, PartialEq)]
struct Line<'a> {
    thread: &'a str,
    step: Step<'a>,
}

#[derive(Debug, PartialEq)]
enum Step<'a> {
    IntoFilter { name: &'a str, context: &'a str },
    OutOfFilter,
    ToHost { name: &'a str },
}

/// The last request in Envoy's log. What the filter does meanwhile for itself, on ticks and on messages of its feed, is
/// not the request's.
pub(crate) fn of_last_request(log: &str) -> Result<Calls> {
    let lines: Vec<Line<'_>> = log.lines().filter_map(line).collect();
    let last = lines.iter().rev().find_map(|line| match line.step {
        Step::IntoFilter {
            name: "proxy_on_request_headers",
            context,
        } => Some((line.thread, context)),
        _ => None,
    });
    let (thread, request) = last.context("no request in Envoy's trace")?;
    let mut calls = Calls::default();
    let mut inside: Vec<&str> = Vec::new();
    for line in lines.iter().filter(|line| line.thread == thread) {
        match line.step {
            Step::IntoFilter { name, context } => {
                // Within a call to the host the host comes back for memory: the first argument is a size then.
                inside.push(inside.first().copied().unwrap_or(context));
                if inside.first() == Some(&request) {
                    calls.to_filter.count(name);
                }
            }
            Step::OutOfFilter => {
                inside.pop().context("a return without a call")?;
            }
            Step::ToHost { name } => {
                if inside.first() == Some(&request) {
                    calls.to_host.count(name);
                }
            }
        }
    }
    ensure!(
        calls.to_filter.of("proxy_on_delete") == 1,
        "Envoy's trace ends before the request does"
    );
    Ok(calls)
}

/// `[time][thread][trace][wasm] [file] [host->vm] proxy_on_log(5)`, or None if it is no such line.
fn line(text: &str) -> Option<Line<'_>> {
    let thread = text.strip_prefix('[')?.split("][").nth(1)?;
    let steps = ["[host->vm] ", "[host<-vm] ", "[vm->host] "];
    let (step, rest) = steps
        .into_iter()
        .zip(iter::repeat(text))
        .find_map(|(step, text)| Some((step, text.split_once(step)?.1)))?;
    let step = match step {
        "[host->vm] " => {
            let (name, arguments) = rest.split_once('(')?;
            let context = arguments.split([',', ')']).next()?;
            Step::IntoFilter { name, context }
        }
        "[host<-vm] " => Step::OutOfFilter,
        _ => {
            let (name, _) = rest.split_once('(')?;
            // `env.` or WASI's module; both are the host.
            let name = name.rsplit_once('.').map_or(name, |(_, name)| name);
            Step::ToHost { name }
        }
    };
    Some(Line { thread, step })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(lines: &[&str]) -> String {
        let line = |line: &&str| {
            let (thread, rest) = line.split_once(' ').unwrap();
            format!("[2026-01-01 00:00:00.000][{thread}][trace][wasm] [wasm_vm.cc:39] {rest}\n")
        };
        lines.iter().map(line).collect()
    }

    #[test]
    fn only_the_last_request_counts_and_what_the_filter_does_for_itself_does_not() {
        let log = trace(&[
            "7 [host->vm] proxy_on_request_headers(2, 11, 1)",
            "7 [vm->host] env.proxy_get_property(1, 65, 1, 1)",
            "7 [vm<-host] env.proxy_get_property return: 0",
            "7 [host<-vm] proxy_on_request_headers return: 0",
            "7 [host->vm] proxy_on_context_create(3, 1)",
            "7 [host<-vm] proxy_on_context_create return: void",
            "7 [host->vm] proxy_on_request_headers(3, 11, 1)",
            "7 [vm->host] env.proxy_get_property(1, 65, 1, 1)",
            "9 [host->vm] proxy_on_tick(3)",
            "7 [host->vm] proxy_on_memory_allocate(24)",
            "7 [host<-vm] proxy_on_memory_allocate return: 1103120",
            "7 [vm<-host] env.proxy_get_property return: 0",
            "7 [vm->host] wasi_snapshot_preview1.clock_time_get(1, 1, 1)",
            "7 [host<-vm] proxy_on_request_headers return: 0",
            "7 [host->vm] proxy_on_tick(1)",
            "7 [vm->host] env.proxy_record_metric(3, 1)",
            "7 [host->vm] proxy_on_memory_allocate(3)",
            "7 [host<-vm] proxy_on_memory_allocate return: 1",
            "7 [host<-vm] proxy_on_tick return: void",
            "7 [host->vm] proxy_on_delete(3)",
            "7 [host<-vm] proxy_on_delete return: void",
        ]);
        let counts = |names: &[&str]| Counts(names.iter().map(|n| (n.to_string(), 1)).collect());
        let expected = Calls {
            to_host: counts(&["proxy_get_property", "clock_time_get"]),
            to_filter: counts(&[
                "proxy_on_context_create",
                "proxy_on_request_headers",
                "proxy_on_memory_allocate",
                "proxy_on_delete",
            ]),
        };
        assert_eq!(of_last_request(&log).unwrap(), expected);
    }

    #[test]
    fn a_log_without_a_whole_request_is_an_error() {
        assert!(of_last_request("[2026][7][warning][main] hello\n").is_err());
        assert!(
            of_last_request(&trace(&["7 [host->vm] proxy_on_request_headers(3, 11, 1)"])).is_err()
        );
    }
}
