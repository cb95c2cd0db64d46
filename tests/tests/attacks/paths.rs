//! No spelling of a path, and no form of a target, evades the rule for it.

use anyhow::Result;
use scimesh_tests::mesh::policy;
use serde_json::{Value, json};

use crate::row::{Row, authorized, bytes, fields, get, get2, lines};
use crate::siege::Siege;

/// `/admin` is for nobody, and whatever is not taken for it is open to the member.
fn admin_policy() -> Value {
    policy(json!([
        { "name": "admin", "to": [{ "paths": ["/admin", "/admin/{**}", "/{**}/secret"] }], "allow": "NOBODY" },
        { "name": "grpc", "to": [{ "paths": ["/pay.Service/Refund"] }], "allow": "NOBODY" },
        { "name": "refunds", "to": [{ "paths": ["/accounts/{*}/refunds"] }], "require": { "anyOf": ["group:refunders"] } },
        { "name": "rest", "to": [{ "paths": ["/{**}"] }], "require": { "anyOf": ["group:payments"] } },
    ]))
}

const NOBODY: &str = "403 nobody";
const AMBIGUOUS: &str = "400 ambiguous_path";

/// Targets of GET over HTTP/1.1, with the token of somebody who may do everything else.
const TARGETS: &[(&[u8], &str)] = &[
    (b"/admin", NOBODY),
    (b"/admin/", NOBODY),
    (b"/admin//", AMBIGUOUS),
    (b"//admin", AMBIGUOUS),
    (b"///admin", AMBIGUOUS),
    (b"/x//admin", AMBIGUOUS),
    (b"/./admin", NOBODY),
    (b"/admin/.", NOBODY),
    (b"/x/../admin", NOBODY),
    (b"/admin/../admin", NOBODY),
    (b"/../admin", NOBODY),
    (b"/%2e%2e", "GET / HTTP/1.1"),
    (b"/x/%2e%2e/admin", NOBODY),
    (b"/%2e/admin", NOBODY),
    (b"/.%2e/admin", NOBODY),
    (b"/x/..;/admin", NOBODY),
    (b"/x/..%3b/admin", AMBIGUOUS),
    (b"/%61dmin", NOBODY),
    (b"/%61%64%6D%69%6e", NOBODY),
    (b"/admin.", AMBIGUOUS),
    (b"/admin...", AMBIGUOUS),
    (b"/admin%2e", AMBIGUOUS),
    (b"/admin;a=b", AMBIGUOUS),
    (b"/admin;", AMBIGUOUS),
    (b"/admin%3b", AMBIGUOUS),
    (b"/;/admin", AMBIGUOUS),
    (b"/admin%20", AMBIGUOUS),
    (b"/%20admin", AMBIGUOUS),
    (b"/admin%09", AMBIGUOUS),
    (b"/admin%0a", AMBIGUOUS),
    (b"/admin%0d%0ax:y", AMBIGUOUS),
    (b"/admin%7f", AMBIGUOUS),
    (b"/admin%c2%a0", AMBIGUOUS),
    (b"/admin%00", "400"),
    (b"/admin%00.js", "400"),
    (b"/admin%2f", AMBIGUOUS),
    (b"/%2fadmin", AMBIGUOUS),
    (b"/%2Fadmin", AMBIGUOUS),
    (b"/admin%2fx", AMBIGUOUS),
    (b"/x%2f..%2fadmin", AMBIGUOUS),
    (b"/x%5c..%5cadmin", AMBIGUOUS),
    (b"/x\\..\\admin", NOBODY),
    (b"\\admin", "400"),
    (b"/\\admin", AMBIGUOUS),
    (b"/%5cadmin", AMBIGUOUS),
    (b"/%2561dmin", AMBIGUOUS),
    (b"/%252e%252e/admin", AMBIGUOUS),
    (b"/admin%252f", AMBIGUOUS),
    (b"/%25%36%31dmin", AMBIGUOUS),
    // Overlong UTF-8: a slash, and an 'a'.
    (b"/%c0%afadmin", AMBIGUOUS),
    (b"/%c1%a1dmin", AMBIGUOUS),
    (b"/%e0%80%afadmin", AMBIGUOUS),
    (b"/%ff", AMBIGUOUS),
    // An 'a', a slash and a dot of full width, a soft hyphen, a slash of mathematics.
    (b"/%ef%bd%81dmin", AMBIGUOUS),
    (b"/x%ef%bc%8fadmin", AMBIGUOUS),
    (b"/%ef%bc%8e%ef%bc%8e/admin", AMBIGUOUS),
    (b"/ad%c2%admin", AMBIGUOUS),
    (b"/x%e2%88%95admin", AMBIGUOUS),
    // A mark of direction, and a joiner.
    (b"/admin%d8%9c", AMBIGUOUS),
    (b"/ad%e2%80%8dmin", AMBIGUOUS),
    // A lone surrogate.
    (b"/%ed%a0%80", AMBIGUOUS),
    (b"/%u0061dmin", AMBIGUOUS),
    (b"/admin%", AMBIGUOUS),
    (b"/admin%2", AMBIGUOUS),
    (b"/admin%zz", AMBIGUOUS),
    (b"/adm%", AMBIGUOUS),
    (b"/\xc3\xa4dmin", "400"),
    (b"/admin\xff", "400"),
    (b"/admin\t", NOBODY),
    (b"/admin\x00", "400"),
    (b"/admin x", "400"),
    (b"/admin#x", "400"),
    (b"/x#/../admin", "400"),
    (b"/admin?", NOBODY),
    (b"/admin?x=/good", NOBODY),
    (b"/admin/?x", NOBODY),
    (b"/admin%3fx", AMBIGUOUS),
    (b"/admin%23", AMBIGUOUS),
    (b"/x/secret", NOBODY),
    (b"/x/secret/", NOBODY),
    (b"/x/y%2fsecret", AMBIGUOUS),
    (b"/accounts/7/refunds", "403 not_permitted"),
    (b"/accounts/7/refunds/", "403 not_permitted"),
    (b"/accounts/%37/%72efunds", "403 not_permitted"),
    (b"/accounts/7%2frefunds", AMBIGUOUS),
    (b"/accounts//refunds", AMBIGUOUS),
    (b"/pay.Service/Refund", NOBODY),
    (b"/pay%2eService/Refund", NOBODY),
    (b"/pay.Service/%52efund", NOBODY),
    // Other forms of a target.
    (b"http://svc.example/admin", NOBODY),
    (b"http://other.example/admin", NOBODY),
    (b"http://svc.example//admin", AMBIGUOUS),
    (b"http://svc.example/good/../admin", NOBODY),
    (b"HTTP://svc.example/admin", NOBODY),
    (b"ftp://svc.example/admin", "400"),
    (b"svc.example:80", "400"),
    (b"*", "400"),
    (b"admin", "400"),
    (b"?", "400"),
    // What is harmless goes on as it is.
    (b"/administrator", "GET /administrator HTTP/1.1"),
    (b"/Admin", "GET /Admin HTTP/1.1"),
    (b"/good?x=//admin", "GET /good?x=//admin HTTP/1.1"),
    (b"/good?x=%2fadmin%00", "GET /good?x=%2fadmin%00 HTTP/1.1"),
    (b"/caf%c3%a9", "GET /caf%c3%a9 HTTP/1.1"),
    (b"/.well-known/x", "GET /.well-known/x HTTP/1.1"),
    (b"/things:delete", "GET /things:delete HTTP/1.1"),
    (b"/100%25", "GET /100%25 HTTP/1.1"),
    (b"http://svc.example/good", "GET /good HTTP/1.1"),
];

