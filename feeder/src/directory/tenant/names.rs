//! Whom and what a name means within a tenant.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use jiff::Timestamp;
use scimesh_proto::binding::{Attribute, Binding};
use scimesh_proto::scope::TermKind;
use uuid::Uuid;

use super::Tenant;
use crate::directory::change::Name;
use crate::directory::entry::meant;
use crate::directory::group::Group;
use crate::directory::index::Locator;
use crate::directory::release::{Compared, Person, Release};
use crate::directory::user::{User, fold};

/// A name that one user has, and that means nobody, because somebody else has lost it not long ago.
#[derive(Debug, Clone, Copy)]
pub struct Held<'a> {
    /// Who has it now.
    pub user: &'a Arc<User>,
    /// When the last of its former holders lost it.
    pub lost: Timestamp,
}

impl Tenant {
    /// The user of this `userName`, without regard to case ([`fold`]).
    pub fn user_by_name(&self, user_name: &str) -> Option<&Arc<User>> {
        self.users
            .get(self.user_names.get(fold(user_name).as_str())?)
    }

    /// Every user whose `attribute` is exactly `value`.
    pub fn users_by(&self, attribute: Attribute, value: &str) -> Vec<&Arc<User>> {
        let index = match attribute {
            Attribute::ExternalId => &self.external_ids,
            Attribute::Email => &self.emails,
            Attribute::UserName => {
                let user = self.user_by_name(value);
                return user
                    .filter(|user| &*user.identity.user_name == value)
                    .into_iter()
                    .collect();
            }
            Attribute::Id => {
                let id = Uuid::try_parse(value)
                    .ok()
                    .filter(|id| id.to_string() == value);
                return id.and_then(|id| self.user(id)).into_iter().collect();
            }
        };
        let slots = index.holders(value);
        slots.filter_map(|slot| self.users.get(&slot)).collect()
    }

    /// Every user whose folded `userName` begins with this folded text, in order of the names.
    pub(crate) fn users_by_name_prefix(&self, prefix: &str) -> impl Iterator<Item = &Arc<User>> {
        let from = (Bound::Included(prefix), Bound::Unbounded);
        let names = self.user_names.range::<_, str>(from);
        names
            .take_while(move |(name, _)| name.starts_with(prefix))
            .filter_map(|(_, slot)| self.users.get(slot))
    }

    /// Every user with an email that is `value` without regard to case, the oldest first.
    pub(crate) fn users_by_email(&self, value: &str) -> impl Iterator<Item = &Arc<User>> {
        let folded = fold(value);
        let slots = self.user_emails.holders(Locator::of(value));
        let users = slots.filter_map(|slot| self.users.get(&slot));
        users.filter(move |user| user.identity.emails.iter().any(|e| fold(e) == folded))
    }

    /// Every user whose displayName is `name` without regard to case, the oldest first, and perhaps others.
    pub(crate) fn users_displayed_as(&self, name: &str) -> impl Iterator<Item = &Arc<User>> {
        let slots = self.user_display_names.holders(Locator::of(name));
        slots.filter_map(|slot| self.users.get(&slot))
    }

    /// Every group whose displayName is `name` without regard to case, the oldest first.
    pub(crate) fn groups_displayed_as(&self, name: &str) -> impl Iterator<Item = &Arc<Group>> {
        let folded = fold(name);
        let slots = self.group_display_names.holders(Locator::of(name));
        let groups = slots.filter_map(|slot| self.groups.get(&slot));
        groups.filter(move |group| fold(&group.display_name) == folded)
    }

    /// The one user whom this name means under one of the bindings; none if nobody or several have it, or while it is
    /// [held](Self::held). `name` is in the form in which the binding compares.
    pub fn user_named(&self, binding: &Binding, name: &str) -> Option<&Arc<User>> {
        let user = self.sole_holder(binding, name)?;
        let held = self
            .releases
            .keep_from(&Person::of(user), compared(binding, name));
        (!held).then_some(user)
    }

