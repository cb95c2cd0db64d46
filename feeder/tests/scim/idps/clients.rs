//! Client libraries: SCIM-SDK, ConnId, canaille, Slack's and Databricks's clients, Ping's SDK.

use axum::body::Body;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{ENTERPRISE, written};
use crate::api::{Api, CORP, request};

#[tokio::test]
async fn bodies_come_in_chunks_of_any_size() {
    let api = Api::start().await;
    for (n, size) in [1, 2, 3, 1000].into_iter().enumerate() {
        let text = json!({"userName": format!("ünï-{n}")})
            .to_string()
            .into_bytes();
        let chunks = text
            .chunks(size)
            .map(|chunk| Ok::<_, std::io::Error>(chunk.to_vec()));
        // Empty chunks are no end.
        let chunks: Vec<_> = std::iter::once(Ok(Vec::new())).chain(chunks).collect();
        let body = Body::from_stream(futures::stream::iter(chunks));
        let answer = api.send(request(Method::POST, "/Users", CORP), body).await;
        assert_eq!(answer.created().len(), 36);
    }
    let broken = futures::stream::iter([
        Ok(b"{\"userName\":".to_vec()),
        Err(std::io::Error::other("gone")),
    ]);
    let request = request(Method::POST, "/Users", CORP);
    let answer = api.send(request, Body::from_stream(broken)).await;
    answer.is_error(400, Some("invalidSyntax"));
}

#[tokio::test]
async fn a_get_may_name_a_content_type_and_have_a_body() {
    let api = Api::start().await;
    for body in ["", "{}", "null"] {
        for media_type in [
            "application/scim+json",
            "application/json; charset=UTF-8",
            "text/plain",
            "",
        ] {
            let mut request = request(Method::GET, "/Users", CORP);
            let headers = request.headers_mut().unwrap();
            headers.insert("content-type", media_type.parse().unwrap());
            let answer = api.send(request, Body::from(body)).await;
            assert_eq!(answer.status, StatusCode::OK, "{media_type} {body}");
        }
    }
}

#[tokio::test]
async fn schemas_may_be_left_out_empty_or_unknown() {
    let api = Api::start().await;
    for (n, schemas) in [
        Value::Null,
        json!([]),
        json!("urn:ietf:params:scim:schemas:core:2.0:User"),
        json!(["urn:nobody:announced:1.0"]),
        json!(["urn:ietf:params:scim:schemas:core:2.0:Group"]),
    ]
    .into_iter()
    .enumerate()
    {
        let body = json!({"schemas": schemas, "userName": format!("u{n}"), "urn:nobody:announced:1.0": {"x": 1}});
        let created = api.post("/Users", body).await;
        let path = format!("/Users/{}", created.created());
        let core = json!(["urn:ietf:params:scim:schemas:core:2.0:User"]);
        assert_eq!(created.body["schemas"], core);
        let mut patch = json!({"Operations": [{"op": "replace", "path": "title", "value": "x"}]});
        patch["schemas"] = schemas;
        let answer = api.call(Method::PATCH, &path, patch).await;
        assert_eq!(answer.body["title"], "x");
    }
}

#[tokio::test]
async fn operators_keywords_and_names_come_in_any_case() {
    let api = Api::start().await;
    let id = api.user("anne@x.com").await;
    api.user("ben@x.com").await;
    for filter in [
        r#"USERNAME EQ "anne@x.com""#,
        r#"userName eq "ANNE@X.COM" AND active EQ TRUE"#,
        r#"NOT (userName SW "ben") and USERNAME PR"#,
        r#"userName CO "nn" Or title Pr"#,
        r#"URN:ietf:params:scim:schemas:CORE:2.0:User:userName eq "anne@x.com""#,
        r#"  ( userName eq "anne@x.com" )  "#,
        r#"userName eq "anne@x.com" and active eq "True""#,
    ] {
        assert_eq!(
            api.search("/Users", filter).await.listed("id"),
            [&id],
            "{filter}"
        );
    }
}

