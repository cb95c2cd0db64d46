//! SHADOW: what would be refused is known, and nobody notices.

#![allow(
    clippy::indexing_slicing,
    reason = "what is indexed is JSON and bytes, by functions that only tests call"
)]

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use axum::body::Bytes;
use futures::future::try_join_all;
use h2::client::SendRequest;
use http::header::HeaderMap;
use scimesh_tests::address;
use scimesh_tests::bootstrap::{self, cluster};
use scimesh_tests::envoy::{Envoy, filter_config, publish};
use scimesh_tests::eventually::eventually;
use scimesh_tests::mesh::{Mesh, PATIENCE, Plan, payments_policy, policy, with};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// The policy of most stories in SHADOW; a request that is held waits for longer than any story has patience.
fn shadow_policy() -> Value {
    let names = json!({ "subject": "x-scimesh-subject", "groups": "x-scimesh-groups" });
    let policy = with(payments_policy(), "headers", names);
    let policy = with(policy, "hold", json!({ "timeout": "60s" }));
    with(policy, "mode", json!("SHADOW"))
}

/// What our names may look like in a request.
const SPOOFS: [&str; 3] = ["x-scimesh-subject", "X_Scimesh_Groups", "x.scimesh.subject"];

/// Has everything that was sent so far, byte for byte.
type Taken<T> = Arc<Mutex<Vec<T>>>;

fn take<T>(taken: &Taken<T>) -> Vec<T> {
    std::mem::take(&mut *taken.lock().unwrap_or_else(PoisonError::into_inner))
}

/// A service that keeps the bytes of each HTTP/1.1 request, and answers when it has come to its end.
async fn bytes_kept() -> Result<(SocketAddr, Taken<Vec<u8>>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let taken = Taken::default();
    let shared = taken.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(keep_bytes(stream, shared.clone()));
        }
    });
    Ok((address, taken))
}

async fn keep_bytes(mut stream: TcpStream, taken: Taken<Vec<u8>>) -> std::io::Result<()> {
    let mut request = Vec::new();
    while stream.read_buf(&mut request).await? > 0 {
        if is_whole(&request) {
            let request = std::mem::take(&mut request);
            taken
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(request);
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
            stream.write_all(answer).await?;
        }
    }
    Ok(())
}

/// Whether it ends as this file's requests do, and as Envoy writes them.
fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request).to_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    if head.contains("transfer-encoding: chunked") {
        let last = body.split_once("0\r\n");
        return last
            .is_some_and(|(_, trailers)| trailers == "\r\n" || trailers.ends_with("\r\n\r\n"));
    }
    let length = head.split_once("content-length: ").map(|(_, rest)| rest);
    let length = length.and_then(|rest| rest.lines().next()?.parse().ok());
    let length: usize = length.unwrap_or(0);
    request.len() == head_size(request) + length
}

fn head_size(request: &[u8]) -> usize {
    let end = request.windows(4).position(|bytes| bytes == b"\r\n\r\n");
    end.map_or(0, |end| end + 4)
}

/// An HTTP/2 request as it came: its fields in order of their names, and repeated ones as they were repeated.
#[derive(Debug, PartialEq, Eq)]
struct Stream {
    line: String,
    headers: Vec<(String, Vec<u8>)>,
    data: Vec<u8>,
    trailers: Vec<(String, Vec<u8>)>,
}

fn fields(map: &HeaderMap) -> Vec<(String, Vec<u8>)> {
    let fields = map.iter();
    let mut fields: Vec<_> = fields
        .map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()))
        .collect();
    fields.sort_by(|(one, _), (other, _)| one.cmp(other));
    fields
}

/// A service that keeps each HTTP/2 request.
async fn streams_kept() -> Result<(SocketAddr, Taken<Stream>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let taken = Taken::default();
    let shared = taken.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(keep_streams(stream, shared.clone()));
        }
    });
    Ok((address, taken))
}