    /// Who has this name under one of the bindings, if only a hold keeps it from meaning them. Names in a binding to `externalId` or `id` are never
    /// held.
    pub fn held(&self, binding: &Binding, name: &str) -> Option<Held<'_>> {
        let user = self.sole_holder(binding, name)?;
        let lost = self
            .releases
            .lost_to(&Person::of(user), compared(binding, name))?;
        Some(Held { user, lost })
    }

    /// The names that were lost and that only a hold keeps from meaning the user who has them, under one of the bindings at least: as each was lost, with
    /// the user's id, and when the last of its former holders lost it.
    pub(crate) fn held_names(&self) -> BTreeMap<(Name, Uuid), Timestamp> {
        let mut names = BTreeMap::new();
        for (_, Release { name, .. }) in self.releases() {
            for binding in self.bindings() {
                let held = meant(binding, name).and_then(|value| {
                    self.held(binding, &value)
                        .map(|held| (held.user.id, held.lost))
                });
                if let Some((user, lost)) = held {
                    let last = names.entry((name.clone(), user)).or_insert(lost);
                    *last = lost.max(*last);
                }
            }
        }
        names
    }

    /// Whether one of a user's own names, in the form in which the binding compares, means that user.
    pub(crate) fn means(&self, binding: &Binding, name: &str, user: &User) -> bool {
        let alone = self.has_no_doubles(binding)
            || self
                .sole_holder(binding, name)
                .is_some_and(|holder| holder.slot == user.slot);
        alone
            && (self.releases.len() == 0
                || !self
                    .releases
                    .keep_from(&Person::of(user), compared(binding, name)))
    }

    /// Whether no name under the binding is two users', as far as can be told without asking for one.
    fn has_no_doubles(&self, binding: &Binding) -> bool {
        match binding.attribute {
            Attribute::Id => true,
            Attribute::ExternalId => !self.external_ids.has_doubles(),
            Attribute::Email => !binding.ignore_case && !self.emails.has_doubles(),
            // Unique when they are written, but names that were different then may have become one since.
            Attribute::UserName => self.user_names.len() == self.users.len(),
        }
    }

    fn sole_holder(&self, binding: &Binding, name: &str) -> Option<&Arc<User>> {
        let users = match binding.ignore_case {
            true => self.users_ignoring_case(binding.attribute, name),
            false => self.users_by(binding.attribute, name),
        };
        match users.as_slice() {
            [user] => Some(user),
            _ => None,
        }
    }

    /// Every user whose `attribute` is `value` but for the case of ASCII letters.
    pub(crate) fn users_ignoring_case(&self, attribute: Attribute, value: &str) -> Vec<&Arc<User>> {
        match attribute {
            Attribute::UserName => {
                let user = self.user_by_name(value).into_iter();
                user.filter(|user| user.identity.user_name.eq_ignore_ascii_case(value))
                    .collect()
            }
            Attribute::Email => {
                let users = self.users_by_email(value);
                let has = |user: &Arc<User>| {
                    let mut emails = user.identity.emails.iter();
                    emails.any(|email| email.eq_ignore_ascii_case(value))
                };
                users.filter(|user| has(user)).collect()
            }
            // No binding ignores the case of these.
            Attribute::Id | Attribute::ExternalId => self.users_by(attribute, value),
        }
    }

    /// Every group of exactly this displayName.
    pub fn groups_by_display_name(&self, name: &str) -> Vec<&Arc<Group>> {
        self.groups_of_term(&format!("group:{name}"))
    }

    /// Every group of exactly this externalId.
    pub(crate) fn groups_by_external_id(&self, id: &str) -> Vec<&Arc<Group>> {
        self.groups_of_term(&format!("{}:{id}", TermKind::GroupExternalId.as_str()))
    }

    /// Every group that the term of this text could mean.
    pub(crate) fn groups_of_term(&self, term: &str) -> Vec<&Arc<Group>> {
        let slots = self.group_terms.holders(term);
        slots.filter_map(|slot| self.groups.get(&slot)).collect()
    }
}

fn compared<'n>(binding: &Binding, name: &'n str) -> Compared<'n> {
    Compared {
        attribute: binding.attribute,
        value: name,
        ignore_case: binding.ignore_case,
    }
}

#[cfg(test)]
mod tests {
    use scimesh_proto::binding::Source;
    use scimesh_proto::digest::Key;
    use scimesh_proto::position::History;
    use serde_json::json;

    use super::*;
    use crate::directory::user::{Meta, Slot};
    use crate::directory::{Directory, Draft, Keys};

    #[test]
    fn a_user_name_names_its_user_to_the_letter_though_it_is_taken_in_every_case() {
        let mut tenant = Tenant::new(1, "corp");
        let attributes = json!({"userName": "Ada@example.com"});
        let attributes = attributes.as_object().unwrap();
        let meta = Meta::new(jiff::Timestamp::UNIX_EPOCH);
        let ada = User::new(Slot(1), Uuid::from_u128(1), meta, attributes).unwrap();
        tenant.put_user(Arc::new(ada));
        let binding = by_name(false);
        let named = |name| tenant.user_named(&binding, name).is_some();
        assert!(named("Ada@example.com"));
        assert!(!named("ada@example.com"));
        assert!(tenant.user_by_name("ada@example.com").is_some());
    }

    #[test]
    fn what_is_held_is_told_as_the_bindings_compare_it() {
        for (ignore_case, spelled, told) in [
            (false, "Ada", &["Ada"][..]),
            (false, "ada", &[]),
            (true, "ada", &["Ada"]),
        ] {
            let history = History {
                generation: 1,
                id: [1; 16],
            };
            let key = || Key::new([2; 32]);
            let keys = Keys {
                content: key(),
                proof: key(),
            };
            let empty = Directory::new(history, 0, keys);
            let mut draft = Draft::new(&empty, Timestamp::UNIX_EPOCH);
            draft.create_tenant("corp").unwrap();
            let user = |name: &str, person: &str| {
                let attributes = json!({"userName": name, "externalId": person, "active": true});
                attributes.as_object().unwrap().clone()
            };
            let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
            draft.create_user("corp", one, user("Ada", "1")).unwrap();
            draft.update_user("corp", one, user("Eve", "1")).unwrap();
            draft
                .create_user("corp", other, user(spelled, "2"))
                .unwrap();
            let held = |draft: &Draft| -> Vec<_> {
                let held = draft.tenant("corp").unwrap().held_names();
                let held = held.into_iter();
                held.map(|((name, user), _)| (name.value.to_string(), user))
                    .collect()
            };
            // Under no binding anybody is meant by anything.
            assert_eq!(held(&draft), []);
            draft.set_binding("corp", by_name(ignore_case)).unwrap();
            let told: Vec<_> = told.iter().map(|name| (name.to_string(), other)).collect();
            assert_eq!(held(&draft), told, "{ignore_case} {spelled}");
        }
    }

    fn by_name(ignore_case: bool) -> Binding {
        Binding {
            source: Source::Token {
                issuer: "i".to_owned(),
                claim: "sub".to_owned(),
                pin: None,
                groups: None,
            },
            attribute: Attribute::UserName,
            ignore_case,
        }
    }
}
