//! One stream as a filter meets it: the real replica at one end, a ledger over a database at the other.

use futures::future::join_all;
use jiff::Timestamp;
use scimesh_proto::binding::{Attribute, Binding, GroupName, GroupsClaim, Source};
use scimesh_proto::replica::{HighWater, Received, Replica};
use scimesh_proto::scope::Term;
use serde_json::json;
use tempfile::TempDir;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Code;
use uuid::Uuid;

use scimesh_proto::wire::PART_SUBJECTS;

use super::*;
use crate::directory::{Draft, MemberChange, Refused};
use crate::feed::admission::Admission;
use crate::feed::grpc::{PREFIX, unframed};
use crate::feed::{Limits, Peer, PeerMode};
use crate::fleet::Stand;
use crate::ledger::{Ledger, Writer};
use crate::metrics::{CommitMetrics, FeedMetrics};
use crate::store::Store;

/// How long a test waits for what should come at once.
const PATIENCE: Duration = Duration::from_secs(10);

/// A feeder with one tenant, one binding, and a group that nobody is in.
struct Feeder {
    feed: Arc<Feed>,
    group: Uuid,
    dir: TempDir,
    writer: Writer,
}

impl Feeder {
    async fn start() -> Feeder {
        Feeder::with(Patience::default()).await
    }

    /// One that does not wait long.
    async fn impatient() -> Feeder {
        let moment = Duration::from_millis(50);
        Feeder::with(Patience {
            slow: moment,
            stopped: moment,
        })
        .await
    }

    async fn with(patience: Patience) -> Feeder {
        let mut feeder = Feeder::on(tempfile::tempdir().unwrap(), Uuid::nil(), patience);
        let binding = Binding {
            source: Source::Token {
                issuer: "https://idp.example".into(),
                claim: "sub".into(),
                pin: None,
                groups: None,
            },
            ignore_case: false,
            attribute: Attribute::ExternalId,
        };
        feeder.group = feeder
            .write(move |draft| {
                draft.create_tenant("corp")?;
                draft.set_binding("corp", binding)?;
                let group = json!({"displayName": "admins"});
                let group = draft.create_group(
                    "corp",
                    Uuid::new_v4(),
                    group.as_object().unwrap().clone(),
                    &[],
                )?;
                Ok(group.id)
            })
            .await;
        feeder
    }

    /// On a database that may be there already.
    fn on(dir: TempDir, group: Uuid, patience: Patience) -> Feeder {
        let (store, directory) = Store::open(dir.path()).unwrap();
        let (ledger, writer) = Ledger::start(store, directory, CommitMetrics::default()).unwrap();
        let limits = Limits::default();
        let metrics = FeedMetrics::default();
        let feed = Feed::new(ledger, PeerMode::Loopback, limits, metrics);
        let feed = Arc::new(Feed {
            admission: Admission::new(2),
            patience,
            ..feed
        });
        Feeder {
            feed,
            group,
            dir,
            writer,
        }
    }

    async fn write<T: Send + 'static>(
        &self,
        command: impl FnOnce(&mut Draft) -> Result<T, Refused> + Send + 'static,
    ) -> T {
        self.feed.ledger.commit(command).await.unwrap().value
    }

    /// A new user in the group.
    async fn admit(&self, name: &str) -> u64 {
        let user = json!({"userName": name, "externalId": name, "active": true});
        let group = self.group;
        self.write(move |draft| {
            let user =
                draft.create_user("corp", Uuid::new_v4(), user.as_object().unwrap().clone())?;
            draft.change_members("corp", group, &[MemberChange::Add(vec![user.id])])
        })
        .await;
        self.position().revision
    }

    /// So many new users in the group, in one revision.
    async fn admit_many(&self, count: usize) {
        let group = self.group;
        self.write(move |draft| {
            let mut ids = Vec::new();
            for number in 0..count {
                let name = format!("user-{number}");
                let user = json!({"userName": name, "externalId": name, "active": true});
                let user = user.as_object().unwrap().clone();
                ids.push(draft.create_user("corp", Uuid::new_v4(), user)?.id);
            }
            draft.change_members("corp", group, &[MemberChange::Add(ids)])
        })
        .await;
    }

    /// What this feeder would issue after one more change.
    fn ahead(&self) -> Position {
        let directory = self.feed.ledger.directory();
        let mut draft = Draft::new(&directory, Timestamp::UNIX_EPOCH);
        draft.create_tenant("later").unwrap();
        draft.finish().directory.position()
    }

    fn position(&self) -> Position {
        self.feed.ledger.directory().position()
    }
}

