//! `scimesh extension …`

use std::path::PathBuf;

use clap::Subcommand;

use super::TenantArg;
use super::output::{OutputArg, line};
use crate::admin::client::Client;
use crate::admin::wire::{ListExtensions, RemoveExtension, SetExtension};
use crate::config::{ExtensionForm, read_schema};
use crate::schema::Kind;

#[derive(Debug, Subcommand)]
pub(super) enum ExtensionCommand {
    /// Define a schema that the tenant's users or groups may use, in place of a former one
    Set {
        #[command(flatten)]
        tenant: TenantArg,
        /// What it extends: User or Group
        #[arg(long, env = "SCIMESH_RESOURCE", value_name = "RESOURCE", value_parser = kind)]
        resource: Kind,
        /// The schema as RFC 7643 section 7 shows one, YAML or JSON; - is standard input
        #[arg(long, short, env = "SCIMESH_FILE", value_name = "FILE")]
        file: PathBuf,
    },
    /// List the schemas that the tenant defines
    List {
        #[command(flatten)]
        tenant: TenantArg,
        #[command(flatten)]
        output: OutputArg,
    },
    /// Remove a schema, unless users or groups have values under it
    Remove {
        #[command(flatten)]
        tenant: TenantArg,
        /// Its URN
        urn: String,
    },
}

impl ExtensionCommand {
    pub(super) async fn run(self, client: &Client) -> anyhow::Result<()> {
        match self {
            ExtensionCommand::Set {
                tenant,
                resource,
                file,
            } => {
                let tenant = tenant.tenant;
                let schema = read_schema(&file)?;
                let text = format!("tenant {tenant}: extension {}", schema.urn());
                let extension = ExtensionForm { resource, schema };
                let set = client.call(&SetExtension { tenant, extension }).await?;
                line(&match set.changed {
                    true => format!("{text} set"),
                    false => format!("{text} is so already"),
                })?;
            }
            ExtensionCommand::List { tenant, output } => {
                let tenant = tenant.tenant;
                let rows = client.call(&ListExtensions { tenant }).await?;
                output
                    .output
                    .rows(&rows, ["URN", "RESOURCE", "ATTRIBUTES"], |row| {
                        [
                            row.schema.urn().to_owned(),
                            row.resource.name().to_owned(),
                            row.schema.names().collect::<Vec<_>>().join(" "),
                        ]
                    })?;
            }
            ExtensionCommand::Remove { tenant, urn } => {
                let tenant = tenant.tenant;
                let command = RemoveExtension {
                    tenant: tenant.clone(),
                    urn,
                };
                let removed = client.call(&command).await?;
                line(&format!(
                    "tenant {tenant}: extension {} removed",
                    removed.urn
                ))?;
            }
        }
        Ok(())
    }
}

fn kind(text: &str) -> Result<Kind, String> {
    Kind::named(text).ok_or_else(|| "expected User or Group".to_owned())
}
