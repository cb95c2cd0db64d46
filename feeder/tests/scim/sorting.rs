//! RFC 7644 section 3.4.2.3.

use http::StatusCode;
use serde_json::{Value, json};

use crate::api::Api;

const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

async fn create(api: &Api, users: &[Value]) {
    for user in users {
        let answer = api.post("/Users", user.clone()).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
    }
}

async fn sorted(api: &Api, query: &str) -> String {
    let answer = api.get(&format!("/Users?sortBy={query}")).await;
    answer.listed("userName").join(" ")
}

#[tokio::test]
async fn rfc7644_3_4_2_3_a_list_is_sorted_by_any_attribute() {
    let api = Api::start().await;
    create(
        &api,
        &[
            json!({"userName": "c", "title": "b", "active": false, "roles": [{"value": "b"}],
                "name": {"familyName": "É"}, ENTERPRISE: {"department": "2"},
                "emails": [{"value": "a@x"}, {"value": "z@x", "primary": true}]}),
            json!({"userName": "a", "title": "B", "roles": [{"value": "B"}],
                "name": {"familyName": "z"}, ENTERPRISE: {"department": "1"},
                "emails": [{"value": "Y@x"}, {"value": "b@x"}]}),
            json!({"userName": "B", "title": "A", "roles": [{"value": "a"}],
                "name": {"familyName": "A"}, "emails": [{"value": "x@x"}]}),
            json!({"userName": "d"}),
        ],
    )
    .await;
    for (query, users) in [
        ("userName", "a B c d"),
        ("USERNAME&sortOrder=Descending", "d c B a"),
        // What is equal stays in the order of creation, whichever way; what is missing is last, or first.
        ("title", "B c a d"),
        ("title&sortOrder=descending", "d c a B"),
        ("active", "c a B d"),
        // Where case matters, capitals come first.
        ("roles", "a B c d"),
        ("roles.value&sortOrder=descending", "d c B a"),
        ("name.familyName", "B a c d"),
        // The primary value, or else the first.
        ("emails", "B a c d"),
        ("emails.value", "B a c d"),
        ("meta.created", "c a B d"),
        ("meta.resourceType&sortOrder=descending", "c a B d"),
        ("nickName", "c a B d"),
        ("groups", "c a B d"),
        ("department", "a c B d"),
        ("&sortOrder=descending", "c a B d"),
        (&format!("{ENTERPRISE}:department"), "a c B d"),
    ] {
        assert_eq!(sorted(&api, query).await, users, "{query}");
    }
}

#[tokio::test]
async fn rfc7644_3_4_2_3_what_can_not_be_sorted_by_is_refused() {
    let api = Api::start().await;
    for query in [
        "sortBy=usrName",
        "sortBy=name",
        "sortBy=meta",
        "sortBy=password",
        "sortBy=members",
        "sortBy=userName&sortOrder=up",
        "sortOrder=up",
    ] {
        let answer = api.get(&format!("/Users?{query}")).await;
        answer.is_error(400, Some("invalidValue"));
    }
    let misnamed = api.get("/Users?sortBy=usrName").await;
    let detail = misnamed.body["detail"].as_str().unwrap();
    assert!(detail.contains("did you mean \"userName\""), "{detail}");
}

#[tokio::test]
async fn rfc7644_3_4_2_3_sorting_goes_with_filters_and_pages() {
    let api = Api::start().await;
    let names: Vec<String> = (0..40).map(|n| format!("u{:02}", n * 17 % 40)).collect();
    for (index, name) in names.iter().enumerate() {
        let title = if index % 2 == 0 { "even" } else { "odd" };
        create(&api, &[json!({"userName": name, "title": title})]).await;
    }
    let expected = |keep: &dyn Fn(usize) -> bool| {
        let kept = names.iter().enumerate().filter(|(index, _)| keep(*index));
        let mut kept: Vec<&str> = kept.map(|(_, name)| name.as_str()).collect();
        kept.sort_unstable();
        kept
    };
    for (filter, expected) in [
        ("", expected(&|_| true)),
        ("title%20eq%20%22odd%22", expected(&|n| n % 2 == 1)),
        (
            "userName%20sw%20%22U%22%20and%20title%20eq%20%22even%22",
            expected(&|n| n % 2 == 0),
        ),
    ] {
        for count in [1, 7, 19, 20, 100] {
            for order in ["ascending", "descending"] {
                let mut all = Vec::new();
                loop {
                    let start = all.len() + 1;
                    let query = format!(
                        "/Users?sortBy=userName&sortOrder={order}&startIndex={start}&count={count}&filter={filter}"
                    );
                    let page = api.get(&query).await;
                    assert_eq!(page.body["totalResults"], expected.len());
                    let names = page.listed("userName");
                    if names.is_empty() {
                        break;
                    }
                    all.extend(names.into_iter().map(str::to_owned));
                }
                if order == "descending" {
                    all.reverse();
                }
                assert_eq!(all, expected, "{filter} {count} {order}");
            }
        }
    }
}

/// More than is held on to at once while the first few are looked for.
#[tokio::test]
async fn the_first_of_many_are_found() {
    let api = Api::start().await;
    let made = api.ledger.commit(|draft| {
        for n in 0..1000 {
            let user = json!({"userName": format!("u{:03}", n * 617 % 1000), "active": true});
            let user = user.as_object().cloned().unwrap_or_default();
            draft.create_user("corp", uuid::Uuid::new_v4(), user)?;
        }
        Ok::<_, scimesh_feeder::directory::Refused>(())
    });
    made.await.unwrap();
    let page = api.get("/Users?sortBy=userName&startIndex=3&count=3").await;
    assert_eq!(page.listed("userName"), ["u002", "u003", "u004"]);
    assert_eq!(page.body["totalResults"], 1000);
    let page = api.get("/Users?sortBy=userName&cursor=&count=400").await;
    let next = page.body["nextCursor"].as_str().unwrap();
    let page = api
        .get(&format!("/Users?sortBy=userName&cursor={next}"))
        .await;
    assert_eq!(page.listed("userName")[399], "u799");
}

#[tokio::test]
async fn groups_are_sorted_without_their_members() {
    let api = Api::start().await;
    let ada = api.user("ada").await;
    for name in ["b", "A", "c"] {
        api.group(name, &[&ada]).await;
    }
    let groups = api
        .get("/Groups?sortBy=displayName&excludedAttributes=members")
        .await;
    assert_eq!(groups.listed("displayName"), ["A", "b", "c"]);
    assert_eq!(groups.body["Resources"][0]["members"], Value::Null);
}
