//! Resources as clients see them: attributes, `schemas`, `id`, `meta`, and the memberships that the directory knows.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::schema::{self, ResourceType};
use super::version;
use crate::directory::{Attributes, Group, Member, Meta, Slot, Tenant, User};

/// What resources are seen from: their tenant at one moment, and the API's URL.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View<'v> {
    pub(crate) tenant: &'v Tenant,
    pub(crate) base: &'v str,
}

impl View<'_> {
    /// A user; `groups` only if wanted, because finding them walks up the nesting.
    pub(crate) fn user(&self, user: &User, with_groups: bool) -> Map<String, Value> {
        let mut resource = self.resource(schema::user(), user.attributes(), user.id, &user.meta);
        if with_groups {
            insert_list(&mut resource, "groups", self.groups_of(user.slot));
        }
        resource
    }

    /// A group; members only if wanted: there may be 100,000.
    pub(crate) fn group(&self, group: &Group, with_members: bool) -> Map<String, Value> {
        let attributes = group.attributes();
        let mut resource = self.resource(schema::group(), attributes, group.id, &group.meta);
        if with_members {
            insert_list(&mut resource, "members", self.members_of(group));
        }
        resource
    }

    fn resource(
        &self,
        resources: &ResourceType,
        attributes: Attributes,
        id: Uuid,
        meta: &Meta,
    ) -> Map<String, Value> {
        let mut resource = attributes;
        let extensions = resources.extensions.iter().map(|schema| &schema.id);
        let used = extensions.filter(|urn| resource.contains_key(*urn));
        let schemas: Vec<&String> = std::iter::once(&resources.core.id).chain(used).collect();
        let schemas = json!(schemas);
        resource.insert("schemas".to_owned(), schemas);
        resource.insert("id".to_owned(), json!(id));
        let meta = json!({
            "resourceType": resources.name,
            "created": meta.created.to_string(),
            "lastModified": meta.modified.to_string(),
            "location": self.location(&resources.endpoint, id),
            "version": version::tag(meta),
        });
        resource.insert("meta".to_owned(), meta);
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
                            "$ref": self.location(&schema::group().endpoint, group.id),
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
                let (resources, id, display) = match member {
                    Member::User(user) => (schema::user(), user.id, &user.identity.user_name),
                    Member::Group(group) => (schema::group(), group.id, &group.display_name),
                };
                json!({
                    "value": id,
                    "$ref": self.location(&resources.endpoint, id),
                    "type": resources.name,
                    "display": &**display,
                })
            })
            .collect()
    }

    fn location(&self, endpoint: &str, id: Uuid) -> String {
        format!("{}{endpoint}/{id}", self.base)
    }
}

/// RFC 7643 section 2.5: an empty list is no attribute.
fn insert_list(resource: &mut Map<String, Value>, name: &str, list: Vec<Value>) {
    if !list.is_empty() {
        resource.insert(name.to_owned(), Value::Array(list));
    }
}
