//! OneLogin, with its SCIM JSON templates.

use axum::body::Body;
use http::{Method, StatusCode};
use serde_json::json;

use super::ENTERPRISE;
use crate::api::{Api, CORP, request};

#[tokio::test]
async fn onelogin_reads_the_configuration_and_names_no_user_agent() {
    let api = Api::start().await;
    for path in ["/ServiceProviderConfig", "/Users?count=1", "/Groups"] {
        let request = request(Method::GET, path, CORP).header("user-agent", "");
        let answer = api.send(request, Body::empty()).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
    }
    let config = api.get("/ServiceProviderConfig").await.body;
    assert_eq!(config["patch"]["supported"], true);
}

#[tokio::test]
async fn onelogin_creates_from_its_template() {
    let api = Api::start().await;
    let created = api
        .post(
            "/Users",
            json!({
                "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User", ENTERPRISE],
                "id": null,
                "externalId": "32916209",
                "userName": "anne@corp.example",
                "active": "true",
                "name": {"familyName": "Berg", "givenName": "Anne", "formatted": "Anne Berg"},
                "emails": {"value": "anne@corp.example", "type": "work", "primary": true},
                "title": "",
                "meta": {"resourceType": "User"},
                (ENTERPRISE): {"department": "", "manager": {"managerId": "", "displayName": " "}},
            }),
        )
        .await;
    let id = created.created();
    assert_eq!(created.body["externalId"], "32916209");
    assert_eq!(created.body["active"], true);
    assert_eq!(
        created.body["emails"],
        json!([{"value": "anne@corp.example", "type": "work", "primary": true}])
    );
    let found = api
        .search("/Users", r#"userName eq "anne@corp.example""#)
        .await;
    assert_eq!(found.listed("id"), [id]);
}

#[tokio::test]
async fn onelogin_creates_from_the_template_of_scim_1() {
    let api = Api::start().await;
    let created = api
        .post(
            "/Users",
            json!({
                "schemas": ["urn:scim:schemas:core:1.0", "urn:scim:schemas:extension:enterprise:1.0"],
                "userName": "anne", "name": {"familyName": "Berg", "givenName": "Anne", "formatted": "Anne Berg"},
                "emails": {"value": "anne@corp.example", "type": "work", "primary": true},
                "title": "Dr",
                "urn:scim:schemas:extension:enterprise:1.0": {"department": "D", "manager": {"managerId": "1", "displayName": "B"}},
            }),
        )
        .await;
    created.created();
    assert_eq!(created.body["title"], "Dr");
    // Nobody announced that extension: it is left out, and the log says so.
    assert_eq!(created.body.get(ENTERPRISE), None);
}

#[tokio::test]
async fn onelogin_patches_groups_and_deactivates_by_patch_or_delete() {
    let api = Api::start().await;
    let (anne, ben) = (api.user("anne").await, api.user("ben").await);
    let group = api.group("Team", &[]).await;
    let path = format!("/Groups/{group}");
    for (operation, members) in [
        (
            json!({"op": "add", "path": "members", "value": [{"value": anne}, {"value": ben}]}),
            vec![&anne, &ben],
        ),
        (
            json!({"op": "remove", "path": format!("members[value eq \"{anne}\"]")}),
            vec![&ben],
        ),
        (
            json!({"op": "replace", "path": "members", "value": [{"value": anne}]}),
            vec![&anne],
        ),
    ] {
        let answer = api.patch(&path, json!([operation])).await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT);
        assert_eq!(
            &api.members(&group).await.iter().collect::<Vec<_>>(),
            &members
        );
    }
    let off = json!([{"op": "replace", "path": "active", "value": false}]);
    let off = api.patch(&format!("/Users/{anne}"), off).await;
    assert_eq!(off.body["active"], false);
    let deleted = api.delete(&format!("/Users/{anne}")).await;
    assert_eq!(deleted.status, StatusCode::NO_CONTENT);
    assert_eq!(api.members(&group).await, [] as [&str; 0]);
}
