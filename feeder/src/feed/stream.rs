//! One stream: a filter VM that follows a scope.
//!
//! At most one update is under way at a time. When it is acked, the next one takes the filter from there to whatever the
//! content is *then*: a slow reader skips, and never queues.

use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt};
use hyper::body::Bytes;
use scimesh_engine::Policy;
use scimesh_proto::digest::ContentDigest;
use scimesh_proto::position::Position;
use scimesh_proto::scope::Scope;
use scimesh_proto::wire::v1::feeder_message::Message as ToFilter;
use scimesh_proto::wire::v1::filter_message::Message as FromFilter;
use scimesh_proto::wire::v1::nack::Reason;
use scimesh_proto::wire::{FORMAT, WINDOW, v1};
use tokio::sync::mpsc::error::SendTimeoutError;
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;
use tonic::Status;

use super::Feed;
use super::access::Pass;
use super::admission::Turn;
use super::encode::Update;
use super::grpc::{Outbound, framed};
use super::scope::{ScopeFeed, Standing};
use crate::fleet::Presence;

/// How long a filter may take to say hello.
const HELLO: Duration = Duration::from_secs(10);

/// How long is waited for filters that don't go on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// How long a piece may go unanswered before the right to send a snapshot passes on to another stream.
    pub(super) slow: Duration,
    /// How long a filter may read nothing of what it is sent.
    pub(super) stopped: Duration,
}

impl Default for Patience {
    fn default() -> Patience {
        Patience {
            slow: Duration::from_secs(5),
            stopped: Duration::from_secs(30),
        }
    }
}

/// One filter's place in its scope.
struct Follower<'a> {
    feed: &'a Feed,
    out: &'a Outbound,
    standing: watch::Receiver<Option<Arc<Standing>>>,
    // Keeps the scope current for as long as the stream lives.
    _scope: Arc<ScopeFeed>,
    tenant: String,
    /// The revision that the filter holds, or will when it has applied what is under way.
    sent: Option<u64>,
    /// A snapshot is due, and must not be sent yet.
    waits: Option<oneshot::Receiver<Turn>>,
    /// An update that is neither acked nor nacked.
    under_way: Option<UnderWay>,
    /// The newest revision that a pong has named.
    wanted: u64,
    /// A snapshot was sent because an update did not verify.
    mended: bool,
    /// The filter holds other content than its position has: until that is mended, no ping is answered, for an answer might
    /// renew a lease by it.
    wrong: bool,
    /// A ping that is answered then.
    owed: Option<v1::Ping>,
    presence: Presence,
    /// When it last said what it has seen.
    reported: Option<std::time::Instant>,
}

/// An update of which not every piece was sent, or whose last one was not answered yet.
struct UnderWay {
    revision: u64,
    update: Arc<Update>,
    /// How many were sent, and how many of them were not answered.
    sent: usize,
    unanswered: usize,
    /// Of a snapshot, until it was taken in or takes too long.
    turn: Option<Turn>,
    /// When the last piece was sent.
    since: Instant,
}

impl UnderWay {
    /// The next piece, if the filter has room for it.
    fn next(&mut self) -> Option<Bytes> {
        if self.unanswered == WINDOW {
            return None;
        }
        let piece = self.update.pieces().get(self.sent)?.clone();
        self.sent += 1;
        self.unanswered += 1;
        self.since = Instant::now();
        Some(piece)
    }

    fn is_sent(&self) -> bool {
        self.sent == self.update.pieces().len()
    }
}