/// A filter at the other end of a stream.
struct Filter {
    to_feeder: Sender<Result<v1::FilterMessage, Status>>,
    from_feeder: Receiver<Result<Bytes, Status>>,
    serving: JoinHandle<Result<(), Status>>,
    replica: Replica,
    highest: HighWater,
}

impl Filter {
    fn open(feeder: &Feeder, replica: Replica) -> Filter {
        let (to_feeder, inbound) = channel(16);
        let (out, from_feeder) = channel(16);
        let feed = feeder.feed.clone();
        let serving = tokio::spawn(async move {
            let pass = feed.gate.enter(Peer::Local, || feed.rules()).unwrap();
            serve(&feed, &pass, ReceiverStream::new(inbound), &out).await
        });
        Filter {
            to_feeder,
            from_feeder,
            serving,
            replica,
            highest: HighWater::default(),
        }
    }

    /// Says hello, with what it holds.
    async fn hello(feeder: &Feeder, replica: Replica) -> Filter {
        let filter = Filter::open(feeder, replica);
        let hello = filter.replica.hello(v1::Node::default());
        filter.say(FromFilter::Hello(hello)).await;
        filter
    }

    /// A new one that has applied and acked its first snapshot.
    async fn current(feeder: &Feeder) -> Filter {
        let mut filter = Filter::hello(feeder, replica()).await;
        let position = filter.applies().await;
        assert_eq!(position, feeder.position());
        filter.ack(position).await;
        filter
    }

    async fn say(&self, message: FromFilter) {
        let message = v1::FilterMessage {
            message: Some(message),
        };
        self.to_feeder.send(Ok(message)).await.unwrap();
    }

    async fn ack(&self, position: Position) {
        let position = Some((&position).into());
        self.say(FromFilter::Ack(v1::Ack {
            position,
            memory: None,
        }))
        .await;
    }

    async fn nack(&self, reason: Reason) {
        let nack = v1::Nack {
            reason: reason.into(),
            ..Default::default()
        };
        self.say(FromFilter::Nack(nack)).await;
    }

    async fn hears(&mut self) -> v1::FeederMessage {
        let message = tokio::time::timeout(PATIENCE, self.from_feeder.recv());
        let message = message.await.expect("silence").unwrap();
        unframed(message.unwrap())
    }

    /// Takes in what comes, up to what changes the content.
    async fn applies(&mut self) -> Position {
        loop {
            let message = self.hears().await;
            match self.replica.receive(message, &mut self.highest).unwrap() {
                Received::Part => self.say(FromFilter::More(v1::More {})).await,
                Received::Applied(position) => return position,
                pong => panic!("{pong:?}"),
            }
        }
    }

    /// Takes in an update and acks it; gives its pieces as they came.
    async fn takes(&mut self) -> Vec<Bytes> {
        let mut pieces = Vec::new();
        loop {
            let piece = tokio::time::timeout(PATIENCE, self.from_feeder.recv());
            let piece = piece.await.expect("silence").unwrap().unwrap();
            pieces.push(piece.clone());
            match self.replica.receive(unframed(piece), &mut self.highest) {
                Ok(Received::Part) => self.say(FromFilter::More(v1::More {})).await,
                Ok(Received::Applied(position)) => {
                    self.ack(position).await;
                    return pieces;
                }
                other => panic!("{other:?}"),
            }
        }
    }

    /// Pings. What comes first must be the answer: all that was due before has been sent.
    async fn pings(&mut self) -> Position {
        self.pings_for(0).await
    }

    /// The same, and tells its lease.
    async fn pings_for(&mut self, lease_ms: u64) -> Position {
        self.say(FromFilter::Ping(v1::Ping { id: 7, lease_ms }))
            .await;
        let message = self.hears().await;
        match self.replica.receive(message, &mut self.highest).unwrap() {
            Received::Pong { ping_id, position } => {
                assert_eq!(ping_id, 7);
                position
            }
            other => panic!("{other:?}"),
        }
    }

    /// How the stream ends, and that nothing more is sent on it.
    async fn ends(mut self) -> Code {
        let ended = tokio::time::timeout(PATIENCE, self.serving).await;
        let ended = ended.expect("it goes on").unwrap().unwrap_err();
        assert!(self.from_feeder.recv().await.is_none());
        ended.code()
    }
}

