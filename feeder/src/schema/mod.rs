//! Schemas as data (RFC 7643 sections 2 and 7): what attributes there are and what each demands.
//!
//! Everything that depends on an attribute asks here: names and their canonical spelling, types, PATCH, filters, projection and `/Schemas`.
//! A tenant has its own [`Schemas`]. Nothing here knows of requests or of stored resources.

mod attribute;
mod enterprise;
mod extension;
mod group;
mod literal;
mod resemblance;
mod resolve;
#[cfg(test)]
mod rfc7643;
mod user;

use std::sync::{Arc, LazyLock};

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

pub use attribute::Attribute;
pub(crate) use attribute::{Mutability, Returned, Type};
pub use extension::InvalidExtension;
pub(crate) use extension::narrows;
pub(crate) use literal::{is_base64, number_order, time};
pub(crate) use resolve::{Naming, Place, Resolved, Unknown, WRITTEN_CHARS};

/// `User`, RFC 7643 section 4.1.
pub(crate) const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
/// `Group`, RFC 7643 section 4.2.
pub(crate) const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
/// The enterprise extension of `User`, RFC 7643 section 4.3.
pub(crate) const ENTERPRISE_USER: &str =
    "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

/// A set of attributes under one URN, written and read as RFC 7643 section 7 shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Written")]
pub struct Schema {
    /// Its URN.
    pub(crate) id: String,
    /// Its name for people.
    pub(crate) name: String,
    /// What it describes.
    pub(crate) description: String,
    /// Its attributes.
    pub(crate) attributes: Vec<Attribute>,
}

/// A schema as a definition has it. A copy of what another server shows has `schemas` and `meta` too: they say nothing.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    id: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    description: String,
    attributes: Vec<Attribute>,
    #[serde(default, rename = "schemas")]
    _schemas: IgnoredAny,
    #[serde(default, rename = "meta")]
    _meta: IgnoredAny,
}

impl From<Written> for Schema {
    fn from(written: Written) -> Schema {
        Schema {
            id: written.id,
            name: written.name,
            description: written.description,
            attributes: written.attributes,
        }
    }
}

impl Schema {
    /// Its URN.
    pub fn urn(&self) -> &str {
        &self.id
    }

    /// The names of its attributes.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.attributes
            .iter()
            .map(|attribute| attribute.name.as_str())
    }

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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Kind {
    /// A person or a machine.
    User,
    /// A group of users and groups.
    Group,
}

impl Kind {
    /// Every kind, in the order of `/ResourceTypes`.
    pub(crate) const ALL: [Kind; 2] = [Kind::User, Kind::Group];

    /// The kind of this name.
    pub(crate) fn named(name: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.name() == name)
    }

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
    /// Extensions, none of them required: the RFC's, then the tenant's own by URN.
    pub(crate) extensions: Vec<Schema>,
    /// `schemas`, `id`, `externalId` and `meta`, which every resource has and no schema lists (RFC 7643 section 3.1).
    common: Vec<Attribute>,
}

impl ResourceType {
    /// The core schema's attributes and the common ones, which share one level of a resource.
    pub(crate) fn top_level(&self) -> impl Iterator<Item = &Attribute> {
        self.core.attributes.iter().chain(&self.common)
    }

    /// Every attribute and sub-attribute, of the extensions too.
    pub(crate) fn everywhere(&self) -> impl Iterator<Item = &Attribute> {
        let extensions = self.extensions.iter().flat_map(|schema| &schema.attributes);
        let attributes = self.top_level().chain(extensions);
        attributes.flat_map(|attribute| {
            let subs = attribute.sub_attributes.iter();
            std::iter::once(attribute).chain(subs)
        })
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

    /// What the tenant itself has defined.
    pub(crate) fn defined(&self) -> impl Iterator<Item = (Kind, &Schema)> {
        let extensions = self.all().into_iter().flat_map(|resources| {
            let extensions = resources.extensions.iter();
            extensions.map(|schema| (resources.kind, schema))
        });
        extensions.filter(|(_, schema)| schema.id != ENTERPRISE_USER)
    }

    /// The schema of this URN that the tenant has defined, without regard to case.
    pub(crate) fn definition(&self, urn: &str) -> Option<(Kind, &Schema)> {
        self.defined()
            .find(|(_, schema)| schema.id.eq_ignore_ascii_case(urn))
    }

    /// These with one more extension, in the place of the one that has its URN.
    pub(crate) fn with(&self, kind: Kind, schema: Schema) -> Schemas {
        let mut schemas = self.clone();
        let extensions = &mut schemas.of_mut(kind).extensions;
        extensions.retain(|held| !held.id.eq_ignore_ascii_case(&schema.id));
        extensions.push(schema);
        extensions.sort_by_cached_key(|schema| (schema.id != ENTERPRISE_USER, schema.id.clone()));
        schemas
    }

    /// These without the extension of this URN.
    pub(crate) fn without(&self, urn: &str) -> Schemas {
        let mut schemas = self.clone();
        for kind in Kind::ALL {
            let extensions = &mut schemas.of_mut(kind).extensions;
            extensions.retain(|schema| schema.id != urn);
        }
        schemas
    }

    fn of_mut(&mut self, kind: Kind) -> &mut ResourceType {
        match kind {
            Kind::User => &mut self.users,
            Kind::Group => &mut self.groups,
        }
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
