//! `scimesh backup`

use std::path::PathBuf;

use clap::Args;

use super::output::{self, Output, OutputArg, line};
use crate::admin::client::Client;
use crate::admin::wire::Backup;

#[derive(Debug, Args)]
pub(super) struct BackupArgs {
    /// Where the feeder writes it; a file that is not there yet
    file: PathBuf,
    #[command(flatten)]
    output: OutputArg,
}

impl BackupArgs {
    pub(super) async fn run(self, client: &Client) -> anyhow::Result<()> {
        // The feeder has a working directory of its own.
        let file = std::path::absolute(&self.file)?;
        let written = client.call(&Backup { file }).await?;
        match self.output.output {
            Output::Json => output::json(&written)?,
            Output::Table => line(&format!(
                "{}: generation {}, revision {}, {} bytes",
                self.file.display(),
                written.generation,
                written.revision,
                written.bytes
            ))?,
        }
        Ok(())
    }
}