fn replica() -> Replica {
    let term = Term::parse("group:admins").unwrap();
    Replica::new(Scope::new("corp", [term], false).unwrap(), 1 << 20)
}

#[tokio::test]
async fn while_an_update_is_under_way_no_other_is_sent_and_then_one_for_all() {
    let feeder = Feeder::start().await;
    let mut filter = Filter::hello(&feeder, replica()).await;
    let first = filter.applies().await;
    for name in ["ada", "ben", "cyd"] {
        feeder.admit(name).await;
    }
    assert_eq!(filter.pings().await, feeder.position());
    filter.ack(first).await;
    assert_eq!(filter.applies().await, feeder.position());
    assert_eq!(filter.replica.snapshot().unwrap().len(), 3);
    assert_eq!(feeder.feed.metrics.snapshots.get(), 1);
    assert_eq!(feeder.feed.metrics.deltas.get(), 1);
}

#[tokio::test]
async fn a_filter_is_taken_to_the_revision_of_its_pong_though_nothing_of_its_own_changed() {
    let feeder = Feeder::start().await;
    let mut filter = Filter::current(&feeder).await;
    feeder.write(|draft| draft.create_tenant("other")).await;
    assert_eq!(filter.pings().await, feeder.position());
    assert_eq!(filter.applies().await, feeder.position());
}

#[tokio::test]
async fn a_filter_that_returns_with_todays_content_is_sent_nothing() {
    let feeder = Feeder::start().await;
    let filter = Filter::current(&feeder).await;
    let mut filter = Filter::hello(&feeder, filter.replica).await;
    assert_eq!(filter.pings().await, feeder.position());
}

#[tokio::test]
async fn a_filter_that_returns_with_other_content_is_sent_all_of_it() {
    let feeder = Feeder::start().await;
    let filter = Filter::current(&feeder).await;
    let returned = Filter::open(&feeder, replica());
    let mut hello = filter.replica.hello(v1::Node::default());
    hello.digest = vec![0; 16].into();
    returned.say(FromFilter::Hello(hello)).await;
    for id in [7, 8] {
        let ping = v1::Ping { id, lease_ms: 0 };
        returned.say(FromFilter::Ping(ping)).await;
    }
    // Nothing that could renew a lease comes before the right content was acked; then the last ping is answered.
    let mut returned = returned;
    assert_eq!(returned.applies().await, feeder.position());
    assert_eq!(feeder.feed.metrics.drifted.get(), 1);
    returned.ack(feeder.position()).await;
    let message = returned.hears().await;
    let pong = returned.replica.receive(message, &mut returned.highest);
    assert!(
        matches!(pong, Ok(Received::Pong { ping_id: 8, .. })),
        "{pong:?}"
    );
    assert_eq!(returned.pings().await, feeder.position());
}

/// What everyone takes in as its next update. It must be the same memory for all.
async fn one_for_all(filters: &mut [Filter]) -> Vec<Bytes> {
    let taken = join_all(filters.iter_mut().map(Filter::takes)).await;
    let places = |pieces: &[Bytes]| pieces.iter().map(|p| p.as_ptr()).collect::<Vec<_>>();
    let first = taken.first().unwrap();
    for other in &taken {
        assert_eq!(places(other), places(first), "encoded again");
        assert_eq!(other, first);
    }
    first.clone()
}

#[tokio::test]
async fn what_goes_to_many_streams_is_encoded_once() {
    let feeder = Feeder::start().await;
    feeder.admit_many(PART_SUBJECTS + 1).await;
    let mut filters = Vec::new();
    for _ in 0..5 {
        filters.push(Filter::hello(&feeder, replica()).await);
    }
    let metrics = &feeder.feed.metrics;
    let bytes = |pieces: &[Bytes]| {
        let pieces = pieces.iter().map(|piece| (piece.len() - PREFIX) as u64);
        pieces.sum::<u64>()
    };
    let snapshot = one_for_all(&mut filters).await;
    assert_eq!(snapshot.len(), 2);
    assert_eq!(metrics.snapshot_bytes.get(), 5 * bytes(&snapshot));
    feeder.admit("ada").await;
    let delta = one_for_all(&mut filters).await;
    assert_eq!(metrics.delta_bytes.get(), 5 * bytes(&delta));
}

