//! `scimesh tenant …`

use clap::Subcommand;

use super::binding::OptionalBindingArgs;
use super::output::{OutputArg, line};
use crate::admin::client::Client;
use crate::admin::wire::{CreateTenant, DeleteTenant, ListTenants};

#[derive(Debug, Subcommand)]
pub(super) enum TenantCommand {
    /// Create a tenant, with its first binding if --issuer is given
    Create {
        /// Its name
        name: String,
        #[command(flatten)]
        binding: OptionalBindingArgs,
    },
    /// List every tenant, or the one named
    List {
        /// Only this one
        name: Option<String>,
        #[command(flatten)]
        output: OutputArg,
    },
    /// Delete a tenant with its users, groups, bindings and tokens, without asking
    Delete {
        /// Its name
        name: String,
    },
}

impl TenantCommand {
    pub(super) async fn run(self, client: &Client) -> anyhow::Result<()> {
        match self {
            TenantCommand::Create { name, binding } => {
                let binding = binding.form()?;
                let made = client
                    .call(&CreateTenant {
                        name: name.clone(),
                        binding,
                    })
                    .await?;
                line(&format!(
                    "tenant {name} created (revision {})",
                    made.revision
                ))?;
            }
            TenantCommand::List { name, output } => {
                let rows = client.call(&ListTenants { name }).await?;
                let head = ["NAME", "USERS", "GROUPS", "BINDINGS", "TOKENS", "FROZEN"];
                output.output.rows(&rows, head, |row| {
                    [
                        row.name.clone(),
                        row.users.to_string(),
                        row.groups.to_string(),
                        row.bindings.to_string(),
                        row.tokens.to_string(),
                        row.frozen.as_ref().map_or(String::new(), |frozen| {
                            format!("at revision {} since {}", frozen.revision, frozen.since)
                        }),
                    ]
                })?;
            }
            TenantCommand::Delete { name } => {
                let deleted = client.call(&DeleteTenant { name }).await?;
                let had = deleted.had;
                line(&format!(
                    "tenant {} deleted with {} users, {} groups, {} bindings and {} tokens (revision {})",
                    had.name, had.users, had.groups, had.bindings, had.tokens, deleted.revision,
                ))?;
            }
        }
        Ok(())
    }
}
