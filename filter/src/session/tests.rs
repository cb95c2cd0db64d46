use scimesh_engine::Policy;
use scimesh_proto::digest::Key;
use scimesh_proto::position::{History, Proof};
use scimesh_proto::scope::{Scope, Term};
use scimesh_proto::snapshot::{Snapshot, TermState};
use scimesh_proto::wire::FORMAT;
use scimesh_proto::wire::v1::nack::Reason;
use scimesh_proto::wire::v1::{BindingList, End, Part, Pong, Start, TermStateList, Update};

use super::*;

const INTERVAL: Duration = Duration::from_secs(20);
const PACE: Pace = Pace {
    interval: INTERVAL,
    lease: Duration::from_secs(90),
};

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

fn start(revision: u64) -> Start {
    Start {
        format: FORMAT,
        position: Some((&position(revision)).into()),
        key: vec![7; 32].into(),
        bindings: Some(BindingList::default()),
        terms: Some(TermStateList {
            states: vec![TermState::Missing as i32],
        }),
        ..Default::default()
    }
}

fn end(revision: u64) -> Option<End> {
    Some(End {
        digest: digest(revision).into(),
    })
}

fn snapshot(revision: u64) -> [Incoming; 3] {
    let first = Update {
        start: Some(start(revision)),
        ..Default::default()
    };
    let second = Update {
        part: Some(Part::default()),
        ..Default::default()
    };
    let last = Update {
        end: end(revision),
        ..Default::default()
    };
    [first, second, last].map(Incoming::Update)
}

/// The messages of a snapshot for another module's test: of a policy with one term, in a directory without it.
pub(crate) fn snapshot_of(policy: &Policy, revision: u64) -> [FeederMessage; 3] {
    assert_eq!(*policy.scope(), scope());
    snapshot(revision).map(|message| FeederMessage {
        message: Some(message),
    })
}

/// An answer to a ping, for another module's test.
pub(crate) fn pong_of(ping_id: u64, revision: u64) -> FeederMessage {
    FeederMessage {
        message: Some(pong(ping_id, revision)),
    }
}

fn delta(from: u64, to: u64) -> Incoming {
    let start = Start {
        format: FORMAT,
        position: Some((&position(to)).into()),
        from: Some(from),
        ..Default::default()
    };
    Incoming::Update(Update {
        start: Some(start),
        part: None,
        end: end(to),
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
            replica: Replica::new(scope(), 1 << 20),
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
        assert_eq!(self.session.step(PACE, now), Step::Open);
        let node = Node::default();
        let first = self
            .session
            .opened(9, &self.replica, node, &self.highest, PACE, now);
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
fn an_answer_from_one_history_says_nothing_of_the_content_of_another() {
    let mut filter = Filter::connected(at(0));
    filter.receive_all(snapshot(5), at(10));
    filter.receive_all([pong(0, 7)], at(20));
    let mut restored = snapshot(9);
    if let Incoming::Update(update) = &mut restored[0]
        && let Some(start) = &mut update.start
        && let Some(position) = &mut start.position
    {
        position.generation = 2;
    }
    filter.receive_all(restored, at(30));
    assert_eq!(filter.lease.age(at(30)), None);
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
fn an_answer_with_another_proof_of_what_is_held_renews() {
    let mut filter = Filter::connected(at(0));
    filter.receive_all(snapshot(5), at(10));
    // As from a feeder that has started again meanwhile.
    let mut position = position(5);
    position.proof.0[0] ^= 1;
    let position = Some((&position).into());
    let ping_id = 0;
    filter.receive_all([Incoming::Pong(Pong { ping_id, position })], at(20));
    assert!(filter.lease.age(at(20)).is_some());
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
    assert_eq!(filter.session.step(PACE, at(14_900)), Step::Wait);
    let due = filter.session.step(PACE, at(20_000));
    let ping = Ping {
        id: 1,
        lease_ms: 90_000,
    };
    assert_eq!(due, Step::Ping { stream: 9, ping });
    assert_eq!(filter.session.step(PACE, at(39_900)), Step::Wait);
}

#[test]
fn a_silent_feeder_is_left_and_one_that_is_still_sending_is_not() {
    let mut filter = Filter::connected(at(0));
    let [start, chunk, _] = snapshot(5);
    filter.receive_all([start, chunk], at(39_000));
    assert_eq!(filter.session.step(PACE, at(78_900)), Step::Wait);
    let step = filter.session.step(PACE, at(79_000));
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
    let step = filter.session.step(PACE, awake);
    assert!(matches!(step, Step::Ping { .. }), "{step:?}");
}

#[test]
fn it_backs_off_longer_each_time_until_an_update_is_applied() {
    let mut filter = Filter::new();
    let mut now = 0;
    let mut waits = Vec::new();
    for _ in 0..8 {
        filter.session.lost(at(now));
        let wait = (0..).find(|ms| filter.session.step(PACE, at(now + ms)) == Step::Open);
        waits.push(wait.unwrap());
        now += wait.unwrap();
    }
    let longest = [1000, 2000, 4000, 5000, 5000, 5000, 5000, 5000];
    for (wait, longest) in waits.iter().zip(longest) {
        assert!(*wait <= longest, "{waits:?}");
    }
    assert!(waits.iter().sum::<u64>() > 4000, "{waits:?}");
    filter.open(at(now));
    filter.receive_all(snapshot(5), at(now));
    filter.session.lost(at(now));
    assert_eq!(filter.session.step(PACE, at(now + 1000)), Step::Open);
}

#[test]
fn each_piece_of_an_update_is_answered_and_a_rejected_one_once() {
    let mut filter = Filter::connected(at(0));
    let [start, chunk, end] = snapshot(5);
    let mut wrong = start.clone();
    if let Incoming::Update(update) = &mut wrong
        && let Some(start) = &mut update.start
    {
        start.format = FORMAT + 1;
    }
    let answer = filter.receive(wrong, at(10));
    assert!(matches!(answer, Some(Outgoing::Nack(_))), "{answer:?}");
    assert_eq!(filter.receive(chunk.clone(), at(10)), None);
    assert_eq!(filter.receive(end.clone(), at(10)), None);

    let more = Some(Outgoing::More(More {}));
    assert_eq!(filter.receive(start, at(20)), more);
    assert_eq!(filter.receive(chunk, at(20)), more);
    let memory = Memory {
        used_bytes: 0,
        content_bytes: 0,
        limit_bytes: 1 << 20,
    };
    let ack = Ack {
        position: Some((&position(5)).into()),
        memory: Some(memory),
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

#[test]
fn filters_that_lost_their_feeder_at_once_come_back_one_after_the_other() {
    let mut waits: Vec<u64> = (0..200)
        .map(|seed| {
            let mut session = Session::new(seed);
            session.lost(at(0));
            (0..)
                .find(|ms| session.step(PACE, at(*ms)) == Step::Open)
                .unwrap()
        })
        .collect();
    waits.sort_unstable();
    // Spread over the whole second: in no tenth of it more than twice its share.
    let busiest = (0..10).map(|tenth| {
        let within = waits.iter().filter(|wait| **wait / 100 == tenth);
        within.count()
    });
    assert!(busiest.max() <= Some(40), "{waits:?}");
}