#[tokio::test]
async fn however_many_revisions_filters_claim_to_hold_few_deltas_are_kept() {
    let feeder = Feeder::start().await;
    for number in 0..200 {
        feeder.admit(&format!("user{number}")).await;
    }
    let scope = replica().scope().clone();
    let standing = Arc::new(Standing::read(
        feeder.feed.ledger.directory(),
        scope,
        Arc::default(),
    ));
    for held in 1..=200 {
        assert!(!standing.update(Some(held)).await.pieces().is_empty());
    }
    assert!(standing.kept_deltas() <= 64, "{}", standing.kept_deltas());
}

#[tokio::test]
async fn an_update_that_is_rejected_is_mended_once_by_a_snapshot() {
    let feeder = Feeder::start().await;
    let mut filter = Filter::current(&feeder).await;
    feeder.admit("ada").await;
    filter.hears().await;
    filter.nack(Reason::DigestMismatch).await;
    for id in [7, 8] {
        let ping = v1::Ping { id, lease_ms: 0 };
        filter.say(FromFilter::Ping(ping)).await;
    }
    let mended = filter.applies().await;
    assert_eq!(feeder.feed.metrics.snapshots.get(), 2);
    filter.ack(mended).await;
    match filter.hears().await.message {
        Some(ToFilter::Pong(pong)) => assert_eq!(pong.ping_id, 8),
        other => panic!("{other:?}"),
    }

    // What was mended may break, and be mended, again; a snapshot that breaks is the end.
    feeder.admit("ben").await;
    filter.hears().await;
    filter.nack(Reason::DigestMismatch).await;
    filter.applies().await;
    filter.nack(Reason::DigestMismatch).await;
    assert_eq!(filter.ends().await, Code::FailedPrecondition);
}

#[tokio::test]
async fn a_pong_names_the_newest_durable_revision_however_far_the_scope_has_come() {
    let feeder = Feeder::start().await;
    let scope = replica().scope().clone();
    let behind = Standing::read(
        feeder.feed.ledger.directory(),
        scope.clone(),
        Arc::default(),
    );
    let (publish, standing) = watch::channel(Some(Arc::new(behind)));
    let (out, mut sent) = channel(4);
    let followed = feeder.feed.scopes.follow(&feeder.feed.ledger, &scope);
    let node = v1::Node::default();
    let course = followed.course();
    let presence = (feeder.feed.fleet).arrive(
        "local",
        &node,
        &scope,
        course,
        None,
        std::time::Instant::now(),
    );
    let mut follower = Follower {
        feed: &feeder.feed,
        out: &out,
        standing,
        _scope: followed,
        tenant: scope.tenant().to_owned(),
        sent: Some(feeder.position().revision),
        waits: None,
        under_way: None,
        wanted: 0,
        mended: false,
        wrong: false,
        owed: None,
        presence,
        reported: None,
    };
    feeder.admit("ada").await;
    let ping = FromFilter::Ping(v1::Ping { id: 1, lease_ms: 0 });
    let ping = v1::FilterMessage {
        message: Some(ping),
    };
    follower.receive(ping).await.unwrap();
    follower.send_what_is_due().await.unwrap();
    let heard = unframed(sent.recv().await.unwrap().unwrap());
    let Some(ToFilter::Pong(pong)) = heard.message else {
        panic!("no pong");
    };
    assert_eq!(pong.position, Some((&feeder.position()).into()));
    assert!(sent.try_recv().is_err(), "the scope has nothing new");
    drop(publish);
}

#[tokio::test]
async fn a_scope_that_nobody_keeps_current_ends_its_streams_and_is_begun_anew() {
    let feeder = Feeder::start().await;
    let filter = Filter::current(&feeder).await;
    let scope = filter.replica.scope().clone();
    let followed = feeder.feed.scopes.follow(&feeder.feed.ledger, &scope);
    followed.stop();
    drop(followed);
    assert_eq!(filter.ends().await, Code::Unavailable);
    Filter::current(&feeder).await;
}

