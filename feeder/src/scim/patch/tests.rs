use proptest::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Edited, MemberChange, Operation, PatchError, ValueError};
use crate::directory::Attributes;
use crate::scim::dialect::{Dialect, Seen};
use crate::scim::schema::{ENTERPRISE_USER, ResourceType, group, user};

const ANNE: Uuid = Uuid::from_u128(0xa);
const BOB: Uuid = Uuid::from_u128(0xb);

fn object(value: Value) -> Attributes {
    match value {
        Value::Object(object) => object,
        other => panic!("{other}"),
    }
}

fn patched(
    resources: &ResourceType,
    current: Value,
    operations: Value,
) -> Result<Edited, PatchError> {
    let mut seen = Seen::default();
    let operations = Operation::parse(json!({"Operations": operations}), &mut seen)?;
    let mut edited = super::patch(resources, object(current), operations)?;
    edited.seen.merge(seen);
    Ok(edited)
}

fn user_with(extra: Value) -> Value {
    let mut base = object(json!({"userName": "anne", "active": true}));
    base.extend(object(extra));
    Value::Object(base)
}

/// What the operations make of a user with these attributes besides `userName` and `active`.
#[track_caller]
fn user_after(extra: Value, operations: Value) -> Value {
    match patched(user(), user_with(extra), operations.clone()) {
        Ok(edited) => Value::Object(edited.attributes),
        Err(error) => panic!("{operations}: {error}"),
    }
}

#[track_caller]
fn user_refused(extra: Value, operations: Value) -> PatchError {
    patched(user(), user_with(extra), operations.clone())
        .map(|edited| panic!("{operations} gave {edited:?}"))
        .unwrap_err()
}

#[track_caller]
fn members_after(operations: Value) -> Vec<MemberChange> {
    match patched(group(), json!({"displayName": "G"}), operations.clone()) {
        Ok(edited) => {
            assert_eq!(edited.attributes.get("members"), None);
            edited.members
        }
        Err(error) => panic!("{operations}: {error}"),
    }
}

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
        PatchError::Value(ValueError::Missing(_))
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
fn rfc7643_2_5_an_active_that_is_null_or_removed_is_false() {
    for operation in [
        json!({"op": "remove", "path": "active"}),
        json!({"op": "replace", "path": "active", "value": null}),
        json!({"op": "add", "path": "active", "value": null}),
        json!({"op": "replace", "value": {"active": null}}),
    ] {
        assert_eq!(
            user_after(json!({}), json!([operation]))["active"],
            json!(false),
            "{operation}"
        );
    }
}

#[test]
fn a_shape_that_touches_active_and_is_not_understood_is_refused() {
    for operation in [
        json!({"op": "replace", "path": "active", "value": "no"}),
        json!({"op": "replace", "path": "active", "value": 0}),
        json!({"op": "replace", "path": "active", "value": [false]}),
        json!({"op": "replace", "path": "active", "value": {"value": false}}),
        json!({"op": "replace", "path": "active"}),
        json!({"op": "replace", "path": "active.value", "value": false}),
        json!({"op": "replace", "path": "active[value eq \"true\"]", "value": false}),
        json!({"op": "replace", "value": {"active.value": false}}),
        json!({"op": "replace", "value": {"active[x]": false}}),
        json!({"op": "replace", "value": {"active": false, "Active": true}}),
        json!({"op": "replace", "value": {"urn:ietf:params:scim:schemas:core:2.0:User:active": false, "active": true}}),
        json!({"op": "replace", "value": {"urn:ietf:params:scim:schemas:core:2.0:User:active.x": false}}),
        json!({"op": "replace", "value": "active"}),
        json!({"op": "disable", "path": "active", "value": false}),
        json!({"path": "active", "value": false}),
        json!("x"),
    ] {
        user_refused(json!({}), json!([operation]));
    }
}

#[test]
fn entra_disables_with_capitals_and_a_string() {
    let edited = patched(
        user(),
        user_with(json!({})),
        json!([{"op": "Replace", "path": "active", "value": "False"}]),
    )
    .unwrap();
    assert_eq!(edited.attributes["active"], json!(false));
    assert!(edited.seen.has(Dialect::CapitalOp) && edited.seen.has(Dialect::StringBoolean));
}

