//! The only way to change anything: one writer, which makes the next directory, stores it, and only then shows it.
//!
//! Commands that arrive together share one transaction and one sync. Each is made on its own: one that is refused leaves
//! no trace, and does not hold up the others.

mod published;

use std::sync::Arc;
use std::thread;
use std::time::Instant;

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot, watch};

use crate::directory::{Change, Directory, Draft, Made, Row};
use crate::metrics::CommitMetrics;
use crate::store::{CommitError, Store};
pub(crate) use published::Published;

/// Commands that wait at most; more make their senders wait.
const QUEUE: usize = 1024;
/// Commands in one transaction at most.
const BATCH: usize = 256;
/// Links to groups that are gone which are taken out with one transaction at most: some milliseconds, for which others wait.
const SWEEP: usize = 2000;

/// A handle on the writer. The writer ends when the last handle is dropped.
#[derive(Debug, Clone)]
pub struct Ledger {
    jobs: mpsc::Sender<Queued>,
    directory: watch::Receiver<Arc<Directory>>,
    broken: watch::Receiver<Option<CommitError>>,
    published: Arc<Published>,
}

/// What a command made, now durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed<T> {
    /// What the command returned.
    pub value: T,
    /// The revision at which it holds.
    pub revision: u64,
}

/// Why a command did not happen.
#[derive(Debug, thiserror::Error)]
pub enum Failed<E> {
    /// The command itself said no.
    #[error(transparent)]
    Refused(E),
    /// The store can't write now. The outcome of what was under way is unknown; nothing of it is shown.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Writing is not possible now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// The store said so.
    #[error(transparent)]
    Store(#[from] CommitError),
    /// The feeder is shutting down.
    #[error("the feeder is shutting down")]
    Closed,
}

/// The writer's thread. Await [`Writer::ended`] to learn that it has stopped.
#[derive(Debug)]
pub struct Writer {
    ended: oneshot::Receiver<()>,
}

impl Writer {
    /// Returns when the writer has stopped: after the last [`Ledger`] is gone and all that it took is stored, or because
    /// it panicked.
    pub async fn ended(&mut self) {
        let _ = (&mut self.ended).await;
    }
}

impl Ledger {
    /// Starts the writer over an opened store.
    pub fn start(
        store: Store,
        directory: Directory,
        metrics: CommitMetrics,
    ) -> std::io::Result<(Ledger, Writer)> {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let published_at = Arc::new(Published::new(directory.revision(), Instant::now()));
        let writers = published_at.clone();
        let (publish, published) = watch::channel(Arc::new(directory));
        let (broke, broken) = watch::channel(None);
        let (end, ended) = oneshot::channel();
        thread::Builder::new()
            .name("writer".to_owned())
            .spawn(move || {
                write(store, queue, &publish, &writers, &broke, &metrics);
                let _ = end.send(());
            })?;
        let ledger = Ledger {
            jobs,
            directory: published,
            broken,
            published: published_at,
        };
        Ok((ledger, Writer { ended }))
    }

    /// The newest durable directory.
    pub fn directory(&self) -> Arc<Directory> {
        self.directory.borrow().clone()
    }

    /// Follows the newest durable directory. Each is durable before it is seen here.
    pub fn watch(&self) -> watch::Receiver<Arc<Directory>> {
        self.directory.clone()
    }

    /// When the latest revisions were first shown.
    pub(crate) fn published(&self) -> Arc<Published> {
        self.published.clone()
    }

    /// Why nothing can be written until a restart, if that is so.
    pub fn broken(&self) -> Option<CommitError> {
        self.broken.borrow().clone()
    }

