use http::StatusCode;
use serde_json::json;

use crate::api::Api;

#[tokio::test]
async fn rfc7644_3_4_2_an_empty_list_is_a_list_response() {
    let api = Api::start().await;
    for path in ["/Users", "/Groups"] {
        let answer = api.get(path).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(
            answer.body,
            json!({
                "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
                "totalResults": 0, "startIndex": 1, "itemsPerPage": 0, "Resources": [],
            })
        );
    }
}

#[tokio::test]
async fn rfc7644_3_4_2_4_pages_are_in_the_order_of_creation() {
    let api = Api::start().await;
    for name in ["c", "a", "e", "b", "d"] {
        api.user(name).await;
    }
    for (query, names) in [
        ("", vec!["c", "a", "e", "b", "d"]),
        ("startIndex=1&count=2", vec!["c", "a"]),
        ("startIndex=3&count=2", vec!["e", "b"]),
        ("startIndex=5&count=2", vec!["d"]),
        ("startIndex=6", vec![]),
        ("startIndex=-1&count=1", vec!["c"]),
        ("count=0", vec![]),
        ("count=-7", vec![]),
        (
            "startIndex=18446744073709551616&count=18446744073709551616",
            vec![],
        ),
    ] {
        let page = api.get(&format!("/Users?{query}")).await;
        assert_eq!(page.listed("userName"), names, "{query}");
        assert_eq!(page.body["totalResults"], 5);
        assert_eq!(page.body["itemsPerPage"], names.len());
    }
    // A change does not move a resource.
    let first = api.get("/Users?count=1").await;
    let id = first.body["Resources"][0]["id"].as_str().unwrap();
    let change = json!([{"op": "add", "path": "title", "value": "x"}]);
    api.patch(&format!("/Users/{id}"), change).await;
    assert_eq!(
        api.get("/Users").await.listed("userName"),
        ["c", "a", "e", "b", "d"]
    );
    api.get("/Users?count=x")
        .await
        .is_error(400, Some("invalidValue"));
}

