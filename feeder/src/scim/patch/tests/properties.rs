//! What holds for any body.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{ANNE, create, patched, replace, user_with};
use crate::schema::{ENTERPRISE_USER, group, user};
use crate::scim::patch::Operation;
use crate::scim::reading::Reading;

fn json_value() -> impl Strategy<Value = Value> {
    let key = prop_oneof![
        Just("userName".to_owned()),
        Just("active".to_owned()),
        Just("emails".to_owned()),
        Just("emails[type eq \"work\"].value".to_owned()),
        Just("members".to_owned()),
        Just("value".to_owned()),
        Just("primary".to_owned()),
        Just("name.givenName".to_owned()),
        Just(ENTERPRISE_USER.to_owned()),
        Just(format!("{ENTERPRISE_USER}:manager")),
        ".{0,8}",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "True|False|.{0,6}".prop_map(Value::from),
        Just(json!(ANNE.to_string())),
    ];
    leaf.prop_recursive(3, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((key.clone(), inner), 0..4)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

fn any_operation() -> impl Strategy<Value = Value> {
    let path = prop_oneof![
        Just("emails"),
        Just("emails.value"),
        Just("emails[type eq \"work\"]"),
        Just("emails[primary eq true].value"),
        Just("active"),
        Just("name"),
        Just("members"),
        Just("manager"),
        Just("members[value eq \"x\"]"),
        Just(ENTERPRISE_USER),
    ];
    (
        prop_oneof![Just("add"), Just("Replace"), Just("remove")],
        prop::option::of(path),
        json_value(),
    )
        .prop_map(|(op, path, value)| json!({"op": op, "path": path, "value": value}))
}

proptest! {
    #[test]
    fn no_body_panics(body in json_value(), operations in prop::collection::vec(any_operation(), 0..4)) {
        for resources in [user(), group()] {
            let _ = create(resources, body.clone());
            let _ = Operation::parse(body.clone(), &mut Reading::default());
            let _ = patched(resources, user_with(json!({"displayName": "x"})), json!(operations));
        }
    }

    /// What a PATCH makes, a PUT of the same leaves as it is: canonical names, nothing null, nothing empty.
    #[test]
    fn what_comes_out_is_canonical(operations in prop::collection::vec(any_operation(), 0..4)) {
        if let Ok(edited) = patched(user(), user_with(json!({})), json!(operations)) {
            let mut expected = edited.attributes.clone();
            expected.entry("active").or_insert(json!(false));
            let again = replace(user(), &edited.attributes, Value::Object(edited.attributes.clone())).unwrap();
            prop_assert_eq!(again.attributes, expected);
        }
    }

    /// Applying the same PATCH to its own result changes nothing more, if it only adds and replaces.
    #[test]
    fn add_and_replace_are_idempotent(operations in prop::collection::vec(any_operation(), 0..1)) {
        if let Ok(once) = patched(user(), user_with(json!({})), json!(operations)) {
            let twice = patched(user(), Value::Object(once.attributes.clone()), json!(operations)).unwrap();
            prop_assert_eq!(twice.attributes, once.attributes);
        }
    }
}
