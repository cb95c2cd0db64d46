//! A database that begins another life: put back from a backup, or accepted as the old copy that it is. The data directory must be the caller's own.
//!
//! Filters know what came after the backup was made. Only a higher generation makes them take it.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, OpenFlags};
use scimesh_engine::Policy;

use super::copy::{self, CopyError};
use super::{FILE_NAME, settings, write};

/// Why nothing was restored.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// There is a database already.
    #[error("there is a database already: {} (--replace puts the backup in its place, and keeps it beside)", .0.display())]
    Exists(PathBuf),
    /// There is no database.
    #[error("there is no database: {} (is it another --data-dir?)", .0.display())]
    Missing(PathBuf),
    /// It is not a file that `scimesh backup` has written.
    #[error("{} is no backup, as `scimesh backup` writes them: {why}", path.display())]
    NoBackup {
        /// The file.
        path: PathBuf,
        /// How that shows.
        why: String,
    },
    /// A file could not be read or moved.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The copy could not be read or written.
    #[error(transparent)]
    Copy(#[from] CopyError),
}

/// A database that has begun another life.
#[derive(Debug)]
pub struct Restored {
    /// The new one's.
    pub generation: u64,
    /// As it was.
    pub revision: u64,
    /// The tenants that are frozen in it.
    pub frozen: Vec<String>,
    /// The database that was there before.
    pub replaced: Option<Replaced>,
    /// Whether a filter had proved that the database was an old copy; of a backup nobody can have.
    pub proved: bool,
}

/// The database that was there before.
#[derive(Debug)]
pub struct Replaced {
    /// Where it is now.
    pub path: PathBuf,
    /// None: it could not be read, so the new generation may not be higher than its.
    pub generation: Option<u64>,
}

fn failed<'a>(what: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> RestoreError + 'a {
    move |source| RestoreError::Io {
        what,
        path: path.to_owned(),
        source,
    }
}

fn sqlite(path: &Path) -> impl Fn(rusqlite::Error) -> RestoreError + '_ {
    |source| {
        let path = path.to_owned();
        CopyError::Sqlite { path, source }.into()
    }
}

/// In milliseconds. What was told to another database than this one, nobody knows.
fn any_lease() -> i64 {
    i64::try_from(Policy::MAX_STALENESS.as_millis()).unwrap_or(i64::MAX)
}

/// Higher than what was, and than any that a database made before now has.
fn next_generation(old: u64) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |since| since.as_secs()).max(old + 1)
}

fn generation(connection: &Connection) -> rusqlite::Result<u64> {
    connection.query_row("SELECT generation FROM history", [], |row| {
        row.get::<_, i64>(0).map(|generation| generation as u64)
    })
}

/// Puts a backup into a data directory. A database that is there already is kept beside it, if it may be replaced at all.
pub fn restore(data_dir: &Path, file: &Path, replace: bool) -> Result<Restored, RestoreError> {
    let path = data_dir.join(FILE_NAME);
    let there = path.try_exists().map_err(failed("look for", &path))?;
    if there && !replace {
        return Err(RestoreError::Exists(path));
    }
    let partial = copy::partial(&path);
    let restored = take_in(data_dir, file, &partial, there.then_some(&path));
    if restored.is_err() {
        let _ = fs::remove_file(&partial);
    }
    let restored = restored?;
    copy::settle(&partial, &path)?;
    Ok(restored)
}

fn take_in(
    data_dir: &Path,
    file: &Path,
    partial: &Path,
    old: Option<&PathBuf>,
) -> Result<Restored, RestoreError> {
    let (mut connection, backups) = copy_of(file, partial)?;
    let (replaced, lease) = old.map(|old| set_aside(old)).transpose()?.unzip();
    let replaceds = replaced.as_ref().and_then(|replaced| replaced.generation);
    let generation = next_generation(backups.max(replaceds.unwrap_or_default()));
    // What can't be loaded now, no feeder could load later.
    let directory = copy::load(&connection, partial)?;
    release_frozen(&connection, partial, data_dir)?;
    let lease = lease.unwrap_or_else(any_lease);
    write::new_history(&mut connection, generation, lease).map_err(sqlite(partial))?;
    let closed = connection.close().map_err(|(_, error)| error);
    closed.map_err(sqlite(partial))?;
    Ok(Restored {
        generation,
        revision: directory.revision(),
        frozen: directory
            .all_frozen()
            .map(|(name, _)| name.to_string())
            .collect(),
        replaced,
        proved: false,
    })
}

