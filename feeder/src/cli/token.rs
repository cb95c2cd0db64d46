//! `scimesh token …`

use std::time::Duration;

use clap::Subcommand;

use super::TenantArg;
use super::output::{OutputArg, line};
use crate::admin::client::Client;
use crate::admin::wire::{CreateToken, ListTokens, RevokeToken};

#[derive(Debug, Subcommand)]
pub(super) enum TokenCommand {
    /// Create a token and print it, alone, on standard output: it is shown this once
    Create {
        #[command(flatten)]
        tenant: TenantArg,
        /// How long it is valid, such as 90d or 12h; without it, until it is revoked
        #[arg(long, env = "SCIMESH_EXPIRES", value_name = "DURATION", value_parser = lifetime)]
        expires: Option<Duration>,
    },
    /// List the tenant's tokens by id; the tokens themselves are not stored
    List {
        #[command(flatten)]
        tenant: TenantArg,
        #[command(flatten)]
        output: OutputArg,
    },
    /// Revoke a token: the next request with it is refused
    Revoke {
        #[command(flatten)]
        tenant: TenantArg,
        /// Its id, as listed
        id: String,
    },
}

impl TokenCommand {
    pub(super) async fn run(self, client: &Client) -> anyhow::Result<()> {
        match self {
            TokenCommand::Create { tenant, expires } => {
                let tenant = tenant.tenant;
                let lifetime_seconds = expires.map(|expires| expires.as_secs());
                let command = CreateToken {
                    tenant: tenant.clone(),
                    lifetime_seconds,
                };
                let made = client.call(&command).await?;
                line(&made.token)?;
                let until = match &made.expires {
                    Some(time) => format!("valid until {time}"),
                    None => "valid until revoked".to_owned(),
                };
                eprintln!(
                    "token {} of tenant {tenant}, {until}; it is not shown again",
                    made.id
                );
            }
            TokenCommand::List { tenant, output } => {
                let rows = client
                    .call(&ListTokens {
                        tenant: tenant.tenant,
                    })
                    .await?;
                output
                    .output
                    .rows(&rows, ["ID", "CREATED", "EXPIRES"], |row| {
                        let expires = row.expires.as_deref().unwrap_or("never");
                        let expired = if row.expired { " (expired)" } else { "" };
                        [
                            row.id.clone(),
                            row.created.clone(),
                            format!("{expires}{expired}"),
                        ]
                    })?;
            }
            TokenCommand::Revoke { tenant, id } => {
                let tenant = tenant.tenant;
                client
                    .call(&RevokeToken {
                        tenant: tenant.clone(),
                        id: id.clone(),
                    })
                    .await?;
                line(&format!("token {id} of tenant {tenant} revoked"))?;
            }
        }
        Ok(())
    }
}

fn lifetime(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(lifetime) if lifetime.as_secs() == 0 => Err("shorter than a second".to_owned()),
        Ok(lifetime) => Ok(lifetime),
        Err(error) => Err(error.to_string()),
    }
}
