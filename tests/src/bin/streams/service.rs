//! A service whose answers stay open: each begins at once, says a line when it is told to, and never ends by itself.

use std::convert::Infallible;
use std::net::SocketAddr;

use anyhow::{Context, Result};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use axum::routing::get;
use futures::stream;
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

async fn open(State(line): State<watch::Receiver<u64>>) -> Response {
    let lines = stream::unfold((line, true), |(mut line, first)| async move {
        if !first {
            line.changed().await.ok()?;
        }
        let text = Bytes::from(format!("{}\n", *line.borrow_and_update()));
        Some((Ok::<_, Infallible>(text), (line, false)))
    });
    Response::new(Body::from_stream(lines))
}

async fn socket(State(line): State<watch::Receiver<u64>>, upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(|socket| speak(socket, line))
}

async fn speak(mut socket: WebSocket, mut line: watch::Receiver<u64>) {
    loop {
        let text = line.borrow_and_update().to_string();
        if socket.send(Message::Text(text.into())).await.is_err() {
            return;
        }
        tokio::select! {
            changed = line.changed() => if changed.is_err() { return },
            received = socket.recv() => if !matches!(received, Some(Ok(_))) { return },
        }
    }
}
