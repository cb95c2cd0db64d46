//! A directory written whole into a file of its own: a backup, or what is published of a frozen tenant.
//!
//! The live database is open for one connection alone, and its directory is a value: a copy is that value, through the very rows that the store
//! writes. It takes no lock, and holds up no writer.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, Transaction, params};
use rusqlite_migration::Migrations;

use super::{MIGRATIONS, load, write};
use crate::directory::{Directory, Frozen, Kept};

/// Bytes of a frozen tenant's copy in one row of a backup.
const PART_BYTES: u64 = 16 << 20;

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// Something has that name already.
    #[error("{} is there already, and is not overwritten: choose another name", .0.display())]
    Exists(PathBuf),
    /// A file could not be made, written, synced or moved.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// SQLite says no.
    #[error("{}: {source}", path.display())]
    Sqlite {
        /// The copy.
        path: PathBuf,
        /// What it said.
        source: rusqlite::Error,
    },
    /// The schema could not be made, or brought up to date.
    #[error("{}: {source}", path.display())]
    Migration {
        /// The copy.
        path: PathBuf,
        /// What went wrong.
        source: rusqlite_migration::Error,
    },
    /// A row says what no version has ever written.
    #[error("{}: {what}", path.display())]
    Corrupt {
        /// The copy.
        path: PathBuf,
        /// Which row, and what is wrong with it.
        what: String,
    },
}

fn failed<'a>(what: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> CopyError + 'a {
    move |source| CopyError::Io {
        what,
        path: path.to_owned(),
        source,
    }
}

fn sqlite(path: &Path) -> impl Fn(rusqlite::Error) -> CopyError + '_ {
    |source| CopyError::Sqlite {
        path: path.to_owned(),
        source,
    }
}

/// Where the copy of a frozen tenant is.
fn frozen_file(tenant: u32, frozen: &Frozen) -> String {
    format!("frozen-{tenant}-{}.db", frozen.revision)
}

/// Writes all of `directory` to `file`, which must not exist, and the copies of frozen tenants, which lie in `data_dir`. When it returns, the file
/// is whole and on stable storage.
pub fn backup(directory: &Directory, data_dir: &Path, file: &Path) -> Result<(), CopyError> {
    // Whoever comes second finds the name taken. A backup is moved there whole; one that is cut off leaves an empty file.
    let reserved = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file);
    match reserved {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(CopyError::Exists(file.to_owned()));
        }
        Err(error) => return Err(failed("create", file)(error)),
    }
    let frozen: Vec<String> = directory
        .all_frozen()
        .filter(|(_, frozen)| frozen.kept == Kept::Stored)
        .map(|(_, frozen)| frozen_file(frozen.tenant().number(), frozen))
        .collect();
    let written = write_whole(directory, file, |transaction| {
        frozen
            .iter()
            .try_for_each(|name| embed(transaction, data_dir, name))
    });
    if written.is_err() {
        // It is empty, and ours.
        let _ = std::fs::remove_file(file);
    }
    written
}

/// Keeps what is published of a frozen tenant, in `data_dir`.
pub fn keep_frozen(directory: &Directory, data_dir: &Path, tenant: &str) -> Result<(), CopyError> {
    let Some(frozen) = directory.frozen(tenant) else {
        return Ok(());
    };
    let path = data_dir.join(frozen_file(frozen.tenant().number(), frozen));
    write_whole(&directory.only_published(tenant), &path, |_| Ok(()))
}

/// Drops it: the tenant is frozen no longer. What is left behind is used by nobody.
pub fn drop_frozen(frozen: &Frozen, data_dir: &Path) {
    let path = data_dir.join(frozen_file(frozen.tenant().number(), frozen));
    if let Err(error) = std::fs::remove_file(&path) {
        tracing::warn!(path = %path.display(), %error, "could not remove the copy of a tenant that is frozen no longer");
    }
}