#[tokio::test]
async fn rfc7644_3_4_2_2_users_are_found_with_and_without_an_index() {
    let api = Api::start().await;
    for (name, external, email, title) in [
        ("Anne@x.com", "E-1", "Anne@Work.com", "Dr"),
        ("ben@x.com", "e-1", "ben@work.com", "dr"),
        ("cleo@x.com", "E-3", "cleo@work.com", "Prof"),
    ] {
        let body = json!({
            "userName": name, "externalId": external, "title": title, "displayName": name,
            "emails": [{"value": email, "type": "work"}, {"value": "shared@home.com", "type": "home"}],
        });
        assert_eq!(api.post("/Users", body).await.status, StatusCode::CREATED);
    }
    let (anne, ben, cleo) = ("Anne@x.com", "ben@x.com", "cleo@x.com");
    let id = api.get("/Users?count=1").await.listed("id")[0].to_owned();
    for (filter, names) in [
        (r#"userName eq "ANNE@X.COM""#, vec![anne]),
        (r#"username Eq "nobody""#, vec![]),
        (r#"externalId eq "E-1""#, vec![anne]),
        (r#"externalId eq "e-3""#, vec![]),
        (&format!("id eq \"{id}\""), vec![anne]),
        (r#"id eq "x""#, vec![]),
        (r#"emails.value eq "anne@work.com""#, vec![anne]),
        (r#"emails eq "shared@home.com""#, vec![anne, ben, cleo]),
        (
            r#"emails[type eq "work"].value eq "BEN@work.com""#,
            vec![ben],
        ),
        (r#"emails[type eq "home"].value eq "ben@work.com""#, vec![]),
        (
            r#"emails[value eq "ben@work.com" and type eq "work"]"#,
            vec![ben],
        ),
        (r#"title eq "DR""#, vec![anne, ben]),
        (r#"title eq "dr" and userName eq "ben@x.com""#, vec![ben]),
        (
            r#"userName eq "anne@x.com" or externalId eq "E-3""#,
            vec![anne, cleo],
        ),
        (r#"not (userName eq "anne@x.com")"#, vec![ben, cleo]),
        (r#"displayName sw "c""#, vec![cleo]),
        (
            r#"meta.resourceType eq "User" and active eq true"#,
            vec![anne, ben, cleo],
        ),
        (
            r#"meta.created gt "2020-01-01T00:00:00Z""#,
            vec![anne, ben, cleo],
        ),
        (
            r#"schemas eq "urn:ietf:params:scim:schemas:core:2.0:User""#,
            vec![anne, ben, cleo],
        ),
        (r#"groups pr"#, vec![]),
        (r#"userName sw "A""#, vec![anne]),
        (r#"userName sw """#, vec![anne, ben, cleo]),
        (r#"displayName eq "CLEO@x.com""#, vec![cleo]),
        (r#"displayName eq "nobody" or title eq "prof""#, vec![cleo]),
        (
            r#"(emails eq "anne@work.com" or userName sw "c") and active eq true"#,
            vec![anne, cleo],
        ),
        (r#"not (emails eq "shared@home.com")"#, vec![]),
        (
            r#"emails[not (value eq "ben@work.com")]"#,
            vec![anne, ben, cleo],
        ),
        (r#"emails ne "shared@home.com""#, vec![anne, ben, cleo]),
        (r#"userName eq "anne@x.com" and title eq "prof""#, vec![]),
        (r#"externalId eq "E-1" and externalId eq "E-3""#, vec![]),
    ] {
        let found = api.search("/Users", filter).await;
        assert_eq!(found.listed("userName"), names, "{filter}");
        assert_eq!(found.body["totalResults"], names.len(), "{filter}");
    }
    for filter in [
        "userName",
        r#"password eq "x""#,
        r#"usrName eq "x""#,
        &"(".repeat(5000),
    ] {
        let answer = api.search("/Users", filter).await;
        answer.is_error(400, Some("invalidFilter"));
    }
}

#[tokio::test]
async fn groups_are_found_by_name_external_id_and_member() {
    let api = Api::start().await;
    let anne = api.user("anne").await;
    let team = api.group("Team", &[&anne]).await;
    let org = api.group("Org", &[&team]).await;
    let empty = json!({"displayName": "Empty", "externalId": "X"});
    let empty = api.post("/Groups", empty).await.created();
    for (filter, ids) in [
        (r#"displayName eq "team""#.to_owned(), vec![&team]),
        (format!("id eq \"{org}\""), vec![&org]),
        (r#"externalId eq "X""#.to_owned(), vec![&empty]),
        (r#"externalId eq "x""#.to_owned(), vec![]),
        (format!("members.value eq \"{anne}\""), vec![&team]),
        (format!("members eq \"{team}\""), vec![&org]),
        (
            format!("members[value eq \"{anne}\" and type eq \"User\"]"),
            vec![&team],
        ),
        (
            format!("members[value eq \"{anne}\" and type eq \"Group\"]"),
            vec![],
        ),
        ("not (members pr)".to_owned(), vec![&empty]),
    ] {
        assert_eq!(
            api.search("/Groups", &filter).await.listed("id"),
            ids,
            "{filter}"
        );
    }
    let user = api
        .search("/Users", &format!("groups.value eq \"{org}\""))
        .await;
    assert_eq!(user.listed("id"), [&anne]);
}

#[tokio::test]
async fn rfc7644_3_4_2_2_an_empty_external_id_is_compared_as_what_it_is() {
    let api = Api::start().await;
    let user = json!({"userName": "anne", "externalId": ""});
    api.post("/Users", user).await.created();
    let group = json!({"displayName": "g", "externalId": ""});
    api.post("/Groups", group).await.created();
    for (filter, total) in [
        (r#"externalId eq """#, 1),
        (r#"externalId lt "a""#, 1),
        (r#"externalId co """#, 1),
        ("externalId pr", 0),
    ] {
        for path in ["/Users", "/Groups"] {
            let found = api.search(path, filter).await;
            assert_eq!(found.body["totalResults"], total, "{path} {filter}");
        }
    }
}
