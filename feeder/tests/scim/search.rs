//! RFC 7644 section 3.4.3, and queries at the root (section 3.4.2.1).

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::api::{Answer, Api, request};

async fn company() -> Api {
    let api = Api::start().await;
    let anne = json!({"userName": "anne", "displayName": "Anne", "title": "Dr"});
    let anne = api.post("/Users", anne).await.created();
    api.user("ben").await;
    api.group("Team", &[&anne]).await;
    api.group("Empty", &[]).await;
    api
}

fn shown(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    let resources = answer.body["Resources"].as_array().unwrap().iter();
    let name = |resource: &Value| {
        let name = resource.get("userName").or(resource.get("displayName"));
        name.unwrap().as_str().unwrap().to_owned()
    };
    resources.map(name).collect()
}

#[tokio::test]
async fn rfc7644_3_4_3_a_search_answers_what_get_answers() {
    let api = company().await;
    for (path, body, query) in [
        (
            "/Users",
            json!({"filter": "title eq \"dr\""}),
            "filter=title%20eq%20%22dr%22",
        ),
        ("/Users", json!({}), ""),
        (
            "/Users",
            json!({
                "attributes": ["userName", "name.givenName"], "sortBy": "userName",
                "sortOrder": "descending", "count": 1,
            }),
            "attributes=userName,name.givenName&sortBy=userName&sortOrder=descending&count=1",
        ),
        (
            "/Groups",
            json!({"excludedAttributes": ["members"], "startIndex": 2}),
            "excludedAttributes=members&startIndex=2",
        ),
        (
            "/",
            json!({"filter": "displayName pr"}),
            "filter=displayName%20pr",
        ),
    ] {
        let at = format!("{}/.search", path.trim_end_matches('/'));
        let found = api.post(&at, body).await;
        assert_eq!(found.status, StatusCode::OK, "{}", found.body);
        assert_eq!(found.headers["content-type"], "application/scim+json");
        let listed = api.get(&format!("{path}?{query}")).await;
        assert_eq!(found.body, listed.body, "{path} {query}");
    }
}

#[tokio::test]
async fn rfc7644_3_4_3_a_bad_search_request_names_the_field() {
    let api = company().await;
    for (body, field) in [
        (json!({"attributes": "userName"}), "attributes"),
        (json!({"count": "ten"}), "count"),
        (json!({"startIndex": 1.5}), "startIndex"),
        (json!({"filter": 1}), "filter"),
        (json!({"sortOrder": "up"}), "sortOrder"),
    ] {
        for path in ["/.search", "/Users/.search", "/Groups/.search"] {
            let answer = api.post(path, body.clone()).await;
            answer.is_error(400, Some("invalidValue"));
            let detail = answer.body["detail"].as_str().unwrap();
            assert!(detail.contains(field), "{detail}");
        }
    }
    let list = api.post("/Users/.search", json!([])).await;
    list.is_error(400, Some("invalidSyntax"));
    let filter = json!({"filter": "usrName pr"});
    let misnamed = api.post("/Users/.search", filter).await;
    misnamed.is_error(400, Some("invalidFilter"));
    for method in [Method::GET, Method::PUT, Method::PATCH, Method::DELETE] {
        let answer = api.call(method, "/Users/.search", json!({})).await;
        answer.is_error(405, None);
    }
    let anonymous = request(Method::POST, "/.search", "nobody");
    api.send(anonymous, "{}".into()).await.is_error(401, None);
}

