//! Ids, names and values as clients write them, now and then wrong ones.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

use crate::attributes::Kind;

pub(super) fn kind() -> impl Strategy<Value = Kind> {
    select(&[Kind::User, Kind::Group][..])
}

fn numbered(what: &'static str) -> impl Strategy<Value = String> {
    (0..5_usize).prop_map(move |number| format!("<{what} {number}>"))
}

/// The id of a resource of this kind; now and then of none.
pub(super) fn target(kind: Kind) -> BoxedStrategy<String> {
    let (right, wrong) = match kind {
        Kind::User => ("user", "group"),
        Kind::Group => ("group", "user"),
    };
    prop_oneof![
        30 => numbered(right),
        1 => numbered(wrong),
        2 => numbered("new"),
        1 => numbered("gone"),
        1 => numbered("foreign"),
        1 => select(&["<USER 0>", "0"][..]).prop_map(str::to_owned),
    ]
    .boxed()
}

/// The id of somebody who is, or might be, a member.
pub(super) fn member_id() -> BoxedStrategy<String> {
    prop_oneof![
        24 => numbered("user"),
        16 => numbered("group"),
        6 => numbered("new"),
        1 => numbered("gone"),
        1 => numbered("foreign"),
        1 => select(&["<USER 0>", "<USER 1>", "anne"][..]).prop_map(str::to_owned),
    ]
    .boxed()
}

pub(super) fn user_name() -> impl Strategy<Value = Value> {
    prop_oneof![
        30 => select(&["anne", "ben", "cleo", "dora", "emil", "ANNE", "Ben", "straße", "STRAßE", "strasse", "Zoë", "ZOË", "anne "][..])
            .prop_map(Value::from),
        1 => select(vec![json!(""), json!("  "), json!(7), json!(null), json!(["anne"])]),
    ]
}

pub(super) fn text() -> impl Strategy<Value = Value> {
    prop_oneof![
        20 => select(&["a", "A", "b", "ab", "Ab", "ß", "Ë", "ë", "x \"y\"", ""][..]).prop_map(Value::from),
        1 => Just(Value::Null),
        1 => select(vec![json!(1), json!(true), json!({"a": 1}), json!([]), json!(["a"])]),
    ]
}

pub(super) fn boolean() -> impl Strategy<Value = Value> {
    prop_oneof![
        12 => any::<bool>().prop_map(Value::from),
        4 => select(&["True", "False", "true"][..]).prop_map(Value::from),
        1 => select(vec![json!(null), json!("yes"), json!(0), json!([true]), json!({"value": "False"}), json!([]), json!({"active": false, "value": true})]),
    ]
}

/// Some of these keys.
fn some_of(keys: Vec<(&'static str, BoxedStrategy<Value>)>) -> impl Strategy<Value = Value> {
    let chosen = keys.into_iter().map(|(key, value)| {
        proptest::option::of(value)
            .prop_map(move |value| value.map(|value| (key.to_owned(), value)))
    });
    chosen
        .collect::<Vec<_>>()
        .prop_map(|pairs| Value::Object(pairs.into_iter().flatten().collect::<Map<_, _>>()))
}

pub(super) fn name() -> impl Strategy<Value = Value> {
    prop_oneof![
        12 => some_of(vec![
            ("givenName", text().boxed()),
            ("FAMILYNAME", text().boxed()),
            ("formatted", text().boxed()),
        ]),
        1 => Just(Value::Null),
        1 => select(vec![json!("Anne"), json!([]), json!({}), json!([{"givenName": "a"}]), json!({"nick": "a"})]),
    ]
}

pub(super) fn manager() -> impl Strategy<Value = Value> {
    let id = || select(&["m1", "m2", "M1", "m1", "<new 1>"][..]);
    prop_oneof![
        4 => id().prop_map(|id| json!({"value": id})),
        2 => id().prop_map(Value::from),
        1 => id().prop_map(|id| json!([{"value": id, "$ref": null, "displayName": "x"}])),
        1 => select(vec![json!(null), json!([]), json!([["m1"]]), json!(["m1", "m2"]), json!({"value": null})]),
    ]
}

pub(super) fn extension() -> impl Strategy<Value = Value> {
    prop_oneof![
        8 => some_of(vec![
            ("department", text().boxed()),
            ("EmployeeNumber", text().boxed()),
            ("manager", manager().boxed()),
            ("nothing", Just(json!(1)).boxed()),
        ]),
        1 => select(vec![json!(null), json!({}), json!("a")]),
    ]
}

/// An element's `type`.
pub(super) fn sort() -> impl Strategy<Value = Value> {
    select(&["work", "home", "WORK"][..]).prop_map(Value::from)
}

/// An element's `value`.
pub(super) fn valued() -> impl Strategy<Value = Value> {
    select(&["a@x", "A@X", "b@x", "YWJj"][..]).prop_map(Value::from)
}

pub(super) fn element() -> impl Strategy<Value = Value> {
    prop_oneof![
        16 => some_of(vec![
            ("value", valued().boxed()),
            ("type", sort().boxed()),
            ("primary", prop_oneof![3 => Just(json!(false)), 1 => boolean()].boxed()),
            ("display", text().boxed()),
            ("locality", text().boxed()),
        ]),
        1 => valued(),
        1 => valued().prop_map(|value| json!({"value": json!({"value": value, "id": 1}).to_string()})),
        1 => valued().prop_map(|value| json!([{"value": value}])),
        1 => select(vec![json!(null), json!({}), json!({"Value": "c", "value": "c"}), json!([]), json!({"value": 5})]),
    ]
}

pub(super) fn elements() -> impl Strategy<Value = Value> {
    prop_oneof![
        12 => vec(element(), 0..4).prop_map(Value::from),
        1 => element(),
        1 => Just(Value::Null),
    ]
}

pub(super) fn members() -> impl Strategy<Value = Value> {
    let member = || {
        (member_id(), 0..24_usize).prop_map(|(id, shape)| match shape {
            0 => json!({"value": id, "$ref": null}),
            1 => json!({"value": id, "display": "x", "type": "User"}),
            2 => json!({"VALUE": id, "primary": true}),
            3 if id.ends_with("4>") => json!({"value": id, "operation": "delete"}),
            _ => json!({"value": id}),
        })
    };
    prop_oneof![
        20 => vec(member(), 0..4).prop_map(Value::from),
        2 => member(),
        1 => member().prop_map(|member| Value::from(member.to_string())),
        1 => select(vec![json!(null), json!("<user 0>"), json!(["<user 0>"]), json!([{"$ref": "<user 0>"}]), json!([null]), json!([{}])]),
    ]
}
