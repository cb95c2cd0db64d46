//! What is let through is logged under its word; what is not certain is refused, and nothing happens.

use http::Method;
use serde_json::{Value, json};

use super::ENTERPRISE;
use crate::api::Api;
use crate::log;

#[tokio::test]
async fn every_shape_beyond_the_rfc_is_logged_under_its_word() {
    let api = Api::start().await;
    let (anne, ben) = (api.user("anne").await, api.user("ben").await);
    let group = api.group("Team", &[&anne]).await;
    let (user, group) = (format!("/Users/{anne}"), format!("/Groups/{group}"));
    let on_user = |operation: Value| {
        (
            Method::PATCH,
            user.clone(),
            json!({"Operations": [operation]}),
        )
    };
    let on_group = |operation: Value| {
        (
            Method::PATCH,
            group.clone(),
            json!({"Operations": [operation]}),
        )
    };
    let asked = |query: &str| (Method::GET, format!("/Users?filter={query}"), Value::Null);
    let wrote = |body: Value| (Method::PUT, user.clone(), body);
    let urn = format!("{ENTERPRISE}:department");
    for ((method, path, body), word) in [
        (
            on_user(json!({"op": "Replace", "path": "title", "value": "x"})),
            "capital-op",
        ),
        (
            on_user(json!({"op": "replace", "path": "active", "value": "True"})),
            "string-boolean",
        ),
        (
            on_group(json!({"op": "remove", "path": "members", "value": [{"value": ben}]})),
            "remove-by-value",
        ),
        (
            on_group(
                json!({"op": "remove", "path": format!("members[value eq \"{}\"]", anne.to_uppercase())}),
            ),
            "id-spelling",
        ),
        (
            on_user(json!({"op": "replace", "value": {"name.givenName": "x"}})),
            "path-key",
        ),
        (
            on_user(json!({"op": "replace", "value": {(urn): "x"}})),
            "urn-key",
        ),
        (
            on_user(
                json!({"op": "replace", "path": "emails[type eq \"work\"].value", "value": "x"}),
            ),
            "created-by-path",
        ),
        (
            on_user(json!({"op": "add", "path": "roles", "value": ["x"]})),
            "plain-for-complex",
        ),
        (
            on_user(json!({"op": "replace", "path": "title", "value": ["x"]})),
            "list-for-single",
        ),
        (
            on_user(json!({"op": "replace", "path": "title", "value": {"value": "x"}})),
            "wrapped-value",
        ),
        (
            on_user(json!({"op": "add", "path": "emails", "value": ["{\"value\":\"x\"}"]})),
            "json-in-string",
        ),
        (
            wrote(json!({"userName": "anne", "emails": {"value": "x"}})),
            "single-for-list",
        ),
        (
            on_user(json!({"op": "add", "path": "department", "value": "x"})),
            "bare-extension",
        ),
        (
            on_user(json!({"op": "add", "path": format!("{ENTERPRISE}.department"), "value": "x"})),
            "dotted-urn",
        ),
        (
            on_user(json!({"op": "add", "path": "", "value": {"title": "x"}})),
            "empty-path",
        ),
        (
            wrote(json!({"userName": "anne", "groups": []})),
            "read-only-ignored",
        ),
        (
            wrote(json!({"userName": "anne", "password": "x"})),
            "password-dropped",
        ),
        (
            wrote(json!({"userName": "anne", "nobody": "x"})),
            "unknown-attribute",
        ),
        (
            asked("emails[type%20eq%20%22work%22].value%20eq%20%22x%22"),
            "value-path-comparison",
        ),
        (asked("emails%20eq%20%22x%22"), "bare-complex"),
    ] {
        log::taken();
        let answer = api.call(method, &path, body.clone()).await;
        assert!(answer.status.is_success(), "{word}: {}", answer.body);
        let lines = log::taken();
        let line = lines
            .lines()
            .find(|line| line.contains("SCIM request"))
            .unwrap();
        let words = line.split("dialect=").nth(1).unwrap();
        let words = words.split(' ').next().unwrap();
        assert!(words.split(',').any(|seen| seen == word), "{word}: {line}");
    }
}

#[tokio::test]
async fn a_shape_of_members_or_active_that_is_not_certain_is_400_and_changes_nothing() {
    let api = Api::start().await;
    let (anne, ben) = (api.user("anne").await, api.user("ben").await);
    let team = api.group("Team", &[&anne]).await;
    let (user, group) = (format!("/Users/{anne}"), format!("/Groups/{team}"));
    let before = (api.get(&user).await.body, api.get(&group).await.body);
    for (path, operation) in [
        (
            &user,
            json!({"op": "replace", "path": "active", "value": "no"}),
        ),
        (
            &user,
            json!({"op": "replace", "path": "active", "value": 0}),
        ),
        (
            &user,
            json!({"op": "replace", "path": "active", "value": [true, false]}),
        ),
        (
            &user,
            json!({"op": "replace", "path": "active", "value": {"x": false}}),
        ),
        (
            &user,
            json!({"op": "replace", "path": "active.value", "value": false}),
        ),
        (
            &user,
            json!({"op": "replace", "value": {"active": false, "Active": true}}),
        ),
        (
            &user,
            json!({"op": "disable", "path": "active", "value": false}),
        ),
        (
            &group,
            json!({"op": "add", "path": "members", "value": ben}),
        ),
        (
            &group,
            json!({"op": "add", "path": "members", "value": [ben]}),
        ),
        (
            &group,
            json!({"op": "add", "path": "members", "value": [{"value": ben, "operation": "delete"}]}),
        ),
        (
            &group,
            json!({"op": "add", "path": "members", "value": [{"id": ben}]}),
        ),
        (
            &group,
            json!({"op": "add", "path": "members.value", "value": ben}),
        ),
        (
            &group,
            json!({"op": "remove", "path": "members[display eq \"anne\"]"}),
        ),
        (
            &group,
            json!({"op": "remove", "path": "members[value sw \"0\"]"}),
        ),
        (
            &group,
            json!({"op": "remove", "path": "members", "value": "all"}),
        ),
        (
            &group,
            json!({"op": "replace", "value": {"members": [], "MEMBERS": []}}),
        ),
    ] {
        let first = json!({"op": "replace", "value": {"externalId": "changed"}});
        let answer = api.patch(path, json!([first, operation])).await;
        assert_eq!(answer.status, 400, "{operation}: {}", answer.body);
        let after = (api.get(&user).await.body, api.get(&group).await.body);
        assert_eq!(after, before, "{operation}");
    }
    // SCIM 1.1 says beside the operations, and in a PATCH without any, what it wants.
    for body in [
        json!({"members": [{"value": anne, "operation": "delete"}]}),
        json!({"active": false}),
        json!({"Operations": [], "active": false}),
    ] {
        for path in [&user, &group] {
            let answer = api.call(Method::PATCH, path, body.clone()).await;
            assert_eq!(answer.status, 400, "{body}");
        }
    }
}
