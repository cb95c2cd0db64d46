//! Tenants, bindings and tokens: what operators set, never SCIM.

use std::sync::Arc;
use std::time::Duration;

use scimesh_proto::binding::{Binding, Source, Voucher};
use scimesh_proto::scope::valid_tenant_name;

use super::{Draft, Refused, Row};
use crate::access::Rules;
use crate::directory::change::Touched;
use crate::directory::tenant::Tenant;
use crate::directory::token::Token;

/// Longest issuer, claim or pinned value, in bytes.
const MAX_BINDING_BYTES: usize = 1024;

impl Draft {
    /// A new tenant, empty.
    pub fn create_tenant(&mut self, name: &str) -> Result<(), Refused> {
        if !valid_tenant_name(name) {
            return Err(Refused::InvalidTenantName(name.to_owned()));
        }
        if self.directory.tenant(name).is_some() {
            return Err(Refused::TenantExists(name.to_owned()));
        }
        let number = self.directory.next_tenant;
        self.directory.next_tenant += 1;
        let tenant = Arc::new(Tenant::new(number, name));
        self.touch(&tenant, Touched::Everything);
        self.rows.push(Row::Tenant(number, tenant.name().clone()));
        self.directory.tenants.insert(tenant.name().clone(), tenant);
        Ok(())
    }

    /// A tenant goes, with everything in it; its SCIM tokens open nothing from now on. One that is frozen stays: nothing that changes what is
    /// published of it shall happen by the way.
    pub fn delete_tenant(&mut self, name: &str) -> Result<(), Refused> {
        let tenant = self.tenant(name)?.clone();
        self.not_frozen(name)?;
        let tokens: Vec<_> = self
            .directory
            .tokens_of(name)
            .map(|token| token.hash)
            .collect();
        for hash in tokens {
            self.directory.tokens.remove(&hash);
        }
        self.directory.tenants.remove(name);
        self.touch(&tenant, Touched::Everything);
        self.rows.push(Row::DropTenant(tenant.number));
        Ok(())
    }

    /// Sets the tenant's binding for the binding's issuer or trust domain, in the place of the one that it may have.
    pub fn set_binding(&mut self, tenant: &str, binding: Binding) -> Result<(), Refused> {
        valid_binding(&binding)?;
        let held = self.tenant(tenant)?.clone();
        let voucher = binding.voucher();
        if held.binding(&voucher) == Some(&binding) {
            return Ok(());
        }
        // What is still published of a frozen tenant counts as well.
        let frozen = self.directory.all_frozen();
        let frozen = frozen.map(|(_, frozen)| frozen.tenant());
        for other in self.directory.tenants().chain(frozen) {
            if other.name() == held.name() {
                continue;
            }
            if let Some(theirs) = other.binding(&voucher)
                && !told_apart(theirs, &binding)
            {
                let tenant = other.name().to_string();
                return Err(match voucher {
                    Voucher::Issuer(issuer) => Refused::IssuerTaken { issuer, tenant },
                    Voucher::TrustDomain(trust_domain) => Refused::TrustDomainTaken {
                        trust_domain,
                        tenant,
                    },
                });
            }
        }
        let before = held.binding(&voucher);
        let touched = match before.is_some_and(|before| before.names_like(&binding)) {
            true => Touched::GroupsClaim,
            false => Touched::Everything,
        };
        self.tenant_mut(tenant)?.put_binding(binding.clone());
        self.touch(&held, touched);
        self.rows.push(Row::Binding(held.number, binding));
        Ok(())
    }

    /// Tokens of this issuer, or workloads of this trust domain, name nobody of the tenant any more.
    pub fn remove_binding(&mut self, tenant: &str, voucher: &Voucher) -> Result<(), Refused> {
        let held = self.tenant_mut(tenant)?;
        if held.drop_binding(voucher).is_none() {
            return Err(Refused::NoSuchBinding(tenant.to_owned()));
        }
        let held = self.tenant(tenant)?.clone();
        self.touch(&held, Touched::Everything);
        self.rows
            .push(Row::DropBinding(held.number, voucher.clone()));
        Ok(())
    }

