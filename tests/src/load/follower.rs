//! One filter VM without its Envoy: opens a stream, says hello with what it holds, pings, acks, and comes again when the
//! stream ends, as the filter does.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::channel::mpsc::{UnboundedSender, unbounded};
use rand::RngExt;
use scimesh_proto::digest::{ContentDigest, Key};
use scimesh_proto::position::Position;
use scimesh_proto::scope::Scope;
use scimesh_proto::wire::MAX_MESSAGE;
use scimesh_proto::wire::v1::feed_client::FeedClient;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tonic::transport::Channel;
use tonic::{Code, Status, Streaming};

use super::copy::{self, Copy, FeederMessage, FilterMessage, Heard};

/// As in the filter: the time over which those who lost their feeder together come back, and the most that it grows to.
const FIRST_BACK_OFF: Duration = Duration::from_secs(1);
const LONGEST_BACK_OFF: Duration = Duration::from_secs(5);

/// How a follower behaves from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    /// As a filter does.
    Follow,
    /// Reads nothing: what comes fills the window of its stream, and then waits at the feeder.
    Stall,
    /// Applies, and neither answers nor pings before it behaves otherwise.
    Mute,
    /// Waits so long before each ack.
    Lag(Duration),
    /// Has no stream, and keeps what it holds.
    Away,
}

/// Which follower it is.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The node's id: the proxy.
    pub node: String,
    /// Which of its VMs: random, as it tells the feeder who comes again.
    pub vm: String,
    /// The place of its scope among those of the fleet.
    pub scope: usize,
    /// The policy's longest staleness; pings come three times as often.
    pub lease: Duration,
}

/// An update that was applied. Positions are of one history where `from` is not 0.
#[derive(Debug, Clone, Copy)]
pub struct Delivery {
    /// The revision held before; 0 for a snapshot.
    pub from: u64,
    /// The revision held after.
    pub to: u64,
    /// Digest of what is held after.
    pub digest: Option<ContentDigest>,
    /// When it was applied, just before the ack was sent.
    pub at: std::time::Instant,
}

/// What a follower has seen so far.
#[derive(Debug, Default)]
pub struct Seen {
    /// Whether it has a stream.
    pub connected: bool,
    /// Where it stands.
    pub position: Option<Position>,
    /// Digest of what it holds.
    pub digest: Option<ContentDigest>,
    /// The database's key, if it holds all of its content.
    pub key: Option<Key>,
    /// The newest position at which its lease was renewed, and when.
    pub current: Option<(Position, std::time::Instant)>,
    /// Streams opened.
    pub streams: u64,
    /// Messages received.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Whole contents received.
    pub snapshots: u64,
    /// Updates applied, as long as they are [noted](Follower::note).
    pub deliveries: Vec<Delivery>,
    /// Updates refused.
    pub nacks: u64,
    /// What must never be: a position that fell, a message that no feeder may send.
    pub violations: Vec<String>,
    /// The last reason for which a stream ended.
    pub ended: Option<(Code, String)>,
    note: bool,
}

/// A handle on one.
#[derive(Debug)]
pub struct Follower {
    identity: Identity,
    scope: Scope,
    seen: Arc<Mutex<Seen>>,
    behaviour: watch::Sender<Behaviour>,
    task: JoinHandle<()>,
}

impl Follower {
    /// Begins to follow; `light` ones hold no content. It goes on until the handle is dropped.
    pub fn start(channel: Channel, identity: Identity, scope: Scope, light: bool) -> Follower {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let (behaviour, behave) = watch::channel(Behaviour::Follow);
        let life = Life {
            copy: Copy::new(&scope, light),
            identity: identity.clone(),
            seen: seen.clone(),
            behave,
            channel,
            next_ping: 0,
        };
        Follower {
            identity,
            scope,
            seen,
            behaviour,
            task: tokio::spawn(life.run()),
        }
    }

