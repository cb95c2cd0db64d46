use std::cell::RefCell;
use std::io::{self, Write};
use std::sync::Once;

use serde_json::json;

use crate::api::{Api, CORP};

thread_local! {
    /// What this test's thread has logged. Tests share one subscriber: one of its own a test would race for the callsites.
    static LINES: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

struct Lines;

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LINES.with_borrow_mut(|lines| lines.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Keeps every thread's log lines from now on.
pub(crate) fn keep() {
    static KEPT: Once = Once::new();
    KEPT.call_once(|| {
        tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .with_writer(|| Lines)
            .init();
    });
}

/// What this test has logged since it last asked.
pub(crate) fn taken() -> String {
    String::from_utf8(LINES.take()).unwrap()
}

#[tokio::test]
async fn a_request_leaves_one_line_without_personal_data() {
    let api = Api::start().await;
    let user = json!({
        "userName": "anne-private", "usrName": "anne-private", "password": "anne-private",
        "active": "True", "emails": [{"value": "anne-private@x.com"}],
    });
    let id = api.post("/Users", user.clone()).await.created();
    api.post("/Users", user)
        .await
        .is_error(409, Some("uniqueness"));
    let off = json!([{"op": "Replace", "path": "active", "value": "False"}]);
    api.patch(&format!("/Users/{id}"), off).await;
    api.search("/Users", r#"userName eq "anne-private""#).await;
    api.get("/Users/anne-private").await.is_error(404, None);
    let path = "/anne-private";
    api.call_as("wrong-private", http::Method::GET, path, json!(null))
        .await;

    let text = taken();
    assert!(!text.contains("private") && !text.contains(CORP), "{text}");
    let requests: Vec<&str> = text
        .lines()
        .filter(|l| l.contains("SCIM request"))
        .collect();
    assert_eq!(requests.len(), 6, "{text}");
    for (line, words) in [
        (
            0,
            vec![
                "corp",
                "POST",
                "/Users",
                &id,
                "status=201",
                "string-boolean",
                "password-dropped",
                "unknown-attribute",
            ],
        ),
        (1, vec!["status=409", "uniqueness"]),
        (
            2,
            vec!["PATCH", "/Users/{id}", &id, "status=200", "capital-op"],
        ),
        (3, vec!["GET", "/Users", "status=200"]),
        (4, vec!["/Users/{id}", "status=404"]),
        (5, vec!["tenant=\"-\"", "status=401"]),
    ] {
        for word in words {
            assert!(requests[line].contains(word), "{word}: {}", requests[line]);
        }
    }
    let misnamed = text.lines().find(|line| line.contains("misnamed")).unwrap();
    assert!(
        misnamed.contains("usrName") && misnamed.contains("userName"),
        "{misnamed}"
    );
}

/// The lines that this test's thread has logged since it was last asked.
fn lines() -> Vec<String> {
    let text = String::from_utf8(LINES.take()).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn nothing_that_a_client_writes_is_logged_however_its_request_fails() {
    let api = Api::start().await;
    let id = api.user("anne").await;
    let group = api.group("team", &[]).await;
    let (user, group) = (format!("/Users/{id}"), format!("/Groups/{group}"));
    lines();
    let secret = "anne-private";
    let members =
        |value: &str| json!([{"op": "remove", "path": "members", "value": [{"value": value}]}]);
    api.post("/Users", json!({"userName": secret.repeat(100)}))
        .await;
    api.post("/Users", json!({"userName": "x", "active": secret}))
        .await;
    api.post(
        "/Users",
        json!({"userName": "x", "meta": secret, "id": secret}),
    )
    .await;
    api.post(
        "/Groups",
        json!({"displayName": "g", "members": [{"value": secret}]}),
    )
    .await;
    api.put(&user, json!({"userName": null, "title": secret}))
        .await;
    api.patch(&group, members(secret)).await;
    for path in [
        secret,
        "emails[value eq \"anne-private\"",
        "anne-private.anne-private",
    ] {
        api.patch(
            &user,
            json!([{"op": "replace", "path": path, "value": secret}]),
        )
        .await;
    }
    for filter in [
        "userName eq \"anne-private\" and",
        "usrName eq \"anne-private\"",
        "anne-private eq 1",
        "userName eq anne-private",
    ] {
        api.search("/Users", filter).await;
    }
    let bulk = json!({"Operations": [
        {"method": "POST", "path": "/Users", "bulkId": secret, "data": {"userName": "anne", "title": secret}},
        {"method": "DELETE", "path": format!("/Users/{secret}")},
    ]});
    api.post("/Bulk", bulk).await;
    for path in [
        "/Users/anne-private",
        "/anne-private",
        "/Schemas/anne-private",
        "/Users?x=anne-private",
    ] {
        api.get(path).await;
    }
    let method = http::Method::from_bytes(b"ANNE-PRIVATE").unwrap();
    api.call(method, "/Users", json!(null)).await;
    let body = axum::body::Body::from("{\"anne-private\":\"anne-private\",\"anne-private\":1}");
    api.send(
        crate::api::request(http::Method::POST, "/Users", CORP),
        body,
    )
    .await;

    let lines = lines();
    assert!(lines.len() >= 20, "{lines:#?}");
    for line in &lines {
        assert!(
            !line.contains("private") && !line.contains("PRIVATE") && !line.contains(CORP),
            "{line}"
        );
    }
    // A misspelt name is no value: it is what the line is for.
    let misnamed = lines.iter().find(|line| line.contains("misnamed")).unwrap();
    assert!(
        misnamed.contains("usrName") && misnamed.contains("userName"),
        "{misnamed}"
    );
}

#[tokio::test]
async fn a_misnamed_attribute_in_a_bulk_operation_is_in_the_log() {
    let api = Api::start().await;
    let user = api.user("anne").await;
    lines();
    let path = json!([{"op": "replace", "path": "emails[type eq \"work\"].vlaue", "value": "x"}]);
    let bulk = json!({"Operations": [
        {"method": "PATCH", "path": format!("/Users/{user}"), "data": {"Operations": path}},
    ]});
    api.post("/Bulk", bulk).await;
    let lines = lines();
    let misnamed = lines.iter().find(|line| line.contains("misnamed"));
    assert!(
        misnamed.is_some_and(|line| line.contains("vlaue")),
        "{lines:#?}"
    );
}

#[tokio::test]
async fn a_name_that_a_client_chose_begins_no_line_and_is_cut() {
    let api = Api::start().await;
    lines();
    let forged = format!("user\u{1b}\u{7f}\u{7}forged{}", "x".repeat(1000));
    let body = json!({"userName": "anne", forged: 1, "user\nINFO": 1});
    api.post("/Users", body).await.created();
    let lines = lines();
    let forged = lines.iter().find(|line| line.contains("forged")).unwrap();
    assert!(
        forged.contains("user\\u{1b}\\u{7f}\\u{7}forgedxx"),
        "{forged}"
    );
    for line in &lines {
        assert!(line.len() < 400 && line.starts_with("20"), "{line}");
        assert!(!line.contains(char::is_control), "{line}");
    }
}

#[tokio::test]
async fn a_revision_is_logged_of_writes_that_changed_something_and_never_answered() {
    let api = Api::start().await;
    let id = api.user("anne").await;
    let path = format!("/Users/{id}");
    let created = lines().pop().unwrap();
    let revision = api.ledger.directory().revision();
    assert!(
        created.contains(&format!("revision=\"{revision}\"")),
        "{created}"
    );
    let same = json!([{"op": "replace", "path": "userName", "value": "anne"}]);
    api.patch(&path, same).await;
    api.patch(&path, json!([])).await;
    api.get(&path).await;
    api.post("/Users", json!({"userName": "ANNE"})).await;
    api.delete("/Users/00000000-0000-4000-8000-000000000000")
        .await;
    let lines = lines();
    assert_eq!(lines.len(), 5, "{lines:#?}");
    assert!(
        lines.iter().all(|line| line.contains("revision=\"-\"")),
        "{lines:#?}"
    );
    assert!(lines[1].contains("no-operations"), "{}", lines[1]);
}

#[tokio::test]
async fn a_dialect_is_logged_of_requests_that_fail_as_well() {
    let api = Api::start().await;
    let user = format!("/Users/{}", api.user("anne").await);
    lines();
    let no = json!([{"op": "Replace", "path": "active", "value": "no"}]);
    api.patch(&user, no)
        .await
        .is_error(400, Some("invalidValue"));
    let nothing = json!([{"op": "Replace", "path": "active", "value": true}, {"op": "nothing"}]);
    api.patch(&user, nothing)
        .await
        .is_error(400, Some("invalidSyntax"));
    api.search("/Users", "active eq \"True\" and")
        .await
        .is_error(400, Some("invalidFilter"));
    let lines = lines();
    for (line, word) in lines
        .iter()
        .zip(["capital-op", "capital-op", "string-boolean"])
    {
        assert!(line.contains(word) && line.contains("status=400"), "{line}");
    }
    assert_eq!(lines.len(), 3);
}

#[tokio::test]
async fn a_request_that_nobody_waited_for_leaves_a_line() {
    let api = Api::start().await;
    lines();
    let never = futures::stream::pending::<Result<Vec<u8>, io::Error>>();
    let body = axum::body::Body::from_stream(never);
    let mut request = Box::pin(api.send(
        crate::api::request(http::Method::POST, "/Users", CORP),
        body,
    ));
    assert!(futures::poll!(&mut request).is_pending());
    drop(request);
    let lines = lines();
    assert_eq!(lines.len(), 1, "{lines:#?}");
    assert!(
        lines[0].contains("did not wait") && lines[0].contains("corp"),
        "{lines:#?}"
    );
}

#[tokio::test]
async fn a_client_that_comes_too_often_fills_no_log() {
    let api = Api::limited(scimesh_feeder::scim::Limits {
        requests_per_second: 1,
        requests_burst: 1,
        ..scimesh_feeder::scim::Limits::default()
    })
    .await;
    lines();
    let mut refused = 0;
    for _ in 0..200 {
        refused +=
            usize::from(api.get("/Users").await.status == http::StatusCode::TOO_MANY_REQUESTS);
    }
    let of_refusals = lines()
        .iter()
        .filter(|line| line.contains("status=429"))
        .count();
    assert!(refused >= 100, "{refused}");
    assert!(
        (1..=refused / 10).contains(&of_refusals),
        "{of_refusals} of {refused}"
    );
}