    /// Runs `command` in the writer. Ok comes only after what it made is on stable storage and shown by
    /// [`directory`](Self::directory). A command that changes nothing costs no sync.
    pub async fn commit<T, E>(
        &self,
        command: impl FnOnce(&mut Draft) -> Result<T, E> + Send + 'static,
    ) -> Result<Committed<T>, Failed<E>>
    where
        T: Send + 'static,
        E: Send + 'static,
    {
        let (reply, replied) = oneshot::channel();
        let job = Box::new(Command {
            command: Some(command),
            result: None,
            reply,
        });
        let queued = Queued {
            job,
            since: Instant::now(),
        };
        let sent = self.jobs.send(queued).await;
        sent.map_err(|_| Unavailable::Closed)?;
        replied.await.unwrap_or(Err(Unavailable::Closed.into()))
    }
}

/// A command whose types the writer need not know.
trait Job: Send {
    /// Makes the next directory, or nothing if the command is refused.
    fn make(&mut self, directory: &Directory, now: Timestamp) -> Option<Made>;

    /// Tells the sender how it ended.
    fn reply(self: Box<Self>, stored: Result<u64, Unavailable>);
}

struct Command<F, T, E> {
    command: Option<F>,
    result: Option<Result<T, E>>,
    reply: oneshot::Sender<Result<Committed<T>, Failed<E>>>,
}

impl<F, T, E> Job for Command<F, T, E>
where
    F: FnOnce(&mut Draft) -> Result<T, E> + Send,
    T: Send,
    E: Send,
{
    fn make(&mut self, directory: &Directory, now: Timestamp) -> Option<Made> {
        let command = self.command.take()?;
        let mut draft = Draft::new(directory, now);
        let result = command(&mut draft);
        let made = result.is_ok().then(|| draft.finish());
        self.result = Some(result);
        made
    }

    fn reply(self: Box<Self>, stored: Result<u64, Unavailable>) {
        let outcome = match (stored, self.result) {
            (Ok(revision), Some(Ok(value))) => Ok(Committed { value, revision }),
            (Ok(_), Some(Err(error))) => Err(Failed::Refused(error)),
            // A refusal may rest on what an earlier command of the batch made, which is now void.
            (Err(unavailable), _) => Err(unavailable.into()),
            (Ok(_), None) => Err(Unavailable::Closed.into()),
        };
        // Whoever asked may be gone.
        let _ = self.reply.send(outcome);
    }
}

/// A command on its way to the writer.
struct Queued {
    job: Box<dyn Job>,
    since: Instant,
}

/// What a batch adds up to.
struct Batch {
    directory: Directory,
    rows: Vec<Row>,
    changes: Vec<Arc<Change>>,
    replies: Vec<Reply>,
}

/// A command that was made and waits for the store.
struct Reply {
    job: Box<dyn Job>,
    revision: u64,
    since: Instant,
    changed: bool,
}

fn write(
    mut store: Store,
    mut queue: mpsc::Receiver<Queued>,
    publish: &watch::Sender<Arc<Directory>>,
    published: &Published,
    broke: &watch::Sender<Option<CommitError>>,
    metrics: &CommitMetrics,
) {
    let mut jobs = Vec::with_capacity(BATCH);
    let mut failed = false;
    loop {
        let current = publish.borrow().clone();
        // What remains of large groups goes with others' commands, and when there are none. A store that has no room gets no more of its own accord.
        let sweeps = current.has_remains() && !failed;
        match sweeps {
            true => jobs.extend(std::iter::from_fn(|| queue.try_recv().ok()).take(BATCH)),
            false if queue.blocking_recv_many(&mut jobs, BATCH) == 0 => return,
            false => {}
        }
        if sweeps && jobs.is_empty() && queue.is_closed() {
            // The rest of them is found when the store is opened.
            return;
        }
        let batch = make(&current, jobs.drain(..));
        let stored = if batch.rows.is_empty() {
            Ok(())
        } else {
            store.commit(&batch.rows, &batch.changes, &batch.directory)
        };
        failed = stored.is_err();
        match &stored {
            Ok(()) if batch.rows.is_empty() => {}
            Ok(()) => {
                published.record(batch.directory.revision(), Instant::now());
                publish.send_replace(Arc::new(batch.directory));
            }
            Err(error) => {
                tracing::error!(%error, "nothing of {} commands was stored", batch.replies.len());
                metrics.failed(error.word());
                if let CommitError::Broken(_) = error {
                    broke.send_replace(Some(error.clone()));
                }
            }
        }
        let changed = batch.replies.iter().filter(|reply| reply.changed);
        if stored.is_ok() && changed.clone().next().is_some() {
            metrics.batch.observe(changed.clone().count() as f64);
            for reply in changed {
                metrics
                    .duration
                    .observe(reply.since.elapsed().as_secs_f64());
            }
        }
        for reply in batch.replies {
            reply.job.reply(match &stored {
                Ok(()) => Ok(reply.revision),
                Err(error) => Err(error.clone().into()),
            });
        }
        store.checkpoint();
    }
}

fn make(current: &Directory, jobs: impl Iterator<Item = Queued>) -> Batch {
    let now = Timestamp::now();
    let mut batch = Batch {
        directory: current.clone(),
        rows: Vec::new(),
        changes: Vec::new(),
        replies: Vec::new(),
    };
    for Queued { mut job, since } in jobs {
        let made = job.make(&batch.directory, now);
        let made = made.filter(|made| !made.rows.is_empty());
        let changed = made.is_some();
        if let Some(made) = made {
            batch.directory = made.directory;
            batch.rows.extend(made.rows);
            batch.changes.extend(made.change);
        }
        batch.replies.push(Reply {
            job,
            revision: batch.directory.revision(),
            since,
            changed,
        });
    }
    if batch.directory.has_remains() {
        let mut draft = Draft::new(&batch.directory, now);
        draft.sweep(SWEEP);
        let swept = draft.finish();
        batch.directory = swept.directory;
        batch.rows.extend(swept.rows);
    }
    batch
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;
    use uuid::Uuid;

    use super::*;
    use crate::directory::{Attributes, MemberChange, Refused, Touched};

    fn open(dir: &Path) -> (Ledger, Writer) {
        let (store, directory) = Store::open(dir).unwrap();
        Ledger::start(store, directory, CommitMetrics::default()).unwrap()
    }

    async fn close(ledger: Ledger, mut writer: Writer) {
        drop(ledger);
        writer.ended().await;
    }

    fn attributes(value: serde_json::Value) -> Attributes {
        value.as_object().unwrap().clone()
    }

    async fn create_user(ledger: &Ledger, name: &str) -> Result<u64, Failed<Refused>> {
        let user = attributes(json!({"userName": name, "externalId": name, "active": true}));
        let committed = ledger
            .commit(move |draft| draft.create_user("corp", Uuid::new_v4(), user))
            .await?;
        Ok(committed.revision)
    }

    #[tokio::test]
    async fn what_was_committed_is_there_after_reopening() {
        let dir = tempfile::tempdir().unwrap();
        let (ledger, writer) = open(dir.path());
        ledger
            .commit(|draft| draft.create_tenant("corp"))
            .await
            .unwrap();
        create_user(&ledger, "ada").await.unwrap();
        let revision = create_user(&ledger, "ben").await.unwrap();
        let group = ledger
            .commit(|draft| {
                let ids: Vec<_> = draft.tenant("corp")?.users().map(|user| user.id).collect();
                let admins = attributes(json!({"displayName": "admins"}));
                let admins = draft.create_group("corp", Uuid::new_v4(), admins, &ids)?;
                let outer = attributes(json!({"displayName": "outer"}));
                draft.create_group("corp", Uuid::new_v4(), outer, &[admins.id])?;
                draft.change_members(
                    "corp",
                    admins.id,
                    &[MemberChange::Remove(ids[..1].to_vec())],
                )
            })
            .await
            .unwrap();
        assert_eq!(group.revision, revision + 1);
        let before = ledger.directory();
        close(ledger, writer).await;

        let (ledger, writer) = open(dir.path());
        let after = ledger.directory();
        assert!(after.position().is_at(&before.position()));
        assert_eq!(after.next_numbers(), before.next_numbers());
        assert_eq!(after.changes_since(0), before.changes_since(0));
        assert_eq!(
            after.changes_since(0).unwrap().len() as u64,
            after.revision()
        );
        let of = |directory: &Directory| {
            let tenant = directory.tenant("corp").unwrap();
            let users: Vec<_> = tenant.users().cloned().collect();
            let groups: Vec<_> = tenant.groups().cloned().collect();
            (users, groups)
        };
        assert_eq!(of(&after), of(&before));
        close(ledger, writer).await;
    }

    #[tokio::test]
    async fn one_refused_command_holds_up_no_other_and_leaves_no_trace() {
        let dir = tempfile::tempdir().unwrap();
        let (ledger, writer) = open(dir.path());
        ledger
            .commit(|draft| draft.create_tenant("corp"))
            .await
            .unwrap();
        let names = ["ada", "ben", "ADA", "cyd", "ben"];
        let outcomes =
            futures::future::join_all(names.map(|name| create_user(&ledger, name))).await;
        let taken = outcomes
            .iter()
            .filter(|outcome| matches!(outcome, Err(Failed::Refused(Refused::UserNameTaken))));
        assert_eq!(taken.count(), 2);
        let directory = ledger.directory();
        assert_eq!(directory.tenant("corp").unwrap().user_count(), 3);
        assert_eq!(directory.revision(), 4);
        close(ledger, writer).await;
    }

    #[tokio::test]
    async fn a_second_process_on_the_same_database_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (ledger, writer) = open(dir.path());
        assert!(Store::open(dir.path()).is_err());
        close(ledger, writer).await;
        Store::open(dir.path()).unwrap();
    }

