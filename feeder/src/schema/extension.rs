//! What a tenant may define: one extension as RFC 7643 section 7 writes it, checked on its own, beside the tenant's other schemas, and, once resources
//! have values under it, against what it was before.
//!
//! Every refusal names the attribute and what is wrong. What the server would not enforce, it does not let a schema promise.

use thiserror::Error;

use super::attribute::{Mutability, Uniqueness};
use super::{Attribute, ENTERPRISE_USER, GROUP, Kind, Returned, Schema, Schemas, Type, USER};

/// Extensions that a tenant may define, for users and groups together.
const MAX_EXTENSIONS: usize = 20;
/// Attributes of one schema.
const MAX_ATTRIBUTES: usize = 200;
/// Sub-attributes of one attribute, and its canonical values.
const MAX_PARTS: usize = 50;
/// Longest URN, in bytes.
const MAX_URN_BYTES: usize = 200;
/// Longest attribute name, in bytes.
const MAX_NAME_BYTES: usize = 64;
/// Longest description, name of a schema or canonical value, in bytes.
const MAX_TEXT_BYTES: usize = 1024;

/// Under these the IETF defines what extends nothing: core schemas and messages.
const RESERVED: [&str; 2] = [
    "urn:ietf:params:scim:schemas:core:",
    "urn:ietf:params:scim:api:",
];

/// Why a schema can't be an extension of this tenant's resources.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidExtension {
    /// A URN that is none, or not the tenant's to define.
    #[error("id: {urn:?} {why}")]
    Urn {
        /// Shortened.
        urn: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Names below the one URN would look like names below the other.
    #[error(
        "id: {urn:?} and {other:?} can't both be schemas: attributes of the one would be named like the other"
    )]
    Overlap {
        /// The new URN.
        urn: String,
        /// A schema of the tenant.
        other: String,
    },
    /// The URN extends another kind of resource already.
    #[error("id: {urn:?} extends {} already", kind.name())]
    OtherKind {
        /// The URN.
        urn: String,
        /// What it extends.
        kind: Kind,
    },
    /// More than the server takes.
    #[error("more than {limit} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The bound.
        limit: usize,
    },
    /// A text of the schema itself.
    #[error("{field}: {why}")]
    Field {
        /// Which.
        field: &'static str,
        /// What is wrong with it.
        why: &'static str,
    },
    /// An attribute that can't be as it is.
    #[error("attribute {name:?}: {why}")]
    Attribute {
        /// `attribute` or `attribute.sub`, shortened.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
}

/// A client's, or an operator's, text is never repeated at a greater length.
const SHOWN_CHARS: usize = 100;

fn shown(text: &str) -> String {
    text.chars().take(SHOWN_CHARS).collect()
}

impl Schemas {
    /// Checks that this may become an extension of resources of this kind.
    pub(crate) fn admit(&self, kind: Kind, schema: &Schema) -> Result<(), InvalidExtension> {
        valid_urn(&schema.id)?;
        let mut others = 0;
        let built_in = [USER, GROUP, ENTERPRISE_USER].map(|urn| (None, urn));
        let defined = self
            .defined()
            .map(|(kind, schema)| (Some(kind), schema.id.as_str()));
        for (of, urn) in built_in.into_iter().chain(defined) {
            if schema.id.eq_ignore_ascii_case(urn) {
                match of {
                    None => return Err(bad_urn(&schema.id, "is a schema that every tenant has")),
                    Some(of) if of != kind => {
                        let urn = schema.id.clone();
                        return Err(InvalidExtension::OtherKind { urn, kind: of });
                    }
                    Some(_) => continue,
                }
            }
            if begins(&schema.id, urn) || begins(urn, &schema.id) {
                return Err(InvalidExtension::Overlap {
                    urn: schema.id.clone(),
                    other: urn.to_owned(),
                });
            }
            others += usize::from(of.is_some());
        }
        at_most("extensions", others + 1, MAX_EXTENSIONS)?;
        valid_schema(schema)
    }
}

