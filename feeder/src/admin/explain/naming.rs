//! Whom a token or a peer's certificate names in a tenant, or exactly why nobody.

use std::fmt::Write as _;
use std::sync::Arc;

use scimesh_engine::{Claim, Claims, Reason, Unnamed, Unusable, explain};
use scimesh_proto::binding::{Attribute, Binding, Source, Voucher};
use scimesh_proto::digest::SubjectDigest;
use scimesh_proto::snapshot::Snapshot;
use scimesh_proto::spiffe;

use super::issuers::slip;
use super::lookup;
use crate::admin::explanation::{Naming, Problem, UserRow, What};
use crate::config::BindingForm;
use crate::directory::{Directory, Tenant, User};

/// Similar issuers that are told at most.
const MAX_SIMILAR: usize = 3;

/// Whom a token names. `snapshot` is of this tenant, and holds whom the token may name.
pub(super) fn of_token(
    directory: &Directory,
    tenant: &Tenant,
    snapshot: &Snapshot,
    token: &dyn Claims,
) -> Naming {
    let issuer = said(token, "iss");
    let voucher = issuer.clone().map(Voucher::Issuer);
    let binding = voucher.and_then(|voucher| tenant.binding(&voucher));
    match (explain::user(snapshot, token), binding) {
        (Ok(subject), Some(binding)) => named(
            directory,
            tenant,
            snapshot,
            binding,
            &subject.name,
            &subject.digest,
        ),
        (Ok(_), None) => nobody(None, None, unbound(issuer, [tenant])),
        (Err(unnamed), binding) => {
            let name = binding.and_then(claim_of);
            let name = name.and_then(|claim| said(token, claim));
            let problem = unnamed_by(unnamed, tenant, binding, issuer, token);
            nobody(binding, name, problem)
        }
    }
}

/// Whom an mTLS peer's URI names.
pub(super) fn of_peer(
    directory: &Directory,
    tenant: &Tenant,
    snapshot: &Snapshot,
    id: &str,
) -> Naming {
    let trust_domain = spiffe::trust_domain(id.as_bytes());
    let voucher = trust_domain.map(|name| Voucher::TrustDomain(name.to_owned()));
    let binding = voucher.and_then(|voucher| tenant.binding(&voucher));
    let name = Some(id.to_owned());
    match (explain::workload(snapshot, Some(id.as_bytes())), binding) {
        (Ok(subject), Some(binding)) => named(
            directory,
            tenant,
            snapshot,
            binding,
            id.as_bytes(),
            &subject,
        ),
        (Err(Reason::NoWorkload), _) => {
            let detail = format!(
                "\"{id}\" is not spelled as a SPIFFE id of a workload is: spiffe://TRUST-DOMAIN/PATH"
            );
            let what = What::NotASpiffeId;
            nobody(None, name, Problem { what, detail })
        }
        _ => {
            let bound = tenant.bindings().filter_map(Binding::trust_domain);
            let bound: Vec<&str> = bound.collect();
            let mut detail = format!(
                "tenant {} has no binding for the trust domain {}",
                tenant.name(),
                trust_domain.unwrap_or_default()
            );
            if !bound.is_empty() {
                let _ = write!(detail, "; it has one for {}", bound.join(", "));
            }
            let what = What::TrustDomainNotBound;
            nobody(None, name, Problem { what, detail })
        }
    }
}

/// Why an issuer that none of these tenants has a binding for names nobody in them.
pub(super) fn unbound<'a>(
    issuer: Option<String>,
    tenants: impl IntoIterator<Item = &'a Tenant>,
) -> Problem {
    let Some(issuer) = issuer else {
        let detail = "the token's iss is not a string".to_owned();
        let what = What::IssuerUnusable;
        return Problem { what, detail };
    };
    let mut similar: Vec<_> = tenants
        .into_iter()
        .flat_map(|tenant| tenant.bindings().map(move |binding| (tenant, binding)))
        .filter_map(|(tenant, binding)| {
            let known = binding.issuer()?;
            Some((slip(&issuer, known)?, known, tenant.name()))
        })
        .collect();
    similar.sort();
    let mut detail = format!("no binding is for the issuer \"{issuer}\"");
    for (slip, known, tenant) in similar.iter().take(MAX_SIMILAR) {
        let how = slip.as_str();
        let _ = write!(detail, "; tenant {tenant} has one for \"{known}\": {how}");
    }
    let what = What::IssuerNotBound;
    Problem { what, detail }
}

fn nobody(binding: Option<&Binding>, name: Option<String>, problem: Problem) -> Naming {
    Naming {
        binding: binding.cloned().map(BindingForm),
        name,
        users: Vec::new(),
        held_until: None,
        problem: Some(problem),
    }
}