    #[tokio::test]
    async fn what_one_command_did_to_one_thing_many_times_is_there_after_reopening() {
        let dir = tempfile::tempdir().unwrap();
        let (ledger, writer) = open(dir.path());
        let name = |name: &str| attributes(json!({"userName": name, "displayName": name}));
        let committed = ledger.commit(move |draft| {
            draft.create_tenant("corp")?;
            let ada = draft.create_user("corp", Uuid::new_v4(), name("ada"))?.id;
            let ben = draft.create_user("corp", Uuid::new_v4(), name("ben"))?.id;
            let team = draft
                .create_group("corp", Uuid::new_v4(), name("team"), &[ada])?
                .id;
            let org = draft
                .create_group("corp", Uuid::new_v4(), name("org"), &[team, ben])?
                .id;
            // Out and in again, changed and changed back, gone with all its memberships.
            for change in [
                MemberChange::Remove(vec![ada]),
                MemberChange::Add(vec![ada, ben]),
                MemberChange::Set(vec![]),
                MemberChange::Set(vec![ben, org]),
            ] {
                draft.change_members("corp", team, &[change])?;
            }
            draft.update_user("corp", ben, name("other"))?;
            draft.update_user("corp", ben, name("ben"))?;
            draft.delete_user("corp", ada)?;
            draft.create_user("corp", Uuid::new_v4(), name("ada"))?;
            draft.delete_group("corp", org)?;
            // What failed alone left nothing.
            let taken = draft.attempt(|draft| {
                draft.delete_user("corp", ben)?;
                draft.create_user("corp", Uuid::new_v4(), name("Ada"))
            });
            assert_eq!(taken, Err(Refused::UserNameTaken));
            draft.tenant("corp").map(drop)
        });
        assert_eq!(committed.await.unwrap().revision, 1);
        let before = ledger.directory();
        close(ledger, writer).await;
        let (ledger, writer) = open(dir.path());
        let of = |directory: &Directory| {
            let tenant = directory.tenant("corp").unwrap();
            let users: Vec<_> = tenant.users().cloned().collect();
            let groups: Vec<_> = tenant.groups().cloned().collect();
            (users, groups, directory.changes_since(0))
        };
        let after = ledger.directory();
        assert_eq!(of(&after), of(&before));
        assert_eq!((of(&after).0.len(), of(&after).1.len()), (2, 1));
        close(ledger, writer).await;
    }

