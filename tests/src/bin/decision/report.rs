//! The tables.

use scimesh_tests::sample::Sample;

use crate::Entry;
use crate::calls::{Calls, Counts};
use crate::figures::{Figures, Spread, microseconds};

/// A figure that is held against another one.
pub(crate) struct Budget {
    pub(crate) figure: String,
    pub(crate) measured: f64,
    pub(crate) limit: String,
    pub(crate) at_most: f64,
}

/// Each contestant's costs, and what it adds to `base`'s.
pub(crate) fn costs(entries: &[Entry<'_>], base: &Figures) {
    println!(
        "| {:<38} | CPU a request | adds (quartiles)        | p50    | p90    | p99    | p99.9  | p50 adds (quartiles)    |",
        "µs"
    );
    println!(
        "|:{:-<38}-|--------------:|------------------------:|-------:|-------:|-------:|-------:|------------------------:|",
        ""
    );
    for Entry {
        contestant,
        figures,
    } in entries
    {
        let name = contestant.name();
        let latencies = figures.latencies();
        let [p50, p90, p99, p999] = [500, 900, 990, 999].map(|rank| per_mille(&latencies, rank));
        println!(
            "| {name:<38} | {:>13.1} | {:>23} | {p50:>6.0} | {p90:>6.0} | {p99:>6.0} | {p999:>6.0} | {:>23} |",
            figures.cpu().median,
            spread(figures.cpu_over(base)),
            spread(figures.latency_over(base)),
        );
    }
    println!();
}

fn per_mille(latencies: &Sample, rank: usize) -> f64 {
    microseconds(latencies.per_mille(rank))
}

fn spread(spread: Spread) -> String {
    let Spread { low, median, high } = spread;
    format!("{median:.1} ({low:.1} to {high:.1})")
}

/// Figures beside their budgets, and which fall short.
pub(crate) fn budgets(budgets: &[Budget]) {
    println!(
        "| {:<36} | measured, µs | {:<36} | at most, µs |         |",
        "", "budget"
    );
    println!(
        "|:{:-<36}-|-------------:|:{:-<36}-|------------:|:--------|",
        "", ""
    );
    for budget in budgets {
        println!(
            "| {:<36} | {:>12.1} | {:<36} | {:>11.1} | {:<7} |",
            budget.figure,
            budget.measured,
            budget.limit,
            budget.at_most,
            if budget.met() { "met" } else { "NOT MET" }
        );
    }
    println!();
    for budget in budgets.iter().filter(|budget| !budget.met()) {
        println!(
            "Falls short: {}: {:.1} µs too much for {} ({:.2} times that).",
            budget.figure,
            budget.measured - budget.at_most,
            budget.limit,
            budget.measured / budget.at_most
        );
    }
    if budgets.iter().all(Budget::met) {
        println!("All budgets are met.");
    }
    println!();
}

impl Budget {
    fn met(&self) -> bool {
        self.measured <= self.at_most
    }
}

/// What one allowed request costs each of these filters in calls.
pub(crate) fn calls(filters: &[(&str, Calls)]) {
    table("calls from the filter to the host", filters, |calls| {
        &calls.to_host
    });
    table("calls from the host into the filter", filters, |calls| {
        &calls.to_filter
    });
}

fn table(title: &str, filters: &[(&str, Calls)], part: impl Fn(&Calls) -> &Counts) {
    print!("| {title:<36} |");
    filters.iter().for_each(|(name, _)| print!(" {name:>22} |"));
    print!("\n|:{:-<36}-|", "");
    filters.iter().for_each(|_| print!("{:->23}:|", ""));
    println!();
    let mut names: Vec<&str> = Vec::new();
    for (_, calls) in filters {
        for (name, _) in &part(calls).0 {
            if !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
    }
    for name in names {
        row(name, filters, |calls| part(calls).of(name));
    }
    row("all", filters, |calls| part(calls).sum());
    println!();
}

fn row(name: &str, filters: &[(&str, Calls)], count: impl Fn(&Calls) -> usize) {
    print!("| {name:<36} |");
    for (_, calls) in filters {
        print!(" {:>22} |", count(calls));
    }
    println!();
}