/// A name that is well-formed under its binding; whether it means somebody.
fn named(
    directory: &Directory,
    tenant: &Tenant,
    snapshot: &Snapshot,
    binding: &Binding,
    name: &[u8],
    subject: &SubjectDigest,
) -> Naming {
    let name = String::from_utf8_lossy(name).into_owned();
    let canonical = binding.canonical(name.as_bytes());
    let canonical = String::from_utf8_lossy(&canonical);
    let users = match binding.ignore_case {
        true => tenant.users_ignoring_case(binding.attribute, &canonical),
        false => tenant.users_by(binding.attribute, &canonical),
    };
    let attribute = binding.attribute;
    let known = snapshot.terms_of(subject).is_some();
    let held = tenant.held(binding, &canonical);
    let held_until = held.map(|held| format!("{:.0}", directory.hold_end(held.lost)));
    let problem = match users.as_slice() {
        [] => Some((What::NoUser, no_user(tenant, binding, &name))),
        [user] if !user.identity.active => {
            let detail = format!("{} is not active", user.identity.user_name);
            Some((What::UserInactive, detail))
        }
        [user] if held_until.is_some() => {
            let until = held_until.as_deref().unwrap_or_default();
            let detail = format!(
                "{} has had the {attribute} \"{name}\" since somebody else lost it; so that old tokens do not become theirs, it names nobody until {until}",
                user.identity.user_name
            );
            Some((What::NameHeld, detail))
        }
        [user] if !known => {
            let detail = format!(
                "{} is active and holds none of the policy's terms, and no rule admits every active user: the filter is not told of them",
                user.identity.user_name
            );
            Some((What::NoTerms, detail))
        }
        [_] => None,
        several => {
            let detail = format!(
                "{} users have the {attribute} \"{name}\", so it names none of them",
                several.len()
            );
            Some((What::SeveralUsers, detail))
        }
    };
    Naming {
        binding: Some(BindingForm(binding.clone())),
        users: users.into_iter().map(row).collect(),
        held_until,
        problem: problem.map(|(what, detail)| Problem { what, detail }),
        name: Some(name),
    }
}

/// Who may have been meant by a name that nobody has.
fn no_user(tenant: &Tenant, binding: &Binding, name: &str) -> String {
    let attribute = binding.attribute;
    let mut detail = format!(
        "no user of tenant {} has the {attribute} \"{name}\"",
        tenant.name()
    );
    for found in lookup::users(tenant, name) {
        let user = &found.user.identity.user_name;
        let _ = match found.by.iter().find(|by| **by != attribute) {
            _ if found.by.contains(&attribute) => write!(
                detail,
                "; {user} has it in another case, and the binding compares to the letter"
            ),
            Some(by) => write!(detail, "; it is the {by} of {user}"),
            None => Ok(()),
        };
    }
    detail
}

pub(super) fn row(user: &Arc<User>) -> UserRow {
    UserRow {
        id: user.id,
        user_name: user.identity.user_name.to_string(),
        active: user.identity.active,
        found_by: Vec::new(),
    }
}

fn unnamed_by(
    unnamed: Unnamed,
    tenant: &Tenant,
    binding: Option<&Binding>,
    issuer: Option<String>,
    token: &dyn Claims,
) -> Problem {
    let claim = binding.and_then(claim_of).unwrap_or_default();
    let (what, detail) = match unnamed {
        Unnamed::Unbound => return unbound(issuer, [tenant]),
        Unnamed::Issuer(why) => (What::IssuerUnusable, unusable("iss", why)),
        Unnamed::Pin(why) => {
            let (pinned, wanted) = match binding.map(|binding| &binding.source) {
                Some(Source::Token { pin: Some(pin), .. }) => (&*pin.claim, &*pin.value),
                _ => Default::default(),
            };
            let has = match why {
                Some(why) => unusable(pinned, why),
                None => format!(
                    "the token says \"{}\"",
                    said(token, pinned).unwrap_or_default()
                ),
            };
            let detail = format!("the binding is for tokens with {pinned}={wanted}: {has}");
            (What::PinDiffers, detail)
        }
        Unnamed::Claim(why) => {
            let what = match why {
                Unusable::Absent => What::ClaimAbsent,
                Unusable::NotText => What::ClaimNotText,
                Unusable::Empty => What::ClaimEmpty,
                Unusable::TooLong => What::ClaimTooLong,
                Unusable::Nul => What::ClaimNul,
            };
            (what, unusable(claim, why))
        }
        Unnamed::UnverifiedEmail => {
            let says = match token.claim("email_verified") {
                Claim::Absent => "does not say it",
                Claim::Text(_) => "says it as a string",
                _ => "says something else",
            };
            let detail = format!(
                "the binding is to {}, which needs email_verified: true, the boolean; the token {says}",
                Attribute::Email
            );
            (What::EmailNotVerified, detail)
        }
    };
    Problem { what, detail }
}

fn unusable(claim: &str, why: Unusable) -> String {
    match why {
        Unusable::Absent => format!("the token has no claim {claim}"),
        Unusable::NotText => format!("the claim {claim} is not a string"),
        Unusable::Empty => format!("the claim {claim} is the empty string"),
        Unusable::TooLong => format!("the claim {claim} is longer than 1024 bytes"),
        Unusable::Nul => format!("the claim {claim} has a NUL in it"),
    }
}

fn claim_of(binding: &Binding) -> Option<&str> {
    match &binding.source {
        Source::Token { claim, .. } => Some(claim),
        Source::Workload { .. } => None,
    }
}

/// A claim that is a string.
pub(super) fn said(token: &dyn Claims, claim: &str) -> Option<String> {
    match token.claim(claim) {
        Claim::Text(text) => Some(String::from_utf8_lossy(&text).into_owned()),
        _ => None,
    }
}