#[tokio::test]
async fn a_proved_revision_that_is_not_stored_ends_all_renewals() {
    let feeder = Feeder::start().await;
    let mut witness = Filter::current(&feeder).await;
    // The filter was ahead when the database was copied back.
    let ahead = feeder.ahead();
    let filter = Filter::open(&feeder, replica());
    let mut hello = replica().hello(v1::Node::default());
    hello.held = Some((&ahead).into());
    filter.say(FromFilter::Hello(hello)).await;
    assert_eq!(filter.ends().await, Code::FailedPrecondition);
    assert!(feeder.feed.rolled_back());

    witness
        .say(FromFilter::Ping(v1::Ping { id: 8, lease_ms: 0 }))
        .await;
    // Not the answer to the ping: that never comes.
    feeder.admit("ada").await;
    witness.applies().await;
}

#[tokio::test]
async fn no_lease_is_renewed_while_it_is_being_stored_that_the_database_is_old() {
    let feeder = Feeder::start().await;
    let stored = feeder.position().revision;
    let mut proving = std::pin::pin!(feeder.feed.prove_old(stored + 1, stored));
    let _ = futures::poll!(proving.as_mut());
    // Storing takes longer than to get here.
    assert!(feeder.feed.rolled_back());
    proving.await;
    assert!(feeder.feed.rolled_back());
}

#[tokio::test]
async fn an_ack_can_prove_it_too() {
    let feeder = Feeder::start().await;
    let filter = Filter::current(&feeder).await;
    filter.ack(feeder.ahead()).await;
    assert_eq!(filter.ends().await, Code::FailedPrecondition);
    assert!(feeder.feed.rolled_back());
}

#[tokio::test]
async fn a_claim_to_a_later_revision_without_its_proof_ends_only_its_stream() {
    let feeder = Feeder::start().await;
    let mut witness = Filter::current(&feeder).await;
    let mut ahead = feeder.position();
    ahead.revision += 1;
    let filter = Filter::open(&feeder, replica());
    let mut hello = replica().hello(v1::Node::default());
    hello.held = Some((&ahead).into());
    filter.say(FromFilter::Hello(hello)).await;
    assert_eq!(filter.ends().await, Code::InvalidArgument);
    let filter = Filter::current(&feeder).await;
    filter.ack(ahead).await;
    assert_eq!(filter.ends().await, Code::InvalidArgument);
    assert!(!feeder.feed.rolled_back());
    assert_eq!(witness.pings().await, feeder.position());
}

#[tokio::test]
async fn what_is_held_of_another_history_counts_only_if_that_is_older() {
    let feeder = Feeder::start().await;
    let mut older = feeder.position();
    older.history.generation -= 1;
    older.revision += 100;
    let mut later = feeder.position();
    later.history.generation += 1;
    let mut twin = feeder.position();
    twin.history.id = [0; 16];
    for (held, welcome) in [(older, true), (later, false), (twin, false)] {
        let mut filter = Filter::open(&feeder, replica());
        let mut hello = replica().hello(v1::Node::default());
        hello.held = Some((&held).into());
        filter.say(FromFilter::Hello(hello)).await;
        if welcome {
            assert_eq!(filter.applies().await, feeder.position());
        } else {
            assert_eq!(filter.ends().await, Code::FailedPrecondition);
        }
    }
    assert!(!feeder.feed.rolled_back());
}

#[tokio::test]
async fn what_no_filter_says_ends_the_stream() {
    let feeder = Feeder::start().await;
    let mut old = replica().hello(v1::Node::default());
    old.format = FORMAT - 1;
    let mut nowhere = replica().hello(v1::Node::default());
    nowhere.scope = None;
    for (first, code) in [
        (FromFilter::Hello(old), Code::FailedPrecondition),
        (FromFilter::Hello(nowhere), Code::InvalidArgument),
        (
            FromFilter::Ping(v1::Ping { id: 1, lease_ms: 0 }),
            Code::InvalidArgument,
        ),
    ] {
        let filter = Filter::open(&feeder, replica());
        filter.say(first).await;
        assert_eq!(filter.ends().await, code);
    }
    let filter = Filter::current(&feeder).await;
    filter.say(FromFilter::More(v1::More {})).await;
    assert_eq!(filter.ends().await, Code::InvalidArgument);
    let filter = Filter::current(&feeder).await;
    let again = filter.replica.hello(v1::Node::default());
    filter.say(FromFilter::Hello(again)).await;
    assert_eq!(filter.ends().await, Code::InvalidArgument);
}

