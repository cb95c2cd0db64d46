//! `scimesh binding …`, and the flags that describe a binding.

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};
use scimesh_proto::binding::Attribute;

use super::TenantArg;
use super::output::{OutputArg, line};
use crate::admin::client::Client;
use crate::admin::wire::{ListBindings, RemoveBindings, SetBinding};
use crate::config::{
    AttributeForm, BindingForm, DEFAULT_ATTRIBUTE, DEFAULT_CLAIM, PinForm, unknown_attribute,
};

#[derive(Debug, Subcommand)]
pub(super) enum BindingCommand {
    /// Set the tenant's binding for one issuer, in place of a former one
    Set {
        #[command(flatten)]
        tenant: TenantArg,
        /// The token's `iss`, to the letter
        #[arg(long, env = "SCIMESH_ISSUER", value_name = "URL", value_parser = NonEmptyStringValueParser::new())]
        issuer: String,
        #[command(flatten)]
        names: NamesArgs,
    },
    /// List the tenant's bindings
    List {
        #[command(flatten)]
        tenant: TenantArg,
        #[command(flatten)]
        which: WhichArgs,
        #[command(flatten)]
        output: OutputArg,
    },
    /// Remove the bindings that `list` with the same flags lists: their tokens name nobody from then on
    Remove {
        #[command(flatten)]
        tenant: TenantArg,
        #[command(flatten)]
        which: WhichArgs,
    },
}

/// Which of a tenant's bindings: those that fit both flags, all of them without either.
#[derive(Debug, Args)]
pub(super) struct WhichArgs {
    /// Only that of this issuer
    #[arg(long, env = "SCIMESH_ISSUER", value_name = "URL")]
    issuer: Option<String>,
    /// Only those with this pin
    #[arg(long, env = "SCIMESH_PIN", value_name = "CLAIM=VALUE", value_parser = pin)]
    pin: Option<PinForm>,
}

/// How the tokens of `--issuer` name a user.
#[derive(Debug, Args)]
pub(super) struct NamesArgs {
    /// The claim that names the user
    #[arg(long, env = "SCIMESH_CLAIM", value_name = "CLAIM", default_value = DEFAULT_CLAIM,
          value_parser = NonEmptyStringValueParser::new(), requires = "issuer")]
    claim: String,
    /// The SCIM attribute that the claim is compared with: externalId, userName, id or emails.value
    #[arg(long, env = "SCIMESH_ATTRIBUTE", value_name = "ATTRIBUTE", default_value_t = DEFAULT_ATTRIBUTE,
          value_parser = attribute, requires = "issuer")]
    attribute: Attribute,
    /// A claim that must have this value too, where tenants share an issuer
    #[arg(long, env = "SCIMESH_PIN", value_name = "CLAIM=VALUE", value_parser = pin, requires = "issuer")]
    pin: Option<PinForm>,
}

impl NamesArgs {
    fn form(self, issuer: String) -> BindingForm {
        BindingForm {
            issuer,
            claim: self.claim,
            attribute: AttributeForm(self.attribute),
            pin: self.pin,
        }
    }
}

/// A binding that need not be given.
#[derive(Debug, Args)]
pub(super) struct OptionalBindingArgs {
    /// The `iss` of the tokens that shall name this tenant's users, to the letter
    #[arg(long, env = "SCIMESH_ISSUER", value_name = "URL", value_parser = NonEmptyStringValueParser::new())]
    issuer: Option<String>,
    #[command(flatten)]
    names: NamesArgs,
}

impl OptionalBindingArgs {
    pub(super) fn form(self) -> Option<BindingForm> {
        self.issuer.map(|issuer| self.names.form(issuer))
    }
}

impl BindingCommand {
    pub(super) async fn run(self, client: &Client) -> anyhow::Result<()> {
        match self {
            BindingCommand::Set {
                tenant,
                issuer,
                names,
            } => {
                let tenant = tenant.tenant;
                let binding = names.form(issuer);
                let text = describe(&binding);
                let set = client
                    .call(&SetBinding {
                        tenant: tenant.clone(),
                        binding,
                    })
                    .await?;
                line(&format!(
                    "tenant {tenant}: {text} (revision {})",
                    set.revision
                ))?;
            }
            BindingCommand::List {
                tenant,
                which,
                output,
            } => {
                let rows = client
                    .call(&ListBindings {
                        tenant: tenant.tenant,
                        issuer: which.issuer,
                        pin: which.pin,
                    })
                    .await?;
                output
                    .output
                    .rows(&rows, ["ISSUER", "CLAIM", "ATTRIBUTE", "PIN"], |row| {
                        [
                            row.issuer.clone(),
                            row.claim.clone(),
                            row.attribute.0.to_string(),
                            row.pin.as_ref().map(pin_text).unwrap_or_default(),
                        ]
                    })?;
            }
            BindingCommand::Remove { tenant, which } => {
                let tenant = tenant.tenant;
                let command = RemoveBindings {
                    tenant: tenant.clone(),
                    issuer: which.issuer,
                    pin: which.pin,
                };
                let answer = client.call(&command).await?;
                for binding in &answer.removed {
                    line(&format!(
                        "tenant {tenant}: tokens of {} name nobody any more (revision {})",
                        binding.issuer, answer.revision
                    ))?;
                }
            }
        }
        Ok(())
    }
}

/// A binding as a sentence.
pub(super) fn describe(binding: &BindingForm) -> String {
    let BindingForm {
        issuer,
        claim,
        attribute,
        pin,
    } = binding;
    let pin = pin
        .as_ref()
        .map(|pin| format!(" with {}", pin_text(pin)))
        .unwrap_or_default();
    format!(
        "claim {claim} of {issuer}{pin} names the user with that {}",
        attribute.0
    )
}

fn pin_text(pin: &PinForm) -> String {
    format!("{}={}", pin.claim, pin.value)
}

fn pin(text: &str) -> Result<PinForm, String> {
    match text.split_once('=') {
        Some((claim, value)) if !claim.is_empty() && !value.is_empty() => Ok(PinForm {
            claim: claim.to_owned(),
            value: value.to_owned(),
        }),
        _ => Err("expected CLAIM=VALUE".to_owned()),
    }
}

fn attribute(text: &str) -> Result<Attribute, String> {
    Attribute::parse(text).ok_or_else(|| unknown_attribute(text))
}