#[test]
fn entra_replaces_without_a_path_by_dotted_and_urn_keys() {
    let after = user_after(
        json!({"name": {"familyName": "F"}}),
        json!([{"op": "Replace", "value": {
            "displayName": "B",
            "name.givenName": "K",
            "emails[type eq \"work\"].value": "k@x",
            (format!("{ENTERPRISE_USER}:employeeNumber")): "A",
            "active": "True",
        }}]),
    );
    let expected = json!({
        "displayName": "B",
        "name": {"familyName": "F", "givenName": "K"},
        "emails": [{"type": "work", "value": "k@x"}],
        (ENTERPRISE_USER): {"employeeNumber": "A"},
    });
    assert_eq!(after, user_with(expected));
}

#[test]
fn entra_creates_the_element_that_a_value_path_names() {
    for op in ["Add", "Replace"] {
        let edited = patched(
            user(),
            user_with(json!({"phoneNumbers": [{"type": "mobile", "value": "1"}]})),
            json!([
                {"op": op, "path": "phoneNumbers[type eq \"work\"].value", "value": "2"},
                {"op": op, "path": "roles[primary eq \"True\"].value", "value": "Admin"},
                {"op": "Replace", "path": "active", "value": "False"},
            ]),
        )
        .unwrap();
        let expected = json!({
            "active": false,
            "phoneNumbers": [{"type": "mobile", "value": "1"}, {"type": "work", "value": "2"}],
            "roles": [{"primary": true, "value": "Admin"}],
        });
        assert_eq!(Value::Object(edited.attributes), user_with(expected));
        assert!(edited.seen.has(Dialect::CreatedByPath));
    }
    // What does not describe one element can't create it.
    let error = user_refused(
        json!({}),
        json!([{"op": "replace", "path": "emails[value co \"x\"].type", "value": "work"}]),
    );
    assert!(matches!(error, PatchError::NoTarget(_)));
}

#[test]
fn entra_sends_a_manager_as_a_string_an_object_or_a_list_of_one() {
    for value in [
        json!("26"),
        json!({"value": "26"}),
        json!([{"value": "26", "$ref": null}]),
        json!(["26"]),
    ] {
        for path in [format!("{ENTERPRISE_USER}:manager"), "manager".to_owned()] {
            let after = user_after(
                json!({}),
                json!([{"op": "Add", "path": path, "value": value}]),
            );
            assert_eq!(
                after[ENTERPRISE_USER],
                json!({"manager": {"value": "26"}}),
                "{path} {value}"
            );
        }
    }
    let extension = json!({(ENTERPRISE_USER): {"manager": {"value": "26"}}});
    let after = user_after(
        extension,
        json!([{"op": "Remove", "path": format!("{ENTERPRISE_USER}:manager")}]),
    );
    assert_eq!(after, user_with(json!({})));
}

#[test]
fn entra_creates_with_nulls_and_empty_lists() {
    let body = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User", ENTERPRISE_USER, "urn:nobody:announced"],
        "externalId": "e", "userName": "anne", "active": "True", "title": null, "roles": [],
        "emails": [{"primary": "True", "type": "work", "value": "a@x"}],
        (ENTERPRISE_USER): {"department": null},
        "urn:nobody:announced": {"x": 1},
    });
    let edited = super::create(user(), body).unwrap();
    let expected = json!({
        "externalId": "e", "userName": "anne", "active": true,
        "emails": [{"primary": true, "type": "work", "value": "a@x"}],
    });
    assert_eq!(Value::Object(edited.attributes), expected);
    assert!(edited.seen.has(Dialect::UnknownAttribute));
}

#[test]
fn okta_posts_groups_and_a_password_which_are_dropped() {
    let body = json!({"userName": "anne", "id": "mine", "meta": {"version": "x"}, "groups": [], "password": "pw"});
    let edited = super::create(user(), body).unwrap();
    assert_eq!(Value::Object(edited.attributes), user_with(json!({})));
    assert!(edited.seen.has(Dialect::PasswordDropped) && edited.seen.has(Dialect::ReadOnlyIgnored));
}