    /// Which one it is.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// What it follows.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// What it has seen.
    pub fn seen(&self) -> MutexGuard<'_, Seen> {
        lock(&self.seen)
    }

    /// Has it behave otherwise from now on.
    pub fn behave(&self, behaviour: Behaviour) {
        self.behaviour.send_replace(behaviour);
    }

    /// How it behaves.
    pub fn behaviour(&self) -> Behaviour {
        *self.behaviour.borrow()
    }

    /// Begins, or ends, to note each delivery; those noted so far are forgotten.
    pub fn note(&self, note: bool) {
        let mut seen = self.seen();
        seen.note = note;
        seen.deliveries = Vec::new();
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Life {
    copy: Copy,
    identity: Identity,
    seen: Arc<Mutex<Seen>>,
    behave: watch::Receiver<Behaviour>,
    channel: Channel,
    next_ping: u64,
}

/// A stream, and what was asked on it.
struct Open {
    inbound: Streaming<FeederMessage>,
    out: UnboundedSender<FilterMessage>,
    ping: u64,
    answered: bool,
    due: Instant,
    awaited: Option<Position>,
    /// What a mute one would have answered.
    owed: Vec<FilterMessage>,
}

impl Life {
    async fn run(mut self) {
        let mut back_off = FIRST_BACK_OFF;
        loop {
            if self
                .behave
                .wait_for(|now| *now != Behaviour::Away)
                .await
                .is_err()
            {
                return;
            }
            let before = self.copy.position();
            let ended = self.converse().await;
            self.copy.disconnect();
            {
                let mut seen = lock(&self.seen);
                seen.connected = false;
                if let Err(status) = &ended {
                    seen.ended = Some((status.code(), status.message().to_owned()));
                }
            }
            if self.copy.position() != before {
                back_off = FIRST_BACK_OFF;
            }
            if ended.is_err() {
                let share = rand::rng().random_range(0.0..1.0);
                tokio::time::sleep(back_off.mul_f64(share)).await;
                back_off = (back_off * 2).min(LONGEST_BACK_OFF);
            }
        }
    }

    /// One stream. Ok: it was told to go away.
    async fn converse(&mut self) -> Result<(), Status> {
        let mut client =
            FeedClient::new(self.channel.clone()).max_decoding_message_size(MAX_MESSAGE);
        let (out, outbound) = unbounded();
        send(
            &out,
            self.copy.hello(&self.identity.node, &self.identity.vm),
        )?;
        let (ping, due) = self.ping(&out)?;
        let inbound = client.stream(outbound).await?.into_inner();
        let mut open = Open {
            inbound,
            out,
            ping,
            answered: false,
            due,
            awaited: None,
            owed: Vec::new(),
        };
        {
            let mut seen = lock(&self.seen);
            seen.connected = true;
            seen.streams += 1;
        }
        loop {
            let behaviour = *self.behave.borrow_and_update();
            let quiet = matches!(behaviour, Behaviour::Stall | Behaviour::Mute);
            if !quiet {
                for answer in std::mem::take(&mut open.owed) {
                    send(&open.out, answer)?;
                }
            }
            tokio::select! {
                changed = self.behave.changed() => if changed.is_err() { return Ok(()) },
                message = open.inbound.message(), if behaviour != Behaviour::Stall => {
                    let Some(message) = message? else {
                        return Err(Status::unavailable("the feeder ended the stream"));
                    };
                    self.receive(&mut open, message, behaviour).await?;
                }
                () = tokio::time::sleep_until(open.due), if !quiet => {
                    if !open.answered {
                        return Err(Status::deadline_exceeded("the feeder is silent"));
                    }
                    (open.ping, open.due) = self.ping(&open.out)?;
                    open.answered = false;
                }
            }
            if *self.behave.borrow() == Behaviour::Away {
                return Ok(());
            }
        }
    }

    /// Sends a ping; gives its id, and when it must have been answered.
    fn ping(&mut self, out: &UnboundedSender<FilterMessage>) -> Result<(u64, Instant), Status> {
        let id = self.next_ping;
        self.next_ping += 1;
        let lease = u64::try_from(self.identity.lease.as_millis()).unwrap_or(u64::MAX);
        send(out, copy::ping(id, lease))?;
        // Two intervals without an answer, as in the filter.
        Ok((id, Instant::now() + self.identity.lease * 2 / 3))
    }

    async fn receive(
        &mut self,
        open: &mut Open,
        message: FeederMessage,
        behaviour: Behaviour,
    ) -> Result<(), Status> {
        let bytes = copy::size(&message);
        let before = self.copy.position();
        let heard = self.copy.receive(message);
        let at = std::time::Instant::now();
        {
            let seen = &mut *lock(&self.seen);
            seen.messages += 1;
            seen.bytes += bytes;
            match &heard {
                Ok(Heard::Applied { from, to }) => {
                    if before.is_some_and(|before| before.order() > to.order()) {
                        seen.violations
                            .push(format!("fell from {before:?} to {to:?}"));
                    }
                    seen.position = Some(*to);
                    seen.digest = self.copy.digest();
                    seen.snapshots += u64::from(from.is_none());
                    if seen.key.as_ref() != self.copy.key() {
                        seen.key = self.copy.key().cloned();
                    }
                    if seen.note {
                        seen.deliveries.push(Delivery {
                            from: from.map_or(0, |from| from.revision),
                            to: to.revision,
                            digest: seen.digest,
                            at,
                        });
                    }
                }
                Ok(Heard::Refused(_)) => seen.nacks += 1,
                Ok(Heard::Pong { position, .. }) => {
                    if let Some(held) = before.filter(|held| held.order() > position.order()) {
                        seen.violations
                            .push(format!("holds {held:?}, and the feeder is at {position:?}"));
                    }
                }
                Ok(Heard::Part(_)) => {}
                Err(what) => seen.violations.push(what.clone()),
            }
        }
        match heard {
            Err(what) => Err(Status::internal(what)),
            Ok(Heard::Part(answer) | Heard::Refused(answer)) => match behaviour {
                Behaviour::Mute => {
                    open.owed.push(answer);
                    Ok(())
                }
                _ => send(&open.out, answer),
            },
            Ok(Heard::Applied { to, .. }) => {
                match behaviour {
                    Behaviour::Mute => open.owed.push(copy::ack(&to)),
                    Behaviour::Lag(wait) => {
                        tokio::time::sleep(wait).await;
                        send(&open.out, copy::ack(&to))?;
                    }
                    _ => send(&open.out, copy::ack(&to))?,
                }
                if let Some(awaited) = open.awaited
                    && awaited.history == to.history
                    && awaited.revision <= to.revision
                {
                    open.awaited = None;
                    self.renewed(to);
                }
                Ok(())
            }
            Ok(Heard::Pong { id, position }) => {
                if id == open.ping && !open.answered {
                    open.answered = true;
                    let third = self.identity.lease / 3;
                    let share = rand::rng().random_range(0.75..1.0);
                    open.due = Instant::now() + third.mul_f64(share);
                    match self.copy.position() {
                        // A feeder that has started again proves the same revision otherwise.
                        Some(held) if held.is_at(&position) => self.renewed(held),
                        _ => open.awaited = Some(position),
                    }
                }
                Ok(())
            }
        }
    }

    fn renewed(&self, position: Position) {
        lock(&self.seen).current = Some((position, std::time::Instant::now()));
    }
}

fn send(out: &UnboundedSender<FilterMessage>, message: FilterMessage) -> Result<(), Status> {
    let sent = out.unbounded_send(message);
    sent.map_err(|_| Status::unavailable("the stream is closed"))
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}
