//! What a short body can ask for a lot of.

use serde_json::{Value, json};

use super::object;
use crate::directory::Attributes;
use crate::schema::{group, user};
use crate::scim::limits::{Exceeded, Limit, Limits};
use crate::scim::patch::{self, Operation, PatchError, ValueError};
use crate::scim::reading::Reading;

fn anne(extra: Value) -> Attributes {
    let mut base = object(json!({"userName": "anne", "active": true}));
    base.extend(object(extra));
    base
}

fn within(
    limits: Limits,
    current: Attributes,
    operations: Value,
) -> Result<Attributes, PatchError> {
    let mut reading = Reading::new(limits);
    let operations = Operation::parse(json!({"Operations": operations}), &mut reading)?;
    patch::patch(user(), current, operations, &mut reading).map(|edited| edited.attributes)
}

fn exceeded(error: PatchError) -> Exceeded {
    match error {
        PatchError::Exceeded(exceeded) | PatchError::Value(ValueError::Exceeded(exceeded)) => {
            exceeded
        }
        other => panic!("{other}"),
    }
}

#[test]
fn operations_times_elements_are_work() {
    let limits = Limits {
        work: 1_000_000,
        ..Limits::default()
    };
    let emails: Vec<Value> = (0..1000)
        .map(|n| json!({"value": format!("{n}@x.com")}))
        .collect();
    let current = anne(json!({"emails": emails}));
    let many = |operation: Value| Value::Array(vec![operation; 2000]);
    for operation in [
        json!({"op": "add", "path": "emails", "value": [{"value": "1@x.com"}]}),
        json!({"op": "remove", "path": "emails", "value": [{"value": "none"}]}),
        json!({"op": "replace", "path": "emails[value eq \"none\" or value eq \"1@x.com\"].type", "value": "work"}),
        json!({"op": "remove", "path": "emails[value eq \"none\"]"}),
        json!({"op": "add", "path": "emails[type eq \"work\"]", "value": null}),
    ] {
        let error = within(limits, current.clone(), many(operation.clone())).unwrap_err();
        assert_eq!(exceeded(error).limit, Limit::Work, "{operation}");
    }
    // As many of those that clients send are none.
    let title = json!({"op": "replace", "path": "title", "value": "x"});
    assert!(within(limits, anne(json!({})), many(title)).is_ok());
}

#[test]
fn unknown_keys_are_work() {
    let unknown: Attributes = (0..20_000).map(|n| (format!("k{n}"), json!(1))).collect();
    let limits = Limits {
        work: 1_000_000,
        ..Limits::default()
    };
    let mut reading = Reading::new(limits);
    let mut body = anne(json!({}));
    body.extend(unknown.clone());
    let error = patch::create(user(), Value::Object(body), &mut reading).unwrap_err();
    assert_eq!(exceeded(error).limit, Limit::Work);
    let body = anne(json!({"name": unknown}));
    let error = patch::create(user(), Value::Object(body), &mut Reading::new(limits)).unwrap_err();
    assert_eq!(exceeded(error).limit, Limit::Work);
}

#[test]
fn a_key_of_a_million_dots_is_ignored_like_any_other_unless_it_begins_at_members() {
    let limits = Limits {
        filter_bytes: 10 << 20,
        ..Limits::default()
    };
    let body = |key: String| {
        let body = json!({"displayName": "G", key: 1});
        patch::create(group(), body, &mut Reading::new(limits))
    };
    assert!(body(".x".repeat(1 << 20)).is_ok());
    assert!(body(format!("members{}", ".x".repeat(1 << 20))).is_err());
    let urn = "urn:ietf:params:scim:schemas:core:2.0:Group:members";
    assert!(body(format!("{urn}{}", ".x".repeat(1 << 20))).is_err());
}

#[test]
fn authentik_sends_ten_thousand_operations_and_more_are_counted() {
    let add = |n: u128| {
        let id = uuid::Uuid::from_u128(n);
        json!({"op": "add", "path": "members", "value": [{"value": id}]})
    };
    let body = |count| json!({"Operations": (0..count).map(add).collect::<Vec<_>>()});
    let mut reading = Reading::default();
    let operations = Operation::parse(body(10_000), &mut reading).unwrap();
    let current = object(json!({"displayName": "G"}));
    let edited = patch::patch(group(), current, operations, &mut reading).unwrap();
    assert_eq!(edited.members.len(), 1);
    let error = Operation::parse(body(50_001), &mut reading).unwrap_err();
    assert_eq!(
        error,
        PatchError::Exceeded(Limit::PatchOperations.exceeded(50_000))
    );
}

#[test]
fn an_attribute_takes_no_more_values_than_the_limit_and_keeps_those_that_it_has() {
    let limits = Limits {
        values: 2,
        ..Limits::default()
    };
    let add = |value: &str| json!([{"op": "add", "path": "emails", "value": [{"value": value}]}]);
    let three = anne(json!({"emails": [{"value": "a"}, {"value": "b"}, {"value": "c"}]}));
    let error = within(limits, three.clone(), add("d")).unwrap_err();
    let expected = "\"emails\" has more than 2 values: the limit is values";
    assert_eq!(error.to_string(), expected);
    assert!(within(limits, three.clone(), add("a")).is_ok());
    let off = json!([{"op": "replace", "path": "active", "value": false}]);
    let after = within(limits, three, off).unwrap();
    assert_eq!(after["emails"].as_array().unwrap().len(), 3);
}

#[test]
fn a_resource_does_not_grow_beyond_its_bytes_and_can_always_be_disabled() {
    let limits = Limits {
        resource_bytes: 200,
        ..Limits::default()
    };
    let title =
        |length: usize| json!([{"op": "replace", "path": "title", "value": "x".repeat(length)}]);
    let small = within(limits, anne(json!({})), title(100)).unwrap();
    let error = within(limits, small, title(300)).unwrap_err();
    assert_eq!(exceeded(error), Limit::ResourceBytes.exceeded(200));
    // It was larger when the limit was set.
    let large = anne(json!({"title": "x".repeat(300)}));
    let mut inactive = large.clone();
    inactive.remove("active");
    for current in [large.clone(), inactive] {
        let off = json!([{"op": "replace", "path": "active", "value": false}]);
        assert_eq!(
            within(limits, current, off).unwrap()["active"],
            json!(false)
        );
    }
    assert!(within(limits, large.clone(), title(250)).is_ok());
    assert!(within(limits, large.clone(), title(301)).is_err());
    let put = |body: Attributes| {
        patch::replace(
            user(),
            &large,
            Value::Object(body),
            &mut Reading::new(limits),
        )
    };
    assert!(put(large.clone()).is_ok());
    assert!(put(anne(json!({"title": "x".repeat(301)}))).is_err());
    let post = patch::create(user(), Value::Object(large), &mut Reading::new(limits));
    assert_eq!(exceeded(post.unwrap_err()).limit, Limit::ResourceBytes);
}

#[test]
fn a_missing_attribute_is_told_from_a_misnamed_one() {
    for (written, body) in [
        ("user_name", json!({"user_name": "anne"})),
        ("usrName", json!({"nonsense": 1, "usrName": "anne"})),
    ] {
        let error = patch::create(user(), body, &mut Reading::default()).unwrap_err();
        let said = format!("\"userName\" has no value; did the client mean it by {written:?}?");
        assert_eq!(error.to_string(), said);
    }
    let error = patch::create(user(), json!({"x": 1}), &mut Reading::default()).unwrap_err();
    assert_eq!(error.to_string(), "\"userName\" has no value");
}
