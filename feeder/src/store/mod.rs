//! The embedded store: one SQLite file, written by one connection.
//!
//! A batch of changes, their rows, the change log and the revision are one transaction. When [`Store::commit`] returns
//! Ok, the transaction is on stable storage: the journal is a write-ahead log that is synced with every commit
//! (`synchronous=FULL`). Owns the file; knows nothing of SCIM, HTTP or streams.

mod copy;
mod load;
mod restore;
mod write;

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::{Connection, ErrorCode, ffi};
use rusqlite_migration::{M, Migrations};

pub use copy::{CopyError, backup, drop_frozen, keep_frozen};
pub use restore::{Replaced, RestoreError, Restored, accept_rollback, restore};

use crate::directory::{Change, Directory, Draft, Kept, Row};

const MIGRATIONS: &[M<'static>] = &[
    M::up(include_str!("schema.sql")),
    M::up(include_str!("extensions.sql")),
    M::up(include_str!("workloads.sql")),
    M::up(include_str!("releases.sql")),
    M::up(include_str!("access.sql")),
    M::up(include_str!("longest_lease.sql")),
    M::up(include_str!("brakes.sql")),
    M::up(include_str!("groups_claim.sql")),
];

/// The file's name in the data directory.
pub const FILE_NAME: &str = "scimesh.db";

/// Pages in the write-ahead log from which on they are moved into the file: 4 MiB.
const CHECKPOINT_PAGES: i64 = 1000;

/// Why the store could not be opened or read.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// SQLite says no.
    #[error("{path}")]
    Sqlite {
        /// The database file.
        path: PathBuf,
        /// What it said.
        source: rusqlite::Error,
    },
    /// The schema could not be brought up to date.
    #[error("{path}")]
    Migration {
        /// The database file.
        path: PathBuf,
        /// What went wrong; a database of a newer version is one.
        source: rusqlite_migration::Error,
    },
    /// The data directory could not be synced, or the file not be made in it.
    #[error("{path}")]
    Directory {
        /// The data directory, or the file.
        path: PathBuf,
        /// What went wrong.
        source: std::io::Error,
    },
    /// A row says what no version has ever written.
    #[error("{path}: {what}")]
    Corrupt {
        /// The database file.
        path: PathBuf,
        /// Which row, and what is wrong with it.
        what: String,
    },
}

/// Why a batch was not stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// The disk is full. Nothing was stored; a later batch may be.
    #[error("the disk is full: {0}")]
    Full(String),
    /// What reached the disk is unknown. Nothing may be acknowledged any more before a restart.
    #[error("the store failed, and must be reopened: {0}")]
    Broken(String),
}

impl CommitError {
    /// The word for it in metrics.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            CommitError::Full(_) => "full",
            CommitError::Broken(_) => "broken",
        }
    }
}

/// The open database.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
    path: PathBuf,
    broken: Option<CommitError>,
}

impl Store {
    /// Opens or makes the database in `data_dir`, which must exist, and reads the directory out of it. This begins a run of a feeder on it.
    pub fn open(data_dir: &Path) -> Result<(Store, Directory), OpenError> {
        let path = data_dir.join(FILE_NAME);
        let (mut connection, directory) = open(&path)?;
        let directory =
            frozen(&mut connection, directory, data_dir).map_err(|source| OpenError::Sqlite {
                path: path.clone(),
                source,
            })?;
        // SQLite syncs files; that they are in the directory is ours to sync.
        File::open(data_dir)
            .and_then(|dir| dir.sync_all())
            .map_err(|source| OpenError::Directory {
                path: data_dir.to_owned(),
                source,
            })?;
        let store = Store {
            connection,
            path,
            broken: None,
        };
        Ok((store, directory))
    }

    /// Stores what a batch of commands made, up to `directory`. After an error the batch must be dropped.
    pub fn commit(
        &mut self,
        rows: &[Row],
        changes: &[Arc<Change>],
        directory: &Directory,
    ) -> Result<(), CommitError> {
        if let Some(broken) = &self.broken {
            return Err(broken.clone());
        }
        write::batch(&mut self.connection, rows, changes, directory).map_err(|error| {
            let error = classify(&error);
            if matches!(error, CommitError::Broken(_)) {
                self.broken = Some(error.clone());
            }
            error
        })
    }

    /// Moves the write-ahead log into the file when it has grown long. Costs nothing of what was acknowledged: a failure
    /// leaves the log as it is.
    pub fn checkpoint(&mut self) {
        if self.broken.is_some() {
            return;
        }
        let log_pages = || -> rusqlite::Result<i64> {
            let pages: i64 =
                self.connection
                    .query_row("PRAGMA wal_checkpoint(NOOP)", [], |row| row.get(1))?;
            if pages >= CHECKPOINT_PAGES {
                self.connection
                    .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?;
            }
            Ok(pages)
        };
        if let Err(error) = log_pages() {
            tracing::error!(path = %self.path.display(), %error, "could not move the write-ahead log into the database");
        }
    }
}

