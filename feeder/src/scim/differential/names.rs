//! Every spelling of every attribute, written out: what [`ResourceType::resolve`] finds by taking a name apart.

use std::collections::{BTreeMap, BTreeSet};

use scim_v2::filter::AttrPath;

use super::explained::Explained;
use crate::schema::{Attribute, ResourceType};

/// The names that may stand in one place, in lower case.
#[derive(Debug, Default)]
pub(super) struct Names {
    known: BTreeMap<String, Known>,
    schemas: BTreeMap<String, String>,
}

/// What a name means.
#[derive(Debug, Clone)]
pub(super) struct Known {
    /// The canonical name; of an extension's attribute, with its URN.
    pub(super) name: String,
    pub(super) attribute: &'static Attribute,
    /// Whether it was spelled without the URN of its extension.
    bare: bool,
}

/// What stands for `$ref` where the other parser has to read it.
pub(super) const REF: &str = "dollar-ref";

impl Names {
    /// Those of resources of this type.
    pub(super) fn of(resources: &'static ResourceType) -> Names {
        let mut names = Names::default();
        let mut bare = Names::default();
        let mut claimed = BTreeSet::new();
        for schema in &resources.extensions {
            for attribute in &schema.attributes {
                let full = format!("{}:{}", schema.id, attribute.name);
                names.insert(&full, &full, attribute, false);
                let mut one = Names::default();
                one.insert(&attribute.name, &full, attribute, true);
                for (spelling, known) in one.known {
                    if bare.known.insert(spelling.clone(), known).is_some() {
                        claimed.insert(spelling);
                    }
                }
            }
        }
        // What two extensions have is neither's without a URN; what the core has is the core's, with all below it.
        let core = |name: &str| {
            let first = name.split('.').next().unwrap_or_default();
            resources
                .top_level()
                .any(|a| a.name.eq_ignore_ascii_case(first))
        };
        bare.known
            .retain(|name, _| !claimed.contains(name) && !core(name));
        names.known.extend(bare.known);
        for attribute in resources.top_level() {
            let name = &attribute.name;
            names.insert(name, name, attribute, false);
            names.insert(
                &format!("{}:{name}", resources.core.id),
                name,
                attribute,
                false,
            );
        }
        for schema in resources.extensions.iter().chain([&resources.core]) {
            names
                .schemas
                .insert(schema.id.to_lowercase(), schema.id.clone());
        }
        names
    }

    fn insert(&mut self, spelling: &str, name: &str, attribute: &'static Attribute, bare: bool) {
        let mut one = |spelling: String, name: String, attribute| {
            let known = Known {
                name,
                attribute,
                bare,
            };
            self.known.entry(spelling.to_lowercase()).or_insert(known);
        };
        one(spelling.to_owned(), name.to_owned(), attribute);
        for sub in &attribute.sub_attributes {
            let name = format!("{name}.{}", sub.name);
            one(format!("{spelling}.{}", sub.name), name.clone(), sub);
            if sub.name == "$ref" {
                one(format!("{spelling}.{REF}"), name, sub);
            }
        }
    }

    /// What a path names.
    pub(super) fn find(
        &self,
        path: &AttrPath,
        more: &mut BTreeSet<Explained>,
    ) -> Result<&Known, Explained> {
        let known = self.known.get(&path.to_string().to_lowercase());
        let known = known.ok_or(Explained::UnknownAttribute)?;
        if known.bare {
            more.insert(Explained::BareExtension);
        }
        Ok(known)
    }

    /// The URN that a path is.
    pub(super) fn schema(&self, path: &str) -> Option<&str> {
        self.schemas.get(&path.to_lowercase()).map(String::as_str)
    }

    /// All of them.
    pub(super) fn all(&self) -> Vec<(String, &'static Attribute)> {
        let known = self
            .known
            .iter()
            .filter(|(spelling, _)| !spelling.ends_with(REF));
        known
            .map(|(spelling, known)| (spelling.clone(), known.attribute))
            .collect()
    }

    /// The URNs.
    pub(super) fn schemas(&self) -> Vec<String> {
        self.schemas.values().cloned().collect()
    }
}

impl Known {
    /// The names that may stand in a filter over its elements.
    pub(super) fn within(&self) -> Names {
        Names::within(self.attribute)
    }
}

impl Names {
    /// Those of an attribute's sub-attributes.
    pub(super) fn within(attribute: &'static Attribute) -> Names {
        let mut names = Names::default();
        for sub in &attribute.sub_attributes {
            names.insert(&sub.name, &sub.name, sub, false);
            if sub.name == "$ref" {
                names.insert(REF, &sub.name, sub, false);
            }
        }
        names
    }
}
