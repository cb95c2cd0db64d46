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
use scimesh_proto::wire::v1::{Ack, FeederMessage, Nack, Node, Ping};

/// Wait before the second attempt to open a stream; it doubles with each further one.
const FIRST_BACK_OFF: Duration = Duration::from_millis(100);
const LONGEST_BACK_OFF: Duration = Duration::from_secs(5);

/// The time between two moments, on the clock that says more: one of them stands still while a machine sleeps, and the
/// other may be set back.
pub(crate) fn elapsed(since: Moment, now: Moment) -> Duration {
    let monotonic = now.monotonic.saturating_sub(since.monotonic);
    monotonic.max(now.wall.saturating_sub(since.wall))
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
}

#[derive(Debug)]
enum State {
    /// Since when, and how long not to try again. None: try at once.
    Down(Option<(Moment, Duration)>),
    Up(Stream),
}

#[derive(Debug)]
struct Stream {
    id: u32,
    /// What this stream must not fall below.
    floor: HighWater,
    last_ping: SentPing,
    answered: bool,
    heard: Moment,
    /// The feeder's position in answer to a ping, ahead of what is held; when the ping was sent.
    awaited: Option<(Position, Moment)>,
    /// A snapshot was rejected: what is left of it is not worth a nack each.
    skipping: bool,
}

