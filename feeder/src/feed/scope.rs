//! One scope's content, kept current for all streams that ask for it.
//!
//! A task follows the ledger: from the names that a change touched it finds the entries that differ and moves the digest.
//! It holds no entries; they are asked of the directory. What is encoded for one stream serves every other at the same place.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use scimesh_proto::digest::ContentDigest;
use scimesh_proto::scope::Scope;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::encode::{self, Pieces};
use crate::directory::{Change, Content, Directory, Resolved, Touch, Touched, touched_names};
use crate::ledger::Ledger;

/// Touched parts from which on work is moved off the tasks that serve streams.
const HEAVY: usize = 512;

/// Deltas to one revision that are kept at most: what filters hold that come back is their word, and each may be 1.7 MB.
const DELTAS: usize = 64;

/// The content of a scope at one revision.
#[derive(Debug)]
pub(super) struct Standing {
    pub(super) directory: Arc<Directory>,
    scope: Scope,
    content: Content,
    /// The newest revision that changed the content.
    changed_at: u64,
    snapshot: OnceLock<Pieces>,
    deltas: Mutex<HashMap<u64, Arc<OnceLock<Option<Pieces>>>>>,
}

impl Standing {
    fn new(directory: Arc<Directory>, scope: Scope, content: Content, changed_at: u64) -> Self {
        Standing {
            directory,
            scope,
            content,
            changed_at,
            snapshot: OnceLock::new(),
            deltas: Mutex::default(),
        }
    }

    /// The whole content, read out of the directory.
    pub(super) fn read(directory: Arc<Directory>, scope: Scope) -> Self {
        let content = Resolved::new(&directory, &scope).content();
        let changed_at = directory.revision();
        Standing::new(directory, scope, content, changed_at)
    }

    pub(super) fn revision(&self) -> u64 {
        self.directory.revision()
    }

    pub(super) fn changed_at(&self) -> u64 {
        self.changed_at
    }

    pub(super) fn digest(&self) -> ContentDigest {
        self.content.digest
    }

    /// The content at a later revision.
    pub(super) fn advance(&self, directory: Arc<Directory>) -> Standing {
        let scope = self.scope.clone();
        let mut new = Resolved::new(&directory, &scope);
        let changes = directory.changes_since(self.revision());
        let touch = changes.map(|changes| touched_names(&new, &changes));
        let content = match touch {
            None | Some(Touch::Everything) => new.content(),
            Some(Touch::Names(names)) => {
                let mut old = Resolved::new(&self.directory, &scope);
                let mut content = self.content;
                content.digest -= old.head();
                content.digest += new.head();
                // Names that differ in case may mean one subject.
                let mut seen = HashSet::new();
                for name in &names {
                    // The bindings are the same, or all would have been touched.
                    let entries = old.entries(name).into_iter().zip(new.entries(name));
                    for ((subject, before), (_, after)) in entries {
                        if before == after || !seen.insert(subject) {
                            continue;
                        }
                        if let Some(before) = &before {
                            content.entries -= 1;
                            content.digest -= new.digest_of(&subject, before);
                        }
                        if let Some(after) = &after {
                            content.entries += 1;
                            content.digest += new.digest_of(&subject, after);
                        }
                    }
                }
                content
            }
        };
        // Equal digests, equal contents: to be wrong, 128 keyed bits would have to agree by chance.
        let changed_at = if content == self.content {
            self.changed_at
        } else {
            directory.revision()
        };
        Standing::new(directory, scope, content, changed_at)
    }

    /// What takes a filter that holds the content of revision `held` here: a delta if that is known and shorter,
    /// otherwise a snapshot. Encoded once, whoever asks.
    pub(super) async fn update(self: &Arc<Self>, held: Option<u64>) -> Pieces {
        if let Some(held) = held
            && let Some(delta) = self.delta(held).await
        {
            return delta;
        }
        if let Some(snapshot) = self.snapshot.get() {
            return snapshot.clone();
        }
        let standing = self.clone();
        off_the_path(move || {
            let encode =
                || encode::snapshot(&standing.directory, &standing.scope, standing.content);
            standing.snapshot.get_or_init(encode).clone()
        })
        .await
        .unwrap_or_else(|| Arc::new([]))
    }

    #[cfg(test)]
    pub(super) fn kept_deltas(&self) -> usize {
        let deltas = self.deltas.lock();
        deltas.unwrap_or_else(PoisonError::into_inner).len()
    }

