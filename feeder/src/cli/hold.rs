//! `scimesh hold …`

use clap::Subcommand;
use scimesh_proto::binding::Attribute;

use super::TenantArg;
use super::binding::attribute;
use super::output::{OutputArg, line};
use crate::admin::client::Client;
use crate::admin::wire::{EndHold, ListHolds};

#[derive(Debug, Subcommand)]
pub(super) enum HoldCommand {
    /// List the userNames and emails that somebody has and that are held, because somebody else lost them
    List {
        #[command(flatten)]
        tenant: TenantArg,
        #[command(flatten)]
        output: OutputArg,
    },
    /// End the hold of a name, in every spelling: from then on it names whoever has it
    Release {
        #[command(flatten)]
        tenant: TenantArg,
        /// Which name it is: userName or emails.value
        #[arg(long, env = "SCIMESH_ATTRIBUTE", value_name = "ATTRIBUTE", value_parser = attribute)]
        attribute: Attribute,
        /// The name
        #[arg(long, env = "SCIMESH_VALUE", value_name = "NAME")]
        value: String,
    },
}

impl HoldCommand {
    pub(super) async fn run(self, client: &Client) -> anyhow::Result<()> {
        match self {
            HoldCommand::List { tenant, output } => {
                let tenant = tenant.tenant;
                let rows = client.call(&ListHolds { tenant }).await?;
                let head = ["ATTRIBUTE", "VALUE", "USER", "LOST", "UNTIL"];
                output.output.rows(&rows, head, |row| {
                    [
                        row.attribute.clone(),
                        row.value.clone(),
                        row.user.to_string(),
                        row.lost.clone(),
                        row.until.clone(),
                    ]
                })?;
            }
            HoldCommand::Release {
                tenant,
                attribute,
                value,
            } => {
                let tenant = tenant.tenant;
                let command = EndHold {
                    tenant: tenant.clone(),
                    attribute: attribute.as_str().to_owned(),
                    value: value.clone(),
                };
                let done = client.call(&command).await?;
                line(&format!(
                    "tenant {tenant}: {attribute} {value} is held no longer (revision {})",
                    done.revision
                ))?;
            }
        }
        Ok(())
    }
}
