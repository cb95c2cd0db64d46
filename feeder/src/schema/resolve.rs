//! From a written attribute name to its definition (RFC 7643 section 2.1, RFC 7644 section 3.10).

use std::fmt;

use thiserror::Error;

use super::resemblance::Plain;
use super::{Attribute, ResourceType, Schema};

/// Where an attribute lives in a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place<'s> {
    /// The extension whose object holds it; none for core and common attributes.
    pub(crate) extension: Option<&'s Schema>,
    /// The attribute.
    pub(crate) attribute: &'s Attribute,
    /// The sub-attribute, if one was named.
    pub(crate) sub: Option<&'s Attribute>,
    /// How it was named.
    pub(crate) naming: Naming,
}

/// How the URN of the schema that defines an attribute stands before its name (RFC 7644 section 3.10).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Naming {
    /// As the RFC has it: with a colon, or not at all for the core schema's.
    Standard,
    /// An extension's, which the RFC asks for, is missing.
    Bare,
    /// With a dot.
    Dotted,
}

impl<'s> Place<'s> {
    /// A sub-attribute seen from inside an element, as in a value path's filter.
    pub(crate) fn within(sub: &'s Attribute) -> Place<'s> {
        Place {
            extension: None,
            attribute: sub,
            sub: None,
            naming: Naming::Standard,
        }
    }

    /// Whether it is, or is inside, the core or common attribute of this name.
    pub(crate) fn is(&self, name: &str) -> bool {
        self.extension.is_none() && self.attribute.name == name
    }

    /// Whether values here are accepted and then dropped.
    pub(crate) fn is_dropped(&self) -> bool {
        self.attribute.is_dropped() || self.leaf().is_dropped()
    }

    /// The definition that a value here must meet.
    pub(crate) fn leaf(&self) -> &'s Attribute {
        self.sub.unwrap_or(self.attribute)
    }
}

/// What a written name names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resolved<'s> {
    /// A schema's whole object, by its URN alone.
    Schema(&'s Schema),
    /// An attribute or sub-attribute.
    Attribute(Place<'s>),
}

/// A name that does not name one attribute of the resource type.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}", self.explained())]
pub(crate) struct Unknown {
    /// As the client wrote it, shortened.
    pub(crate) written: String,
    /// The known attribute that was probably meant, as it has to be written.
    pub(crate) resembles: Option<String>,
    /// The URNs of the extensions that each have such an attribute, if several have.
    pub(crate) claimed_by: Vec<String>,
}

impl Unknown {
    fn explained(&self) -> String {
        let written = &self.written;
        match (&self.resembles, self.claimed_by.as_slice()) {
            (Some(name), []) => format!("no attribute {written:?}; did you mean {name:?}?"),
            (None, []) => format!("no attribute {written:?}"),
            (_, urns) => format!(
                "{written:?} is an attribute of {}: write the URN that is meant before it",
                urns.join(" and of ")
            ),
        }
    }

    /// Whether nothing has this name, rather than too much.
    pub(crate) fn is_nothing(&self) -> bool {
        self.claimed_by.is_empty()
    }
}

/// No attribute name is longer; a client's text is never repeated at a greater length.
pub(crate) const WRITTEN_CHARS: usize = 100;

impl Unknown {
    /// A name that is none of these.
    fn new<'s>(written: &str, known: impl IntoIterator<Item = Known<'s>>) -> Unknown {
        let name = written.rsplit(':').next().unwrap_or(written);
        let (attribute, sub) = match name.split_once('.') {
            Some((attribute, sub)) => (Plain::new(attribute), Plain::new(sub)),
            None => (None, Plain::new(name)),
        };
        let nearest = sub.and_then(|name| {
            let near = known.into_iter().filter_map(|known| {
                if let Some(attribute) = &attribute {
                    attribute.distance(known.inside?)?;
                }
                Some((name.distance(known.name)?, known))
            });
            near.min_by_key(|(distance, known)| (*distance, known.inside.is_some()))
        });
        Unknown {
            written: written.chars().take(WRITTEN_CHARS).collect(),
            resembles: nearest.map(|(_, known)| known.to_string()),
            claimed_by: Vec::new(),
        }
    }
}

/// An attribute that may have been meant.
struct Known<'s> {
    /// The URN without which it is not found.
    urn: Option<&'s str>,
    /// The attribute that it is a part of.
    inside: Option<&'s str>,
    name: &'s str,
}

impl<'s> Known<'s> {
    fn bare(attribute: &'s Attribute) -> Known<'s> {
        Known {
            urn: None,
            inside: None,
            name: &attribute.name,
        }
    }
}

impl fmt::Display for Known<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(urn) = self.urn {
            write!(f, "{urn}:")?;
        }
        if let Some(attribute) = self.inside {
            write!(f, "{attribute}.")?;
        }
        f.write_str(self.name)
    }
}

