//! How a token, or a workload's certificate, names a user of a tenant.

use std::borrow::Cow;
use std::fmt;

use crate::spiffe;
use crate::wire::{Malformed, v1};

/// The SCIM attribute that a binding's claim is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Attribute {
    /// RFC 7643 section 3.1; compared exactly.
    ExternalId,
    /// RFC 7643 section 4.1.1; compared exactly unless the binding ignores case.
    UserName,
    /// The feeder's own id of the resource.
    Id,
    /// Any of the user's `emails.value`, compared exactly unless the binding ignores case; the token must say
    /// `email_verified: true`.
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

/// Where tokens list their user's groups, and by what. Nothing is decided by it: it tells by how much tokens and directory differ.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupsClaim {
    /// The claim's name.
    pub claim: String,
    /// What it lists.
    pub is: GroupName,
}

/// What a token calls a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GroupName {
    /// RFC 7643 section 4.2, as in the terms `group:…`.
    DisplayName,
    /// RFC 7643 section 3.1, as in the terms `groupExternalId:…`.
    ExternalId,
}

impl GroupName {
    /// Both, in the order of the documentation.
    pub const ALL: [GroupName; 2] = [GroupName::DisplayName, GroupName::ExternalId];

    /// Its name on the wire, in files and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            GroupName::DisplayName => "displayName",
            GroupName::ExternalId => "externalId",
        }
    }

    /// The inverse of [`as_str`](Self::as_str).
    pub fn parse(text: &str) -> Option<GroupName> {
        GroupName::ALL.into_iter().find(|is| is.as_str() == text)
    }
}

impl fmt::Display for GroupName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How somebody who asks names a user of the tenant: the user whose `attribute` equals what the `source` gives.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Binding {
    /// Where the name comes from.
    pub source: Source,
    /// What it is compared with.
    pub attribute: Attribute,
    /// Whether ASCII letters are compared without regard to case. Only of a userName or an email in a token.
    pub ignore_case: bool,
}

/// Who vouches for a name, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// A verified token.
    Token {
        /// Its `iss`, to the letter.
        issuer: String,
        /// The claim that names the subject.
        claim: String,
        /// What else it must say.
        pin: Option<Pin>,
        /// Where it lists groups, if anybody wants to know.
        groups: Option<GroupsClaim>,
    },
    /// The certificate of an mTLS peer: its whole SPIFFE id is the name.
    Workload {
        /// The id's trust domain, such as `cluster.local`.
        trust_domain: String,
    },
}

/// Whom a binding's names are believed of. A tenant has one binding at most for each.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Voucher {
    /// The issuer of tokens.
    Issuer(String),
    /// The trust domain of workloads.
    TrustDomain(String),
}

impl fmt::Display for Voucher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Voucher::Issuer(issuer) => write!(f, "the issuer {issuer}"),
            Voucher::TrustDomain(name) => write!(f, "the trust domain {name}"),
        }
    }
}

impl Binding {
    /// Whom its names are believed of.
    pub fn voucher(&self) -> Voucher {
        match &self.source {
            Source::Token { issuer, .. } => Voucher::Issuer(issuer.clone()),
            Source::Workload { trust_domain } => Voucher::TrustDomain(trust_domain.clone()),
        }
    }

    /// A name in the form in which it is compared.
    pub fn canonical<'n>(&self, name: &'n [u8]) -> Cow<'n, [u8]> {
        if self.ignore_case && name.iter().any(u8::is_ascii_uppercase) {
            Cow::Owned(name.to_ascii_lowercase())
        } else {
            Cow::Borrowed(name)
        }
    }

    /// Whether it names by the same as another one whom that names: at most where tokens list groups is not the same.
    pub fn names_like(&self, other: &Binding) -> bool {
        let named = |binding: &Binding| {
            let mut binding = binding.clone();
            if let Source::Token { groups, .. } = &mut binding.source {
                *groups = None;
            }
            binding
        };
        named(self) == named(other)
    }

    /// The issuer whose tokens it is for, if it is for tokens.
    pub fn issuer(&self) -> Option<&str> {
        match &self.source {
            Source::Token { issuer, .. } => Some(issuer),
            Source::Workload { .. } => None,
        }
    }

    /// The trust domain whose workloads it is for, if it is for workloads.
    pub fn trust_domain(&self) -> Option<&str> {
        match &self.source {
            Source::Token { .. } => None,
            Source::Workload { trust_domain } => Some(trust_domain),
        }
    }

    /// Whether its parts make sense together; the error is the part and what is wrong with it. A SPIFFE id tells case apart, and is neither an
    /// email nor an id of ours; an `id` and an `externalId` are exact (RFC 7643 section 3.1).
    pub fn check(&self) -> Result<(), (&'static str, &'static str)> {
        match (&self.source, self.attribute) {
            (Source::Workload { trust_domain }, _) if !spiffe::valid_trust_domain(trust_domain) => {
                Err(("trustDomain", "1 to 255 of a-z, 0-9, '.', '-' and '_'"))
            }
            (Source::Workload { .. }, Attribute::Id | Attribute::Email) => {
                Err(("attribute", "a workload is named by externalId or userName"))
            }
            (Source::Workload { .. }, _) if self.ignore_case => {
                Err(("ignoreCase", "a SPIFFE id is compared exactly"))
            }
            (Source::Token { .. }, Attribute::Id | Attribute::ExternalId) if self.ignore_case => {
                Err(("ignoreCase", "only a userName or an email may ignore case"))
            }
            _ => Ok(()),
        }
    }
}

