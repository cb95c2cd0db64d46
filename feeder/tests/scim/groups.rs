use http::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::api::Api;

#[tokio::test]
async fn rfc7643_4_2_a_group_shows_its_members_users_and_groups() {
    let api = Api::start().await;
    let anne = api.user("anne").await;
    let team = api.group("team", &[&anne]).await;
    let org = api.group("org", &[&anne, &team]).await;
    let group = api.get(&format!("/Groups/{org}")).await;
    let base = "http://scim.example.com/scim/v2";
    assert_eq!(
        group.body["members"],
        json!([
            {"value": anne, "type": "User", "$ref": format!("{base}/Users/{anne}")},
            {"value": team, "type": "Group", "$ref": format!("{base}/Groups/{team}")},
        ])
    );
    assert_eq!(
        group.body["meta"]["location"],
        json!(format!("{base}/Groups/{org}"))
    );
}

#[tokio::test]
async fn members_that_do_not_exist_are_refused_and_nothing_happens() {
    let api = Api::start().await;
    let anne = api.user("anne").await;
    let team = api.group("team", &[&anne]).await;
    let path = format!("/Groups/{team}");
    for nobody in [
        "00000000-0000-4000-8000-000000000000",
        "anne",
        "",
        &anne.to_uppercase(),
    ] {
        let members = json!([{"value": nobody}]);
        let body = json!({"displayName": "x", "members": members});
        api.post("/Groups", body.clone())
            .await
            .is_error(400, Some("invalidValue"));
        api.put(&path, body)
            .await
            .is_error(400, Some("invalidValue"));
        let operations = json!([
            {"op": "replace", "path": "displayName", "value": "x"},
            {"op": "remove", "path": "members"},
            {"op": "add", "path": "members", "value": members},
        ]);
        api.patch(&path, operations)
            .await
            .is_error(400, Some("invalidValue"));
    }
    assert_eq!(api.get(&path).await.body["displayName"], "team");
    assert_eq!(api.members(&team).await, [anne]);
    assert_eq!(api.get("/Groups").await.body["totalResults"], 1);
}

#[tokio::test]
async fn rfc7644_3_5_1_put_sets_the_members() {
    let api = Api::start().await;
    let (anne, ben) = (api.user("anne").await, api.user("ben").await);
    let team = api.group("team", &[&anne]).await;
    let path = format!("/Groups/{team}");
    let body = json!({"displayName": "crew", "members": [{"value": ben}, {"value": ben}]});
    let answer = api.put(&path, body).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.body["displayName"], "crew");
    assert_eq!(api.members(&team).await, [ben]);
    api.put(&path, json!({"displayName": "crew"})).await;
    assert_eq!(api.members(&team).await, [] as [&str; 0]);
}

#[tokio::test]
async fn rfc7644_3_5_2_1_adding_a_member_who_is_one_changes_nothing() {
    let api = Api::start().await;
    let anne = api.user("anne").await;
    let team = api.group("team", &[&anne]).await;
    let path = format!("/Groups/{team}");
    let before = api.get(&path).await.body;
    for operation in [
        json!({"op": "add", "path": "members", "value": [{"value": anne}]}),
        json!({"op": "replace", "path": "members", "value": [{"value": anne}]}),
        json!({"op": "remove", "path": "members", "value": [{"value": Uuid::new_v4()}]}),
        json!({"op": "replace", "path": "displayName", "value": "team"}),
    ] {
        let answer = api.patch(&path, json!([operation])).await;
        assert_eq!(
            (answer.status, answer.body),
            (StatusCode::NO_CONTENT, Value::Null)
        );
    }
    assert_eq!(api.get(&path).await.body, before);
}

#[tokio::test]
async fn two_groups_of_one_name_are_both_stored() {
    let api = Api::start().await;
    let (first, second) = (
        api.group("admins", &[]).await,
        api.group("admins", &[]).await,
    );
    let found = api.search("/Groups", r#"displayName eq "ADMINS""#).await;
    assert_eq!(found.listed("id"), [first, second]);
    api.post("/Groups", json!({"externalId": "x"}))
        .await
        .is_error(400, Some("invalidValue"));
}

#[tokio::test]
async fn a_deleted_user_is_no_member_any_more() {
    let api = Api::start().await;
    let anne = api.user("anne").await;
    let team = api.group("team", &[&anne]).await;
    api.delete(&format!("/Users/{anne}")).await;
    assert_eq!(api.members(&team).await, [] as [&str; 0]);
    let answer = api.delete(&format!("/Groups/{team}")).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
}
