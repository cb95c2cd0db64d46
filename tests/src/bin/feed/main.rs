//! `make bench-feed`: from a SCIM write to thousands of proxies, and what they cost the feeder.

mod front;
mod giant;
mod million;
mod rates;
mod stage;
mod storm;

use anyhow::{Result, ensure};
use clap::{Parser, ValueEnum};
use scimesh_tests::budget::Budgets;
use scimesh_tests::load::staff::Plan;
use scimesh_tests::{artifact, machine};

use stage::Stage;

/// From a SCIM write to thousands of proxies, and what they cost the feeder
#[derive(Parser)]
pub(crate) struct Arguments {
    /// Numbers of streams
    #[arg(long, value_delimiter = ',', default_values_t = [1, 100, 2000, 5000])]
    streams: Vec<usize>,
    /// Numbers of scopes that they share
    #[arg(long, value_delimiter = ',', default_values_t = [1, 200])]
    scopes: Vec<usize>,
    /// HTTP/2 connections at most that they share: few, as a sidecar before the feeder has them, or as many as streams
    #[arg(long, default_value_t = 5000)]
    connections: usize,
    /// Changes a second
    #[arg(long, default_value_t = 50)]
    rate: u32,
    /// Seconds of them
    #[arg(long, default_value_t = 8)]
    seconds: u64,
    /// Users
    #[arg(long, default_value_t = 20_000)]
    users: u32,
    /// Users in the group that is far larger than the others
    #[arg(long, default_value_t = 100_000)]
    giant: u32,
    /// Users in the largest directory, with 20 memberships each
    #[arg(long, default_value_t = 1_000_000)]
    most_users: u32,
    /// Only these parts
    #[arg(long, value_delimiter = ',', default_values = ["rates", "readers", "storm", "giant"])]
    parts: Vec<Part>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Commit to ack, with all numbers of streams and scopes
    Rates,
    /// Slow and stopped readers
    Readers,
    /// Everybody comes back after SIGKILL
    Storm,
    /// A group of 100,000 comes, is renamed, and goes
    Giant,
    /// Memory, and time to be ready, with a million users
    Million,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    ensure!(
        arguments.streams.iter().all(|streams| *streams > 0)
            && arguments.scopes.iter().all(|scopes| *scopes > 0)
            && arguments.seconds > 0,
        "too little to say anything"
    );
    println!("## The feed\n\n{}", machine::description()?);
    println!(
        "The streams' other ends share these processors with the feeder. Load of the machine before this: {}.",
        machine::load()?
    );
    let dir = artifact::scratch()?;
    let mut budgets = Budgets::default();
    let wanted = |part| arguments.parts.contains(&part);
    if [Part::Rates, Part::Readers, Part::Storm]
        .into_iter()
        .any(wanted)
    {
        let plan = Plan {
            users: arguments.users,
            groups: 400,
            memberships: arguments.users as usize * 20,
            seed: 1,
        };
        let mut stage = Stage::set(&dir.path().join("rates"), &plan).await?;
        if wanted(Part::Rates) {
            rates::measure(&mut stage, &arguments, &mut budgets).await?;
        }
        if wanted(Part::Readers) {
            rates::bad_readers(
                &mut stage,
                &dir.path().join("front"),
                &arguments,
                &mut budgets,
            )
            .await?;
        }
        if wanted(Part::Storm) {
            storm::measure(&mut stage, &arguments, &mut budgets).await?;
        }
        stage.feeder.stop().await?;
    }
    if wanted(Part::Giant) {
        giant::measure(&dir.path().join("giant"), &arguments, &mut budgets).await?;
    }
    if wanted(Part::Million) {
        million::measure(&dir.path().join("million"), &arguments, &mut budgets).await?;
    }
    budgets.print();
    Ok(())
}
