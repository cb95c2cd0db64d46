//! What a refused client is told: over HTTP a problem, with a 401 a challenge; over gRPC a status.

use anyhow::{Context, Result, ensure};
use http::header::{CONTENT_TYPE, HeaderMap, WWW_AUTHENTICATE};
use reqwest::Method;
use scimesh_tests::envoy::Envoy;
use scimesh_tests::mesh::{Mesh, Plan, payments_policy, policy};
use serde_json::json;
use tokio::net::TcpStream;

/// A policy with a rule for each kind of refusal.
fn strict_policy() -> serde_json::Value {
    policy(json!([
        {
            "name": "fresh",
            "to": [{ "paths": ["/fresh"] }],
            "require": { "anyOf": ["active"] },
            "maxTokenAge": "5m",
        },
        { "name": "closed", "to": [{ "paths": ["/closed"] }], "allow": "NOBODY" },
        { "name": "rest", "to": [{ "paths": ["/{**}"] }], "require": { "anyOf": ["active"] } },
    ]))
}

const BEARER: &str = "Bearer realm=\"scimesh\"";

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_has_to_sign_in_is_challenged_and_one_that_may_not_is_not() -> Result<()> {
    let mesh = Mesh::start(&strict_policy()).await?;
    mesh.acme.scim.create_user("alice", "alice-0001").await?;
    let alice = mesh.acme.issuer.token("alice-0001")?;
    mesh.await_status("/fresh", Some(&alice), 200).await?;
    mesh.upstream.take_arrivals();

    let issuer = &mesh.acme.issuer;
    let old = issuer.token_with(json!({ "sub": "alice-0001", "iat": 1_600_000_000 }))?;
    let nameless = issuer.token_with(json!({ "email": "alice-0001" }))?;
    let stranger = mesh.stranger.token("alice-0001")?;
    let unknown = issuer.token("mallory-0001")?;
    for (path, token, status, reason) in [
        ("/", None, 401, "no_token"),
        ("/fresh", Some(&old), 401, "token_too_old"),
        ("/", Some(&nameless), 401, "no_subject"),
        ("/", Some(&stranger), 401, "unknown_issuer"),
        ("/", Some(&unknown), 403, "unknown_subject"),
        ("/closed", Some(&alice), 403, "nobody"),
        ("//closed", Some(&alice), 400, "ambiguous_path"),
    ] {
        let token = token.map(String::as_str);
        let get = mesh.envoy.get(path, token).await?;
        assert_eq!(get.status, status, "{reason}: {}", get.body);
        assert_eq!(get.reason().as_deref(), Some(reason), "{}", get.body);
        assert_eq!(get.headers[CONTENT_TYPE], "application/problem+json");

        // RFC 6750 section 3.1: a request without a token is told of no error.
        let challenges: Vec<_> = get.headers.get_all(WWW_AUTHENTICATE).iter().collect();
        match (status, token) {
            (401, None) => assert_eq!(challenges, [BEARER]),
            (401, Some(_)) => {
                let [challenge] = challenges[..] else {
                    panic!("{reason}: {challenges:?}");
                };
                let error = format!("{BEARER}, error=\"invalid_token\", error_description=\"");
                assert!(
                    challenge.to_str()?.starts_with(&error),
                    "{reason}: {challenge:?}"
                );
            }
            _ => assert_eq!(challenges.len(), 0, "{reason}"),
        }

        // RFC 9110 section 9.3.2: the same, without the body.
        let head = mesh.envoy.request(Method::HEAD, path, token).await?;
        assert_eq!(head.status, status, "{reason}");
        assert_eq!(head.body, "");
        for name in [CONTENT_TYPE, WWW_AUTHENTICATE] {
            assert_eq!(head.headers.get(&name), get.headers.get(&name), "{reason}");
        }
    }
    assert_eq!(mesh.upstream.take_arrivals().len(), 0);
    mesh.expect("/fresh", Some(&alice), 200).await?;
    mesh.end().await
}