/// A copy of the backup, of today's schema, and the generation that it has.
fn copy_of(file: &Path, partial: &Path) -> Result<(Connection, u64), RestoreError> {
    let no_backup = |why: String| RestoreError::NoBackup {
        path: file.to_owned(),
        why,
    };
    let mut log = file.as_os_str().to_owned();
    log.push("-wal");
    if fs::metadata(&log).is_ok_and(|log| log.len() > 0) {
        return Err(no_backup(
            "it has a write-ahead log beside it, as a database in use has".to_owned(),
        ));
    }
    let mut from = fs::File::open(file).map_err(failed("open", file))?;
    let mut to = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(partial)
        .map_err(failed("create", partial))?;
    io::copy(&mut from, &mut to).map_err(failed("write", partial))?;
    to.flush().map_err(failed("write", partial))?;
    let unreadable = |error: rusqlite::Error| no_backup(error.to_string());
    let mut connection = Connection::open(partial).map_err(unreadable)?;
    let generation = generation(&connection).map_err(unreadable)?;
    let intact: String = connection
        .query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))
        .map_err(unreadable)?;
    if intact != "ok" {
        return Err(no_backup(intact));
    }
    // A copy of a database's own file says that it has a log.
    connection
        .pragma_update(None, "journal_mode", "DELETE")
        .map_err(unreadable)?;
    copy::migrate(&mut connection, partial)?;
    Ok((connection, generation))
}

/// Gives the old database a second name, without taking the first from it: at no time is there none. Its log goes into it; of one that can't be read, it
/// goes along as it is. With it comes the longest lease that it knew of.
fn set_aside(old: &Path) -> Result<(Replaced, i64), RestoreError> {
    let beside = |suffix: &str| {
        let mut path = old.as_os_str().to_owned();
        path.push(suffix);
        PathBuf::from(path)
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let suffix = format!(".replaced-{}", now.map_or(0, |since| since.as_secs()));
    let (path, log) = (beside(&suffix), beside("-wal"));
    let path_of_log = beside(&format!("{suffix}-wal"));
    for new in [&path, &path_of_log] {
        if new.try_exists().map_err(failed("look for", new))? {
            return Err(RestoreError::Exists(new.clone()));
        }
    }
    if log.try_exists().map_err(failed("look for", &log))? {
        // SQLite may remove it.
        fs::copy(&log, &path_of_log).map_err(failed("create", &path_of_log))?;
    }
    let read = quiet(old);
    if let Err(error) = &read {
        tracing::warn!(path = %old.display(), %error, "the database that is replaced can't be read");
    }
    // Not every file system has links.
    fs::hard_link(old, &path)
        .or_else(|_| fs::copy(old, &path).map(drop))
        .map_err(failed("create", &path))?;
    // Of one that was read it is empty; and left where it is, SQLite would take it for the new one's.
    let done_with = match read.is_ok() {
        true => &path_of_log,
        false => &log,
    };
    match fs::remove_file(done_with) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(failed("remove", done_with)(error));
        }
        _ => {}
    }
    copy::sync_parent(old)?;
    let (generation, lease) = read.ok().unzip();
    let replaced = Replaced { path, generation };
    Ok((replaced, lease.unwrap_or_else(any_lease)))
}

/// Moves the log of a database into it, and reads its generation, and the longest lease that it knew of.
fn quiet(path: &Path) -> rusqlite::Result<(u64, i64)> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let generation = generation(&connection)?;
    let lease = connection.query_row("SELECT milliseconds FROM longest_lease", [], |row| {
        row.get(0)
    });
    connection.pragma_update(None, "journal_mode", "DELETE")?;
    connection.close().map_err(|(_, error)| error)?;
    // One of an older version did not keep it.
    Ok((generation, lease.unwrap_or_else(|_| any_lease())))
}

/// Takes the copies of frozen tenants out of the backup, to where the store looks for them.
fn release_frozen(
    connection: &Connection,
    partial: &Path,
    data_dir: &Path,
) -> Result<(), RestoreError> {
    let sqlite = sqlite(partial);
    let mut statement = connection
        .prepare("SELECT DISTINCT file FROM frozen_parts")
        .map_err(&sqlite)?;
    let files = statement.query_map([], |row| row.get::<_, String>(0));
    let files: Vec<String> = files.and_then(Iterator::collect).map_err(&sqlite)?;
    for name in files {
        // The file says where to write: nowhere but here.
        let plain = name.starts_with("frozen-") && name.ends_with(".db") && !name.contains('/');
        if !plain {
            let why = format!("it has a part called {name:?}");
            let path = partial.to_owned();
            return Err(RestoreError::NoBackup { path, why });
        }
        let path = data_dir.join(&name);
        let new = copy::partial(&path);
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&new)
            .map_err(failed("create", &new))?;
        let mut parts = connection
            .prepare("SELECT bytes FROM frozen_parts WHERE file = ?1 ORDER BY part")
            .map_err(&sqlite)?;
        let mut rows = parts.query([&name]).map_err(&sqlite)?;
        while let Some(row) = rows.next().map_err(&sqlite)? {
            let bytes: Vec<u8> = row.get(0).map_err(&sqlite)?;
            file.write_all(&bytes).map_err(failed("write", &new))?;
        }
        copy::settle(&new, &path)?;
    }
    connection
        .execute("DELETE FROM frozen_parts", [])
        .map_err(&sqlite)?;
    Ok(())
}

