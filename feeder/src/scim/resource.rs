//! Resources as clients see them: attributes, `schemas`, `id`, `meta`, and the memberships that the directory knows.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::vec;

use imbl::OrdSet;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::stored::Stored;
use super::version;
use crate::directory::{Member, Slot, Tenant};
use crate::schema::Kind;

/// What resources are seen from: their tenant at one moment, and the API's URL.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View<'v> {
    pub(crate) tenant: &'v Tenant,
    pub(crate) base: &'v str,
}

#[cfg(test)]
thread_local! {
    /// How many related resources this thread has looked at.
    pub(crate) static LOOKED_AT: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

impl View<'_> {
    /// A resource without its related resources, a user's groups or a group's members.
    pub(crate) fn resource(&self, stored: &Stored) -> Map<String, Value> {
        let mut resource = stored.attributes();
        let schemas = self.schemas(stored, |urn| resource.contains_key(urn));
        resource.insert("schemas".to_owned(), schemas);
        resource.insert("id".to_owned(), json!(stored.id()));
        let meta = self.meta(stored);
        resource.insert("meta".to_owned(), meta);
        resource
    }

    /// `schemas`: the core schema, and those extensions of which the resource `has` something.
    pub(crate) fn schemas(&self, stored: &Stored, has: impl Fn(&str) -> bool) -> Value {
        let resources = self.tenant.schemas().of(stored.kind());
        let extensions = resources.extensions.iter().map(|schema| &schema.id);
        let used = extensions.filter(|urn| has(urn));
        let schemas: Vec<&String> = std::iter::once(&resources.core.id).chain(used).collect();
        json!(schemas)
    }

    /// `meta` (RFC 7643 section 3.1).
    pub(crate) fn meta(&self, stored: &Stored) -> Value {
        let meta = stored.meta();
        json!({
            "resourceType": stored.kind().name(),
            "created": meta.created.to_string(),
            "lastModified": meta.modified.to_string(),
            "location": self.location(stored.kind(), stored.id()),
            "version": version::tag(meta),
        })
    }

    /// One related resource, as the element of a list; none if it is gone.
    pub(crate) fn element(&self, element: Element) -> Option<Value> {
        #[cfg(test)]
        LOOKED_AT.set(LOOKED_AT.get() + 1);
        match element {
            Element::Group(slot, kind) => {
                let group = self.tenant.group_at(slot)?;
                Some(json!({
                    "value": group.id,
                    "$ref": self.location(Kind::Group, group.id),
                    "display": &*group.display_name,
                    "type": kind,
                }))
            }
            Element::Member(slot) => {
                let (kind, id) = match self.tenant.member(slot)? {
                    Member::User(user) => (Kind::User, user.id),
                    Member::Group(group) => (Kind::Group, group.id),
                };
                Some(json!({
                    "value": id,
                    "$ref": self.location(kind, id),
                    "type": kind.name(),
                }))
            }
        }
    }

    /// Its URL.
    pub(crate) fn location(&self, kind: Kind, id: Uuid) -> String {
        format!("{}{}/{id}", self.base, kind.endpoint())
    }
}

/// A related resource, not looked at yet.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Element {
    /// A group, and how a user is in it.
    Group(Slot, &'static str),
    /// A member of a group.
    Member(Slot),
}

/// A user's groups or a group's members, one by one: there may be 100,000. It can be put aside and taken up again.
#[derive(Debug)]
pub(crate) enum Related {
    Groups(vec::IntoIter<(Slot, &'static str)>),
    Members {
        members: OrdSet<Slot>,
        /// The last one that was taken.
        after: Option<Slot>,
    },
}

impl Related {
    pub(crate) fn of(tenant: &Tenant, stored: &Stored) -> Related {
        match stored {
            Stored::User(user) => Related::Groups(groups_of(tenant, user.slot).into_iter()),
            Stored::Group(group) => Related::Members {
                members: group.members.clone(),
                after: None,
            },
        }
    }
}

impl Iterator for Related {
    type Item = Element;

    fn next(&mut self) -> Option<Element> {
        match self {
            Related::Groups(groups) => groups.next().map(|(slot, kind)| Element::Group(slot, kind)),
            Related::Members { members, after } => {
                let from = after.map_or(Bound::Unbounded, Bound::Excluded);
                let next = members.range::<_, Slot>((from, Bound::Unbounded)).next();
                *after = Some(*next?);
                after.map(Element::Member)
            }
        }
    }
}

/// The groups that someone is in, the direct ones first (RFC 7643 section 4.1.2).
fn groups_of(tenant: &Tenant, slot: Slot) -> Vec<(Slot, &'static str)> {
    let mut met = BTreeSet::new();
    let mut groups = Vec::new();
    let mut children = vec![slot];
    let mut kind = "direct";
    while !children.is_empty() {
        let mut parents = Vec::new();
        for child in children {
            for group in tenant.parents(child) {
                if met.insert(group) {
                    parents.push(group);
                    groups.push((group, kind));
                }
            }
        }
        children = parents;
        kind = "indirect";
    }
    groups
}
