//! What IdPs send, and what is refused because it might mean anything.

use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    ANNE, BOB, create, members_after, object, patched, replace, user_after, user_refused, user_with,
};
use crate::schema::{ENTERPRISE_USER, group, user};
use crate::scim::dialect::Dialect;
use crate::scim::patch::{MemberChange, Operation, PatchError};
use crate::scim::reading::Reading;

#[test]
fn a_shape_that_touches_active_and_is_not_understood_is_refused() {
    for operation in [
        json!({"op": "replace", "path": "active", "value": "no"}),
        json!({"op": "replace", "path": "active", "value": 0}),
        json!({"op": "replace", "path": "active", "value": []}),
        json!({"op": "replace", "path": "active", "value": [null]}),
        json!({"op": "replace", "path": "active", "value": [false, true]}),
        json!({"op": "replace", "path": "active", "value": [[false]]}),
        json!({"op": "replace", "path": "active", "value": {}}),
        json!({"op": "replace", "path": "active", "value": {"active": null}}),
        json!({"op": "replace", "path": "active", "value": {"active": false, "value": true}}),
        json!({"op": "replace", "path": "active", "value": {"Active": false}}),
        json!({"op": "replace", "path": "active", "value": {"primary": false}}),
        json!({"op": "replace", "path": "active", "value": "[false]"}),
        json!({"op": "replace", "path": "active"}),
        json!({"op": "replace", "path": "active.value", "value": false}),
        json!({"op": "replace", "path": "active[value eq \"true\"]", "value": false}),
        json!({"op": "replace", "value": {"active.value": false}}),
        json!({"op": "replace", "value": {"active[x]": false}}),
        json!({"op": "replace", "value": {"active": false, "Active": true}}),
        json!({"op": "replace", "value": {"urn:ietf:params:scim:schemas:core:2.0:User:active": false, "active": true}}),
        json!({"op": "replace", "value": {"urn:ietf:params:scim:schemas:core:2.0:User:active.x": false}}),
        json!({"op": "replace", "value": {"urn:ietf:params:scim:schemas:core:2.0:User": {"active": false}, "active": true}}),
        json!({"op": "replace", "value": {"urn:ietf:params:scim:schemas:core:2.0:User": null}}),
        json!({"op": "replace", "path": "urn:ietf:params:scim:schemas:core:2.0:User", "value": null}),
        json!({"op": "replace", "value": "active"}),
        json!({"op": "disable", "path": "active", "value": false}),
        json!({"path": "active", "value": false}),
        json!("x"),
    ] {
        user_refused(json!({}), json!([operation]));
    }
}

#[test]
fn microsofts_library_and_scim_sdk_wrap_a_plain_value() {
    for (value, word) in [
        (json!([false]), Dialect::ListForSingle),
        (json!(["False"]), Dialect::ListForSingle),
        (json!({"active": "False"}), Dialect::WrappedValue),
        (json!({"value": false}), Dialect::WrappedValue),
        (
            json!([{"$ref": null, "value": "False"}]),
            Dialect::WrappedValue,
        ),
    ] {
        for operation in [
            json!({"op": "Replace", "path": "active", "value": value}),
            json!({"op": "Add", "value": {"active": value}}),
        ] {
            let edited = patched(user(), user_with(json!({})), json!([operation])).unwrap();
            assert_eq!(edited.attributes["active"], json!(false), "{operation}");
            assert!(edited.seen.has(word), "{operation}");
        }
    }
    let after = user_after(
        json!({}),
        json!([
            {"op": "Replace", "path": "displayName", "value": [{"$ref": null, "value": "A"}]},
            {"op": "replace", "path": "name.givenName", "value": ["B"]},
        ]),
    );
    assert_eq!(
        after,
        user_with(json!({"displayName": "A", "name": {"givenName": "B"}}))
    );
}

