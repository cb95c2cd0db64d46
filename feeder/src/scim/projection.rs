//! Which attributes a client wants to see (RFC 7644 section 3.9).

use serde_json::{Map, Value};

use super::query::Query;
use super::reading::Reading;
use crate::schema::{Kind, Place, Resolved, ResourceType, Returned, Schema};

/// `attributes` and `excludedAttributes`. `returned: always` wins over both; what is never returned is never stored.
#[derive(Debug, Clone)]
pub(crate) struct Projection<'s> {
    resources: &'s ResourceType,
    included: Option<Vec<Resolved<'s>>>,
    excluded: Vec<Resolved<'s>>,
    /// Whether the resource type has attributes that are shown only if they are asked for.
    by_request: bool,
}

impl<'s> Projection<'s> {
    /// Of these resources, which may be searched along with others. Unknown names select nothing, and are noted.
    pub(crate) fn new(
        resources: &'s ResourceType,
        others: Option<&'s ResourceType>,
        query: &Query,
        reading: &mut Reading,
    ) -> Projection<'s> {
        let included = query.attributes.as_deref();
        let excluded = query.excluded_attributes.as_deref();
        let mut names = |list: &str| -> Vec<Resolved<'s>> {
            let names = list
                .split(',')
                .map(str::trim)
                .filter(|name| !name.is_empty());
            let mut list = Vec::new();
            for name in names {
                let resolved = resources.resolve_beside(others, name);
                if let Ok(Resolved::Attribute(place)) = &resolved {
                    reading.naming(place.naming);
                }
                match resolved {
                    // Named twice it is looked for once: in each attribute of each resource.
                    Ok(known) if list.contains(&known) => {}
                    Ok(known) => list.push(known),
                    Err(unknown) => reading.ignored(unknown),
                }
            }
            list
        };
        Projection {
            resources,
            included: included
                .filter(|list| !list.trim().is_empty())
                .map(&mut names),
            excluded: excluded.map(names).unwrap_or_default(),
            by_request: resources
                .everywhere()
                .any(|attribute| attribute.returned == Returned::Request),
        }
    }

    /// Whether anything of this core attribute is to be shown.
    pub(crate) fn shows(&self, name: &str) -> bool {
        let core = |resolved: &Resolved<'_>| match resolved {
            Resolved::Schema(schema) => schema.attributes.iter().any(|a| a.name == name),
            Resolved::Attribute(place) => place.is(name),
        };
        let whole = |resolved: &Resolved<'_>| match resolved {
            Resolved::Attribute(place) => place.sub.is_none(),
            Resolved::Schema(_) => true,
        };
        let included = self.included.as_ref();
        included.is_none_or(|list| list.iter().any(core))
            && !self.excluded.iter().any(|r| core(r) && whole(r))
    }

    /// Takes what is not wanted out of a rendered resource.
    pub(crate) fn apply(&self, mut resource: Map<String, Value>) -> Map<String, Value> {
        let resources = self.resources;
        if self.included.is_none() && self.excluded.is_empty() && !self.by_request {
            return resource;
        }
        let extension = |name: &str| resources.extensions.iter().find(|schema| schema.id == name);
        resource.retain(|name, value| match (extension(name), value) {
            (Some(schema), Value::Object(object)) => {
                object.retain(|name, value| self.keep(resources, Some(schema), name, value));
                !object.is_empty()
            }
            (_, value) => self.keep(resources, None, name, value),
        });
        resource
    }

    /// Takes what is not wanted out of a related resource; none if nothing is left.
    pub(crate) fn element(&self, kind: Kind, mut element: Value) -> Option<Value> {
        let keep = self.keep(self.resources, None, kind.related(), &mut element);
        keep.then_some(element)
    }

    /// Whether something of an attribute stays; prunes its sub-attributes.
    fn keep(
        &self,
        resources: &ResourceType,
        extension: Option<&Schema>,
        name: &str,
        value: &mut Value,
    ) -> bool {
        let home = extension.unwrap_or(&resources.core);
        let definition = match extension {
            Some(schema) => schema.attributes.iter().find(|a| a.name == name),
            None => resources.top_level().find(|a| a.name == name),
        };
        let returned = definition.map_or(Returned::Default, |a| a.returned);
        let sub_returned = |sub: &str| {
            let sub = definition.and_then(|a| a.sub(sub));
            sub.map_or(Returned::Default, |sub| sub.returned)
        };
        if returned == Returned::Always {
            return true;
        }
        let included = self.included.as_ref();
        let chosen_in = included.map(|included| chosen(included, home, extension, name));
        let kept = match chosen_in {
            Some(Chosen::Parts(subs)) if subs.is_empty() => false,
            Some(Chosen::Parts(subs)) => prune(value, |sub| {
                subs.contains(&sub) || sub_returned(sub) == Returned::Always
            }),
            // RFC 7643 section 7: only if `attributes` specifies it; that takes its own name, not its schema's.
            Some(Chosen::Schema) | None if returned == Returned::Request => false,
            Some(Chosen::Schema | Chosen::Whole) | None => match self.by_request {
                true => prune(value, |sub| sub_returned(sub) != Returned::Request),
                false => true,
            },
        };
        kept && match chosen(&self.excluded, home, extension, name) {
            Chosen::Whole | Chosen::Schema => false,
            Chosen::Parts(subs) if subs.is_empty() => true,
            Chosen::Parts(subs) => prune(value, |sub| {
                !subs.contains(&sub) || sub_returned(sub) == Returned::Always
            }),
        }
    }
}

/// What a list of names says of one attribute.
enum Chosen<'s> {
    /// It, by its name.
    Whole,
    /// All of its schema.
    Schema,
    /// These sub-attributes; none: it is not named at all.
    Parts(Vec<&'s str>),
}

fn chosen<'s>(
    list: &[Resolved<'s>],
    home: &Schema,
    extension: Option<&Schema>,
    name: &str,
) -> Chosen<'s> {
    let mut subs = Vec::new();
    let mut of_schema = false;
    for resolved in list {
        match resolved {
            Resolved::Schema(schema) if schema.id == home.id => of_schema = true,
            Resolved::Attribute(Place {
                extension: named,
                attribute,
                sub,
                ..
            }) if attribute.name == name && named.map(|s| &s.id) == extension.map(|s| &s.id) => {
                match sub {
                    Some(sub) => subs.push(sub.name.as_str()),
                    None => return Chosen::Whole,
                }
            }
            _ => {}
        }
    }
    match of_schema {
        true => Chosen::Schema,
        false => Chosen::Parts(subs),
    }
}

/// Keeps those sub-attributes; whether anything is left.
fn prune(value: &mut Value, keep: impl Fn(&str) -> bool) -> bool {
    let prune_one = |value: &mut Value| match value {
        Value::Object(object) => {
            object.retain(|name, _| keep(name));
            !object.is_empty()
        }
        _ => true,
    };
    match value {
        Value::Array(list) => {
            list.retain_mut(prune_one);
            !list.is_empty()
        }
        value => prune_one(value),
    }
}
