//! Operations of a PATCH.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use super::bodies::{self, Key, apart, group_key, list_name, user_key};
use super::{filters, values};
use crate::attributes::{ENTERPRISE, Kind};
use crate::filter::{Filter, Test};
use crate::request::{Operation, Path, Target};

fn op() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        30 => select(&["add", "replace", "remove"][..]),
        6 => select(&["Add", "Replace", "Remove", "REPLACE"][..]),
        1 => Just("move"),
    ]
}

/// Whether there is a value is a matter of the operation, and now and then of chance.
fn aimed(at: BoxedStrategy<Key>, keeps: f64) -> impl Strategy<Value = Operation> {
    let kept = proptest::bool::weighted(keeps);
    let lost = proptest::bool::weighted(0.03);
    (op(), at, kept, lost).prop_map(|(op, (path, value), kept, lost)| {
        let value = match op.eq_ignore_ascii_case("remove") {
            true => kept.then_some(value),
            false => (!lost).then_some(value),
        };
        Operation {
            op,
            target: Target::Path(path, value),
        }
    })
}

fn loose(kind: Kind, key: BoxedStrategy<Key>) -> impl Strategy<Value = Operation> {
    (op(), vec(key, 1..4)).prop_map(move |(op, keys)| Operation {
        op,
        target: Target::Keys(apart(kind, keys)),
    })
}

pub(super) fn of_user() -> BoxedStrategy<Operation> {
    let name = values::user_name().prop_map(|value| (Path::plain("userName"), value));
    let part = (
        list_name(),
        select(&["value", "type", "primary", "Display", "nothing"][..]),
        part_value(),
    )
        .prop_map(|(list, part, value)| (Path::plain(format!("{list}.{part}")), value));
    let core = json!({"title": "a", "nickName": null});
    let core = (
        Path::plain("URN:ietf:params:scim:schemas:core:2.0:User"),
        core,
    );
    prop_oneof![
        10 => aimed(user_key(), 0.2),
        2 => aimed(name.boxed(), 0.2),
        2 => aimed((list_name(), values::elements()).prop_map(|(list, value)| (Path::plain(list), value)).boxed(), 0.5),
        6 => aimed(elements(), 0.2),
        2 => aimed(part.boxed(), 0.2),
        1 => aimed((select(READ_ONLY), values::text()).prop_map(|(name, value)| (Path::plain(name), value)).boxed(), 0.2),
        1 => aimed(values::extension().prop_map(|value| (Path::plain(ENTERPRISE), value)).boxed(), 0.1),
        1 => aimed(Just(core).boxed(), 0.1),
        6 => loose(Kind::User, user_key()),
    ]
    .boxed()
}

const READ_ONLY: &[&str] = &["id", "meta.created", "groups", "schemas", "groups.value"];

fn part_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => values::valued(),
        2 => values::sort(),
        2 => values::boolean(),
        1 => Just(Value::Null),
    ]
}

/// `emails[…]`, and with a part.
fn elements() -> BoxedStrategy<Key> {
    let list = prop_oneof![
        12 => list_name(),
        1 => select(&["title", "name", "groups", "emails.value", ENTERPRISE][..]),
    ];
    let part = prop_oneof![
        6 => select(&["value", "type", "primary", "display"][..]).prop_map(Some),
        4 => Just(None),
        1 => Just(Some("nothing")),
    ];
    let whole = values::element();
    (list, filters::of_element(), part, whole, part_value())
        .prop_map(|(list, filter, part, whole, value)| {
            let path = Path {
                name: list.to_owned(),
                filter: Some(filter),
                part: part.map(str::to_owned),
            };
            (path, if part.is_some() { value } else { whole })
        })
        .boxed()
}

pub(super) fn of_group() -> BoxedStrategy<Operation> {
    let members = || {
        let path = prop_oneof![
            6 => Just("members"),
            1 => select(&["MEMBERS", "urn:ietf:params:scim:schemas:core:2.0:Group:members"][..]),
        ];
        (path, values::members()).prop_map(|(name, value)| (Path::plain(name), value))
    };
    let name = || bodies::group_name().prop_map(|value| (Path::plain("displayName"), value));
    let either = prop_oneof![2 => members(), 2 => name(), 1 => group_key()];
    prop_oneof![
        10 => aimed(members().boxed(), 0.8),
        3 => removed(),
        3 => aimed(name().boxed(), 0.2),
        1 => aimed(group_key(), 0.2),
        1 => aimed((values::members()).prop_map(|value| (Path::plain("members.value"), value)).boxed(), 0.2),
        4 => loose(Kind::Group, either.boxed()),
    ]
    .boxed()
}

/// `members[value eq "…"]`.
fn removed() -> impl Strategy<Value = Operation> {
    let named = |id: String| {
        Filter::Test(Test {
            path: "value".to_owned(),
            op: "eq",
            literal: id.into(),
        })
    };
    let filter = prop_oneof![
        8 => values::member_id().prop_map(named),
        2 => (values::member_id(), values::member_id())
            .prop_map(move |(one, other)| Filter::Or(Box::new(named(one)), Box::new(named(other)))),
        1 => filters::of_element(),
    ];
    let op = prop_oneof![12 => Just("remove"), 1 => Just("Remove"), 1 => Just("replace")];
    let value = proptest::option::weighted(0.1, values::members());
    let again = proptest::bool::weighted(0.15);
    (op, filter, value, again).prop_map(|(op, filter, mut value, again)| {
        // ConnId.
        if let (true, Filter::Test(test)) = (again, &filter) {
            value = Some(json!([{"value": test.literal}]));
        }
        let path = Path {
            name: "members".to_owned(),
            filter: Some(filter),
            part: None,
        };
        Operation {
            op,
            target: Target::Path(path, value),
        }
    })
}
