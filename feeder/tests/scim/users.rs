use std::time::Duration;

use axum::body::Body;
use http::{Method, StatusCode};
use scimesh_feeder::directory::Refused;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::api::{Api, CORP, request};

/// After this, what should have come won't.
const PATIENCE: Duration = Duration::from_secs(30);

const CORE: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

#[tokio::test]
async fn rfc7644_3_3_a_user_is_created_read_and_deleted() {
    let api = Api::start().await;
    let created = api
        .post(
            "/Users",
            json!({
                "schemas": [CORE],
                "id": "mine", "meta": {"version": "mine"}, "password": "secret",
                "USERNAME": "anne", "externalId": "e-1",
                "name": {"GivenName": "Anne"},
                (ENTERPRISE.to_uppercase()): {"department": "D"},
            }),
        )
        .await;
    let id = created.created();
    let body = &created.body;
    assert_eq!(body["schemas"], json!([CORE, ENTERPRISE]));
    assert_eq!(body["userName"], "anne");
    assert_eq!(body["name"], json!({"givenName": "Anne"}));
    assert_eq!(body[ENTERPRISE], json!({"department": "D"}));
    assert_eq!(body["active"], true, "absent on POST is true");
    assert_eq!(body.get("password"), None);
    let location = format!("http://scim.example.com/scim/v2/Users/{id}");
    assert_eq!(body["meta"]["location"], json!(location));
    assert_eq!(created.headers["location"], location);
    assert_eq!(
        body["meta"]["version"],
        created.headers["etag"].to_str().unwrap()
    );
    assert_eq!(body["meta"]["resourceType"], "User");

    let path = format!("/Users/{id}");
    assert_eq!(&api.get(&path).await.body, body);
    let deleted = api.delete(&path).await;
    assert_eq!(
        (deleted.status, deleted.body),
        (StatusCode::NO_CONTENT, Value::Null)
    );
    api.get(&path).await.is_error(404, None);
    api.delete(&path).await.is_error(404, None);
}

#[tokio::test]
async fn rfc7644_3_3_a_taken_user_name_is_409_uniqueness() {
    let api = Api::start().await;
    api.user("anne@example.com").await;
    let ben = api.user("ben@example.com").await;
    let taken = json!({"userName": "ANNE@Example.com"});
    let answer = api.post("/Users", taken.clone()).await;
    answer.is_error(409, Some("uniqueness"));
    let path = format!("/Users/{ben}");
    let answer = api.put(&path, taken).await;
    answer.is_error(409, Some("uniqueness"));
    let rename = json!([{"op": "replace", "path": "userName", "value": "anne@example.COM"}]);
    let answer = api.patch(&path, rename).await;
    answer.is_error(409, Some("uniqueness"));
    assert_eq!(api.get(&path).await.body["userName"], "ben@example.com");
    // The case of one's own name may change.
    let own = json!([{"op": "replace", "path": "userName", "value": "Ben@example.com"}]);
    assert_eq!(
        api.patch(&path, own).await.body["userName"],
        "Ben@example.com"
    );
}

#[tokio::test]
async fn rfc7644_3_5_1_put_replaces_and_never_creates() {
    let api = Api::start().await;
    let body = json!({"userName": "anne", "title": "Dr", "active": false});
    let id = api.post("/Users", body).await.created();
    let path = format!("/Users/{id}");
    let answer = api
        .put(
            &path,
            json!({"userName": "anne", "id": "x", "groups": [{"value": "y"}]}),
        )
        .await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.body.get("title"), None);
    assert_eq!(answer.body["id"], json!(id));
    assert_eq!(answer.body["active"], false, "absent on PUT stays as it is");
    let answer = api
        .put(&path, json!({"userName": "anne", "active": true}))
        .await;
    assert_eq!(answer.body["active"], true);
    let answer = api
        .put(&path, json!({"userName": "anne", "active": null}))
        .await;
    assert_eq!(answer.body["active"], false, "null is false");
    api.put(&path, json!({"title": "Dr"}))
        .await
        .is_error(400, Some("invalidValue"));
    let nobody = "/Users/00000000-0000-4000-8000-000000000000";
    api.put(nobody, json!({"userName": "new"}))
        .await
        .is_error(404, None);
}

