use std::convert::Infallible;

use axum::body::Body;
use http::{Method, Request, StatusCode};
use scimesh_feeder::scim::{BASE_PATH, Limits, Settings};
use serde_json::{Value, json};

use crate::api::{Api, CORP, EXPIRED, OTHER, request};

#[tokio::test]
async fn rfc7644_2_every_bad_credential_is_the_same_401() {
    let api = Api::start().await;
    let mut answers = Vec::new();
    for header in [
        None,
        Some(""),
        Some("Bearer"),
        Some("Bearer "),
        Some("Bearer unknown"),
        Some("Bearer corp-token x"),
        Some(&format!("Bearer {EXPIRED}")),
        Some(&format!("Basic {CORP}")),
        Some(CORP),
    ] {
        for path in ["/Users", "/ServiceProviderConfig", "/nothing"] {
            let mut request = Request::builder().uri(format!("{BASE_PATH}{path}"));
            if let Some(header) = header {
                request = request.header("authorization", header);
            }
            let answer = api.send(request, Body::empty()).await;
            answer.is_error(401, None);
            assert_eq!(answer.headers["www-authenticate"], "Bearer realm=\"scim\"");
            answers.push(answer.body);
        }
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    // Two headers: which one counts is not for a guess.
    let two = request(Method::GET, "/Users", CORP).header("authorization", "Bearer x");
    api.send(two, Body::empty()).await.is_error(401, None);
}

#[tokio::test]
async fn the_scheme_is_case_insensitive_and_the_token_is_not() {
    let api = Api::start().await;
    for (value, status) in [
        ("bearer corp-token", StatusCode::OK),
        ("BEARER corp-token", StatusCode::OK),
        ("Bearer CORP-TOKEN", StatusCode::UNAUTHORIZED),
    ] {
        let request = Request::builder()
            .uri(format!("{BASE_PATH}/Users"))
            .header("authorization", value);
        assert_eq!(api.send(request, Body::empty()).await.status, status);
    }
}

#[tokio::test]
async fn a_revoked_token_fails_on_the_next_request() {
    let api = Api::start().await;
    assert_eq!(api.get("/Users").await.status, StatusCode::OK);
    let revoked = api.ledger.commit(|draft| draft.revoke_token("corp", CORP));
    revoked.await.unwrap();
    api.get("/Users").await.is_error(401, None);
}

/// A body that comes only after `first` is done.
fn body_after(first: impl Future<Output = ()> + Send + 'static, body: &Value) -> Body {
    let body = body.to_string();
    let bytes = async {
        first.await;
        Ok::<_, Infallible>(body)
    };
    Body::from_stream(futures::stream::once(bytes))
}

#[tokio::test]
async fn a_token_that_is_revoked_while_the_body_comes_writes_nothing() {
    let api = Api::start().await;
    let (user, group) = (api.user("anne").await, api.group("admins", &[]).await);
    let before = api.ledger.directory();
    let body = json!({"userName": "x", "displayName": "x"});
    let operations = json!({"Operations": [{"op": "replace", "value": {"displayName": "x"}}]});
    let (user, group) = (format!("/Users/{user}"), format!("/Groups/{group}"));
    for (method, path, body) in [
        (Method::POST, "/Users", &body),
        (Method::PUT, &user, &body),
        (Method::PATCH, &user, &operations),
        (Method::POST, "/Groups", &body),
        (Method::PUT, &group, &body),
        (Method::PATCH, &group, &operations),
    ] {
        let token = format!("{method} {path}");
        api.give_token("corp", &token).await;
        let (ledger, id) = (api.ledger.clone(), token.clone());
        let revoked = async move {
            let revoked = ledger.commit(move |draft| draft.revoke_token("corp", &id));
            revoked.await.unwrap();
        };
        let answer = api
            .send(request(method, path, &token), body_after(revoked, body))
            .await;
        answer.is_error(401, None);
        assert_eq!(api.ledger.directory().revision(), before.revision());
    }
}

#[tokio::test]
async fn the_token_of_a_deleted_tenant_writes_nothing_into_its_successor() {
    let api = Api::start().await;
    let ledger = api.ledger.clone();
    let replaced = async move {
        let replaced = ledger.commit(|draft| {
            draft.delete_tenant("corp")?;
            draft.create_tenant("corp")
        });
        replaced.await.unwrap();
    };
    let body = body_after(replaced, &json!({"userName": "mallory", "active": true}));
    let answer = api.send(request(Method::POST, "/Users", CORP), body).await;
    answer.is_error(401, None);
    let directory = api.ledger.directory();
    assert_eq!(directory.tenant("corp").unwrap().user_count(), 0);
}

#[tokio::test]
async fn another_tenants_resources_look_like_none() {
    let api = Api::start().await;
    let (user, group) = (api.user("anne").await, api.group("admins", &[]).await);
    let nobody = "00000000-0000-4000-8000-000000000000";
    for (kind, id) in [("Users", &user), ("Groups", &group)] {
        let path = format!("/{kind}/{id}");
        let body = json!({"userName": "x", "displayName": "x"});
        let operations = json!({"Operations": [{"op": "replace", "value": {"displayName": "x"}}]});
        for (method, body) in [
            (Method::GET, Value::Null),
            (Method::PUT, body),
            (Method::PATCH, operations),
            (Method::DELETE, Value::Null),
        ] {
            let theirs = api
                .call_as(OTHER, method.clone(), &path, body.clone())
                .await;
            let unknown = format!("/{kind}/{nobody}");
            let unknown = api.call_as(OTHER, method, &unknown, body).await;
            theirs.is_error(404, None);
            assert_eq!(theirs.body, unknown.body);
        }
        let listed = api
            .call_as(OTHER, Method::GET, &format!("/{kind}"), Value::Null)
            .await;
        assert_eq!(listed.body["totalResults"], 0);
    }
    // Nor can they be made members, nor block a name.
    let stolen = json!({"displayName": "g", "members": [{"value": user}]});
    let answer = api.call_as(OTHER, Method::POST, "/Groups", stolen).await;
    answer.is_error(400, Some("invalidValue"));
    let same = api
        .call_as(OTHER, Method::POST, "/Users", json!({"userName": "anne"}))
        .await;
    assert_eq!(same.status, StatusCode::CREATED);
    assert_eq!(
        api.get(&format!("/Users/{user}")).await.body["userName"],
        "anne"
    );
}

#[tokio::test]
async fn the_body_of_an_unauthenticated_request_is_not_read() {
    let api = Api::with(Settings {
        limits: Limits {
            body_bytes: 10,
            ..Limits::default()
        },
        ..Settings::default()
    })
    .await;
    let answer = api
        .call_as(
            "x",
            Method::POST,
            "/Users",
            json!({"userName": "far beyond the limit"}),
        )
        .await;
    answer.is_error(401, None);
}
