//! What there is too much of is refused, by an error that names the limit and its value, and nothing has changed.

use axum::body::Body;
use http::{Method, StatusCode};
use scimesh_feeder::limits::Named as _;
use scimesh_feeder::scim::{Limit, Limits};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::api::{Answer, Api, CORP, OTHER, request};

/// Checks that it is refused because of this limit.
#[track_caller]
fn is_beyond(answer: &Answer, limit: Limit, value: usize, status: u16, scim_type: Option<&str>) {
    answer.is_error(status, scim_type);
    let detail = answer.body["detail"].as_str().unwrap();
    let named = format!("the limit is {}", limit.name());
    assert!(detail.contains(&named), "{detail}");
    assert!(detail.contains(&value.to_string()), "{detail}");
}

/// The default limits but for one.
fn but(limit: Limit, value: usize) -> Limits {
    let mut limits = Limits::default();
    limits.set(limit, value);
    limits
}

#[tokio::test]
async fn every_limit_on_a_body_or_a_query_is_named_when_it_is_met() {
    let mut api = Api::start().await;
    let user = format!("/Users/{}", api.user("anne").await);
    let before = api.get(&user).await.body;
    let patch = |operations: Value| json!({"Operations": operations});
    let title = |value: &str| json!({"op": "replace", "path": "title", "value": value});
    let emails = json!([{"value": "a"}, {"value": "b"}, {"value": "c"}]);
    let long = "x".repeat(300);
    for (limit, value, body, status, scim_type) in [
        (
            Limit::BodyBytes,
            100,
            patch(json!([title(&long)])),
            413,
            None,
        ),
        (
            Limit::BodyMemory,
            1000,
            patch(json!([title("a"), title("b")])),
            413,
            None,
        ),
        (
            Limit::JsonDepth,
            4,
            json!({"a": [[[[]]]]}),
            400,
            Some("invalidSyntax"),
        ),
        (
            Limit::PatchOperations,
            1,
            patch(json!([title("a"), title("b")])),
            413,
            None,
        ),
        (
            Limit::Values,
            2,
            patch(json!([{"op": "add", "path": "emails", "value": emails}])),
            413,
            None,
        ),
        (
            Limit::ResourceBytes,
            300,
            patch(json!([title(&long)])),
            413,
            None,
        ),
        (
            Limit::Work,
            5,
            patch(json!([{"op": "add", "value": {"q": 1, "w": 1}}])),
            413,
            None,
        ),
        (
            Limit::FilterBytes,
            20,
            patch(json!([{"op": "remove", "path": "emails[value eq \"aaaaaaaaa\"]"}])),
            400,
            Some("invalidFilter"),
        ),
    ] {
        api.limit(but(limit, value));
        let answer = api.call(Method::PATCH, &user, body).await;
        is_beyond(&answer, limit, value, status, scim_type);
    }
    for (limit, value, filter, status, scim_type) in [
        (
            Limit::FilterBytes,
            10,
            "userName eq \"anne\"",
            400,
            "invalidFilter",
        ),
        (
            Limit::FilterDepth,
            2,
            "(((title pr)))",
            400,
            "invalidFilter",
        ),
        (
            Limit::FilterTerms,
            2,
            "title pr or title pr or title pr",
            400,
            "invalidFilter",
        ),
        (
            Limit::Work,
            3,
            "title pr or title pr or title pr",
            400,
            "tooMany",
        ),
    ] {
        api.limit(but(limit, value));
        let answer = api.search("/Users", filter).await;
        is_beyond(&answer, limit, value, status, Some(scim_type));
    }
    api.limit(but(Limit::UrlBytes, 100));
    let answer = api.get(&format!("/Users?x={long}")).await;
    is_beyond(&answer, Limit::UrlBytes, 100, 414, None);
    api.limit(Limits::default());
    assert_eq!(api.get(&user).await.body, before);
}

