//! As much of a scope's snapshot as one request can ask for: whole but for the entries of everybody else.

use scimesh_engine::{Claims, explain};
use scimesh_proto::binding::Binding;
use scimesh_proto::scope::Scope;
use scimesh_proto::snapshot::Snapshot;

use crate::directory::{Directory, Name, Resolved};

/// What a filter with this scope holds of whom the token and the peer may name, by the functions that the feed asks.
pub(super) fn excerpt(
    directory: &Directory,
    scope: &Scope,
    token: Option<&dyn Claims>,
    peer: Option<&[u8]>,
) -> Snapshot {
    let mut resolved = Resolved::new(directory, scope);
    let mut snapshot = Snapshot::new(
        scope.clone(),
        directory.position(),
        directory.keys().content.clone(),
        resolved.bindings(),
        resolved.states().to_vec(),
    );
    let subject = token.and_then(|token| explain::user(&snapshot, token).ok());
    let user = subject.and_then(|subject| {
        let binding = snapshot.binding_of_issuer(&subject.issuer)?;
        name(binding, &subject.name)
    });
    let workload = peer.and_then(|id| {
        let trust_domain = scimesh_proto::spiffe::trust_domain(id)?;
        name(snapshot.binding_of_trust_domain(trust_domain)?, id)
    });
    for name in [user, workload].into_iter().flatten() {
        for (subject, terms) in resolved.entries(&name) {
            if let Some(terms) = terms {
                // One that is there already, because user and workload are one, has the same terms.
                let _ = snapshot.insert(subject, (*terms).clone());
            }
        }
    }
    snapshot
}

/// None if it is not UTF-8, which no name in the directory is.
fn name(binding: &Binding, value: &[u8]) -> Option<Name> {
    Some(Name {
        attribute: binding.attribute,
        value: std::str::from_utf8(value).ok()?.into(),
    })
}