/// What a gRPC client sees of a response.
struct Call {
    http_status: u16,
    /// With the trailers: a response may consist of trailers alone.
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Call {
    /// One call on a connection of its own.
    async fn new(
        envoy: &Envoy,
        path: &str,
        token: Option<&str>,
        content_type: &str,
    ) -> Result<Call> {
        let stream = TcpStream::connect(envoy.address()).await?;
        let (mut client, connection) = h2::client::handshake(stream).await?;
        let connection = tokio::spawn(connection);
        let mut request = http::Request::post(format!("http://{}{path}", envoy.address()))
            .header(CONTENT_TYPE, content_type)
            .header("te", "trailers");
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let (response, mut message) = client.send_request(request.body(())?, false)?;
        // An empty one: not compressed, of no bytes. If the answer was quicker, the stream is over already.
        let _ = message.send_data(vec![0; 5].into(), true);
        let (head, mut stream) = response.await?.into_parts();
        let mut body = Vec::new();
        while let Some(data) = stream.data().await {
            let data = data?;
            stream.flow_control().release_capacity(data.len())?;
            body.extend_from_slice(&data);
        }
        let mut headers = head.headers;
        headers.extend(stream.trailers().await?.unwrap_or_default());
        drop((client, message, stream));
        connection.await??;
        Ok(Call {
            http_status: head.status.as_u16(),
            headers,
            body,
        })
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grpc_client_gets_a_status_and_the_reason() -> Result<()> {
    let mesh = Mesh::start(&strict_policy()).await?;
    mesh.acme.scim.create_user("alice", "alice-0001").await?;
    let alice = mesh.acme.issuer.token("alice-0001")?;
    mesh.await_status("/fresh", Some(&alice), 200).await?;
    mesh.upstream.take_arrivals();

    let unknown = mesh.acme.issuer.token("mallory-0001")?;
    for content_type in ["application/grpc", "application/grpc+proto"] {
        for (path, token, status, reason) in [
            ("/bank.Accounts/Get", None, "16", "no_token"),
            ("/bank.Accounts/Get", Some(&unknown), "7", "unknown_subject"),
            ("/closed", Some(&alice), "7", "nobody"),
            ("/bank.Accounts//Get", Some(&alice), "3", "ambiguous_path"),
        ] {
            let token = token.map(String::as_str);
            let call = Call::new(&mesh.envoy, path, token, content_type).await?;
            // gRPC over HTTP2, "Responses": the HTTP status is 200, whatever the call's is.
            assert_eq!(call.http_status, 200, "{reason}");
            assert_eq!(call.header("grpc-status"), Some(status), "{reason}");
            assert_eq!(call.header("grpc-message"), Some(reason));
            assert_eq!(call.header("content-type"), Some("application/grpc"));
            assert_eq!(call.header("www-authenticate"), None, "{reason}");
            assert_eq!(call.body, b"");
        }
    }
    // Only Envoy's own filter for it, in front, would make gRPC of grpc-web; and these are not gRPC at all.
    for content_type in [
        "application/grpc-web",
        "application/grpc-web+proto",
        "application/grpc-web-text",
        "application/grpcx",
        "application/grpc;charset=utf-8",
        "Application/GRPC",
        "application/json",
    ] {
        let call = Call::new(&mesh.envoy, "/closed", Some(&alice), content_type).await?;
        assert_eq!(call.http_status, 403, "{content_type}");
        assert_eq!(call.header("grpc-status"), None, "{content_type}");
        assert_eq!(
            call.header("content-type"),
            Some("application/problem+json")
        );
        let problem: serde_json::Value = serde_json::from_slice(&call.body)?;
        assert_eq!(problem["reason"], "nobody", "{content_type}");
    }
    assert_eq!(mesh.upstream.take_arrivals().len(), 0);
    let call = Call::new(
        &mesh.envoy,
        "/bank.Accounts/Get",
        Some(&alice),
        "application/grpc",
    )
    .await?;
    assert_eq!(call.header("grpc-status"), None, "the upstream's answer");
    assert_eq!(
        mesh.upstream.take_arrivals(),
        ["POST /bank.Accounts/Get"],
        "a good call goes on"
    );
    mesh.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grpc_client_is_told_that_the_proxy_knows_nothing_yet() -> Result<()> {
    let mut policy = payments_policy();
    policy["hold"] = json!({ "timeout": "200ms" });
    let mesh = Plan::new(&policy).feeder_stopped().start().await?;
    let token = mesh.acme.issuer.token("alice-0001")?;
    let call = Call::new(&mesh.envoy, "/a.B/C", Some(&token), "application/grpc").await?;
    assert_eq!(call.http_status, 200);
    assert_eq!(call.header("grpc-status"), Some("14"));
    assert_eq!(call.header("grpc-message"), Some("no_snapshot"));
    let answer = mesh.envoy.get("/a.B/C", Some(&token)).await?;
    assert_eq!(answer.status, 503, "{}", answer.body);
    let reason = answer.reason().context("a reason")?;
    ensure!(reason == "no_snapshot", "{reason}");
    assert_eq!(mesh.upstream.take_arrivals().len(), 0);
    mesh.end().await
}
