//! What the upstream is told about a request that goes on: by the filter alone, never by the client.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

use anyhow::{Context, Result, ensure};
use http::header::HeaderMap;
use scimesh_tests::envoy::Envoy;
use scimesh_tests::eventually::eventually;
use scimesh_tests::mesh::{Mesh, PATIENCE, Plan, payments_policy, with};
use scimesh_tests::upstream::Arrival;
use serde_json::{Value, json};

/// Spellings of our names that an upstream might fold into them; each is sent twice.
const SPOOFS: [&str; 12] = [
    "x-scimesh-subject",
    "X-Scimesh-Subject",
    "X-SCIMESH-SUBJECT",
    "x_scimesh_subject",
    "X-Scimesh_Subject",
    "x.scimesh.subject",
    "x~scimesh!subject",
    "x-scimesh-issuer",
    "X_SCIMESH_RULE",
    "x-scimesh-rule",
    "x-scimesh-groups",
    "x_scimesh-groups",
];

fn told_policy() -> Value {
    let names = json!({
        "subject": "x-scimesh-subject",
        "issuer": "x-scimesh-issuer",
        "rule": "x-scimesh-rule",
        "groups": "x-scimesh-groups",
    });
    with(payments_policy(), "headers", names)
}

/// What a server makes of a name that folds all of them: CGI's form.
fn folded(name: &str) -> String {
    let fold = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    name.to_ascii_uppercase().chars().map(fold).collect()
}

/// All that an upstream might take for a header of ours.
fn told(headers: &HeaderMap) -> Vec<(String, String)> {
    let ours = headers
        .iter()
        .filter(|(name, _)| folded(name.as_str()).starts_with("X_SCIMESH_"));
    let mut told: Vec<(String, String)> = ours
        .map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes());
            (name.to_string(), value.into_owned())
        })
        .collect();
    told.sort();
    told
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(name, value): &(&str, &str)| (name.to_string(), value.to_string());
    expected.iter().map(owned).collect()
}

/// One HTTP/1.1 connection, byte by byte.
struct Raw(TcpStream);

impl Raw {
    fn open(envoy: &Envoy) -> Result<Raw> {
        let stream = TcpStream::connect(envoy.address())?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Raw(stream))
    }

    fn send(&mut self, bytes: impl AsRef<[u8]>) -> Result<()> {
        Ok(self.0.write_all(bytes.as_ref())?)
    }

    /// The head of the next response, and its body if it says how long that is.
    fn response(&mut self) -> Result<String> {
        let mut all = Vec::new();
        let mut byte = [0];
        while !all.ends_with(b"\r\n\r\n") {
            self.0.read_exact(&mut byte)?;
            all.extend(byte);
        }
        let head = String::from_utf8_lossy(&all).to_ascii_lowercase();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.map_or(Ok(0), str::parse)?;
        let mut body = vec![0; length];
        self.0.read_exact(&mut body)?;
        all.extend(body);
        Ok(String::from_utf8_lossy(&all).into_owned())
    }
}

fn request_line(path: &str, token: Option<&str>) -> String {
    let mut head = format!("GET {path} HTTP/1.1\r\nhost: svc.example.com\r\n");
    if let Some(token) = token {
        head += &format!("authorization: Bearer {token}\r\n");
    }
    head
}

fn spoofed(path: &str, token: Option<&str>) -> String {
    let mut head = request_line(path, token);
    for name in SPOOFS.iter().chain(&SPOOFS) {
        head += &format!("{name}: root\r\n");
    }
    head += "x-scimesh: mine\r\nx-note: kept\r\n\r\n";
    head
}

/// The only request that has arrived.
fn only(mesh: &Mesh) -> Result<Arrival> {
    let mut arrivals = mesh.upstream.take_requests();
    ensure!(arrivals.len() == 1, "{arrivals:?}");
    arrivals.pop().context("one")
}

/// A user of acme in two groups, of which the policy knows one; her name needs encoding.
async fn alice(mesh: &Mesh) -> Result<String> {
    let scim = &mesh.acme.scim;
    let alice = scim.create_user("alice", "alice, 0001").await?;
    scim.create_group("payments", &[&alice]).await?;
    scim.create_group("choir", &[&alice]).await?;
    mesh.acme.issuer.token("alice, 0001")
}

const ALICE: [(&str, &str); 4] = [
    ("x-scimesh-groups", "group:payments"),
    ("x-scimesh-issuer", "https://idp.acme.example"),
    ("x-scimesh-rule", "payments"),
    ("x-scimesh-subject", "alice%2C%200001"),
];

