//! A binding as files, the command line and the administration socket write it.

use scimesh_proto::binding::{Attribute, Binding, GroupName, GroupsClaim, Pin, Source};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

/// The claim that names the subject where nobody says another.
pub const DEFAULT_CLAIM: &str = "sub";

/// The attribute that it is compared with where nobody says another.
pub const DEFAULT_ATTRIBUTE: Attribute = Attribute::ExternalId;

/// A [`Binding`] whose parts make sense together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Fields", into = "Fields")]
pub struct BindingForm(pub Binding);

/// Its fields: an `issuer`, or a `trustDomain`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Fields {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    issuer: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    claim: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trust_domain: Option<String>,
    #[serde(default)]
    attribute: AttributeForm,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    ignore_case: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pin: Option<PinForm>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    groups_claim: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    groups_claim_is: Option<GroupNameForm>,
}

/// A [`Pin`] as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PinForm {
    /// The claim's name.
    #[serde(deserialize_with = "not_empty")]
    pub claim: String,
    /// Its only admitted value.
    #[serde(deserialize_with = "not_empty")]
    pub value: String,
}

/// An [`Attribute`] by its name; [`DEFAULT_ATTRIBUTE`] where nothing is said.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "&'static str")]
struct AttributeForm(Attribute);

impl Default for AttributeForm {
    fn default() -> Self {
        AttributeForm(DEFAULT_ATTRIBUTE)
    }
}

impl TryFrom<String> for AttributeForm {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let attribute = Attribute::parse(&text).ok_or_else(|| unknown_attribute(&text))?;
        Ok(AttributeForm(attribute))
    }
}

impl From<AttributeForm> for &'static str {
    fn from(form: AttributeForm) -> Self {
        form.0.as_str()
    }
}

/// A [`GroupName`] by its name.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "&'static str")]
struct GroupNameForm(GroupName);

impl TryFrom<String> for GroupNameForm {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let is = GroupName::parse(&text)
            .ok_or_else(|| format!("groupsClaimIs: {}", unknown_group_name(&text)))?;
        Ok(GroupNameForm(is))
    }
}

impl From<GroupNameForm> for &'static str {
    fn from(form: GroupNameForm) -> Self {
        form.0.as_str()
    }
}

impl TryFrom<Fields> for BindingForm {
    type Error = String;

    fn try_from(fields: Fields) -> Result<Self, String> {
        let source = match (fields.issuer, fields.trust_domain) {
            (None, None) => return Err("issuer or trustDomain is missing".to_owned()),
            (Some(_), Some(_)) => {
                return Err("issuer and trustDomain: a binding has one of them".to_owned());
            }
            (Some(issuer), None) => Source::Token {
                issuer: filled("issuer", issuer)?,
                claim: match fields.claim {
                    Some(claim) => filled("claim", claim)?,
                    None => DEFAULT_CLAIM.to_owned(),
                },
                pin: fields.pin.map(Pin::from),
                groups: match (fields.groups_claim, fields.groups_claim_is) {
                    (None, None) => None,
                    (Some(claim), Some(GroupNameForm(is))) => Some(GroupsClaim {
                        claim: filled("groupsClaim", claim)?,
                        is,
                    }),
                    (Some(_), None) => {
                        return Err("groupsClaimIs is missing beside groupsClaim".to_owned());
                    }
                    (None, Some(_)) => {
                        return Err("groupsClaim is missing beside groupsClaimIs".to_owned());
                    }
                },
            },
            (None, Some(trust_domain)) => {
                let of_tokens = [
                    ("claim", fields.claim.is_some()),
                    ("pin", fields.pin.is_some()),
                    ("groupsClaim", fields.groups_claim.is_some()),
                    ("groupsClaimIs", fields.groups_claim_is.is_some()),
                ];
                if let Some((field, _)) = of_tokens.into_iter().find(|(_, there)| *there) {
                    return Err(format!("{field} means nothing beside trustDomain"));
                }
                Source::Workload { trust_domain }
            }
        };
        let binding = Binding {
            source,
            attribute: fields.attribute.0,
            ignore_case: fields.ignore_case,
        };
        match binding.check() {
            Ok(()) => Ok(BindingForm(binding)),
            Err((field, why)) => Err(format!("{field}: {why}")),
        }
    }
}

impl From<BindingForm> for Fields {
    fn from(BindingForm(binding): BindingForm) -> Self {
        let mut fields = Fields {
            issuer: None,
            claim: None,
            trust_domain: None,
            attribute: AttributeForm(binding.attribute),
            ignore_case: binding.ignore_case,
            pin: None,
            groups_claim: None,
            groups_claim_is: None,
        };
        match binding.source {
            Source::Token {
                issuer,
                claim,
                pin,
                groups,
            } => {
                fields.issuer = Some(issuer);
                fields.claim = Some(claim);
                fields.pin = pin.map(PinForm::from);
                if let Some(GroupsClaim { claim, is }) = groups {
                    fields.groups_claim = Some(claim);
                    fields.groups_claim_is = Some(GroupNameForm(is));
                }
            }
            Source::Workload { trust_domain } => fields.trust_domain = Some(trust_domain),
        }
        fields
    }
}

impl From<Pin> for PinForm {
    fn from(pin: Pin) -> Self {
        PinForm {
            claim: pin.claim,
            value: pin.value,
        }
    }
}

impl From<PinForm> for Pin {
    fn from(form: PinForm) -> Self {
        Pin {
            claim: form.claim,
            value: form.value,
        }
    }
}

fn filled(field: &str, text: String) -> Result<String, String> {
    match text.is_empty() {
        true => Err(format!("{field} must not be empty")),
        false => Ok(text),
    }
}

fn not_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    match text.is_empty() {
        true => Err(D::Error::custom("must not be empty")),
        false => Ok(text),
    }
}

/// What to tell somebody who wrote this for an attribute.
pub fn unknown_attribute(text: &str) -> String {
    let known: Vec<&str> = Attribute::ALL.iter().map(|a| a.as_str()).collect();
    format!(
        "`{text}` is no attribute that a binding can refer to: use one of {}",
        known.join(", ")
    )
}

/// What to tell somebody who wrote this for what a token calls a group.
pub fn unknown_group_name(text: &str) -> String {
    let known: Vec<&str> = GroupName::ALL.iter().map(|is| is.as_str()).collect();
    format!(
        "`{text}` is nothing that tokens can list groups by: use one of {}",
        known.join(", ")
    )
}
