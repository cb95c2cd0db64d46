//! What one filter's policy can ask about: one tenant, some terms, and whether every active user counts.

use std::fmt;

use crate::wire::{Malformed, v1};

/// Terms in one scope at most.
pub const MAX_TERMS: usize = 1024;
/// Bytes of one term at most, its kind included.
pub const MAX_TERM_BYTES: usize = 1024;
/// Bytes of a tenant's name at most.
pub const MAX_TENANT_BYTES: usize = 63;

/// What kind of value a [`Term`] names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TermKind {
    /// A group, by its displayName.
    Group,
    /// A group, by its externalId.
    GroupExternalId,
    /// The `value` of one of the user's roles.
    Role,
    /// The `value` of one of the user's entitlements.
    Entitlement,
}

impl TermKind {
    const ALL: [TermKind; 4] = [
        TermKind::Group,
        TermKind::GroupExternalId,
        TermKind::Role,
        TermKind::Entitlement,
    ];

    /// The word before the colon.
    pub fn as_str(self) -> &'static str {
        match self {
            TermKind::Group => "group",
            TermKind::GroupExternalId => "groupExternalId",
            TermKind::Role => "role",
            TermKind::Entitlement => "entitlement",
        }
    }
}

/// Something that a rule can require of a user, such as `group:admins`. Its tenant is the scope's.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Term {
    kind: TermKind,
    text: String,
}

/// Why a text is no term.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTerm {
    /// No `kind:` that is known.
    #[error("a term is group:NAME, groupExternalId:ID, role:VALUE or entitlement:VALUE")]
    Kind,
    /// Nothing after the colon.
    #[error("nothing follows the colon")]
    Empty,
    /// Longer than [`MAX_TERM_BYTES`].
    #[error("a term has at most {MAX_TERM_BYTES} bytes")]
    TooLong,
}

impl Term {
    /// Reads `kind:value`. The value is taken as it stands: no trimming, no folding.
    pub fn parse(text: &str) -> Result<Term, InvalidTerm> {
        let (word, value) = text.split_once(':').ok_or(InvalidTerm::Kind)?;
        let kind = TermKind::ALL
            .into_iter()
            .find(|kind| kind.as_str() == word)
            .ok_or(InvalidTerm::Kind)?;
        if value.is_empty() {
            return Err(InvalidTerm::Empty);
        }
        if text.len() > MAX_TERM_BYTES {
            return Err(InvalidTerm::TooLong);
        }
        Ok(Term {
            kind,
            text: text.to_owned(),
        })
    }

    /// What kind of value it names.
    pub fn kind(&self) -> TermKind {
        self.kind
    }

    /// What stands after the colon.
    pub fn value(&self) -> &str {
        self.text.split_once(':').map_or("", |(_, value)| value)
    }

    /// `kind:value`.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl PartialOrd for Term {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Term {
    /// By the bytes of `kind:value`: the order on the wire.
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.text.as_bytes().cmp(other.text.as_bytes())
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// One tenant, the terms that a policy refers to, and whether any active user counts: all that a filter is sent.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Scope {
    tenant: String,
    terms: Vec<Term>,
    any_active: bool,
}

/// Why these parts make no scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidScope {
    /// See [`valid_tenant_name`].
    #[error(
        "tenant: 1 to {MAX_TENANT_BYTES} characters of a-z, 0-9, '-', '_' and '.', the first a letter or digit"
    )]
    Tenant,
    /// More than [`MAX_TERMS`].
    #[error("a policy refers to at most {MAX_TERMS} terms")]
    TooManyTerms,
}

/// Whether `name` can name a tenant: 1 to 63 characters of a-z, 0-9, `-`, `_` and `.`, the first a letter or digit.
pub fn valid_tenant_name(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    name.len() <= MAX_TENANT_BYTES
        && name.bytes().next().is_some_and(plain)
        && name
            .bytes()
            .all(|b| plain(b) || matches!(b, b'-' | b'_' | b'.'))
}

impl Scope {
    /// Puts the terms in order and drops doubles.
    pub fn new(
        tenant: &str,
        terms: impl IntoIterator<Item = Term>,
        any_active: bool,
    ) -> Result<Scope, InvalidScope> {
        if !valid_tenant_name(tenant) {
            return Err(InvalidScope::Tenant);
        }
        let mut terms: Vec<Term> = terms.into_iter().collect();
        terms.sort();
        terms.dedup();
        if terms.len() > MAX_TERMS {
            return Err(InvalidScope::TooManyTerms);
        }
        Ok(Scope {
            tenant: tenant.to_owned(),
            terms,
            any_active,
        })
    }

    /// The tenant's name.
    pub fn tenant(&self) -> &str {
        &self.tenant
    }

    /// In the order of the wire, which is the order of bits in a [`TermSet`](crate::snapshot::TermSet).
    pub fn terms(&self) -> &[Term] {
        &self.terms
    }

    /// Whether users that hold none of the terms are sent too.
    pub fn any_active(&self) -> bool {
        self.any_active
    }

