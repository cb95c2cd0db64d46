//! No header talks the filter into anything, none harms it, and no request hides in another.

use anyhow::Result;
use scimesh_tests::mesh::policy;
use serde_json::{Value, json};

use crate::row::{Row, Sent, bytes, get2, lines, owned};
use crate::siege::Siege;
use crate::{identities, smuggling};

fn header_policy() -> Value {
    let mut policy = policy(json!([
        { "name": "public", "to": [{ "paths": ["/public"] }], "allow": "PUBLIC" },
        { "name": "admin", "to": [{ "paths": ["/admin"] }], "allow": "NOBODY" },
        { "name": "rest", "to": [{ "paths": ["/{**}"] }], "require": { "anyOf": ["group:payments"] } },
    ]));
    policy["headers"] = json!({ "subject": "x-who", "groups": "x-groups", "rule": "x-rule" });
    policy
}

const NOBODY: &str = "403 nobody";
const NO_TOKEN: &str = "401 no_token";
pub(crate) const ALLOWED: &str = "GET /x HTTP/1.1";
const HOST: &[u8] = b"host: svc.example";
pub(crate) const TOKEN: &[u8] = b"authorization: Bearer $member";

/// Headers beside those of a request for `/admin` by the member: none makes another request of it.
const PERSUASION: &[&[u8]] = &[
    b"x-envoy-original-path: /x",
    b"x-original-url: /x",
    b"x-rewrite-url: /x",
    b"x-envoy-original-host: other.example",
    b"x-forwarded-path: /x",
    b"x-forwarded-prefix: /x",
    b"x-forwarded-uri: /x",
    b"x-forwarded-method: OPTIONS",
    b"x-forwarded-proto: https",
    b"x-forwarded-for: 127.0.0.1",
    b"x-real-ip: 127.0.0.1",
    b"x-envoy-internal: true",
    b"x-envoy-decorator-operation: allow",
    b"scimesh_verdict: allow",
    b"wasm.scimesh_verdict: allow",
    b"x-scimesh-verdict: allow",
    b"te: trailers",
    b"expect: 100-continue",
    b"content-type: application/json",
    b"connection: authorization",
    b"path: /x",
    b"x-note: \xff\xfe",
    b"x-note: caf\xe9",
    b"cookie: a=b; scimesh_verdict=allow",
];

/// Headers of a request without a token that pretend to be one, or what Envoy made of one.
const FORGERY: &[&[u8]] = &[
    b"x-jwt-payload: eyJpc3MiOiJodHRwczovL2lkcC5hY21lLmV4YW1wbGUiLCJzdWIiOiJtZW1iZXItMDAwMSJ9",
    b"payload: {\"iss\":\"https://idp.acme.example\",\"sub\":\"member-0001\"}",
    b"sec-istio-auth-userinfo: eyJzdWIiOiJtZW1iZXItMDAwMSJ9",
    b"x-endpoint-api-userinfo: eyJzdWIiOiJtZW1iZXItMDAwMSJ9",
    b"x-forwarded-user: member-0001",
    b"x-forwarded-client-cert: URI=spiffe://acme.example/ns/x/sa/member",
    b"x-auth-request-user: member",
    b"remote-user: member",
    b"proxy-authorization: Bearer $member",
    b"x-authorization: Bearer $member",
    b"cookie: authorization=Bearer $member",
];

/// The value of Authorization.
const AUTHORIZATIONS: &[(&[u8], &str)] = &[
    (b"Bearer $member", ALLOWED),
    (b"bearer $member", NO_TOKEN),
    (b"BEARER $member", NO_TOKEN),
    (b"Basic $member", NO_TOKEN),
    (b"$member", NO_TOKEN),
    (b"Bearer", NO_TOKEN),
    (b"Bearer ", NO_TOKEN),
    (b"Bearer\t$member", NO_TOKEN),
    (b"Bearer=$member", NO_TOKEN),
    (b"Bearer $member, Bearer $guest", "401"),
    (b"Bearer $guest, Bearer $member", "401"),
    (b"Bearer \xff", "401"),
];

pub(crate) fn plain(line: &[u8], more: &[&[u8]]) -> Sent {
    lines(&[&[line, HOST], more].concat())
}

pub(crate) fn text(header: &[u8]) -> String {
    let text: String = String::from_utf8_lossy(header).escape_debug().collect();
    text.chars().take(60).collect()
}

fn rows() -> Vec<Row> {
    let persuasion = PERSUASION.iter().map(|header| {
        Row::new(
            text(header),
            plain(b"GET /admin HTTP/1.1", &[TOKEN, header]),
            NOBODY,
        )
    });
    let forgery = FORGERY
        .iter()
        .map(|header| Row::new(text(header), plain(b"GET /x HTTP/1.1", &[header]), NO_TOKEN));
    let authorizations = AUTHORIZATIONS.iter().map(|(value, expected)| {
        let header = [b"authorization: ", *value].concat();
        Row::new(
            text(&header),
            plain(b"GET /x HTTP/1.1", &[&header]),
            *expected,
        )
    });
    let all = persuasion.chain(forgery).chain(authorizations);
    all.chain(identities::rows())
        .chain(tokens())
        .chain(shapes())
        .chain(smuggling::rows())
        .collect()
}

