//! The feed: streams to every filter the part of the directory that its policy can ask about.
//!
//! ```text
//! ledger --directory--> scope (one task a scope: digest, encoded updates) --> stream (one task a filter) --> gRPC
//! ```

mod access;
mod admission;
mod encode;
mod grpc;
mod limits;
#[cfg(test)]
mod model;
mod peer;
mod scope;
mod steps;
mod stream;

pub(crate) use encode::snapshot as encode_snapshot;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use http::request::Parts;
use hyper::body::Bytes;
use scimesh_proto::position::Position;
use scimesh_proto::scope::Scope;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::metadata::MetadataMap;
use tonic::{Code, Status};

pub(crate) use access::Connection;
pub use access::Refusal;
use access::{Gate, Pass};
use admission::Admission;
pub use grpc::FeedServer;
use grpc::Inbound;
pub use limits::{Limit, Limits, Setting};
pub use peer::{Caller, Certified, Peer, PeerMode, Unidentified, certified};
use scope::Scopes;
use stream::Patience;

use crate::access::Rules;
use crate::directory::{Draft, Issued};
use crate::fleet::Fleet;
use crate::ledger::Ledger;
use crate::metrics::FeedMetrics;
use crate::observations::Observations;

/// Snapshots under way at a time at most.
const SNAPSHOTS: usize = 32;

/// Messages between a stream's task and its connection.
const OUTBOUND: usize = 4;

/// What all streams share.
#[derive(Debug)]
struct Feed {
    ledger: Ledger,
    scopes: Scopes,
    admission: Admission,
    patience: Patience,
    peers: PeerMode,
    gate: Arc<Gate>,
    metrics: FeedMetrics,
    /// Until it is stored, which may fail.
    rolled_back: AtomicBool,
    fleet: Fleet,
    observations: Observations,
}

impl Feed {
    fn new(ledger: Ledger, peers: PeerMode, limits: Limits, metrics: FeedMetrics) -> Feed {
        let rules = ledger.directory().feed_access().clone();
        let longest = ledger.directory().longest_lease();
        let fleet = Fleet::new(longest, metrics.commit_to_ack.clone(), Instant::now());
        Feed {
            gate: Arc::new(Gate::new(rules, limits, metrics.clone())),
            ledger,
            scopes: Scopes::default(),
            admission: Admission::new(SNAPSHOTS),
            patience: Patience::default(),
            peers,
            observations: Observations::new(metrics.reports.clone(), Instant::now()),
            metrics,
            rolled_back: AtomicBool::new(false),
            fleet,
        }
    }

    fn rules(&self) -> Arc<Rules> {
        self.ledger.directory().feed_access().clone()
    }

    /// Makes a filter's lease durable before it is renewed: whoever starts this feeder again has to know how long to wait for its end. False if that
    /// can't be done now.
    async fn remember(&self, lease: Duration) -> bool {
        self.fleet.tell(lease);
        let stored = self.ledger.directory().longest_lease();
        if self.fleet.longest(stored, Instant::now()) == stored {
            return true;
        }
        let fleet = self.fleet.clone();
        // Of what was told until the writer's turn has come: two filters may tell theirs at once.
        let stored = self.ledger.commit(move |draft| {
            let stored = draft.directory().longest_lease();
            draft.set_longest_lease(fleet.longest(stored, Instant::now()));
            Ok::<_, Infallible>(())
        });
        match stored.await {
            Ok(_) => true,
            Err(error) => {
                tracing::error!(%error, "a filter's lease is not renewed: that it is longer than any before can't be stored");
                false
            }
        }
    }

    /// Where a filter that shows this position stands in this database: the revision to go on from, or none if it must
    /// start over. An error if the position can't be followed up.
    async fn place(&self, held: &Position) -> Result<Option<u64>, Status> {
        let directory = self.ledger.directory();
        let history = directory.history();
        if held.history == history {
            return match directory.issued(held) {
                Issued::Elsewhere => {
                    self.prove_old(held.revision, directory.revision()).await;
                    Err(Status::failed_precondition("this feeder's database is old"))
                }
                Issued::ByNobody if held.revision > directory.revision() => Err(
                    Status::invalid_argument("a revision ahead, without its proof"),
                ),
                Issued::Here | Issued::ByNobody => Ok(Some(held.revision)),
            };
        }
        if held.history.generation >= history.generation {
            return Err(Status::failed_precondition(
                "the filter holds a later history than this database's, or another one of its generation",
            ));
        }
        Ok(None)
    }

    /// A filter knows what this database does not: it is an old copy. No lease is renewed from now on; and before the filter is told anything,
    /// that is stored, so that a restart changes nothing.
    async fn prove_old(&self, held: u64, stored: u64) {
        if self.rolled_back() {
            return;
        }
        self.rolled_back.store(true, Ordering::Relaxed);
        tracing::error!(
            held,
            stored,
            "a filter proves a revision that is not in this database's past: the database is an old copy; leases are no longer renewed"
        );
        let command = move |draft: &mut Draft| {
            draft.prove_old(held);
            Ok::<_, Infallible>(())
        };
        if let Err(error) = self.ledger.commit(command).await {
            tracing::error!(%error, "that the database is an old copy could not be stored: a restart forgets it until a filter proves it again");
        }
    }

