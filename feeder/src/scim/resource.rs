//! Resources as clients see them: attributes, `schemas`, `id`, `meta`, and the memberships that the directory knows.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::stored::Stored;
use super::version;
use crate::directory::{Group, Member, Slot, Tenant};
use crate::schema::Kind;

/// What resources are seen from: their tenant at one moment, and the API's URL.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View<'v> {
    pub(crate) tenant: &'v Tenant,
    pub(crate) base: &'v str,
}

impl View<'_> {
    /// A resource. Its related resources, a user's groups or a group's members, only if wanted: there may be 100,000.
    pub(crate) fn resource(&self, stored: &Stored, related: bool) -> Map<String, Value> {
        let kind = stored.kind();
        let resources = self.tenant.schemas().of(kind);
        let mut resource = stored.attributes();
        let extensions = resources.extensions.iter().map(|schema| &schema.id);
        let used = extensions.filter(|urn| resource.contains_key(*urn));
        let schemas: Vec<&String> = std::iter::once(&resources.core.id).chain(used).collect();
        let schemas = json!(schemas);
        resource.insert("schemas".to_owned(), schemas);
        resource.insert("id".to_owned(), json!(stored.id()));
        let meta = stored.meta();
        let meta = json!({
            "resourceType": kind.name(),
            "created": meta.created.to_string(),
            "lastModified": meta.modified.to_string(),
            "location": self.location(kind, stored.id()),
            "version": version::tag(meta),
        });
        resource.insert("meta".to_owned(), meta);
        if related {
            let list = match stored {
                Stored::User(user) => self.groups_of(user.slot),
                Stored::Group(group) => self.members_of(group),
            };
            // RFC 7643 section 2.5: an empty list is no attribute. But authentik adds nobody to a group whose list of members it does not see.
            if !list.is_empty() || kind == Kind::Group {
                resource.insert(kind.related().to_owned(), Value::Array(list));
            }
        }
        resource
    }

    /// The groups that someone is in, the direct ones first (RFC 7643 section 4.1.2).
    fn groups_of(&self, slot: Slot) -> Vec<Value> {
        let mut met = BTreeSet::new();
        let mut groups = Vec::new();
        let mut children = vec![slot];
        let mut kind = "direct";
        while !children.is_empty() {
            let mut parents = Vec::new();
            for child in children {
                for group in self.tenant.direct_groups(child) {
                    if met.insert(group.slot) {
                        parents.push(group.slot);
                        groups.push(json!({
                            "value": group.id,
                            "$ref": self.location(Kind::Group, group.id),
                            "display": &*group.display_name,
                            "type": kind,
                        }));
                    }
                }
            }
            children = parents;
            kind = "indirect";
        }
        groups
    }

    fn members_of(&self, group: &Group) -> Vec<Value> {
        let members = group.members.iter();
        members
            .filter_map(|slot| self.tenant.member(*slot))
            .map(|member| {
                let (kind, id) = match member {
                    Member::User(user) => (Kind::User, user.id),
                    Member::Group(group) => (Kind::Group, group.id),
                };
                json!({
                    "value": id,
                    "$ref": self.location(kind, id),
                    "type": kind.name(),
                })
            })
            .collect()
    }

    fn location(&self, kind: Kind, id: Uuid) -> String {
        format!("{}{}/{id}", self.base, kind.endpoint())
    }
}