#[tokio::test]
async fn rfc7644_3_5_2_a_patch_is_whole_or_not_at_all() {
    let api = Api::start().await;
    let id = api.user("anne").await;
    let path = format!("/Users/{id}");
    for (last, scim_type) in [
        (
            json!({"op": "replace", "path": "nope", "value": 1}),
            "invalidPath",
        ),
        (
            json!({"op": "replace", "path": "emails[", "value": 1}),
            "invalidFilter",
        ),
        (
            json!({"op": "replace", "path": "active", "value": "maybe"}),
            "invalidValue",
        ),
        (json!({"op": "remove", "path": "userName"}), "mutability"),
        (
            json!({"op": "replace", "path": "id", "value": "x"}),
            "mutability",
        ),
        (json!({"op": "remove"}), "noTarget"),
        (json!({"op": "move", "path": "title"}), "invalidSyntax"),
    ] {
        let first = json!({"op": "replace", "path": "title", "value": "Dr"});
        let answer = api.patch(&path, json!([first, last])).await;
        answer.is_error(400, Some(scim_type));
        assert_eq!(api.get(&path).await.body.get("title"), None);
    }
}

#[tokio::test]
async fn rfc7644_3_5_2_a_patch_that_changes_nothing_leaves_the_version() {
    let api = Api::start().await;
    let id = api.user("anne").await;
    let path = format!("/Users/{id}");
    let set = json!([{"op": "add", "path": "title", "value": "Dr"}]);
    let first = api.patch(&path, set.clone()).await.body;
    assert_eq!(api.patch(&path, set).await.body, first);
    assert_eq!(first["meta"]["version"], "W/\"2\"");
}

#[tokio::test]
async fn rfc7644_3_14_a_write_to_an_old_version_is_412() {
    let api = Api::start().await;
    let id = api.user("anne").await;
    let path = format!("/Users/{id}");
    let put = |version: &str| request(Method::PUT, &path, CORP).header("if-match", version);
    let body = || Body::from(json!({"userName": "anne", "title": "Dr"}).to_string());
    assert_eq!(
        api.send(put("W/\"1\""), body()).await.status,
        StatusCode::OK
    );
    let other = Body::from(json!({"userName": "anne", "title": "Prof"}).to_string());
    api.send(put("W/\"1\""), other).await.is_error(412, None);
    let delete = request(Method::DELETE, &path, CORP).header("if-match", "\"1\"");
    api.send(delete, Body::empty()).await.is_error(412, None);
    assert_eq!(api.get(&path).await.body["title"], "Dr");
    assert_eq!(api.send(put("*"), body()).await.status, StatusCode::OK);
}

#[tokio::test]
async fn rfc7643_4_1_2_a_user_shows_its_direct_and_indirect_groups() {
    let api = Api::start().await;
    let anne = api.user("anne").await;
    let team = api.group("team", &[&anne]).await;
    let org = api.group("org", &[&team]).await;
    // A cycle does no harm.
    let cycle = json!([{"op": "add", "path": "members", "value": [{"value": org}]}]);
    api.patch(&format!("/Groups/{team}"), cycle).await;
    let user = api.get(&format!("/Users/{anne}")).await.body;
    let groups: Vec<_> = user["groups"]
        .as_array()
        .unwrap()
        .iter()
        .map(|g| (&g["value"], &g["type"], &g["display"]))
        .collect();
    assert_eq!(
        groups,
        [
            (&json!(team), &json!("direct"), &json!("team")),
            (&json!(org), &json!("indirect"), &json!("org")),
        ]
    );
    assert_eq!(
        user["groups"][0]["$ref"],
        json!(format!("http://scim.example.com/scim/v2/Groups/{team}"))
    );
}

