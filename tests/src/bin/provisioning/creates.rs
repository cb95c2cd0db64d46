//! Users created one by one, by clients at work at the same time.

use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use anyhow::Result;

use crate::lanes::{Until, create};
use crate::service::Service;

/// Connections at once.
const CONNECTIONS: [usize; 3] = [1, 8, 32];
/// What ours has to be at least, in multiples of the peer, with the most connections.
const BUDGET: f64 = 10.0;

/// A service with the number of its next user.
pub(crate) struct Contestant<'s> {
    pub(crate) name: &'static str,
    pub(crate) service: &'s Service,
    pub(crate) next: AtomicUsize,
}

/// Prints creates a second of ours and of the peers. They take turns, so that what else the machine does meets them all; each ratio is of
/// neighbours in time, and the median of all rounds is what counts.
pub(crate) fn race(
    ours: &Contestant<'_>,
    peers: &[Contestant<'_>],
    rounds: usize,
    turn: Duration,
) -> Result<()> {
    println!(
        "### POST /Users: creates a second, median of {rounds} turns of {turn:?} (lowest to highest)\n"
    );
    print!("| connections | {:<28} |", ours.name);
    peers
        .iter()
        .for_each(|peer| print!(" {:<31} | ratio  |", peer.name));
    print!("\n|------------:|-----------------------------:|");
    peers
        .iter()
        .for_each(|_| print!("--------------------------------:|-------:|"));
    println!();
    for connections in CONNECTIONS {
        let rate = |contestant: &Contestant<'_>| -> Result<f64> {
            let until = Until::Elapsed(turn);
            let created = create(contestant.service, connections, &contestant.next, until)?;
            Ok(created.rate())
        };
        let mut own = Vec::new();
        let mut theirs = vec![(Vec::new(), Vec::new()); peers.len()];
        for _ in 0..rounds {
            let rate_of_ours = rate(ours)?;
            own.push(rate_of_ours);
            for (peer, (rates, ratios)) in peers.iter().zip(&mut theirs) {
                let rate_of_peer = rate(peer)?;
                rates.push(rate_of_peer);
                ratios.push(rate_of_ours / rate_of_peer);
            }
        }
        print!("| {connections:>11} | {:>28} |", spread(&mut own));
        for (rates, ratios) in &mut theirs {
            let ratio = median(ratios);
            print!(" {:>31} | {ratio:>5.1}x |", spread(rates));
        }
        println!();
        if CONNECTIONS.last() == Some(&connections) {
            println!();
            for (peer, (_, ratios)) in peers.iter().zip(&mut theirs) {
                let met = verdict(median(ratios) >= BUDGET);
                println!("Budget at {connections}: {BUDGET}x {}: {met}", peer.name);
            }
        }
    }
    Ok(())
}

/// How a budget is spoken of.
pub(crate) fn verdict(met: bool) -> &'static str {
    if met { "met" } else { "NOT MET" }
}

fn spread(rates: &mut [f64]) -> String {
    let middle = median(rates);
    let (low, high) = (rates.first(), rates.last());
    let (low, high) = (low.unwrap_or(&middle), high.unwrap_or(&middle));
    format!("{middle:.0} ({low:.0} to {high:.0})")
}

/// Sorts, and gives the middle one.
fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
