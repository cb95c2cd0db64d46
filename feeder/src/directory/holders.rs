//! Who has the names that digests stand for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use scimesh_proto::digest::SubjectDigest;

use super::entry::meant;
use super::user::User;
use super::{Directory, Tenant};

impl Directory {
    /// Who of a tenant has a name, under one of its bindings, that is one of these subjects: active or not, and several if they share it. A digest
    /// of nobody's name is left out. All names are hashed for it: a million take a second.
    pub(crate) fn holders(
        &self,
        tenant: &Tenant,
        wanted: &BTreeSet<SubjectDigest>,
    ) -> BTreeMap<SubjectDigest, Vec<Arc<User>>> {
        let mut holders: BTreeMap<SubjectDigest, Vec<Arc<User>>> = BTreeMap::new();
        if wanted.is_empty() {
            return holders;
        }
        for user in tenant.users() {
            for binding in tenant.bindings() {
                for name in user.names_of(binding.attribute) {
                    let Some(value) = meant(binding, &name) else {
                        continue;
                    };
                    let key = &self.keys().content;
                    let subject = key.subject(tenant.name(), binding, value.as_bytes());
                    if !wanted.contains(&subject) {
                        continue;
                    }
                    let users = holders.entry(subject).or_default();
                    // Two of one's emails may differ in case alone.
                    if users.last().is_none_or(|last| last.slot != user.slot) {
                        users.push(user.clone());
                    }
                }
            }
        }
        holders
    }
}