#[tokio::test]
async fn rfc7644_3_9_a_client_chooses_the_attributes_it_sees() {
    let api = Api::start().await;
    let body = json!({
        "userName": "anne", "title": "Dr", "name": {"givenName": "A", "familyName": "B"},
        "emails": [{"value": "a@x", "type": "work"}],
        (ENTERPRISE): {"department": "D", "division": "E"},
    });
    let id = api.post("/Users", body).await.created();
    for (query, expected) in [
        ("attributes=userName", json!({"userName": "anne"})),
        ("attributes=USERNAME,nope", json!({"userName": "anne"})),
        (
            "attributes=name.givenName,emails.value",
            json!({"name": {"givenName": "A"}, "emails": [{"value": "a@x"}]}),
        ),
        (
            &format!("attributes={ENTERPRISE}:department"),
            json!({(ENTERPRISE): {"department": "D"}}),
        ),
        (
            &format!("attributes={ENTERPRISE}"),
            json!({(ENTERPRISE): {"department": "D", "division": "E"}}),
        ),
        (
            &format!(
                "excludedAttributes=id,schemas,meta,name.familyName,emails,active,{ENTERPRISE}:division"
            ),
            json!({"userName": "anne", "title": "Dr", "name": {"givenName": "A"}, (ENTERPRISE): {"department": "D"}}),
        ),
        (
            "attributes=name&excludedAttributes=name.givenName",
            json!({"name": {"familyName": "B"}}),
        ),
    ] {
        let mut seen = api.get(&format!("/Users/{id}?{query}")).await.body;
        let object = seen.as_object_mut().unwrap();
        assert_eq!(
            object.remove("id"),
            Some(json!(id)),
            "{query}: id is always returned"
        );
        assert!(object.remove("schemas").is_some());
        assert_eq!(seen, expected, "{query}");
    }
}

#[tokio::test]
async fn rfc7643_2_5_a_user_whose_active_was_removed_is_not_active() {
    let api = Api::start().await;
    let id = api.user("anne").await;
    let path = format!("/Users/{id}");
    let active = || {
        let directory = api.ledger.directory();
        let user = directory.tenant("corp").unwrap().user_by_name("anne");
        user.unwrap().identity.active
    };
    assert!(active());
    let removed = api
        .patch(&path, json!([{"op": "remove", "path": "active"}]))
        .await;
    assert_eq!(removed.body.get("active"), None);
    assert!(!active());
    let put = api.put(&path, json!({"userName": "anne"})).await;
    assert_eq!(put.body["active"], false);
    assert!(!active());
}

#[tokio::test]
async fn a_body_is_worked_through_outside_of_the_writer() {
    let api = Api::start().await;
    let (user, group) = (api.user("anne").await, api.group("admins", &[]).await);
    // A command that takes its time: whatever needs the writer waits.
    let (release, released) = std::sync::mpsc::channel::<()>();
    let (start, started) = tokio::sync::oneshot::channel();
    let busy = api.ledger.commit(move |_| {
        let _ = start.send(());
        let _ = released.recv();
        Ok::<_, Refused>(())
    });
    let ask = async {
        started.await.unwrap();
        let operations = json!([{"op": "replace", "path": "nothing", "value": 1}]);
        for path in [format!("/Users/{user}"), format!("/Groups/{group}")] {
            let answer = timeout(PATIENCE, api.patch(&path, operations.clone())).await;
            answer.unwrap().is_error(400, Some("invalidPath"));
        }
        release.send(()).unwrap();
    };
    let (busy, ()) = futures::join!(busy, ask);
    busy.unwrap();
}

#[tokio::test]
async fn of_many_who_edit_a_user_at_once_none_undoes_anothers_edit() {
    let api = Api::start().await;
    let user = format!("/Users/{}", api.user("anne").await);
    let edits = (0..32).map(|i| {
        let email = json!([{"value": format!("anne-{i}@example.com")}]);
        let operations = json!([{"op": "add", "path": "emails", "value": email}]);
        api.patch(&user, operations)
    });
    for answer in futures::future::join_all(edits.collect::<Vec<_>>()).await {
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    }
    let body = api.get(&user).await.body;
    assert_eq!(body["emails"].as_array().unwrap().len(), 32);
    assert_eq!(body["meta"]["version"], "W/\"33\"");
}