async fn keep_streams(stream: TcpStream, taken: Taken<Stream>) -> Result<()> {
    let mut connection = h2::server::handshake(stream).await?;
    while let Some(accepted) = connection.accept().await {
        let (request, mut respond) = accepted?;
        let taken = taken.clone();
        tokio::spawn(async move {
            let (head, mut body) = request.into_parts();
            let mut data = Vec::new();
            while let Some(part) = body.data().await {
                let part = part?;
                body.flow_control().release_capacity(part.len())?;
                data.extend_from_slice(&part);
            }
            let trailers = body.trailers().await?.unwrap_or_default();
            let stream = Stream {
                line: format!("{} {}", head.method, head.uri),
                headers: fields(&head.headers),
                data,
                trailers: fields(&trailers),
            };
            taken
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(stream);
            respond.send_response(http::Response::new(()), true)?;
            anyhow::Ok(())
        });
    }
    Ok(())
}

/// Where one and the same service is to be had in four ways.
struct Doors {
    /// Over HTTP/1.1, behind the filter and without it.
    filtered: SocketAddr,
    bare: SocketAddr,
    /// The same over HTTP/2.
    filtered2: SocketAddr,
    bare2: SocketAddr,
}

/// Adds another listener like the first: with or without the filter and its backstop, in front of this cluster.
fn add_listener(config: &mut Value, at: SocketAddr, filter: bool, cluster: &str) -> Result<()> {
    const MANAGER: &str = "/filter_chains/0/filters/0/typed_config";
    let listeners = config.pointer_mut("/static_resources/listeners");
    let listeners = listeners.and_then(Value::as_array_mut);
    let listeners = listeners.context("listeners")?;
    let mut listener = listeners.first().context("the first")?.clone();
    listener["name"] = json!(at.to_string());
    listener["address"] = bootstrap::address(at);
    let manager = listener.pointer_mut(MANAGER).context("a manager")?;
    manager["route_config"]["virtual_hosts"][0]["routes"][0]["route"]["cluster"] = json!(cluster);
    if !filter {
        let filters = manager["http_filters"].as_array_mut().context("filters")?;
        filters.retain(|filter| {
            filter["name"] != "scimesh" && filter["name"] != "envoy.filters.http.rbac"
        });
    }
    listeners.push(listener);
    Ok(())
}

/// `plan` with more doors, to a service that keeps bytes and one that keeps streams.
async fn doors(plan: Plan) -> Result<(Mesh, Doors, Taken<Vec<u8>>, Taken<Stream>)> {
    let (kept, bytes) = bytes_kept().await?;
    let (kept2, streams) = streams_kept().await?;
    let [bare, filtered2, bare2] = [address::free()?, address::free()?, address::free()?];
    let plan = plan.upstream(kept).alter(move |config| {
        let manager = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config";
        let manager = config.pointer_mut(manager).context("a manager")?;
        // The one thing that Envoy makes anew for each request.
        manager["generate_request_id"] = json!(false);
        let clusters = config["static_resources"]["clusters"].as_array_mut();
        clusters
            .context("clusters")?
            .push(cluster("streams", kept2, true));
        add_listener(config, bare, false, "upstream")?;
        add_listener(config, filtered2, true, "streams")?;
        add_listener(config, bare2, false, "streams")
    });
    let mesh = plan.start().await?;
    let doors = Doors {
        filtered: mesh.envoy.address(),
        bare,
        filtered2,
        bare2,
    };
    Ok((mesh, doors, bytes, streams))
}

