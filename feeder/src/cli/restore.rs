//! `scimesh restore`: alone, without a feeder.

use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::BoolishValueParser;

use super::output::line;
use crate::data_dir::DataDir;
use crate::store::{self, Restored};

#[derive(Debug, Args)]
pub(super) struct RestoreArgs {
    /// What `scimesh backup` wrote
    #[arg(required_unless_present = "accept_rollback", conflicts_with_all = ["accept_rollback"])]
    file: Option<PathBuf>,
    /// Put it in the place of the database that is there, which is kept beside it
    #[arg(long, env = "SCIMESH_REPLACE", value_parser = BoolishValueParser::new(), conflicts_with = "accept_rollback")]
    replace: bool,
    /// Instead: go on with the database that is there, although filters have proved that it is an old copy
    #[arg(long, env = "SCIMESH_ACCEPT_ROLLBACK", value_parser = BoolishValueParser::new())]
    accept_rollback: bool,
}

impl RestoreArgs {
    pub(super) fn run(self, data_dir: &Path) -> anyhow::Result<()> {
        let owned = DataDir::own(data_dir)?;
        let restored = match &self.file {
            Some(file) => store::restore(owned.path(), file, self.replace)?,
            None => {
                let accepted = store::accept_rollback(owned.path())?;
                if !accepted.proved {
                    line("no filter had proved that the database is an old copy")?;
                }
                accepted
            }
        };
        Ok(report(&restored)?)
    }
}

fn report(restored: &Restored) -> std::io::Result<()> {
    if let Some(replaced) = &restored.replaced {
        line(&format!("the old database is {}", replaced.path.display()))?;
        if replaced.generation.is_none() {
            line(
                "it could not be read: if filters go on refusing the restored one, its generation was higher, by a clock that was wrong",
            )?;
        }
    }
    for tenant in &restored.frozen {
        line(&format!("tenant {tenant} is frozen in it"))?;
    }
    line(&format!(
        "generation {}, revision {}: proxies take it whole when the feeder runs again",
        restored.generation, restored.revision
    ))?;
    line(
        "tokens that were revoked since, and users, groups and bindings that were removed since, are back: see docs/operations.md",
    )
}