impl From<&Binding> for v1::Binding {
    fn from(binding: &Binding) -> Self {
        let mut wire = v1::Binding {
            attribute: binding.attribute.as_str().to_owned(),
            ignore_case: binding.ignore_case,
            ..Default::default()
        };
        match &binding.source {
            Source::Token {
                issuer,
                claim,
                pin,
                groups,
            } => {
                wire.issuer = issuer.clone();
                wire.claim = claim.clone();
                if let Some(pin) = pin {
                    wire.pin_claim = pin.claim.clone();
                    wire.pin_value = pin.value.clone();
                }
                if let Some(groups) = groups {
                    wire.groups_claim = groups.claim.clone();
                    wire.groups_claim_is = groups.is.as_str().to_owned();
                }
            }
            Source::Workload { trust_domain } => wire.trust_domain = trust_domain.clone(),
        }
        wire
    }
}

impl TryFrom<v1::Binding> for Binding {
    type Error = Malformed;

    fn try_from(wire: v1::Binding) -> Result<Self, Malformed> {
        let attribute = Attribute::ALL
            .into_iter()
            .find(|a| a.as_str() == wire.attribute)
            .ok_or(Malformed::Invalid {
                field: "binding.attribute",
                why: "not known to this version",
            })?;
        let binding = Binding {
            ignore_case: wire.ignore_case,
            attribute,
            source: source(wire)?,
        };
        match binding.check() {
            Ok(()) => Ok(binding),
            Err((_, why)) => Err(Malformed::Invalid {
                field: "binding",
                why,
            }),
        }
    }
}

