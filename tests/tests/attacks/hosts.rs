//! No spelling of a host evades the rule for it, and none that could be read in two ways is guessed.

use anyhow::Result;
use scimesh_tests::mesh::policy;
use serde_json::{Value, json};

use crate::row::{Row, bytes, fields, lines};
use crate::siege::Siege;

/// Some hosts are for nobody, and `/inner` for nobody on any host but one; all else is open to the member.
fn host_policy() -> Value {
    policy(json!([
        { "name": "good", "to": [{ "paths": ["/good"] }], "require": { "anyOf": ["group:payments"] } },
        { "name": "admin", "to": [{ "hosts": ["admin.example", "*.internal", "[::1]"] }], "allow": "NOBODY" },
        { "name": "inner", "to": [{ "notHosts": ["svc.example", "*.svc.example"], "paths": ["/inner"] }], "allow": "NOBODY" },
        { "name": "svc", "to": [{ "hosts": ["*"] }], "require": { "anyOf": ["group:payments"] } },
    ]))
}

const NOBODY: &str = "403 nobody";
const AMBIGUOUS: &str = "400 ambiguous_host";
const ALLOWED: &str = "GET /x HTTP/1.1";

/// The Host header over HTTP/1.1.
const HOSTS: &[(&[u8], &str)] = &[
    (b"admin.example", NOBODY),
    (b"Admin.Example", NOBODY),
    (b"ADMIN.EXAMPLE", NOBODY),
    (b"admin.example.", NOBODY),
    (b"admin.example:80", NOBODY),
    (b"admin.example.:8080", NOBODY),
    (b"aDmin.example.:65535", NOBODY),
    (b"a.internal", NOBODY),
    (b"A.INTERNAL.", NOBODY),
    (b"[::1]", NOBODY),
    (b"[::1]:80", NOBODY),
    (b"[0:0:0:0:0:0:0:1]", NOBODY),
    (b"[0000::0001]", NOBODY),
    (b"[::0.0.0.1]", NOBODY),
    (b"other.example", ALLOWED),
    (b"127.0.0.1", ALLOWED),
    (b"admin.example..", AMBIGUOUS),
    (b"admin..example", AMBIGUOUS),
    (b".admin.example", AMBIGUOUS),
    (b"admin.example:", AMBIGUOUS),
    (b"admin.example:x", AMBIGUOUS),
    (b"admin.example:99999", AMBIGUOUS),
    (b"admin.example:80:80", AMBIGUOUS),
    (b"svc.example:80,admin.example", AMBIGUOUS),
    (b"svc.example,admin.example", AMBIGUOUS),
    (b"svc.example admin.example", "400"),
    (b"svc.example\tadmin.example", "400"),
    (b"svc.example/admin", "400"),
    (b"svc.example\\admin", "400"),
    (b"svc.example#admin.example", "400"),
    (b"user@svc.example", AMBIGUOUS),
    (b"svc.example@admin.example", AMBIGUOUS),
    (b"svc%2eexample", AMBIGUOUS),
    (b"admin%2eexample", AMBIGUOUS),
    (b"\xc3\xa4dmin.example", "400"),
    (b"svc.example\xff", "400"),
    (b"::1", AMBIGUOUS),
    (b"[::1", AMBIGUOUS),
    (b"[::1]x", AMBIGUOUS),
    (b"[::1%25eth0]", AMBIGUOUS),
    (b"[svc.example]", AMBIGUOUS),
    (b"svc.example\x00", "400"),
    (b"svc.example", ALLOWED),
    (b"SVC.example.:8080", ALLOWED),
    (b" svc.example ", ALLOWED),
    (b"api.svc.example", ALLOWED),
];