#[test]
fn okta_renames_a_group_without_touching_its_members() {
    let edited = patched(
        group(),
        json!({"displayName": "G"}),
        json!([{"op": "replace", "value": {"id": "G", "displayName": "N"}}]),
    )
    .unwrap();
    assert_eq!(
        Value::Object(edited.attributes),
        json!({"displayName": "N"})
    );
    assert_eq!(edited.members, []);
}

#[test]
fn okta_removes_by_filter_and_adds_in_one_request() {
    let changes = members_after(json!([
        {"op": "remove", "path": format!("members[value eq \"{ANNE}\"]")},
        {"op": "add", "path": "members", "value": [{"value": BOB, "display": "bob@x"}]},
    ]));
    assert_eq!(
        changes,
        [
            MemberChange::Remove(vec![ANNE]),
            MemberChange::Add(vec![BOB])
        ]
    );
}

#[test]
fn okta_pushes_the_whole_list_with_and_without_a_path() {
    for (value, expected) in [(json!([{"value": ANNE}]), vec![ANNE]), (json!([]), vec![])] {
        for operation in [
            json!({"op": "replace", "path": "members", "value": value}),
            json!({"op": "replace", "value": {"members": value}}),
        ] {
            assert_eq!(
                members_after(json!([operation])),
                [MemberChange::Set(expected.clone())],
                "{operation}"
            );
        }
    }
}

#[test]
fn entra_removes_the_members_listed_and_no_others() {
    for value in [
        json!([{"$ref": null, "value": ANNE}]),
        json!({"value": ANNE}),
        json!([{"value": ANNE}, {"value": "not-an-id"}]),
    ] {
        let changes = members_after(json!([{"op": "Remove", "path": "members", "value": value}]));
        assert_eq!(changes, [MemberChange::Remove(vec![ANNE])], "{value}");
    }
    let changes = members_after(json!([{"op": "Remove", "path": "members", "value": []}]));
    assert_eq!(changes, [MemberChange::Remove(vec![])]);
    let changes = members_after(json!([{"op": "remove", "path": "members"}]));
    assert_eq!(changes, [MemberChange::Set(vec![])]);
}

#[test]
fn authentik_sends_an_operation_a_member() {
    let add = |id| json!({"op": "add", "path": "members", "value": [{"value": id}]});
    assert_eq!(
        members_after(json!([add(ANNE), add(BOB)])),
        [MemberChange::Add(vec![ANNE, BOB])]
    );
}

#[test]
fn a_shape_that_touches_members_and_is_not_understood_is_refused() {
    for operation in [
        json!({"op": "add", "path": "members", "value": [ANNE]}),
        json!({"op": "add", "path": "members", "value": ANNE}),
        json!({"op": "add", "path": "members", "value": [[{"value": ANNE}]]}),
        json!({"op": "add", "path": "members", "value": [{"value": ANNE, "operation": "delete"}]}),
        json!({"op": "add", "path": "members", "value": [{"value": ANNE, "Value": BOB}]}),
        json!({"op": "add", "path": "members", "value": [{"value": 5}]}),
        json!({"op": "add", "path": "members", "value": [{"$ref": "/Users/x"}]}),
        json!({"op": "add", "path": "members", "value": [{"value": ANNE.to_string().to_uppercase()}]}),
        json!({"op": "add", "path": "members", "value": [{"value": "nobody"}]}),
        json!({"op": "add", "path": "members"}),
        json!({"op": "add", "path": "members.value", "value": ANNE}),
        json!({"op": "remove", "path": "members", "value": "x"}),
        json!({"op": "remove", "path": "members", "value": [null]}),
        json!({"op": "remove", "path": "members[display eq \"x\"]"}),
        json!({"op": "remove", "path": "members[value ne \"x\"]"}),
        json!({"op": "remove", "path": "members[value eq \"x\"].display"}),
        json!({"op": "remove", "path": format!("members[value eq \"{ANNE}\"]"), "value": [{"value": BOB}]}),
        json!({"op": "replace", "path": format!("members[value eq \"{ANNE}\"]"), "value": {"value": BOB}}),
        json!({"op": "replace", "value": {"members.x": []}}),
        json!({"op": "replace", "value": {"members": [], "MEMBERS": []}}),
        json!({"op": "replace", "value": {"members[value eq \"x\"]": []}}),
    ] {
        let result = patched(group(), json!({"displayName": "G"}), json!([operation]));
        assert!(result.is_err(), "{operation} gave {result:?}");
    }
}

