//! RFC 7644 section 3.14.

use axum::body::Body;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::api::{Answer, Api, CORP, request};

async fn conditional(
    api: &Api,
    method: Method,
    path: &str,
    (header, tags): (&str, &str),
    body: &Value,
) -> Answer {
    let request = request(method, path, CORP).header(header, tags);
    let body = match body {
        Value::Null => Body::empty(),
        body => body.to_string().into(),
    };
    api.send(request, body).await
}

async fn get(api: &Api, path: &str, header: (&str, &str)) -> Answer {
    conditional(api, Method::GET, path, header, &Value::Null).await
}

fn tag(answer: &Answer) -> String {
    answer.headers["etag"].to_str().unwrap().to_owned()
}

#[tokio::test]
async fn rfc7644_3_14_what_the_client_has_is_not_sent_again() {
    let api = Api::start().await;
    let ada = api.user("ada").await;
    let group = api.group("team", &[&ada]).await;
    for path in [format!("/Users/{ada}"), format!("/Groups/{group}")] {
        let whole = api.get(&path).await;
        let tag = tag(&whole);
        assert_eq!(whole.body["meta"]["version"], tag);
        let several = format!("W/\"0\", {tag}");
        for tags in [&tag, "*", &several] {
            let same = get(&api, &path, ("if-none-match", tags)).await;
            assert_eq!(same.status, StatusCode::NOT_MODIFIED, "{tags}");
            assert_eq!(same.body, Value::Null, "{tags}");
            assert_eq!(same.headers["etag"], tag);
        }
        let stale = get(&api, &path, ("if-none-match", "W/\"0\"")).await;
        assert_eq!((stale.status, stale.body), (StatusCode::OK, whole.body));
        let moved = get(&api, &path, ("if-match", "W/\"0\"")).await;
        moved.is_error(412, None);
    }
    let nobody = get(&api, &format!("/Users/{group}"), ("if-none-match", "*")).await;
    nobody.is_error(404, None);
}

#[tokio::test]
async fn rfc7644_3_14_a_write_demands_a_version_or_another_one() {
    let api = Api::start().await;
    let ada = api.user("ada").await;
    let path = format!("/Users/{ada}");
    let put = json!({"userName": "ada", "title": "Dr"});
    let patch = json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{"op": "replace", "path": "title", "value": "Prof"}],
    });
    let first = tag(&api.get(&path).await);
    for (method, body) in [
        (Method::PUT, &put),
        (Method::PATCH, &patch),
        (Method::DELETE, &Value::Null),
    ] {
        for header in [
            ("if-none-match", first.as_str()),
            ("if-none-match", "*"),
            ("if-match", "W/\"0\""),
        ] {
            let refused = conditional(&api, method.clone(), &path, header, body).await;
            refused.is_error(412, None);
        }
    }
    assert_eq!(tag(&api.get(&path).await), first);
    let header = ("if-none-match", "W/\"0\"");
    let changed = conditional(&api, Method::PUT, &path, header, &put).await;
    assert_eq!(changed.status, StatusCode::OK);
    assert_eq!(changed.body["meta"]["version"], tag(&changed));
    assert_ne!(tag(&changed), first);
}

#[tokio::test]
async fn a_version_tells_nothing_of_other_resources() {
    let api = Api::start().await;
    let ada = api.user("ada").await;
    let ben = api.user("ben").await;
    let before = tag(&api.get(&format!("/Users/{ada}")).await);
    api.group("team", &[&ada]).await;
    api.delete(&format!("/Users/{ben}")).await;
    assert_eq!(tag(&api.get(&format!("/Users/{ada}")).await), before);
}
