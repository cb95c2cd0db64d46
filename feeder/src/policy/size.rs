//! What a policy costs: the part of a directory that each of its proxies is sent and holds.

use scimesh_proto::scope::Scope;
use scimesh_proto::snapshot::TermState;

use super::stage::Stage;
use crate::directory::Resolved;
use crate::feed;

/// What a scope's content comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Size {
    /// The tenant's users, sent or not.
    pub users: usize,
    /// The terms that the policy refers to.
    pub terms: usize,
    /// Of these, those that no group has, or several.
    pub unresolved: usize,
    /// Names that a subject may have: a user has one for each binding that can name it.
    pub entries: usize,
    /// Different sets of terms that users hold.
    pub term_sets: usize,
    /// Bytes of a snapshot on its way to a proxy.
    pub wire_bytes: usize,
    /// Bytes that it takes in a VM.
    pub vm_bytes: usize,
}

impl Size {
    /// Of this scope over the directory.
    pub fn of(stage: &Stage, scope: &Scope) -> Size {
        let snapshot = stage.snapshot(scope);
        let mut resolved = Resolved::new(stage.directory(), scope);
        let content = resolved.content();
        let update = feed::encode_snapshot(stage.directory(), scope, content);
        let unresolved = resolved
            .states()
            .iter()
            .filter(|state| **state != TermState::Found);
        Size {
            users: resolved.tenant().map_or(0, |tenant| tenant.user_count()),
            terms: scope.terms().len(),
            unresolved: unresolved.count(),
            entries: snapshot.len(),
            term_sets: snapshot.distinct_sets(),
            wire_bytes: update.wire_bytes(),
            vm_bytes: snapshot.bytes(),
        }
    }
}
