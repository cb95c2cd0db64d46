//! Who has the names that digests stand for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use scimesh_proto::digest::SubjectDigest;

use super::entry::meant;
use super::user::User;
use super::{Directory, Tenant};

impl Directory {
    /// Who of a tenant has a name, under one of its bindings, that is one of these subjects: active or not, and several if they share it. A digest
    /// of nobody's name is left out. All names are hashed for it: a million take a second or two.
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

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use scimesh_proto::binding::{Attribute, Binding, Source};
    use scimesh_proto::digest::Key;
    use scimesh_proto::position::History;
    use serde_json::json;
    use uuid::Uuid;

    use super::*;
    use crate::directory::{Draft, Keys};

    #[test]
    fn whoever_has_the_name_is_found_be_they_inactive_or_several_or_frozen() {
        let history = History {
            generation: 1,
            id: [1; 16],
        };
        let key = || Key::new([2; 32]);
        let keys = Keys {
            content: key(),
            proof: key(),
        };
        let by_email = Binding {
            source: Source::Token {
                issuer: "i".to_owned(),
                claim: "email".to_owned(),
                pin: None,
                groups: None,
            },
            attribute: Attribute::Email,
            ignore_case: true,
        };
        let workloads = Binding {
            source: Source::Workload {
                trust_domain: "td".to_owned(),
            },
            attribute: Attribute::UserName,
            ignore_case: false,
        };
        let empty = Directory::new(history, 0, keys);
        let mut draft = Draft::new(&empty, Timestamp::UNIX_EPOCH);
        draft.create_tenant("corp").unwrap();
        for binding in [&by_email, &workloads] {
            draft.set_binding("corp", binding.clone()).unwrap();
        }
        let mut create = |name: &str, emails: &[&str], active: bool| {
            let emails: Vec<_> = emails.iter().map(|value| json!({"value": value})).collect();
            let user = json!({"userName": name, "emails": emails, "active": active});
            let user = user.as_object().unwrap().clone();
            draft.create_user("corp", Uuid::new_v4(), user).unwrap();
        };
        create("ada", &["a@x", "A@x", "b@x"], false);
        create("bea", &["B@X"], true);
        create("spiffe://td/w", &[], true);
        draft.freeze("corp").unwrap();
        let frozen = draft.finish().directory;
        let mut draft = Draft::new(&frozen, Timestamp::UNIX_EPOCH);
        let ada = frozen.tenant("corp").unwrap().user_by_name("ada").unwrap();
        draft.delete_user("corp", ada.id).unwrap();
        let directory = draft.finish().directory;

        let published = directory.published("corp").unwrap();
        let subject = |binding, name: &str| key().subject("corp", binding, name.as_bytes());
        let named = |binding, name: &str| {
            let subject = subject(binding, name);
            let wanted = BTreeSet::from([subject, SubjectDigest([9; 16])]);
            let holders = directory.holders(published, &wanted);
            let users = holders.get(&subject).into_iter().flatten();
            let names = users.map(|user| user.identity.user_name.to_string());
            (holders.len(), names.collect::<Vec<_>>())
        };
        assert_eq!(named(&by_email, "a@x"), (1, vec!["ada".to_owned()]));
        let both = vec!["ada".to_owned(), "bea".to_owned()];
        assert_eq!(named(&by_email, "b@x"), (1, both));
        let workload = vec!["spiffe://td/w".to_owned()];
        assert_eq!(named(&workloads, "spiffe://td/w"), (1, workload));
        assert_eq!(named(&by_email, "spiffe://td/w"), (0, vec![]));
        // Of another tenant it is another subject.
        let other = key().subject("acme", &by_email, b"a@x");
        assert!(
            directory
                .holders(published, &BTreeSet::from([other]))
                .is_empty()
        );
    }
}