/// A schema, and what is written behind its URN, if anything is.
type Split<'s, 'n> = (&'s Schema, Option<(Naming, &'n str)>);

impl ResourceType {
    /// What `name`, as `[URN:]attribute[.sub]`, names. Names and URNs are compared without regard to case.
    pub(crate) fn resolve(&self, name: &str) -> Result<Resolved<'_>, Unknown> {
        let Some((schema, rest)) = self.split_urn(name)? else {
            return self.resolve_bare(name);
        };
        let Some((naming, rest)) = rest else {
            return Ok(Resolved::Schema(schema));
        };
        let extension = (schema.id != self.core.id).then_some(schema);
        let found = match extension {
            Some(schema) => place(Some(schema), schema.attributes.iter(), rest, naming),
            None => place(None, self.top_level(), rest, naming),
        };
        found
            .map(Resolved::Attribute)
            .ok_or_else(|| self.unknown(name))
    }

    /// The same where resources of another type are searched along with these: what these lack may be an attribute of the others.
    pub(crate) fn resolve_beside<'s>(
        &'s self,
        others: Option<&'s ResourceType>,
        name: &str,
    ) -> Result<Resolved<'s>, Unknown> {
        self.resolve(name).or_else(|unknown| {
            let found = others.and_then(|others| others.resolve(name).ok());
            found.ok_or(unknown)
        })
    }

    fn resolve_bare(&self, name: &str) -> Result<Resolved<'_>, Unknown> {
        // Whatever an extension defines, `members`, `active` and the like are the core's, and so is all that is below them.
        let first = name.split('.').next().unwrap_or_default();
        let mut core = self.top_level();
        if core.any(|attribute| attribute.name.eq_ignore_ascii_case(first)) {
            return place(None, self.top_level(), name, Naming::Standard)
                .map(Resolved::Attribute)
                .ok_or_else(|| self.unknown(name));
        }
        // An IdP that leaves the URN out means the one extension that has such an attribute.
        let extensions = self.extensions.iter();
        let places: Vec<Place<'_>> = extensions
            .filter_map(|schema| place(Some(schema), schema.attributes.iter(), name, Naming::Bare))
            .collect();
        match places.as_slice() {
            [] => Err(self.unknown(name)),
            [only] => Ok(Resolved::Attribute(*only)),
            several => {
                let urns = several.iter().filter_map(|place| place.extension);
                Err(Unknown {
                    claimed_by: urns.map(|schema| schema.id.clone()).collect(),
                    ..self.unknown(name)
                })
            }
        }
    }

    /// Takes a known schema's URN off the front; none if the name has no URN.
    fn split_urn<'n>(&self, name: &'n str) -> Result<Option<Split<'_, 'n>>, Unknown> {
        if !name
            .get(..4)
            .is_some_and(|start| start.eq_ignore_ascii_case("urn:"))
        {
            return Ok(None);
        }
        let behind = |schema: &Schema| {
            let urn = name.get(..schema.id.len())?;
            let same = urn.eq_ignore_ascii_case(&schema.id);
            same.then(|| name.get(schema.id.len()..)).flatten()
        };
        let split = |separator: char, naming: Naming| {
            let mut schemas = std::iter::once(&self.core).chain(&self.extensions);
            schemas.find_map(|schema| match behind(schema)? {
                "" => Some((schema, None)),
                rest => {
                    let rest = rest.strip_prefix(separator)?;
                    Some((schema, Some((naming, rest))))
                }
            })
        };
        // No URN begins another one's attributes (`Schemas::admit`), so at most one fits; with a dot it may.
        split(':', Naming::Standard)
            .or_else(|| split('.', Naming::Dotted))
            .map(Some)
            .ok_or_else(|| self.unknown(name))
    }

    fn unknown(&self, name: &str) -> Unknown {
        let urns = name.contains(':');
        let core = self.top_level().map(|attribute| (None, attribute));
        let extensions = self.extensions.iter().flat_map(|schema| {
            let urn = urns.then_some(schema.id.as_str());
            schema.attributes.iter().map(move |one| (urn, one))
        });
        let known = core.chain(extensions).flat_map(|(urn, attribute)| {
            let whole = Known {
                urn,
                ..Known::bare(attribute)
            };
            // What is a part of one value may have been written beside it: `givenName`. Of a list's elements that would mean nothing.
            let parts = attribute.sub_attributes.iter();
            let parts = parts.filter(|_| name.contains('.') || !attribute.multi_valued);
            std::iter::once(whole).chain(parts.map(move |sub| Known {
                urn,
                inside: Some(&attribute.name),
                name: &sub.name,
            }))
        });
        Unknown::new(name, known)
    }
}

