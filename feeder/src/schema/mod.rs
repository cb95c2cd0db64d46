//! Schemas as data (RFC 7643 sections 2 and 7): what attributes there are and what each demands.
//!
//! Everything that depends on an attribute asks here: names and their canonical spelling, types, PATCH, filters, projection and `/Schemas`.
//! A tenant has its own [`Schemas`]. Nothing here knows of requests or of stored resources.

mod attribute;
mod enterprise;
mod group;
mod resemblance;
mod resolve;
mod user;

use std::sync::{Arc, LazyLock};

use serde::Serialize;

pub(crate) use attribute::{Attribute, Mutability, Returned, Type};
pub(crate) use resolve::{Place, Resolved, Unknown, WRITTEN_CHARS};

/// `User`, RFC 7643 section 4.1.
pub(crate) const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
/// `Group`, RFC 7643 section 4.2.
pub(crate) const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
/// The enterprise extension of `User`, RFC 7643 section 4.3.
pub(crate) const ENTERPRISE_USER: &str =
    "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

/// A set of attributes under one URN (RFC 7643 section 7).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Schema {
    /// Its URN.
    pub(crate) id: String,
    /// Its name for people.
    pub(crate) name: String,
    /// What it describes.
    pub(crate) description: String,
    /// Its attributes.
    pub(crate) attributes: Vec<Attribute>,
}

impl Schema {
    fn new(id: &str, name: &str, description: &str, attributes: Vec<Attribute>) -> Schema {
        Schema {
            id: id.to_owned(),
            name: name.to_owned(),
            description: description.to_owned(),
            attributes,
        }
    }
}

/// Which kind of resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A person or a machine.
    User,
    /// A group of users and groups.
    Group,
}

impl Kind {
    /// Every kind, in the order of `/ResourceTypes`.
    pub(crate) const ALL: [Kind; 2] = [Kind::User, Kind::Group];

    /// `User` or `Group`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::User => "User",
            Kind::Group => "Group",
        }
    }

    /// The attribute that says who is in what: it is no part of a stored resource's attributes.
    pub(crate) fn related(self) -> &'static str {
        match self {
            Kind::User => "groups",
            Kind::Group => "members",
        }
    }

    /// Its endpoint below the base URL, with the slash.
    pub(crate) fn endpoint(self) -> &'static str {
        match self {
            Kind::User => "/Users",
            Kind::Group => "/Groups",
        }
    }
}

/// A resource type: its core schema and the extensions it may carry (RFC 7643 section 6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ResourceType {
    /// Of what.
    pub(crate) kind: Kind,
    /// What it is.
    pub(crate) description: String,
    /// Its core schema.
    pub(crate) core: Schema,
    /// Extensions, none of them required.
    pub(crate) extensions: Vec<Schema>,
    /// `schemas`, `id`, `externalId` and `meta`, which every resource has and no schema lists (RFC 7643 section 3.1).
    common: Vec<Attribute>,
}

impl ResourceType {
    /// The core schema's attributes and the common ones, which share one level of a resource.
    pub(crate) fn top_level(&self) -> impl Iterator<Item = &Attribute> {
        self.core.attributes.iter().chain(&self.common)
    }
}

/// What a tenant's resources look like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schemas {
    users: ResourceType,
    groups: ResourceType,
}

impl Schemas {
    /// Those of every tenant: the RFC's, with the enterprise extension.
    pub(crate) fn standard() -> &'static Arc<Schemas> {
        static STANDARD: LazyLock<Arc<Schemas>> = LazyLock::new(|| {
            let users = ResourceType {
                kind: Kind::User,
                description: "User account, of a person or a machine".to_owned(),
                core: user::schema(),
                extensions: vec![enterprise::schema()],
                common: common(),
            };
            let groups = ResourceType {
                kind: Kind::Group,
                description: "Group of users and groups".to_owned(),
                core: group::schema(),
                extensions: Vec::new(),
                common: common(),
            };
            Arc::new(Schemas { users, groups })
        });
        &STANDARD
    }

    /// The resource type of this kind.
    pub(crate) fn of(&self, kind: Kind) -> &ResourceType {
        match kind {
            Kind::User => &self.users,
            Kind::Group => &self.groups,
        }
    }

    /// Both, in the order of `/ResourceTypes`.
    pub(crate) fn all(&self) -> [&ResourceType; 2] {
        Kind::ALL.map(|kind| self.of(kind))
    }
}

/// Users as every tenant has them.
#[cfg(test)]
pub(crate) fn user() -> &'static ResourceType {
    Schemas::standard().of(Kind::User)
}

/// Groups as every tenant has them.
#[cfg(test)]
pub(crate) fn group() -> &'static ResourceType {
    Schemas::standard().of(Kind::Group)
}

fn common() -> Vec<Attribute> {
    use attribute::{complex, text};
    let time = |name: &str, description: &str| {
        text(name, description)
            .kind(Type::DateTime)
            .exact()
            .read_only()
    };
    vec![
        text("schemas", "URNs of the schemas that the resource uses")
            .kind(Type::Reference)
            .many()
            .exact()
            .read_only()
            .returned(Returned::Always),
        text("id", "Identifier that the server chose")
            .exact()
            .read_only()
            .returned(Returned::Always),
        text("externalId", "Identifier that the client chose").exact(),
        complex(
            "meta",
            "What the server says of the resource",
            vec![
                text("resourceType", "Name of its type").exact().read_only(),
                time("created", "When it was made"),
                time("lastModified", "When it last changed"),
                text("location", "Its URL")
                    .kind(Type::Reference)
                    .exact()
                    .read_only(),
                text("version", "Its weak entity tag").exact().read_only(),
            ],
        )
        .read_only(),
    ]
}