#[test]
fn rfc7644_3_5_1_an_absent_active_stays_as_it_is_on_put() {
    let put = |current: Value, body: Value| {
        super::replace(user(), &object(current), body)
            .unwrap()
            .attributes
    };
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
fn jumpcloud_puts_null_emails_and_the_extension_first() {
    let body = json!({(ENTERPRISE_USER): {"employeeNumber": ""}, "emails": null, "addresses": [], "userName": "anne", "active": true});
    let edited = super::replace(user(), &object(user_with(json!({}))), body).unwrap();
    assert_eq!(edited.attributes.get("emails"), None);
}

#[test]
fn rfc7644_3_5_1_a_group_put_without_members_has_none() {
    let edited = super::replace(
        group(),
        &object(json!({"displayName": "G"})),
        json!({"displayName": "G"}),
    )
    .unwrap();
    assert_eq!(edited.members, [MemberChange::Set(vec![])]);
    let body = json!({"displayName": "G", "members": [{"value": ANNE}, {"value": BOB}]});
    let edited = super::replace(group(), &object(json!({"displayName": "G"})), body).unwrap();
    assert_eq!(edited.members, [MemberChange::Set(vec![ANNE, BOB])]);
}

#[test]
fn rfc7643_2_3_values_of_another_type_are_refused() {
    for body in [
        json!({"userName": 5}),
        json!({"userName": "  "}),
        json!({"userName": ["anne"]}),
        json!({}),
        json!([]),
        json!({"userName": "anne", "name": "Anne"}),
        json!({"userName": "anne", "emails": [[]]}),
        json!({"userName": "anne", "emails": {"value": {}}}),
        json!({"userName": "anne", "emails": [{"value": "x", "Value": "y"}]}),
        json!({"userName": "anne", "USERNAME": "bob"}),
        json!({"userName": "anne", "emails": vec![json!({"value": "x", "type": "y"}); 2], (ENTERPRISE_USER): []}),
    ] {
        let result = super::create(user(), body.clone());
        assert!(result.is_err(), "{body} gave {result:?}");
    }
    let many: Vec<Value> = (0..2000).map(|n| json!({"value": n.to_string()})).collect();
    let error = super::create(user(), json!({"userName": "anne", "emails": many})).unwrap_err();
    assert!(matches!(
        error,
        PatchError::Value(ValueError::TooMany { .. })
    ));
}

#[test]
fn a_misnamed_attribute_is_ignored_in_a_body_and_noted_with_what_it_resembles() {
    let edited = super::create(user(), json!({"userName": "anne", "actve": false})).unwrap();
    let unknown = edited.seen.unknown();
    assert_eq!(unknown[0].resembles.as_deref(), Some("active"));
}

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
            let _ = super::create(resources, body.clone());
            let _ = Operation::parse(body.clone(), &mut Seen::default());
            let _ = patched(resources, user_with(json!({"displayName": "x"})), json!(operations));
        }
    }

    /// What a PATCH makes is what POST would have stored: `active` a boolean, nothing null, nothing empty.
    #[test]
    fn what_comes_out_is_canonical(operations in prop::collection::vec(any_operation(), 0..4)) {
        if let Ok(edited) = patched(user(), user_with(json!({})), json!(operations)) {
            let again = super::create(user(), Value::Object(edited.attributes.clone())).unwrap();
            prop_assert_eq!(again.attributes, edited.attributes);
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