    /// From now on these are the rules of who may follow what of the feed. No filter is sent them, so they are no revision.
    pub fn set_feed_access(&mut self, rules: Rules) {
        if *self.directory.feed_access != rules {
            let rules = Arc::new(rules);
            self.directory.feed_access = rules.clone();
            self.rows.push(Row::FeedAccess(rules));
        }
    }

    /// From now on this token opens the tenant's resources.
    pub fn add_token(&mut self, tenant: &str, token: Token) -> Result<(), Refused> {
        let held = self.tenant(tenant)?;
        let number = held.number;
        let token = Token {
            tenant: held.name().clone(),
            ..token
        };
        self.directory.tokens.insert(token.hash, token.clone());
        self.rows.push(Row::Token(number, token));
        Ok(())
    }

    /// From now on the token of this id opens nothing.
    pub fn revoke_token(&mut self, tenant: &str, id: &str) -> Result<(), Refused> {
        self.tenant(tenant)?;
        let found = self
            .directory
            .tokens_of(tenant)
            .find(|token| token.id == id);
        let Some(hash) = found.map(|token| token.hash) else {
            return Err(Refused::NoSuchToken {
                tenant: tenant.to_owned(),
                id: id.to_owned(),
            });
        };
        self.directory.tokens.remove(&hash);
        self.rows.push(Row::DropToken(id.to_owned()));
        Ok(())
    }

    /// From now on no filter has a longer lease than this, in whole milliseconds. Nothing that a filter is sent: the revision stays.
    pub fn set_longest_lease(&mut self, longest: Duration) {
        if self.directory.longest_lease != longest {
            self.directory.longest_lease = longest;
            self.rows.push(Row::LongestLease(longest));
        }
    }
}

/// Whether no token can be meant by both: they pin the same claim to different values.
fn told_apart(a: &Binding, b: &Binding) -> bool {
    let pin = |binding: &Binding| match &binding.source {
        Source::Token { pin, .. } => pin.clone(),
        Source::Workload { .. } => None,
    };
    match (pin(a), pin(b)) {
        (Some(a), Some(b)) => a.claim == b.claim && a.value != b.value,
        _ => false,
    }
}

fn valid_binding(binding: &Binding) -> Result<(), Refused> {
    if let Err((attribute, why)) = binding.check() {
        return Err(Refused::invalid(attribute, why));
    }
    let Source::Token {
        issuer,
        claim,
        pin,
        groups,
    } = &binding.source
    else {
        return Ok(());
    };
    let pin = pin.as_ref();
    let parts = [
        ("issuer", Some(issuer)),
        ("claim", Some(claim)),
        ("pin claim", pin.map(|pin| &pin.claim)),
        ("pin value", pin.map(|pin| &pin.value)),
        ("groupsClaim", groups.as_ref().map(|groups| &groups.claim)),
    ];
    for (attribute, text) in parts {
        let Some(text) = text else { continue };
        if text.is_empty() {
            return Err(Refused::Missing(attribute));
        }
        if text.len() > MAX_BINDING_BYTES {
            return Err(Refused::invalid(attribute, "longer than 1024 bytes"));
        }
        if text.contains('\0') {
            return Err(Refused::invalid(attribute, "contains NUL"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use scimesh_proto::binding::{Attribute, Pin};

    use super::*;

    fn binding(pin: Option<(&str, &str)>) -> Binding {
        Binding {
            source: Source::Token {
                issuer: "https://idp.example".into(),
                claim: "sub".into(),
                pin: pin.map(|(claim, value)| Pin {
                    claim: claim.into(),
                    value: value.into(),
                }),
                groups: None,
            },
            attribute: Attribute::ExternalId,
            ignore_case: false,
        }
    }

    #[test]
    fn only_different_values_of_one_claim_tell_two_tenants_apart() {
        let corp = binding(Some(("tid", "1")));
        assert!(told_apart(&corp, &binding(Some(("tid", "2")))));
        for other in [
            binding(None),
            binding(Some(("tid", "1"))),
            // A token may have both claims.
            binding(Some(("org_id", "2"))),
        ] {
            assert!(!told_apart(&corp, &other), "{other:?}");
            assert!(!told_apart(&other, &corp), "{other:?}");
        }
    }
}