/// Makes the database, old copy as it is, the one that counts: in place, as another life of it.
pub fn accept_rollback(data_dir: &Path) -> Result<Restored, RestoreError> {
    let path = data_dir.join(FILE_NAME);
    if !path.try_exists().map_err(failed("look for", &path))? {
        return Err(RestoreError::Missing(path));
    }
    let mut connection = Connection::open(&path).map_err(sqlite(&path))?;
    settings(&connection).map_err(sqlite(&path))?;
    let old = generation(&connection).map_err(sqlite(&path))?;
    copy::migrate(&mut connection, &path)?;
    let directory = copy::load(&connection, &path)?;
    let generation = next_generation(old);
    write::new_history(&mut connection, generation, any_lease()).map_err(sqlite(&path))?;
    let closed = connection.close().map_err(|(_, error)| error);
    closed.map_err(sqlite(&path))?;
    Ok(Restored {
        generation,
        revision: directory.revision(),
        frozen: directory
            .all_frozen()
            .map(|(name, _)| name.to_string())
            .collect(),
        replaced: None,
        proved: directory.proved().is_some(),
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::time::Duration;

    use jiff::Timestamp;

    use super::*;
    use crate::directory::{Directory, Draft, Issued};
    use crate::store::{Store, backup};

    fn commit(
        store: &mut Store,
        directory: &Directory,
        command: impl FnOnce(&mut Draft),
    ) -> Directory {
        let mut draft = Draft::new(directory, Timestamp::UNIX_EPOCH);
        command(&mut draft);
        let made = draft.finish();
        let changes: Vec<_> = made.change.into_iter().collect();
        store.commit(&made.rows, &changes, &made.directory).unwrap();
        made.directory
    }

    /// A backup at revision 1, and a database at 2.
    fn backed_up(data_dir: &Path, file: &Path) -> Directory {
        let (mut store, directory) = Store::open(data_dir).unwrap();
        let directory = commit(&mut store, &directory, |draft| {
            draft.create_tenant("corp").unwrap();
        });
        backup(&directory, data_dir, file).unwrap();
        commit(&mut store, &directory, |draft| {
            draft.create_tenant("later").unwrap();
        })
    }

    fn raise(data_dir: &Path, generation: i64) {
        let connection = Connection::open(data_dir.join(FILE_NAME)).unwrap();
        let set = connection.execute("UPDATE history SET generation = ?1", [generation]);
        set.unwrap();
    }

    #[test]
    fn a_restored_database_is_a_later_life_of_what_was_and_of_what_it_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("backup");
        let before = backed_up(dir.path(), &file);
        // By a clock that was ahead.
        let far = 1 << 40;
        raise(dir.path(), far);
        let refused = restore(dir.path(), &file, false).unwrap_err();
        assert!(matches!(refused, RestoreError::Exists(_)), "{refused}");
        let restored = restore(dir.path(), &file, true).unwrap();
        assert_eq!(
            (restored.generation, restored.revision),
            (far as u64 + 1, 1)
        );
        let replaced = restored.replaced.unwrap();
        assert_eq!(replaced.generation, Some(far as u64));
        let (_store, directory) = Store::open(dir.path()).unwrap();
        assert_eq!(directory.history().generation, restored.generation);
        assert_ne!(directory.history().id, before.history().id);
        assert!(directory.tenant("corp").is_some() && directory.tenant("later").is_none());
        assert_eq!(directory.issued(&before.position()), Issued::ByNobody);
        let mode = fs::metadata(dir.path().join(FILE_NAME)).unwrap();
        assert_eq!(mode.permissions().mode() & 0o777, 0o600);
        // The old one is whole.
        let other = tempfile::tempdir().unwrap();
        fs::copy(replaced.path, other.path().join(FILE_NAME)).unwrap();
        let (_store, old) = Store::open(other.path()).unwrap();
        assert!(old.tenant("later").is_some());
    }

    #[test]
    fn a_backup_counts_with_its_own_generation_too() {
        let dir = tempfile::tempdir().unwrap();
        backed_up(dir.path(), &dir.path().join("unused"));
        raise(dir.path(), 1 << 41);
        let (store, directory) = Store::open(dir.path()).unwrap();
        let file = dir.path().join("backup");
        backup(&directory, dir.path(), &file).unwrap();
        drop(store);
        let other = tempfile::tempdir().unwrap();
        let restored = restore(other.path(), &file, false).unwrap();
        assert_eq!(restored.generation, (1 << 41) + 1);
    }

    #[test]
    fn what_is_no_backup_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("backup");
        backed_up(dir.path(), &file);
        let mut torn = fs::read(&file).unwrap();
        torn.truncate(torn.len() / 2);
        let mut garbled = fs::read(&file).unwrap();
        let end = garbled.len();
        garbled[end / 2..].fill(0xa5);
        for (name, bytes) in [
            ("empty", Vec::new()),
            ("text", b"no database at all".to_vec()),
            ("torn", torn),
            ("garbled", garbled),
        ] {
            let file = dir.path().join(name);
            fs::write(&file, bytes).unwrap();
            restore(dir.path(), &file, true).expect_err(name);
            assert!(!copy::partial(&dir.path().join(FILE_NAME)).exists());
        }
        let log = dir.path().join("backup-wal");
        fs::write(&log, "x").unwrap();
        restore(dir.path(), &file, true).unwrap_err();
        fs::remove_file(&log).unwrap();
        let (_, directory) = Store::open(dir.path()).unwrap();
        assert_eq!(directory.revision(), 2);
    }

    #[test]
    fn a_database_that_can_not_be_read_is_kept_beside_with_its_log() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("backup");
        backed_up(dir.path(), &file);
        fs::write(dir.path().join(FILE_NAME), "broken").unwrap();
        fs::write(dir.path().join("scimesh.db-wal"), "its log").unwrap();
        let restored = restore(dir.path(), &file, true).unwrap();
        let replaced = restored.replaced.unwrap();
        assert_eq!(replaced.generation, None);
        assert_eq!(fs::read(&replaced.path).unwrap(), b"broken");
        let mut log = replaced.path.into_os_string();
        log.push("-wal");
        assert_eq!(fs::read(log).unwrap(), b"its log");
        let (_, directory) = Store::open(dir.path()).unwrap();
        assert_eq!(directory.revision(), 1);
    }

    #[test]
    fn leases_that_were_told_are_not_forgotten_by_a_restore() {
        let longest = |dir: &Path| Store::open(dir).unwrap().1.longest_lease();
        let tell = |dir: &Path, seconds| {
            let (mut store, directory) = Store::open(dir).unwrap();
            let told = Duration::from_secs(seconds);
            commit(&mut store, &directory, |draft| {
                draft.set_longest_lease(told)
            });
        };
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("backup");
        tell(dir.path(), 5);
        backed_up(dir.path(), &file);
        // Told after the backup was made.
        tell(dir.path(), 600);
        restore(dir.path(), &file, true).unwrap();
        assert_eq!(longest(dir.path()), Duration::from_secs(600));
        // Elsewhere nobody knows what was told.
        let other = tempfile::tempdir().unwrap();
        restore(other.path(), &file, false).unwrap();
        assert_eq!(longest(other.path()), Policy::MAX_STALENESS);
        accept_rollback(dir.path()).unwrap();
        assert_eq!(longest(dir.path()), Policy::MAX_STALENESS);
    }

    #[test]
    fn an_old_copy_that_is_accepted_is_a_later_life_and_old_no_longer() {
        let dir = tempfile::tempdir().unwrap();
        let missing = accept_rollback(dir.path()).unwrap_err();
        assert!(matches!(missing, RestoreError::Missing(_)), "{missing}");
        let before = backed_up(dir.path(), &dir.path().join("unused"));
        let (mut store, directory) = Store::open(dir.path()).unwrap();
        commit(&mut store, &directory, |draft| draft.prove_old(9));
        drop(store);
        let (store, directory) = Store::open(dir.path()).unwrap();
        assert_eq!(directory.proved(), Some(9));
        drop(store);
        let accepted = accept_rollback(dir.path()).unwrap();
        let (_store, directory) = Store::open(dir.path()).unwrap();
        let history = directory.history();
        assert_eq!(history.generation, accepted.generation);
        assert!(history.generation > before.history().generation);
        assert_ne!(history.id, before.history().id);
        assert_eq!((directory.proved(), directory.revision()), (None, 2));
    }
}
