//! One open request, from its client's side: the last line that came, when, and that it has ended.

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

    /// Where the service has it.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Kind::WebSocket => "/socket",
            Kind::Download | Kind::DownloadOverHttp2 | Kind::Grpc => "/open",
        }
    }

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
    /// The last line that came, and when.
    Heard(u64, Instant),
    /// When the last line came.
    Ended(Instant),
}

impl State {
    fn end(&mut self) {
        if let State::Heard(_, at) = *self {
            *self = State::Ended(at);
        }
    }
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
    /// Opens a request of this kind, with this query, and waits for its first line. Requests of one `client` over HTTP/2 share its connection.
    pub(crate) async fn open(
        kind: Kind,
        client: &Client,
        envoy: SocketAddr,
        query: &str,
        token: &str,
    ) -> Result<Listener> {
        let target = format!("{envoy}{}{query}", kind.path());
        let (told, state) = watch::channel(State::Heard(0, Instant::now()));
        let task = if kind == Kind::WebSocket {
            let mut socket = socket(envoy, &target, token).await?;
            line(&mut socket).await?.context("no line")?;
            tokio::spawn(async move {
                while let Ok(Some(text)) = line(&mut socket).await {
                    heard(&text, &told);
                }
                told.send_modify(State::end);
            })
        } else {
            let mut request = client.get(format!("http://{target}")).bearer_auth(token);
            if kind == Kind::Grpc {
                request = request.header("content-type", "application/grpc");
            }
            let mut answer = request.send().await?.error_for_status()?;
            chunk(&mut answer).await?.context("no line")?;
            tokio::spawn(async move {
                while let Ok(Some(text)) = chunk(&mut answer).await {
                    heard(&text, &told);
                }
                told.send_modify(State::end);
            })
        };
        Ok(Listener { state, task })
    }

    /// When its last line came, if it has ended.
    pub(crate) fn ended(&self) -> Option<Instant> {
        match *self.state.borrow() {
            State::Ended(at) => Some(at),
            State::Heard(..) => None,
        }
    }

    /// Waits for its end. Returns when the last line came.
    pub(crate) async fn end(&mut self) -> Result<Instant> {
        let state = self
            .state
            .wait_for(|state| matches!(state, State::Ended(_)));
        match *state.await.context("its task")? {
            State::Ended(at) => Ok(at),
            State::Heard(..) => bail!("not ended"),
        }
    }

    /// Waits for this line. An error if it ended before.
    pub(crate) async fn hears(&mut self, line: u64) -> Result<()> {
        let there = |state: &State| match state {
            State::Heard(last, _) => *last >= line,
            State::Ended(_) => true,
        };
        let state = self.state.wait_for(there).await.context("its task")?;
        ensure!(
            matches!(*state, State::Heard(..)),
            "ended, though nobody took its user's right"
        );
        Ok(())
    }
}

/// Something came: perhaps a line, perhaps a part of one.
fn heard(text: &str, told: &watch::Sender<State>) {
    let line = text
        .lines()
        .filter_map(|line| line.parse().ok())
        .next_back();
    told.send_modify(|state| {
        if let State::Heard(last, at) = state {
            *last = line.unwrap_or(*last);
            *at = Instant::now();
        }
    });
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

async fn socket(
    envoy: SocketAddr,
    target: &str,
    token: &str,
) -> Result<WebSocketStream<TcpStream>> {
    let stream = TcpStream::connect(envoy).await?;
    let mut request = format!("ws://{target}").into_client_request()?;
    let bearer = format!("Bearer {token}").parse()?;
    request.headers_mut().insert("authorization", bearer);
    let (socket, _) = tokio_tungstenite::client_async(request, stream).await?;
    Ok(socket)
}
