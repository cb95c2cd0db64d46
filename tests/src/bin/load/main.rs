//! Load for a deployment of one's own: a directory, the pushes of an identity provider, and proxies that need no Envoy.
//! `docs/sizing.md` says how to use it.

mod directory;
mod push;
mod streams;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Load for a deployment of one's own
#[derive(Parser)]
struct Load {
    #[command(subcommand)]
    tool: Tool,
}

#[derive(Subcommand)]
enum Tool {
    /// Put a company into a new data directory, for `scimesh serve` to start with
    Directory(directory::Arguments),
    /// Push what happens at that company to a running feeder
    Push(push::Arguments),
    /// Follow the feed as so many filters do, and say how they fare
    Streams(streams::Arguments),
}

#[tokio::main]
async fn main() -> Result<()> {
    match Load::parse().tool {
        Tool::Directory(arguments) => directory::run(&arguments).await,
        Tool::Push(arguments) => push::run(&arguments),
        Tool::Streams(arguments) => streams::run(&arguments).await,
    }
}
