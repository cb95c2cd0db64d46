//! `scimesh freeze` and `scimesh unfreeze`

use clap::Args;
use clap::builder::BoolishValueParser;

use super::output::{self, Output, OutputArg, line};
use crate::admin::client::Client;
use crate::admin::wire::{Freeze, TermShift, Unfreeze, Unfrozen};

#[derive(Debug, Args)]
pub(super) struct FreezeArgs {
    /// The tenant
    tenant: String,
    #[command(flatten)]
    output: OutputArg,
}

#[derive(Debug, Args)]
pub(super) struct UnfreezeArgs {
    /// The tenant
    tenant: String,
    /// Do it, and not only show what it would change
    #[arg(long, env = "SCIMESH_YES", value_parser = BoolishValueParser::new())]
    yes: bool,
    #[command(flatten)]
    output: OutputArg,
}

/// What would have been done was only shown.
#[derive(Debug, thiserror::Error)]
#[error("nothing was done: --yes does it")]
pub(super) struct OnlyShown;

impl FreezeArgs {
    pub(super) async fn run(self, client: &Client) -> anyhow::Result<()> {
        let tenant = self.tenant;
        let frozen = client
            .call(&Freeze {
                tenant: tenant.clone(),
            })
            .await?;
        match self.output.output {
            Output::Json => output::json(&frozen)?,
            Output::Table => line(&format!(
                "tenant {tenant} is frozen at revision {}: what is stored from now on is not published, removals neither",
                frozen.revision
            ))?,
        }
        Ok(())
    }
}

impl UnfreezeArgs {
    pub(super) async fn run(self, client: &Client) -> anyhow::Result<()> {
        let command = Unfreeze {
            tenant: self.tenant.clone(),
            really: self.yes,
        };
        let unfrozen = client.call(&command).await?;
        match self.output.output {
            Output::Json => output::json(&unfrozen)?,
            Output::Table => report(&self.tenant, &unfrozen)?,
        }
        match unfrozen.revision {
            Some(_) => Ok(()),
            None => Err(OnlyShown.into()),
        }
    }
}

fn report(tenant: &str, unfrozen: &Unfrozen) -> std::io::Result<()> {
    let frozen = &unfrozen.frozen;
    line(&format!(
        "tenant {tenant}: frozen at revision {} since {}",
        frozen.revision, frozen.since
    ))?;
    if unfrozen.scopes == 0 {
        line("no proxy follows the tenant now, so nothing can be said of its users")?;
    } else if unfrozen.terms.is_empty() {
        line("of what proxies ask for now, nobody gains or loses anything")?;
    } else {
        let head = ["TERM", "GAIN IT", "LOSE IT", "NOTE"];
        Output::Table.rows(&unfrozen.terms, head, |shift| {
            let gain = shift.gain.to_string();
            [
                shift.term.clone(),
                gain,
                shift.lose.to_string(),
                note(shift),
            ]
        })?;
    }
    match unfrozen.revision {
        Some(revision) => line(&format!("unfrozen (revision {revision})")),
        None => Ok(()),
    }
}

fn note(shift: &TermShift) -> String {
    match shift.from == shift.to {
        true => String::new(),
        false => format!("was {}, will be {}", shift.from, shift.to),
    }
}