#[tokio::test]
async fn a_binding_that_goes_takes_its_tokens_along_and_one_that_comes_brings_them_back() {
    let feeder = Feeder::start().await;
    feeder.admit("ada").await;
    let mut filter = Filter::current(&feeder).await;
    let binding = filter.replica.snapshot().unwrap().bindings()[0].clone();
    let voucher = binding.voucher();
    feeder
        .write(move |draft| draft.remove_binding("corp", &voucher))
        .await;
    let position = filter.applies().await;
    let held = filter.replica.snapshot().unwrap();
    assert_eq!((held.bindings().len(), held.len()), (0, 0));
    filter.ack(position).await;

    feeder
        .write(move |draft| draft.set_binding("corp", binding))
        .await;
    filter.applies().await;
    let held = filter.replica.snapshot().unwrap();
    assert_eq!((held.bindings().len(), held.len()), (1, 1));
}

#[tokio::test]
async fn where_tokens_list_groups_reaches_a_filter_without_its_entries() {
    let feeder = Feeder::start().await;
    feeder.admit("ada").await;
    let mut filter = Filter::current(&feeder).await;
    let subjects = |filter: &Filter| {
        let snapshot = filter.replica.snapshot().unwrap();
        let entries = snapshot.entries().map(|(subject, _)| subject);
        entries.collect::<Vec<_>>()
    };
    let before = subjects(&filter);
    let tenant = feeder
        .feed
        .ledger
        .directory()
        .tenant("corp")
        .unwrap()
        .clone();
    let mut binding = tenant.bindings().next().unwrap().clone();
    if let Source::Token { groups, .. } = &mut binding.source {
        *groups = Some(GroupsClaim {
            claim: "groups".into(),
            is: GroupName::DisplayName,
        });
    }
    let set = binding.clone();
    feeder
        .write(move |draft| draft.set_binding("corp", set))
        .await;
    let update = filter.hears().await;
    let Some(ToFilter::Update(sent)) = &update.message else {
        panic!("{update:?}");
    };
    let start = sent.start.as_ref().unwrap();
    assert!(
        start.from.is_some() && start.bindings.is_some(),
        "{start:?}"
    );
    assert!(start.subjects == 0 && sent.part.is_none() && sent.end.is_some());
    let received = filter.replica.receive(update, &mut filter.highest);
    assert!(matches!(received, Ok(Received::Applied(_))), "{received:?}");
    assert_eq!(filter.replica.snapshot().unwrap().bindings(), [binding]);
    assert_eq!((subjects(&filter), before.len()), (before, 1));
}

#[tokio::test]
async fn a_tenants_successor_of_the_same_name_begins_with_nobody() {
    let feeder = Feeder::start().await;
    feeder.admit("ada").await;
    let mut filter = Filter::current(&feeder).await;
    let binding = filter.replica.snapshot().unwrap().bindings()[0].clone();
    feeder
        .write(move |draft| {
            draft.delete_tenant("corp")?;
            draft.create_tenant("corp")?;
            draft.set_binding("corp", binding)?;
            let group = json!({"displayName": "admins"});
            draft.create_group(
                "corp",
                Uuid::new_v4(),
                group.as_object().unwrap().clone(),
                &[],
            )
        })
        .await;
    filter.applies().await;
    let held = filter.replica.snapshot().unwrap();
    assert_eq!((held.bindings().len(), held.len()), (1, 0));
}

#[tokio::test]
async fn a_large_update_comes_no_faster_than_it_is_taken_in() {
    let feeder = Feeder::start().await;
    let mut filter = Filter::current(&feeder).await;
    // The first snapshot of one, and a delta of the other.
    let mut other = {
        feeder.admit_many(5 * PART_SUBJECTS).await;
        Filter::hello(&feeder, replica()).await
    };
    for filter in [&mut other, &mut filter] {
        for _ in 0..WINDOW {
            let piece = filter.hears().await;
            let taken = filter.replica.receive(piece, &mut filter.highest);
            assert_eq!(taken, Ok(Received::Part));
        }
        // Nothing more, unless it is asked for.
        filter.pings().await;
        filter.say(FromFilter::More(v1::More {})).await;
        let piece = filter.hears().await;
        let taken = filter.replica.receive(piece, &mut filter.highest);
        assert_eq!(taken, Ok(Received::Part));
        filter.pings().await;
        for _ in 0..WINDOW {
            filter.say(FromFilter::More(v1::More {})).await;
        }
        assert_eq!(filter.applies().await, feeder.position());
        assert_eq!(filter.replica.snapshot().unwrap().len(), 5 * PART_SUBJECTS);
    }
}