    fn rows_of_members(dir: &Path) -> i64 {
        let database = rusqlite::Connection::open(dir.join(crate::store::FILE_NAME)).unwrap();
        let count = database.query_row("SELECT count(*) FROM members", [], |row| row.get(0));
        count.unwrap()
    }

    /// A tenant with a user who is in a group of so many, and in another one.
    fn company(draft: &mut Draft, size: usize) -> Result<(Uuid, Uuid), Refused> {
        draft.create_tenant("corp")?;
        let users: Vec<Uuid> = (0..size).map(|_| Uuid::new_v4()).collect();
        for (number, id) in users.iter().enumerate() {
            let user = attributes(json!({"userName": format!("{number:06}")}));
            draft.create_user("corp", *id, user)?;
        }
        let named = |name| attributes(json!({ "displayName": name }));
        let inner = draft.create_group("corp", Uuid::new_v4(), named("inner"), &users[..1])?;
        let all: Vec<Uuid> = users.iter().copied().chain([inner.id]).collect();
        let large = draft.create_group("corp", Uuid::new_v4(), named("large"), &all)?;
        Ok((large.id, users[0]))
    }

    #[tokio::test]
    async fn what_remains_of_a_large_group_is_taken_out_behind_it() {
        let dir = tempfile::tempdir().unwrap();
        let (ledger, writer) = open(dir.path());
        let size = 3 * SWEEP + 5;
        let made = ledger.commit(move |draft| company(draft, size)).await;
        let (large, user) = made.unwrap().value;
        let delete = ledger.commit(move |draft| {
            draft.delete_group("corp", large)?;
            // It is gone for all that looks, and somebody may go whom it still links.
            let tenant = draft.tenant("corp")?;
            let slot = tenant.slot_of(user).unwrap();
            let groups: Vec<_> = tenant.direct_groups(slot).collect();
            assert_eq!((groups.len(), &*groups[0].display_name), (1, "inner"));
            assert_eq!(tenant.membership_count(), 1);
            draft.delete_user("corp", user)
        });
        delete.await.unwrap();
        let mut directories = ledger.watch();
        let swept = |directory: &Arc<Directory>| !directory.has_remains();
        let after = directories.wait_for(swept).await.unwrap().clone();
        assert_eq!(after.tenant("corp").unwrap().membership_count(), 0);
        close(ledger, writer).await;
        assert_eq!(rows_of_members(dir.path()), 0);
    }