#[tokio::test]
async fn a_filter_is_encoded_as_a_form_or_as_a_url() {
    let api = Api::start().await;
    let id = api.user("anne+x@x.com").await;
    for query in [
        "filter=userName+eq+%22anne%2Bx%40x.com%22",
        "filter=userName%20eq%20%22anne%2Bx@x.com%22",
        "filter=userName%20eq%20%22anne%2bx%40x.com%22&attributes=&count=10",
        "count=10&filter=userName+eq+%22anne%2Bx%40x.com%22&unknown=1",
    ] {
        let found = api.get(&format!("/Users?{query}")).await;
        assert_eq!(found.listed("id"), [&id], "{query}");
    }
}

#[tokio::test]
async fn names_with_quotes_backslashes_and_any_script_are_found() {
    let api = Api::start().await;
    for (name, literal) in [
        ("o'malley", r#""o'malley""#),
        ("a\"b", r#""a\"b""#),
        (r"corp\anne", r#""corp\\anne""#),
        ("a\\\"", r#""a\\\"""#),
        ("zoë", "\"zoë\""),
        ("zoé", r#""zo\u00e9""#),
        ("田中", "\"田中\""),
        ("smile😀", r#""smile\ud83d\ude00""#),
        ("a/b", r#""a\/b""#),
        ("a b) or (c", "\"a b) or (c\""),
        ("x] eq \"y", r#""x] eq \"y""#),
    ] {
        let id = api.user(name).await;
        let found = api
            .search("/Users", &format!("userName eq {literal}"))
            .await;
        assert_eq!(found.listed("id"), [&id], "{name}");
        let found = api
            .search("/Users", &format!("id pr and userName eq {literal}"))
            .await;
        assert_eq!(found.listed("userName"), [name]);
    }
}

#[tokio::test]
async fn connid_asks_for_many_attributes_some_of_them_unknown() {
    let api = Api::start().await;
    let body =
        json!({"userName": "anne", "title": "Dr", "emails": [{"value": "a@x", "type": "work"}]});
    let id = api.post("/Users", body).await.created();
    let names = "userName,active,title,displayName,name.givenName,name.familyName,emails.value,emails.type,groups,entitlements.default.value,__NAME__,meta,externalId";
    let query = format!("/Users?attributes={names}&filter=&startIndex=1&count=20");
    let page = api.get(&query).await;
    let user = &page.body["Resources"][0];
    assert_eq!(user["id"], json!(id));
    assert_eq!(user["emails"], json!([{"value": "a@x", "type": "work"}]));
    assert_eq!(
        (&user["title"], &user["active"]),
        (&json!("Dr"), &json!(true))
    );
}

#[tokio::test]
async fn connid_puts_dots_behind_urns_and_names_twice_whom_it_removes() {
    let api = Api::start().await;
    let (anne, ben) = (api.user("anne").await, api.user("ben").await);
    let path = format!("/Users/{anne}");
    let operations = json!([
        {"op": "replace", "path": format!("{ENTERPRISE}.employeeNumber"), "value": "56789"},
        {"op": "add", "path": "emails", "value": [{"value": "a@x", "type": "work"}]},
        {"op": "replace", "path": format!("{ENTERPRISE}.manager"), "value": {"value": ben}},
        {"op": "remove", "path": "emails[value eq \"a@x\" or value eq \"b@x\"]", "value": null},
    ]);
    let answer = api.patch(&path, operations).await;
    let expected = json!({"employeeNumber": "56789", "manager": {"value": ben}});
    assert_eq!(answer.body[ENTERPRISE], expected, "{}", answer.body);
    assert_eq!(answer.body.get("emails"), None);
    let asked = format!("{path}?attributes={ENTERPRISE}.manager.value,userName");
    let seen = api.get(&asked).await.body;
    assert_eq!(seen[ENTERPRISE], json!({"manager": {"value": ben}}));

    let group = api.group("Team", &[&anne, &ben]).await;
    let remove = json!([{
        "op": "remove", "path": format!("members[value eq \"{anne}\"]"),
        "value": [{"value": anne, "$ref": format!("http://x/Users/{anne}"), "display": "anne"}],
    }]);
    let answer = api.patch(&format!("/Groups/{group}"), remove).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT, "{}", answer.body);
    assert_eq!(api.members(&group).await, [ben]);
}

#[tokio::test]
async fn slack_and_databricks_ask_for_10000_until_a_page_is_empty() {
    let api = Api::start().await;
    for n in 0..3 {
        api.user(&format!("u{n}")).await;
    }
    let (mut seen, mut start) = (Vec::new(), 1);
    loop {
        let page = api
            .get(&format!("/Users?startIndex={start}&count=10000"))
            .await;
        let ids = page.listed("id");
        if ids.is_empty() {
            break;
        }
        start += ids.len();
        seen.extend(ids.into_iter().map(str::to_owned));
    }
    assert_eq!(seen.len(), 3);
}

#[tokio::test]
async fn a_location_leads_to_the_resource() {
    let api = Api::start().await;
    let created = api.post("/Users", json!({"userName": "anne"})).await;
    let location = created.body["meta"]["location"].as_str().unwrap();
    let path = location
        .strip_prefix("http://scim.example.com/scim/v2")
        .unwrap();
    assert_eq!(api.get(path).await.body, created.body);
}

#[tokio::test]
async fn canaille_puts_the_resource_with_a_password_hash_on_every_change() {
    let api = Api::start().await;
    let created = api
        .post("/Users", json!({"userName": "anne", "active": true}))
        .await;
    let path = format!("/Users/{}", created.created());
    let mut user = created.body;
    user["password"] = json!("$pbkdf2-sha512$25000$c2FsdA$aGFzaA");
    user["preferredLanguage"] = json!("fr");
    let put = api.put(&path, user.clone()).await;
    assert_eq!(put.body["preferredLanguage"], "fr");
    assert_eq!(put.body.get("password"), None);
    // Nothing but the password is different: nothing changes.
    user["password"] = json!("$pbkdf2-sha512$25000$c2FsdA$b3RoZXI");
    assert_eq!(api.put(&path, user).await.body["meta"], put.body["meta"]);
}

#[tokio::test]
async fn a_head_is_a_get_without_a_body_and_options_are_not_supported() {
    let api = Api::start().await;
    let path = format!("/Users/{}", api.user("anne").await);
    for path in ["/Users", &path, "/ServiceProviderConfig"] {
        let head = api.call(Method::HEAD, path, Value::Null).await;
        assert_eq!((head.status, &head.body), (StatusCode::OK, &Value::Null));
        assert_eq!(head.headers["content-type"], "application/scim+json");
        let options = api.call(Method::OPTIONS, path, Value::Null).await;
        options.is_error(405, None);
        assert!(options.headers["allow"].to_str().unwrap().contains("GET"));
    }
    let nobody = "/Users/00000000-0000-4000-8000-000000000000";
    let head = api.call(Method::HEAD, nobody, Value::Null).await;
    assert_eq!(
        (head.status, head.body),
        (StatusCode::NOT_FOUND, Value::Null)
    );
}

#[tokio::test]
async fn members_are_removed_by_a_filter_however_it_is_spaced() {
    let api = Api::start().await;
    let anne = api.user("anne").await;
    for path in [
        format!("members[value eq \"{anne}\"]"),
        format!("members[ value  eq \"{anne}\" ] "),
        format!(" MEMBERS[VALUE EQ \"{anne}\"]"),
        format!("members[value eq \"{}\"]", anne.to_uppercase()),
        format!("urn:ietf:params:scim:schemas:core:2.0:Group:members[value eq \"{anne}\"]"),
    ] {
        let group = api.group("Team", &[&anne]).await;
        let remove = json!([{"op": "remove", "path": path}]);
        let answer = api.patch(&format!("/Groups/{group}"), remove).await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT, "{path}");
        assert_eq!(api.members(&group).await, [] as [&str; 0], "{path}");
    }
}

#[tokio::test]
async fn keys_are_read_whatever_their_order_and_case() {
    let api = Api::start().await;
    let path = format!("/Users/{}", api.user("anne").await);
    for body in [
        r#"{"Operations":[{"value":"False","path":"active","op":"Replace"}]}"#,
        r#"{"operations":[{"Op":"replace","Path":"active","Value":false}],"schemas":[]}"#,
        r#"{"OPERATIONS":[{"op":"REPLACE","path":"Active","value":"FALSE"}]}"#,
    ] {
        let on = json!([{"op": "replace", "path": "active", "value": true}]);
        assert_eq!(api.patch(&path, on).await.body["active"], true);
        let off = written(&api, Method::PATCH, &path, body).await;
        assert_eq!(off.body["active"], false, "{body}");
    }
}
