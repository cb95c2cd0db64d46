//! RFC 7644, by section: the protocol. What has a file of its own (authentication, errors, listing, discovery) is there.

use axum::body::Body;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::api::{Api, CORP, request};

#[tokio::test]
async fn section_3_8_the_answer_is_scim_json_whatever_is_accepted() {
    let api = Api::start().await;
    for accept in [
        "application/scim+json",
        "application/json",
        "*/*",
        "text/html, */*;q=0.8",
        "text/html",
        "",
    ] {
        let request = request(Method::GET, "/Users", CORP).header("accept", accept);
        let answer = api.send(request, Body::empty()).await;
        assert_eq!(answer.status, StatusCode::OK, "{accept}");
        assert_eq!(answer.headers["content-type"], "application/scim+json");
    }
}

#[tokio::test]
async fn section_3_4_2_2_every_operator_on_every_type() {
    let api = Api::start().await;
    let body = json!({
        "userName": "bjensen", "title": "Guide", "active": true, "nickName": "babs",
        "emails": [{"value": "b@work.com", "type": "work", "primary": true}, {"value": "b@home.org", "type": "home"}],
    });
    let created = api.post("/Users", body).await;
    created.created();
    let time = created.body["meta"]["created"].as_str().unwrap();
    let same = |operator: &str| format!("meta.created {operator} \"{time}\"");
    for (filter, holds) in [
        (r#"title eq "guide""#, true),
        (r#"title ne "guide""#, false),
        (r#"title co "UID""#, true),
        (r#"title sw "gu""#, true),
        (r#"title sw "ui""#, false),
        (r#"title ew "DE""#, true),
        (r#"title gt "g""#, true),
        (r#"title ge "guide""#, true),
        (r#"title lt "guide""#, false),
        (r#"title le "guide""#, true),
        ("title pr", true),
        ("userType pr", false),
        (r#"userType ne "x""#, true),
        (r#"not (userType eq "x")"#, true),
        ("active eq true", true),
        ("active ne false", true),
        ("active eq false", false),
        ("title eq null", false),
        ("userType eq null", true),
        (&same("eq"), true),
        (&same("ge"), true),
        (&same("le"), true),
        (&same("gt"), false),
        (&same("lt"), false),
        (&same("ne"), false),
        (r#"meta.created gt "2020-01-01T00:00:00+02:00""#, true),
        (r#"emails[type eq "work" and value ew "work.com"]"#, true),
        (r#"emails[type eq "work" and value ew "home.org"]"#, false),
        (r#"emails[not (type eq "work") and value pr]"#, true),
        (r#"emails[primary eq true].value sw "b@""#, true),
        (r#"emails[primary eq true].value eq "b@home.org""#, false),
        (
            r#"emails.type eq "home" and emails.value ew "work.com""#,
            true,
        ),
        // "and" binds before "or", "not" before both.
        (r#"title pr or userType pr and userType pr"#, true),
        (r#"(title pr or userType pr) and userType pr"#, false),
        (r#"not (userType pr) and title pr"#, true),
        (r#"not (title pr or userType pr)"#, false),
    ] {
        let answer = api.search("/Users", filter).await;
        assert_eq!(
            answer.body["totalResults"],
            u8::from(holds),
            "{filter}: {}",
            answer.body
        );
    }
}

#[tokio::test]
async fn section_3_5_1_put_takes_back_what_get_gave() {
    let api = Api::start().await;
    let anne = api
        .post(
            "/Users",
            json!({"userName": "anne", "title": "Dr", "roles": [{"value": "x"}]}),
        )
        .await;
    let group = api.group("Team", &[&anne.created()]).await;
    for path in [
        format!("/Users/{}", anne.created()),
        format!("/Groups/{group}"),
    ] {
        let before = api.get(&path).await;
        let put = api.put(&path, before.body.clone()).await;
        assert_eq!((put.status, &put.body), (StatusCode::OK, &before.body));
        assert_eq!(put.headers["etag"], before.headers["etag"]);
        assert_eq!(put.headers["location"], before.headers["location"]);
    }
}

#[tokio::test]
async fn section_3_5_2_1_adding_what_is_there_changes_nothing_of_any_type() {
    let api = Api::start().await;
    let enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
    let body = json!({
        "userName": "anne", "title": "Dr", "active": true, "name": {"givenName": "A"},
        "emails": [{"value": "a@x", "type": "work", "primary": true}], "roles": [{"value": "r"}],
        (enterprise): {"department": "D", "manager": {"value": "m"}},
    });
    let created = api.post("/Users", body).await;
    let path = format!("/Users/{}", created.created());
    for operation in [
        json!({"op": "add", "path": "title", "value": "Dr"}),
        json!({"op": "add", "path": "active", "value": "True"}),
        json!({"op": "add", "path": "name", "value": {"givenName": "A"}}),
        json!({"op": "add", "path": "name.givenName", "value": "A"}),
        json!({"op": "add", "path": "emails", "value": [{"type": "work", "value": "a@x", "primary": true}]}),
        json!({"op": "add", "path": "emails[type eq \"work\"].value", "value": "a@x"}),
        json!({"op": "add", "path": "roles", "value": ["r"]}),
        json!({"op": "add", "path": format!("{enterprise}:department"), "value": "D"}),
        json!({"op": "add", "path": "manager", "value": "m"}),
        json!({"op": "add", "value": {"title": "Dr", (enterprise): {"department": "D"}}}),
        json!({"op": "remove", "path": "nickName"}),
        json!({"op": "remove", "path": "emails[type eq \"home\"]"}),
        json!({"op": "remove", "path": "phoneNumbers"}),
        json!({"op": "remove", "path": "name.familyName"}),
    ] {
        let answer = api.patch(&path, json!([operation])).await;
        assert_eq!(
            answer.status,
            StatusCode::OK,
            "{operation}: {}",
            answer.body
        );
        assert_eq!(answer.body, created.body, "{operation}");
    }
    let nothing = api.patch(&path, json!([])).await;
    assert_eq!(
        (nothing.status, nothing.body),
        (StatusCode::OK, created.body)
    );
}

#[tokio::test]
async fn section_3_5_2_3_a_filter_that_describes_nothing_creates_nothing() {
    let api = Api::start().await;
    let path = format!("/Users/{}", api.user("anne").await);
    for target in [
        "emails[value co \"x\"].type",
        "emails[type eq \"work\" or type eq \"home\"].value",
        "emails[not (type eq \"work\")].value",
        "emails[type ne \"work\"].value",
        "emails[type pr].value",
    ] {
        let operations = json!([{"op": "replace", "path": target, "value": "y"}]);
        api.patch(&path, operations)
            .await
            .is_error(400, Some("noTarget"));
    }
    assert_eq!(api.get(&path).await.body.get("emails"), None);
}

#[tokio::test]
async fn section_3_9_a_write_answers_with_the_attributes_that_are_wanted() {
    let api = Api::start().await;
    let body = json!({"userName": "anne", "title": "Dr", "nickName": "A"});
    let created = api.post("/Users?attributes=title", body.clone()).await;
    let id = created.created();
    let keys = |body: &Value| {
        body.as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect::<Vec<_>>()
    };
    assert_eq!(keys(&created.body), ["id", "schemas", "title"]);
    // What a client does not want to see is in the headers all the same.
    let location = created.headers["location"].to_str().unwrap();
    assert!(location.ends_with(&id));
    assert_eq!(created.headers["etag"], "W/\"1\"");
    let path = format!("/Users/{id}");
    let put = api
        .put(
            &format!("{path}?excludedAttributes=nickName,meta,id,schemas"),
            body,
        )
        .await;
    assert_eq!(
        keys(&put.body),
        ["active", "id", "schemas", "title", "userName"]
    );
    let patch = json!({"Operations": [{"op": "replace", "path": "title", "value": "Prof"}]});
    let patched = api
        .call(Method::PATCH, &format!("{path}?attributes=userName"), patch)
        .await;
    assert_eq!(keys(&patched.body), ["id", "schemas", "userName"]);
    let group = api.group("Team", &[&id]).await;
    let patch = json!({"Operations": [{"op": "replace", "path": "displayName", "value": "Crew"}]});
    let path = format!("/Groups/{group}?attributes=displayName");
    let patched = api.call(Method::PATCH, &path, patch).await;
    assert_eq!(patched.status, StatusCode::OK);
    assert_eq!(keys(&patched.body), ["displayName", "id", "schemas"]);
    let listed = api.get("/Groups?excludedAttributes=members,meta").await;
    assert_eq!(
        keys(&listed.body["Resources"][0]),
        ["displayName", "id", "schemas"]
    );
}

#[tokio::test]
async fn section_3_14_a_version_tells_of_its_own_resource_alone() {
    let api = Api::start().await;
    let (anne, ben) = (api.user("anne").await, api.user("ben").await);
    let version =
        async |id: &str| api.get(&format!("/Users/{id}")).await.body["meta"]["version"].clone();
    for n in 0..5 {
        let change = json!([{"op": "replace", "path": "title", "value": n.to_string()}]);
        api.patch(&format!("/Users/{anne}"), change).await;
    }
    assert_eq!(version(&anne).await, "W/\"6\"");
    assert_eq!(version(&ben).await, "W/\"1\"");
    // Nor does a membership, which is the group's, change a user's.
    api.group("Team", &[&ben]).await;
    assert_eq!(version(&ben).await, "W/\"1\"");
    let patch = |version: &str| {
        request(Method::PATCH, &format!("/Users/{anne}"), CORP).header("if-match", version)
    };
    let body = || {
        Body::from(
            json!({"Operations": [{"op": "replace", "path": "active", "value": false}]})
                .to_string(),
        )
    };
    let answer = api.send(patch("W/\"5\""), body()).await;
    answer.is_error(412, None);
    let answer = api.send(patch("W/\"1\", W/\"6\""), body()).await;
    assert_eq!(
        (answer.status, &answer.body["active"]),
        (StatusCode::OK, &json!(false))
    );
}