#[test]
fn scim_sdk_writes_json_into_strings() {
    let member = json!({"value": ANNE, "type": "User"}).to_string();
    for value in [
        json!([member]),
        json!(member),
        json!(json!([{"value": ANNE}]).to_string()),
    ] {
        let operation = json!({"op": "add", "path": "members", "value": value});
        let edited = patched(group(), json!({"displayName": "G"}), json!([operation])).unwrap();
        assert_eq!(
            edited.members,
            [MemberChange::Add(vec![ANNE])],
            "{operation}"
        );
        assert!(edited.seen.has(Dialect::JsonInString), "{operation}");
    }
    let email = json!({"value": "a@x", "type": "work"});
    let after = user_after(
        json!({}),
        json!([
            {"op": "add", "path": "emails", "value": [email.to_string()]},
            {"op": "add", "value": json!({"name": {"givenName": "A"}, "active": false}).to_string()},
            {"op": "replace", "path": "name", "value": [json!({"familyName": "B"}).to_string()]},
            {"op": "add", "path": "emails[type eq \"work\"].display", "value": ["A"]},
            {"op": "replace", "path": "emails[type eq \"work\"]", "value": [email.to_string()]},
            // A plain attribute is what its string says.
            {"op": "replace", "path": "title", "value": "{\"value\": 1}"},
        ]),
    );
    let expected = json!({
        "active": false, "emails": [email], "name": {"givenName": "A", "familyName": "B"}, "title": "{\"value\": 1}",
    });
    assert_eq!(after, user_with(expected));
}