fn open(path: &Path) -> Result<(Connection, Directory), OpenError> {
    let sqlite = |source| OpenError::Sqlite {
        path: path.to_owned(),
        source,
    };
    keep_private(path)?;
    let mut connection = Connection::open(path).map_err(sqlite)?;
    settings(&connection).map_err(sqlite)?;
    Migrations::from_slice(MIGRATIONS)
        .to_latest(&mut connection)
        .map_err(|source| OpenError::Migration {
            path: path.to_owned(),
            source,
        })?;
    write::begin_history(&mut connection).map_err(sqlite)?;
    write::begin_run(&mut connection).map_err(sqlite)?;
    let (directory, gone) = load::directory(&connection).map_err(|error| match error {
        load::LoadError::Sqlite(source) => sqlite(source),
        load::LoadError::Corrupt(what) => OpenError::Corrupt {
            path: path.to_owned(),
            what,
        },
    })?;
    // Whoever deleted a large group was answered before all that had been its was taken out.
    write::drop_members(&mut connection, &gone).map_err(sqlite)?;
    Ok((connection, directory))
}

/// Gives frozen tenants the content that they were frozen with. A tenant whose freezing was cut off is not frozen.
fn frozen(
    connection: &mut Connection,
    directory: Directory,
    data_dir: &Path,
) -> rusqlite::Result<Directory> {
    let mut directory = directory;
    for (name, frozen) in directory.clone().all_frozen() {
        if frozen.kept == Kept::Writing {
            tracing::error!(tenant = %name, "freezing the tenant was cut off: it is published as it is stored");
            let mut draft = Draft::new(&directory, Timestamp::now());
            // It is frozen.
            if draft.unfreeze(name).is_ok() {
                let made = draft.finish();
                let changes: Vec<_> = made.change.into_iter().collect();
                write::batch(connection, &made.rows, &changes, &made.directory)?;
                directory = made.directory;
            }
            continue;
        }
        let copy = copy::read_frozen(frozen.tenant().number(), frozen, data_dir);
        if let Err(error) = &copy {
            tracing::error!(tenant = %name, %error, "what was published of a frozen tenant is lost: nobody of it is published until it is unfrozen");
        }
        directory = directory.with_frozen_content(name, copy.as_ref().ok());
        tracing::warn!(tenant = %name, revision = frozen.revision, since = %frozen.since, "the tenant is frozen: what was stored since is not published");
    }
    Ok(directory)
}

/// SQLite would make the file as open as the umask leaves it, and gives its log the mode of the file. Some data
/// directories are more open than ours (a volume that Kubernetes mounts for a group).
fn keep_private(path: &Path) -> Result<(), OpenError> {
    let mut options = OpenOptions::new();
    let made = options.create(true).append(true).mode(0o600).open(path);
    made.map(|_| ()).map_err(|source| OpenError::Directory {
        path: path.to_owned(),
        source,
    })
}

fn settings(connection: &Connection) -> rusqlite::Result<()> {
    // Exclusive: no second process, and no shared-memory file beside the log.
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // Checkpoints are made after the reply, not within a commit.
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    connection.pragma_update(None, "foreign_keys", "OFF")
}

