//! How a token names a user of a tenant.

use std::fmt;

use crate::wire::{Malformed, v1};

/// The SCIM attribute that a binding's claim is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Attribute {
    /// RFC 7643 section 3.1; compared exactly.
    ExternalId,
    /// RFC 7643 section 4.1.1; compared exactly.
    UserName,
    /// The feeder's own id of the resource.
    Id,
    /// Any of the user's `emails.value`; the token must say `email_verified: true`.
    Email,
}

impl Attribute {
    /// Every attribute, in the order of the documentation.
    pub const ALL: [Attribute; 4] = [
        Attribute::ExternalId,
        Attribute::UserName,
        Attribute::Id,
        Attribute::Email,
    ];

    /// Its name on the wire, in files and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Attribute::ExternalId => "externalId",
            Attribute::UserName => "userName",
            Attribute::Id => "id",
            Attribute::Email => "emails.value",
        }
    }

    /// The inverse of [`as_str`](Self::as_str); `email` and `emails` are accepted for `emails.value`.
    pub fn parse(text: &str) -> Option<Attribute> {
        match text {
            "email" | "emails" => Some(Attribute::Email),
            _ => Attribute::ALL.into_iter().find(|a| a.as_str() == text),
        }
    }
}

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A claim that must have one value, so that tenants can share an issuer: `tid=…`, `org_id=…`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pin {
    /// The claim's name.
    pub claim: String,
    /// Its only admitted value.
    pub value: String,
}

/// A token of `issuer` (with the pinned claim, if any) names the user whose `attribute` equals its `claim`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Binding {
    /// The token's `iss`, to the letter.
    pub issuer: String,
    /// The claim that names the subject.
    pub claim: String,
    /// What it is compared with.
    pub attribute: Attribute,
    /// What else the token must say.
    pub pin: Option<Pin>,
}

impl From<&Binding> for v1::Binding {
    fn from(binding: &Binding) -> Self {
        let (pin_claim, pin_value) = match &binding.pin {
            Some(pin) => (pin.claim.clone(), pin.value.clone()),
            None => Default::default(),
        };
        v1::Binding {
            issuer: binding.issuer.clone(),
            claim: binding.claim.clone(),
            attribute: binding.attribute.as_str().to_owned(),
            pin_claim,
            pin_value,
        }
    }
}

impl TryFrom<v1::Binding> for Binding {
    type Error = Malformed;

    fn try_from(wire: v1::Binding) -> Result<Self, Malformed> {
        if wire.issuer.is_empty() {
            return Err(Malformed::Missing("binding.issuer"));
        }
        if wire.claim.is_empty() {
            return Err(Malformed::Missing("binding.claim"));
        }
        let attribute = Attribute::ALL
            .into_iter()
            .find(|a| a.as_str() == wire.attribute)
            .ok_or(Malformed::Invalid {
                field: "binding.attribute",
                why: "not known to this version",
            })?;
        let pin = match (wire.pin_claim.is_empty(), wire.pin_value.is_empty()) {
            (true, true) => None,
            (false, false) => Some(Pin {
                claim: wire.pin_claim,
                value: wire.pin_value,
            }),
            _ => {
                return Err(Malformed::Invalid {
                    field: "binding.pin",
                    why: "half a pin",
                });
            }
        };
        Ok(Binding {
            issuer: wire.issuer,
            claim: wire.claim,
            attribute,
            pin,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn an_attribute_is_read_by_its_name() {
        for attribute in Attribute::ALL {
            assert_eq!(Attribute::parse(&attribute.to_string()), Some(attribute));
        }
        assert_eq!(Attribute::parse("email"), Some(Attribute::Email));
        for bad in ["", "ID", "externalid", "displayName", " id"] {
            assert_eq!(Attribute::parse(bad), None, "{bad:?}");
        }
    }
}