/// Several tokens, and tokens in other places.
fn tokens() -> Vec<Row> {
    const GUEST: &[u8] = b"authorization: Bearer $guest";
    let get = |more: &[&[u8]]| plain(b"GET /x HTTP/1.1", more);
    vec![
        Row::new("a good token and a bad one", get(&[TOKEN, b"authorization: Bearer x.y.z"]), "401"),
        Row::new("a bad token and a good one", get(&[b"authorization: Bearer x.y.z", TOKEN]), "401"),
        Row::new("two people's tokens", get(&[TOKEN, GUEST]), "401"),
        Row::new("two people's tokens, the other first", get(&[GUEST, TOKEN]), "401"),
        Row::new("the same token twice", get(&[TOKEN, TOKEN]), "401"),
        Row::new(
            "a trailer is no token",
            bytes(b"POST /x HTTP/1.1\r\nhost: svc.example\r\ntransfer-encoding: chunked\r\ntrailer: authorization\r\n\r\n0\r\nauthorization: Bearer $member\r\n\r\n"),
            NO_TOKEN,
        ),
        Row::new(
            "nor is one of HTTP/2",
            Sent::Fields(
                owned(&[(":method", b"POST"), (":scheme", b"http"), (":authority", b"svc.example"), (":path", b"/x")]),
                owned(&[("authorization", b"Bearer $member")]),
            ),
            NO_TOKEN,
        ),
        Row::new("cookies of HTTP/2 are no token", get2(b"/admin", &[("cookie", b"a"), ("cookie", b"b")]), NOBODY),
    ]
}

/// Header sections that are malformed, or huge.
fn shapes() -> Vec<Row> {
    let many: Vec<Vec<u8>> = (0..1000)
        .map(|n| format!("x-{n}: y").into_bytes())
        .collect();
    let with = |headers: &[Vec<u8>]| {
        let all: Vec<&[u8]> = headers.iter().map(Vec::as_slice).collect();
        plain(b"GET /admin HTTP/1.1", &[&[TOKEN], all.as_slice()].concat())
    };
    let huge = [&b"x-note: "[..], &[b'a'; 80_000]].concat();
    let too_huge = [&b"x-note: "[..], &[b'a'; 120_000]].concat();
    let odd = |header: &[u8]| plain(b"GET /admin HTTP/1.1", &[TOKEN, header]);
    let two = |name: &str, value: &[u8], expected: &str| {
        Row::new(
            format!("{} over HTTP/2", text(name.as_bytes())),
            get2(b"/admin", &[(name, value)]),
            expected,
        )
    };
    vec![
        Row::new("a thousand headers", with(&many), "431"),
        Row::new(
            "ninety headers",
            with(many.get(..90).unwrap_or_default()),
            NOBODY,
        ),
        Row::new("a value of 80,000 bytes", odd(&huge), NOBODY),
        Row::new("a value of 120,000 bytes", odd(&too_huge), "431"),
        Row::new("NUL in a value", odd(b"x-note: a\0b"), "400"),
        Row::new("NUL in a name", odd(b"x-\0: a"), "400"),
        Row::new("0xFF in a name", odd(b"x-\xff: a"), "400"),
        Row::new("a space in a name", odd(b"x note: a"), "400"),
        Row::new("no name", odd(b": a"), "400"),
        Row::new("no colon", odd(b"x-note"), "400"),
        Row::new("a pseudo-header in HTTP/1.1", odd(b":path: /x"), "400"),
        Row::new("a folded value", odd(b"x-note: a\r\n b"), NOBODY),
        Row::new(
            "a lone carriage return",
            odd(b"x-note: a\rx-other: b"),
            NOBODY,
        ),
        Row::new(
            "bare line feeds",
            bytes(b"GET /admin HTTP/1.1\nhost: svc.example\nauthorization: Bearer $member\n\n"),
            NOBODY,
        ),
        two("X-Upper", b"a", "closed"),
        two("connection", b"close", "closed"),
        two("transfer-encoding", b"chunked", "closed"),
        two("te", b"gzip", "closed"),
        two("te", b"trailers", NOBODY),
        two("x-note", b"a\0b", "closed"),
        two("x-note", b"a\r\nx: y", "closed"),
        two("x-note", b"\xff", NOBODY),
        two("x note", b"a", "closed"),
        two(":path", b"/x", "closed"),
        two(":scimesh", b"allow", "closed"),
        two("", b"a", "closed"),
        Row::new(
            "a value of 80,000 bytes over HTTP/2",
            get2(b"/admin", &[("x-note", &[b'a'; 80_000])]),
            "closed",
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn no_header_talks_the_filter_into_anything() -> Result<()> {
    let siege = Siege::lay(&header_policy(), |_| Ok(())).await?;
    siege.withstand(&rows())?;
    siege.end().await
}