/// A full disk refuses a write before anything was promised; after any other failure the state of the disk is unknown.
/// A sync that failed once may succeed later without having written what the first one was to write.
fn classify(error: &rusqlite::Error) -> CommitError {
    match error.sqlite_error() {
        Some(ffi::Error {
            code: ErrorCode::DiskFull,
            ..
        }) => CommitError::Full(error.to_string()),
        _ => CommitError::Broken(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::Timestamp;
    use scimesh_engine::Policy;
    use scimesh_proto::binding::{Attribute, Binding, GroupName, GroupsClaim, Source};

    use super::*;
    use crate::directory::Draft;

    #[test]
    fn a_database_of_the_first_version_opens_and_keeps_what_it_has() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE_NAME);
        let mut old = Connection::open(&path).unwrap();
        Migrations::from_slice(&MIGRATIONS[..1])
            .to_latest(&mut old)
            .unwrap();
        write::begin_history(&mut old).unwrap();
        old.execute("INSERT INTO tenants VALUES (1, 'corp')", [])
            .unwrap();
        drop(old);
        let (_store, directory) = Store::open(dir.path()).unwrap();
        let tenant = directory.tenant("corp").unwrap();
        assert_eq!(tenant.extensions().count(), 0);
    }

    #[test]
    fn bindings_users_and_extensions_of_a_database_without_workloads_and_holds_stay_what_they_are()
    {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE_NAME);
        let mut old = Connection::open(&path).unwrap();
        Migrations::from_slice(&MIGRATIONS[..2])
            .to_latest(&mut old)
            .unwrap();
        write::begin_history(&mut old).unwrap();
        let schema = r#"{"id":"urn:x:y","attributes":[{"name":"p","type":"string"}]}"#;
        old.execute_batch(&format!(
            r#"INSERT INTO tenants VALUES (1, 'corp'), (2, 'acme');
            INSERT INTO bindings VALUES
                (1, 'https://a', 'sub', 'userName', NULL, NULL),
                (2, 'https://b', 'oid', 'externalId', 'tid', '1');
            INSERT INTO users VALUES (1, 1, x'00000000000000000000000000000001',
                '{{"userName":"Ada","active":true}}', 0, 0, 1);
            INSERT INTO changes VALUES (1, '[["corp",{{"User":{{"names":[["userName","Ada"]]}}}}]]');
            INSERT INTO extensions VALUES (1, 'urn:x:y', 'User', '{schema}');
            UPDATE standing SET revision = 1, next_slot = 2, next_tenant = 3;"#
        ))
        .unwrap();
        drop(old);
        let (mut store, directory) = Store::open(dir.path()).unwrap();
        let [corp, acme] = ["corp", "acme"].map(|name| directory.tenant(name).unwrap());
        let bindings: Vec<_> = corp.bindings().chain(acme.bindings()).collect();
        let [sub, oid] = bindings.as_slice() else {
            panic!("{bindings:?}");
        };
        assert_eq!(sub.issuer(), Some("https://a"));
        assert!(!sub.ignore_case && !oid.ignore_case);
        // To the letter, as it was.
        assert!(corp.user_named(sub, "Ada").is_some() && corp.user_named(sub, "ada").is_none());
        let Source::Token { pin: Some(pin), .. } = &oid.source else {
            panic!("{oid:?}");
        };
        assert_eq!((&*pin.claim, &*pin.value), ("tid", "1"));
        assert_eq!((corp.extensions().count(), corp.release_count()), (1, 0));
        assert_eq!(directory.changes_since(0).unwrap().len(), 1);

        // And what is new can be kept in it.
        let mut draft = Draft::new(&directory, Timestamp::UNIX_EPOCH);
        let id = corp.users().next().unwrap().id;
        draft.delete_user("corp", id).unwrap();
        let workloads = Binding {
            source: Source::Workload {
                trust_domain: "td".to_owned(),
            },
            attribute: Attribute::ExternalId,
            ignore_case: false,
        };
        draft.set_binding("corp", workloads).unwrap();
        let mut listing = (*sub).clone();
        if let Source::Token { groups, .. } = &mut listing.source {
            assert_eq!(*groups, None);
            *groups = Some(GroupsClaim {
                claim: "groups".to_owned(),
                is: GroupName::ExternalId,
            });
        }
        draft.set_binding("corp", listing.clone()).unwrap();
        assert_eq!(directory.feed_access().iter().count(), 0);
        let rules = r#"[{"peer":"spiffe://td/x","tenants":["corp"],"terms":["active"]}]"#;
        draft.set_feed_access(serde_json::from_str(rules).unwrap());
        let made = draft.finish();
        let changes: Vec<_> = made.change.into_iter().collect();
        store.commit(&made.rows, &changes, &made.directory).unwrap();
        drop(store);
        let (_store, again) = Store::open(dir.path()).unwrap();
        let corp = again.tenant("corp").unwrap();
        assert_eq!((corp.bindings().count(), corp.release_count()), (2, 1));
        assert_eq!(corp.bindings().next(), Some(&listing));
        let held = serde_json::to_string(&**again.feed_access()).unwrap();
        assert_eq!(held, rules);
    }

    #[test]
    fn the_longest_lease_is_stored_and_of_an_older_database_it_is_the_longest_that_there_can_be() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE_NAME);
        let mut old = Connection::open(&path).unwrap();
        Migrations::from_slice(&MIGRATIONS[..4])
            .to_latest(&mut old)
            .unwrap();
        write::begin_history(&mut old).unwrap();
        drop(old);
        let (_store, directory) = Store::open(dir.path()).unwrap();
        assert_eq!(directory.longest_lease(), Policy::MAX_STALENESS);

        let dir = tempfile::tempdir().unwrap();
        let (mut store, directory) = Store::open(dir.path()).unwrap();
        assert_eq!(directory.longest_lease(), Duration::ZERO);
        let mut draft = Draft::new(&directory, Timestamp::UNIX_EPOCH);
        draft.set_longest_lease(Duration::from_secs(300));
        let made = draft.finish();
        assert!(made.change.is_none());
        assert_eq!(made.directory.longest_lease(), Duration::from_secs(300));
        store.commit(&made.rows, &[], &made.directory).unwrap();
        drop(store);
        let (_store, again) = Store::open(dir.path()).unwrap();
        assert_eq!(again.longest_lease(), Duration::from_secs(300));
        assert_eq!(again.revision(), directory.revision());
    }
}
