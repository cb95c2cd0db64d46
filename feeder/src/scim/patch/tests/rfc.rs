//! What the RFCs say.

use serde_json::{Value, json};

use super::{ANNE, BOB, create, object, replace, user_after, user_refused, user_with};
use crate::schema::{ENTERPRISE_USER, group, user};
use crate::scim::patch::{MemberChange, PatchError, ValueError};

#[test]
fn rfc7644_3_5_2_1_add() {
    let work = json!({"value": "a@x", "type": "work"});
    for (operation, expected) in [
        (
            json!({"op": "add", "path": "title", "value": "Dr"}),
            json!({"title": "Dr"}),
        ),
        (
            json!({"op": "add", "value": {"nickName": "A", "emails": [work]}}),
            json!({"nickName": "A", "emails": [work]}),
        ),
        (
            json!({"op": "add", "path": "emails", "value": [work]}),
            json!({"emails": [work]}),
        ),
        (
            json!({"op": "add", "path": "name", "value": {"givenName": "A"}}),
            json!({"name": {"givenName": "A"}}),
        ),
        (
            json!({"op": "add", "path": "NAME.familyname", "value": "B"}),
            json!({"name": {"familyName": "B"}}),
        ),
        (
            json!({"op": "add", "path": "title", "value": null}),
            json!({}),
        ),
    ] {
        assert_eq!(
            user_after(json!({}), json!([operation])),
            user_with(expected),
            "{operation}"
        );
    }
    // Values are appended; sub-attributes not given stay.
    let home = json!({"value": "a@y", "type": "home"});
    let after = user_after(
        json!({"emails": [work], "name": {"familyName": "B"}}),
        json!([{"op": "add", "value": {"emails": [home], "name": {"givenName": "A"}}}]),
    );
    let expected = json!({"emails": [work, home], "name": {"familyName": "B", "givenName": "A"}});
    assert_eq!(after, user_with(expected));
}

#[test]
fn rfc7644_3_5_2_1_adding_what_is_there_changes_nothing() {
    let extra = json!({"emails": [{"value": "a@x", "type": "work"}], "title": "Dr"});
    let after = user_after(
        extra.clone(),
        json!([
            {"op": "add", "path": "emails", "value": [{"type": "work", "value": "a@x"}]},
            {"op": "add", "path": "title", "value": "Dr"},
        ]),
    );
    assert_eq!(after, user_with(extra));
}

#[test]
fn rfc7644_3_5_2_2_remove() {
    let extra = json!({
        "title": "Dr", "name": {"givenName": "A"},
        "emails": [{"value": "a@x", "type": "work"}, {"value": "a@y", "type": "home"}],
        (ENTERPRISE_USER): {"department": "D"},
    });
    for (path, gone) in [
        ("title", "title"),
        ("name", "name"),
        ("name.givenName", "name"),
        ("emails", "emails"),
        ("emails[value co \"a\"]", "emails"),
        (ENTERPRISE_USER, ENTERPRISE_USER),
        (&format!("{ENTERPRISE_USER}:department"), ENTERPRISE_USER),
    ] {
        let mut expected = object(user_with(extra.clone()));
        expected.remove(gone);
        let after = user_after(extra.clone(), json!([{"op": "remove", "path": path}]));
        assert_eq!(after, Value::Object(expected), "{path}");
    }
    let after = user_after(
        extra.clone(),
        json!([{"op": "remove", "path": "emails[type eq \"work\"]"}]),
    );
    assert_eq!(after["emails"], json!([{"value": "a@y", "type": "home"}]));
    let after = user_after(
        extra.clone(),
        json!([{"op": "remove", "path": "emails[type eq \"work\"].type"}]),
    );
    assert_eq!(after["emails"][0], json!({"value": "a@x"}));
    // Nothing there: nothing to do.
    let after = user_after(
        extra.clone(),
        json!([{"op": "remove", "path": "emails[type eq \"other\"]"}, {"op": "remove", "path": "nickName"}]),
    );
    assert_eq!(after, user_with(extra.clone()));
    assert!(matches!(
        user_refused(extra.clone(), json!([{"op": "remove"}])),
        PatchError::NoTarget(_)
    ));
    assert!(matches!(
        user_refused(extra, json!([{"op": "remove", "path": "userName"}])),
        PatchError::Required(name) if name == "userName"
    ));
}

#[test]
fn rfc7644_3_5_2_3_replace() {
    let extra = json!({
        "name": {"givenName": "A", "familyName": "B"},
        "emails": [{"value": "a@x", "type": "work"}, {"value": "a@y", "type": "home"}],
    });
    let after = user_after(
        extra.clone(),
        json!([
            {"op": "replace", "path": "name", "value": {"givenName": "C"}},
            {"op": "replace", "path": "emails[type eq \"work\"]", "value": {"value": "c@x", "type": "work", "display": "C"}},
            {"op": "replace", "path": "emails[type eq \"home\"].value", "value": "c@y"},
        ]),
    );
    let expected = json!({
        "name": {"givenName": "C", "familyName": "B"},
        "emails": [{"value": "c@x", "type": "work", "display": "C"}, {"value": "c@y", "type": "home"}],
    });
    assert_eq!(after, user_with(expected));
    let after = user_after(
        extra.clone(),
        json!([{"op": "replace", "path": "emails", "value": []}, {"op": "replace", "path": "name", "value": null}]),
    );
    assert_eq!(after, user_with(json!({})));
    assert!(matches!(
        user_refused(
            extra,
            json!([{"op": "replace", "path": "userName", "value": null}])
        ),
        PatchError::Value(ValueError::Missing { .. })
    ));
}

