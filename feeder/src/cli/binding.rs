//! `scimesh binding …`, and the flags that describe a binding.

use clap::builder::{BoolishValueParser, NonEmptyStringValueParser};
use clap::{Args, Subcommand};
use scimesh_proto::binding::{Attribute, Binding, GroupName, GroupsClaim, Pin, Source};

use super::TenantArg;
use super::output::{OutputArg, line};
use crate::admin::client::Client;
use crate::admin::wire::{ListBindings, RemoveBindings, SetBinding};
use crate::config::{
    BindingForm, DEFAULT_ATTRIBUTE, DEFAULT_CLAIM, PinForm, unknown_attribute, unknown_group_name,
};

#[derive(Debug, Subcommand)]
pub(super) enum BindingCommand {
    /// Set the tenant's binding for one issuer or trust domain, in place of a former one
    Set {
        #[command(flatten)]
        tenant: TenantArg,
        #[command(flatten)]
        source: SourceArgs,
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
    /// Remove the bindings that `list` with the same flags lists: their tokens and workloads name nobody from then on
    Remove {
        #[command(flatten)]
        tenant: TenantArg,
        #[command(flatten)]
        which: WhichArgs,
    },
}

/// Which of a tenant's bindings: those that fit all flags, all of them without any.
#[derive(Debug, Args)]
pub(super) struct WhichArgs {
    /// Only that of this issuer
    #[arg(long, env = "SCIMESH_ISSUER", value_name = "URL")]
    issuer: Option<String>,
    /// Only that of this trust domain
    #[arg(long, env = "SCIMESH_TRUST_DOMAIN", value_name = "NAME", conflicts_with_all = ["issuer", "pin"])]
    trust_domain: Option<String>,
    /// Only those with this pin
    #[arg(long, env = "SCIMESH_PIN", value_name = "CLAIM=VALUE", value_parser = pin)]
    pin: Option<PinForm>,
}

/// Who vouches for the names.
#[derive(Debug, Args)]
#[group(required = true)]
pub(super) struct SourceArgs {
    /// The token's `iss`, to the letter
    #[arg(long, env = "SCIMESH_ISSUER", value_name = "URL", value_parser = NonEmptyStringValueParser::new())]
    issuer: Option<String>,
    /// The trust domain of workloads, such as cluster.local: the user is named by the whole SPIFFE id
    #[arg(long, env = "SCIMESH_TRUST_DOMAIN", value_name = "NAME", conflicts_with_all = ["issuer", "claim", "pin", "ignore_case", "groups_claim", "groups_claim_is"])]
    trust_domain: Option<String>,
}

/// How the tokens of `--issuer`, or the workloads of a trust domain, name a user.
#[derive(Debug, Args)]
pub(super) struct NamesArgs {
    /// The claim that names the user
    #[arg(long, env = "SCIMESH_CLAIM", value_name = "CLAIM", default_value = DEFAULT_CLAIM,
          value_parser = NonEmptyStringValueParser::new(), requires = "issuer")]
    claim: String,
    /// The SCIM attribute that it is compared with: externalId, userName, id or emails.value; of workloads one of the first two
    #[arg(long, env = "SCIMESH_ATTRIBUTE", value_name = "ATTRIBUTE", default_value_t = DEFAULT_ATTRIBUTE,
          value_parser = attribute)]
    attribute: Attribute,
    /// Compare a userName or an email without regard to the case of ASCII letters
    #[arg(long, env = "SCIMESH_IGNORE_CASE", value_parser = BoolishValueParser::new(), requires = "issuer")]
    ignore_case: bool,
    /// A claim that must have this value too, where tenants share an issuer
    #[arg(long, env = "SCIMESH_PIN", value_name = "CLAIM=VALUE", value_parser = pin, requires = "issuer")]
    pin: Option<PinForm>,
    /// The claim in which tokens list groups, for `scimesh drift` to tell where they differ from the directory; decides nothing
    #[arg(long, env = "SCIMESH_GROUPS_CLAIM", value_name = "CLAIM", value_parser = NonEmptyStringValueParser::new(), requires_all = ["issuer", "groups_claim_is"])]
    groups_claim: Option<String>,
    /// What it lists groups by: displayName or externalId
    #[arg(long, env = "SCIMESH_GROUPS_CLAIM_IS", value_name = "ATTRIBUTE", value_parser = group_name, requires_all = ["issuer", "groups_claim"])]
    groups_claim_is: Option<GroupName>,
}

impl NamesArgs {
    fn of_issuer(self, issuer: String) -> anyhow::Result<BindingForm> {
        let source = Source::Token {
            issuer,
            claim: self.claim,
            pin: self.pin.map(Pin::from),
            groups: self
                .groups_claim
                .zip(self.groups_claim_is)
                .map(|(claim, is)| GroupsClaim { claim, is }),
        };
        checked(source, self.attribute, self.ignore_case)
    }