    async fn delta(self: &Arc<Self>, held: u64) -> Option<Pieces> {
        let cell = {
            let mut deltas = self.deltas.lock().unwrap_or_else(PoisonError::into_inner);
            if deltas.len() >= DELTAS && !deltas.contains_key(&held) {
                deltas.clear();
            }
            deltas.entry(held).or_default().clone()
        };
        if let Some(delta) = cell.get() {
            return delta.clone();
        }
        let changes = self.directory.changes_since(held)?;
        let heavy = weight(&changes) > HEAVY;
        let standing = self.clone();
        let encode = move || {
            let encode = || {
                encode::delta(
                    &standing.directory,
                    &standing.scope,
                    standing.content,
                    held,
                    &changes,
                )
            };
            cell.get_or_init(encode).clone()
        };
        if heavy {
            off_the_path(encode).await.flatten()
        } else {
            encode()
        }
    }
}

fn weight(changes: &[Arc<Change>]) -> usize {
    let touched = changes.iter().flat_map(|change| &change.touched);
    touched
        .map(|(_, touched)| match touched {
            Touched::User { .. } => 1,
            // One edge may lead to a group of any size.
            Touched::Members { members, .. } => members.len(),
            Touched::Group { .. } | Touched::Everything => HEAVY,
        })
        .sum()
}

/// Runs long work where it holds up no stream. None if the runtime is shutting down.
async fn off_the_path<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => Some(done),
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => None,
        },
    }
}

/// A scope that at least one stream follows.
#[derive(Debug)]
pub(super) struct ScopeFeed {
    standing: watch::Receiver<Option<Arc<Standing>>>,
    task: AbortHandle,
}

impl ScopeFeed {
    /// Follows the scope's content; none until it has been read for the first time.
    pub(super) fn watch(&self) -> watch::Receiver<Option<Arc<Standing>>> {
        self.standing.clone()
    }

    /// Ends the task behind it, as a panic would.
    #[cfg(test)]
    pub(super) fn stop(&self) {
        self.task.abort();
    }
}

impl Drop for ScopeFeed {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The scopes that streams follow now.
#[derive(Debug, Default)]
pub(super) struct Scopes(Mutex<HashMap<Scope, Weak<ScopeFeed>>>);

impl Scopes {
    /// The feed of `scope`, begun if nobody follows it yet. It ends when the last stream lets go of it.
    pub(super) fn follow(&self, ledger: &Ledger, scope: &Scope) -> Arc<ScopeFeed> {
        let mut scopes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(feed) = scopes.get(scope).and_then(Weak::upgrade) {
            return feed;
        }
        scopes.retain(|_, feed| feed.strong_count() > 0);
        let (publish, standing) = watch::channel(None);
        let task = tokio::spawn(keep_current(ledger.clone(), scope.clone(), publish));
        let feed = Arc::new(ScopeFeed {
            standing,
            task: task.abort_handle(),
        });
        scopes.insert(scope.clone(), Arc::downgrade(&feed));
        feed
    }

    /// Those of this tenant.
    pub(super) fn followed(&self, tenant: &str) -> Vec<Scope> {
        let scopes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let followed = scopes
            .iter()
            .filter(|(scope, feed)| scope.tenant() == tenant && feed.strong_count() > 0);
        followed.map(|(scope, _)| scope.clone()).collect()
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        let scopes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        scopes
            .values()
            .filter(|feed| feed.strong_count() > 0)
            .count()
    }
}

async fn keep_current(ledger: Ledger, scope: Scope, publish: watch::Sender<Option<Arc<Standing>>>) {
    let mut directories = ledger.watch();
    // A handle would keep the writer alive.
    drop(ledger);
    let mut directory = directories.borrow_and_update().clone();
    let mut standing: Option<Arc<Standing>> = None;
    loop {
        let next = match standing.clone() {
            None => {
                let scope = scope.clone();
                off_the_path(move || Standing::read(directory, scope)).await
            }
            Some(standing) => {
                let changes = directory.changes_since(standing.revision());
                if changes.is_some_and(|changes| weight(&changes) < HEAVY) {
                    Some(standing.advance(directory))
                } else {
                    off_the_path(move || standing.advance(directory)).await
                }
            }
        };
        let Some(next) = next.map(Arc::new) else {
            return;
        };
        standing = Some(next.clone());
        publish.send_replace(Some(next));
        if directories.changed().await.is_err() {
            return;
        }
        directory = directories.borrow_and_update().clone();
    }
}
