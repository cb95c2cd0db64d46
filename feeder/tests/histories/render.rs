//! Resources as clients see them (RFC 7643 section 3.1), as far as they want to (RFC 7644 section 3.9).

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::attributes::{Attribute, ENTERPRISE, Kind, Named};
use super::server::BASE;
use super::service::{Resource, Tenant};

/// All of a resource.
pub(crate) fn render(tenant: &Tenant, resource: &Resource) -> Map<String, Value> {
    let kind = resource.document.kind;
    let mut shown = resource.document.attributes.clone();
    let mut schemas = vec![kind.urn()];
    if shown.contains_key(ENTERPRISE) {
        schemas.push(ENTERPRISE);
    }
    shown.insert("schemas".to_owned(), json!(schemas));
    shown.insert("id".to_owned(), json!(resource.id));
    let location = location(kind, &resource.id);
    let meta = resource.meta.json(kind.name(), &location);
    shown.insert("meta".to_owned(), meta);
    let (name, related) = match kind {
        Kind::User => ("groups", groups(tenant, &resource.id)),
        Kind::Group => ("members", members(tenant, resource)),
    };
    // RFC 7643 section 2.5 would leave out an empty list; but authentik adds nobody to a group that shows no members.
    if !related.is_empty() || kind == Kind::Group {
        shown.insert(name.to_owned(), Value::Array(related));
    }
    shown
}

fn location(kind: Kind, id: &str) -> String {
    format!("{BASE}{}/{id}", kind.endpoint())
}

/// The groups that someone is in: directly, or through groups that are in groups.
fn groups(tenant: &Tenant, id: &str) -> Vec<Value> {
    let holds = |ids: &BTreeSet<String>| -> BTreeSet<String> {
        let groups = tenant.of(Kind::Group);
        groups
            .filter(|group| ids.iter().any(|id| group.document.members.contains(id)))
            .map(|group| group.id.clone())
            .collect()
    };
    let direct = holds(&BTreeSet::from([id.to_owned()]));
    let mut all = direct.clone();
    loop {
        let before = all.len();
        all.extend(holds(&all));
        if all.len() == before {
            break;
        }
    }
    let group = |id: &String| {
        let group = tenant.find(Kind::Group, id).unwrap();
        json!({
            "value": id,
            "$ref": location(Kind::Group, id),
            "display": group.document.attributes["displayName"],
            "type": if direct.contains(id) { "direct" } else { "indirect" },
        })
    };
    all.iter().map(group).collect()
}

fn members(tenant: &Tenant, group: &Resource) -> Vec<Value> {
    let member = |id: &String| {
        let kind = match tenant.find(Kind::User, id) {
            Some(_) => Kind::User,
            None => Kind::Group,
        };
        json!({"value": id, "$ref": location(kind, id), "type": kind.name()})
    };
    group.document.members.iter().map(member).collect()
}

/// What `attributes` and `excludedAttributes` leave.
pub(crate) fn project(
    kind: Kind,
    shown: Map<String, Value>,
    included: Option<&str>,
    excluded: Option<&str>,
) -> Map<String, Value> {
    let names = |list: &str| -> Vec<Named> {
        let names = list.split(',').map(str::trim);
        names.filter_map(|name| kind.named(name)).collect()
    };
    let included = included.map(names);
    let excluded = excluded.map(names).unwrap_or_default();
    let mut left = Map::new();
    for (name, value) in shown {
        if name == "id" || name == "schemas" {
            left.insert(name, value);
        } else if name == ENTERPRISE {
            let mut inner = Map::new();
            for (name, value) in value.as_object().unwrap() {
                let wanted = wanted(included.as_deref(), &excluded, true, name, value.clone());
                inner.extend(wanted.map(|value| (name.clone(), value)));
            }
            if !inner.is_empty() {
                left.insert(name, Value::Object(inner));
            }
        } else {
            let wanted = wanted(included.as_deref(), &excluded, false, &name, value);
            left.extend(wanted.map(|value| (name, value)));
        }
    }
    left
}

fn wanted(
    included: Option<&[Named]>,
    excluded: &[Named],
    extended: bool,
    name: &str,
    value: Value,
) -> Option<Value> {
    let value = match included.map(|names| parts_of(names, extended, name)) {
        None | Some(Some(None)) => value,
        Some(None) => return None,
        Some(Some(Some(parts))) => keep(name, value, |part| parts.contains(&part))?,
    };
    match parts_of(excluded, extended, name) {
        None => Some(value),
        Some(None) => None,
        Some(Some(parts)) => keep(name, value, |part| !parts.contains(&part)),
    }
}

/// What a list of names says of an attribute: nothing, or all of it, or some parts.
fn parts_of(names: &[Named], extended: bool, name: &str) -> Option<Option<Vec<&'static str>>> {
    let mut parts: Vec<&'static str> = Vec::new();
    for named in names {
        match named {
            Named::Extension if extended => return Some(None),
            Named::Core if !extended => return Some(None),
            Named::Place(place) if place.extended == extended && place.attribute.name == name => {
                match place.part {
                    Some(Attribute { name, .. }) => parts.push(name),
                    None => return Some(None),
                }
            }
            _ => {}
        }
    }
    (!parts.is_empty()).then_some(Some(parts))
}

fn keep(name: &str, value: Value, wanted: impl Fn(&str) -> bool) -> Option<Value> {
    let object = |value: Value| match value {
        Value::Object(object) => {
            let kept: Map<String, Value> = object
                .into_iter()
                .filter(|(name, _)| wanted(name))
                .collect();
            (!kept.is_empty()).then_some(Value::Object(kept))
        }
        other => Some(other),
    };
    match value {
        Value::Array(list) => {
            let kept: Vec<Value> = list.into_iter().filter_map(object).collect();
            // As in `render`: a group that is asked for its members shows that it has none.
            (name == "members" || !kept.is_empty()).then_some(Value::Array(kept))
        }
        other => object(other),
    }
}