    #[test]
    fn a_crash_before_all_of_a_group_is_taken_out_brings_nobody_back() {
        for pieces in 0..2 {
            let dir = tempfile::tempdir().unwrap();
            let (mut store, directory) = Store::open(dir.path()).unwrap();
            let mut commit = |directory: &Directory, command: &mut dyn FnMut(&mut Draft)| {
                let mut draft = Draft::new(directory, Timestamp::now());
                command(&mut draft);
                let made = draft.finish();
                let changes: Vec<_> = made.change.iter().cloned().collect();
                store.commit(&made.rows, &changes, &made.directory).unwrap();
                made.directory
            };
            let mut ids = None;
            let directory = commit(&directory, &mut |draft| ids = company(draft, 50).ok());
            let (large, user) = ids.unwrap();
            let mut directory = commit(&directory, &mut |draft| {
                draft.delete_group("corp", large).unwrap();
            });
            for _ in 0..pieces {
                directory = commit(&directory, &mut |draft| draft.sweep(20));
            }
            drop(store);
            assert_eq!(rows_of_members(dir.path()), 52 - 20 * pieces);
            let (store, again) = Store::open(dir.path()).unwrap();
            let tenant = again.tenant("corp").unwrap();
            assert_eq!(again.revision(), directory.revision());
            assert!(tenant.group(large).is_none() && !again.has_remains());
            let slot = tenant.slot_of(user).unwrap();
            assert_eq!(tenant.direct_groups(slot).count(), 1);
            drop(store);
            assert_eq!(rows_of_members(dir.path()), 1);
        }
    }

