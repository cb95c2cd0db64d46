//! Who a verified token, or an mTLS peer, names, by the tenant's bindings.

use scimesh_proto::binding::{Attribute, Source};
use scimesh_proto::digest::SubjectDigest;
use scimesh_proto::snapshot::Snapshot;
use scimesh_proto::spiffe;

use crate::claims::{Claim, Claims};
use crate::reason::Reason;

/// Bytes of a claim that names somebody at most.
const MAX_CLAIM_BYTES: usize = 1024;

/// Who a token names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// As the snapshot knows them.
    pub digest: SubjectDigest,
    /// The token's `iss`.
    pub issuer: Vec<u8>,
    /// The value of the binding's claim, as it stands in the token.
    pub name: Vec<u8>,
}

/// The service account that an mTLS peer's certificate names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workload {
    /// As the snapshot knows it.
    pub digest: SubjectDigest,
    /// Its whole SPIFFE id.
    pub id: Vec<u8>,
}

/// Why a claim's value can name nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unusable {
    /// The token does not have it.
    Absent,
    /// It is a number, a bool, a list, an object or null.
    NotText,
    /// The empty string.
    Empty,
    /// Longer than any name.
    TooLong,
    /// Has a NUL in it.
    Nul,
}

/// Why a token names no subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unnamed {
    /// Its `iss` is no name.
    Issuer(Unusable),
    /// The tenant has no binding for its `iss`.
    Unbound,
    /// The claim that the binding pins has another value, or none that could be that.
    Pin(Option<Unusable>),
    /// The binding's claim is no name.
    Claim(Unusable),
    /// The binding is to an email, and the token does not say that it is the subject's.
    UnverifiedEmail,
}

impl Unnamed {
    /// The reason that requests are refused for.
    pub fn reason(self) -> Reason {
        match self {
            Unnamed::Issuer(_) | Unnamed::Unbound | Unnamed::Pin(_) => Reason::UnknownIssuer,
            Unnamed::Claim(_) | Unnamed::UnverifiedEmail => Reason::NoSubject,
        }
    }
}

/// The subject, or why the token names none. `email_verified` counts only if it is the JSON value `true`.
pub(crate) fn user(snapshot: &Snapshot, token: &dyn Claims) -> Result<Subject, Unnamed> {
    let issuer = text(token, "iss").map_err(Unnamed::Issuer)?;
    let binding = snapshot.binding_of_issuer(&issuer);
    let binding = binding.ok_or(Unnamed::Unbound)?;
    let Source::Token { claim, pin, .. } = &binding.source else {
        return Err(Unnamed::Unbound);
    };
    if let Some(pin) = pin {
        let value = text(token, &pin.claim).map_err(|why| Unnamed::Pin(Some(why)))?;
        if value != pin.value.as_bytes() {
            return Err(Unnamed::Pin(None));
        }
    }
    let name = text(token, claim).map_err(Unnamed::Claim)?;
    if binding.attribute == Attribute::Email && token.claim("email_verified") != Claim::Bool(true) {
        return Err(Unnamed::UnverifiedEmail);
    }
    Ok(Subject {
        digest: snapshot.subject(binding, &name),
        issuer,
        name,
    })
}

/// The service account that an mTLS peer's URI names, or the reason why it names none.
pub(crate) fn workload(snapshot: &Snapshot, peer: Option<&[u8]>) -> Result<SubjectDigest, Reason> {
    let id = peer.ok_or(Reason::NoWorkload)?;
    let trust_domain = spiffe::trust_domain(id).ok_or(Reason::NoWorkload)?;
    let binding = snapshot.binding_of_trust_domain(trust_domain);
    let binding = binding.ok_or(Reason::UnknownTrustDomain)?;
    Ok(snapshot.subject(binding, id))
}

/// The claim's text, if it is one that can name anything.
fn text(token: &dyn Claims, name: &str) -> Result<Vec<u8>, Unusable> {
    match token.claim(name) {
        Claim::Absent => Err(Unusable::Absent),
        Claim::Number(_) | Claim::Bool(_) | Claim::Other => Err(Unusable::NotText),
        Claim::Text(text) if text.is_empty() => Err(Unusable::Empty),
        Claim::Text(text) if text.len() > MAX_CLAIM_BYTES => Err(Unusable::TooLong),
        Claim::Text(text) if text.contains(&0) => Err(Unusable::Nul),
        Claim::Text(text) => Ok(text),
    }
}
