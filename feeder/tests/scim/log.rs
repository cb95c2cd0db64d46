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

    let text = String::from_utf8(LINES.take()).unwrap();
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
