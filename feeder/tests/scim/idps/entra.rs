//! Microsoft Entra ID: the requests of its documentation and of its provisioning service, with and without `aadOptscim062020`.

use http::StatusCode;
use serde_json::{Value, json};

use super::{ENTERPRISE, said};
use crate::api::Api;

/// A user as Entra creates it from its default mappings.
fn anne() -> Value {
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User", ENTERPRISE],
        "externalId": "0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef",
        "userName": "anne@contoso.com",
        "active": true,
        "displayName": "Anne Berg",
        "emails": [{"primary": true, "type": "work", "value": "anne@contoso.com"}],
        "meta": {"resourceType": "User"},
        "name": {"formatted": "Anne Berg", "familyName": "Berg", "givenName": "Anne"},
        "roles": [],
    })
}

#[tokio::test]
async fn entra_tests_the_connection_with_a_random_guid() {
    let api = Api::start().await;
    for filter in [
        r#"userName eq "5f1b2c1e-0000-4000-8000-0123456789ab""#,
        r#"externalId eq "5f1b2c1e-0000-4000-8000-0123456789ab""#,
        r#"emails[type eq "work"].value eq "5f1b2c1e-0000-4000-8000-0123456789ab""#,
    ] {
        let found = api.search("/Users", filter).await;
        assert_eq!(found.status, StatusCode::OK, "{filter}");
        assert_eq!(found.headers["content-type"], "application/scim+json");
        assert_eq!(found.body["totalResults"], 0);
        assert_eq!(found.body["Resources"], json!([]));
    }
}

#[tokio::test]
async fn entra_looks_a_user_up_creates_it_and_finds_it_also_when_disabled() {
    let api = Api::start().await;
    let by_name = r#"userName eq "anne@contoso.com""#;
    assert_eq!(api.search("/Users", by_name).await.body["totalResults"], 0);
    let created = api.post("/Users", anne()).await;
    let id = created.created();
    let mut expected = anne();
    for name in ["schemas", "meta", "roles"] {
        expected.as_object_mut().unwrap().remove(name);
    }
    assert_eq!(said(&created), expected);

    let path = format!("/Users/{id}");
    let disable = json!([{"op": "Replace", "path": "active", "value": "False"}]);
    assert_eq!(api.patch(&path, disable).await.body["active"], false);
    for filter in [
        by_name,
        r#"externalId eq "0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef""#,
        r#"emails[type eq "work"].value eq "anne@contoso.com""#,
    ] {
        assert_eq!(api.search("/Users", filter).await.listed("id"), [&id]);
    }
    assert_eq!(api.get(&path).await.body["active"], false);
    assert_eq!(api.delete(&path).await.status, StatusCode::NO_CONTENT);
    api.get(&path).await.is_error(404, None);
}

#[tokio::test]
async fn entra_disables_and_enables_in_every_spelling() {
    let api = Api::start().await;
    let path = format!("/Users/{}", api.post("/Users", anne()).await.created());
    for (operation, active) in [
        (
            json!({"op": "Replace", "path": "active", "value": "False"}),
            false,
        ),
        (
            json!({"op": "Add", "path": "active", "value": "True"}),
            true,
        ),
        (
            json!({"op": "replace", "path": "active", "value": false}),
            false,
        ),
        (json!({"op": "replace", "value": {"active": true}}), true),
        (
            json!({"op": "Add", "path": "active", "value": "False"}),
            false,
        ),
        (
            json!({"op": "Replace", "path": "active", "value": [{"$ref": null, "value": "True"}]}),
            true,
        ),
    ] {
        let answer = api.patch(&path, json!([operation])).await;
        assert_eq!(answer.status, StatusCode::OK, "{operation}");
        assert_eq!(answer.body["active"], active, "{operation}");
    }
    // On creation as well.
    let body = json!({"userName": "ben@contoso.com", "active": "False"});
    assert_eq!(api.post("/Users", body).await.body["active"], false);
}