fn rows() -> Vec<Row> {
    const TOKEN: &[u8] = b"authorization: Bearer $member";
    let line = b"GET /x HTTP/1.1";
    let mut rows: Vec<Row> = HOSTS
        .iter()
        .map(|(host, expected)| {
            let name = format!("host: {}", String::from_utf8_lossy(host).escape_debug());
            let host = [b"host: ", *host].concat();
            Row::new(name, lines(&[&line[..], &host, TOKEN]), *expected)
        })
        .collect();
    let request = |name: &str, more: &[&[u8]], expected: &str| {
        let all = [&[&line[..], TOKEN], more].concat();
        Row::new(name, lines(&all), expected)
    };
    let absolute = |name: &str, line: &[u8], expected: &str| {
        Row::new(name, lines(&[line, b"host: svc.example", TOKEN]), expected)
    };
    let http2 = |name: &str, more: &[(&str, &[u8])], expected: &str| {
        let mut all: Vec<(&str, &[u8])> =
            vec![(":method", b"GET"), (":scheme", b"http"), (":path", b"/x")];
        all.extend(more);
        all.push(("authorization", b"Bearer $member"));
        Row::new(name, fields(&all), expected)
    };
    let inner = |host: &str, expected: &str| {
        let sent = lines(&[
            &b"GET /inner HTTP/1.1"[..],
            format!("host: {host}").as_bytes(),
            TOKEN,
        ]);
        Row::new(format!("/inner on {host}"), sent, expected)
    };
    rows.extend([
        inner("other.example", NOBODY),
        inner("svc.example.other", NOBODY),
        inner("xsvc.example", NOBODY),
        inner("127.0.0.1", NOBODY),
        inner("svc.example,other.example", AMBIGUOUS),
        inner("SVC.example.:80", "GET /inner HTTP/1.1"),
        inner("api.svc.example", "GET /inner HTTP/1.1"),
        request(
            "two hosts",
            &[b"host: svc.example", b"host: admin.example"],
            AMBIGUOUS,
        ),
        request(
            "the same host twice",
            &[b"host: svc.example", b"host: svc.example"],
            AMBIGUOUS,
        ),
        request("no host", &[], "400"),
        request("an empty host", &[b"host:"], AMBIGUOUS),
        request(
            "a space before the colon",
            &[b"host : admin.example"],
            "400",
        ),
        request(
            "a folded host",
            &[b"host: svc.example", b" admin.example"],
            "400",
        ),
        request(
            "X-Forwarded-Host does not count",
            &[b"host: svc.example", b"x-forwarded-host: admin.example"],
            ALLOWED,
        )
        .arriving("host", &["svc.example"]),
        request(
            "nor does it help",
            &[b"host: admin.example", b"x-forwarded-host: svc.example"],
            NOBODY,
        ),
        request(
            "nor Forwarded",
            &[b"host: admin.example", b"forwarded: host=svc.example"],
            NOBODY,
        ),
        request(
            "nor X-Host",
            &[b"host: admin.example", b"x-host: svc.example"],
            NOBODY,
        ),
        absolute(
            "an absolute target's host counts",
            b"GET http://admin.example/x HTTP/1.1",
            NOBODY,
        ),
        absolute(
            "the same with a port",
            b"GET http://ADMIN.example:80/x HTTP/1.1",
            NOBODY,
        ),
        absolute(
            "an absolute target with userinfo",
            b"GET http://svc.example@admin.example/x HTTP/1.1",
            NOBODY,
        ),
        absolute(
            "userinfo is no host",
            b"GET http://admin.example@svc.example/x HTTP/1.1",
            ALLOWED,
        )
        .arriving("host", &["svc.example"]),
        absolute(
            "an absolute target without a host",
            b"GET http:///x HTTP/1.1",
            "400",
        ),
        Row::new(
            "the Host line can't help an absolute target",
            lines(&[
                b"GET http://svc.example/x HTTP/1.1",
                &b"host: admin.example"[..],
                TOKEN,
            ]),
            ALLOWED,
        )
        .arriving("host", &["svc.example"]),
        Row::new(
            "HTTP/1.0 without a host",
            bytes(b"GET /x HTTP/1.0\r\nauthorization: Bearer $member\r\n\r\n"),
            "426",
        ),
        http2(":authority", &[(":authority", b"Admin.example:1")], NOBODY),
        http2("no :authority", &[], "closed"),
        http2("an empty :authority", &[(":authority", b"")], "closed"),
        http2(
            "host instead of :authority",
            &[("host", b"admin.example")],
            NOBODY,
        ),
        http2(
            "host beside :authority",
            &[(":authority", b"svc.example"), ("host", b"admin.example")],
            ALLOWED,
        )
        .arriving("host", &["svc.example"]),
        http2(
            "host can't help :authority",
            &[(":authority", b"admin.example"), ("host", b"svc.example")],
            NOBODY,
        ),
        http2(
            "two :authority",
            &[
                (":authority", b"svc.example"),
                (":authority", b"admin.example"),
            ],
            "closed",
        ),
        http2(
            "userinfo in :authority",
            &[(":authority", b"x@admin.example")],
            "closed",
        ),
        http2(
            "a comma in :authority",
            &[(":authority", b"svc.example,admin.example")],
            AMBIGUOUS,
        ),
        http2(
            "0xFF in :authority",
            &[(":authority", b"svc.example\xff")],
            "closed",
        ),
        http2(
            "a plain :authority",
            &[(":authority", b"svc.example")],
            ALLOWED,
        ),
    ]);
    rows
}

#[tokio::test(flavor = "multi_thread")]
async fn no_spelling_of_a_host_evades_its_rule() -> Result<()> {
    let siege = Siege::lay(&host_policy(), |_| Ok(())).await?;
    siege.withstand(&rows())?;
    siege.end().await
}
