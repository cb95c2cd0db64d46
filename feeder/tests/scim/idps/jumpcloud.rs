//! JumpCloud.

use http::{Method, StatusCode};
use serde_json::json;

use super::{ENTERPRISE, said, written};
use crate::api::Api;

#[tokio::test]
async fn jumpcloud_tests_the_connection_with_a_user_and_a_group_that_it_deletes() {
    let api = Api::start().await;
    let name = "jumpcloud-test@corp.example";
    let found = api
        .search("/Users", &format!("userName eq \"{name}\""))
        .await;
    assert_eq!(found.body["totalResults"], 0);
    let user = format!("/Users/{}", api.user(name).await);
    let group = format!("/Groups/{}", api.group("jumpcloud-test", &[]).await);
    for path in [&user, &group] {
        assert_eq!(api.get(path).await.status, StatusCode::OK);
        assert_eq!(api.delete(path).await.status, StatusCode::NO_CONTENT);
        api.get(path).await.is_error(404, None);
    }
}

#[tokio::test]
async fn jumpcloud_puts_the_whole_user_with_nulls_and_the_extension_first() {
    let api = Api::start().await;
    let id = api.user("anne@corp.example").await;
    let path = format!("/Users/{id}");
    let body = format!(
        r#"{{
            "{ENTERPRISE}": {{"employeeNumber": "", "costCenter": "", "organization": "", "division": "", "department": "", "manager": {{}}}},
            "schemas": ["{ENTERPRISE}", "urn:ietf:params:scim:schemas:core:2.0:User"],
            "id": "{id}",
            "externalId": "5f0c7b0e3a6d4e1f2a3b4c5d",
            "meta": {{"resourceType": "User", "created": "0001-01-01T00:00:00Z", "lastModified": "0001-01-01T00:00:00Z"}},
            "userName": "anne@corp.example",
            "name": {{"familyName": "Berg", "givenName": "Anne"}},
            "displayName": "Anne Berg",
            "active": true,
            "emails": null, "addresses": [], "phoneNumbers": [], "groups": null, "roles": []
        }}"#
    );
    let put = written(&api, Method::PUT, &path, &body).await;
    assert_eq!(put.status, StatusCode::OK, "{}", put.body);
    assert_eq!(put.body["externalId"], "5f0c7b0e3a6d4e1f2a3b4c5d");
    for absent in ["emails", "addresses", "phoneNumbers", "roles", "groups"] {
        assert_eq!(put.body.get(absent), None, "{absent}");
    }
    assert_eq!(
        put.body["schemas"][0],
        "urn:ietf:params:scim:schemas:core:2.0:User"
    );
    let off = body.replace("\"active\": true", "\"active\": false");
    let off = written(&api, Method::PUT, &path, &off).await;
    assert_eq!(off.body["active"], false);
}

#[tokio::test]
async fn jumpcloud_patches_with_an_operation_a_path_and_removes_members_by_value() {
    let api = Api::start().await;
    let (anne, ben) = (api.user("anne").await, api.user("ben").await);
    let path = format!("/Users/{anne}");
    let operations = json!([
        {"op": "replace", "path": "name.givenName", "value": "Anne"},
        {"op": "replace", "path": "displayName", "value": "Anne B"},
        {"op": "replace", "path": format!("{ENTERPRISE}:department"), "value": "D"},
        {"op": "replace", "path": "active", "value": false},
    ]);
    let expected = json!({
        "userName": "anne", "active": false, "displayName": "Anne B", "name": {"givenName": "Anne"},
        (ENTERPRISE): {"department": "D"},
    });
    assert_eq!(said(&api.patch(&path, operations).await), expected);

    let group = api.group("Team", &[&anne, &ben]).await;
    let path = format!("/Groups/{group}");
    let remove = json!([{"op": "remove", "path": "members", "value": [{"value": anne}]}]);
    assert_eq!(
        api.patch(&path, remove).await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(api.members(&group).await, [ben]);
}
