//! Okta: the requests of its SCIM 2.0 reference, as apps from its catalogue (PATCH) and from its wizard (PUT) send them.

use http::StatusCode;
use serde_json::{Value, json};

use super::said;
use crate::api::Api;

/// A user as Okta creates it.
fn test_user() -> Value {
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "userName": "test.user@okta.local",
        "name": {"givenName": "Test", "familyName": "User"},
        "emails": [{"primary": true, "value": "test.user@okta.local", "type": "work"}],
        "displayName": "Test User",
        "locale": "en-US",
        "externalId": "00ujl29u0le5T6Aj10h7",
        "groups": [],
        "password": "1mz050nq",
        "active": true,
    })
}

const LOOKUP: &str =
    "/Users?filter=userName%20eq%20%22test.user%40okta.local%22&startIndex=1&count=100";

#[tokio::test]
async fn okta_tests_the_connection() {
    let api = Api::start().await;
    for path in [
        "/Users?startIndex=1&count=2",
        "/Groups?startIndex=1&count=100",
    ] {
        let page = api.get(path).await;
        assert_eq!(page.status, StatusCode::OK);
        for number in ["totalResults", "startIndex", "itemsPerPage"] {
            assert!(page.body[number].is_u64(), "{number}");
        }
    }
}

#[tokio::test]
async fn okta_looks_a_user_up_and_creates_it() {
    let api = Api::start().await;
    assert_eq!(api.get(LOOKUP).await.body["totalResults"], 0);
    let created = api.post("/Users", test_user()).await;
    let id = created.created();
    let mut expected = test_user();
    for name in ["schemas", "groups", "password"] {
        expected.as_object_mut().unwrap().remove(name);
    }
    assert_eq!(said(&created), expected);
    assert_eq!(api.get(LOOKUP).await.listed("id"), [&id]);
}

#[tokio::test]
async fn okta_reads_a_user_and_puts_it_back_changed() {
    let api = Api::start().await;
    let path = format!("/Users/{}", api.post("/Users", test_user()).await.created());
    let mut user = api.get(&path).await.body;
    user["name"] = json!({"givenName": "Another", "middleName": "", "familyName": "User"});
    user["groups"] = json!([]);
    let put = api.put(&path, user.clone()).await;
    assert_eq!(put.status, StatusCode::OK);
    assert_eq!(put.body["name"]["givenName"], "Another");
    assert_eq!(put.body["externalId"], "00ujl29u0le5T6Aj10h7");
    // Suspended, deactivated or taken off the app.
    user["active"] = json!(false);
    assert_eq!(api.put(&path, user.clone()).await.body["active"], false);
    user["active"] = json!(true);
    assert_eq!(api.put(&path, user).await.body["active"], true);
}

#[tokio::test]
async fn okta_deactivates_by_patch_and_posts_the_same_user_again_later() {
    let api = Api::start().await;
    let id = api.post("/Users", test_user()).await.created();
    let path = format!("/Users/{id}");
    let active = |active: bool| json!([{"op": "replace", "value": {"active": active}}]);
    let off = api.patch(&path, active(false)).await;
    assert_eq!(
        (off.status, &off.body["active"]),
        (StatusCode::OK, &json!(false))
    );
    let again = api.post("/Users", test_user()).await;
    again.is_error(409, Some("uniqueness"));
    assert_eq!(
        api.get(&path).await.body["active"],
        false,
        "a 409 enables nobody"
    );
    // So it looks the user up, and enables it.
    assert_eq!(api.get(LOOKUP).await.listed("id"), [&id]);
    assert_eq!(api.patch(&path, active(true)).await.body["active"], true);
    let password = json!([{"op": "replace", "value": {"password": "new"}}]);
    let answer = api.patch(&path, password).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.body.get("password"), None);
}

#[tokio::test]
async fn okta_imports_every_user_once_in_pages_of_100() {
    let api = Api::start().await;
    let mut expected = Vec::new();
    for n in 0..250 {
        expected.push(api.user(&format!("user-{n}")).await);
    }
    let mut imported = Vec::new();
    loop {
        let start = imported.len() + 1;
        let page = api
            .get(&format!("/Users?startIndex={start}&count=100"))
            .await;
        assert_eq!(page.body["totalResults"], 250);
        let ids = page.listed("id");
        // A change between two pages moves nobody.
        let change = json!([{"op": "replace", "value": {"displayName": "changed"}}]);
        api.patch(&format!("/Users/{}", ids[0]), change).await;
        imported.extend(ids.into_iter().map(str::to_owned));
        if imported.len() >= 250 {
            break;
        }
    }
    assert_eq!(imported, expected);
}

#[tokio::test]
async fn okta_pushes_a_group() {
    let api = Api::start().await;
    let (anne, ben) = (api.user("anne").await, api.user("ben").await);
    let created = api
        .post(
            "/Groups",
            json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "displayName": "Test SCIMv2", "members": []}),
        )
        .await;
    let group = created.created();
    assert_eq!(created.body["members"], json!([]));
    let path = format!("/Groups/{group}");
    let found = "/Groups?filter=displayName%20eq%20%22Test%20SCIMv2%22&startIndex=1&count=100";
    assert_eq!(api.get(found).await.listed("id"), [&group]);

    let member = |id: &str| json!({"value": id, "display": "test.user@okta.local"});
    let patched = async |operations: Value| {
        let answer = api.patch(&path, operations).await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT, "{}", answer.body);
        api.members(&group).await
    };
    let push = json!([{"op": "replace", "path": "members", "value": [member(&anne)]}]);
    assert_eq!(patched(push).await, [&*anne]);
    let rename = json!([{"op": "replace", "value": {"id": group, "displayName": "Renamed"}}]);
    assert_eq!(patched(rename).await, [&*anne]);
    assert_eq!(api.get(&path).await.body["displayName"], "Renamed");
    let swap = json!([
        {"op": "remove", "path": format!("members[value eq \"{anne}\"]")},
        {"op": "add", "path": "members", "value": [member(&ben)]},
    ]);
    assert_eq!(patched(swap).await, [&*ben]);
    for empty in [
        json!([{"op": "replace", "path": "members", "value": []}]),
        json!([{"op": "replace", "value": {"members": []}}]),
    ] {
        let full = json!([{"op": "replace", "value": {"members": [member(&anne), member(&ben)]}}]);
        assert_eq!(patched(full).await, [&*anne, &*ben]);
        assert_eq!(patched(empty).await, [] as [&str; 0]);
    }

    // An app of the wizard puts the whole group.
    let put = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "id": group, "displayName": "Renamed",
        "members": [member(&anne), member(&ben)], "meta": {"resourceType": "Group"},
    });
    assert_eq!(api.put(&path, put).await.status, StatusCode::OK);
    assert_eq!(api.members(&group).await, [&*anne, &*ben]);
    // Unlinked and deleted.
    assert_eq!(api.delete(&path).await.status, StatusCode::NO_CONTENT);
}
