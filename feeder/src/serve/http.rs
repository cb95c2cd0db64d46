//! One HTTP/1.1 server with bounds: connections, time for a head, for a request, for taking an answer, and to finish at the
//! end. It serves SCIM, the probes and the administration socket, and knows none of them. (The feed is tonic's.)

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::serve::Listener;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use tokio::task::{JoinError, JoinSet};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::stall::Stall;
use crate::tls;

/// What a server does at most.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Connections at once; more wait in the system's queue.
    pub(super) connections: usize,
    /// Connections at once from one address; more are closed. 0: no bound.
    pub(super) connections_per_address: usize,
    /// For a TLS handshake, and for the head of a request, idling before it included.
    pub(super) head: Duration,
    /// From the head of a request to that of its response, the reading of its body included.
    pub(super) request: Duration,
    /// For the client to take anything more of its answers.
    pub(super) stall: Duration,
    /// For what is under way when the server is told to stop.
    pub(super) drain: Duration,
}

/// A server that listens already.
pub(super) struct Server<L: Listener> {
    pub(super) name: &'static str,
    pub(super) listener: L,
    pub(super) tls: Option<tls::Current>,
    pub(super) router: Router,
    pub(super) limits: Limits,
    /// Whom a connection is counted for; none: for nobody.
    pub(super) address: fn(&L::Addr) -> Option<IpAddr>,
}

/// The most that is buffered of a request before its body is asked for: its head is no longer.
const HEAD_BYTES: usize = 64 << 10;

impl<L: Listener> Server<L> {
    /// Serves until `stop`, then finishes what is under way.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let slots = Arc::new(Semaphore::new(self.limits.connections));
        let graceful = GracefulShutdown::new();
        let mut connections = JoinSet::new();
        let peers = Arc::new(Peers::default());
        loop {
            let next = async {
                let slot = slots.clone().acquire_owned().await;
                (slot, self.listener.accept().await)
            };
            tokio::select! {
                () = stop.cancelled() => break,
                Some(ended) = connections.join_next() => report(self.name, ended),
                (slot, (io, peer)) = next => {
                    let address = (self.address)(&peer);
                    let Some(counted) = peers.admit(address, self.limits.connections_per_address) else {
                        tracing::debug!(server = self.name, "too many connections from one address");
                        continue;
                    };
                    let conversation = Conversation {
                        router: self.router.clone(),
                        limits: self.limits,
                        watcher: graceful.watcher(),
                    };
                    let tls = self.tls.clone();
                    let io = Stall::new(io, self.limits.stall);
                    connections.spawn(async move {
                        let _slot = (slot, counted);
                        match tls {
                            None => conversation.hold(io).await,
                            Some(tls) => match timeout(
                                conversation.limits.head,
                                TlsAcceptor::from(tls.config()).accept(io),
                            )
                            .await
                            {
                                Ok(Ok(io)) => conversation.hold(io).await,
                                Ok(Err(error)) => tracing::debug!(%error, "no TLS handshake"),
                                Err(_) => tracing::debug!("a TLS handshake took too long"),
                            },
                        }
                    });
                }
            }
        }
        // New connections are refused from here on, rather than left waiting.
        drop(self.listener);
        if timeout(self.limits.drain, graceful.shutdown())
            .await
            .is_err()
        {
            let left = connections.len();
            tracing::warn!(
                server = self.name,
                left,
                "requests did not finish in time, and were cut off"
            );
        }
        connections.abort_all();
        while let Some(ended) = connections.join_next().await {
            report(self.name, ended);
        }
    }
}

/// A handler that panics costs its connection, and is seen.
fn report(server: &'static str, ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(server, %error, "a connection's task panicked");
    }
}

/// How many connections each address has. A std mutex: nothing waits while it is held.
#[derive(Debug, Default)]
struct Peers(Mutex<HashMap<IpAddr, usize>>);

impl Peers {
    /// Counts a connection, until it is dropped; none if the address has as many as it may.
    fn admit(self: &Arc<Self>, address: Option<IpAddr>, most: usize) -> Option<Counted> {
        let address = address.filter(|_| most > 0);
        if let Some(address) = address {
            let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let count = counts.entry(address).or_default();
            if *count >= most {
                return None;
            }
            *count += 1;
        }
        let peers = self.clone();
        Some(Counted { peers, address })
    }
}

struct Counted {
    peers: Arc<Peers>,
    address: Option<IpAddr>,
}

impl Drop for Counted {
    fn drop(&mut self) {
        let Some(address) = self.address else {
            return;
        };
        let mut counts = self.peers.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&address);
            }
        }
    }
}

/// One connection's part of a server.
struct Conversation {
    router: Router,
    limits: Limits,
    watcher: Watcher,
}

