//! By how much a token and the directory differ about somebody's groups. Nothing is decided by it.

use std::collections::BTreeSet;

use scimesh_proto::binding::{GroupName, GroupsClaim, Source};
use scimesh_proto::digest::SubjectDigest;
use scimesh_proto::scope::{Term, TermKind};
use scimesh_proto::snapshot::{Snapshot, TermState};

/// What a token says otherwise than the directory: places in the scope's terms, ascending.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Drift {
    /// Claimed by the token, not held by the directory's word.
    pub gone: Vec<usize>,
    /// Held, and not claimed.
    pub gained: Vec<usize>,
}

impl Drift {
    /// Whether they agree.
    pub fn is_empty(&self) -> bool {
        self.gone.is_empty() && self.gained.is_empty()
    }
}

/// Where tokens of this issuer list groups, if anybody wants to know.
pub fn groups_claim<'a>(snapshot: &'a Snapshot, issuer: &[u8]) -> Option<&'a GroupsClaim> {
    match &snapshot.binding_of_issuer(issuer)?.source {
        Source::Token { groups, .. } => groups.as_ref(),
        Source::Workload { .. } => None,
    }
}

/// Compares what a token lists, by names of the kind `is`, with what its subject holds. Whoever the directory does not
/// know holds nothing. A term that is missing or ambiguous lets nobody in: who claims it has lost it, and nobody has gained it.
pub fn drift(
    snapshot: &Snapshot,
    subject: &SubjectDigest,
    is: GroupName,
    listed: &[Vec<u8>],
) -> Drift {
    let kind = match is {
        GroupName::DisplayName => TermKind::Group,
        GroupName::ExternalId => TermKind::GroupExternalId,
    };
    let listed: BTreeSet<&[u8]> = listed.iter().map(Vec::as_slice).collect();
    let held = snapshot.terms_of(subject);
    let mut drift = Drift::default();
    let terms = snapshot.scope().terms().iter().enumerate();
    for (place, term) in terms.filter(|(_, term): &(usize, &Term)| term.kind() == kind) {
        let found = snapshot.term_state(place) == TermState::Found;
        let holds = found && held.is_some_and(|held| held.contains(place));
        match (listed.contains(term.value().as_bytes()), holds) {
            (true, false) => drift.gone.push(place),
            (false, true) => drift.gained.push(place),
            _ => {}
        }
    }
    drift
}