    fn of_source(self, source: SourceArgs) -> anyhow::Result<BindingForm> {
        match (source.issuer, source.trust_domain) {
            (Some(issuer), _) => self.of_issuer(issuer),
            (None, trust_domain) => {
                let trust_domain = trust_domain.unwrap_or_default();
                checked(Source::Workload { trust_domain }, self.attribute, false)
            }
        }
    }
}

fn checked(source: Source, attribute: Attribute, ignore_case: bool) -> anyhow::Result<BindingForm> {
    let binding = Binding {
        source,
        attribute,
        ignore_case,
    };
    match binding.check() {
        Ok(()) => Ok(BindingForm(binding)),
        Err((field, why)) => anyhow::bail!("{field}: {why}"),
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
    pub(super) fn form(self) -> anyhow::Result<Option<BindingForm>> {
        let issuer = self.issuer;
        issuer
            .map(|issuer| self.names.of_issuer(issuer))
            .transpose()
    }
}

impl BindingCommand {
    pub(super) async fn run(self, client: &Client) -> anyhow::Result<()> {
        match self {
            BindingCommand::Set {
                tenant,
                source,
                names,
            } => {
                let tenant = tenant.tenant;
                let binding = names.of_source(source)?;
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
                        trust_domain: which.trust_domain,
                        pin: which.pin,
                    })
                    .await?;
                output.output.rows(
                    &rows,
                    ["OF", "CLAIM", "ATTRIBUTE", "PIN", "GROUPS"],
                    |row| {
                        let BindingForm(binding) = row;
                        let attribute = attribute_text(binding);
                        match &binding.source {
                            Source::Token {
                                issuer,
                                claim,
                                pin,
                                groups,
                            } => [
                                issuer.clone(),
                                claim.clone(),
                                attribute,
                                pin.as_ref().map(pin_text).unwrap_or_default(),
                                groups.as_ref().map(groups_text).unwrap_or_default(),
                            ],
                            Source::Workload { trust_domain } => [
                                format!("spiffe://{trust_domain}"),
                                String::new(),
                                attribute,
                                String::new(),
                                String::new(),
                            ],
                        }
                    },
                )?;
            }
            BindingCommand::Remove { tenant, which } => {
                let tenant = tenant.tenant;
                let command = RemoveBindings {
                    tenant: tenant.clone(),
                    issuer: which.issuer,
                    trust_domain: which.trust_domain,
                    pin: which.pin,
                };
                let answer = client.call(&command).await?;
                for BindingForm(binding) in &answer.removed {
                    let whose = match &binding.source {
                        Source::Token { issuer, .. } => format!("tokens of {issuer}"),
                        Source::Workload { trust_domain } => format!("workloads of {trust_domain}"),
                    };
                    line(&format!(
                        "tenant {tenant}: {whose} name nobody any more (revision {})",
                        answer.revision
                    ))?;
                }
            }
        }
        Ok(())
    }
}

/// A binding as a sentence.
pub(super) fn describe(BindingForm(binding): &BindingForm) -> String {
    let attribute = attribute_text(binding);
    match &binding.source {
        Source::Token {
            issuer,
            claim,
            pin,
            groups,
        } => {
            let pin = pin.as_ref().map(|pin| format!(" with {}", pin_text(pin)));
            let pin = pin.unwrap_or_default();
            let groups = groups.as_ref().map(|GroupsClaim { claim, is }| {
                format!(", and claim {claim} lists groups by their {is}")
            });
            let groups = groups.unwrap_or_default();
            format!("claim {claim} of {issuer}{pin} names the user with that {attribute}{groups}")
        }
        Source::Workload { trust_domain } => {
            format!("a SPIFFE id of {trust_domain} names the user with that {attribute}")
        }
    }
}

fn attribute_text(binding: &Binding) -> String {
    let case = match binding.ignore_case {
        true => " (in any case)",
        false => "",
    };
    format!("{}{case}", binding.attribute)
}

fn pin_text(pin: &Pin) -> String {
    format!("{}={}", pin.claim, pin.value)
}

fn groups_text(GroupsClaim { claim, is }: &GroupsClaim) -> String {
    format!("{claim} by {is}")
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

pub(super) fn attribute(text: &str) -> Result<Attribute, String> {
    Attribute::parse(text).ok_or_else(|| unknown_attribute(text))
}

fn group_name(text: &str) -> Result<GroupName, String> {
    GroupName::parse(text).ok_or_else(|| unknown_group_name(text))
}