/// Requests of all sorts; most would be refused, each for another reason. `spoofed` adds what a client may not say.
fn requests(token: &str, stranger: &str, spoofed: bool) -> Vec<Vec<u8>> {
    let spoofs = if spoofed {
        SPOOFS.map(|name| format!("{name}: root\r\n")).concat()
    } else {
        String::new()
    };
    let bearer = |token: &str| format!("authorization: Bearer {token}\r\n");
    let head = |line: &str, more: &str| {
        format!(
            "{line} HTTP/1.1\r\nHost: svc.example.com\r\nX-Note: one\r\n{spoofs}x-note: two\r\nx-empty:\r\n{more}\r\n"
        )
    };
    let mut requests: Vec<Vec<u8>> = [
        head("GET /payments", ""),
        head("GET /payments?a=%41&b=/../", &bearer(token)),
        head("GET /payments", &bearer(stranger)),
        head("GET /health", ""),
        head("GET //payments;a=b/%252e", ""),
        head("get /payments", &bearer(token)),
        head(
            "DELETE /",
            "x-odd: \u{fffd}\r\ncookie: a=b\r\ncookie: c=d\r\n",
        ),
        format!("GET / HTTP/1.1\r\nhost: a,b\r\n{spoofs}\r\n"),
        format!(
            "{}5\r\nhello\r\n7;ext=1\r\n, world\r\n0\r\n{spoofs}X-Sum: 7\r\n\r\n",
            head(
                "POST /payments",
                "transfer-encoding: chunked\r\ntrailer: x-sum\r\n"
            )
        ),
        format!(
            "{}0\r\n\r\n",
            head("PUT /payments", "transfer-encoding: chunked\r\n")
        ),
    ]
    .map(String::into_bytes)
    .into();
    let body: Vec<u8> = (0..200_000u32).map(|n| (n % 251) as u8).collect();
    let length = format!("content-length: {}\r\n", body.len());
    let mut large = head("POST /payments", &(length + &bearer(token))).into_bytes();
    large.extend(body);
    requests.push(large);
    let mut odd = b"GET /payments HTTP/1.1\r\nhost: x\r\nx-bytes: \xff\xfe\x80\r\n".to_vec();
    odd.extend(spoofs.bytes());
    odd.extend(b"\r\n");
    requests.push(odd);
    requests
}