impl Attribute {
    /// The sub-attribute of this name, or what it resembles.
    pub(crate) fn resolve(&self, name: &str) -> Result<&Attribute, Unknown> {
        self.sub(name)
            .ok_or_else(|| Unknown::new(name, self.sub_attributes.iter().map(Known::bare)))
    }
}

fn place<'s>(
    extension: Option<&'s Schema>,
    mut attributes: impl Iterator<Item = &'s Attribute>,
    name: &str,
    naming: Naming,
) -> Option<Place<'s>> {
    let (name, sub) = match name.split_once('.') {
        Some((name, sub)) => (name, Some(sub)),
        None => (name, None),
    };
    let attribute = attributes.find(|attribute| attribute.name.eq_ignore_ascii_case(name))?;
    let sub = match sub {
        Some(sub) => Some(attribute.sub(sub)?),
        None => None,
    };
    Some(Place {
        extension,
        attribute,
        sub,
        naming,
    })
}

#[cfg(test)]
mod tests {
    use super::super::{ENTERPRISE_USER, USER, group, user};
    use super::*;

    fn attribute(name: &str) -> Place<'static> {
        match user().resolve(name) {
            Ok(Resolved::Attribute(place)) => place,
            other => panic!("{name}: {other:?}"),
        }
    }

    #[test]
    fn rfc7643_2_1_names_and_urns_are_case_insensitive() {
        assert_eq!(attribute("USERNAME").attribute.name, "userName");
        let place = attribute("Name.GIVENNAME");
        assert_eq!(place.leaf().name, "givenName");
        let place = attribute("URN:IETF:params:scim:schemas:core:2.0:user:username");
        assert_eq!(
            (place.extension, place.leaf().name.as_str()),
            (None, "userName")
        );
    }

    #[test]
    fn rfc7644_3_10_an_extension_attribute_is_named_by_its_urn() {
        let place = attribute(&format!("{ENTERPRISE_USER}:manager.value"));
        assert_eq!(place.extension.unwrap().id, ENTERPRISE_USER);
        assert_eq!(
            (place.attribute.name.as_str(), place.naming),
            ("manager", Naming::Standard)
        );
        let whole = user().resolve(ENTERPRISE_USER);
        assert!(matches!(whole, Ok(Resolved::Schema(s)) if s.id == ENTERPRISE_USER));
        assert!(matches!(user().resolve(USER), Ok(Resolved::Schema(_))));
    }

    #[test]
    fn entra_leaves_the_urn_of_manager_out() {
        let place = attribute("manager");
        assert_eq!(
            (place.extension.unwrap().id.as_str(), place.naming),
            (ENTERPRISE_USER, Naming::Bare)
        );
    }

    #[test]
    fn connid_puts_a_dot_behind_a_urn() {
        let place = attribute(&format!("{ENTERPRISE_USER}.manager.value"));
        assert_eq!(place.extension.unwrap().id, ENTERPRISE_USER);
        assert_eq!(place.leaf().name, "value");
        assert_eq!(place.naming, Naming::Dotted);
        assert!(attribute(&format!("{USER}.active")).is("active"));
        for written in [".", "..department", ".:department", ".nope"] {
            let written = format!("{ENTERPRISE_USER}{written}");
            assert!(user().resolve(&written).is_err(), "{written}");
        }
    }

    #[test]
    fn a_misnamed_attribute_is_told_what_it_resembles() {
        let enterprise = format!("{ENTERPRISE_USER}:department");
        let wrong_urn = format!("{USER}:department");
        for (written, known) in [
            ("usrName", "userName"),
            ("userNam", "userName"),
            ("userNaem", "userName"),
            ("userNamee", "userName"),
            ("actve", "active"),
            ("user_name", "userName"),
            ("user-name", "userName"),
            ("email", "emails"),
            ("role", "roles"),
            ("address", "addresses"),
            ("phone", "phoneNumbers"),
            ("external", "externalId"),
            ("name.givenNam", "name.givenName"),
            ("givenName", "name.givenName"),
            ("email.value", "emails.value"),
            ("urn:other:2.0:User:departmnt", &enterprise),
            (&wrong_urn, &enterprise),
            ("urn:other:2.0:User:userName", "userName"),
        ] {
            let unknown = user().resolve(written).unwrap_err();
            assert_eq!(unknown.resembles.as_deref(), Some(known), "{written}");
        }
        for written in ["login", "", ".", "urn:", "userName.x.y", "é", "urn:é"] {
            let unknown = user().resolve(written).unwrap_err();
            assert_eq!(unknown.resembles, None, "{written}");
        }
        assert!(group().resolve("userName").is_err());
        for (written, known) in [("member", "members"), ("display_name", "displayName")] {
            let unknown = group().resolve(written).unwrap_err();
            assert_eq!(unknown.resembles.as_deref(), Some(known), "{written}");
        }
    }
}
