//! `scimesh apply`

use std::path::PathBuf;

use clap::Args;
use clap::builder::BoolishValueParser;

use super::binding::describe;
use super::output::{self, Output, OutputArg, line};
use crate::admin::client::Client;
use crate::admin::wire::{Applied, Apply, Change};
use crate::config::Desired;

#[derive(Debug, Args)]
pub(super) struct ApplyArgs {
    /// YAML or JSON; - is standard input
    #[arg(long, short, env = "SCIMESH_FILE", value_name = "FILE")]
    file: PathBuf,
    /// Delete the tenants that the file does not name, with all that is theirs
    #[arg(long, env = "SCIMESH_PRUNE", value_parser = BoolishValueParser::new())]
    prune: bool,
    /// Change nothing, and print what would be changed
    #[arg(long, env = "SCIMESH_DRY_RUN", value_parser = BoolishValueParser::new())]
    dry_run: bool,
    #[command(flatten)]
    output: OutputArg,
}

impl ApplyArgs {
    pub(super) async fn run(self, client: &Client) -> anyhow::Result<()> {
        let desired = Desired::read(&self.file)?;
        let command = Apply {
            desired,
            prune: self.prune,
            dry_run: self.dry_run,
        };
        let applied = client.call(&command).await?;
        match self.output.output {
            Output::Json => output::json(&applied)?,
            Output::Table => report(&applied, self.dry_run)?,
        }
        Ok(())
    }
}

fn report(applied: &Applied, dry_run: bool) -> std::io::Result<()> {
    for change in &applied.changes {
        line(&match change {
            Change::TenantCreated { tenant } => format!("tenant {tenant}: created"),
            Change::TenantDeleted { tenant } => format!("tenant {tenant}: deleted"),
            Change::BindingSet { tenant, binding } => {
                format!("tenant {tenant}: {}", describe(binding))
            }
            Change::BindingRemoved {
                tenant,
                issuer,
                trust_domain,
            } => {
                let whose = match (issuer, trust_domain) {
                    (Some(issuer), _) => format!("tokens of {issuer}"),
                    (None, name) => format!("workloads of {}", name.as_deref().unwrap_or_default()),
                };
                format!("tenant {tenant}: {whose} name nobody any more")
            }
            Change::ExtensionSet { tenant, urn } => format!("tenant {tenant}: extension {urn} set"),
            Change::ExtensionRemoved { tenant, urn } => {
                format!("tenant {tenant}: extension {urn} removed")
            }
            Change::FeedAccessAdded { rule } => format!("feed access added: {}", rule.describe()),
            Change::FeedAccessRemoved { rule } => {
                format!("feed access removed: {}", rule.describe())
            }
        })?;
    }
    if dry_run && !applied.changes.is_empty() {
        let count = applied.changes.len();
        return line(&format!(
            "nothing was changed: this is what --dry-run says would be ({count})"
        ));
    }
    match applied.changes.len() {
        1 => line(&format!("1 change (revision {})", applied.revision)),
        0 => line(&format!(
            "nothing to change (revision {})",
            applied.revision
        )),
        count => line(&format!("{count} changes (revision {})", applied.revision)),
    }
}
