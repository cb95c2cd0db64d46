//! A service whose answers stay open: each begins at once with a line, says another when it is told to, or as often as it
//! was asked for, and never ends by itself.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Query, State};
use axum::response::Response;
use axum::routing::get;
use futures::stream;
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// `/open` is a download, `/socket` a WebSocket; any other path answers 200.
pub(crate) struct Service {
    address: SocketAddr,
    lines: watch::Sender<u64>,
    server: JoinHandle<()>,
}

impl Service {
    pub(crate) async fn start(address: SocketAddr) -> Result<Service> {
        let (lines, line) = watch::channel(0);
        let router = Router::new()
            .route("/open", get(open))
            .route("/socket", get(socket))
            .fallback(|| async { "here\n" })
            .with_state(line);
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("service on {address}"))?;
        let server = tokio::spawn(async move {
            // It ends with the task; before that it retries every error of `accept`.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Service {
            address,
            lines,
            server,
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Every open answer says another line; returns which.
    pub(crate) fn say(&self) -> u64 {
        self.lines.send_modify(|line| *line += 1);
        *self.lines.borrow()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// How often an answer says a line by itself; never if that is absent.
#[derive(Clone, Copy, Deserialize)]
struct Pace {
    #[serde(rename = "every")]
    milliseconds: Option<u64>,
}

/// What one answer says.
struct Lines {
    line: watch::Receiver<u64>,
    pace: Pace,
}

impl Lines {
    /// Waits for the next line. None: the service is gone.
    async fn next(&mut self) -> Option<String> {
        let pause = async {
            match self.pace.milliseconds {
                Some(pause) => tokio::time::sleep(Duration::from_millis(pause)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = self.line.changed() => changed.ok()?,
            () = pause => {}
        }
        Some(self.last())
    }

    fn last(&mut self) -> String {
        format!("{}\n", *self.line.borrow_and_update())
    }
}

async fn open(State(line): State<watch::Receiver<u64>>, Query(pace): Query<Pace>) -> Response {
    let lines = stream::unfold(
        (Lines { line, pace }, true),
        |(mut lines, first)| async move {
            let text = if first {
                lines.last()
            } else {
                lines.next().await?
            };
            Some((Ok::<_, Infallible>(Bytes::from(text)), (lines, false)))
        },
    );
    Response::new(Body::from_stream(lines))
}

async fn socket(
    State(line): State<watch::Receiver<u64>>,
    Query(pace): Query<Pace>,
    upgrade: WebSocketUpgrade,
) -> Response {
    upgrade.on_upgrade(move |socket| speak(socket, Lines { line, pace }))
}

async fn speak(mut socket: WebSocket, mut lines: Lines) {
    let mut text = lines.last();
    while socket.send(Message::Text(text.into())).await.is_ok() {
        text = tokio::select! {
            next = lines.next() => match next {
                Some(next) => next,
                None => return,
            },
            received = socket.recv() => match received {
                Some(Ok(_)) => lines.last(),
                _ => return,
            },
        };
    }
}