#[tokio::test]
async fn entra_creates_with_nulls_and_misspelt_schemas() {
    let api = Api::start().await;
    let created = api
        .post(
            "/Users",
            json!({
                "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User", "urn:ietf:params:scim:schemas:extension:enterprise:2.0User"],
                "externalId": "jyoung", "userName": "jyoung@testuser.com", "active": true, "addresses": null,
                "displayName": "Joy Young",
                "emails": [{"type": "work", "value": "jyoung@contoso.com", "primary": true}],
                "meta": {"resourceType": "User"},
                "name": {"familyName": "Young", "givenName": "Joy"},
                "phoneNumbers": null, "preferredLanguage": null, "title": null, "department": null, "manager": null,
            }),
        )
        .await;
    created.created();
    let expected = json!({
        "externalId": "jyoung", "userName": "jyoung@testuser.com", "active": true, "displayName": "Joy Young",
        "emails": [{"type": "work", "value": "jyoung@contoso.com", "primary": true}],
        "name": {"familyName": "Young", "givenName": "Joy"},
    });
    assert_eq!(said(&created), expected);
}

#[tokio::test]
async fn entra_updates_with_an_operation_an_attribute_or_with_one_for_all() {
    let with_paths = json!([
        {"op": "Replace", "path": "displayName", "value": "Pvlo"},
        {"op": "Replace", "path": "emails[type eq \"work\"].value", "value": "new@contoso.com"},
        {"op": "Replace", "path": "name.givenName", "value": "Gtfd"},
        {"op": "Replace", "path": "name.familyName", "value": "Pkqf"},
        {"op": "Replace", "path": "externalId", "value": "Eqpj"},
        {"op": "Replace", "path": format!("{ENTERPRISE}:employeeNumber"), "value": "7"},
    ]);
    let without = json!([
        {"op": "replace", "path": "emails[type eq \"work\"].value", "value": "new@contoso.com"},
        {"op": "replace", "value": {
            "displayName": "Pvlo", "name.givenName": "Gtfd", "name.familyName": "Pkqf", "externalId": "Eqpj",
            (format!("{ENTERPRISE}:employeeNumber")): "7",
        }},
    ]);
    let by_keys = json!([{"op": "Replace", "value": {
        "displayName": "Pvlo", "name.givenName": "Gtfd", "name.familyName": "Pkqf", "externalId": "Eqpj",
        "emails[type eq \"work\"].value": "new@contoso.com", (format!("{ENTERPRISE}:employeeNumber")): "7",
    }}]);
    for operations in [with_paths, without, by_keys] {
        let api = Api::start().await;
        let path = format!("/Users/{}", api.post("/Users", anne()).await.created());
        let answer = api.patch(&path, operations).await;
        assert_eq!(answer.status, StatusCode::OK);
        let expected = json!({
            "externalId": "Eqpj", "userName": "anne@contoso.com", "active": true, "displayName": "Pvlo",
            "emails": [{"primary": true, "type": "work", "value": "new@contoso.com"}],
            "name": {"formatted": "Anne Berg", "familyName": "Pkqf", "givenName": "Gtfd"},
            (ENTERPRISE): {"employeeNumber": "7"},
        });
        assert_eq!(said(&answer), expected);
    }
}

