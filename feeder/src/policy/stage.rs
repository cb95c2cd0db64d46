//! A directory for trying policies on: made like the feeder's own, by the same commands, and kept nowhere.

use jiff::Timestamp;
use scimesh_engine::lint::Vocabulary;
use scimesh_proto::binding::Binding;
use scimesh_proto::digest::Key;
use scimesh_proto::position::History;
use scimesh_proto::scope::{Scope, TermKind};
use scimesh_proto::snapshot::Snapshot;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::directory::{Attributes, Directory, Draft, Keys, MemberChange, Refused, Resolved};

/// One tenant in a directory of its own.
#[derive(Debug)]
pub struct Stage {
    draft: Draft,
    tenant: String,
}

/// A user, as dumps and tests write one.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct User {
    pub(super) id: Option<Uuid>,
    pub(super) user_name: String,
    pub(super) external_id: Option<String>,
    pub(super) active: bool,
    #[serde(default)]
    pub(super) emails: Vec<String>,
    #[serde(default)]
    pub(super) roles: Vec<String>,
    #[serde(default)]
    pub(super) entitlements: Vec<String>,
}

/// A group, as dumps write one; its members are added when all are there.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Group {
    pub(super) id: Option<Uuid>,
    pub(super) display_name: String,
    pub(super) external_id: Option<String>,
    #[serde(default)]
    pub(super) users: Vec<Uuid>,
    #[serde(default)]
    pub(super) groups: Vec<Uuid>,
}

impl Stage {
    /// A tenant of this name, without users.
    pub(super) fn new(
        tenant: &str,
        bindings: impl IntoIterator<Item = Binding>,
    ) -> Result<Stage, Refused> {
        // Nothing of it leaves this process: the keys need not be secret, and the same input gives the same bytes.
        let history = History {
            generation: 1,
            id: [1; 16],
        };
        let keys = Keys {
            content: Key::new([1; 32]),
            proof: Key::new([2; 32]),
        };
        let mut draft = Draft::new(&Directory::new(history, 1, keys), Timestamp::UNIX_EPOCH);
        draft.create_tenant(tenant)?;
        for binding in bindings {
            draft.set_binding(tenant, binding)?;
        }
        Ok(Stage {
            draft,
            tenant: tenant.to_owned(),
        })
    }

    /// The tenant's name.
    pub fn tenant(&self) -> &str {
        &self.tenant
    }

    /// What was made.
    pub fn directory(&self) -> &Directory {
        self.draft.directory()
    }

    pub(super) fn bind(&mut self, binding: Binding) -> Result<(), Refused> {
        self.draft.set_binding(&self.tenant, binding)
    }

    /// Gives the user's id.
    pub(super) fn add_user(&mut self, user: User) -> Result<Uuid, Refused> {
        let values = |values: Vec<String>| -> Vec<Value> {
            values
                .into_iter()
                .map(|value| json!({ "value": value }))
                .collect()
        };
        let mut attributes = Attributes::new();
        attributes.insert("userName".to_owned(), json!(user.user_name));
        attributes.insert("externalId".to_owned(), json!(user.external_id));
        attributes.insert("active".to_owned(), json!(user.active));
        attributes.insert("emails".to_owned(), json!(values(user.emails)));
        attributes.insert("roles".to_owned(), json!(values(user.roles)));
        attributes.insert("entitlements".to_owned(), json!(values(user.entitlements)));
        let id = user.id.unwrap_or_else(Uuid::new_v4);
        self.draft.create_user(&self.tenant, id, attributes)?;
        Ok(id)
    }

    /// Gives the group's id. It has no members yet.
    pub(super) fn add_group(&mut self, group: Group) -> Result<Uuid, Refused> {
        let mut attributes = Attributes::new();
        attributes.insert("displayName".to_owned(), json!(group.display_name));
        attributes.insert("externalId".to_owned(), json!(group.external_id));
        let id = group.id.unwrap_or_else(Uuid::new_v4);
        self.draft.create_group(&self.tenant, id, attributes, &[])?;
        Ok(id)
    }

    pub(super) fn add_members(&mut self, group: Uuid, members: Vec<Uuid>) -> Result<(), Refused> {
        let changes = [MemberChange::Add(members)];
        self.draft.change_members(&self.tenant, group, &changes)?;
        Ok(())
    }

    /// The ids of all groups that a term of this kind and value could mean.
    pub(super) fn groups(&self, kind: TermKind, value: &str) -> Vec<Uuid> {
        let tenants = self.directory().tenants();
        let term = format!("{}:{value}", kind.as_str());
        let groups = tenants.flat_map(|tenant| tenant.groups_of_term(&term));
        groups.map(|group| group.id).collect()
    }

    /// What a filter would hold of it.
    pub fn snapshot(&self, scope: &Scope) -> Snapshot {
        let directory = self.directory();
        let mut resolved = Resolved::new(directory, scope);
        let mut snapshot = Snapshot::new(
            scope.clone(),
            directory.position(),
            directory.keys().content.clone(),
            resolved.bindings(),
            resolved.states().to_vec(),
        );
        resolved.for_each(|subject, terms| {
            // No two names mean one subject, or a filter would refuse the update.
            let _ = snapshot.insert(subject, terms.clone());
        });
        snapshot
    }

    /// Every term that a policy could name with effect.
    pub fn vocabulary(&self) -> Vocabulary {
        let mut vocabulary = Vocabulary::default();
        let tenants = self.directory().tenants();
        for tenant in tenants {
            for group in tenant.groups() {
                vocabulary.add(TermKind::Group, &group.display_name);
                if let Some(id) = &group.external_id {
                    vocabulary.add(TermKind::GroupExternalId, id);
                }
            }
            for user in tenant.users() {
                for role in &user.identity.roles {
                    vocabulary.add(TermKind::Role, role);
                }
                for entitlement in &user.identity.entitlements {
                    vocabulary.add(TermKind::Entitlement, entitlement);
                }
            }
        }
        vocabulary
    }
}
