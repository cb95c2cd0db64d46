use axum::body::Body;
use http::{Method, StatusCode};
use scimesh_feeder::scim::{Limits, Settings};
use serde_json::json;

use crate::api::{Api, CORP, request};

#[tokio::test]
async fn rfc7644_3_12_a_body_that_is_no_json_object_is_invalid_syntax() {
    let api = Api::start().await;
    let user = api.user("anne").await;
    let deep = format!("{{\"userName\":{}", "[".repeat(100_000));
    for text in [
        "",
        "{",
        "[]",
        "null",
        "\"x\"",
        "{\"userName\":\"a\"} x",
        r#"{"userName":"a","userName":"b"}"#,
        r#"{"userName":"a","active":false,"active":true}"#,
        &deep,
    ] {
        let path = format!("/Users/{user}");
        for (method, path) in [
            (Method::POST, "/Users"),
            (Method::PUT, path.as_str()),
            (Method::PATCH, path.as_str()),
        ] {
            let body = Body::from(text.to_owned());
            let answer = api.send(request(method, path, CORP), body).await;
            answer.is_error(400, Some("invalidSyntax"));
        }
    }
}

#[tokio::test]
async fn rfc7644_3_1_json_is_taken_under_both_names_and_nothing_else() {
    let api = Api::start().await;
    for (index, (media_type, status)) in [
        ("application/scim+json", StatusCode::CREATED),
        ("Application/JSON; charset=utf-8", StatusCode::CREATED),
        ("", StatusCode::CREATED),
        ("text/plain", StatusCode::UNSUPPORTED_MEDIA_TYPE),
        (
            "application/x-www-form-urlencoded",
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let mut request = request(Method::POST, "/Users", CORP);
        request.headers_mut().unwrap().remove("content-type");
        let request = request.header("content-type", media_type);
        let body = json!({"userName": format!("u{index}")}).to_string();
        let answer = api.send(request, Body::from(body)).await;
        assert_eq!(answer.status, status, "{media_type}");
        assert_eq!(answer.headers["content-type"], "application/scim+json");
    }
    let mut bare = request(Method::POST, "/Users", CORP);
    bare.headers_mut().unwrap().remove("content-type");
    let answer = api.send(bare, Body::from(r#"{"userName":"bare"}"#)).await;
    assert_eq!(answer.status, StatusCode::CREATED);
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused() {
    let api = Api::with(Settings {
        limits: Limits {
            body_bytes: 100,
            ..Limits::default()
        },
        ..Settings::default()
    })
    .await;
    let long = json!({"userName": "x".repeat(200)});
    api.post("/Users", long.clone()).await.is_error(413, None);
    // The same without a length, in chunks.
    let chunks = futures::stream::iter([Ok::<_, std::io::Error>(long.to_string())]);
    let answer = api
        .send(
            request(Method::POST, "/Users", CORP),
            Body::from_stream(chunks),
        )
        .await;
    answer.is_error(413, None);
    assert_eq!(api.get("/Users").await.body["totalResults"], 0);
}

#[tokio::test]
async fn what_does_not_exist_is_404_and_what_is_not_supported_405() {
    let api = Api::start().await;
    for path in [
        "/Nothing",
        "/Users/x",
        "/Users/%FF",
        "/Groups/x/y",
        "/ResourceTypes/%FF",
    ] {
        api.get(path).await.is_error(404, None);
    }
    let user = api.user("anne").await;
    let upper = format!("/Users/{}", user.to_uppercase());
    api.get(&upper).await.is_error(404, None);
    api.delete("/Users").await.is_error(405, None);
    let answer = api.post(&format!("/Users/{user}"), json!({})).await;
    answer.is_error(405, None);
}
