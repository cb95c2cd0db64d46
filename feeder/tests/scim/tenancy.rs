//! What a tenant is told follows from what is in it: nothing that another does shows, and no revision ever.

use http::Method;
use serde_json::{Value, json};

use crate::api::{Api, CORP, OTHER};

/// Everything that corp is told in a story that touches every kind of answer; with `noise`, the other tenant writes between any two requests.
async fn told(noise: bool) -> Vec<String> {
    let api = Api::start().await;
    let mut known: Vec<(String, String)> = Vec::new();
    let mut told = Vec::new();
    let mut round = 0;
    let mut tell = async |method: Method, path: &str, body: Value, names: Option<&str>| {
        if noise {
            for name in ["x", "y"] {
                round += 1;
                let user = json!({"userName": format!("{name}{round}")});
                let id = api
                    .call_as(OTHER, Method::POST, "/Users", user)
                    .await
                    .created();
                let group = json!({"displayName": "g", "members": [{"value": id}]});
                api.call_as(OTHER, Method::POST, "/Groups", group)
                    .await
                    .created();
            }
        }
        let answer = api.call_as(CORP, method.clone(), path, body).await;
        if let Some(name) = names {
            let id = answer.body["id"].as_str().unwrap().to_owned();
            assert_eq!(uuid::Uuid::try_parse(&id).unwrap().get_version_num(), 4);
            known.push((id, name.to_owned()));
        }
        let mut headers: Vec<String> = answer
            .headers
            .iter()
            // A time is shorter where its milliseconds end in 0.
            .filter(|(name, _)| *name != http::header::CONTENT_LENGTH)
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        headers.sort();
        let mut body = answer.body;
        without_times(&mut body);
        let mut text = format!("{method} {} {} {headers:?} {body}", path, answer.status);
        for (id, name) in &known {
            text = text.replace(id, name);
        }
        told.push(text);
        known.last().map(|(id, _)| id.clone()).unwrap_or_default()
    };
    let (get, post) = (Method::GET, Method::POST);
    let anne = tell(
        post.clone(),
        "/Users",
        json!({"userName": "x1"}),
        Some("ANNE"),
    )
    .await;
    let user = format!("/Users/{anne}");
    let members = json!([{"value": anne}]);
    let group = json!({"displayName": "g", "members": members});
    let group = tell(post.clone(), "/Groups", group, Some("GROUP")).await;
    let group = format!("/Groups/{group}");
    let title = json!({"Operations": [{"op": "replace", "path": "title", "value": "t"}]});
    tell(Method::PATCH, &user, title, None).await;
    tell(Method::PUT, &group, json!({"displayName": "g"}), None).await;
    let bulk =
        json!({"Operations": [{"method": "PATCH", "path": user, "data": {"Operations": []}}]});
    tell(post, "/Bulk", bulk, None).await;
    for path in [
        user.as_str(),
        &group,
        "/Users",
        "/Groups",
        "/Users?count=1",
        "/Users?filter=userName%20eq%20%22x2%22",
        "/Users?filter=userName%20pr",
        "/ServiceProviderConfig",
        "/Schemas",
        "/ResourceTypes",
        "/Nothing",
        "/Me",
    ] {
        tell(get.clone(), path, Value::Null, None).await;
    }
    tell(Method::DELETE, &user, Value::Null, None).await;
    told
}

/// Times are the only thing that may differ between two runs.
fn without_times(value: &mut Value) {
    match value {
        Value::Object(object) => {
            for name in ["created", "lastModified"] {
                if let Some(time) = object.get_mut(name).filter(|value| value.is_string()) {
                    assert!(time.as_str().unwrap().parse::<jiff::Timestamp>().is_ok());
                    *time = json!("T");
                }
            }
            object.values_mut().for_each(without_times);
        }
        Value::Array(list) => list.iter_mut().for_each(without_times),
        _ => {}
    }
}

#[tokio::test]
async fn what_another_tenant_does_shows_in_no_answer() {
    let (alone, beside) = (told(false).await, told(true).await);
    for (alone, beside) in alone.iter().zip(&beside) {
        assert_eq!(alone, beside);
    }
    assert_eq!(alone.len(), beside.len());
}