#[tokio::test]
async fn what_a_tenant_holds_is_counted_where_it_is_written() {
    let mut api = Api::limited(but(Limit::Users, 3)).await;
    let names = ["a", "b", "c", "d", "e", "f"];
    let created = names.map(|name| api.post("/Users", json!({"userName": name})));
    let answers = futures::future::join_all(created).await;
    let (made, refused): (Vec<_>, Vec<_>) = answers
        .iter()
        .partition(|answer| answer.status == StatusCode::CREATED);
    assert_eq!(made.len(), 3);
    for answer in refused {
        is_beyond(answer, Limit::Users, 3, 413, None);
    }
    // Another tenant has its own.
    let theirs = api
        .call_as(OTHER, Method::POST, "/Users", json!({"userName": "a"}))
        .await;
    theirs.created();
    let ids: Vec<String> = made.iter().map(|answer| answer.created()).collect();
    api.delete(&format!("/Users/{}", ids[2])).await;
    let last = api.user("g").await;

    api.limit(but(Limit::Members, 2));
    let group = format!("/Groups/{}", api.group("g", &[&ids[0], &ids[1]]).await);
    let add = json!([{"op": "add", "path": "members", "value": [{"value": last}]}]);
    is_beyond(
        &api.patch(&group, add.clone()).await,
        Limit::Members,
        2,
        413,
        None,
    );
    // Whoever goes makes room for whoever comes.
    let others = json!([{"op": "replace", "path": "members", "value": [{"value": ids[0]}, {"value": last}]}]);
    assert_eq!(
        api.patch(&group, others).await.status,
        StatusCode::NO_CONTENT
    );

    api.limit(but(Limit::Memberships, 2));
    let body = json!({"displayName": "h", "members": [{"value": last}]});
    is_beyond(
        &api.post("/Groups", body).await,
        Limit::Memberships,
        2,
        413,
        None,
    );
    assert_eq!(api.get("/Groups").await.body["totalResults"], 1);

    api.limit(but(Limit::Groups, 1));
    let answer = api.post("/Groups", json!({"displayName": "h"})).await;
    is_beyond(&answer, Limit::Groups, 1, 413, None);

    api.limit(but(Limit::GroupDepth, 1));
    let answer = api.post(
        "/Groups",
        json!({"displayName": "h", "members": [{"value": group.rsplit('/').next()}]}),
    );
    is_beyond(
        &answer.await,
        Limit::GroupDepth,
        1,
        400,
        Some("invalidValue"),
    );
}

