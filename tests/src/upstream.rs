//! The service behind the proxy: it remembers what reached it, so that a refusal can be shown to have let nothing by.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::{any, get};
use futures::stream;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// `METHOD path` of each request.
type Arrivals = Arc<Mutex<Vec<String>>>;

/// A running service: `/stream` sends a line every 20 ms for ever, `/socket` is a WebSocket that sends back what it gets,
/// every other path answers 200.
pub struct Upstream {
    address: SocketAddr,
    arrivals: Arrivals,
    server: JoinHandle<()>,
}

impl Upstream {
    /// Serves on `address`.
    pub async fn start(address: SocketAddr) -> Result<Upstream> {
        let arrivals = Arrivals::default();
        let router = Router::new()
            .route("/stream", get(endless))
            .route("/socket", get(socket))
            .fallback(any(hello))
            .with_state(arrivals.clone());
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("upstream on {address}"))?;
        let server = tokio::spawn(async move {
            // It ends with the task; before that it retries every error of `accept`.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Upstream {
            address,
            arrivals,
            server,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// All that has arrived since the last call.
    pub fn take_arrivals(&self) -> Vec<String> {
        std::mem::take(&mut *self.arrivals.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn note(arrivals: &Arrivals, request: &Request) -> String {
    let line = format!("{} {}", request.method(), request.uri());
    arrivals
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(line.clone());
    line
}

async fn hello(State(arrivals): State<Arrivals>, request: Request) -> String {
    format!("upstream saw {}\n", note(&arrivals, &request))
}

async fn endless(State(arrivals): State<Arrivals>, request: Request) -> Response {
    note(&arrivals, &request);
    let lines = stream::unfold(0u64, |n| async move {
        tokio::time::sleep(Duration::from_millis(20)).await;
        Some((Ok::<_, Infallible>(Bytes::from(format!("{n}\n"))), n + 1))
    });
    Response::new(Body::from_stream(lines))
}

async fn socket(upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(echo)
}

async fn echo(mut socket: WebSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        if let Message::Text(_) = message
            && socket.send(message).await.is_err()
        {
            break;
        }
    }
}
