//! One scope's content, kept current for all streams that ask for it.
//!
//! A task follows the ledger, always to what is newest: from what changes touched it finds the entries that differ, moves the digest and remembers them for a
//! while. It holds no other entries; they are asked of the directory. What is encoded for one stream serves every other at the same place.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError, Weak};

use scimesh_proto::digest::ContentDigest;
use scimesh_proto::scope::Scope;
use tokio::sync::{Semaphore, watch};
use tokio::task::AbortHandle;

use super::encode::{self, Update};
use super::steps::{Shared, Steps};
use crate::directory::{
    Change, Content, Difference, Directory, Resolved, Touch, touched, touched_weight,
};
use crate::fleet::Course;
use crate::ledger::Ledger;

/// Touched parts, whoever is in a touched group included, from which on work is moved off the tasks that serve streams.
const HEAVY: usize = 512;

/// Heavy steps at once: one processor stays with the tasks that serve streams.
static HEAVY_STEPS: LazyLock<Semaphore> = LazyLock::new(|| {
    let processors = std::thread::available_parallelism().map_or(1, |count| count.get());
    Semaphore::new(processors.saturating_sub(1).max(1))
});

/// Deltas to one revision that are kept at most: what filters hold that come back is their word, and each may be 1.7 MB.
const DELTAS: usize = 64;

/// Encoded by whoever asks first; none if a snapshot is shorter.
type Delta = OnceLock<Option<Arc<Update>>>;

/// The content of a scope at one revision.
#[derive(Debug)]
pub(super) struct Standing {
    pub(super) directory: Arc<Directory>,
    scope: Scope,
    content: Content,
    /// The newest revision that changed the content.
    changed_at: u64,
    steps: Steps,
    snapshot: OnceLock<Arc<Update>>,
    deltas: Mutex<HashMap<u64, Arc<Delta>>>,
}

impl Standing {
    fn new(
        directory: Arc<Directory>,
        scope: Scope,
        content: Content,
        changed_at: u64,
        steps: Steps,
    ) -> Self {
        Standing {
            directory,
            scope,
            content,
            changed_at,
            steps,
            snapshot: OnceLock::new(),
            deltas: Mutex::default(),
        }
    }

    /// The whole content, read out of the directory.
    pub(super) fn read(directory: Arc<Directory>, scope: Scope, shared: Arc<Shared>) -> Self {
        let content = Resolved::new(&directory, &scope).content();
        let revision = directory.revision();
        let steps = Steps::begin(revision, shared);
        Standing::new(directory, scope, content, revision, steps)
    }

    pub(super) fn scope(&self) -> &Scope {
        &self.scope
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

    /// Whether it is a short step to this later directory.
    fn is_near(&self, directory: &Directory) -> bool {
        let changes = directory.changes_since(self.revision());
        changes.is_some_and(|changes| !is_heavy(directory, &self.scope, &changes))
    }

    /// The content at a later revision.
    pub(super) fn advance(&self, directory: Arc<Directory>) -> Standing {
        let scope = self.scope.clone();
        let revision = directory.revision();
        let mut new = Resolved::new(&directory, &scope);
        let changes = directory.changes_since(self.revision());
        let touch = changes.map(|changes| touched(&new, &changes));
        let (content, steps) = match touch {
            None | Some(Touch::Everything) => (new.content(), self.steps.again(revision)),
            Some(Touch::Within(reach)) => {
                let mut old = Resolved::new(&self.directory, &scope);
                let (mut content, mut steps) = (self.content, self.steps.clone());
                let difference = Difference::between(&mut old, &mut new, &reach, &mut content);
                steps.step(revision, difference);
                (content, steps)
            }
        };
        // Equal digests, equal contents: to be wrong, 128 keyed bits would have to agree by chance.
        let changed_at = match content == self.content {
            true => self.changed_at,
            false => revision,
        };
        Standing::new(directory, scope, content, changed_at, steps)
    }

    /// What takes a filter that holds the content of revision `held` here: a delta if that is known and shorter,
    /// otherwise a snapshot. Encoded once, whoever asks.
    pub(super) async fn update(self: &Arc<Self>, held: Option<u64>) -> Arc<Update> {
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
            let snapshot = standing.snapshot.get_or_init(|| Arc::new(encode()));
            snapshot.clone()
        })
        .await
        .unwrap_or_default()
    }

    #[cfg(test)]
    pub(super) fn kept_deltas(&self) -> usize {
        let deltas = self.deltas.lock();
        deltas.unwrap_or_else(PoisonError::into_inner).len()
    }

    async fn delta(self: &Arc<Self>, held: u64) -> Option<Arc<Update>> {
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
        if let Some(difference) = self.steps.since(held) {
            let heavy = difference.entries.len() >= HEAVY;
            let standing = self.clone();
            let encode = move || {
                let encode = || standing.encode(held, &difference);
                cell.get_or_init(encode).clone()
            };
            return match heavy {
                true => off_the_path(encode).await.flatten(),
                false => encode(),
            };
        }
        let changes = self.directory.changes_since(held)?;
        let heavy = is_heavy(&self.directory, &self.scope, &changes);
        let standing = self.clone();
        let encode = move || {
            let encode = || {
                let mut resolved = Resolved::new(&standing.directory, &standing.scope);
                match touched(&resolved, &changes) {
                    Touch::Everything => None,
                    Touch::Within(reach) => {
                        standing.encode(held, &Difference::within(&mut resolved, &reach))
                    }
                }
            };
            cell.get_or_init(encode).clone()
        };
        match heavy {
            true => off_the_path(encode).await.flatten(),
            false => encode(),
        }
    }

    fn encode(&self, held: u64, difference: &Difference) -> Option<Arc<Update>> {
        let delta = encode::delta(&self.directory, &self.scope, self.content, held, difference);
        delta.map(Arc::new)
    }
}