#[tokio::test]
async fn what_is_stored_beyond_a_lower_limit_can_be_read_searched_disabled_and_made_smaller() {
    let mut api = Api::start().await;
    let emails: Vec<Value> = (0..20)
        .map(|n| json!({"value": format!("{n}@x.com")}))
        .collect();
    let large = json!({"userName": "anne", "title": "t".repeat(500), "emails": emails});
    let anne = api.post("/Users", large).await.created();
    let ben = api.user("ben").await;
    let group = format!("/Groups/{}", api.group("g", &[&anne, &ben]).await);
    let user = format!("/Users/{anne}");
    let before = api.get(&user).await.body;
    api.limit(Limits {
        resource_bytes: 100,
        values: 2,
        users: 1,
        groups: 1,
        members: 1,
        memberships: 1,
        page: 1,
        ..Limits::default()
    });
    assert_eq!(api.get(&user).await.body, before);
    assert_eq!(
        api.search("/Users", "title sw \"t\"").await.listed("id"),
        [&anne]
    );
    assert_eq!(
        api.members(group.rsplit('/').next().unwrap()).await.len(),
        2
    );
    let off = json!([{"op": "replace", "path": "active", "value": false}]);
    let after = api.patch(&user, off).await;
    assert_eq!(
        (after.status, &after.body["active"]),
        (StatusCode::OK, &json!(false))
    );
    assert_eq!(after.body["emails"].as_array().unwrap().len(), 20);
    let fewer = json!([{"op": "remove", "path": "emails[value eq \"1@x.com\"]"}]);
    assert_eq!(api.patch(&user, fewer).await.status, StatusCode::OK);
    let remove = json!([{"op": "remove", "path": format!("members[value eq \"{anne}\"]")}]);
    assert_eq!(
        api.patch(&group, remove).await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(api.delete(&user).await.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn a_token_that_is_used_too_often_is_told_when_to_come_back() {
    let api = Api::limited(Limits {
        requests_per_second: 1,
        requests_burst: 2,
        ..Limits::default()
    })
    .await;
    // The body is not read: it never comes.
    let post = || {
        let never = futures::stream::pending::<Result<Vec<u8>, std::io::Error>>();
        api.send(
            request(Method::POST, "/Users", CORP),
            Body::from_stream(never),
        )
    };
    for _ in 0..2 {
        assert_eq!(api.get("/Users").await.status, StatusCode::OK);
    }
    let answer = post().await;
    is_beyond(&answer, Limit::RequestsPerSecond, 1, 429, None);
    assert_eq!(answer.headers["retry-after"], "1");
    // Others have their own, and whoever has no token is not counted at all.
    let other = api.call_as(OTHER, Method::GET, "/Users", Value::Null).await;
    assert_eq!(other.status, StatusCode::OK);
    for _ in 0..5 {
        let guess = api
            .call_as("guess", Method::GET, "/Users", Value::Null)
            .await;
        guess.is_error(401, None);
    }
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_answered_as_scim_answers() {
    let api = Api::limited(but(Limit::RequestSeconds, 1)).await;
    let never = futures::stream::pending::<Result<Vec<u8>, std::io::Error>>();
    let answer = api
        .send(
            request(Method::POST, "/Users", CORP),
            Body::from_stream(never),
        )
        .await;
    is_beyond(&answer, Limit::RequestSeconds, 1, 408, None);
}

#[tokio::test]
async fn no_input_is_answered_by_a_5xx() {
    let api = Api::start().await;
    let id = api.user("anne").await;
    let group = api.group("g", &[]).await;
    let paths = [
        "/Users".to_owned(),
        format!("/Users/{id}"),
        "/Groups".to_owned(),
        format!("/Groups/{group}"),
        "/Bulk".to_owned(),
        "/Schemas".to_owned(),
        "/ServiceProviderConfig".to_owned(),
        "/Users/%00".to_owned(),
        format!("/Users/{id}/"),
        "//Users".to_owned(),
    ];
    let queries = [
        "",
        "?",
        "?&&=&",
        "?filter=%FF",
        "?filter=%",
        "?filter=%00",
        "?startIndex=-0",
        "?count=1e9",
        "?attributes=,,,.,[]",
        "?filter=userName%20eq%20%22%5CuD800%22",
        "?sortBy=.&sortOrder=x",
        "?cursor=%FF",
        "?filter=userName+eq+1e400",
    ];
    let key = "k".repeat(1 << 20);
    let bodies: Vec<Vec<u8>> = vec![
        b"".to_vec(),
        b"null".to_vec(),
        b"\xff".to_vec(),
        b"{\"userName\":\"\\ud800\"}".to_vec(),
        b"{\"userName\":\"a\\u0000b\"}".to_vec(),
        b"{\"userName\":1e400}".to_vec(),
        b"{\"userName\":-0,\"displayName\":-0}".to_vec(),
        format!("{{\"{key}\":1,\"userName\":\"{key}\",\"displayName\":\"{key}\"}}").into_bytes(),
        format!("{{\"userName\":{}}}", "9".repeat(100_000)).into_bytes(),
        format!("{{\"Operations\":[{{\"op\":\"add\",\"path\":\"{key}\",\"value\":1}}]}}").into_bytes(),
        b"{\"Operations\":[{\"op\":\"add\",\"path\":\"emails[type eq \\\"w\\\"].value\",\"value\":{}}]}".to_vec(),
        b"{\"Operations\":[{\"op\":\"remove\",\"path\":\"\\u0000\"}]}".to_vec(),
        b"{\"Operations\":[{\"method\":\"POST\",\"path\":\"/Users\",\"bulkId\":\"\\u0000\",\"data\":[]}]}".to_vec(),
    ];
    let methods = [
        "GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "X",
    ];
    for method in methods {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        for path in &paths {
            // The resources are to stay.
            if method == Method::DELETE && path.contains('-') {
                continue;
            }
            for query in queries {
                let path = format!("{path}{query}");
                let answer = api.call(method.clone(), &path, Value::Null).await;
                assert!(answer.status.as_u16() < 500, "{method} {path}: {answer:?}");
            }
            for body in &bodies {
                let answer = api
                    .send(
                        request(method.clone(), path, CORP),
                        Body::from(body.clone()),
                    )
                    .await;
                let start = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
                assert!(
                    answer.status.as_u16() < 500,
                    "{method} {path} {start}: {answer:?}"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_misnamed_attribute_is_named_wherever_it_keeps_something_from_working() {
    let api = Api::start().await;
    let id = api.user("anne").await;
    let user = format!("/Users/{id}");
    let says = |answer: Answer, scim_type: &str, what: &str| {
        answer.is_error(400, Some(scim_type));
        let detail = answer.body["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(what), "{detail}");
    };
    let posted = api.post("/Users", json!({"user_name": "ben"})).await;
    says(
        posted,
        "invalidValue",
        "did the client mean it by \"user_name\"?",
    );
    let posted = api.post("/Groups", json!({"display-name": "ben"})).await;
    says(
        posted,
        "invalidValue",
        "did the client mean it by \"display-name\"?",
    );
    let found = api.search("/Users", "usrName eq \"anne\"").await;
    says(found, "invalidFilter", "did you mean \"userName\"?");
    let sorted = api.get("/Users?sortBy=usrName").await;
    says(sorted, "invalidValue", "did you mean \"userName\"?");
    let path = json!([{"op": "replace", "path": "name.givenNam", "value": "x"}]);
    says(
        api.patch(&user, path).await,
        "invalidPath",
        "did you mean \"name.givenName\"?",
    );
    let member = json!({"displayName": "g", "members": [{"vlaue": id}]});
    says(
        api.post("/Groups", member).await,
        "invalidValue",
        "members: no attribute \"vlaue\"; did you mean \"value\"?",
    );
    let urn = "urn:ietf:params:scim:schemas:core:2.0:User:department";
    let path = json!([{"op": "replace", "path": urn, "value": "x"}]);
    says(
        api.patch(&user, path).await,
        "invalidPath",
        "did you mean \"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department\"?",
    );
}

#[tokio::test]
async fn who_is_to_leave_a_group_is_named_by_an_id_or_refused() {
    let api = Api::start().await;
    let anne = api.user("anne").await;
    let group = format!("/Groups/{}", api.group("g", &[&anne]).await);
    let remove =
        |value: &str| json!([{"op": "remove", "path": "members", "value": [{"value": value}]}]);
    api.patch(&group, remove("anne"))
        .await
        .is_error(400, Some("invalidValue"));
    let nobody = Uuid::new_v4().to_string();
    assert_eq!(
        api.patch(&group, remove(&nobody)).await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(api.members(group.rsplit('/').next().unwrap()).await, [anne]);
}
