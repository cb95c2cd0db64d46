use http::StatusCode;
use serde_json::json;

use crate::api::Api;

#[tokio::test]
async fn entra_tests_the_connection_with_a_random_guid() {
    let api = Api::start().await;
    let found = api
        .search(
            "/Users",
            r#"userName eq "5f1b2c1e-0000-4000-8000-0123456789ab""#,
        )
        .await;
    assert_eq!(found.listed("id"), [] as [&str; 0]);
}

#[tokio::test]
async fn entra_provisions_a_user_changes_it_and_disables_it() {
    let api = Api::start().await;
    let extension = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
    let created = api
        .post(
            "/Users",
            json!({
                "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User", extension],
                "externalId": "0a21f0f2", "userName": "anne@x.com", "active": "True",
                "displayName": null, "roles": [], "meta": {"resourceType": "User"},
                "emails": [{"primary": true, "type": "work", "value": "anne@x.com"}],
                "name": {"formatted": "Anne", "familyName": null},
            }),
        )
        .await;
    let id = created.created();
    assert_eq!(created.body["active"], true);
    let path = format!("/Users/{id}");
    let changed = api
        .patch(
            &path,
            json!([
                {"op": "Replace", "value": {"displayName": "B", "name.givenName": "K", (format!("{extension}:employeeNumber")): "A"}},
                {"op": "Add", "path": "phoneNumbers[type eq \"work\"].value", "value": "1"},
                {"op": "Add", "path": format!("{extension}:manager"), "value": id},
                {"op": "Replace", "path": "active", "value": "False"},
            ]),
        )
        .await;
    assert_eq!(changed.status, StatusCode::OK);
    let body = changed.body;
    assert_eq!(body["active"], false);
    assert_eq!(body["name"], json!({"formatted": "Anne", "givenName": "K"}));
    assert_eq!(
        body["phoneNumbers"],
        json!([{"type": "work", "value": "1"}])
    );
    assert_eq!(
        body[extension],
        json!({"employeeNumber": "A", "manager": {"value": id}})
    );
    let filter = format!("id eq \"{id}\" and manager eq \"{id}\"");
    assert_eq!(api.search("/Users", &filter).await.listed("id"), [id]);
}

#[tokio::test]
async fn entra_keeps_a_group() {
    let api = Api::start().await;
    let (anne, ben) = (api.user("anne").await, api.user("ben").await);
    let group = api
        .post(
            "/Groups",
            json!({
                "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group", "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"],
                "externalId": "8aa1a0c0", "displayName": "Team", "meta": {"resourceType": "Group"},
            }),
        )
        .await
        .created();
    let path = format!("/Groups/{group}");
    let add = json!([{"op": "Add", "path": "members", "value": [{"$ref": null, "value": anne}, {"$ref": null, "value": ben}]}]);
    assert_eq!(api.patch(&path, add).await.status, StatusCode::NO_CONTENT);
    let remove =
        json!([{"op": "Remove", "path": "members", "value": [{"$ref": null, "value": anne}]}]);
    assert_eq!(
        api.patch(&path, remove).await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(api.members(&group).await, [ben.clone()]);
    let found = api
        .get("/Groups?excludedAttributes=members&filter=displayName%20eq%20%22Team%22")
        .await;
    assert_eq!(found.listed("id"), [&group]);
    assert_eq!(found.body["Resources"][0].get("members"), None);
    let remove = json!([{"op": "remove", "path": format!("members[value eq \"{ben}\"]")}]);
    assert_eq!(
        api.patch(&path, remove).await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(api.members(&group).await, [] as [&str; 0]);
}

#[tokio::test]
async fn okta_imports_pages_and_pushes_groups() {
    let api = Api::start().await;
    let (anne, ben) = (api.user("anne").await, api.user("ben").await);
    let page = api.get("/Users?startIndex=1&count=2").await;
    assert_eq!(page.listed("id"), [&anne, &ben]);
    let group = api.group("Team", &[&anne]).await;
    let path = format!("/Groups/{group}");
    let rename = json!([{"op": "replace", "value": {"id": group, "displayName": "Crew"}}]);
    api.patch(&path, rename).await;
    assert_eq!(api.get(&path).await.body["displayName"], "Crew");
    assert_eq!(api.members(&group).await, [anne.clone()]);
    let swap = json!([
        {"op": "remove", "path": format!("members[value eq \"{anne}\"]")},
        {"op": "add", "path": "members", "value": [{"value": ben, "display": "ben"}]},
    ]);
    api.patch(&path, swap).await;
    assert_eq!(api.members(&group).await, [ben]);
    let push = json!([{"op": "replace", "path": "members", "value": [{"value": anne}]}]);
    api.patch(&path, push).await;
    assert_eq!(api.members(&group).await, [anne]);
    api.patch(&path, json!([{"op": "replace", "value": {"members": []}}]))
        .await;
    assert_eq!(api.members(&group).await, [] as [&str; 0]);
}

#[tokio::test]
async fn okta_deactivates_by_put_or_patch_and_posts_the_same_user_again_later() {
    let api = Api::start().await;
    let body = json!({"userName": "anne", "groups": [], "password": "p", "active": true});
    let id = api.post("/Users", body.clone()).await.created();
    let path = format!("/Users/{id}");
    let off = json!([{"op": "replace", "value": {"active": false}}]);
    assert_eq!(api.patch(&path, off).await.body["active"], false);
    let answer = api.post("/Users", body).await;
    answer.is_error(409, Some("uniqueness"));
    let on = json!({"userName": "anne", "active": true, "id": id});
    assert_eq!(api.put(&path, on).await.body["active"], true);
}