/// `:path` over HTTP/2, where no parser of request lines looks first.
const PATHS: &[(&[u8], &str)] = &[
    (b"/admin", NOBODY),
    (b"//admin", AMBIGUOUS),
    (b"/x/../admin", NOBODY),
    (b"/admin;x", AMBIGUOUS),
    (b"", "closed"),
    (b"admin", "closed"),
    (b"*", "closed"),
    (b"http://svc.example/admin", "closed"),
    (b"/admin#x", "400"),
    (b"/admin x", "closed"),
    (b"/admin\xff", AMBIGUOUS),
    (b"/admin\x00", "closed"),
    (b"/admin\r\nx: y", "closed"),
    (b"/%61dmin", NOBODY),
    (b"/good", "GET /good HTTP/1.1"),
];

fn rows() -> Vec<Row> {
    let targets = TARGETS.iter().map(|(target, expected)| {
        let name = format!("GET {}", String::from_utf8_lossy(target).escape_debug());
        Row::new(name, get(target), *expected)
    });
    let paths = PATHS.iter().map(|(path, expected)| {
        let name = format!(":path {}", String::from_utf8_lossy(path).escape_debug());
        Row::new(name, get2(path, &[]), *expected)
    });
    targets.chain(paths).chain(forms()).collect()
}

