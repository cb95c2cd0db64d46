//! RFC 9865: paging by cursor.

use http::Method;
use scimesh_feeder::scim::{Limits, Settings};
use serde_json::{Value, json};

use crate::api::{Answer, Api, OTHER};

/// The query for the page after this one.
fn next(page: &Answer) -> Option<String> {
    let cursor = page.body.get("nextCursor")?;
    Some(format!("cursor={}", cursor.as_str().unwrap()))
}

/// Every page of a list.
async fn walk(api: &Api, path: &str, attribute: &str) -> Vec<Vec<String>> {
    let mut pages = Vec::new();
    let mut cursor = Some("cursor".to_owned());
    while let Some(at) = cursor {
        let page = api.get(&format!("{path}{at}")).await;
        let names = page.listed(attribute);
        pages.push(names.into_iter().map(str::to_owned).collect());
        assert!(page.body.get("startIndex").is_none());
        cursor = next(&page);
    }
    pages
}

async fn five(api: &Api) {
    for name in ["c", "a", "e", "b", "d"] {
        let user = json!({"userName": name, "title": "x"});
        api.post("/Users", user).await.created();
    }
}

#[tokio::test]
async fn rfc9865_2_every_resource_is_on_one_page() {
    let api = Api::start().await;
    five(&api).await;
    for (query, pages) in [
        ("", vec!["caebd"]),
        ("count=2&", vec!["ca", "eb", "d"]),
        ("count=5&", vec!["caebd"]),
        ("count=2&filter=title%20pr&", vec!["ca", "eb", "d"]),
        ("count=2&filter=userName%20gt%20%22b%22&", vec!["ce", "d"]),
        ("count=3&sortBy=userName&", vec!["abc", "de"]),
        (
            "count=2&sortBy=userName&sortOrder=descending&",
            vec!["ed", "cb", "a"],
        ),
        ("count=2&sortBy=title&", vec!["ca", "eb", "d"]),
        (
            "count=2&sortBy=nickName&sortOrder=descending&",
            vec!["ca", "eb", "d"],
        ),
        ("filter=title%20eq%20%22y%22&", vec![""]),
    ] {
        let found = walk(&api, &format!("/Users?{query}"), "userName").await;
        let found: Vec<String> = found.iter().map(|page| page.concat()).collect();
        assert_eq!(found, pages, "{query}");
    }
    let page = api.get("/Users?cursor=&count=2").await.body;
    assert_eq!(page["totalResults"], 5);
    assert_eq!(page["itemsPerPage"], 2);
    let none = api.get("/Users?cursor&count=0").await.body;
    assert_eq!(none["totalResults"], 5);
    assert_eq!(none.get("nextCursor"), None);
    // Without a cursor, the method is the index.
    let index = api.get("/Users?count=2").await.body;
    assert_eq!(index["startIndex"], 1);
    assert_eq!(index.get("nextCursor"), None);
}

#[tokio::test]
async fn rfc9865_3_a_search_is_paged_by_cursor() {
    let api = Api::start().await;
    five(&api).await;
    let mut cursor = json!("");
    let mut found = Vec::new();
    while !cursor.is_null() {
        let body =
            json!({"count": 2, "cursor": cursor, "sortBy": "userName", "filter": "title pr"});
        let page = api.post("/Users/.search", body).await;
        found.push(page.listed("userName").concat());
        cursor = page.body["nextCursor"].clone();
    }
    assert_eq!(found, ["ab", "cd", "e"]);
}

#[tokio::test]
async fn what_comes_and_goes_between_pages_moves_nobody_else() {
    for (sort, expected) in [
        // In the order of creation, both new ones are to come.
        ("", vec!["f", "h", "a", "g"]),
        ("sortBy=userName&", vec!["f", "g", "h"]),
    ] {
        let api = Api::start().await;
        let mut ids = Vec::new();
        for name in ["b", "d", "f", "h"] {
            ids.push(api.user(name).await);
        }
        let path = format!("/Users?{sort}");
        let page = api.get(&format!("{path}cursor=&count=2")).await;
        assert_eq!(page.listed("userName"), ["b", "d"]);
        // All of the page go, the last one of it too; two are new: one from before and one from after it.
        api.delete(&format!("/Users/{}", ids[0])).await;
        api.delete(&format!("/Users/{}", ids[1])).await;
        api.user("a").await;
        api.user("g").await;
        let page = api.get(&format!("{path}{}", next(&page).unwrap())).await;
        let rest = api.get(&format!("{path}{}", next(&page).unwrap())).await;
        let names = [page.listed("userName"), rest.listed("userName")].concat();
        assert_eq!(names, expected, "{sort}");
        assert_eq!(next(&rest), None);
    }
}

