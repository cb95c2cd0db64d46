//! What an operator holds back, and databases that turn out to be old copies: as a filter meets them, over restarts of the feeder.

use super::*;
use crate::store::{FILE_NAME, accept_rollback, keep_frozen};

impl Feeder {
    /// Stops it, and gives what it leaves. Its filters must be gone.
    async fn stop(self) -> (TempDir, Uuid) {
        let Feeder {
            feed,
            group,
            dir,
            mut writer,
        } = self;
        drop(feed);
        let ended = tokio::time::timeout(PATIENCE, writer.ended());
        ended.await.expect("somebody still has a handle");
        (dir, group)
    }

    async fn restart(self) -> Feeder {
        let (dir, group) = self.stop().await;
        Feeder::on(dir, group, Patience::default())
    }

    async fn freeze(&self) -> u64 {
        let frozen = self.write(|draft| draft.freeze("corp")).await;
        let directory = self.feed.ledger.directory();
        keep_frozen(&directory, self.dir.path(), "corp").unwrap();
        self.write(move |draft| draft.freeze_kept("corp", frozen.revision))
            .await;
        frozen.revision
    }
}

impl Filter {
    /// Ends the stream, and gives what is held.
    async fn leave(self) -> Replica {
        drop(self.to_feeder);
        self.serving.await.unwrap().unwrap();
        self.replica
    }

    fn holds(&self) -> usize {
        self.replica.snapshot().unwrap().len()
    }

    /// Asks, and is taken to the newest revision if there is one.
    async fn catches_up(&mut self) {
        let held = self.replica.snapshot().unwrap().position().revision;
        let newest = self.pings().await;
        if newest.revision > held {
            assert_eq!(self.applies().await, newest);
            self.ack(newest).await;
        }
    }
}

#[tokio::test]
async fn nothing_of_a_frozen_tenant_reaches_a_filter_until_it_is_unfrozen() {
    let feeder = Feeder::start().await;
    feeder.admit("ada").await;
    let mut filter = Filter::current(&feeder).await;
    let at = feeder.freeze().await;
    assert_eq!(at, feeder.position().revision, "a freeze is no change");
    feeder.admit("ben").await;
    // The lease is renewed at each revision, with what was.
    filter.catches_up().await;
    assert_eq!(filter.holds(), 1);
    let newcomer = Filter::current(&feeder).await;
    assert_eq!(newcomer.holds(), 1);
    let away = newcomer.leave().await;
    assert!(away.snapshot().unwrap().position().revision > at);

    let held = filter.leave().await;
    let feeder = feeder.restart().await;
    let mut filter = Filter::hello(&feeder, held).await;
    filter.catches_up().await;
    feeder.admit("cyd").await;
    filter.catches_up().await;
    assert_eq!(
        (filter.holds(), feeder.feed.metrics.snapshots.get()),
        (1, 0)
    );
    assert_eq!(Filter::current(&feeder).await.holds(), 1);

    let unfrozen = feeder.write(|draft| draft.unfreeze("corp")).await;
    assert_eq!(unfrozen.revision, at);
    let newest = filter.applies().await;
    assert_eq!((filter.holds(), newest), (3, feeder.position()));
    filter.ack(newest).await;
    filter.leave().await;

    // Who was away meanwhile, and holds a revision beyond the frozen one, has missed nothing either.
    let feeder = feeder.restart().await;
    let mut returned = Filter::hello(&feeder, away).await;
    let newest = returned.applies().await;
    assert_eq!((returned.holds(), newest), (3, feeder.position()));
    returned.ack(newest).await;
    assert_eq!(returned.pings().await, newest);
}

