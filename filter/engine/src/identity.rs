//! Who a verified token names, by the tenant's bindings.

use scimesh_proto::binding::Attribute;
use scimesh_proto::digest::SubjectDigest;
use scimesh_proto::snapshot::Snapshot;

use crate::claims::{Claim, Claims};
use crate::reason::Reason;

/// Bytes of a claim that names somebody at most.
const MAX_CLAIM_BYTES: usize = 1024;

/// The subject, or the reason why the token names none. `email_verified` counts only if it is the JSON value `true`.
pub(crate) fn identify(snapshot: &Snapshot, token: &dyn Claims) -> Result<SubjectDigest, Reason> {
    let issuer = text(token, "iss").ok_or(Reason::UnknownIssuer)?;
    let binding = snapshot.binding_of(&issuer).ok_or(Reason::UnknownIssuer)?;
    if let Some(pin) = &binding.pin
        && text(token, &pin.claim).as_deref() != Some(pin.value.as_bytes())
    {
        return Err(Reason::UnknownIssuer);
    }
    let value = text(token, &binding.claim).ok_or(Reason::NoSubject)?;
    if binding.attribute == Attribute::Email && token.claim("email_verified") != Claim::Bool(true) {
        return Err(Reason::NoSubject);
    }
    Ok(snapshot.subject(binding, &value))
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
