//! Keycloak's SCIM plugins, which are built on SCIM-SDK.

use http::StatusCode;
use serde_json::json;

use crate::api::Api;

#[tokio::test]
async fn keycloak_patches_the_entire_member_list_on_every_change() {
    let api = Api::start().await;
    let (anne, ben) = (api.user("anne").await, api.user("ben").await);
    let group = api.group("Team", &[]).await;
    let path = format!("/Groups/{group}");
    let base = "http://scim.example.com/scim/v2/Users";
    let member = |id: &str| json!({"value": id, "$ref": format!("{base}/{id}"), "display": "x", "type": "User"});
    let text = |id: &str| json!(member(id).to_string());
    for (value, members) in [
        (json!([member(&anne)]), vec![&anne]),
        (json!([member(&anne), member(&ben)]), vec![&anne, &ben]),
        (json!([text(&ben)]), vec![&ben]),
        (json!([text(&anne), text(&ben)]), vec![&anne, &ben]),
        (json!([]), vec![]),
    ] {
        let before = api.get(&path).await.body["meta"].clone();
        let replace = json!([{"op": "replace", "path": "members", "value": value}]);
        assert_eq!(
            api.patch(&path, replace.clone()).await.status,
            StatusCode::NO_CONTENT
        );
        assert_eq!(
            api.members(&group).await.iter().collect::<Vec<_>>(),
            members
        );
        // Sent again, the same list changes nothing.
        let after = api.get(&path).await.body["meta"].clone();
        assert_ne!(before, after);
        api.patch(&path, replace).await;
        assert_eq!(api.get(&path).await.body["meta"], after);
    }
}

#[tokio::test]
async fn keycloak_puts_users_with_what_it_read() {
    let api = Api::start().await;
    let id = api.user("anne").await;
    let path = format!("/Users/{id}");
    let mut user = api.get(&path).await.body;
    user["nickName"] = json!("A");
    user["active"] = json!(false);
    user["password"] = json!("$argon2id$v=19$m=7168,t=5,p=1$c2FsdA$aGFzaA");
    let put = api.put(&path, user).await;
    assert_eq!(put.status, StatusCode::OK);
    assert_eq!(
        (&put.body["active"], &put.body["nickName"]),
        (&json!(false), &json!("A"))
    );
    assert_eq!(put.body.get("password"), None);
}