/// Whether following these changes, which lead up to `directory`, takes long.
fn is_heavy(directory: &Directory, scope: &Scope, changes: &[Arc<Change>]) -> bool {
    touched_weight(directory, scope.tenant(), changes, HEAVY) >= HEAVY
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
    course: Arc<Course>,
    task: AbortHandle,
}

impl ScopeFeed {
    /// Follows the scope's content; none until it has been read for the first time.
    pub(super) fn watch(&self) -> watch::Receiver<Option<Arc<Standing>>> {
        self.standing.clone()
    }

    /// At which revisions the content has changed.
    pub(super) fn course(&self) -> Arc<Course> {
        self.course.clone()
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
pub(super) struct Scopes {
    followed: Mutex<HashMap<Scope, Weak<ScopeFeed>>>,
    shared: Arc<Shared>,
}

impl Scopes {
    /// The feed of `scope`, begun if nobody follows it yet. It ends when the last stream lets go of it.
    pub(super) fn follow(&self, ledger: &Ledger, scope: &Scope) -> Arc<ScopeFeed> {
        let mut scopes = self.followed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(feed) = scopes.get(scope).and_then(Weak::upgrade) {
            return feed;
        }
        scopes.retain(|_, feed| feed.strong_count() > 0);
        let (publish, standing) = watch::channel(None);
        let course = Arc::new(Course::default());
        let task = tokio::spawn(keep_current(
            ledger.clone(),
            scope.clone(),
            self.shared.clone(),
            course.clone(),
            publish,
        ));
        let feed = Arc::new(ScopeFeed {
            standing,
            course,
            task: task.abort_handle(),
        });
        scopes.insert(scope.clone(), Arc::downgrade(&feed));
        feed
    }

    /// Those of this tenant.
    pub(super) fn followed(&self, tenant: &str) -> Vec<Scope> {
        let scopes = self.followed.lock().unwrap_or_else(PoisonError::into_inner);
        let followed = scopes
            .iter()
            .filter(|(scope, feed)| scope.tenant() == tenant && feed.strong_count() > 0);
        followed.map(|(scope, _)| scope.clone()).collect()
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        let scopes = self.followed.lock().unwrap_or_else(PoisonError::into_inner);
        scopes
            .values()
            .filter(|feed| feed.strong_count() > 0)
            .count()
    }
}

async fn keep_current(
    ledger: Ledger,
    scope: Scope,
    shared: Arc<Shared>,
    course: Arc<Course>,
    publish: watch::Sender<Option<Arc<Standing>>>,
) {
    let mut directories = ledger.watch();
    let published = ledger.published();
    // A handle would keep the writer alive.
    drop(ledger);
    let mut directory = directories.borrow_and_update().clone();
    let mut standing: Option<Arc<Standing>> = None;
    loop {
        let next = match standing.clone() {
            None => {
                let (scope, shared) = (scope.clone(), shared.clone());
                off_the_path(move || Standing::read(directory, scope, shared)).await
            }
            Some(standing) if standing.is_near(&directory) => Some(standing.advance(directory)),
            Some(standing) => {
                let Ok(_turn) = HEAVY_STEPS.acquire().await else {
                    return;
                };
                // What has come while it waited is taken along.
                let directory = directories.borrow_and_update().clone();
                off_the_path(move || standing.advance(directory)).await
            }
        };
        let Some(next) = next.map(Arc::new) else {
            return;
        };
        let frozen = next.directory.frozen(next.scope.tenant());
        let withheld = frozen.and_then(|frozen| frozen.withheld_since);
        course.reached(next.revision(), next.changed_at(), withheld, |revision| {
            published.at(revision)
        });
        standing = Some(next.clone());
        publish.send_replace(Some(next));
        if directories.changed().await.is_err() {
            return;
        }
        directory = directories.borrow_and_update().clone();
    }
}