    fn rolled_back(&self) -> bool {
        self.rolled_back.load(Ordering::Relaxed) || self.ledger.directory().proved().is_some()
    }
}

/// The gRPC service, and a handle on its streams.
#[derive(Debug, Clone)]
pub struct FeedService {
    feed: Arc<Feed>,
    streams: TaskTracker,
    closing: CancellationToken,
}

impl FeedService {
    /// A service over `ledger` for peers that are known by `peers`.
    pub fn new(
        ledger: Ledger,
        peers: PeerMode,
        limits: Limits,
        metrics: FeedMetrics,
    ) -> FeedService {
        FeedService {
            feed: Arc::new(Feed::new(ledger, peers, limits, metrics)),
            streams: TaskTracker::new(),
            closing: CancellationToken::new(),
        }
    }

    /// What tonic serves.
    pub fn server(&self) -> FeedServer {
        FeedServer(self.clone())
    }

    /// How many streams are open.
    pub fn streams(&self) -> usize {
        self.streams.len()
    }

    /// The scopes of this tenant that they follow.
    pub(crate) fn followed(&self, tenant: &str) -> Vec<Scope> {
        self.feed.scopes.followed(tenant)
    }

    /// How many scopes they follow.
    pub fn scopes(&self) -> usize {
        self.feed.scopes.count()
    }

    /// Which filters follow, and what each has applied.
    pub(crate) fn fleet(&self) -> &Fleet {
        &self.feed.fleet
    }

    /// What they have seen, and did not decide by.
    pub(crate) fn observations(&self) -> &Observations {
        &self.feed.observations
    }

    /// Whether a filter has proved that this database is an old copy. No lease is renewed then.
    pub fn rolled_back(&self) -> bool {
        self.feed.rolled_back()
    }

    /// Lets every change of the rules of `feedAccess` hold for the streams that are open, until `stop`.
    pub async fn follow_rules(self, stop: CancellationToken) {
        let mut directories = self.feed.ledger.watch();
        loop {
            let rules = directories.borrow_and_update().feed_access().clone();
            self.feed.gate.set_rules(&rules);
            tokio::select! {
                () = stop.cancelled() => return,
                // The writer ends the process when it ends early.
                _ = directories.changed() => {}
            }
        }
    }

    /// Counts a connection by whom its certificate names, until what comes back is dropped. A connection of nobody's counts for
    /// nobody: its streams are refused.
    pub(crate) fn connect(&self, certified: &Certified) -> Result<Option<Connection>, Refusal> {
        let Ok(peer) = certified else {
            return Ok(None);
        };
        self.feed.gate.connect(peer.clone()).map(Some)
    }

    /// Ends every stream, and returns when all have ended.
    pub async fn close(&self) {
        self.closing.cancel();
        self.streams.close();
        self.streams.wait().await;
    }
}

impl FeedService {
    fn enter(&self, caller: Option<&Caller>, metadata: &MetadataMap) -> Result<Pass, Status> {
        let gate = &self.feed.gate;
        let certified = caller.and_then(|caller| caller.certified.as_ref());
        let peer = peer::identify(self.feed.peers, certified, metadata);
        let peer = peer.map_err(|why| {
            let from = caller.map(|caller| caller.address.to_string());
            gate.refuse(from.as_deref().unwrap_or("unknown"), None, &why.into())
        })?;
        let name = peer.to_string();
        let entered = gate.enter(peer, || self.feed.rules());
        entered.map_err(|why| gate.refuse(&name, None, &why))
    }

    /// Opens a stream, and serves it until it ends. The error is what is answered instead.
    fn open(
        &self,
        head: &Parts,
        inbound: Inbound,
    ) -> Result<mpsc::Receiver<Result<Bytes, Status>>, Status> {
        let caller = head.extensions.get::<Caller>();
        let metadata = MetadataMap::from_headers(head.headers.clone());
        let pass = self.enter(caller, &metadata).inspect_err(|status| {
            self.feed.metrics.closed(status_word(status));
        })?;
        let (out, outbound) = mpsc::channel(OUTBOUND);
        let feed = self.feed.clone();
        let closing = self.closing.clone();
        self.streams.spawn(async move {
            let ended = tokio::select! {
                ended = stream::serve(&feed, &pass, inbound, &out) => ended,
                status = pass.revoked() => Err(status),
                () = closing.cancelled() => Err(Status::unavailable("the feeder is shutting down")),
            };
            if let Err(status) = ended {
                tracing::info!(peer = %pass.peer(), reason = status.message(), "a stream ended");
                feed.metrics.closed(status_word(&status));
                // A reader that has stopped reading is not waited for.
                let _ = out.try_send(Err(status));
            }
        });
        Ok(outbound)
    }
}

/// The word for a stream's end in metrics: its gRPC status.
fn status_word(status: &Status) -> &'static str {
    match status.code() {
        Code::Cancelled => "cancelled",
        Code::DeadlineExceeded => "deadline_exceeded",
        Code::FailedPrecondition => "failed_precondition",
        Code::InvalidArgument => "invalid_argument",
        Code::PermissionDenied => "permission_denied",
        Code::ResourceExhausted => "resource_exhausted",
        Code::Unauthenticated => "unauthenticated",
        Code::Unavailable => "unavailable",
        _ => "other",
    }
}