#[tokio::test]
async fn rfc7644_3_4_2_1_the_root_has_users_and_then_groups() {
    let api = company().await;
    for (filter, names) in [
        (r#"id pr"#, vec!["anne", "ben", "Team", "Empty"]),
        (r#"meta.resourceType eq "User""#, vec!["anne", "ben"]),
        (r#"meta.resourceType eq "Group""#, vec!["Team", "Empty"]),
        // What the one kind lacks is absent there.
        (
            r#"userName eq "ANNE" or displayName eq "team""#,
            vec!["anne", "Team"],
        ),
        (r#"not (userName pr)"#, vec!["Team", "Empty"]),
        (r#"members pr or title pr"#, vec!["anne", "Team"]),
        (r#"members.value pr"#, vec!["Team"]),
        (r#"groups[display eq "Team"]"#, vec!["anne"]),
        (r#"active eq true"#, vec!["anne", "ben"]),
        (
            r#"schemas eq "urn:ietf:params:scim:schemas:core:2.0:Group""#,
            vec!["Team", "Empty"],
        ),
        (
            r#"urn:ietf:params:scim:schemas:core:2.0:User:userName sw "b""#,
            vec!["ben"],
        ),
        (r#"department eq null and userName pr"#, vec!["anne", "ben"]),
    ] {
        let found = api.search("", filter).await;
        assert_eq!(shown(&found), names, "{filter}");
        assert_eq!(found.body["totalResults"], names.len(), "{filter}");
        assert_eq!(api.search("/", filter).await.body, found.body, "{filter}");
    }
    let unknown = api.search("/", "usrName pr").await;
    unknown.is_error(400, Some("invalidFilter"));
    for (query, names) in [
        ("startIndex=2&count=2", vec!["ben", "Team"]),
        ("startIndex=4", vec!["Empty"]),
        ("startIndex=5", vec![]),
        ("sortBy=displayName", vec!["anne", "Empty", "Team", "ben"]),
        (
            "sortBy=userName&sortOrder=descending",
            vec!["Team", "Empty", "ben", "anne"],
        ),
        ("attributes=userName,displayName&count=1", vec!["anne"]),
    ] {
        let found = api.get(&format!("/?{query}")).await;
        assert_eq!(shown(&found), names, "{query}");
        assert_eq!(found.body["totalResults"], 4, "{query}");
    }
    api.post("/", json!({})).await.is_error(405, None);
    api.post("", json!({})).await.is_error(405, None);
}

#[tokio::test]
async fn a_path_means_the_same_with_a_slash_at_its_end() {
    let api = company().await;
    let id = api.get("/Users?count=1").await.listed("id")[0].to_owned();
    let user = format!("/Users/{id}");
    for path in ["/Users", "/Groups", "", "/Schemas", &user] {
        for query in ["", "?count=1&attributes=userName"] {
            let plain = api.get(&format!("{path}{query}")).await;
            assert_eq!(plain.status, StatusCode::OK, "{path}");
            let slash = api.get(&format!("{path}/{query}")).await;
            assert_eq!(slash.status, plain.status, "{path}");
            assert_eq!(slash.body, plain.body, "{path}");
        }
    }
    let made = api.post("/Users/", json!({"userName": "cleo"})).await;
    assert_eq!(made.status, StatusCode::CREATED);
    let found = api.post("/Users/.search/", json!({})).await;
    assert_eq!(found.listed("userName"), ["anne", "ben", "cleo"]);
    api.get("/Nothing/").await.is_error(404, None);
}

#[tokio::test]
async fn a_query_that_would_take_too_long_is_refused() {
    let mut settings = scimesh_feeder::scim::Settings::default();
    settings.limits.work = 100;
    let api = Api::with(settings).await;
    for name in 0..30 {
        let user = json!({"userName": format!("u{name}")});
        let user = user.as_object().cloned().unwrap();
        let made = api
            .ledger
            .commit(move |draft| draft.create_user("corp", uuid::Uuid::new_v4(), user));
        made.await.unwrap();
    }
    let long = vec![r#"title eq "x""#; 20].join(" or ");
    let body = json!({ "filter": long });
    let answer = api.post("/Users/.search", body).await;
    answer.is_error(400, Some("tooMany"));
    // An index takes no steps for those that it passes by.
    let short = vec![r#"userName eq "u7""#; 20].join(" or ");
    let body = json!({ "filter": short });
    let answer = api.post("/Users/.search", body).await;
    assert_eq!(answer.listed("userName"), ["u7"]);
}
