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
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::{any, get};
use futures::stream;
use http_body_util::BodyExt;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

type Arrivals = Arc<Mutex<Vec<Arrival>>>;

/// A request as it reached the service.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// `METHOD path`.
    pub line: String,
    /// The header fields.
    pub headers: HeaderMap,
    /// The trailer fields; of requests to `/trailers` alone, whose bodies are read.
    pub trailers: HeaderMap,
}

/// A running service: `/stream` sends a line every 20 ms for ever, `/socket` is a WebSocket that sends back what it gets,
/// `/echo` sends back the body as it comes, `/silence` never answers, every other path answers 200; `/trailers` when the request has
/// ended.
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
            .route("/echo", any(back))
            .route("/silence", any(silence))
            .route("/trailers", any(whole))
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

    /// All that has arrived since the last call: `METHOD path` of each request.
    pub fn take_arrivals(&self) -> Vec<String> {
        self.take_requests().into_iter().map(|a| a.line).collect()
    }

    /// The same, with all that the service was told.
    pub fn take_requests(&self) -> Vec<Arrival> {
        std::mem::take(&mut *self.arrivals.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn note(arrivals: &Arrivals, head: &Parts, trailers: HeaderMap) -> String {
    let line = format!("{} {}", head.method, head.uri);
    arrivals
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(Arrival {
            line: line.clone(),
            headers: head.headers.clone(),
            trailers,
        });
    line
}

async fn hello(State(arrivals): State<Arrivals>, request: Request) -> String {
    let (head, _) = request.into_parts();
    let line = note(&arrivals, &head, HeaderMap::new());
    format!("upstream saw {line}\n")
}

async fn whole(State(arrivals): State<Arrivals>, request: Request) -> Result<String, StatusCode> {
    let (head, body) = request.into_parts();
    let body = body.collect().await;
    let body = body.map_err(|_| StatusCode::BAD_REQUEST)?;
    let trailers = body.trailers().cloned().unwrap_or_default();
    let line = note(&arrivals, &head, trailers);
    Ok(format!("upstream saw {line}\n"))
}

async fn endless(State(arrivals): State<Arrivals>, request: Request) -> Response {
    let (head, _) = request.into_parts();
    note(&arrivals, &head, HeaderMap::new());
    let lines = stream::unfold(0u64, |n| async move {
        tokio::time::sleep(Duration::from_millis(20)).await;
        Some((Ok::<_, Infallible>(Bytes::from(format!("{n}\n"))), n + 1))
    });
    Response::new(Body::from_stream(lines))
}

async fn back(State(arrivals): State<Arrivals>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    note(&arrivals, &head, HeaderMap::new());
    Response::new(body)
}

async fn silence(State(arrivals): State<Arrivals>, request: Request) -> Response {
    let (head, _) = request.into_parts();
    note(&arrivals, &head, HeaderMap::new());
    std::future::pending().await
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