#[tokio::test]
async fn those_who_come_and_those_who_go_share_the_room_of_a_part() {
    let feeder = Feeder::start().await;
    let group = feeder.group;
    let hire = |whose: &'static str, count: usize| {
        feeder.write(move |draft| {
            let people = (0..count).map(|number| {
                let name = format!("{whose}-{number}");
                let user = json!({"userName": name, "externalId": name, "active": true});
                let user = user.as_object().unwrap().clone();
                Ok(draft.create_user("corp", Uuid::new_v4(), user)?.id)
            });
            people.collect::<Result<Vec<_>, Refused>>()
        })
    };
    let mut members = hire("old", 3 * PART_SUBJECTS).await;
    let first = members.clone();
    feeder
        .write(move |draft| draft.change_members("corp", group, &[MemberChange::Set(first)]))
        .await;
    let mut filter = Filter::current(&feeder).await;
    members.drain(..200);
    members.extend(hire("new", 200).await);
    let count = members.len();
    feeder
        .write(move |draft| draft.change_members("corp", group, &[MemberChange::Set(members)]))
        .await;
    assert_eq!(filter.applies().await, feeder.position());
    assert_eq!(filter.replica.snapshot().unwrap().len(), count);
    assert_eq!(feeder.feed.metrics.deltas.get(), 1);
}

#[tokio::test]
async fn an_ack_before_the_last_piece_is_none() {
    let feeder = Feeder::start().await;
    feeder.admit_many(5 * PART_SUBJECTS).await;
    let mut filter = Filter::hello(&feeder, replica()).await;
    let piece = filter.hears().await;
    filter.replica.receive(piece, &mut filter.highest).unwrap();
    filter.ack(feeder.position()).await;
    // Were it taken for one, the next change would come as a delta from what is not held.
    feeder.admit("ada").await;
    filter.say(FromFilter::More(v1::More {})).await;
    let first = filter.applies().await;
    filter.ack(first).await;
    assert_eq!(filter.applies().await, feeder.position());
}

#[tokio::test]
async fn snapshots_are_sent_a_few_at_a_time_and_changes_meanwhile() {
    let feeder = Feeder::start().await;
    let mut current = Filter::current(&feeder).await;
    feeder.admit_many(5 * PART_SUBJECTS).await;
    let first = current.applies().await;
    current.ack(first).await;
    // As many as are let in begin, and stop halfway.
    let mut begun = Vec::new();
    for _ in 0..2 {
        let mut filter = Filter::hello(&feeder, replica()).await;
        filter.hears().await;
        begun.push(filter);
    }
    let mut waits = Filter::hello(&feeder, replica()).await;
    let mut last = Filter::hello(&feeder, replica()).await;
    for filter in [&mut waits, &mut last] {
        filter.pings().await;
    }
    // One that is current is served.
    feeder.admit("ada").await;
    let second = current.applies().await;
    assert_eq!(second, feeder.position());
    current.ack(second).await;
    // Whoever came last goes first, as soon as one is gone.
    drop(begun.pop());
    assert_eq!(last.applies().await, feeder.position());
    waits.pings().await;
    last.ack(feeder.position()).await;
    assert_eq!(waits.applies().await, feeder.position());
}

#[tokio::test]
async fn whoever_takes_too_long_over_a_snapshot_keeps_nobody_waiting_and_goes_on() {
    let feeder = Feeder::impatient().await;
    feeder.admit_many(5 * PART_SUBJECTS).await;
    let mut begun = Vec::new();
    for _ in 0..2 {
        let mut filter = Filter::hello(&feeder, replica()).await;
        filter.hears().await;
        begun.push(filter);
    }
    let mut waits = Filter::hello(&feeder, replica()).await;
    assert_eq!(waits.applies().await, feeder.position());
    let mut slow = begun.pop().unwrap();
    slow.replica.disconnect();
    let piece = slow.hears().await;
    assert!(slow.replica.receive(piece, &mut slow.highest).is_err());
    for _ in 0..WINDOW {
        slow.say(FromFilter::More(v1::More {})).await;
    }
    slow.hears().await;
}

