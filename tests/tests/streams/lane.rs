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
use tokio::sync::watch;
use tokio::task::JoinSet;

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
    Body(Body),
}

/// A response's body, which is read all the time: a client that lets small frames pile up ends the connection itself.
pub(crate) struct Body {
    heard: watch::Receiver<Heard>,
    /// Data flows both ways.
    said: Option<SendStream<Bytes>>,
    /// Without one, the connection ends.
    _client: Option<SendRequest<Bytes>>,
    /// They end with this.
    _tasks: JoinSet<()>,
}

/// What has come so far.
#[derive(Debug, Clone)]
struct Heard {
    parts: u64,
    end: Option<End>,
}

#[derive(Debug, Clone, PartialEq)]
enum End {
    Cut,
    /// As if that had been all, or by the client's own fault.
    Otherwise(String),
}

impl Lane {
    /// Opens one; data flows before it is given back.
    pub(crate) async fn open(envoy: &Envoy, kind: Kind, token: &str) -> Result<Lane> {
        let mut lane = match kind {
            Kind::Socket => Lane::Socket(Box::new(Socket::open(envoy, token).await?)),
            Kind::Download => Lane::Body(Body::download(envoy, token).await?),
            Kind::Served => Lane::Body(Body::http2(envoy, "GET", "/stream", token).await?),
            Kind::Echo => Lane::Body(Body::http2(envoy, "POST", "/echo", token).await?),
        };
        lane.flows().await?;
        Ok(lane)
    }

    /// Data goes both ways, or down if that is all that it does.
    pub(crate) async fn flows(&mut self) -> Result<()> {
        let body = match self {
            Lane::Socket(socket) => return socket.exchange().await,
            Lane::Body(body) => body,
        };
        let before = body.heard.borrow().parts;
        if let Some(said) = &mut body.said {
            said.send_data(Bytes::from_static(b"more"), false)?;
        }
        let heard = body.wait(|heard| heard.parts > before).await?;
        ensure!(heard.end.is_none(), "{:?}", heard.end);
        Ok(())
    }

    /// Waits until it is cut.
    pub(crate) async fn cut(&mut self) -> Result<()> {
        match self {
            Lane::Socket(socket) => socket.cut().await,
            Lane::Body(body) => {
                let heard = body.wait(|_| false).await?;
                ensure!(heard.end == Some(End::Cut), "{:?}", heard.end);
                Ok(())
            }
        }
    }
}

impl Body {
    async fn download(envoy: &Envoy, token: &str) -> Result<Body> {
        let request = Envoy::fresh_connections()?.get(envoy.url("/stream"));
        let response = request.bearer_auth(token).send().await?;
        ensure!(response.status() == 200, "{}", response.status());
        let mut tasks = JoinSet::new();
        let (hear, heard) = nothing();
        tasks.spawn(read_http1(response, hear));
        Ok(Body {
            heard,
            said: None,
            _client: None,
            _tasks: tasks,
        })
    }

    async fn http2(envoy: &Envoy, method: &str, path: &str, token: &str) -> Result<Body> {
        let stream = TcpStream::connect(envoy.address()).await?;
        let (client, connection) = h2::client::handshake(stream).await?;
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
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
        let (answer, said) = client.send_request(request, !speaks)?;
        let answer = answer.await?;
        ensure!(answer.status() == 200, "{}", answer.status());
        let (hear, heard) = nothing();
        tasks.spawn(read_http2(answer.into_body(), hear));
        Ok(Body {
            heard,
            said: speaks.then_some(said),
            _client: Some(client),
            _tasks: tasks,
        })
    }

    /// Waits until what was heard is so, or it has ended.
    async fn wait(&mut self, is: impl Fn(&Heard) -> bool) -> Result<Heard> {
        let ended = |heard: &Heard| heard.end.is_some() || is(heard);
        let waiting = tokio::time::timeout(PATIENCE, self.heard.wait_for(ended)).await;
        if let Ok(heard) = waiting.map(|heard| heard.map(|heard| heard.clone())) {
            return heard.context("its reader has gone");
        }
        bail!("waited in vain: {:?}", *self.heard.borrow())
    }
}

fn nothing() -> (watch::Sender<Heard>, watch::Receiver<Heard>) {
    watch::channel(Heard {
        parts: 0,
        end: None,
    })
}

fn hears(hear: &watch::Sender<Heard>) {
    hear.send_modify(|heard| heard.parts += 1);
}

fn ends(hear: &watch::Sender<Heard>, end: End) {
    hear.send_modify(|heard| heard.end = Some(end));
}

async fn read_http1(mut response: Response, hear: watch::Sender<Heard>) {
    loop {
        match response.chunk().await {
            Ok(Some(_)) => hears(&hear),
            Ok(None) => return ends(&hear, End::Otherwise("as if that had been all".into())),
            Err(_) => return ends(&hear, End::Cut),
        }
    }
}

async fn read_http2(mut body: RecvStream, hear: watch::Sender<Heard>) {
    loop {
        match body.data().await {
            Some(Ok(part)) => {
                hears(&hear);
                // An error here is one at the next call.
                let _ = body.flow_control().release_capacity(part.len());
            }
            None => return ends(&hear, End::Otherwise("as if that had been all".into())),
            Some(Err(error)) if error.is_reset() && error.reason() != Some(Reason::NO_ERROR) => {
                return ends(&hear, End::Cut);
            }
            Some(Err(error)) => return ends(&hear, End::Otherwise(format!("{error:?}"))),
        }
    }
}
