//! The feed's server: connections with whom their certificates name, and the gRPC services over them.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use jiff::Timestamp;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Sleep, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::Connected;

use super::health::Health;
use super::{DRAIN, WhyNot};
use crate::feed::{self, Caller, FeedService, Limits};
use crate::tls;

/// Connections that wait for the server to take them.
const WAITING: usize = 64;

/// Serves until `stop`.
pub(super) async fn serve(
    feed: FeedService,
    listener: TcpListener,
    tls: Option<tls::Current>,
    limits: Limits,
    unready: WhyNot,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let router = tonic::transport::Server::builder()
        .http2_keepalive_interval(Some(limits.keepalive()))
        .http2_keepalive_timeout(Some(limits.keepalive_timeout()))
        .add_service(feed.server())
        .add_service(Health::new(unready).server());
    let (accepted, incoming) = mpsc::channel(WAITING);
    let door = Door {
        listener,
        tls,
        handshake: limits.handshake(),
        slots: Arc::new(Semaphore::new(limits.connections)),
        feed,
    };
    let incoming = ReceiverStream::new(incoming).map(Ok::<_, Infallible>);
    let serving = router.serve_with_incoming_shutdown(incoming, stop.clone().cancelled_owned());
    // A connection lasts as long as its peer likes; `FeedService::close` has ended its streams.
    let cut_off = async {
        stop.cancelled().await;
        sleep(DRAIN).await;
    };
    let serving = async {
        tokio::select! {
            ended = serving => ended.map_err(anyhow::Error::from),
            () = cut_off => Ok(()),
        }
    };
    let ((), served) = tokio::join!(door.open(accepted, stop.clone()), serving);
    served
}

/// Takes connections in.
struct Door {
    listener: TcpListener,
    tls: Option<tls::Current>,
    handshake: Duration,
    slots: Arc<Semaphore>,
    feed: FeedService,
}

impl Door {
    async fn open(mut self, accepted: mpsc::Sender<Connection>, stop: CancellationToken) {
        let mut handshakes = JoinSet::new();
        loop {
            let slots = self.slots.clone();
            let next = async {
                // More wait in the system's queue.
                let slot = slots.acquire_owned().await;
                (
                    slot,
                    axum::serve::Listener::accept(&mut self.listener).await,
                )
            };
            tokio::select! {
                () = stop.cancelled() => return,
                Some(ended) = handshakes.join_next() => {
                    if let Err(error) = ended {
                        tracing::error!(%error, "a handshake's task panicked");
                    }
                }
                (slot, (io, address)) = next => {
                    // Closed by nobody.
                    let Ok(slot) = slot else { return };
                    let (tls, feed) = (self.tls.clone(), self.feed.clone());
                    let (limit, accepted) = (self.handshake, accepted.clone());
                    handshakes.spawn(async move {
                        let io = timeout(limit, Connection::greet(io, address, tls, feed, slot));
                        match io.await {
                            // The server is gone when it was told to stop.
                            Ok(Some(io)) => drop(accepted.send(io).await),
                            Ok(None) => {}
                            Err(_) => tracing::debug!(%address, "a TLS handshake took too long"),
                        }
                    });
                }
            }
        }
    }
}

enum Io {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// A connection, which is counted for as long as it is there, and lasts no longer than its peer's certificate.
struct Connection {
    io: Io,
    caller: Caller,
    ends: Option<Pin<Box<Sleep>>>,
    _counted: (OwnedSemaphorePermit, Option<feed::Connection>),
}

impl Connection {
    /// None if it came to nothing, which the log has.
    async fn greet(
        io: TcpStream,
        address: SocketAddr,
        tls: Option<tls::Current>,
        feed: FeedService,
        slot: OwnedSemaphorePermit,
    ) -> Option<Connection> {
        // Messages are small, and somebody waits for each.
        let _ = io.set_nodelay(true);
        let Some(tls) = tls else {
            let certified = None;
            return Some(Connection {
                io: Io::Plain(io),
                caller: Caller { address, certified },
                ends: None,
                _counted: (slot, None),
            });
        };
        let io = match TlsAcceptor::from(tls.config()).accept(io).await {
            Ok(io) => io,
            // Whoever looks whether the port is open, and goes.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return None,
            Err(error) => {
                tracing::warn!(%address, %error, "no TLS handshake with a client of the feed");
                return None;
            }
        };
        let chain = io.get_ref().1.peer_certificates();
        let certified = feed::certified(chain);
        let ends = chain.and_then(tls::ends).map(until);
        let counted = match feed.connect(&certified) {
            Ok(counted) => counted,
            Err(why) => {
                tracing::warn!(%address, peer = certified.as_deref().ok(), refusal = why.word(), "a connection to the feed was closed: {why}");
                return None;
            }
        };
        Some(Connection {
            io: Io::Tls(Box::new(io)),
            caller: Caller {
                address,
                certified: Some(certified),
            },
            ends: ends.map(|left| Box::pin(sleep(left))),
            _counted: (slot, counted),
        })
    }
}

fn until(end: Timestamp) -> Duration {
    let left = Duration::try_from(end.duration_since(Timestamp::now()));
    left.unwrap_or_default()
}

impl Connected for Connection {
    type ConnectInfo = Caller;

    fn connect_info(&self) -> Caller {
        self.caller.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(ends) = &mut self.ends
            && ends.as_mut().poll(context).is_ready()
        {
            let ended = io::Error::new(io::ErrorKind::TimedOut, "the peer's certificate has ended");
            return Poll::Ready(Err(ended));
        }
        match &mut self.io {
            Io::Plain(io) => Pin::new(io).poll_read(context, buffer),
            Io::Tls(io) => Pin::new(io).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.io {
            Io::Plain(io) => Pin::new(io).poll_write(context, bytes),
            Io::Tls(io) => Pin::new(io).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.io {
            Io::Plain(io) => Pin::new(io).poll_write_vectored(context, slices),
            Io::Tls(io) => Pin::new(io).poll_write_vectored(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.io {
            Io::Plain(io) => io.is_write_vectored(),
            Io::Tls(io) => io.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.io {
            Io::Plain(io) => Pin::new(io).poll_flush(context),
            Io::Tls(io) => Pin::new(io).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.io {
            Io::Plain(io) => Pin::new(io).poll_shutdown(context),
            Io::Tls(io) => Pin::new(io).poll_shutdown(context),
        }
    }
}