#[tokio::test]
async fn a_cursor_is_good_for_its_query_and_tenant_alone() {
    let api = Api::start().await;
    five(&api).await;
    for name in ["a", "b", "c"] {
        api.group(name, &[]).await;
        let user = json!({"userName": name});
        let made = api.call_as(OTHER, Method::POST, "/Users", user).await;
        made.created();
    }
    let page = api.get("/Users?cursor=&count=2").await;
    let at = next(&page).unwrap();
    let good = api.get(&format!("/Users?{at}")).await;
    assert_eq!(good.listed("userName"), ["e", "b"]);
    for path in [
        format!("/Groups?{at}"),
        format!("/?{at}"),
        format!("/Users?{at}&filter=title%20pr"),
        format!("/Users?{at}&sortBy=userName"),
        format!("/Users?{at}x"),
        "/Users?cursor=x".to_owned(),
        "/Users?cursor=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".to_owned(),
    ] {
        let answer = api.get(&path).await;
        answer.is_error(400, Some("invalidCursor"));
    }
    let path = format!("/Users?{at}");
    let other = api.call_as(OTHER, Method::GET, &path, Value::Null).await;
    other.is_error(400, Some("invalidCursor"));
}

#[tokio::test]
async fn rfc9865_2_1_a_count_that_changes_or_is_none_is_refused() {
    let api = Api::start().await;
    five(&api).await;
    let page = api.get("/Users?cursor=&count=2").await;
    let at = next(&page).unwrap();
    for count in ["3", "0", "x", "1.5", ""] {
        let answer = api.get(&format!("/Users?{at}&count={count}")).await;
        answer.is_error(400, Some("invalidCount"));
    }
    let first = api.get("/Users?cursor=&count=many").await;
    first.is_error(400, Some("invalidCount"));
    // A page is as large as a page may be, whatever is asked for.
    let all = api.get("/Users?cursor=&count=100000").await;
    assert_eq!(all.body["itemsPerPage"], 5);
}

#[tokio::test]
async fn a_cursor_and_an_index_contradict_each_other() {
    let api = Api::start().await;
    five(&api).await;
    let both = api.get("/Users?cursor=&startIndex=3").await;
    both.is_error(400, Some("invalidValue"));
    let same = api.get("/Users?cursor=&startIndex=1&count=1").await;
    assert_eq!(same.listed("userName"), ["c"]);
}

#[tokio::test]
async fn rfc9865_2_1_a_cursor_expires() {
    let settings = Settings {
        limits: Limits {
            cursor_seconds: 0,
            ..Limits::default()
        },
        ..Settings::default()
    };
    let api = Api::with(settings).await;
    five(&api).await;
    let page = api.get("/Users?cursor=&count=2").await;
    let late = api.get(&format!("/Users?{}", next(&page).unwrap())).await;
    late.is_error(400, Some("expiredCursor"));
}

#[tokio::test]
async fn users_and_groups_are_paged_together() {
    let api = Api::start().await;
    five(&api).await;
    for name in ["x", "y"] {
        api.group(name, &[]).await;
    }
    api.user("f").await;
    for (sort, count) in [("", 2), ("", 6), ("sortBy=meta.created&", 3)] {
        let pages = walk(&api, &format!("/?{sort}count={count}&"), "id").await;
        let mut ids: Vec<String> = pages.concat();
        assert_eq!(ids.len(), 8);
        let whole = api.get(&format!("/?{sort}")).await;
        assert_eq!(whole.listed("id"), ids, "{sort}");
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 8);
    }
}
