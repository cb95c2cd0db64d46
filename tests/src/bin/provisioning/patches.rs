//! One member added to, or removed from, a group of many.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use scimesh_tests::sample::{Sample, ms};

use crate::creates::verdict;
use crate::service::{Service, add, group, remove};

/// For the median.
const BUDGET: Duration = Duration::from_millis(2);

/// Times `pairs` removals, each followed by an addition of the same member, on groups of `sizes` members, in turn, and stops when `limit` is
/// over. One change of each is made in any case.
pub(crate) fn change(
    service: &Service,
    ids: &[String],
    sizes: &[usize],
    pairs: usize,
    limit: Duration,
) -> Result<Vec<(usize, Sample)>> {
    let mut client = service.connect()?;
    let mut groups = Vec::new();
    for size in sizes {
        let members = ids.get(..*size).context("users enough")?;
        let id = client.create("/Groups", &group(&format!("of {size}"), members))?;
        groups.push((members, format!("/Groups/{id}"), Vec::new()));
    }
    let start = Instant::now();
    for change in 0..2 * pairs {
        if change > 0 && start.elapsed() > limit {
            break;
        }
        for (members, path, times) in &mut groups {
            // Anywhere in the group, another one each time.
            let member = members.get(change / 2 * 7919 % members.len());
            let member = member.context("a member")?;
            let body = if change % 2 == 0 {
                remove(member)
            } else {
                add(member)
            };
            let change = client.ask("PATCH", path, &body)?;
            times.push(change.received - change.sent);
        }
    }
    let samples = sizes.iter().copied().zip(groups);
    Ok(samples
        .map(|(size, (_, _, times))| (size, Sample::new(times)))
        .collect())
}

/// Prints them.
pub(crate) fn print(name: &str, samples: &[(usize, Sample)]) {
    for (size, sample) in samples {
        println!(
            "| {name:<38} | {size:>7} | {:>7} | {:>9} | {:>9} |",
            sample.len(),
            ms(sample.percentile(50)),
            ms(sample.percentile(99))
        );
    }
}

/// Prints what is above the lines.
pub(crate) fn title() {
    println!("### PATCH /Groups/…: one member removed or added, one connection\n");
    println!("| {:<38} | members | changes | p50       | p99       |", "");
    println!(
        "|:{:-<38}-|--------:|--------:|----------:|----------:|",
        ""
    );
}

/// Prints whether the budget was met by each of ours.
pub(crate) fn judge(samples: &[(usize, Sample)]) {
    let medians = || samples.iter().map(|(_, sample)| sample.percentile(50));
    let met = medians().all(|median| median <= BUDGET);
    println!(
        "\nBudget: p50 {} at every size: {}",
        ms(BUDGET),
        verdict(met)
    );
    if let (Some(first), Some(last)) = (medians().next(), medians().next_back()) {
        println!(
            "The largest group's p50 is {:.2} times the smallest's.",
            last.as_secs_f64() / first.as_secs_f64()
        );
    }
}