/// Whether `longer` could be an attribute under the URN `shorter`.
fn begins(shorter: &str, longer: &str) -> bool {
    let start = longer.get(..shorter.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(shorter))
        && longer.as_bytes().get(shorter.len()) == Some(&b':')
}

fn bad_urn(urn: &str, why: &'static str) -> InvalidExtension {
    InvalidExtension::Urn {
        urn: shown(urn),
        why,
    }
}

/// `urn:NID:NSS` (RFC 8141) of what needs no escape in URLs, filters and paths.
fn valid_urn(urn: &str) -> Result<(), InvalidExtension> {
    let starts = |prefix: &str| {
        let start = urn.get(..prefix.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    };
    let known = |c: char| c.is_ascii_alphanumeric() || ":._-".contains(c);
    let why = match urn {
        _ if !starts("urn:") => "does not begin with \"urn:\"",
        _ if urn.len() > MAX_URN_BYTES => "is longer than 200 bytes",
        _ if !urn.chars().all(known) => {
            "has a character that is no ASCII letter, no digit and none of ':', '.', '_' and '-'"
        }
        _ if urn.split(':').count() < 3 || urn.split(':').any(str::is_empty) => {
            "has not the form urn:NAMESPACE:NAME"
        }
        _ if RESERVED.iter().any(|prefix| starts(prefix)) => "is the IETF's to define",
        _ => return Ok(()),
    };
    Err(bad_urn(urn, why))
}

fn valid_schema(schema: &Schema) -> Result<(), InvalidExtension> {
    for (field, text) in [("name", &schema.name), ("description", &schema.description)] {
        if text.len() > MAX_TEXT_BYTES {
            let why = "longer than 1024 bytes";
            return Err(InvalidExtension::Field { field, why });
        }
    }
    if schema.attributes.is_empty() {
        let (field, why) = ("attributes", "there are none");
        return Err(InvalidExtension::Field { field, why });
    }
    at_most("attributes", schema.attributes.len(), MAX_ATTRIBUTES)?;
    for attribute in &schema.attributes {
        let fail = |why| bad_attribute(&attribute.name, why);
        valid_attribute(attribute).map_err(fail)?;
        valid_complex(attribute).map_err(fail)?;
        if repeated(&schema.attributes, attribute) {
            return Err(fail(TWICE));
        }
        for sub in &attribute.sub_attributes {
            let name = format!("{}.{}", attribute.name, sub.name);
            let fail = |why| bad_attribute(&name, why);
            valid_attribute(sub).map_err(fail)?;
            valid_sub(sub).map_err(fail)?;
            if repeated(&attribute.sub_attributes, sub) {
                return Err(fail(TWICE));
            }
        }
    }
    Ok(())
}

const TWICE: &str = "defined twice; names are compared without regard to case";

fn bad_attribute(name: &str, why: &'static str) -> InvalidExtension {
    InvalidExtension::Attribute {
        name: shown(name),
        why,
    }
}

fn repeated(all: &[Attribute], one: &Attribute) -> bool {
    let same = |other: &&Attribute| other.name.eq_ignore_ascii_case(&one.name);
    all.iter().filter(same).count() > 1
}

/// What holds for attributes and sub-attributes.
fn valid_attribute(attribute: &Attribute) -> Result<(), &'static str> {
    let reference = attribute.kind == Type::Reference;
    let name = &attribute.name;
    // The RFC's grammar does not have the name that the RFC itself gives to references.
    let named = valid_name(name) || (reference && name == "$ref");
    if !named {
        return Err("a name is 1 to 64 of A-Z, a-z, 0-9, '-', '_' and '$', the first a letter");
    }
    if attribute.description.len() > MAX_TEXT_BYTES {
        return Err("its description is longer than 1024 bytes");
    }
    if attribute.required {
        return Err("can't be required: no resource need have the extension");
    }
    if attribute.uniqueness != Uniqueness::None {
        return Err("uniqueness is not enforced for extensions: it can only be \"none\"");
    }
    let values = &attribute.canonical_values;
    if !values.is_empty() && !matches!(attribute.kind, Type::String | Type::Reference) {
        return Err("only strings and references have canonicalValues");
    }
    if values.len() > MAX_PARTS {
        return Err("more than 50 canonicalValues");
    }
    if values.iter().any(|value| value.len() > MAX_TEXT_BYTES) {
        return Err("a canonical value is longer than 1024 bytes");
    }
    if reference == attribute.reference_types.is_empty() {
        return Err("a reference has referenceTypes, and nothing else has");
    }
    let known = |to: &String| Kind::named(to).is_some() || to == "external" || to == "uri";
    if !attribute.reference_types.iter().all(known) {
        return Err("referenceTypes are User, Group, external and uri");
    }
    if attribute.mutability == Mutability::WriteOnly && attribute.returned != Returned::Never {
        return Err("what is writeOnly is never returned");
    }
    Ok(())
}

