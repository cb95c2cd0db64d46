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

/// The subject, or the reason why the token names none. `email_verified` counts only if it is the JSON value `true`.
pub(crate) fn user(snapshot: &Snapshot, token: &dyn Claims) -> Result<Subject, Reason> {
    let issuer = text(token, "iss").ok_or(Reason::UnknownIssuer)?;
    let binding = snapshot.binding_of_issuer(&issuer);
    let binding = binding.ok_or(Reason::UnknownIssuer)?;
    let Source::Token { claim, pin, .. } = &binding.source else {
        return Err(Reason::UnknownIssuer);
    };
    if let Some(pin) = pin
        && text(token, &pin.claim).as_deref() != Some(pin.value.as_bytes())
    {
        return Err(Reason::UnknownIssuer);
    }
    let name = text(token, claim).ok_or(Reason::NoSubject)?;
    if binding.attribute == Attribute::Email && token.claim("email_verified") != Claim::Bool(true) {
        return Err(Reason::NoSubject);
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
fn text(token: &dyn Claims, name: &str) -> Option<Vec<u8>> {
    match token.claim(name) {
        Claim::Text(text)
            if !text.is_empty() && text.len() <= MAX_CLAIM_BYTES && !text.contains(&0) =>
        {
            Some(text)
        }
        _ => None,
    }
}
