//! One stream: a filter VM that follows a scope.
//!
//! At most one update is under way at a time. When it is acked, the next one takes the filter from there to whatever the
//! content is *then*: a slow reader skips, and never queues.

use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt};
use prost::Message as _;
use scimesh_proto::digest::ContentDigest;
use scimesh_proto::position::Position;
use scimesh_proto::scope::Scope;
use scimesh_proto::wire::v1::feeder_message::Message as ToFilter;
use scimesh_proto::wire::v1::filter_message::Message as FromFilter;
use scimesh_proto::wire::v1::nack::Reason;
use scimesh_proto::wire::{FORMAT, v1};
use tokio::sync::{mpsc, watch};
use tonic::Status;

use super::Feed;
use super::access::Pass;
use super::encode::message;
use super::scope::{ScopeFeed, Standing};

/// How long a filter may take to say hello.
const HELLO: Duration = Duration::from_secs(10);

/// What a stream sends on.
pub(super) type Outbound = mpsc::Sender<Result<v1::FeederMessage, Status>>;

/// One filter's place in its scope.
struct Follower<'a> {
    feed: &'a Feed,
    out: &'a Outbound,
    standing: watch::Receiver<Option<Arc<Standing>>>,
    // Keeps the scope current for as long as the stream lives.
    _scope: Arc<ScopeFeed>,
    /// The revision that the filter holds, or will when it has applied what is under way.
    sent: Option<u64>,
    /// An update that is neither acked nor nacked.
    under_way: Option<u64>,
    /// The newest revision that a pong has named.
    wanted: u64,
    /// The revision of a snapshot that was sent because an update did not verify.
    mended: Option<u64>,
}

/// Serves one stream to its end. The error is what the filter is told.
pub(super) async fn serve(
    feed: &Feed,
    pass: &Pass,
    mut inbound: impl Stream<Item = Result<v1::FilterMessage, Status>> + Unpin,
    out: &Outbound,
) -> Result<(), Status> {
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
        None => return Ok(()),
    };
    let node = hello.node.clone().unwrap_or_default();
    let mut follower = Follower::begin(feed, pass, out, hello).await?;
    tracing::info!(peer = %pass.peer(), node = node.id, version = node.version, held = follower.sent, "a filter follows");
    loop {
        follower.send_what_is_due().await?;
        tokio::select! {
            changed = follower.standing.changed() => {
                changed.map_err(|_| Status::unavailable("the scope is no longer kept current"))?;
            }
            received = inbound.next() => match received.transpose()? {
                Some(received) => follower.receive(received).await?,
                None => return Ok(()),
            }
        }
    }
}

impl<'a> Follower<'a> {
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
            Some(held) => feed.place(&held)?,
            None => None,
        };
        if feed.ledger.directory().tenant(scope.tenant()).is_none() {
            tracing::warn!(
                tenant = scope.tenant(),
                "a filter's policy names a tenant that does not exist; it refuses everybody"
            );
        }
        // The filter may know, by another of its streams, a revision that the scope has not caught up with.
        let durable = feed.ledger.directory().revision();
        let scope = feed.scopes.follow(&feed.ledger, &scope);
        let mut standing = scope.watch();
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
        if held.is_some() && sent.is_none() {
            tracing::error!(
                "a filter holds other content than its revision has; it gets a snapshot"
            );
        }
        Ok(Follower {
            feed,
            out,
            standing,
            _scope: scope,
            sent,
            under_way: None,
            wanted: 0,
            mended: None,
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
        if !due || self.under_way.is_some() {
            return Ok(());
        }
        let revision = now.revision();
        let update = now.update(self.sent).await;
        self.count(&update);
        for message in update.iter() {
            self.send(message.clone()).await?;
        }
        self.sent = Some(revision);
        self.under_way = Some(revision);
        Ok(())
    }

    fn count(&self, update: &[v1::FeederMessage]) {
        let bytes = update
            .iter()
            .map(|message| message.encoded_len() as u64)
            .sum();
        let metrics = &self.feed.metrics;
        let (sent, sent_bytes) = match update {
            [delta] if matches!(delta.message, Some(ToFilter::Delta(_))) => {
                (&metrics.deltas, &metrics.delta_bytes)
            }
            _ => (&metrics.snapshots, &metrics.snapshot_bytes),
        };
        sent.inc();
        sent_bytes.inc_by(bytes);
    }

    async fn receive(&mut self, received: v1::FilterMessage) -> Result<(), Status> {
        match received.message {
            Some(FromFilter::Ping(ping)) => {
                // The newest durable position, not the scope's: the lease must not outlive a change that is still on its way.
                let position = self.feed.ledger.directory().position();
                self.wanted = position.revision;
                if self.feed.rolled_back() {
                    return Ok(());
                }
                let pong = v1::Pong {
                    ping_id: ping.id,
                    position: Some((&position).into()),
                };
                self.send(message(ToFilter::Pong(pong))).await
            }
            Some(FromFilter::Ack(ack)) => {
                let position = ack
                    .position
                    .ok_or_else(|| Status::invalid_argument("ack.position is missing"))?;
                let position = Position::try_from(position)
                    .map_err(|e| Status::invalid_argument(format!("ack: {e}")))?;
                self.feed.place(&position)?;
                self.feed.metrics.acks.inc();
                if self.under_way == Some(position.revision) {
                    self.under_way = None;
                    self.mended = None;
                }
                Ok(())
            }
            Some(FromFilter::Nack(nack)) => self.nacked(&nack),
            Some(FromFilter::Hello(_)) => Err(Status::invalid_argument("a second hello")),
            None => Err(Status::invalid_argument("a message of no known kind")),
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
        let under_way = self.under_way.take();
        match reason {
            Reason::DigestMismatch | Reason::OutOfOrder | Reason::Malformed
                if self.mended.is_none() =>
            {
                self.mended = Some(under_way.unwrap_or_default());
                self.sent = None;
                Ok(())
            }
            _ => Err(Status::failed_precondition(format!(
                "nothing that this feeder could send would be accepted: {}",
                reason.as_str_name()
            ))),
        }
    }

    async fn send(&self, message: v1::FeederMessage) -> Result<(), Status> {
        let sent = self.out.send(Ok(message)).await;
        sent.map_err(|_| Status::cancelled("the filter is gone"))
    }
}

#[cfg(test)]
mod tests;