/// Sends a request of HTTP/1.1, and gives the answer's status line.
async fn send(to: SocketAddr, request: &[u8]) -> Result<String> {
    let mut stream = TcpStream::connect(to).await?;
    stream.write_all(request).await?;
    let mut answer = Vec::new();
    let read = async {
        while head_size(&answer) == 0 && stream.read_buf(&mut answer).await? > 0 {}
        anyhow::Ok(())
    };
    timeout(PATIENCE, read).await.context("no answer")??;
    let text = String::from_utf8_lossy(&answer);
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

async fn client2(to: SocketAddr) -> Result<(SendRequest<Bytes>, JoinHandle<()>)> {
    let (client, connection) = h2::client::handshake(TcpStream::connect(to).await?).await?;
    let connection = tokio::spawn(async move {
        // It ends with the client.
        let _ = connection.await;
    });
    Ok((client, connection))
}

/// Sends a request of HTTP/2, with a body and trailers if it has any.
async fn send2(
    to: SocketAddr,
    token: Option<&str>,
    body: Option<&[u8]>,
    spoofed: bool,
) -> Result<u16> {
    let (client, connection) = client2(to).await?;
    let mut client = client.ready().await?;
    let method = if body.is_some() { "POST" } else { "GET" };
    let mut request = http::Request::builder().method(method);
    request = request.uri("http://svc.example.com/payments/Refund?a=b");
    let map = request.headers_mut().context("headers")?;
    map.append("content-type", "application/grpc+proto".parse()?);
    map.append("te", "trailers".parse()?);
    map.append("x-note", "one".parse()?);
    map.append("x-note", "two".parse()?);
    map.append("x-bin", http::HeaderValue::from_bytes(b"\xff\x80")?);
    if let Some(token) = token {
        map.append("authorization", format!("Bearer {token}").parse()?);
    }
    let mut trailers = HeaderMap::new();
    trailers.append("x-sum", "7".parse()?);
    if spoofed {
        for name in SPOOFS {
            let name: http::HeaderName = name.to_ascii_lowercase().parse()?;
            map.append(name.clone(), "root".parse()?);
            trailers.append(name, "root".parse()?);
        }
    }
    let (response, mut stream) = client.send_request(request.body(())?, body.is_none())?;
    if let Some(body) = body {
        stream.send_data(body.to_vec().into(), false)?;
        stream.send_trailers(trailers)?;
    }
    let status = timeout(PATIENCE, response)
        .await
        .context("no answer")??
        .status();
    drop((client, stream));
    connection.await?;
    Ok(status.as_u16())
}

/// Whatever is sent through the filter arrives as it does without it, and what a client may not say is gone.
async fn nothing_is_changed(
    doors: &Doors,
    bytes: &Taken<Vec<u8>>,
    streams: &Taken<Stream>,
    tokens: [&str; 2],
) -> Result<()> {
    let [token, stranger] = tokens;
    let plain = requests(token, stranger, false);
    let spoofed = requests(token, stranger, true);
    let mut arrivals = 0;
    for (plain, spoofed) in plain.iter().zip(&spoofed) {
        let text =
            |bytes: &[u8]| String::from_utf8_lossy(&bytes[..bytes.len().min(2000)]).into_owned();
        let answered = send(doors.bare, plain).await?;
        let as_sent = take(bytes);
        for request in [plain, spoofed] {
            let answer = send(doors.filtered, request).await?;
            ensure!(answer == answered, "{answer}: {}", text(request));
            let arrived = take(bytes);
            ensure!(arrived.len() == as_sent.len(), "{}", text(request));
            for (arrived, as_sent) in arrived.iter().zip(&as_sent) {
                ensure!(
                    arrived == as_sent,
                    "{}\nis not\n{}",
                    text(arrived),
                    text(as_sent)
                );
            }
        }
        arrivals += as_sent.len();
    }
    // Envoy itself refuses a method of small letters.
    ensure!(arrivals == plain.len() - 1, "{arrivals}");
    for token in [None, Some(token), Some(stranger)] {
        for body in [None, Some(&b"\0\0\0\0\x02hi"[..]), Some(&[7; 40_000])] {
            ensure!(send2(doors.bare2, token, body, false).await? == 200);
            let as_sent = take(streams);
            ensure!(as_sent.len() == 1);
            for spoofed in [false, true] {
                let status = send2(doors.filtered2, token, body, spoofed).await?;
                ensure!(status == 200, "{status}");
                assert_eq!(take(streams), as_sent);
            }
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shadow_policy_changes_nothing_but_that_the_clients_identity_headers_are_gone()
-> Result<()> {
    let plan = Plan::new(&shadow_policy()).feeder_stopped();
    let (mut mesh, doors, bytes, streams) = doors(plan).await?;
    let token = mesh.acme.issuer.token("alice-0001")?;
    let stranger = mesh.stranger.token("alice-0001")?;
    let tokens = [token.as_str(), stranger.as_str()];
    // Nothing is known of the directory: nothing is refused for it, and nothing held.
    nothing_is_changed(&doors, &bytes, &streams, tokens).await?;

    mesh.feeder.start().await?;
    let scim = &mesh.acme.scim;
    let alice = scim.create_user("alice", "alice-0001").await?;
    scim.create_group("payments", &[&alice]).await?;
    await_applied(&mesh).await?;
    nothing_is_changed(&doors, &bytes, &streams, tokens).await?;
    mesh.end().await
}

/// Waits until every VM holds what the feeder does.
async fn await_applied(mesh: &Mesh) -> Result<()> {
    let json = |text: String| -> Result<Value> { Ok(serde_json::from_str(&text)?) };
    let status = json(mesh.feeder.run(&["status", "--output", "json"]).await?)?;
    let revision = status
        .pointer("/feeder/revision")
        .context("a revision")?
        .to_string();
    eventually("the change to be applied", PATIENCE, async || {
        let arguments = ["status", "--output", "json", "--revision", &revision];
        let applied = json(mesh.feeder.command(&arguments).await?.stdout)?;
        let filters = applied["filters"].as_array().context("filters")?;
        // The main thread's, and one a worker.
        ensure!(filters.len() >= 3, "{applied}");
        let stands = filters.iter().map(|filter| filter["stand"].as_str());
        ensure!(
            stands.clone().all(|stand| stand == Some("applied")),
            "{applied}"
        );
        Ok(())
    })
    .await
}

/// Every worker lets the request go on, and has nothing held.
async fn goes_on(mesh: &Mesh, token: Option<&str>) -> Result<()> {
    let answers = (0..2).map(|_| mesh.expect("/payments", token, 200));
    timeout(Duration::from_secs(10), try_join_all(answers))
        .await
        .context("held")??;
    Ok(())
}

/// What the log says of a reason, and how often.
fn logged(mesh: &mut Mesh, reason: &str) -> usize {
    let log = mesh.envoy.process().log();
    let line = format!("SHADOW: would be refused: policy -, rule payments, reason {reason};");
    log.matches(&line).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shadow_policy_refuses_nothing_whatever_the_filter_lacks() -> Result<()> {
    for (plan, reason) in [
        (Plan::new(&shadow_policy()).feeder_stopped(), "no_snapshot"),
        (
            Plan::new(&shadow_policy()).without_feed_cluster(),
            "feed_cluster_missing",
        ),
    ] {
        let mut mesh = plan.start().await?;
        let token = mesh.acme.issuer.token("alice-0001")?;
        eventually("the reason to be logged", PATIENCE, async || {
            goes_on(&mesh, Some(&token)).await?;
            ensure!(logged(&mut mesh, reason) > 0, "{reason}");
            Ok(())
        })
        .await?;
        goes_on(&mesh, None).await?;
        mesh.end().await?;
    }
    // The lease ends.
    let policy = with(shadow_policy(), "maxStaleness", json!("5s"));
    let mut mesh = Mesh::start(&policy).await?;
    let token = mesh.acme.issuer.token("alice-0001")?;
    goes_on(&mesh, Some(&token)).await?;
    // Nor does it end what is open: a download by Alice, who is out of the group before the lease ends.
    let alice = mesh.acme.scim.create_user("alice", "alice-0001").await?;
    let payments = mesh.acme.scim.create_group("payments", &[&alice]).await?;
    await_applied(&mesh).await?;
    let request = reqwest::Client::new().get(mesh.envoy.url("/stream"));
    let mut download = request.bearer_auth(&token).send().await?;
    mesh.acme.scim.remove_member(&payments, &alice).await?;
    mesh.acme.scim.set_active(&alice, false).await?;
    await_applied(&mesh).await?;
    mesh.feeder.stop().await?;
    eventually("the lease to end", PATIENCE, async || {
        goes_on(&mesh, Some(&token)).await?;
        ensure!(logged(&mut mesh, "lease_ended") > 0);
        Ok(())
    })
    .await?;
    // What has come since it was opened is there first; it goes on beyond that.
    let mut lines = 0;
    while lines < 1000 {
        let chunk = timeout(PATIENCE, download.chunk())
            .await
            .context("silent")??;
        let chunk = chunk.context("the download was ended")?;
        lines += chunk.split(|byte| *byte == b'\n').count();
    }
    drop(download);
    mesh.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_enforced_rule_behind_a_shadow_rule_still_refuses() -> Result<()> {
    let anybody = |effect: Value| {
        let mut rule = json!({ "name": "trial", "to": [{ "methods": ["*"] }, { "ports": ["1"] }], "mode": "SHADOW" });
        if let (Some(rule), Value::Object(effect)) = (rule.as_object_mut(), effect) {
            rule.extend(effect);
        }
        rule
    };
    for effect in [
        json!({ "allow": "PUBLIC" }),
        json!({ "allow": "NOBODY" }),
        json!({ "require": { "anyOf": ["active"] } }),
    ] {
        let enforced = payments_policy()["rules"].clone();
        let mut rules = vec![anybody(effect)];
        rules.extend(enforced.as_array().cloned().unwrap_or_default());
        let mesh = Mesh::start(&policy(json!(rules))).await?;
        let scim = &mesh.acme.scim;
        let alice = scim.create_user("alice", "alice-0001").await?;
        scim.create_user("bob", "bob-0002").await?;
        scim.create_group("payments", &[&alice]).await?;
        let issuer = &mesh.acme.issuer;
        let (alice, bob) = (issuer.token("alice-0001")?, issuer.token("bob-0002")?);
        mesh.await_status("/payments", Some(&alice), 200).await?;
        mesh.upstream.take_arrivals();
        mesh.expect("/payments", Some(&bob), 403).await?;
        mesh.expect("/payments", None, 401).await?;
        mesh.expect("//payments", Some(&alice), 400).await?;
        assert_eq!(mesh.upstream.take_arrivals().len(), 0);
        mesh.expect("/health", None, 200).await?;
        mesh.end().await?;
    }
    Ok(())
}

/// Who asks all the time, in the adoption of a policy.
const ASKERS: [(&str, &str); 4] = [
    ("alice", "/payments"),
    // He belongs to payments, and the directory does not know it yet.
    ("bob", "/payments/7"),
    ("mallory", "/payments"),
    ("nobody", "/health"),
];

/// Requests that come all the time, on new connections, and how each was answered.
struct Traffic {
    answers: Taken<(&'static str, u16)>,
    task: JoinHandle<()>,
}

impl Traffic {
    fn start(mesh: &Mesh) -> Result<Traffic> {
        let answers = Taken::default();
        let client = Envoy::fresh_connections()?;
        let mut requests = Vec::new();
        for (who, path) in ASKERS {
            let mut request = client.get(mesh.envoy.url(path));
            if who != "nobody" {
                request = request.bearer_auth(mesh.acme.issuer.token(who)?);
            }
            requests.push((who, request));
        }
        let shared = answers.clone();
        let task = tokio::spawn(async move {
            for (who, request) in requests.iter().cycle() {
                let request = request.try_clone();
                let answer = request.map(reqwest::RequestBuilder::send);
                let status = match answer {
                    Some(answer) => answer.await.map_or(0, |answer| answer.status().as_u16()),
                    None => 0,
                };
                shared
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push((*who, status));
            }
        });
        Ok(Traffic { answers, task })
    }

    /// Waits for so many more rounds of answers, none of which may be other than 200 but those to `refused`. Returns how many of theirs were.
    async fn goes_on(&self, rounds: usize, refused: Option<&str>) -> Result<usize> {
        let mut seen = Vec::new();
        eventually("requests to be answered", PATIENCE, async || {
            seen.extend(take(&self.answers));
            ensure!(seen.len() >= rounds * ASKERS.len(), "{}", seen.len());
            Ok(())
        })
        .await?;
        let others = seen.iter().filter(|(_, status)| *status != 200);
        let mut refusals = 0;
        for (who, status) in others {
            ensure!(Some(*who) == refused && *status == 403, "{who}: {status}");
            refusals += 1;
        }
        Ok(refusals)
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What `scimesh shadow` says: rule, reason, who (empty if it is not known), and how many requests.
async fn would_be_refused(mesh: &Mesh) -> Result<Vec<(String, String, String, u64)>> {
    let report = mesh
        .feeder
        .run(&["shadow", "acme", "--output", "json"])
        .await?;
    let report: Value = serde_json::from_str(&report)?;
    let rows = report["tenants"][0]["refusals"].as_array();
    let mut refusals = Vec::new();
    for row in rows.context("refusals")? {
        let text = |field: &str| row[field].as_str().unwrap_or_default().to_owned();
        for one in row["named"].as_array().context("named")? {
            let who = one["users"][0]["userName"].as_str().unwrap_or_default();
            let requests = one["requests"].as_u64().context("requests")?;
            refusals.push((text("rule"), text("reason"), who.to_owned(), requests));
        }
    }
    Ok(refusals)
}

/// How many requests of `who` would have been refused, by the rule for payments and because they are not in the group.
async fn refusals_of(mesh: &Mesh, who: &str) -> Result<u64> {
    let rows = would_be_refused(mesh).await?;
    let theirs = rows.iter().filter(|(rule, reason, name, _)| {
        name == who && rule == "payments" && reason == "not_permitted"
    });
    Ok(theirs.map(|(_, _, _, requests)| requests).sum())
}

/// Envoy's configuration before anybody has thought of a policy: no filter of ours, no backstop.
fn without_enforcement(config: &mut Value) -> Result<()> {
    let filters =
        "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/http_filters";
    let filters = config.pointer_mut(filters).and_then(Value::as_array_mut);
    let filters = filters.context("filters")?;
    filters.retain(|filter| filter["name"] != "envoy.filters.http.rbac");
    let ours = filters
        .iter_mut()
        .find(|filter| filter["name"] == "scimesh");
    let discovery = &mut ours.context("ours")?["config_discovery"];
    let nothing = bootstrap::nothing();
    let types = discovery["type_urls"].as_array_mut().context("types")?;
    types.push(nothing["@type"].clone());
    let path = discovery["config_source"]["path_config_source"]["path"].as_str();
    let dir = Path::new(path.context("a path")?).parent();
    publish(dir.context("a directory")?, "0", &nothing)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_comes_from_nothing_to_enforced_and_nobody_is_wrongly_refused() -> Result<()> {
    // On a busy machine a new VM may take longer than usual to hear of the directory.
    let enforced = with(
        payments_policy(),
        "hold",
        json!({ "timeout": "20s", "requests": 1024 }),
    );
    let shadow = with(enforced.clone(), "mode", json!("SHADOW"));
    let plan = Plan::new(&shadow).discovered().alter(without_enforcement);
    let mesh = plan.start().await?;
    let scim = &mesh.acme.scim;
    let alice = scim.create_user("alice", "alice").await?;
    let bob = scim.create_user("bob", "bob").await?;
    scim.create_user("mallory", "mallory").await?;
    let payments = scim.create_group("payments", &[&alice]).await?;

    // Everybody gets everything.
    let traffic = Traffic::start(&mesh)?;
    traffic.goes_on(20, None).await?;
    assert_eq!(would_be_refused(&mesh).await?, []);

    // A policy in SHADOW: everybody still does, and it is known who would not.
    mesh.envoy
        .update("1", &filter_config(&shadow.to_string(), Some("1"))?)?;
    for who in ["bob", "mallory"] {
        eventually(
            "the report to name who is not in the group",
            PATIENCE,
            async || {
                ensure!(
                    refusals_of(&mesh, who).await? > 0,
                    "{:?}",
                    would_be_refused(&mesh).await?
                );
                Ok(())
            },
        )
        .await?;
    }
    assert_eq!(refusals_of(&mesh, "alice").await?, 0);
    traffic.goes_on(20, None).await?;

    // The directory is corrected, where it was wrong.
    scim.add_member(&payments, &bob).await?;
    await_applied(&mesh).await?;
    // A fresh report shows who should be refused, and nobody else: of Bob there is nothing new in several.
    let mut before = (0, 0);
    let mut in_a_row = 0;
    eventually("reports without Bob", 3 * PATIENCE, async || {
        let now = (
            refusals_of(&mesh, "bob").await?,
            refusals_of(&mesh, "mallory").await?,
        );
        if now.0 != before.0 {
            in_a_row = 0;
        } else if now.1 != before.1 {
            in_a_row += 1;
        }
        before = now;
        ensure!(in_a_row >= 4, "{in_a_row} of them: {now:?}");
        Ok(())
    })
    .await?;
    traffic.goes_on(20, None).await?;

    // ENFORCE: requests go on, but for whom the report named.
    mesh.envoy
        .update("2", &filter_config(&enforced.to_string(), Some("2"))?)?;
    let mallory = mesh.acme.issuer.token("mallory")?;
    mesh.await_status("/payments", Some(&mallory), 403).await?;
    // Those that came before.
    traffic.goes_on(1, Some("mallory")).await?;
    let refused = traffic.goes_on(40, Some("mallory")).await?;
    ensure!(refused >= 40, "{refused}");
    drop(traffic);
    mesh.end().await
}
