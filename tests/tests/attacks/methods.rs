//! A method is what stands in the request, to the letter.

use anyhow::Result;
use scimesh_tests::mesh::policy;
use serde_json::{Value, json};

use crate::row::{Row, bytes, fields, lines};
use crate::siege::Siege;

/// DELETE is for nobody, what is no GET or POST either, a preflight for everybody.
fn method_policy() -> Value {
    policy(json!([
        { "name": "preflight", "to": [{ "methods": ["OPTIONS"], "paths": ["/api/{**}"] }], "allow": "PUBLIC" },
        { "name": "no-delete", "to": [{ "methods": ["DELETE"] }], "allow": "NOBODY" },
        { "name": "refunds", "to": [{ "notMethods": ["GET", "HEAD"], "paths": ["/refunds"] }], "require": { "anyOf": ["group:refunders"] } },
        { "name": "rest", "to": [{ "paths": ["/{**}"] }], "require": { "anyOf": ["group:payments"] } },
    ]))
}

const NOBODY: &str = "403 nobody";
const AMBIGUOUS: &str = "400 ambiguous_method";
const NOT_PERMITTED: &str = "403 not_permitted";

/// Methods of a request for `/refunds` over HTTP/1.1.
const METHODS: &[(&[u8], &str)] = &[
    (b"DELETE", NOBODY),
    (b"POST", NOT_PERMITTED),
    (b"PUT", NOT_PERMITTED),
    (b"OPTIONS", NOT_PERMITTED),
    (b"TRACE", NOT_PERMITTED),
    (b"PROPFIND", NOT_PERMITTED),
    (b"get", "400"),
    (b"gEt", "400"),
    (b"delete", "400"),
    // Envoy takes the tab for the space, and the upstream sees none.
    (b"DELETE\t", NOBODY),
    (b"GET\t", "GET /refunds HTTP/1.1"),
    (b" GET", "400"),
    (b"G T", "400"),
    (b"GET\x00", "400"),
    (b"G,T", "400"),
    (b"G\xc3\x89T", "400"),
    (b"BREW", "400"),
    (b"PRI", "400"),
    (b"", "400"),
    (b"GET", "GET /refunds HTTP/1.1"),
    (b"HEAD", "HEAD /refunds HTTP/1.1"),
];

/// `:method` over HTTP/2, which admits more.
const METHODS_2: &[(&[u8], &str)] = &[
    (b"DELETE", NOBODY),
    (b"POST", NOT_PERMITTED),
    (b"get", AMBIGUOUS),
    (b"Get", AMBIGUOUS),
    (b"delete", AMBIGUOUS),
    (b"post", AMBIGUOUS),
    (b"BREW", NOT_PERMITTED),
    (b"GET ", "closed"),
    (b"GET\t", "closed"),
    (b"GET\x00", "closed"),
    (b"G,T", "closed"),
    (b"", "closed"),
    (b"PRI", NOT_PERMITTED),
    (b"GET", "GET /refunds HTTP/1.1"),
];

fn rows() -> Vec<Row> {
    const TOKEN: &[u8] = b"authorization: Bearer $member";
    const HOST: &[u8] = b"host: svc.example";
    let one = METHODS.iter().map(|(method, expected)| {
        let name = format!(
            "{} over HTTP/1.1",
            String::from_utf8_lossy(method).escape_debug()
        );
        let line = [method, &b" /refunds HTTP/1.1"[..]].concat();
        Row::new(
            name,
            lines(&[&line[..], HOST, TOKEN, b"content-length: 0"]),
            *expected,
        )
    });
    let two = METHODS_2.iter().map(|(method, expected)| {
        let name = format!(
            "{} over HTTP/2",
            String::from_utf8_lossy(method).escape_debug()
        );
        let all: [(&str, &[u8]); 5] = [
            (":method", method),
            (":scheme", b"http"),
            (":authority", b"svc.example"),
            (":path", b"/refunds"),
            ("authorization", b"Bearer $member"),
        ];
        Row::new(name, fields(&all), *expected)
    });
    let overridden = [
        "x-http-method-override",
        "x-http-method",
        "x-method-override",
    ];
    // The upstream is told what the client says, as it would be without the filter; the rule is for what the method is.
    let overrides = overridden.into_iter().flat_map(|header| {
        let with = |method: &str, to: &str| {
            let (line, header) = (
                format!("{method} /refunds HTTP/1.1"),
                format!("{header}: {to}"),
            );
            lines(&[
                line.as_bytes(),
                HOST,
                TOKEN,
                header.as_bytes(),
                b"content-length: 0",
            ])
        };
        [
            Row::new(
                format!("POST with {header}: GET"),
                with("POST", "GET"),
                NOT_PERMITTED,
            ),
            Row::new(
                format!("DELETE with {header}: GET"),
                with("DELETE", "GET"),
                NOBODY,
            ),
        ]
    });
    let long = [&[b'A'; 70_000][..], b" /refunds HTTP/1.1"].concat();
    let preflight = |path: &str| {
        lines(&[
            format!("OPTIONS {path} HTTP/1.1").as_bytes(),
            HOST,
            b"origin: https://app.example",
            b"access-control-request-method: DELETE",
        ])
    };
    let more = [
        Row::new("an absurdly long method", lines(&[&long[..], HOST, TOKEN]), "400"),
        Row::new("a preflight that a rule admits", preflight("/api/x"), "OPTIONS /api/x HTTP/1.1"),
        Row::new("one that none does", preflight("/refunds"), "401 no_token"),
        Row::new("one to another spelling", preflight("/api//x"), "400 ambiguous_path"),
        Row::new("a preface of HTTP/2 where a request has been", bytes(b"GET /refunds HTTP/1.1\r\nhost: svc.example\r\n\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), "401 no_token | 400"),
    ];
    one.chain(two).chain(overrides).chain(more).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_method_is_what_stands_in_the_request() -> Result<()> {
    let siege = Siege::lay(&method_policy(), |_| Ok(())).await?;
    siege.withstand(&rows())?;
    siege.end().await
}