#[tokio::test]
async fn entra_fills_in_what_a_value_path_names_and_disables_in_the_same_request() {
    for op in ["Add", "Replace", "add", "replace"] {
        let api = Api::start().await;
        let path = format!("/Users/{}", api.user("anne").await);
        let answer = api
            .patch(
                &path,
                json!([
                    {"op": op, "path": "phoneNumbers[type eq \"work\"].value", "value": "+1 555"},
                    {"op": op, "path": "phoneNumbers[type eq \"mobile\"].value", "value": "+1 556"},
                    {"op": op, "path": "addresses[type eq \"work\"].formatted", "value": "Main St 1"},
                    {"op": op, "path": "addresses[type eq \"work\"].country", "value": "DE"},
                    {"op": op, "path": "emails[type eq \"work\"].value", "value": "a@contoso.com"},
                    {"op": op, "path": "emails[type eq \"work\"].primary", "value": "True"},
                    {"op": op, "path": "emails[type eq \"other\" and primary eq false].value", "value": "b@contoso.com"},
                    {"op": op, "path": "roles[primary eq \"True\"].value", "value": "Admin"},
                    {"op": op, "path": "roles[primary eq \"True\"].display", "value": "Administrator"},
                    {"op": op, "path": "active", "value": "False"},
                ]),
            )
            .await;
        assert_eq!(answer.status, StatusCode::OK, "{op}: {}", answer.body);
        let expected = json!({
            "userName": "anne", "active": false,
            "phoneNumbers": [{"type": "work", "value": "+1 555"}, {"type": "mobile", "value": "+1 556"}],
            "addresses": [{"type": "work", "formatted": "Main St 1", "country": "DE"}],
            "emails": [
                {"type": "work", "value": "a@contoso.com", "primary": true},
                {"type": "other", "value": "b@contoso.com", "primary": false},
            ],
            "roles": [{"primary": true, "value": "Admin", "display": "Administrator"}],
        });
        assert_eq!(said(&answer), expected, "{op}");
        let remove = json!([
            {"op": "Remove", "path": "phoneNumbers[type eq \"work\"].value"},
            {"op": "Remove", "path": "phoneNumbers[type eq \"fax\"].value"},
            {"op": "Remove", "path": "addresses[type eq \"work\"].country"},
            {"op": "Remove", "path": "title"},
        ]);
        let answer = api.patch(&path, remove).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        let addresses = json!([{"type": "work", "formatted": "Main St 1"}]);
        assert_eq!(answer.body["addresses"], addresses);
    }
}

#[tokio::test]
async fn entra_sends_a_manager_in_every_shape_and_asks_for_it() {
    let api = Api::start().await;
    let boss = api.user("boss").await;
    let id = api.user("anne").await;
    let path = format!("/Users/{id}");
    let urn = format!("{ENTERPRISE}:manager");
    let reference = format!("http://scim.example.com/scim/v2/Users/{boss}");
    for (name, value) in [
        ("manager", json!([{"$ref": reference, "value": boss}])),
        (&urn, json!(boss)),
        (&urn, json!({"value": boss})),
        (&urn, json!([boss])),
    ] {
        let add = json!([{"op": "Add", "path": name, "value": value}]);
        let answer = api.patch(&path, add).await;
        let manager = &answer.body[ENTERPRISE]["manager"]["value"];
        assert_eq!(manager, &json!(boss), "{name} {value}");
        let filter = format!("id eq \"{id}\" and manager eq \"{boss}\"");
        assert_eq!(api.search("/Users", &filter).await.listed("id"), [&id]);
        let filter = format!("id eq \"{boss}\" and manager eq \"{boss}\"");
        let other = api.search("/Users", &filter).await;
        assert_eq!(other.listed("id"), [] as [&str; 0]);
        for operation in [
            json!({"op": "Remove", "path": name}),
            json!({"op": "Remove", "path": name}),
            json!({"op": "Add", "path": name, "value": boss}),
            json!({"op": "Replace", "path": name, "value": ""}),
        ] {
            let answer = api.patch(&path, json!([operation])).await;
            assert_eq!(answer.status, StatusCode::OK, "{operation}");
        }
        assert_eq!(api.get(&path).await.body.get(ENTERPRISE), None);
    }
}

