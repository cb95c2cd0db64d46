//! Bodies of POST and PUT, and values of PATCH operations without a path.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use super::{filters, values};
use crate::attributes::{ENTERPRISE, Kind, Named};
use crate::request::{Keys, Path};

pub(super) type Key = (Path, Value);

/// A user that is named.
pub(super) fn new_user() -> impl Strategy<Value = Keys> {
    (values::user_name(), user()).prop_map(|(name, mut keys)| {
        keys.insert(0, (Path::plain("userName"), name));
        apart(Kind::User, keys)
    })
}

/// Some attributes of a user.
pub(super) fn user() -> impl Strategy<Value = Keys> {
    let named = proptest::option::weighted(0.8, values::user_name());
    (named, vec(user_key(), 0..5)).prop_map(|(name, mut keys)| {
        keys.extend(name.map(|name| (Path::plain("userName"), name)));
        apart(Kind::User, keys)
    })
}

/// A group's attributes, and its members or none.
pub(super) fn group() -> impl Strategy<Value = Keys> {
    let named = proptest::option::weighted(0.95, group_name());
    let members = proptest::option::weighted(0.7, values::members());
    (named, members, vec(group_key(), 0..2)).prop_map(|(name, members, mut keys)| {
        keys.extend(name.map(|name| (Path::plain("displayName"), name)));
        keys.extend(members.map(|members| (Path::plain("members"), members)));
        apart(Kind::Group, keys)
    })
}

pub(super) fn group_name() -> impl Strategy<Value = Value> {
    prop_oneof![
        20 => select(&["admins", "Admins", "staff", "ops"][..]).prop_map(Value::from),
        1 => select(vec![json!(""), json!(null), json!(1)]),
    ]
}

pub(super) fn user_key() -> BoxedStrategy<Key> {
    let plain = |name: &'static str, value: BoxedStrategy<Value>| {
        value.prop_map(move |value| (Path::plain(name), value))
    };
    prop_oneof![
        4 => (select(TEXTS), values::text()).prop_map(|(name, value)| (Path::plain(name), value)),
        2 => plain("active", values::boolean().boxed()),
        1 => plain("ACTIVE", values::boolean().boxed()),
        2 => plain("name", values::name().boxed()),
        1 => plain("name.givenName", values::text().boxed()),
        1 => plain("name.FamilyName", values::text().boxed()),
        4 => (list_name(), values::elements()).prop_map(|(name, value)| (Path::plain(name), value)),
        1 => filtered(),
        2 => plain(ENTERPRISE, values::extension().boxed()),
        1 => plain("manager", values::manager().boxed()),
        1 => plain(
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department",
            values::text().boxed()
        ),
        1 => (select(IGNORED), values::text()).prop_map(|(name, value)| (Path::plain(name), value)),
    ]
    .boxed()
}

pub(super) fn group_key() -> BoxedStrategy<Key> {
    prop_oneof![
        3 => values::text().prop_map(|value| (Path::plain("externalId"), value)),
        1 => (select(IGNORED_OF_GROUPS), values::text())
            .prop_map(|(name, value)| (Path::plain(name), value)),
    ]
    .boxed()
}

/// Entra ID: `emails[type eq "work"].value`.
fn filtered() -> impl Strategy<Value = Key> {
    let part = select(&["value", "display"][..]);
    (list_name(), filters::of_element(), part, values::valued()).prop_map(
        |(name, filter, part, value)| {
            let path = Path {
                name: name.to_owned(),
                filter: Some(filter),
                part: Some(part.to_owned()),
            };
            (path, value)
        },
    )
}

pub(super) fn list_name() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        6 => Just("emails"),
        4 => select(&["phoneNumbers", "roles", "addresses", "entitlements", "Emails"][..]),
        1 => select(&["ims", "photos", "x509Certificates"][..]),
    ]
}

pub(super) const TEXTS: &[&str] = &[
    "title",
    "displayName",
    "nickName",
    "externalId",
    "userType",
    "TITLE",
    "urn:ietf:params:scim:schemas:core:2.0:User:title",
    "profileUrl",
];
const IGNORED: &[&str] = &[
    "id",
    "meta",
    "groups",
    "schemas",
    "password",
    "nothing",
    "usrName",
    "urn:nobody:announced",
    "members",
];
const IGNORED_OF_GROUPS: &[&str] = &["id", "meta", "schemas", "active", "title"];

/// Leaves out what an earlier key has to do with: which of the two holds is for nobody to say.
pub(super) fn apart(kind: Kind, keys: Keys) -> Keys {
    let mut kept: Keys = Vec::new();
    for (path, value) in keys {
        let mut others = kept.iter();
        if others.all(|(other, _)| are_apart(kind, other, &path)) {
            kept.push((path, value));
        }
    }
    kept
}

fn are_apart(kind: Kind, one: &Path, other: &Path) -> bool {
    match (kind.named(&one.name), kind.named(&other.name)) {
        (Some(Named::Place(a)), Some(Named::Place(b))) => {
            let parts = match (a.part, b.part) {
                (Some(a), Some(b)) => a.name != b.name,
                _ => false,
            };
            a.extended != b.extended || a.attribute.name != b.attribute.name || parts
        }
        (Some(Named::Extension), Some(Named::Place(place)))
        | (Some(Named::Place(place)), Some(Named::Extension)) => !place.extended,
        (None, None) => one.name != other.name,
        (None, _) | (_, None) => true,
        _ => false,
    }
}