#[tokio::test]
async fn whoever_reads_nothing_is_let_go() {
    let feeder = Feeder::impatient().await;
    let (to_feeder, inbound) = channel(16);
    let (out, _unread) = channel(1);
    let feed = feeder.feed.clone();
    let serving = tokio::spawn(async move {
        let pass = feed.gate.enter(Peer::Local, || feed.rules()).unwrap();
        serve(&feed, &pass, ReceiverStream::new(inbound), &out).await
    });
    let hello = FromFilter::Hello(replica().hello(v1::Node::default()));
    let pings = (0..4).map(|id| FromFilter::Ping(v1::Ping { id, lease_ms: 0 }));
    for message in [hello].into_iter().chain(pings) {
        let message = Some(message);
        let sent = to_feeder.send(Ok(v1::FilterMessage { message }));
        sent.await.unwrap();
    }
    let ended = tokio::time::timeout(PATIENCE, serving).await;
    let ended = ended.expect("it is waited for").unwrap().unwrap_err();
    assert_eq!(ended.code(), Code::DeadlineExceeded);
}

/// How the only filter stands to the newest revision.
fn stand(feeder: &Feeder) -> Option<Stand> {
    let revision = feeder.position().revision;
    let now = std::time::Instant::now();
    let survey = feeder.feed.fleet.survey(revision, None, false, now);
    survey.connected.first().map(|(_, stand)| *stand)
}

async fn stands(feeder: &Feeder, wanted: impl Fn(Option<Stand>) -> bool) {
    let reached = async {
        while !wanted(stand(feeder)) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let reached = tokio::time::timeout(PATIENCE, reached).await;
    assert!(reached.is_ok(), "{:?}", stand(feeder));
}

#[tokio::test]
async fn the_fleet_knows_what_was_acked_and_who_goes_on_without_it() {
    let feeder = Feeder::start().await;
    let mut filter = Filter::current(&feeder).await;
    stands(&feeder, |stand| stand == Some(Stand::Applied)).await;
    filter.pings_for(60_000).await;
    feeder.write(|draft| draft.create_tenant("other")).await;
    stands(&feeder, |stand| stand == Some(Stand::Applied)).await;

    feeder.admit("ada").await;
    let applied = filter.applies().await;
    assert!(matches!(stand(&feeder), Some(Stand::Pending(_))));
    filter.ack(applied).await;
    stands(&feeder, |stand| stand == Some(Stand::Applied)).await;

    // It rejects what it is sent: what it holds can't be what it acked.
    feeder.admit("ben").await;
    filter.hears().await;
    filter.nack(Reason::DigestMismatch).await;
    let mended = filter.applies().await;
    assert!(matches!(stand(&feeder), Some(Stand::Pending(_))));
    let before = feeder
        .feed
        .fleet
        .survey(1, None, false, std::time::Instant::now());
    assert!(
        matches!(before.connected[0].1, Stand::Pending(_)),
        "nothing is known of it"
    );
    filter.ack(mended).await;
    stands(&feeder, |stand| stand == Some(Stand::Applied)).await;

    drop(filter);
    stands(&feeder, |stand| stand.is_none()).await;
    feeder.admit("cyd").await;
    let now = std::time::Instant::now();
    let revision = feeder.position().revision;
    let survey = feeder.feed.fleet.survey(revision, None, false, now);
    let ends: Vec<_> = survey.departed.iter().map(|(_, end)| *end - now).collect();
    assert!(
        matches!(ends[..], [end] if end > Duration::from_secs(50) && end <= Duration::from_secs(60)),
        "{ends:?}"
    );
}

#[tokio::test]
async fn before_a_longer_lease_is_renewed_it_is_stored() {
    let feeder = Feeder::start().await;
    let mut filter = Filter::current(&feeder).await;
    let stored = || feeder.feed.ledger.directory().longest_lease().as_millis();
    let revision = feeder.position();
    for (told, longest) in [(5_000, 5_000), (60_000, 60_000), (5_000, 60_000)] {
        assert_eq!(filter.pings_for(told).await, revision);
        assert_eq!(stored(), longest);
    }
    // Who tells none may have the longest that there is.
    filter.pings_for(0).await;
    assert_eq!(stored(), Policy::MAX_STALENESS.as_millis());
    let lease_ms = Policy::MAX_STALENESS.as_millis() as u64 + 1;
    filter
        .say(FromFilter::Ping(v1::Ping { id: 7, lease_ms }))
        .await;
    assert_eq!(filter.ends().await, Code::InvalidArgument);
}

mod brakes;
