//! One open request, from its client's side: the last line that came, and when it ended.

use std::net::SocketAddr;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use futures::StreamExt;
use reqwest::{Client, Response};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

/// What kind of request stays open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    WebSocket,
    Download,
    DownloadOverHttp2,
    /// A server stream of gRPC: HTTP/2, and the media type by which Envoy knows it.
    Grpc,
}

impl Kind {
    pub(crate) const ALL: [Kind; 4] = [
        Kind::WebSocket,
        Kind::Download,
        Kind::DownloadOverHttp2,
        Kind::Grpc,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::WebSocket => "WebSocket, HTTP/1.1",
            Kind::Download => "download, HTTP/1.1",
            Kind::DownloadOverHttp2 => "download, HTTP/2",
            Kind::Grpc => "gRPC server stream, HTTP/2",
        }
    }
}

/// Where a listener stands.
#[derive(Debug, Clone, Copy)]
pub(crate) enum State {
    /// The last line that came.
    Heard(u64),
    Ended(Instant),
}

pub(crate) struct Listener {
    state: watch::Receiver<State>,
    task: JoinHandle<()>,
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Listener {
    /// Opens a request of this kind and waits for its first line. Requests of one `client` over HTTP/2 share its connection.
    pub(crate) async fn open(
        kind: Kind,
        client: &Client,
        envoy: SocketAddr,
        token: &str,
    ) -> Result<Listener> {
        let (told, state) = watch::channel(State::Heard(0));
        let task = if kind == Kind::WebSocket {
            let mut socket = socket(envoy, token).await?;
            heard(line(&mut socket).await?, &told)?;
            tokio::spawn(async move {
                while let Ok(Some(text)) = line(&mut socket).await {
                    if heard(Some(text), &told).is_err() {
                        break;
                    }
                }
                told.send_replace(State::Ended(Instant::now()));
            })
        } else {
            let mut request = client
                .get(format!("http://{envoy}/open"))
                .bearer_auth(token);
            if kind == Kind::Grpc {
                request = request.header("content-type", "application/grpc");
            }
            let mut answer = request.send().await?.error_for_status()?;
            heard(chunk(&mut answer).await?, &told)?;
            tokio::spawn(async move {
                while let Ok(Some(text)) = chunk(&mut answer).await {
                    if heard(Some(text), &told).is_err() {
                        break;
                    }
                }
                told.send_replace(State::Ended(Instant::now()));
            })
        };
        Ok(Listener { state, task })
    }

    /// When it ended, if it has.
    pub(crate) fn ended(&self) -> Option<Instant> {
        match *self.state.borrow() {
            State::Ended(at) => Some(at),
            State::Heard(_) => None,
        }
    }

    /// Waits for its end.
    pub(crate) async fn end(&mut self) -> Result<Instant> {
        let state = self
            .state
            .wait_for(|state| matches!(state, State::Ended(_)));
        match *state.await.context("its task")? {
            State::Ended(at) => Ok(at),
            State::Heard(_) => bail!("not ended"),
        }
    }

    /// Waits for this line. An error if it ended before.
    pub(crate) async fn hears(&mut self, line: u64) -> Result<()> {
        let there = |state: &State| match state {
            State::Heard(last) => *last >= line,
            State::Ended(_) => true,
        };
        let state = self.state.wait_for(there).await.context("its task")?;
        ensure!(
            matches!(*state, State::Heard(_)),
            "ended, though nobody took its user's right"
        );
        Ok(())
    }
}

fn heard(text: Option<String>, told: &watch::Sender<State>) -> Result<()> {
    let text = text.context("an answer without a line")?;
    let last = text.lines().last().context("a line")?.parse()?;
    told.send_replace(State::Heard(last));
    Ok(())
}

async fn chunk(answer: &mut Response) -> Result<Option<String>> {
    let chunk = answer.chunk().await?;
    Ok(chunk.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

async fn line(socket: &mut WebSocketStream<TcpStream>) -> Result<Option<String>> {
    match socket.next().await.transpose()? {
        Some(Message::Text(text)) => Ok(Some(text.to_string())),
        _ => Ok(None),
    }
}

async fn socket(envoy: SocketAddr, token: &str) -> Result<WebSocketStream<TcpStream>> {
    let stream = TcpStream::connect(envoy).await?;
    let mut request = format!("ws://{envoy}/socket").into_client_request()?;
    let bearer = format!("Bearer {token}").parse()?;
    request.headers_mut().insert("authorization", bearer);
    let (socket, _) = tokio_tungstenite::client_async(request, stream).await?;
    Ok(socket)
}
