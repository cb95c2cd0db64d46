//! Where log lines go: standard error, for people or as JSON.

use std::io::IsTerminal as _;

use clap::{Args, ValueEnum};
use tracing_subscriber::EnvFilter;

#[derive(Debug, Args)]
pub(super) struct LogArgs {
    /// For people, or one JSON object a line
    #[arg(
        long,
        env = "SCIMESH_LOG_FORMAT",
        value_name = "FORMAT",
        default_value = "text"
    )]
    log_format: LogFormat,
    /// error, warn, info, debug or trace, also by module as in scimesh_feeder::feed=debug; RUST_LOG if absent, then info
    #[arg(long, env = "SCIMESH_LOG_LEVEL", value_name = "LEVEL")]
    log_level: Option<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum LogFormat {
    /// For people
    Text,
    /// For collectors
    Json,
}

impl LogArgs {
    /// From here on, what is traced is written.
    pub(super) fn start(&self) -> anyhow::Result<()> {
        let filter = match &self.log_level {
            Some(level) => EnvFilter::try_new(level)?,
            None => EnvFilter::try_from_default_env().or_else(|_| EnvFilter::try_new("info"))?,
        };
        let lines = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(std::io::stderr)
            .with_ansi(std::io::stderr().is_terminal())
            // It would complain on standard error, by a macro that panics if that fails too: on a full disk, each line
            // of the log would cost a request.
            .log_internal_errors(false);
        let started = match self.log_format {
            LogFormat::Text => lines.try_init(),
            LogFormat::Json => lines.json().flatten_event(true).try_init(),
        };
        started.map_err(|error| anyhow::anyhow!("cannot log: {error}"))
    }
}