#[derive(Debug, Clone, Copy)]
struct SentPing {
    id: u64,
    at: Moment,
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
        }
    }

    /// The open stream.
    pub(crate) fn stream(&self) -> Option<u32> {
        match &self.state {
            State::Down(_) => None,
            State::Up(stream) => Some(stream.id),
        }
    }

    /// What is due now. `interval` is the longest time between two pings.
    pub(crate) fn step(&mut self, interval: Duration, now: Moment) -> Step {
        match &mut self.state {
            State::Down(Some((since, wait))) if elapsed(*since, now) < *wait => Step::Wait,
            State::Down(_) => Step::Open,
            State::Up(stream) => {
                let silent = elapsed(stream.last_ping.at, now).min(elapsed(stream.heard, now));
                let due = interval.mul_f64(stream.last_ping.wait);
                if !stream.answered && silent >= interval {
                    let stream = stream.id;
                    self.lost(now);
                    Step::Cancel { stream }
                } else if stream.answered && elapsed(stream.last_ping.at, now) >= due {
                    let (sent, ping) = next_ping(&mut self.next_ping, &mut self.jitter, now);
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
        now: Moment,
    ) -> [Outgoing; 2] {
        let (last_ping, ping) = next_ping(&mut self.next_ping, &mut self.jitter, now);
        self.state = State::Up(Stream {
            id,
            floor: highest.clone(),
            last_ping,
            answered: false,
            heard: now,
            awaited: None,
            skipping: false,
        });
        [Outgoing::Hello(replica.hello(node)), Outgoing::Ping(ping)]
    }

    /// The stream goes with the root context that had opened it; another one is to open its own.
    pub(crate) fn hand_over(&mut self) {
        self.state = State::Down(None);
    }

    /// The stream has ended, or none could be opened.
    pub(crate) fn lost(&mut self, now: Moment) {
        self.state = State::Down(Some((now, self.jitter.shorten(self.back_off))));
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
        let mut floor = highest.floor(&stream.floor);
        match replica.receive(message, &mut floor) {
            Ok(Received::Part) => {
                stream.skipping = false;
                None
            }
            Ok(Received::Applied(position)) => {
                stream.skipping = false;
                stream.floor.raise(position);
                highest.raise(position);
                self.back_off = FIRST_BACK_OFF;
                if let Some((awaited, sent)) = stream.awaited
                    && awaited.history == position.history
                    && awaited.revision <= position.revision
                {
                    lease.renew(sent);
                    stream.awaited = None;
                }
                Some(Outgoing::Ack(Ack {
                    position: Some((&position).into()),
                }))
            }
            Ok(Received::Pong { ping_id, position }) => {
                if ping_id == stream.last_ping.id {
                    stream.answered = true;
                    let sent = stream.last_ping.at;
                    let held = replica.snapshot().map(|snapshot| *snapshot.position());
                    match held {
                        Some(held) if held == position => lease.renew(sent),
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
}

fn next_ping(next: &mut u64, jitter: &mut Jitter, now: Moment) -> (SentPing, Ping) {
    let id = *next;
    *next += 1;
    let sent = SentPing {
        id,
        at: now,
        wait: jitter.share(),
    };
    (sent, Ping { id })
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
            Some(Incoming::SnapshotStart(_)) => Kind::Starts,
            Some(Incoming::SnapshotChunk(_) | Incoming::SnapshotEnd(_)) => Kind::Continues,
            Some(Incoming::Pong(_)) => Kind::Pong,
            Some(Incoming::Delta(_)) | None => Kind::Other,
        }
    }
}

/// Random enough to keep the VMs of a mesh from doing the same at the same time (splitmix64).
#[derive(Debug)]
struct Jitter(u64);

impl Jitter {
    /// Between 3/4 and 1.
    fn share(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^= x >> 31;
        1.0 - 0.25 * (x as f64 / u64::MAX as f64)
    }

    fn shorten(&mut self, wait: Duration) -> Duration {
        wait.mul_f64(self.share())
    }
}

#[cfg(test)]
mod tests {
    use scimesh_proto::digest::Key;
    use scimesh_proto::position::{History, Proof};
    use scimesh_proto::scope::{Scope, Term};
    use scimesh_proto::snapshot::{Snapshot, TermState};
    use scimesh_proto::wire::v1::nack::Reason;
    use scimesh_proto::wire::v1::{Delta, Pong, SnapshotChunk, SnapshotEnd, SnapshotStart};

    use super::*;

    const INTERVAL: Duration = Duration::from_secs(20);

    fn at(milliseconds: u64) -> Moment {
        Moment {
            monotonic: Duration::from_millis(milliseconds),
            wall: Duration::from_millis(1_000_000 + milliseconds),
        }
    }

    fn position(revision: u64) -> Position {
        Position {
            history: History {
                generation: 1,
                id: [1; 16],
            },
            revision,
            proof: Proof([0; 16]),
        }
    }

    fn scope() -> Scope {
        Scope::new("corp", [Term::parse("group:a").unwrap()], false).unwrap()
    }

    /// An empty directory at a revision.
    fn content(revision: u64) -> Snapshot {
        let key = Key::new([7; 32]);
        let states = vec![TermState::Missing];
        Snapshot::new(scope(), position(revision), key, Vec::new(), states)
    }

    fn digest(revision: u64) -> Vec<u8> {
        content(revision).digest().to_bytes().to_vec()
    }

    fn snapshot(revision: u64) -> [Incoming; 3] {
        let start = SnapshotStart {
            format: 1,
            position: Some((&position(revision)).into()),
            key: vec![7; 32].into(),
            terms: vec![TermState::Missing as i32],
            ..Default::default()
        };
        let end = SnapshotEnd {
            digest: digest(revision).into(),
        };
        [
            Incoming::SnapshotStart(start),
            Incoming::SnapshotChunk(SnapshotChunk::default()),
            Incoming::SnapshotEnd(end),
        ]
    }

    fn delta(from: u64, to: u64) -> Incoming {
        Incoming::Delta(Delta {
            format: 1,
            from,
            to: Some((&position(to)).into()),
            digest: digest(to).into(),
            ..Default::default()
        })
    }

    fn pong(ping_id: u64, revision: u64) -> Incoming {
        Incoming::Pong(Pong {
            ping_id,
            position: Some((&position(revision)).into()),
        })
    }

    /// One VM's end of the conversation.
    struct Filter {
        session: Session,
        replica: Replica,
        highest: HighWater,
        lease: Lease,
    }

    impl Filter {
        fn new() -> Filter {
            Filter {
                session: Session::new(1),
                replica: Replica::new(scope()),
                highest: HighWater::default(),
                lease: Lease::default(),
            }
        }

        fn connected(now: Moment) -> Filter {
            let mut filter = Filter::new();
            filter.open(now);
            filter
        }

        /// Opens a stream; returns the id of its first ping.
        fn open(&mut self, now: Moment) -> u64 {
            assert_eq!(self.session.step(INTERVAL, now), Step::Open);
            let node = Node::default();
            let first = self
                .session
                .opened(9, &self.replica, node, &self.highest, now);
            match first {
                [Outgoing::Hello(_), Outgoing::Ping(ping)] => ping.id,
                other => panic!("{other:?}"),
            }
        }

        fn receive(&mut self, message: Incoming, now: Moment) -> Option<Outgoing> {
            let message = FeederMessage {
                message: Some(message),
            };
            self.session.receive(
                Some(message),
                &mut self.replica,
                &mut self.highest,
                &mut self.lease,
                now,
            )
        }

        fn receive_all(&mut self, messages: impl IntoIterator<Item = Incoming>, now: Moment) {
            for message in messages {
                let answer = self.receive(message, now);
                assert!(!matches!(answer, Some(Outgoing::Nack(_))), "{answer:?}");
            }
        }
    }

    #[test]
    fn a_fresh_filter_has_a_lease_as_soon_as_it_has_content() {
        let mut filter = Filter::connected(at(0));
        filter.receive_all(snapshot(5), at(10));
        assert_eq!(filter.lease.age(at(10)), None, "no answer came yet");
        filter.receive_all([pong(0, 5)], at(20));
        assert_eq!(
            filter.lease.age(at(20)),
            Some(Duration::from_millis(20)),
            "it runs from the sending of the ping"
        );
    }

    #[test]
    fn an_answer_ahead_of_the_content_counts_once_the_content_is_there() {
        let mut filter = Filter::connected(at(0));
        filter.receive_all(snapshot(5), at(10));
        filter.receive_all([pong(0, 7)], at(20));
        assert_eq!(filter.lease.age(at(20)), None);
        filter.receive_all([delta(5, 6)], at(30));
        assert_eq!(filter.lease.age(at(30)), None, "7 was announced, 6 is held");
        filter.receive_all([delta(6, 8)], at(40));
        assert_eq!(filter.lease.age(at(40)), Some(Duration::from_millis(40)));
    }

    #[test]
    fn an_answer_to_no_ping_of_this_stream_renews_nothing() {
        let mut filter = Filter::connected(at(0));
        filter.receive_all(snapshot(5), at(10));
        filter.session.lost(at(20));
        assert_eq!(filter.open(at(1000)), 1);
        filter.receive_all([pong(0, 5)], at(1010));
        assert_eq!(filter.lease.age(at(1010)), None);
    }

    #[test]
    fn an_answer_from_an_older_revision_is_nacked_and_renews_nothing() {
        let mut filter = Filter::connected(at(0));
        filter.receive_all(snapshot(5), at(10));
        let Some(Outgoing::Nack(nack)) = filter.receive(pong(0, 4), at(20)) else {
            panic!("not nacked");
        };
        assert_eq!(nack.reason(), Reason::RevisionFell);
        assert_eq!(filter.lease.age(at(20)), None);
    }

    #[test]
    fn it_pings_within_every_interval_and_only_after_an_answer() {
        let mut filter = Filter::connected(at(0));
        filter.receive_all(snapshot(5), at(10));
        filter.receive_all([pong(0, 5)], at(20));
        assert_eq!(filter.session.step(INTERVAL, at(14_900)), Step::Wait);
        let due = filter.session.step(INTERVAL, at(20_000));
        let ping = Ping { id: 1 };
        assert_eq!(due, Step::Ping { stream: 9, ping });
        assert_eq!(filter.session.step(INTERVAL, at(39_900)), Step::Wait);
    }

    #[test]
    fn a_silent_feeder_is_left_and_one_that_is_still_sending_is_not() {
        let mut filter = Filter::connected(at(0));
        let [start, chunk, _] = snapshot(5);
        filter.receive_all([start, chunk], at(19_000));
        assert_eq!(filter.session.step(INTERVAL, at(38_900)), Step::Wait);
        let step = filter.session.step(INTERVAL, at(39_000));
        assert_eq!(step, Step::Cancel { stream: 9 });
        assert_eq!(filter.session.stream(), None);
    }

    #[test]
    fn a_machine_that_slept_pings_at_once() {
        let mut filter = Filter::connected(at(0));
        filter.receive_all(snapshot(5), at(10));
        filter.receive_all([pong(0, 5)], at(20));
        let mut awake = at(30);
        awake.wall += Duration::from_secs(3600);
        let step = filter.session.step(INTERVAL, awake);
        assert!(matches!(step, Step::Ping { .. }), "{step:?}");
    }

    #[test]
    fn it_backs_off_longer_each_time_until_an_update_is_applied() {
        let mut filter = Filter::new();
        let mut now = 0;
        let mut waits = Vec::new();
        for _ in 0..8 {
            filter.session.lost(at(now));
            let wait = (0..).find(|ms| filter.session.step(INTERVAL, at(now + ms)) == Step::Open);
            waits.push(wait.unwrap());
            now += wait.unwrap();
        }
        let longest = [100, 200, 400, 800, 1600, 3200, 5000, 5000];
        for (wait, longest) in waits.iter().zip(longest) {
            assert!((longest * 3 / 4..=longest).contains(wait), "{waits:?}");
        }
        filter.open(at(now));
        filter.receive_all(snapshot(5), at(now));
        filter.session.lost(at(now));
        assert_eq!(filter.session.step(INTERVAL, at(now + 100)), Step::Open);
    }

    #[test]
    fn updates_are_acked_and_a_rejected_snapshot_is_nacked_once() {
        let mut filter = Filter::connected(at(0));
        let [start, chunk, end] = snapshot(5);
        let mut wrong = start.clone();
        if let Incoming::SnapshotStart(start) = &mut wrong {
            start.format = 2;
        }
        let answer = filter.receive(wrong, at(10));
        assert!(matches!(answer, Some(Outgoing::Nack(_))), "{answer:?}");
        assert_eq!(filter.receive(chunk.clone(), at(10)), None);
        assert_eq!(filter.receive(end.clone(), at(10)), None);

        assert_eq!(filter.receive(start, at(20)), None);
        assert_eq!(filter.receive(chunk, at(20)), None);
        let ack = Ack {
            position: Some((&position(5)).into()),
        };
        assert_eq!(filter.receive(end, at(20)), Some(Outgoing::Ack(ack)));
    }

    #[test]
    fn what_is_no_message_is_nacked_as_malformed() {
        let mut filter = Filter::connected(at(0));
        let answer = filter.session.receive(
            None,
            &mut filter.replica,
            &mut filter.highest,
            &mut filter.lease,
            at(10),
        );
        let Some(Outgoing::Nack(nack)) = answer else {
            panic!("{answer:?}");
        };
        assert_eq!(nack.reason(), Reason::Malformed);
    }

    #[test]
    fn a_stream_may_be_behind_another_but_not_behind_its_own_beginning() {
        let mut behind = Filter::connected(at(0));
        behind.highest.raise(position(9));
        behind.receive_all(snapshot(5), at(10));

        let mut fallen = Filter::new();
        fallen.highest.raise(position(9));
        fallen.open(at(0));
        let [start, ..] = snapshot(5);
        let answer = fallen.receive(start, at(10));
        assert!(matches!(answer, Some(Outgoing::Nack(_))), "{answer:?}");
    }
}