    /// The place of `term` in [`terms`](Self::terms).
    pub fn index_of(&self, term: &Term) -> Option<usize> {
        self.terms.binary_search(term).ok()
    }
}

impl From<&Scope> for v1::Scope {
    fn from(scope: &Scope) -> Self {
        v1::Scope {
            tenant: scope.tenant.clone(),
            terms: scope.terms.iter().map(|term| term.text.clone()).collect(),
            any_active: scope.any_active,
        }
    }
}

impl TryFrom<v1::Scope> for Scope {
    type Error = Malformed;

    fn try_from(wire: v1::Scope) -> Result<Self, Malformed> {
        const TERMS: &str = "scope.terms";
        if wire.terms.len() > MAX_TERMS {
            return Err(Malformed::Invalid {
                field: TERMS,
                why: "too many",
            });
        }
        if !wire.terms.is_sorted_by(|a, b| a.as_bytes() < b.as_bytes()) {
            return Err(Malformed::Invalid {
                field: TERMS,
                why: "not sorted, or not unique",
            });
        }
        let terms: Result<Vec<Term>, InvalidTerm> =
            wire.terms.iter().map(|text| Term::parse(text)).collect();
        let terms = terms.map_err(|_| Malformed::Invalid {
            field: TERMS,
            why: "not a term",
        })?;
        Scope::new(&wire.tenant, terms, wire.any_active).map_err(|_| Malformed::Invalid {
            field: "scope.tenant",
            why: "not a tenant's name",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn a_term_is_its_kind_and_its_value_to_the_letter() {
        let term = Term::parse("group: Ops:EU ").unwrap();
        assert_eq!(term.kind(), TermKind::Group);
        assert_eq!(term.value(), " Ops:EU ");
        for bad in ["admins", "Group:a", "group:", ":x", "active"] {
            assert!(Term::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_scope_is_the_same_on_both_sides_of_the_wire() {
        let terms = ["role:b", "group:z", "group:a", "role:b"].map(|t| Term::parse(t).unwrap());
        let scope = Scope::new("corp", terms, true).unwrap();
        assert_eq!(scope.terms().len(), 3);
        assert!(scope.any_active());
        assert_eq!(Scope::try_from(v1::Scope::from(&scope)), Ok(scope));
    }

    #[test]
    fn a_term_has_a_place_in_its_scope_by_the_order_of_its_bytes() {
        let terms = ["role:b", "group:z", "group:a"].map(|t| Term::parse(t).unwrap());
        let scope = Scope::new("corp", terms, false).unwrap();
        let order: Vec<String> = scope.terms().iter().map(Term::to_string).collect();
        assert_eq!(order, ["group:a", "group:z", "role:b"]);
        for (place, term) in scope.terms().iter().enumerate() {
            assert_eq!(scope.index_of(term), Some(place));
        }
        assert_eq!(scope.index_of(&Term::parse("group:b").unwrap()), None);
        assert_eq!((scope.tenant(), scope.any_active()), ("corp", false));
    }

    #[test]
    fn terms_out_of_order_or_twice_are_refused() {
        for terms in [
            ["group:b", "group:a"],
            ["group:a", "group:a"],
            ["group:a", "x"],
        ] {
            let wire = v1::Scope {
                tenant: "corp".into(),
                terms: terms.map(String::from).to_vec(),
                any_active: false,
            };
            assert!(Scope::try_from(wire).is_err(), "{terms:?}");
        }
    }

    #[test]
    fn terms_and_scopes_are_bounded() {
        let longest = format!("group:{}", "x".repeat(MAX_TERM_BYTES - 6));
        assert!(Term::parse(&longest).is_ok());
        assert_eq!(
            Term::parse(&format!("{longest}x")),
            Err(InvalidTerm::TooLong)
        );
        assert_eq!(
            Term::parse(&format!("{longest}xy")),
            Err(InvalidTerm::TooLong)
        );
        let terms = |n: usize| (0..n).map(|n| Term::parse(&format!("group:{n:04}")).unwrap());
        let scope = Scope::new("corp", terms(MAX_TERMS), false).unwrap();
        let mut wire = v1::Scope::from(&scope);
        assert_eq!(Scope::try_from(wire.clone()), Ok(scope));
        assert_eq!(
            Scope::new("corp", terms(MAX_TERMS + 1), false),
            Err(InvalidScope::TooManyTerms)
        );
        for extra in ["group:9998", "group:9999"] {
            wire.terms.push(extra.into());
            assert!(Scope::try_from(wire.clone()).is_err());
        }
    }

    #[test]
    fn a_tenants_name_is_a_plain_word() {
        let longest = "a".repeat(MAX_TENANT_BYTES);
        for good in ["corp", "7", "a-b_c.d", &longest] {
            assert!(valid_tenant_name(good), "{good}");
        }
        let longer = "a".repeat(MAX_TENANT_BYTES + 1);
        for bad in [
            "", "Corp", "-a", ".a", "_a", "a b", "a/b", "a\0", "é", &longer,
        ] {
            assert!(!valid_tenant_name(bad), "{bad:?}");
            assert_eq!(Scope::new(bad, [], false), Err(InvalidScope::Tenant));
        }
    }
}