#[tokio::test]
async fn what_an_operator_does_to_a_frozen_tenant_waits_too() {
    let feeder = Feeder::start().await;
    feeder.admit("ada").await;
    let mut filter = Filter::current(&feeder).await;
    feeder.freeze().await;
    let binding = filter.replica.snapshot().unwrap().bindings()[0].clone();
    let voucher = binding.voucher();
    feeder
        .write(move |draft| draft.remove_binding("corp", &voucher))
        .await;
    filter.catches_up().await;
    assert_eq!(filter.holds(), 1);
    let refused = |draft: &mut Draft| {
        // Frozen once is enough.
        assert!(matches!(draft.freeze("corp"), Err(Refused::Frozen(_))));
        assert!(matches!(
            draft.delete_tenant("corp"),
            Err(Refused::Frozen(_))
        ));
        // Tokens of the issuer still name corp's users.
        draft.create_tenant("other")?;
        let taken = draft.set_binding("other", binding);
        assert!(
            matches!(taken, Err(Refused::IssuerTaken { .. })),
            "{taken:?}"
        );
        draft.unfreeze("corp")
    };
    feeder.write(refused).await;
    filter.applies().await;
    assert_eq!(filter.holds(), 0);
}

#[tokio::test]
async fn an_old_copy_is_known_though_it_was_written_past_what_filters_hold_and_over_restarts() {
    let feeder = Feeder::start().await;
    feeder.admit("ada").await;
    let (dir, group) = feeder.stop().await;
    let database = dir.path().join(FILE_NAME);
    let copy = std::fs::read(&database).unwrap();
    let feeder = Feeder::on(dir, group, Patience::default());
    feeder.admit("ben").await;
    let filter = Filter::current(&feeder).await;
    let held = filter.leave().await;
    let (dir, group) = feeder.stop().await;
    std::fs::write(&database, copy).unwrap();

    let feeder = Feeder::on(dir, group, Patience::default());
    let bystander = Filter::current(&feeder).await;
    for name in ["cyd", "dan", "eve"] {
        feeder.admit(name).await;
    }
    let revision = held.snapshot().unwrap().position().revision;
    assert!(revision < feeder.position().revision);
    assert!(!feeder.feed.rolled_back());
    let hello = held.hello(v1::Node::default());
    let witness = Filter::hello(&feeder, held).await;
    assert_eq!(witness.ends().await, Code::FailedPrecondition);
    assert!(feeder.feed.rolled_back());
    bystander.leave().await;

    let feeder = feeder.restart().await;
    assert!(feeder.feed.rolled_back(), "forgotten by the restart");
    let (dir, group) = feeder.stop().await;
    accept_rollback(dir.path()).unwrap();
    let feeder = Feeder::on(dir, group, Patience::default());
    assert!(!feeder.feed.rolled_back());
    let mut filter = Filter::open(&feeder, replica());
    filter.say(FromFilter::Hello(hello)).await;
    let newest = filter.applies().await;
    assert_eq!((filter.holds(), newest), (4, feeder.position()));
    filter.ack(newest).await;
    assert_eq!(filter.pings().await, newest);
}

#[tokio::test]
async fn what_is_withheld_counts_as_applied_by_nobody_until_it_is_sent() {
    let feeder = Feeder::start().await;
    feeder.admit("ada").await;
    let mut filter = Filter::current(&feeder).await;
    let at = feeder.freeze().await;
    stands(&feeder, |stand| stand == Some(Stand::Applied)).await;
    // Of another tenant: not withheld.
    feeder.write(|draft| draft.create_tenant("other")).await;
    filter.catches_up().await;
    stands(&feeder, |stand| stand == Some(Stand::Applied)).await;
    feeder.admit("ben").await;
    filter.catches_up().await;
    stands(&feeder, |stand| stand == Some(Stand::Withheld)).await;
    let since = |feeder: &Feeder| {
        let directory = feeder.feed.ledger.directory();
        directory.frozen("corp").unwrap().withheld_since
    };
    assert_eq!(since(&feeder), Some(at + 2));

    let held = filter.leave().await;
    let feeder = feeder.restart().await;
    assert_eq!(since(&feeder), Some(at + 2));
    let mut filter = Filter::hello(&feeder, held).await;
    filter.catches_up().await;
    stands(&feeder, |stand| stand == Some(Stand::Withheld)).await;
    feeder.write(|draft| draft.unfreeze("corp")).await;
    let newest = filter.applies().await;
    assert!(matches!(stand(&feeder), Some(Stand::Pending(_))));
    filter.ack(newest).await;
    stands(&feeder, |stand| stand == Some(Stand::Applied)).await;
}