fn source(wire: v1::Binding) -> Result<Source, Malformed> {
    let invalid = |field, why| Err(Malformed::Invalid { field, why });
    if !wire.trust_domain.is_empty() {
        let token = [
            wire.issuer,
            wire.claim,
            wire.pin_claim,
            wire.pin_value,
            wire.groups_claim,
            wire.groups_claim_is,
        ];
        return match token.iter().all(String::is_empty) {
            true => Ok(Source::Workload {
                trust_domain: wire.trust_domain,
            }),
            false => invalid("binding.trust_domain", "a token's binding has none"),
        };
    }
    if wire.issuer.is_empty() {
        return Err(Malformed::Missing("binding.issuer"));
    }
    if wire.claim.is_empty() {
        return Err(Malformed::Missing("binding.claim"));
    }
    let pin = match (wire.pin_claim.is_empty(), wire.pin_value.is_empty()) {
        (true, true) => None,
        (false, false) => Some(Pin {
            claim: wire.pin_claim,
            value: wire.pin_value,
        }),
        _ => return invalid("binding.pin", "half a pin"),
    };
    let groups = match (&*wire.groups_claim, GroupName::parse(&wire.groups_claim_is)) {
        ("", None) if wire.groups_claim_is.is_empty() => None,
        (claim, Some(is)) if !claim.is_empty() => Some(GroupsClaim {
            claim: claim.to_owned(),
            is,
        }),
        _ => {
            return invalid(
                "binding.groups_claim",
                "half of it, or not known to this version",
            );
        }
    };
    Ok(Source::Token {
        issuer: wire.issuer,
        claim: wire.claim,
        pin,
        groups,
    })
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

    fn of_tokens(attribute: Attribute) -> Binding {
        Binding {
            source: Source::Token {
                issuer: "https://idp".into(),
                claim: "sub".into(),
                pin: None,
                groups: None,
            },
            attribute,
            ignore_case: false,
        }
    }

    fn of_workloads(attribute: Attribute) -> Binding {
        Binding {
            source: Source::Workload {
                trust_domain: "cluster.local".into(),
            },
            attribute,
            ignore_case: false,
        }
    }

    fn ignoring_case(binding: Binding) -> Binding {
        Binding {
            ignore_case: true,
            ..binding
        }
    }

    #[test]
    fn a_binding_is_for_one_issuer_or_for_one_trust_domain() {
        let token = of_tokens(Attribute::Id);
        assert_eq!(token.voucher(), Voucher::Issuer("https://idp".into()));
        assert_eq!(token.issuer(), Some("https://idp"));
        assert_eq!(token.trust_domain(), None);
        let workload = of_workloads(Attribute::UserName);
        let voucher = Voucher::TrustDomain("cluster.local".into());
        assert_eq!(workload.voucher(), voucher);
        assert_eq!(workload.issuer(), None);
        assert_eq!(workload.trust_domain(), Some("cluster.local"));
    }

    #[test]
    fn a_name_is_compared_to_the_byte_or_without_regard_to_the_case_of_ascii() {
        let exact = of_tokens(Attribute::UserName);
        let name = "Ada\u{c9}\0".as_bytes();
        assert_eq!(exact.canonical(name), name);
        let folding = ignoring_case(exact);
        assert_eq!(folding.canonical(name), "ada\u{c9}\0".as_bytes());
        assert_eq!(folding.canonical(b"ada"), &b"ada"[..]);
    }

    #[test]
    fn what_makes_no_sense_together_is_refused_and_named() {
        use Attribute::*;
        let named = |name: &str| Binding {
            source: Source::Workload {
                trust_domain: name.into(),
            },
            ..of_workloads(ExternalId)
        };
        let listing = |claim: &str, is| Binding {
            source: Source::Token {
                issuer: "https://idp".into(),
                claim: "sub".into(),
                pin: None,
                groups: Some(GroupsClaim {
                    claim: claim.into(),
                    is,
                }),
            },
            ..of_tokens(UserName)
        };
        for (binding, wrong) in [
            (of_tokens(ExternalId), None),
            (of_tokens(UserName), None),
            (of_tokens(Id), None),
            (of_tokens(Email), None),
            (ignoring_case(of_tokens(UserName)), None),
            (ignoring_case(of_tokens(Email)), None),
            (ignoring_case(of_tokens(ExternalId)), Some("ignoreCase")),
            (ignoring_case(of_tokens(Id)), Some("ignoreCase")),
            (of_workloads(ExternalId), None),
            (of_workloads(UserName), None),
            (of_workloads(Id), Some("attribute")),
            (of_workloads(Email), Some("attribute")),
            (ignoring_case(of_workloads(ExternalId)), Some("ignoreCase")),
            (ignoring_case(of_workloads(UserName)), Some("ignoreCase")),
            (named("Cluster.Local"), Some("trustDomain")),
            (named(""), Some("trustDomain")),
            (listing("groups", GroupName::DisplayName), None),
            (listing("roles", GroupName::ExternalId), None),
        ] {
            let found = binding.check().err().map(|(part, _)| part);
            assert_eq!(found, wrong, "{binding:?}");
            let wire = v1::Binding::from(&binding);
            assert_eq!(
                Binding::try_from(wire).ok(),
                Some(binding).filter(|_| wrong.is_none())
            );
        }
    }

    #[test]
    fn a_binding_on_the_wire_is_a_tokens_or_a_workloads_and_whole() {
        let pinned = |claim: &str, value: &str| v1::Binding {
            pin_claim: claim.into(),
            pin_value: value.into(),
            ..v1::Binding::from(&of_tokens(Attribute::Email))
        };
        let read = Binding::try_from(pinned("tid", "1")).unwrap();
        let pin = Pin {
            claim: "tid".into(),
            value: "1".into(),
        };
        assert!(matches!(&read.source, Source::Token { pin: Some(held), .. } if *held == pin));
        assert_eq!(v1::Binding::from(&read), pinned("tid", "1"));
        let token = v1::Binding::from(&of_tokens(Attribute::UserName));
        let workload = v1::Binding::from(&of_workloads(Attribute::UserName));
        type Change = fn(&mut v1::Binding);
        let changed = |wire: &v1::Binding, change: Change| {
            let mut wire = wire.clone();
            change(&mut wire);
            wire
        };
        for wire in [
            pinned("tid", ""),
            pinned("", "1"),
            changed(&token, |wire| wire.issuer.clear()),
            changed(&token, |wire| wire.claim.clear()),
            changed(&token, |wire| wire.attribute = "displayName".into()),
            changed(&token, |wire| wire.attribute = "email".into()),
            changed(&token, |wire| wire.trust_domain = "cluster.local".into()),
            changed(&workload, |wire| wire.issuer = "https://idp".into()),
            changed(&workload, |wire| wire.claim = "sub".into()),
            changed(&workload, |wire| wire.pin_claim = "tid".into()),
            changed(&workload, |wire| wire.pin_value = "1".into()),
            changed(&workload, |wire| wire.trust_domain.clear()),
        ] {
            assert!(Binding::try_from(wire.clone()).is_err(), "{wire:?}");
        }
    }
}
