//! `make run`: all of Scimesh on this machine, doing its job before your eyes.

mod invitation;
mod ports;
mod scenes;
mod stage;

use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use scimesh_tests::artifact;
use tokio::signal::unix::{SignalKind, signal};

use crate::ports::Ports;
use crate::stage::Stage;

/// The first port unless another is asked for; the README's lines name it.
const PORT: u16 = 18080;

/// A feeder, an Envoy with the filter, and a sample company, on loopback.
#[derive(Parser)]
#[command(name = "make run")]
struct Arguments {
    /// First of six ports in a row on 127.0.0.1: proxy, SCIM, feed, feeder's admin, Envoy's admin, upstream.
    #[arg(long, env = "SCIMESH_DEMO_PORT", default_value_t = PORT,
          value_parser = clap::value_parser!(u16).range(1..=65530))]
    port: u16,
    /// Show the scenes and end.
    #[arg(long, env = "SCIMESH_DEMO_ONCE")]
    once: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // For whoever sees this first: what to do, and no backtrace.
            eprintln!("\nmake run: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Result<()> {
    let ports = Ports::new(arguments.port)?;
    // Two can go on at once, on other ports: each has a directory of its own.
    let dir = artifact::root()?.join(match arguments.port {
        PORT => ".run".to_owned(),
        port => format!(".run-{port}"),
    });
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let outcome = tokio::select! {
        outcome = play(&ports, &dir, arguments.once) => outcome,
        _ = interrupt.recv() => Ok(()),
        _ = terminate.recv() => Ok(()),
        _ = hangup.recv() => Ok(()),
    };
    match &outcome {
        Ok(()) if dir.exists() => fs::remove_dir_all(&dir).context("cleaning up")?,
        Ok(()) => {}
        Err(_) => eprintln!("\nThe logs are in {}.", dir.display()),
    }
    outcome
}

async fn play(ports: &Ports, dir: &Path, once: bool) -> Result<()> {
    let mut stage = Stage::set(ports, dir).await?;
    scenes::play(&stage).await?;
    if once {
        stage.envoy.stop().await?;
        return stage.feeder.stop().await;
    }
    invitation::print(&stage, dir)?;
    // Main ends this by dropping it; what is left to watch for is a part that ends by itself.
    loop {
        stage.envoy.process().check()?;
        stage.feeder.process()?.check()?;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}