#[tokio::test(flavor = "multi_thread")]
async fn the_upstream_hears_of_the_user_from_the_filter_alone() -> Result<()> {
    let mesh = Mesh::start(&told_policy()).await?;
    let token = alice(&mesh).await?;
    mesh.await_status("/payments", Some(&token), 200).await?;
    mesh.upstream.take_requests();

    for (path, token, expected) in [
        ("/payments", Some(&token), &ALICE[..]),
        // Nobody was asked for a name here; the client's own word for it is gone all the same.
        ("/health", None, &[("x-scimesh-rule", "health")][..]),
        ("/health", Some(&token), &[("x-scimesh-rule", "health")][..]),
    ] {
        let mut raw = Raw::open(&mesh.envoy)?;
        raw.send(spoofed(path, token.map(String::as_str)))?;
        let response = raw.response()?;
        ensure!(response.starts_with("HTTP/1.1 200"), "{response}");
        let arrival = only(&mesh)?;
        assert_eq!(told(&arrival.headers), pairs(expected), "{path}");
        assert_eq!(arrival.headers["x-note"], "kept");
        assert_eq!(arrival.headers["x-scimesh"], "mine", "another name");
    }
    mesh.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn over_http2_as_well() -> Result<()> {
    let mesh = Mesh::start(&told_policy()).await?;
    let token = alice(&mesh).await?;
    mesh.await_status("/payments", Some(&token), 200).await?;
    mesh.upstream.take_requests();

    let stream = tokio::net::TcpStream::connect(mesh.envoy.address()).await?;
    let (mut client, connection) = h2::client::handshake(stream).await?;
    let connection = tokio::spawn(connection);
    let mut request = http::Request::get("http://svc.example.com/payments")
        .header("authorization", format!("Bearer {token}"));
    for name in SPOOFS.iter().chain(&SPOOFS) {
        request = request.header(name.to_ascii_lowercase(), "root");
    }
    let (response, _) = client.send_request(request.body(())?, true)?;
    assert_eq!(response.await?.status(), 200);
    assert_eq!(told(&only(&mesh)?.headers), pairs(&ALICE));
    drop(client);
    connection.await??;
    mesh.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shadow_policy_tells_nothing_and_lets_nobody_else_tell_it() -> Result<()> {
    let mut policy = told_policy();
    policy["mode"] = json!("SHADOW");
    let mesh = Mesh::start(&policy).await?;
    let token = alice(&mesh).await?;
    for (path, token) in [
        ("/payments", Some(&token)),
        ("/payments", None),
        ("//", None),
    ] {
        let mut raw = Raw::open(&mesh.envoy)?;
        raw.send(spoofed(path, token.map(String::as_str)))?;
        let response = raw.response()?;
        ensure!(response.starts_with("HTTP/1.1 200"), "{response}");
        let arrival = only(&mesh)?;
        assert_eq!(told(&arrival.headers), pairs(&[]), "{path}");
        assert_eq!(arrival.headers["x-note"], "kept");
    }
    mesh.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_tells_nothing_touches_no_header() -> Result<()> {
    let mesh = Mesh::start(&payments_policy()).await?;
    let mut raw = Raw::open(&mesh.envoy)?;
    raw.send(spoofed("/health", None))?;
    raw.response()?;
    assert_eq!(told(&only(&mesh)?.headers).len(), 2 * SPOOFS.len());
    mesh.end().await
}

/// What the upstream is told of Alice's requests elsewhere than under `/payments`.
fn alice_at_rest() -> Vec<(String, String)> {
    let mut told = ALICE;
    told[2].1 = "rest";
    pairs(&told)
}

/// A request with a body in chunks, and trailers behind it in all our names.
fn with_trailers(token: &str) -> String {
    let mut request = spoofed("/trailers", Some(token));
    request = request.replace("\r\n\r\n", "\r\ntransfer-encoding: chunked\r\n\r\n");
    request += "2\r\nhi\r\n0\r\n";
    for name in SPOOFS {
        request += &format!("{name}: root\r\n");
    }
    request + "x-sum: 7\r\n\r\n"
}

fn expect_clean(arrival: &Arrival) {
    assert_eq!(arrival.line, "GET /trailers");
    assert_eq!(told(&arrival.headers), alice_at_rest());
    assert_eq!(told(&arrival.trailers), []);
    let sum = arrival.trailers.get("x-sum").map(|sum| sum.as_bytes());
    assert_eq!(sum, Some(&b"7"[..]));
}

#[tokio::test(flavor = "multi_thread")]
async fn trailers_say_nothing_in_our_name() -> Result<()> {
    let mesh = Mesh::start(&told_policy()).await?;
    let token = alice(&mesh).await?;
    mesh.await_status("/payments", Some(&token), 200).await?;
    mesh.upstream.take_requests();

    // Some servers merge them into the headers (RFC 9110 section 6.5.1).
    let mut raw = Raw::open(&mesh.envoy)?;
    raw.send(with_trailers(&token))?;
    let response = raw.response()?;
    ensure!(response.starts_with("HTTP/1.1 200"), "{response}");
    expect_clean(&only(&mesh)?);

    let stream = tokio::net::TcpStream::connect(mesh.envoy.address()).await?;
    let (mut client, connection) = h2::client::handshake(stream).await?;
    let connection = tokio::spawn(connection);
    let request = http::Request::get("http://svc.example.com/trailers")
        .header("authorization", format!("Bearer {token}"));
    let (response, mut body) = client.send_request(request.body(())?, false)?;
    body.send_data("hi".into(), false)?;
    let mut trailers = HeaderMap::new();
    trailers.append("x-sum", "7".parse()?);
    for name in SPOOFS {
        let name: http::HeaderName = name.parse()?;
        trailers.append(name, "root".parse()?);
    }
    body.send_trailers(trailers)?;
    assert_eq!(response.await?.status(), 200);
    expect_clean(&only(&mesh)?);
    drop((client, body));
    connection.await??;
    mesh.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_waited_is_cleaned_and_told_of_as_any_other() -> Result<()> {
    let mut policy = told_policy();
    policy["hold"] = json!({ "timeout": "60s" });
    let mut mesh = Plan::new(&policy).feeder_stopped().start().await?;
    let token = mesh.acme.issuer.token("alice, 0001")?;
    let mut raw = Raw::open(&mesh.envoy)?;
    raw.send(with_trailers(&token))?;
    eventually("the request to wait", PATIENCE, async || {
        let active = mesh.envoy.stat("http.ingress.downstream_rq_active").await?;
        ensure!(active == 1, "{active}");
        Ok(())
    })
    .await?;
    // When the proxy hears of the directory again, Alice is in it.
    mesh.envoy.process().pause()?;
    mesh.feeder.start().await?;
    alice(&mesh).await?;
    assert_eq!(mesh.upstream.take_requests().len(), 0);
    mesh.envoy.process().resume()?;
    let response = raw.response()?;
    ensure!(response.starts_with("HTTP/1.1 200"), "{response}");
    expect_clean(&only(&mesh)?);
    mesh.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_next_hop_is_asked_to_take_ours_away() -> Result<()> {
    let mesh = Mesh::start(&told_policy()).await?;
    let token = alice(&mesh).await?;
    mesh.await_status("/payments", Some(&token), 200).await?;
    mesh.upstream.take_requests();

    // RFC 9110 section 7.6.1: a proxy removes what Connection lists. Envoy does so before any filter, and sends a Connection
    // of its own.
    let upgrade = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
                   sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    // It forwards an upgrade's as it came: there the filter does so.
    for listed in [
        "connection: x-scimesh-subject\r\n".to_owned(),
        "connection: X-Scimesh-Subject, x_scimesh_subject,close\r\n".to_owned(),
        "connection: keep-alive\r\nConnection: x-scimesh-groups , x-scimesh-rule\r\n".to_owned(),
        "connection: x-scimesh-subject\r\nx-scimesh-subject: root\r\n".to_owned(),
        format!("{upgrade}connection: x-scimesh-subject\r\n"),
        format!("connection: X_Scimesh-Subject, x-note\r\n{upgrade}"),
        "proxy-connection: x-scimesh-subject\r\n".to_owned(),
        "keep-alive: x-scimesh-subject\r\n".to_owned(),
    ] {
        let mut raw = Raw::open(&mesh.envoy)?;
        let head = request_line("/payments", Some(&token));
        raw.send(format!("{head}{listed}\r\n"))?;
        let response = raw.response()?;
        ensure!(response.starts_with("HTTP/1.1 200"), "{listed}: {response}");
        let arrival = only(&mesh)?;
        assert_eq!(told(&arrival.headers), pairs(&ALICE), "{listed}");
        assert_eq!(
            arrival.headers.contains_key("upgrade"),
            listed.contains("upgrade")
        );
        for name in ["connection", "proxy-connection", "keep-alive"] {
            for value in arrival.headers.get_all(name) {
                let value = folded(&String::from_utf8_lossy(value.as_bytes()));
                ensure!(!value.contains("X_SCIMESH"), "{listed}: {name}: {value}");
            }
        }
    }
    // In HTTP/2 the field is malformed (RFC 9113 section 8.2.2).
    let malformed = [("connection", "x-scimesh-subject")];
    let answer = frames(&mesh.envoy, &token, &malformed)?;
    assert_ne!(answer, Some(HEADERS), "no response");
    assert_eq!(mesh.upstream.take_requests().len(), 0);
    assert_eq!(frames(&mesh.envoy, &token, &[])?, Some(HEADERS));
    assert_eq!(told(&only(&mesh)?.headers), pairs(&ALICE));
    mesh.end().await
}

/// Types of frames (RFC 9113 section 6).
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;

/// A request in HTTP/2 frames; gives the type of the frame that answers it, or none if the connection ends.
fn frames(envoy: &Envoy, token: &str, fields: &[(&str, &str)]) -> Result<Option<u8>> {
    const END_STREAM_AND_HEADERS: u8 = 5;
    let frame = |kind: u8, flags: u8, stream: u8, payload: &[u8]| -> Result<Vec<u8>> {
        let [_, size @ ..] = u32::try_from(payload.len())?.to_be_bytes();
        let mut frame = size.to_vec();
        frame.extend([kind, flags, 0, 0, 0, stream]);
        frame.extend(payload);
        Ok(frame)
    };
    let bearer = format!("Bearer {token}");
    let mut block = Vec::new();
    let request = [
        (":method", "GET"),
        (":scheme", "http"),
        (":path", "/payments"),
        (":authority", "svc.example.com"),
        ("authorization", &bearer),
    ];
    for (name, value) in request.iter().chain(fields) {
        // A literal field without indexing (RFC 7541 section 6.2.2).
        block.push(0);
        for text in [name, value] {
            // An integer with a prefix of seven bits (section 5.1).
            let mut size = text.len();
            if size < 127 {
                block.push(size as u8);
            } else {
                block.push(127);
                size -= 127;
                while size >= 128 {
                    block.push(size as u8 | 128);
                    size /= 128;
                }
                block.push(size as u8);
            }
            block.extend(text.bytes());
        }
    }
    let mut raw = Raw::open(envoy)?;
    raw.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")?;
    raw.send(frame(SETTINGS, 0, 0, &[])?)?;
    raw.send(frame(HEADERS, END_STREAM_AND_HEADERS, 1, &block)?)?;
    loop {
        let mut head = [0; 9];
        match raw.0.read_exact(&mut head) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
            read => read?,
        }
        let [a, b, c, kind, _, _, _, _, stream] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        raw.0.read_exact(&mut payload)?;
        if stream == 1 {
            return Ok(Some(kind));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_the_headers_are_the_next_request_is_served() -> Result<()> {
    let mesh = Mesh::start(&told_policy()).await?;
    let token = alice(&mesh).await?;
    mesh.await_status("/payments", Some(&token), 200).await?;
    mesh.upstream.take_requests();

    let many = |count: usize, name: &str, value: &str| {
        let lines = (0..count).map(|_| format!("{name}: {value}\r\n").into_bytes());
        lines.collect::<Vec<_>>().concat()
    };
    // Of this number, the first two pairs of bits are separators, and the next bit is the case.
    let spellings = (0..80u32).map(|n| {
        let separator = |bit: u32| ["-", "_", ".", "~"][(n >> bit & 3) as usize];
        let name = format!("x{}scimesh{}subject", separator(0), separator(2));
        let name = if n & 16 == 0 {
            name
        } else {
            name.to_uppercase()
        };
        format!("{name}: root-{n}\r\n").into_bytes()
    });
    let served = vec![
        spellings.collect::<Vec<_>>().concat(),
        many(90, "x_scimesh_subject", "root"),
        many(1, "x-scimesh-subject", &"r".repeat(80 * 1024)),
        many(1, "x-scimesh-subject", ""),
        b"x-scimesh-subject: \xff\xfe\x80\r\n".to_vec(),
        b"x-note: a\r\n x-scimesh-subject: root\r\n".to_vec(),
    ];
    let refused = vec![
        many(5000, "x_scimesh_subject", "r"),
        many(1, "x-scimesh-subject", &"r".repeat(200 * 1024)),
        b"x-scimesh-\xff: root\r\n".to_vec(),
        b": root\r\n".to_vec(),
        b"x-scimesh-subject : root\r\n".to_vec(),
    ];
    let served = served.into_iter().map(|lines| (lines, true));
    let refused = refused.into_iter().map(|lines| (lines, false));
    for (n, (lines, goes_on)) in served.chain(refused).enumerate() {
        let mut raw = Raw::open(&mesh.envoy)?;
        let mut head = request_line("/payments", Some(&token)).into_bytes();
        head.extend(lines);
        head.extend(b"\r\n");
        // Envoy may have refused it before the last byte.
        let _ = raw.send(head);
        let response = raw.response().unwrap_or_default();
        assert_eq!(
            response.starts_with("HTTP/1.1 200"),
            goes_on,
            "{n}: {response}"
        );
        let arrivals = mesh.upstream.take_requests();
        assert_eq!(arrivals.len(), usize::from(goes_on), "{n}");
        for arrival in arrivals {
            assert_eq!(told(&arrival.headers), pairs(&ALICE), "{n}");
        }
        mesh.expect("/payments", Some(&token), 200).await?;
        mesh.upstream.take_requests();
    }
    mesh.end().await
}