#[test]
fn rfc7644_3_5_2_a_new_primary_clears_the_old() {
    let extra = json!({"emails": [{"value": "a", "primary": true}, {"value": "b"}]});
    for operation in [
        json!({"op": "add", "path": "emails", "value": [{"value": "c", "primary": true}]}),
        json!({"op": "replace", "path": "emails[value eq \"b\"].primary", "value": true}),
    ] {
        let after = user_after(extra.clone(), json!([operation]));
        assert_eq!(
            after["emails"][0],
            json!({"value": "a", "primary": false}),
            "{operation}"
        );
    }
    let two = json!([{"value": "c", "primary": true}, {"value": "d", "primary": true}]);
    assert!(matches!(
        user_refused(
            extra,
            json!([{"op": "add", "path": "emails", "value": two}])
        ),
        PatchError::Value(ValueError::Primaries(_))
    ));
}

#[test]
fn rfc7644_3_5_2_an_error_in_the_last_operation_undoes_the_first() {
    let error = user_refused(
        json!({}),
        json!([
            {"op": "replace", "path": "active", "value": false},
            {"op": "replace", "path": "nope", "value": 1},
        ]),
    );
    assert!(matches!(error, PatchError::Unknown(_)));
}

#[test]
fn rfc7644_3_5_2_read_only_attributes_can_not_be_targets() {
    for path in [
        "id",
        "meta",
        "meta.created",
        "groups",
        "groups[value eq \"x\"].display",
        "schemas",
    ] {
        for op in ["add", "replace", "remove"] {
            let error = user_refused(json!({}), json!([{"op": op, "path": path, "value": "x"}]));
            assert!(
                matches!(error, PatchError::ReadOnly(_)),
                "{op} {path}: {error:?}"
            );
        }
    }
}

#[test]
fn rfc7643_2_5_an_active_that_is_null_is_false_and_a_removed_one_unassigned() {
    for operation in [
        json!({"op": "replace", "path": "active", "value": null}),
        json!({"op": "add", "path": "active", "value": null}),
        json!({"op": "replace", "value": {"active": null}}),
    ] {
        let after = user_after(json!({}), json!([operation]));
        assert_eq!(after["active"], json!(false), "{operation}");
    }
    let after = user_after(json!({}), json!([{"op": "remove", "path": "active"}]));
    assert_eq!(after, json!({"userName": "anne"}));
}

#[test]
fn rfc7644_3_5_1_an_absent_active_stays_as_it_is_on_put() {
    let put =
        |current: Value, body: Value| replace(user(), &object(current), body).unwrap().attributes;
    let disabled = user_with(json!({"active": false, "title": "Dr"}));
    let after = put(
        disabled.clone(),
        json!({"userName": "anne", "groups": [{"value": "x"}]}),
    );
    assert_eq!(
        Value::Object(after),
        json!({"userName": "anne", "active": false})
    );
    let after = put(
        user_with(json!({})),
        json!({"userName": "anne", "active": null}),
    );
    assert_eq!(after["active"], json!(false));
    let after = put(disabled, json!({"userName": "anne", "active": true}));
    assert_eq!(after["active"], json!(true));
}

#[test]
fn rfc7644_3_5_1_a_group_put_without_members_has_none() {
    let edited = replace(
        group(),
        &object(json!({"displayName": "G"})),
        json!({"displayName": "G"}),
    )
    .unwrap();
    assert_eq!(edited.members, [MemberChange::Set(vec![])]);
    let body = json!({"displayName": "G", "members": [{"value": ANNE}, {"value": BOB}]});
    let edited = replace(group(), &object(json!({"displayName": "G"})), body).unwrap();
    assert_eq!(edited.members, [MemberChange::Set(vec![ANNE, BOB])]);
}

#[test]
fn rfc7643_2_3_values_of_another_type_are_refused() {
    for body in [
        json!({"userName": 5}),
        json!({"userName": "  "}),
        json!({"userName": ["anne", "bob"]}),
        json!({"userName": {"value": "anne", "type": "x"}}),
        json!({}),
        json!([]),
        json!({"userName": "anne", "name": "Anne"}),
        json!({"userName": "anne", "emails": [[]]}),
        json!({"userName": "anne", "emails": {"value": {}}}),
        json!({"userName": "anne", "emails": [{"value": "x", "Value": "y"}]}),
        json!({"userName": "anne", "USERNAME": "bob"}),
        json!({"userName": "anne", "emails": vec![json!({"value": "x", "type": "y"}); 2], (ENTERPRISE_USER): []}),
    ] {
        let result = create(user(), body.clone());
        assert!(result.is_err(), "{body} gave {result:?}");
    }
    let many: Vec<Value> = (0..2000).map(|n| json!({"value": n.to_string()})).collect();
    let error = create(user(), json!({"userName": "anne", "emails": many})).unwrap_err();
    assert!(matches!(
        error,
        PatchError::Value(ValueError::TooMany { .. })
    ));
}
