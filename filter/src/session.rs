//! The conversation with the feeder over one stream after the other: when to open one, when to ping, when to give one up,
//! what to answer, and when the lease is renewed.
//!
//! Pure: it is told the time and what happened, and says what to do. It knows no host and no policy.

use std::time::Duration;

use scimesh_engine::{Lease, Moment};
use scimesh_proto::position::Position;
use scimesh_proto::replica::{HighWater, Received, Replica};
use scimesh_proto::wire::v1::feeder_message::Message as Incoming;
use scimesh_proto::wire::v1::filter_message::Message as Outgoing;
use scimesh_proto::wire::v1::{Ack, FeederMessage, Memory, More, Nack, Node, Ping};

/// The time over which those who lost their feeder together come back; it doubles with each attempt that led to nothing.
const FIRST_BACK_OFF: Duration = Duration::from_secs(1);
const LONGEST_BACK_OFF: Duration = Duration::from_secs(5);
/// Ping intervals without a word, after an unanswered ping, before a stream is given up. The lease lasts three.
const SILENT_INTERVALS: u32 = 2;

/// The time between two moments, on the clock that says more: one of them stands still while a machine sleeps, and the
/// other may be set back.
pub(crate) fn elapsed(since: Moment, now: Moment) -> Duration {
    let monotonic = now.monotonic.saturating_sub(since.monotonic);
    monotonic.max(now.wall.saturating_sub(since.wall))
}

/// What the policies that share a stream ask of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// The longest time between two pings.
    pub(crate) interval: Duration,
    /// How long what is held counts at most after a ping.
    pub(crate) lease: Duration,
}

/// What a tick asks for.
#[derive(Debug, PartialEq)]
pub(crate) enum Step {
    Wait,
    /// Open a stream, then call [`Session::opened`] or [`Session::lost`].
    Open,
    /// Send this.
    Ping {
        stream: u32,
        ping: Ping,
    },
    /// The feeder is silent: end this stream. Another will be asked for.
    Cancel {
        stream: u32,
    },
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Session {
    state: State,
    back_off: Duration,
    next_ping: u64,
    jitter: Jitter,
    /// When the first piece came of the last update.
    updated_from: Option<Moment>,
}

#[derive(Debug)]
enum State {
    /// Since when, and how long not to try again. None: try at once.
    Down(Option<(Moment, Duration)>),
    Up(Box<Stream>),
}

#[derive(Debug)]
struct Stream {
    id: u32,
    /// What this stream must not fall below.
    floor: HighWater,
    last_ping: SentPing,
    answered: bool,
    heard: Moment,
    /// The feeder's position in answer to a ping, ahead of what is held.
    awaited: Option<(Position, SentPing)>,
    /// An update was rejected: what is left of it is not worth a nack each.
    skipping: bool,
}

#[derive(Debug, Clone, Copy)]
struct SentPing {
    id: u64,
    at: Moment,
    /// What it told of the lease.
    lease: Duration,
    /// The share of an interval after which the next one is due.
    wait: f64,
}

impl Session {
    /// Not connected, and due to be at once. `seed` makes its waits differ from those of other VMs.
    pub(crate) fn new(seed: u64) -> Session {
        Session {
            state: State::Down(None),
            back_off: FIRST_BACK_OFF,
            next_ping: 0,
            jitter: Jitter(seed),
            updated_from: None,
        }
    }

    /// The open stream.
    pub(crate) fn stream(&self) -> Option<u32> {
        match &self.state {
            State::Down(_) => None,
            State::Up(stream) => Some(stream.id),
        }
    }

    /// When the first piece of an update came: until the next one begins, of the one that was acknowledged last.
    pub(crate) fn updated_from(&self) -> Option<Moment> {
        self.updated_from
    }

    /// What is due now.
    pub(crate) fn step(&mut self, pace: Pace, now: Moment) -> Step {
        match &mut self.state {
            State::Down(Some((since, wait))) if elapsed(*since, now) < *wait => Step::Wait,
            State::Down(_) => Step::Open,
            State::Up(stream) => {
                let silent = elapsed(stream.last_ping.at, now).min(elapsed(stream.heard, now));
                let due = pace.interval.mul_f64(stream.last_ping.wait);
                if !stream.answered && silent >= pace.interval * SILENT_INTERVALS {
                    let stream = stream.id;
                    self.lost(now);
                    Step::Cancel { stream }
                } else if stream.answered && elapsed(stream.last_ping.at, now) >= due {
                    let (sent, ping) = next_ping(&mut self.next_ping, &mut self.jitter, pace, now);
                    stream.last_ping = sent;
                    stream.answered = false;
                    Step::Ping {
                        stream: stream.id,
                        ping,
                    }
                } else {
                    Step::Wait
                }
            }
        }
    }

    /// A stream was opened. Returns what to send on it first: the hello, and a ping with it, so that the lease starts as
    /// soon as there is content.
    pub(crate) fn opened(
        &mut self,
        id: u32,
        replica: &Replica,
        node: Node,
        highest: &HighWater,
        pace: Pace,
        now: Moment,
    ) -> [Outgoing; 2] {
        let (last_ping, ping) = next_ping(&mut self.next_ping, &mut self.jitter, pace, now);
        self.state = State::Up(Box::new(Stream {
            id,
            floor: highest.clone(),
            last_ping,
            answered: false,
            heard: now,
            awaited: None,
            skipping: false,
        }));
        [Outgoing::Hello(replica.hello(node)), Outgoing::Ping(ping)]
    }

