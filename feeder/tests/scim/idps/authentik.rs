//! authentik: users by PUT, members one operation each.

use http::StatusCode;
use serde_json::{Value, json};

use crate::api::Api;

/// A user as authentik's default mapping makes it.
fn akadmin(name: &str, active: bool) -> Value {
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "externalId": "b0d7b2d0f4d1f0b2a7f6c3f1f2a93fbb8f2c55f7d6e2a1e0d9c8b7a695847362",
        "userName": name,
        "name": {"formatted": "authentik Default Admin", "givenName": "authentik", "familyName": "Default Admin"},
        "displayName": "authentik Default Admin",
        "photos": [],
        "locale": "en",
        "active": active,
        "emails": [{"value": "admin@corp.example", "type": "other", "primary": true}],
    })
}

#[tokio::test]
async fn authentik_reads_the_configuration_and_finds_what_is_there() {
    let api = Api::start().await;
    let config = api.get("/ServiceProviderConfig").await.body;
    for feature in ["patch", "bulk", "filter", "changePassword", "sort", "etag"] {
        assert!(config[feature]["supported"].is_boolean(), "{feature}");
    }
    assert!(config["bulk"]["maxOperations"].is_u64());
    for n in 0..120 {
        api.user(&format!("u{n}")).await;
    }
    // It follows pages by how many it has seen.
    let first = api.get("/Users").await;
    let seen = first.listed("id").len();
    let second = api.get(&format!("/Users?startIndex={}", seen + 1)).await;
    assert_eq!(seen + second.listed("id").len(), 120);
}

#[tokio::test]
async fn authentik_updates_users_by_put() {
    let api = Api::start().await;
    let id = api.post("/Users", akadmin("akadmin", true)).await.created();
    let path = format!("/Users/{id}");
    let mut body = akadmin("akadmin", false);
    body["id"] = json!(id);
    let put = api.put(&path, body).await;
    assert_eq!(
        (put.status, &put.body["active"]),
        (StatusCode::OK, &json!(false))
    );
    // A mapping without `active` enables nobody.
    let mut body = akadmin("akadmin", true);
    body.as_object_mut().unwrap().remove("active");
    assert_eq!(api.put(&path, body).await.body["active"], false);
    let twice = api.post("/Users", akadmin("akadmin", true)).await;
    twice.is_error(409, Some("uniqueness"));
    assert_eq!(api.delete(&path).await.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn authentik_adds_and_removes_members_one_operation_each() {
    let api = Api::start().await;
    let mut users = Vec::new();
    for n in 0..30 {
        users.push(api.user(&format!("u{n}")).await);
    }
    let created = api
        .post(
            "/Groups",
            json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "displayName": "Team", "externalId": "7b1f6d0e-9a0e-4a51-8c57-0a4d1f6f2b11"}),
        )
        .await;
    let group = created.created();
    let path = format!("/Groups/{group}");
    // It compares members only with a list that it sees, an empty one included.
    assert_eq!(created.body["members"], json!([]));
    assert_eq!(api.get(&path).await.body["members"], json!([]));

    let each = |op: &str, ids: &[String]| {
        let operations = ids
            .iter()
            .map(|id| json!({"op": op, "path": "members", "value": [{"value": id}]}));
        Value::Array(operations.collect())
    };
    assert_eq!(
        api.patch(&path, each("add", &users)).await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(api.members(&group).await, users);
    // Its own attributes: without a path, and with those of the group that are the server's.
    let rename = json!([{"op": "replace", "value": {
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "id": group, "displayName": "Crew",
        "externalId": "7b1f6d0e-9a0e-4a51-8c57-0a4d1f6f2b11",
    }}]);
    assert_eq!(
        api.patch(&path, rename).await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(
        api.patch(&path, each("remove", &users[..20])).await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(api.members(&group).await, users[20..]);
    // With a null path, as it writes it in every operation that has none.
    let empty = json!([{"op": "replace", "path": null, "value": {"displayName": "Crew"}}]);
    assert_eq!(api.patch(&path, empty).await.status, StatusCode::NO_CONTENT);
    assert_eq!(api.members(&group).await, users[20..]);
}
