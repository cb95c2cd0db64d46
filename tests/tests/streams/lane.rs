//! One open request, on a connection of its own.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use axum::body::Bytes;
use h2::client::SendRequest;
use h2::{Reason, RecvStream, SendStream};
use http::Request;
use reqwest::Response;
use scimesh_tests::envoy::Envoy;
use scimesh_tests::socket::Socket;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

/// How long it may take until something comes, or ends.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A WebSocket over HTTP/1.1, data both ways.
    Socket,
    /// A slow download over HTTP/1.1.
    Download,
    /// A server stream over HTTP/2.
    Served,
    /// A bidirectional stream over HTTP/2.
    Echo,
}

pub(crate) const KINDS: [Kind; 4] = [Kind::Socket, Kind::Download, Kind::Served, Kind::Echo];

/// See the module.
pub(crate) enum Lane {
    Socket(Box<Socket>),
    Download(Response),
    Http2(Http2),
}

/// A stream of HTTP/2; its connection ends with it.
pub(crate) struct Http2 {
    heard: RecvStream,
    /// Data flows both ways.
    said: Option<SendStream<Bytes>>,
    connection: JoinHandle<()>,
}

impl Lane {
    /// Opens one; data flows before it is given back.
    pub(crate) async fn open(envoy: &Envoy, kind: Kind, token: &str) -> Result<Lane> {
        let mut lane = match kind {
            Kind::Socket => Lane::Socket(Box::new(Socket::open(envoy, token).await?)),
            Kind::Download => {
                let request = Envoy::fresh_connections()?.get(envoy.url("/stream"));
                let response = request.bearer_auth(token).send().await?;
                ensure!(response.status() == 200, "{}", response.status());
                Lane::Download(response)
            }
            Kind::Served => Lane::Http2(Http2::open(envoy, "GET", "/stream", token).await?),
            Kind::Echo => Lane::Http2(Http2::open(envoy, "POST", "/echo", token).await?),
        };
        lane.flows().await?;
        Ok(lane)
    }

    /// Data goes both ways, or down if that is all that it does.
    pub(crate) async fn flows(&mut self) -> Result<()> {
        match self {
            Lane::Socket(socket) => return socket.exchange().await,
            Lane::Http2(Http2 {
                said: Some(said), ..
            }) => said.send_data(Bytes::from_static(b"more"), false)?,
            Lane::Download(_) | Lane::Http2(_) => {}
        }
        ensure!(self.hears().await?, "it was cut");
        Ok(())
    }

    /// Waits until it is cut, whatever was under way before.
    pub(crate) async fn cut(&mut self) -> Result<()> {
        if let Lane::Socket(socket) = self {
            return socket.cut().await;
        }
        while self.hears().await? {}
        Ok(())
    }

    /// Whether something comes, or it was cut. A proper end is an error: the client could take it for the whole.
    async fn hears(&mut self) -> Result<bool> {
        let next = tokio::time::timeout(PATIENCE, self.next());
        match next.await.context("nothing comes, and it is open")?? {
            Some(cut) => Ok(!cut),
            None => bail!("it ended as if that had been all"),
        }
    }

    /// None at a proper end, true if it was cut.
    async fn next(&mut self) -> Result<Option<bool>> {
        match self {
            Lane::Socket(_) => bail!("a WebSocket has messages"),
            Lane::Download(response) => match response.chunk().await {
                Ok(part) => Ok(part.map(|_| false)),
                Err(_) => Ok(Some(true)),
            },
            Lane::Http2(Http2 { heard, .. }) => match heard.data().await {
                None => Ok(None),
                Some(Ok(part)) => {
                    heard.flow_control().release_capacity(part.len())?;
                    Ok(Some(false))
                }
                Some(Err(error)) if error.is_reset() => {
                    let reason = error.reason();
                    ensure!(reason != Some(Reason::NO_ERROR), "{reason:?}");
                    Ok(Some(true))
                }
                Some(Err(error)) => Err(error.into()),
            },
        }
    }
}

impl Http2 {
    async fn open(envoy: &Envoy, method: &str, path: &str, token: &str) -> Result<Http2> {
        let stream = TcpStream::connect(envoy.address()).await?;
        let (client, connection) = h2::client::handshake(stream).await?;
        let connection = tokio::spawn(async move {
            // What ends it, its streams say.
            let _ = connection.await;
        });
        let mut client: SendRequest<Bytes> = client.ready().await?;
        let request = Request::builder()
            .method(method)
            .uri(envoy.url(path))
            .header("authorization", format!("Bearer {token}"))
            .body(())?;
        let speaks = method == "POST";
        let (answer, mut said) = client.send_request(request, !speaks)?;
        if speaks {
            said.send_data(Bytes::from_static(b"first"), false)?;
        }
        let answer = answer.await?;
        ensure!(answer.status() == 200, "{}", answer.status());
        Ok(Http2 {
            heard: answer.into_body(),
            said: speaks.then_some(said),
            connection,
        })
    }
}

impl Drop for Http2 {
    fn drop(&mut self) {
        self.connection.abort();
    }
}