    /// The stream goes with the root context that had opened it; another one is to open its own.
    pub(crate) fn hand_over(&mut self) {
        self.state = State::Down(None);
    }

    /// The stream has ended, or none could be opened.
    pub(crate) fn lost(&mut self, now: Moment) {
        self.state = State::Down(Some((now, self.back_off.mul_f64(self.jitter.share()))));
        self.back_off = (self.back_off * 2).min(LONGEST_BACK_OFF);
    }

    /// Takes one message of the open stream: `None` is one that could not be read. Returns the answer to it.
    pub(crate) fn receive(
        &mut self,
        message: Option<FeederMessage>,
        replica: &mut Replica,
        highest: &mut HighWater,
        lease: &mut Lease,
        now: Moment,
    ) -> Option<Outgoing> {
        let State::Up(stream) = &mut self.state else {
            return None;
        };
        stream.heard = now;
        let message = message.unwrap_or_default();
        let kind = Kind::of(&message);
        if stream.skipping && kind == Kind::Continues {
            return None;
        }
        if kind == Kind::Starts {
            self.updated_from = Some(now);
        }
        let mut floor = highest.floor(&stream.floor);
        match replica.receive(message, &mut floor) {
            Ok(Received::Part) => {
                stream.skipping = false;
                Some(Outgoing::More(More {}))
            }
            Ok(Received::Waits) => None,
            Ok(Received::Applied(position)) => {
                stream.skipping = false;
                Some(self.applied(position, replica, highest, lease))
            }
            Ok(Received::Pong { ping_id, position }) => {
                if ping_id == stream.last_ping.id {
                    stream.answered = true;
                    let sent = stream.last_ping;
                    let held = replica.snapshot().map(|snapshot| *snapshot.position());
                    match held {
                        Some(held) if held.is_at(&position) => lease.renew_for(sent.at, sent.lease),
                        _ => stream.awaited = Some((position, sent)),
                    }
                }
                None
            }
            Err(rejection) => {
                match kind {
                    Kind::Pong => stream.answered = true,
                    Kind::Starts | Kind::Continues => stream.skipping = true,
                    Kind::Other => {}
                }
                Some(Outgoing::Nack(Nack::from(&rejection)))
            }
        }
    }

    /// Works in, a bounded number of entries at a time, what has changed. Returns the answer to an update that waited for this.
    pub(crate) fn settle(
        &mut self,
        replica: &mut Replica,
        highest: &mut HighWater,
        lease: &mut Lease,
    ) -> Option<Outgoing> {
        let State::Up(stream) = &self.state else {
            replica.settle(highest);
            return None;
        };
        let mut floor = highest.floor(&stream.floor);
        let position = replica.settle(&mut floor)?;
        Some(self.applied(position, replica, highest, lease))
    }

    /// The content is that of `position` now.
    fn applied(
        &mut self,
        position: Position,
        replica: &Replica,
        highest: &mut HighWater,
        lease: &mut Lease,
    ) -> Outgoing {
        highest.raise(position);
        self.back_off = FIRST_BACK_OFF;
        if let State::Up(stream) = &mut self.state {
            stream.floor.raise(position);
            if let Some((awaited, sent)) = stream.awaited
                && awaited.history == position.history
                && awaited.revision <= position.revision
            {
                lease.renew_for(sent.at, sent.lease);
                stream.awaited = None;
            }
        }
        Outgoing::Ack(Ack {
            position: Some((&position).into()),
            memory: Some(Memory {
                used_bytes: memory_bytes(),
                content_bytes: replica.bytes(),
                limit_bytes: replica.limit(),
            }),
        })
    }
}

/// Bytes of the VM's linear memory. It never shrinks, so this is also the most that it has been.
pub(crate) fn memory_bytes() -> u64 {
    #[cfg(target_arch = "wasm32")]
    {
        const PAGE_BYTES: u64 = 64 << 10;
        std::arch::wasm32::memory_size::<0>() as u64 * PAGE_BYTES
    }
    #[cfg(not(target_arch = "wasm32"))]
    0
}

fn next_ping(next: &mut u64, jitter: &mut Jitter, pace: Pace, now: Moment) -> (SentPing, Ping) {
    let id = *next;
    *next += 1;
    let sent = SentPing {
        id,
        at: now,
        lease: pace.lease,
        wait: 1.0 - 0.25 * jitter.share(),
    };
    let lease_ms = u64::try_from(pace.lease.as_millis()).unwrap_or(u64::MAX);
    (sent, Ping { id, lease_ms })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Starts,
    Continues,
    Pong,
    Other,
}

impl Kind {
    fn of(message: &FeederMessage) -> Kind {
        match &message.message {
            Some(Incoming::Update(update)) if update.start.is_some() => Kind::Starts,
            Some(Incoming::Update(_)) => Kind::Continues,
            Some(Incoming::Pong(_)) => Kind::Pong,
            None => Kind::Other,
        }
    }
}

/// Random enough to keep the VMs of a mesh from doing the same at the same time (splitmix64).
#[derive(Debug)]
struct Jitter(u64);

impl Jitter {
    /// Between 0 and 1.
    fn share(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^= x >> 31;
        x as f64 / u64::MAX as f64
    }
}

#[cfg(test)]
pub(crate) mod tests;