/// Requests of other forms: with no path at all, with two, as tunnels and as upgrades.
fn forms() -> Vec<Row> {
    let token: (&str, &[u8]) = ("authorization", b"Bearer $member");
    let host: (&str, &[u8]) = (":authority", b"svc.example");
    let http: (&str, &[u8]) = (":scheme", b"http");
    let method: (&str, &[u8]) = (":method", b"GET");
    let connect: (&str, &[u8]) = (":method", b"CONNECT");
    let upgrade = |target: &str, to: &str| {
        lines(&[
            &format!("GET {target} HTTP/1.1"),
            "host: svc.example",
            "authorization: Bearer $member",
            "connection: Upgrade",
            &format!("upgrade: {to}"),
        ])
    };
    let grpc = |method: &str| {
        lines(&[
            &format!("POST {method} HTTP/1.1"),
            "host: svc.example",
            "authorization: Bearer $member",
            "content-type: application/grpc",
            "te: trailers",
            "content-length: 0",
        ])
    };
    let long = [b"/".to_vec(), vec![b'a'; 20_000]].concat();
    vec![
        Row::new("no :path", fields(&[method, http, host, token]), "closed"),
        Row::new(
            "two :path",
            fields(&[
                method,
                http,
                host,
                (":path", b"/good"),
                (":path", b"/admin"),
                token,
            ]),
            "closed",
        ),
        Row::new(
            ":path behind other fields",
            fields(&[method, http, host, token, (":path", b"/admin")]),
            "closed",
        ),
        Row::new(
            "no :method",
            fields(&[http, host, (":path", b"/good"), token]),
            "closed",
        ),
        Row::new(
            "CONNECT over HTTP/2",
            fields(&[connect, host, token]),
            "403 no_rule",
        ),
        Row::new(
            "CONNECT with a path and no protocol",
            fields(&[connect, http, host, (":path", b"/good"), token]),
            "closed",
        ),
        Row::new(
            "extended CONNECT to what nobody may",
            fields(&[
                connect,
                http,
                host,
                (":path", b"/admin"),
                (":protocol", b"websocket"),
                token,
            ]),
            NOBODY,
        ),
        Row::new(
            "extended CONNECT, slashes doubled",
            fields(&[
                connect,
                http,
                host,
                (":path", b"//admin"),
                (":protocol", b"websocket"),
                token,
            ]),
            AMBIGUOUS,
        ),
        Row::new(
            "CONNECT over HTTP/1.1",
            lines(&[
                "CONNECT svc.example:80 HTTP/1.1",
                "host: svc.example:80",
                "authorization: Bearer $member",
            ]),
            "403 no_rule",
        ),
        Row::new(
            "CONNECT to a path",
            lines(&[
                "CONNECT /admin HTTP/1.1",
                "host: svc.example",
                "authorization: Bearer $member",
            ]),
            "400",
        ),
        Row::new(
            "a WebSocket to what nobody may",
            upgrade("/admin", "websocket"),
            NOBODY,
        ),
        Row::new(
            "a WebSocket, slashes doubled",
            upgrade("//admin", "websocket"),
            AMBIGUOUS,
        ),
        Row::new("another upgrade", upgrade("/admin", "tcp"), "403"),
        Row::new("h2c to what nobody may", upgrade("/admin", "h2c"), NOBODY),
        Row::new(
            "an absurdly long path",
            get(&long),
            format!("GET {} HTTP/1.1", String::from_utf8_lossy(&long)),
        ),
        Row::new(
            "OPTIONS *",
            lines(&[
                "OPTIONS * HTTP/1.1",
                "host: svc.example",
                "authorization: Bearer $member",
            ]),
            "404",
        ),
        Row::new(
            "without a token",
            lines(&["GET /good HTTP/1.1", "host: svc.example"]),
            "401 no_token",
        ),
        Row::new(
            "by somebody else",
            authorized("/good", "Bearer $guest"),
            "403 unknown_subject",
        ),
        Row::new(
            "a gRPC method that nobody may call",
            grpc("/pay.Service/Refund"),
            "grpc 7 nobody",
        ),
        Row::new(
            "the same, escaped",
            grpc("/pay%2eService/%52efund"),
            "grpc 7 nobody",
        ),
        Row::new(
            "the same, slashes doubled",
            grpc("/pay.Service//Refund"),
            "grpc 3 ambiguous_path",
        ),
        Row::new(
            "no target",
            bytes(b"GET  HTTP/1.1\r\nhost: svc.example\r\n\r\n"),
            "400",
        ),
        Row::new(
            "a target in two parts",
            bytes(b"GET /good /admin HTTP/1.1\r\nhost: svc.example\r\n\r\n"),
            "400",
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn no_spelling_of_a_path_evades_its_rule() -> Result<()> {
    let siege = Siege::lay(&admin_policy(), |_| Ok(())).await?;
    siege.withstand(&rows())?;
    siege.end().await
}
