//! What is one name, and what is another (docs/scim.md).

use http::StatusCode;
use serde_json::{Value, json};

use crate::api::Api;

#[tokio::test]
async fn rfc7643_4_1_1_a_user_name_is_taken_in_every_case_and_every_script() {
    let api = Api::start().await;
    for (name, same) in [
        ("Ada@Example.com", "aDA@eXAMPLE.COM"),
        ("élan", "ÉLAN"),
        ("οδος", "ΟΔΟΣ"),
        ("ОЛЬГА", "ольга"),
    ] {
        let id = api.user(name).await;
        let again = api.post("/Users", json!({"userName": same})).await;
        again.is_error(409, Some("uniqueness"));
        let other = api.user(&format!("other {name}")).await;
        let rename = json!([{"op": "replace", "path": "userName", "value": same}]);
        let renamed = api.patch(&format!("/Users/{other}"), rename.clone()).await;
        renamed.is_error(409, Some("uniqueness"));
        // It is found in every case, and its own name may change its case.
        let found = api
            .search("/Users", &format!("userName eq \"{same}\""))
            .await;
        assert_eq!(found.listed("userName"), [name]);
        let own = api.patch(&format!("/Users/{id}"), rename).await;
        assert_eq!(own.body["userName"], same);
    }
}

#[tokio::test]
async fn what_only_looks_alike_is_another_name() {
    let api = Api::start().await;
    for name in [
        "ada",
        "\u{430}da",
        "élan",
        "e\u{301}lan",
        "straße",
        "strasse",
        "i",
        "ı",
        "İ",
        "a\u{200b}da",
    ] {
        api.user(name).await;
        let found = api
            .search("/Users", &format!("userName eq \"{name}\""))
            .await;
        assert_eq!(found.listed("userName"), [name]);
    }
}

#[tokio::test]
async fn a_name_that_is_too_long_is_refused_and_never_cut() {
    let api = Api::start().await;
    let long = "n".repeat(1024);
    api.user(&long).await;
    for name in [format!("{long}a"), format!("{long}b"), "é".repeat(513)] {
        let answer = api.post("/Users", json!({"userName": name})).await;
        answer.is_error(400, Some("invalidValue"));
        assert_eq!(answer.body["detail"], "userName: longer than 1024 bytes");
        let found = api
            .search("/Users", &format!("userName eq \"{name}\""))
            .await;
        assert_eq!(found.listed("id"), [] as [&str; 0]);
    }
    let id = api.user("short").await;
    let external = json!([{"op": "add", "path": "externalId", "value": format!("{long}a")}]);
    let answer = api.patch(&format!("/Users/{id}"), external).await;
    answer.is_error(400, Some("invalidValue"));
    assert_eq!(answer.body["detail"], "externalId: longer than 1024 bytes");
}

#[tokio::test]
async fn a_name_has_nothing_around_or_in_it_that_nobody_sees() {
    let api = Api::start().await;
    let id = api.user("ada").await;
    let path = format!("/Users/{id}");
    for (name, why) in [
        (" ada", "userName: begins or ends with a space"),
        ("ada\u{a0}", "userName: begins or ends with a space"),
        ("ada\n", "userName: begins or ends with a space"),
        ("a\u{7}da", "userName: contains a control character"),
        ("a\u{85}da", "userName: contains a control character"),
        ("a\u{0}da", "userName: contains NUL"),
        ("  ", "\"userName\" has no value"),
        ("", "\"userName\" has no value"),
    ] {
        let rename = json!([{"op": "replace", "path": "userName", "value": name}]);
        for answer in [
            api.post("/Users", json!({"userName": name})).await,
            api.put(&path, json!({"userName": name})).await,
            api.patch(&path, rename).await,
        ] {
            answer.is_error(400, Some("invalidValue"));
            assert_eq!(answer.body["detail"], why, "{name:?}");
        }
    }
    api.user("ada lovelace").await;
    assert_eq!(api.get(&path).await.body["userName"], "ada");
}

#[tokio::test]
async fn an_absent_active_is_true_on_post_and_stays_on_put_and_null_or_removed_is_false() {
    let api = Api::start().await;
    let active = |body: &Value| body.get("active").cloned().unwrap_or(json!(false));
    let anne = json!({"userName": "anne"});
    let created = api.post("/Users", anne.clone()).await;
    assert_eq!(active(&created.body), json!(true));
    let path = format!("/Users/{}", created.created());
    assert_eq!(
        active(&api.put(&path, anne.clone()).await.body),
        json!(true)
    );
    let off = json!({"userName": "anne", "active": null});
    assert_eq!(
        active(&api.put(&path, off.clone()).await.body),
        json!(false)
    );
    assert_eq!(active(&api.put(&path, anne).await.body), json!(false));
    let on = json!([{"op": "add", "value": {"active": true}}]);
    for operation in [
        json!({"op": "remove", "path": "active"}),
        json!({"op": "replace", "path": "active", "value": null}),
        json!({"op": "replace", "value": {"active": null}}),
    ] {
        assert_eq!(
            active(&api.patch(&path, on.clone()).await.body),
            json!(true)
        );
        let answer = api.patch(&path, json!([operation])).await;
        assert_eq!(
            (answer.status, active(&answer.body)),
            (StatusCode::OK, json!(false)),
            "{operation}"
        );
    }
    let ben = json!({"userName": "ben", "active": null});
    assert_eq!(active(&api.post("/Users", ben).await.body), json!(false));
}
