//! The only way to change anything: one writer, which makes the next directory, stores it, and only then shows it.
//!
//! Commands that arrive together share one transaction and one sync. Each is made on its own: one that is refused leaves
//! no trace, and does not hold up the others.

use std::sync::Arc;
use std::thread;

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot, watch};

use crate::directory::{Change, Directory, Draft, Made, Row};
use crate::store::{CommitError, Store};

/// Commands that wait at most; more make their senders wait.
const QUEUE: usize = 1024;
/// Commands in one transaction at most.
const BATCH: usize = 256;

/// A handle on the writer. The writer ends when the last handle is dropped.
#[derive(Debug, Clone)]
pub struct Ledger {
    jobs: mpsc::Sender<Box<dyn Job>>,
    directory: watch::Receiver<Arc<Directory>>,
    broken: watch::Receiver<Option<CommitError>>,
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
    pub fn start(store: Store, directory: Directory) -> std::io::Result<(Ledger, Writer)> {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let (publish, published) = watch::channel(Arc::new(directory));
        let (broke, broken) = watch::channel(None);
        let (end, ended) = oneshot::channel();
        thread::Builder::new()
            .name("writer".to_owned())
            .spawn(move || {
                write(store, queue, &publish, &broke);
                let _ = end.send(());
            })?;
        let ledger = Ledger {
            jobs,
            directory: published,
            broken,
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
        let sent = self.jobs.send(job).await;
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

/// What a batch adds up to.
struct Batch {
    directory: Directory,
    rows: Vec<Row>,
    changes: Vec<Arc<Change>>,
    replies: Vec<(Box<dyn Job>, u64)>,
}

fn write(
    mut store: Store,
    mut queue: mpsc::Receiver<Box<dyn Job>>,
    publish: &watch::Sender<Arc<Directory>>,
    broke: &watch::Sender<Option<CommitError>>,
) {
    let mut jobs = Vec::with_capacity(BATCH);
    while queue.blocking_recv_many(&mut jobs, BATCH) > 0 {
        let current = publish.borrow().clone();
        let batch = make(&current, jobs.drain(..));
        let stored = if batch.rows.is_empty() {
            Ok(())
        } else {
            store.commit(&batch.rows, &batch.changes, &batch.directory)
        };
        match &stored {
            Ok(()) if batch.rows.is_empty() => {}
            Ok(()) => {
                publish.send_replace(Arc::new(batch.directory));
            }
            Err(error) => {
                tracing::error!(%error, "nothing of {} commands was stored", batch.replies.len());
                if let CommitError::Broken(_) = error {
                    broke.send_replace(Some(error.clone()));
                }
            }
        }
        for (job, revision) in batch.replies {
            job.reply(match &stored {
                Ok(()) => Ok(revision),
                Err(error) => Err(error.clone().into()),
            });
        }
        store.checkpoint();
    }
}

fn make(current: &Directory, jobs: impl Iterator<Item = Box<dyn Job>>) -> Batch {
    let now = Timestamp::now();
    let mut batch = Batch {
        directory: current.clone(),
        rows: Vec::new(),
        changes: Vec::new(),
        replies: Vec::new(),
    };
    for mut job in jobs {
        if let Some(made) = job.make(&batch.directory, now)
            && !made.rows.is_empty()
        {
            batch.directory = made.directory;
            batch.rows.extend(made.rows);
            batch.changes.extend(made.change);
        }
        let revision = batch.directory.revision();
        batch.replies.push((job, revision));
    }
    batch
}
