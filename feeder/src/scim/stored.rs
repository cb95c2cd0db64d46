//! A user or a group, as the directory holds it: what the endpoints treat alike.

use std::sync::Arc;

use uuid::Uuid;

use crate::directory::{Attributes, Group, Member, Meta, Slot, Tenant, User};
use crate::schema::Kind;

/// A resource at one of its versions.
#[derive(Debug, Clone)]
pub(crate) enum Stored {
    User(Arc<User>),
    Group(Arc<Group>),
}

impl Stored {
    /// The resource of this kind and id.
    pub(crate) fn find(tenant: &Tenant, kind: Kind, id: Uuid) -> Option<Stored> {
        match kind {
            Kind::User => tenant.user(id).cloned().map(Stored::User),
            Kind::Group => tenant.group(id).cloned().map(Stored::Group),
        }
    }

    /// The resource of this number.
    pub(crate) fn at(tenant: &Tenant, slot: Slot) -> Option<Stored> {
        match tenant.member(slot)? {
            Member::User(user) => Some(Stored::User(user.clone())),
            Member::Group(group) => Some(Stored::Group(group.clone())),
        }
    }

    pub(crate) fn kind(&self) -> Kind {
        match self {
            Stored::User(_) => Kind::User,
            Stored::Group(_) => Kind::Group,
        }
    }

    /// Its internal number, which orders resources by their creation.
    pub(crate) fn slot(&self) -> Slot {
        match self {
            Stored::User(user) => user.slot,
            Stored::Group(group) => group.slot,
        }
    }

    pub(crate) fn id(&self) -> Uuid {
        match self {
            Stored::User(user) => user.id,
            Stored::Group(group) => group.id,
        }
    }

    pub(crate) fn meta(&self) -> &Meta {
        match self {
            Stored::User(user) => &user.meta,
            Stored::Group(group) => &group.meta,
        }
    }

    /// Its attributes, without what other resources say of it: a user's groups, a group's members.
    pub(crate) fn attributes(&self) -> Attributes {
        match self {
            Stored::User(user) => user.attributes(),
            Stored::Group(group) => group.attributes(),
        }
    }

    /// Those of its attributes that have one of these names.
    pub(crate) fn selected(&self, names: &[&str]) -> Attributes {
        match self {
            Stored::User(user) => user.selected(names),
            Stored::Group(group) => group.selected(names),
        }
    }

    /// Its attributes as they are kept.
    pub(crate) fn document(&self) -> &str {
        match self {
            Stored::User(user) => &user.document,
            Stored::Group(group) => &group.document,
        }
    }

    /// Steps that it takes to look at all of it: few, unless it is large.
    pub(crate) fn weight(&self) -> usize {
        const STEP_BYTES: usize = 512;
        1 + self.document().len() / STEP_BYTES
    }

    /// Whether both have the same attributes, whatever their members.
    pub(crate) fn same_attributes(&self, other: &Stored) -> bool {
        self.kind() == other.kind() && self.document() == other.document()
    }
}