    /// Bytes that this thread has written so far.
    fn written() -> u64 {
        let io = std::fs::read_to_string("/proc/thread-self/io").unwrap();
        let line = io.lines().find_map(|line| line.strip_prefix("wchar: "));
        line.unwrap().parse().unwrap()
    }

    #[test]
    fn one_member_of_a_large_group_writes_what_one_of_a_small_one_writes() {
        let dir = tempfile::tempdir().unwrap();
        let (mut store, mut directory) = Store::open(dir.path()).unwrap();
        let mut commit = |command: &dyn Fn(&mut Draft) -> Result<(), Refused>| {
            let mut draft = Draft::new(&directory, Timestamp::now());
            command(&mut draft).unwrap();
            let made = draft.finish();
            let changes: Vec<_> = made.change.iter().cloned().collect();
            let before = written();
            store.commit(&made.rows, &changes, &made.directory).unwrap();
            let bytes = written() - before;
            store.checkpoint();
            directory = made.directory.clone();
            (made, bytes)
        };
        let users: Vec<Uuid> = (0..100_020).map(|_| Uuid::new_v4()).collect();
        let groups = [(Uuid::new_v4(), 1_000), (Uuid::new_v4(), 100_000)];
        commit(&|draft| {
            draft.create_tenant("corp")?;
            for (number, id) in users.iter().enumerate() {
                let user = attributes(json!({"userName": format!("{number:06}")}));
                draft.create_user("corp", *id, user)?;
            }
            for (id, size) in groups {
                let group = attributes(json!({"displayName": "group"}));
                draft.create_group("corp", id, group, &users[..size])?;
            }
            Ok(())
        });
        let mut total = [0, 0];
        for user in &users[100_000..] {
            for ((group, _), total) in groups.into_iter().zip(&mut total) {
                let one = vec![*user];
                for change in [MemberChange::Add(one.clone()), MemberChange::Remove(one)] {
                    let (made, bytes) = commit(&|draft| {
                        let changes = std::slice::from_ref(&change);
                        draft.change_members("corp", group, changes).map(drop)
                    });
                    *total += bytes;
                    // The membership, and when the group last changed.
                    assert!(
                        matches!(
                            made.rows.as_slice(),
                            [Row::Member(..) | Row::DropMember(..), Row::Group(..)]
                        ),
                        "{:?}",
                        made.rows
                    );
                    let change = made.change.unwrap();
                    assert!(
                        matches!(
                            change.touched.as_slice(),
                            [(_, Touched::Members { members, .. })] if members.len() == 1
                        ),
                        "{change:?}"
                    );
                }
            }
        }
        let [small, large] = total;
        // A page more or less where one is split.
        assert!(
            large.abs_diff(small) * 10 <= small,
            "{small} and {large} bytes"
        );
        // The same members once more change nothing at all, nor does one of them once more.
        let (group, size) = groups[1];
        for change in [
            MemberChange::Set(users[..size].to_vec()),
            MemberChange::Add(users[7..8].to_vec()),
            MemberChange::Remove(users[size..].to_vec()),
        ] {
            let (made, _) = commit(&|draft| {
                let same = attributes(json!({"displayName": "group"}));
                let changes = std::slice::from_ref(&change);
                draft.update_group("corp", group, same, changes).map(drop)
            });
            assert!(made.rows.is_empty() && made.change.is_none());
        }
    }

    #[test]
    fn the_write_ahead_log_does_not_grow_without_bound() {
        let dir = tempfile::tempdir().unwrap();
        let (mut store, directory) = Store::open(dir.path()).unwrap();
        let mut directory = directory;
        for round in 0..1000 {
            let mut draft = Draft::new(&directory, Timestamp::now());
            draft.create_tenant(&format!("t{round}")).unwrap();
            let made = draft.finish();
            let changes: Vec<_> = made.change.into_iter().collect();
            store.commit(&made.rows, &changes, &made.directory).unwrap();
            store.checkpoint();
            directory = made.directory;
        }
        let log = dir.path().join("scimesh.db-wal");
        assert!(std::fs::metadata(log).unwrap().len() < 8 << 20);
    }
}