/// Serves one stream to its end. The error is what the filter is told.
pub(super) async fn serve(
    feed: &Feed,
    pass: &Pass,
    mut inbound: impl Stream<Item = Result<v1::FilterMessage, Status>> + Unpin,
    out: &Outbound,
) -> Result<(), Status> {
    // Boxed, and so is what takes in a message: a stream mostly waits, and its task is as large as the largest thing that it ever does.
    let Some(mut follower) = Box::pin(Follower::meet(feed, pass, &mut inbound, out)).await? else {
        return Ok(());
    };
    loop {
        follower.send_what_is_due().await?;
        let slow = follower.slow_from();
        tokio::select! {
            turn = async { follower.waits.as_mut()?.await.ok() }, if follower.waits.is_some() => {
                follower.waits = None;
                follower.admitted(turn).await;
            }
            () = tokio::time::sleep_until(slow.unwrap_or_else(Instant::now)), if slow.is_some() => {
                follower.give_way();
            }
            changed = follower.standing.changed() => {
                changed.map_err(|_| Status::unavailable("the scope is no longer kept current"))?;
            }
            received = inbound.next() => match received.transpose()? {
                Some(received) => Box::pin(follower.receive(received)).await?,
                None => return Ok(()),
            }
        }
    }
}

impl<'a> Follower<'a> {
    /// Waits for the hello. None: the filter has gone without one.
    async fn meet(
        feed: &'a Feed,
        pass: &Pass,
        inbound: &mut (impl Stream<Item = Result<v1::FilterMessage, Status>> + Unpin),
        out: &'a Outbound,
    ) -> Result<Option<Follower<'a>>, Status> {
        let hello = tokio::time::timeout(HELLO, inbound.next())
            .await
            .map_err(|_| Status::deadline_exceeded("no hello"))?;
        let hello = match hello.transpose()?.and_then(|first| first.message) {
            Some(FromFilter::Hello(hello)) => hello,
            Some(_) => {
                return Err(Status::invalid_argument(
                    "the first message must be a hello",
                ));
            }
            None => return Ok(None),
        };
        let node = hello.node.clone().unwrap_or_default();
        let follower = Follower::begin(feed, pass, out, hello).await?;
        tracing::info!(peer = %pass.peer(), node = node.id, version = node.version, held = follower.sent, "a filter follows");
        Ok(Some(follower))
    }

    async fn begin(
        feed: &'a Feed,
        pass: &Pass,
        out: &'a Outbound,
        hello: v1::Hello,
    ) -> Result<Follower<'a>, Status> {
        if hello.format < FORMAT {
            return Err(Status::failed_precondition(format!(
                "the filter reads format {}; this feeder writes {FORMAT}: upgrade the filter",
                hello.format
            )));
        }
        let scope = hello
            .scope
            .ok_or_else(|| Status::invalid_argument("hello.scope is missing"))?;
        let scope = Scope::try_from(scope).map_err(|e| Status::invalid_argument(e.to_string()))?;
        // Before anything is looked up: what is refused says nothing of what there is.
        pass.follow(&scope, &feed.rules())?;
        let held = hello
            .held
            .map(Position::try_from)
            .transpose()
            .map_err(|e| Status::invalid_argument(format!("hello.held: {e}")))?;
        let held = match held {
            Some(held) => feed.place(&held).await?,
            None => None,
        };
        if feed.ledger.directory().published(scope.tenant()).is_none() {
            tracing::warn!(
                tenant = scope.tenant(),
                "a filter's policy names a tenant that does not exist; it refuses everybody"
            );
        }
        // The filter may know, by another of its streams, a revision that the scope has not caught up with.
        let durable = feed.ledger.directory().revision();
        let followed = feed.scopes.follow(&feed.ledger, &scope);
        let mut standing = followed.watch();
        let now = standing
            .wait_for(|now| now.as_ref().is_some_and(|now| now.revision() >= durable))
            .await
            .map_err(|_| Status::unavailable("the scope is no longer kept current"))?
            .clone();
        let digest = ContentDigest::from_bytes(&hello.digest).ok();
        let sent = held.filter(|held| match &now {
            // Only of today's content is the digest known.
            Some(now) if *held >= now.changed_at() => digest == Some(now.digest()),
            _ => true,
        });
        let wrong = held.is_some() && sent.is_none();
        if wrong {
            feed.metrics.drifted.inc();
            tracing::error!(
                tenant = scope.tenant(),
                "a filter holds other content than its revision has; it gets a snapshot"
            );
        }
        let node = hello.node.unwrap_or_default();
        let course = followed.course();
        let presence = (feed.fleet).arrive(
            &pass.peer().to_string(),
            &node,
            &scope,
            course,
            sent,
            Instant::now().into_std(),
        );
        if wrong {
            presence.drifted();
        }
        Ok(Follower {
            feed,
            out,
            standing,
            _scope: followed,
            tenant: scope.tenant().to_owned(),
            sent,
            waits: None,
            under_way: None,
            wanted: 0,
            mended: false,
            wrong,
            owed: None,
            presence,
            reported: None,
        })
    }

    async fn send_what_is_due(&mut self) -> Result<(), Status> {
        let Some(now) = self.standing.borrow_and_update().clone() else {
            return Ok(());
        };
        let due = match self.sent {
            None => true,
            Some(sent) => now.changed_at() > sent || (self.wanted > sent && now.revision() > sent),
        };
        if due && self.under_way.is_none() && self.waits.is_none() {
            let update = now.update(self.sent).await;
            if update.is_delta() || update.pieces().len() == 1 {
                self.begin_update(now.revision(), update, None);
            } else {
                self.waits = Some(self.feed.admission.ask());
            }
        }
        while let Some(piece) = self.under_way.as_mut().and_then(UnderWay::next) {
            self.send(piece).await?;
        }
        Ok(())
    }

    /// The snapshot that was due may be sent; by now it may be a newer one, or a delta will do.
    async fn admitted(&mut self, turn: Option<Turn>) {
        let now = self.standing.borrow_and_update().clone();
        if let Some(now) = now {
            let update = now.update(self.sent).await;
            self.begin_update(now.revision(), update, turn);
        }
    }

    fn begin_update(&mut self, revision: u64, update: Arc<Update>, turn: Option<Turn>) {
        self.count(&update);
        self.sent = Some(revision);
        self.under_way = Some(UnderWay {
            revision,
            update,
            sent: 0,
            unanswered: 0,
            turn,
            since: Instant::now(),
        });
    }

    /// When whoever holds a turn is too slow for it.
    fn slow_from(&self) -> Option<Instant> {
        let way = self.under_way.as_ref()?;
        way.turn
            .as_ref()
            .map(|_| way.since + self.feed.patience.slow)
    }

    /// Goes on without the turn.
    fn give_way(&mut self) {
        if let Some(way) = &mut self.under_way {
            way.turn = None;
        }
    }

    fn count(&self, update: &Update) {
        let metrics = &self.feed.metrics;
        let (sent, sent_bytes) = match update.is_delta() {
            true => (&metrics.deltas, &metrics.delta_bytes),
            false => (&metrics.snapshots, &metrics.snapshot_bytes),
        };
        sent.inc();
        sent_bytes.inc_by(update.bytes() as u64);
    }

    async fn receive(&mut self, received: v1::FilterMessage) -> Result<(), Status> {
        match received.message {
            Some(FromFilter::Ping(ping)) => {
                if self.wrong {
                    self.owed = Some(ping);
                    return Ok(());
                }
                self.pong(&ping).await
            }
            Some(FromFilter::Ack(ack)) => {
                let position = ack
                    .position
                    .ok_or_else(|| Status::invalid_argument("ack.position is missing"))?;
                let position = Position::try_from(position)
                    .map_err(|e| Status::invalid_argument(format!("ack: {e}")))?;
                self.feed.place(&position).await?;
                self.feed.metrics.acks.inc();
                let acked = |way: &UnderWay| way.is_sent() && way.revision == position.revision;
                if self.under_way.as_ref().is_some_and(acked) {
                    self.under_way = None;
                    self.mended = false;
                    self.wrong = false;
                    self.presence
                        .acked(position.revision, ack.memory, Instant::now().into_std());
                    if let Some(ping) = self.owed.take() {
                        self.pong(&ping).await?;
                    }
                }
                Ok(())
            }
            Some(FromFilter::More(_)) => match &mut self.under_way {
                Some(way) if way.unanswered > 0 => {
                    way.unanswered -= 1;
                    Ok(())
                }
                _ => Err(Status::invalid_argument("more, of nothing")),
            },
            Some(FromFilter::Nack(nack)) => self.nacked(&nack),
            Some(FromFilter::Report(report)) => {
                self.reported(&report);
                Ok(())
            }
            Some(FromFilter::Hello(_)) => Err(Status::invalid_argument("a second hello")),
            None => Err(Status::invalid_argument("a message of no known kind")),
        }
    }

    /// It has seen what decides nothing.
    fn reported(&mut self, report: &[u8]) {
        // There is one from the beginning on.
        let Some(now) = self.standing.borrow().clone() else {
            return;
        };
        let directory = self.feed.ledger.directory();
        let tenant = directory.published(&self.tenant).map(|tenant| &**tenant);
        let (last, reporter) = (&mut self.reported, || self.presence.reporter());
        let instant = Instant::now().into_std();
        let read =
            (self.feed.observations).receive(last, now.scope(), tenant, reporter, report, instant);
        // The stream goes on: leases hang on it, and nothing on a report.
        if let Err(error) = read {
            tracing::warn!(%error, "a filter's report can't be read");
        }
    }

    /// An update did not verify: once, a snapshot mends that. Twice, the filter must come again later.
    fn nacked(&mut self, nack: &v1::Nack) -> Result<(), Status> {
        let reason = nack.reason();
        tracing::error!(
            reason = reason.as_str_name(),
            detail = nack.detail,
            "a filter rejected an update"
        );
        self.feed.metrics.nacked(reason.as_str_name());
        self.presence.nacked(reason.as_str_name());
        self.under_way = None;
        match reason {
            Reason::DigestMismatch | Reason::OutOfOrder | Reason::Malformed if !self.mended => {
                self.mended = true;
                self.wrong = true;
                self.presence.drifted();
                self.sent = None;
                Ok(())
            }
            _ => Err(Status::failed_precondition(format!(
                "nothing that this feeder could send would be accepted: {}",
                reason.as_str_name()
            ))),
        }
    }

    /// Answers a ping with the newest durable position, not the scope's: the lease must not outlive a change that is still on its way.
    async fn pong(&mut self, ping: &v1::Ping) -> Result<(), Status> {
        let directory = self.feed.ledger.directory();
        let position = directory.position();
        self.wanted = position.revision;
        // While its tenant is frozen, a lease is renewed for content that does not change from there on.
        let frozen = directory.frozen(&self.tenant);
        let withheld = frozen.and_then(|frozen| frozen.withheld_since);
        let content = withheld.map_or(position.revision, |first| position.revision.min(first - 1));
        let lease = lease(ping)?;
        if self.feed.rolled_back() || !self.feed.remember(lease).await {
            return Ok(());
        }
        // Before it is sent: from then on it may be counted upon.
        self.presence
            .pinged(content, lease, Instant::now().into_std());
        let pong = v1::Pong {
            ping_id: ping.id,
            position: Some((&position).into()),
        };
        self.send(framed(ToFilter::Pong(pong))).await
    }

    async fn send(&self, message: Bytes) -> Result<(), Status> {
        let sent = self
            .out
            .send_timeout(Ok(message), self.feed.patience.stopped)
            .await;
        sent.map_err(|error| match error {
            SendTimeoutError::Timeout(_) => Status::deadline_exceeded("the filter does not read"),
            SendTimeoutError::Closed(_) => Status::cancelled("the filter is gone"),
        })
    }
}

/// The lease that a ping tells. One that tells none may have the longest.
fn lease(ping: &v1::Ping) -> Result<Duration, Status> {
    let longest = Policy::MAX_STALENESS;
    match Duration::from_millis(ping.lease_ms) {
        Duration::ZERO => Ok(longest),
        lease if lease <= longest => Ok(lease),
        lease => Err(Status::invalid_argument(format!(
            "ping.lease_ms: {lease:?} is longer than a policy may ask for, {longest:?}"
        ))),
    }
}

#[cfg(test)]
mod tests;