/// What [`keep_frozen`] kept.
pub(super) fn read_frozen(
    tenant: u32,
    frozen: &Frozen,
    data_dir: &Path,
) -> Result<Directory, CopyError> {
    let path = data_dir.join(frozen_file(tenant, frozen));
    // SQLite would make one.
    File::open(&path).map_err(failed("open", &path))?;
    let mut connection = Connection::open(&path).map_err(sqlite(&path))?;
    migrate(&mut connection, &path)?;
    load(&connection, &path)
}

pub(super) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), CopyError> {
    let migrations = Migrations::from_slice(MIGRATIONS);
    migrations
        .to_latest(connection)
        .map_err(|source| CopyError::Migration {
            path: path.to_owned(),
            source,
        })
}

pub(super) fn load(connection: &Connection, path: &Path) -> Result<Directory, CopyError> {
    let loaded = load::directory(connection).map_err(|error| match error {
        load::LoadError::Sqlite(source) => sqlite(path)(source),
        load::LoadError::Corrupt(what) => CopyError::Corrupt {
            path: path.to_owned(),
            what,
        },
    });
    // A copy has nothing of groups that are gone.
    Ok(loaded?.0)
}

/// Where a file is written before it is moved to `path`.
pub(super) fn partial(path: &Path) -> PathBuf {
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    partial.into()
}

/// Moves a file into its place, in the place of what is there, and returns when that is on stable storage.
pub(super) fn settle(partial: &Path, path: &Path) -> Result<(), CopyError> {
    let file = File::open(partial).map_err(failed("open", partial))?;
    file.sync_all().map_err(failed("sync", partial))?;
    std::fs::rename(partial, path).map_err(failed("create", path))?;
    sync_parent(path)
}

pub(super) fn sync_parent(path: &Path) -> Result<(), CopyError> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let synced = File::open(parent).and_then(|parent| parent.sync_all());
    synced.map_err(failed("sync", parent))
}

fn write_whole(
    directory: &Directory,
    path: &Path,
    more: impl FnOnce(&Transaction<'_>) -> Result<(), CopyError>,
) -> Result<(), CopyError> {
    let partial = partial(path);
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&partial)
        .map_err(failed("create", &partial))
        .and_then(|_| fill(directory, &partial, more))
        .and_then(|()| settle(&partial, path));
    if written.is_err() {
        let _ = std::fs::remove_file(&partial);
    }
    written
}

fn fill(
    directory: &Directory,
    path: &Path,
    more: impl FnOnce(&Transaction<'_>) -> Result<(), CopyError>,
) -> Result<(), CopyError> {
    let sqlite = sqlite(path);
    let mut connection = Connection::open(path).map_err(&sqlite)?;
    // Nobody uses it before it is whole: a journal would only write it twice.
    connection
        .pragma_update(None, "journal_mode", "OFF")
        .map_err(&sqlite)?;
    connection
        .pragma_update(None, "synchronous", "OFF")
        .map_err(&sqlite)?;
    migrate(&mut connection, path)?;
    let transaction = connection.transaction().map_err(&sqlite)?;
    write::whole(&transaction, directory).map_err(&sqlite)?;
    more(&transaction)?;
    transaction.commit().map_err(&sqlite)?;
    connection.close().map_err(|(_, error)| sqlite(error))
}

/// Puts the copy of a frozen tenant into a backup.
fn embed(transaction: &Transaction<'_>, data_dir: &Path, name: &str) -> Result<(), CopyError> {
    let path = data_dir.join(name);
    let mut file = File::open(&path).map_err(failed("open", &path))?;
    for part in 0_u32.. {
        let mut bytes = Vec::new();
        let read = (&mut file).take(PART_BYTES).read_to_end(&mut bytes);
        read.map_err(failed("read", &path))?;
        if bytes.is_empty() {
            break;
        }
        transaction
            .execute(
                "INSERT INTO frozen_parts (file, part, bytes) VALUES (?1, ?2, ?3)",
                params![name, part, bytes],
            )
            .map_err(sqlite(&path))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