/// What holds for attributes alone.
fn valid_complex(attribute: &Attribute) -> Result<(), &'static str> {
    let complex = attribute.kind == Type::Complex;
    let subs = &attribute.sub_attributes;
    match (complex, subs.is_empty()) {
        (true, true) => return Err("complex, but without subAttributes"),
        (false, false) => return Err("has subAttributes, but is not complex"),
        _ => {}
    }
    if subs.len() > MAX_PARTS {
        return Err("more than 50 subAttributes");
    }
    let primary = attribute.multi_valued.then(|| attribute.sub("primary"));
    if primary
        .flatten()
        .is_some_and(|sub| sub.kind != Type::Boolean)
    {
        return Err("the primary of a list of values is boolean");
    }
    Ok(())
}

/// What holds for sub-attributes alone.
fn valid_sub(sub: &Attribute) -> Result<(), &'static str> {
    // RFC 7643 section 2.3.8.
    if sub.kind == Type::Complex || !sub.sub_attributes.is_empty() {
        return Err("a sub-attribute can't be complex");
    }
    if sub.multi_valued {
        return Err("a sub-attribute can't have several values here");
    }
    Ok(())
}

/// RFC 7643 section 2.1, `ATTRNAME`.
fn valid_name(name: &str) -> bool {
    let known = |c: char| c.is_ascii_alphanumeric() || "$-_".contains(c);
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(known)
        && name.len() <= MAX_NAME_BYTES
}

fn at_most(what: &'static str, count: usize, limit: usize) -> Result<(), InvalidExtension> {
    match count > limit {
        true => Err(InvalidExtension::TooMany { what, limit }),
        false => Ok(()),
    }
}

/// Why values that were stored under the old definition might not fit the new one; none if all that it does is to add: attributes, canonical
/// values and reference types, and other descriptions.
pub(crate) fn narrows(old: &Schema, new: &Schema) -> Option<String> {
    if old.id != new.id {
        return Some(format!("its id is now written {:?}", new.id));
    }
    old.attributes
        .iter()
        .find_map(|attribute| lost(attribute, &new.attributes, ""))
}

fn lost(old: &Attribute, new: &[Attribute], within: &str) -> Option<String> {
    let name = format!("{within}{}", old.name);
    let Some(new) = new.iter().find(|new| new.name == old.name) else {
        return Some(format!("attribute {name:?} would go"));
    };
    let fixed = |attribute: &Attribute| {
        let Attribute {
            kind,
            multi_valued,
            case_exact,
            mutability,
            returned,
            ..
        } = attribute;
        (*kind, *multi_valued, *case_exact, *mutability, *returned)
    };
    let keeps = |old: &[String], new: &[String]| old.iter().all(|value| new.contains(value));
    if fixed(old) != fixed(new)
        || !keeps(&old.canonical_values, &new.canonical_values)
        || !keeps(&old.reference_types, &new.reference_types)
    {
        return Some(format!("attribute {name:?} would become another"));
    }
    let within = format!("{name}.");
    old.sub_attributes
        .iter()
        .find_map(|sub| lost(sub, &new.sub_attributes, &within))
}