#[test]
fn entra_adds_app_roles_as_json_in_strings() {
    let role = |value: &str| {
        let text = json!({"id": "06b07648", "value": value, "displayName": "D"}).to_string();
        json!({"value": text})
    };
    let edited = patched(
        user(),
        user_with(json!({"roles": [{"value": "User"}]})),
        json!([{"op": "Add", "path": "roles", "value": [role("Admin"), role("Owner")]}]),
    )
    .unwrap();
    assert_eq!(
        edited.attributes["roles"],
        json!([{"value": "User"}, {"value": "Admin"}, {"value": "Owner"}])
    );
    assert!(edited.seen.has(Dialect::JsonInString));
    let after = user_after(
        json!({"roles": [{"value": "User"}, {"value": "Admin"}]}),
        json!([{"op": "Remove", "path": "roles", "value": [role("Admin")]}]),
    );
    assert_eq!(after["roles"], json!([{"value": "User"}]));
    // What is no role in JSON is its value.
    for text in ["{}", "{\"id\":\"x\"}", "[1]", "{", "5", "true"] {
        let after = user_after(
            json!({}),
            json!([{"op": "Add", "path": "roles", "value": [{"value": text}]}]),
        );
        assert_eq!(after["roles"], json!([{"value": text}]), "{text}");
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
    for filter in ["value co \"x\"", "type eq \"work\" and type eq \"home\""] {
        let path = format!("emails[{filter}].display");
        let operation = json!({"op": "replace", "path": path, "value": "A"});
        let error = user_refused(json!({}), json!([operation]));
        assert!(matches!(error, PatchError::NoTarget(_)), "{path}");
    }
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
    let path = format!("{ENTERPRISE_USER}:manager");
    for operation in [
        json!({"op": "Remove", "path": path}),
        json!({"op": "Replace", "path": path, "value": null}),
        json!({"op": "Replace", "path": path, "value": ""}),
        json!({"op": "Replace", "path": path, "value": [""]}),
        json!({"op": "Replace", "path": path, "value": []}),
    ] {
        let after = user_after(extension.clone(), json!([operation]));
        assert_eq!(after, user_with(json!({})), "{operation}");
    }
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
    let edited = create(user(), body).unwrap();
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
    let edited = create(user(), body).unwrap();
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
fn a_removal_that_names_nobody_by_an_id_is_refused_and_not_passed_over() {
    for operation in [
        json!({"op": "remove", "path": "members", "value": [{"value": ANNE}, {"value": "anne"}]}),
        json!({"op": "remove", "path": "members", "value": [{"value": ""}]}),
        json!({"op": "remove", "path": "members[value eq \"anne\"]"}),
        json!({"op": "remove", "path": "members[value eq \"anne\" or value eq \"ben\"]"}),
    ] {
        let refused = patched(group(), json!({"displayName": "G"}), json!([operation]));
        let no_id = PatchError::Members("a value is not the id of a user or group");
        assert_eq!(refused.unwrap_err(), no_id, "{operation}");
    }
}

#[test]
fn connid_names_twice_whom_it_removes_and_wraps_the_list() {
    let path = format!("members[value eq \"{ANNE}\" or value eq \"{BOB}\"]");
    for operation in [
        json!({"op": "remove", "path": path}),
        json!({"op": "remove", "path": path, "value": [{"value": BOB}, {"value": ANNE, "$ref": "x", "display": "y"}]}),
        json!({"op": "remove", "path": path, "value": {"members": [{"value": ANNE}, {"value": BOB}]}}),
    ] {
        let changes = members_after(json!([operation]));
        assert_eq!(changes, [MemberChange::Remove(vec![ANNE, BOB])]);
    }
    for (op, expected) in [
        ("add", MemberChange::Add(vec![ANNE])),
        ("remove", MemberChange::Remove(vec![ANNE])),
        ("replace", MemberChange::Set(vec![ANNE])),
    ] {
        let value = json!({"members": [{"value": ANNE}]});
        let changes = members_after(json!([{"op": op, "path": "members", "value": value}]));
        assert_eq!(changes, [expected]);
    }
}

#[test]
fn thousands_of_steps_become_one_removal_and_one_addition() {
    let ids: Vec<Uuid> = (1..=3).map(Uuid::from_u128).collect();
    let step = |op: &str, id: Uuid| json!({"op": op, "path": "members", "value": [{"value": id}]});
    let mut operations = Vec::new();
    for _ in 0..1000 {
        operations.push(step("add", ids[0]));
        operations.push(step("remove", ids[1]));
        operations.push(step("add", ids[1]));
        operations.push(step("remove", ids[2]));
    }
    let changes = [
        MemberChange::Remove(vec![ids[2]]),
        MemberChange::Add(vec![ids[0], ids[1]]),
    ];
    assert_eq!(members_after(json!(operations)), changes);
    // What was said before all members were named is no more.
    operations.push(json!({"op": "replace", "path": "members", "value": [{"value": ids[2]}]}));
    operations.push(step("remove", ids[0]));
    operations.push(step("add", ids[1]));
    let changes = [
        MemberChange::Set(vec![ids[2]]),
        MemberChange::Remove(vec![ids[0]]),
        MemberChange::Add(vec![ids[1]]),
    ];
    assert_eq!(members_after(json!(operations)), changes);
}

#[test]
fn a_member_leaves_under_any_spelling_of_its_id() {
    let id = ANNE.to_string();
    for other in [
        id.to_uppercase(),
        format!("{{{id}}}"),
        id.replace('-', ""),
        format!("urn:uuid:{id}"),
    ] {
        for operation in [
            json!({"op": "remove", "path": "members", "value": [{"value": other}]}),
            json!({"op": "remove", "path": format!("members[value eq \"{other}\"]")}),
        ] {
            let edited = patched(group(), json!({"displayName": "G"}), json!([operation])).unwrap();
            assert_eq!(
                edited.members,
                [MemberChange::Remove(vec![ANNE])],
                "{other}"
            );
            assert!(edited.seen.has(Dialect::IdSpelling), "{other}");
        }
    }
}

#[test]
fn what_stands_beside_the_operations_is_not_ignored_if_it_would_be_access() {
    for name in ["active", "Active", "members"] {
        let body = json!({"Operations": [], (name): false});
        let parsed = Operation::parse(body, &mut Reading::default());
        assert!(parsed.is_err(), "{name} gave {parsed:?}");
    }
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
        json!({"op": "add", "path": "members", "value": ["[]"]}),
        json!({"op": "add", "path": "members", "value": ["{\"value\":\"x\",\"value\":\"y\"}"]}),
        json!({"op": "add", "path": "members", "value": [{"value": json!({"value": ANNE}).to_string()}]}),
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
        json!({"op": "remove", "path": format!("members[value eq \"{ANNE}\"]"), "value": [{"value": ANNE}, {"value": BOB}]}),
        json!({"op": "remove", "path": format!("members[value eq \"{ANNE}\"]"), "value": []}),
        json!({"op": "add", "path": "members", "value": {"members": [{"value": ANNE}], "value": BOB}}),
        json!({"op": "add", "path": "members", "value": {"Members": [{"value": ANNE}]}}),
        json!({"op": "replace", "path": format!("members[value eq \"{ANNE}\"]"), "value": {"value": BOB}}),
        json!({"op": "replace", "value": {"members.x": []}}),
        json!({"op": "replace", "value": {"members": [], "MEMBERS": []}}),
        json!({"op": "replace", "value": {"members[value eq \"x\"]": []}}),
        json!({"op": "replace", "value": {"urn:ietf:params:scim:schemas:core:2.0:Group": {"members": []}, "members": [{"value": ANNE}]}}),
    ] {
        let result = patched(group(), json!({"displayName": "G"}), json!([operation]));
        assert!(result.is_err(), "{operation} gave {result:?}");
    }
}

#[test]
fn jumpcloud_puts_null_emails_and_the_extension_first() {
    let body = json!({(ENTERPRISE_USER): {"employeeNumber": ""}, "emails": null, "addresses": [], "userName": "anne", "active": true});
    let edited = replace(user(), &object(user_with(json!({}))), body).unwrap();
    assert_eq!(edited.attributes.get("emails"), None);
}

#[test]
fn a_misnamed_attribute_is_ignored_in_a_body_and_noted_with_what_it_resembles() {
    let edited = create(user(), json!({"userName": "anne", "actve": false})).unwrap();
    let unknown = edited.seen.unknown();
    assert_eq!(unknown[0].resembles.as_deref(), Some("active"));
}

#[test]
fn json_in_a_value_is_read_however_it_comes() {
    let inner = json!({"value": "owner"}).to_string();
    let twice = json!({ "value": inner }).to_string();
    for operation in [
        json!({"op": "add", "path": "roles", "value": [{ "value": inner }]}),
        json!({"op": "add", "path": "roles", "value": [{ "value": twice }]}),
        json!({"op": "replace", "path": "roles[type eq \"x\"].value", "value": inner}),
        json!({"op": "add", "path": "roles", "value": [{"value": inner, "type": "x"}]}),
    ] {
        let user = user_after(json!({}), json!([operation]));
        assert_eq!(user["roles"][0]["value"], "owner", "{operation}");
    }
}

#[test]
fn a_filter_creates_nothing_that_the_attribute_could_not_have() {
    for path in [
        r#"x509Certificates[value eq "no base64!"].display"#,
        r#"roles[value eq "{\"value\":\"owner\"}"].display"#,
    ] {
        let refused = user_refused(
            json!({}),
            json!([{"op": "replace", "path": path, "value": "d"}]),
        );
        assert!(matches!(refused, PatchError::NoTarget(_)), "{refused}");
    }
}

#[test]
fn a_misspelt_active_or_members_in_a_patch_is_no_success() {
    for (key, meant) in [("actve", "active"), ("Active_", "active")] {
        let error = user_refused(json!({}), json!([{"op": "replace", "value": {key: false}}]));
        assert!(error.to_string().contains(meant), "{error}");
    }
    let operations = json!([{"op": "add", "value": {"member": [{"value": ANNE}]}}]);
    let error = patched(group(), json!({"displayName": "G"}), operations).unwrap_err();
    assert!(error.to_string().contains("members"), "{error}");
    let harmless = json!([{"op": "replace", "value": {"titel": "x", "nickName": "y"}}]);
    assert_eq!(
        user_after(json!({}), harmless),
        user_with(json!({"nickName": "y"}))
    );
}