impl Conversation {
    async fn hold(self, io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let Conversation {
            router,
            limits,
            watcher,
        } = self;
        let service = service_fn(move |request: Request<Incoming>| {
            answer(router.clone(), request.map(Body::new), limits.request)
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.head)
            .max_buf_size(HEAD_BYTES)
            .serve_connection(TokioIo::new(io), service);
        if let Err(error) = watcher.watch(connection).await {
            tracing::debug!(%error, "a connection broke off");
        }
    }
}

async fn answer(
    router: Router,
    request: Request<Body>,
    limit: Duration,
) -> Result<Response, Infallible> {
    let answered = timeout(limit, router.oneshot(request)).await;
    answered.unwrap_or_else(|_| Ok(StatusCode::REQUEST_TIMEOUT.into_response()))
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum::routing::{get, post};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::sync::Notify;
    use tokio::task::JoinHandle;

    use super::*;

    const LIMITS: Limits = Limits {
        connections: 8,
        connections_per_address: 0,
        head: Duration::from_secs(60),
        request: Duration::from_secs(60),
        stall: Duration::from_secs(60),
        drain: Duration::from_secs(60),
    };

    async fn start(
        router: Router,
        limits: Limits,
    ) -> (SocketAddr, CancellationToken, JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let server = Server {
            name: "test",
            listener,
            tls: None,
            router,
            limits,
            address: |peer| Some(peer.ip()),
        };
        let running = tokio::spawn(server.run(stop.clone()));
        (address, stop, running)
    }

    async fn send(address: SocketAddr, text: &str) -> TcpStream {
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(text.as_bytes()).await.unwrap();
        client
    }

    async fn rest(mut client: TcpStream) -> String {
        let mut text = String::new();
        client.read_to_string(&mut text).await.unwrap();
        text
    }

    #[tokio::test]
    async fn a_request_under_way_is_finished_and_no_other_is_taken() {
        let (entered, leave) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (inside, outside) = (entered.clone(), leave.clone());
        let slow = get(move || async move {
            inside.notify_one();
            outside.notified().await;
            "done"
        });
        let (address, stop, running) = start(Router::new().route("/", slow), LIMITS).await;
        let client = send(address, "GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
        entered.notified().await;
        stop.cancel();
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
        assert!(!running.is_finished());
        leave.notify_one();
        assert!(rest(client).await.ends_with("done"));
        running.await.unwrap();
    }

    #[tokio::test]
    async fn what_does_not_finish_in_time_is_cut_off() {
        let entered = Arc::new(Notify::new());
        let inside = entered.clone();
        let never = get(move || async move {
            inside.notify_one();
            std::future::pending::<()>().await;
        });
        let limits = Limits {
            drain: Duration::from_millis(10),
            ..LIMITS
        };
        let (address, stop, running) = start(Router::new().route("/", never), limits).await;
        let client = send(address, "GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
        entered.notified().await;
        stop.cancel();
        running.await.unwrap();
        assert_eq!(rest(client).await, "");
    }

    #[tokio::test]
    async fn a_body_that_does_not_come_is_not_waited_for() {
        let echo = post(|body: String| async { body });
        let limits = Limits {
            request: Duration::from_millis(10),
            ..LIMITS
        };
        let (address, _stop, _running) = start(Router::new().route("/", echo), limits).await;
        let client = send(
            address,
            "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nshort",
        )
        .await;
        assert!(rest(client).await.starts_with("HTTP/1.1 408"));
    }

    #[tokio::test]
    async fn a_head_that_does_not_come_is_not_waited_for() {
        let limits = Limits {
            head: Duration::from_millis(10),
            ..LIMITS
        };
        let (address, _stop, _running) = start(Router::new(), limits).await;
        let client = send(address, "GET / HTTP/1.1\r\nhost:").await;
        let answer = rest(client).await;
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 408"),
            "{answer}"
        );
    }

    #[tokio::test]
    async fn an_answer_that_is_not_taken_is_not_waited_for() {
        // More than the system takes for a client that does not read.
        let large = get(|| async { vec![0; 64 << 20] });
        let limits = Limits {
            connections: 1,
            stall: Duration::from_millis(10),
            ..LIMITS
        };
        let hello = get(|| async { "hello" });
        let router = Router::new().route("/large", large).route("/", hello);
        let (address, _stop, _running) = start(router, limits).await;
        let _deaf = send(address, "GET /large HTTP/1.1\r\nhost: x\r\n\r\n").await;
        let next = "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        let next = rest(send(address, next).await);
        let served = timeout(Duration::from_secs(30), next).await;
        assert!(served.is_ok_and(|text| text.ends_with("hello")));
    }

    #[tokio::test]
    async fn more_connections_from_one_address_than_the_limit_are_closed() {
        let hello = get(|| async { "hello" });
        let limits = Limits {
            connections_per_address: 1,
            ..LIMITS
        };
        let (address, _stop, _running) = start(Router::new().route("/", hello), limits).await;
        let mut first = send(address, "GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
        let mut start = [0; 12];
        first.read_exact(&mut start).await.unwrap();
        let mut second = TcpStream::connect(address).await.unwrap();
        assert_eq!(second.read(&mut start).await.unwrap(), 0);
        drop(first);
        let next = "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        loop {
            let mut client = TcpStream::connect(address).await.unwrap();
            let mut text = String::new();
            // Until the first is seen to be gone, this is closed as well, maybe before it is written to.
            let sent = client.write_all(next.as_bytes()).await;
            if sent.is_ok() && client.read_to_string(&mut text).await.is_ok() && !text.is_empty() {
                assert!(text.ends_with("hello"), "{text}");
                break;
            }
        }
    }

    #[tokio::test]
    async fn more_connections_than_the_limit_wait_for_their_turn() {
        let hello = get(|| async { "hello" });
        let limits = Limits {
            connections: 1,
            ..LIMITS
        };
        let (address, _stop, _running) = start(Router::new().route("/", hello), limits).await;
        let mut first = send(address, "GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
        let mut start = [0; 12];
        first.read_exact(&mut start).await.unwrap();
        let mut second = send(
            address,
            "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
        )
        .await;
        let early = timeout(Duration::from_millis(50), second.read(&mut start)).await;
        assert!(early.is_err(), "the second was served beside the first");
        drop(first);
        assert!(rest(second).await.ends_with("hello"));
    }
}
