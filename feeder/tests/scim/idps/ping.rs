//! Ping: PingOne's and PingFederate's provisioners, and Ping's SDK.

use axum::body::Body;
use http::{Method, StatusCode};
use serde_json::json;

use crate::api::{Api, CORP, request};

#[tokio::test]
async fn ping_looks_users_up_by_its_unique_identifier() {
    let api = Api::start().await;
    let body = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "userName": "anne", "externalId": "c1a8c2a0-6a4f-4f32-9f0b-6e7d6e5a1b2c", "active": true,
        "emails": [{"value": "anne@corp.example", "type": "work", "primary": true}],
    });
    let id = api.post("/Users", body).await.created();
    for filter in [
        r#"userName eq "anne""#,
        r#"username eq "anne""#,
        r#"userName Eq "ANNE""#,
        r#"emails eq "anne@corp.example""#,
        r#"emails.value eq "anne@corp.example""#,
        r#"emails[value eq "anne@corp.example"]"#,
        r#"externalId eq "c1a8c2a0-6a4f-4f32-9f0b-6e7d6e5a1b2c""#,
    ] {
        assert_eq!(
            api.search("/Users", filter).await.listed("id"),
            [&id],
            "{filter}"
        );
    }
}

#[tokio::test]
async fn ping_puts_users_and_groups_in_chunks() {
    let api = Api::start().await;
    let anne = api.user("anne").await;
    let group = api.group("Team", &[]).await;
    let user = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "id": anne, "userName": "anne", "name": {"givenName": "Anne"}, "active": false,
    });
    let team = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"],
        "id": group, "displayName": "Team", "members": [{"value": anne}],
    });
    for (path, body) in [
        (format!("/Users/{anne}"), user),
        (format!("/Groups/{group}"), team),
    ] {
        let text = body.to_string().into_bytes();
        let chunks: Vec<_> = text
            .chunks(7)
            .map(|chunk| Ok::<_, std::io::Error>(chunk.to_vec()))
            .collect();
        let body = Body::from_stream(futures::stream::iter(chunks));
        let answer = api.send(request(Method::PUT, &path, CORP), body).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    }
    let user = api.get(&format!("/Users/{anne}")).await.body;
    assert_eq!(
        (&user["active"], &user["name"]["givenName"]),
        (&json!(false), &json!("Anne"))
    );
    assert_eq!(api.members(&group).await, [anne]);
}