#[tokio::test]
async fn entra_provisions_app_roles_by_post_and_patch() {
    let api = Api::start().await;
    let mut body = anne();
    let role = |value: &str| json!({"primary": false, "type": "WindowsAzureActiveDirectoryRole", "displayName": value, "value": value});
    body["roles"] = json!([role("Admin"), role("User")]);
    let path = format!("/Users/{}", api.post("/Users", body).await.created());
    let roles = || {
        let directory = api.ledger.directory();
        let user = directory.tenant("corp").unwrap();
        let user = user.user_by_name("anne@contoso.com").unwrap();
        user.identity.roles.join(" ")
    };
    assert_eq!(roles(), "Admin User");
    let add = json!([{"op": "Add", "path": "roles", "value": [
        {"value": "{\"id\":\"06b07648-ecfe-589f-9d2f-6325724a46ee\",\"value\":\"Owner\",\"displayName\":\"Role1234\"}"},
    ]}]);
    assert_eq!(api.patch(&path, add).await.status, StatusCode::OK);
    assert_eq!(roles(), "Admin Owner User");
    let replace = json!([{"op": "replace", "path": "roles", "value": [
        {"primary": false, "type": "WindowsAzureActiveDirectoryRole", "display": "User", "value": "User"},
    ]}]);
    assert_eq!(api.patch(&path, replace).await.status, StatusCode::OK);
    assert_eq!(roles(), "User");
}

#[tokio::test]
async fn entra_keeps_a_group() {
    let api = Api::start().await;
    let (anne, ben) = (api.user("anne").await, api.user("ben").await);
    let created = api
        .post(
            "/Groups",
            json!({
                "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group", "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"],
                "externalId": "8aa1a0c0-c4c3-4bc0-b4a5-2ef676900159",
                "displayName": "Team",
                "meta": {"resourceType": "Group"},
            }),
        )
        .await;
    let group = created.created();
    let expected = json!({
        "externalId": "8aa1a0c0-c4c3-4bc0-b4a5-2ef676900159", "displayName": "Team", "members": [],
    });
    assert_eq!(said(&created), expected);
    let path = format!("/Groups/{group}");
    let changed = async |operation: Value| {
        let answer = api.patch(&path, json!([operation])).await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT, "{}", answer.body);
        assert_eq!(answer.body, Value::Null);
        api.members(&group).await
    };
    let (one, other) = (json!({"$ref": null, "value": anne}), json!({"value": ben}));
    let add = json!({"op": "Add", "path": "members", "value": [one, other]});
    assert_eq!(changed(add).await, [&*anne, &*ben]);
    let remove = json!({"op": "Remove", "path": "members", "value": [one]});
    assert_eq!(changed(remove).await, [&*ben]);
    let add = json!({"op": "Add", "path": "members", "value": one});
    assert_eq!(changed(add).await, [&*anne, &*ben]);
    let remove = json!({"op": "remove", "path": format!("members[value eq \"{anne}\"]")});
    assert_eq!(changed(remove).await, [&*ben]);
    let rename = json!({"op": "Replace", "path": "displayName", "value": "Crew"});
    assert_eq!(changed(rename).await, [&*ben]);

    let filter = r#"displayName eq "Crew""#;
    let query = "/Groups?excludedAttributes=members&filter=displayName%20eq%20%22Crew%22";
    let found = api.get(query).await;
    assert_eq!(found.listed("id"), [&group], "{filter}");
    assert_eq!(found.body["Resources"][0].get("members"), None);
    let read = api.get(&format!("{path}?excludedAttributes=members")).await;
    assert_eq!(read.body.get("members"), None);
    assert_eq!(read.body["displayName"], "Crew");
    for (member, found) in [(&ben, vec![&group]), (&anne, vec![])] {
        let filter = format!("id eq \"{group}\" and members eq \"{member}\"");
        assert_eq!(api.search("/Groups", &filter).await.listed("id"), found);
    }
    let nobody = json!({"op": "Remove", "path": "members", "value": []});
    assert_eq!(changed(nobody).await, [&*ben]);
    let everybody = json!({"op": "Remove", "path": "members"});
    assert_eq!(changed(everybody).await, [] as [&str; 0]);
    assert_eq!(api.delete(&path).await.status, StatusCode::NO_CONTENT);
}
