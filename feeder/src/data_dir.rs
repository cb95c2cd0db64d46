//! The data directory: who may use it, and what lies where in it. It must not know what the files contain.
//!
//! ```text
//! DATA_DIR/          0700
//!   lock             held, as long as it lives, by the one process that owns the directory; contains its pid
//!   admin.sock       0600, the running feeder's administration
//!   …                the store's files
//! ```

use std::fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use tokio::net::UnixListener;

/// A socket's path is copied into `sockaddr_un`, which holds 107 bytes and a NUL.
const MAX_SOCKET_PATH: usize = 107;

/// Where the running feeder of `data_dir` takes its administration.
pub fn admin_socket(data_dir: &Path) -> PathBuf {
    data_dir.join("admin.sock")
}

/// Why a process could not take a data directory for its own.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// Another process holds the lock.
    #[error("another process{owner} is using the data directory {}: stop it first", dir.display())]
    InUse {
        /// The directory.
        dir: PathBuf,
        /// ` (pid 123)`, or nothing if it could not be read.
        owner: String,
    },
    /// The path of the socket is longer than a socket's path may be.
    #[error(
        "the path {} is too long for a Unix socket (at most {MAX_SOCKET_PATH} bytes): choose a shorter --data-dir",
        .0.display()
    )]
    PathTooLong(PathBuf),
    /// The system refused.
    #[error("cannot {what} {}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

fn failed<'a>(what: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> Unusable + 'a {
    move |source| Unusable::Io {
        what,
        path: path.to_owned(),
        source,
    }
}

/// A data directory that this process owns until the value is dropped.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    /// Closing it releases the lock, and so does the death of the process, however it comes.
    _lock: File,
}

impl DataDir {
    /// Makes the directory if it is missing (0700), and takes the lock.
    pub fn own(path: &Path) -> Result<DataDir, Unusable> {
        create(path)?;
        let lock_path = path.join("lock");
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&lock_path)
            .map_err(failed("open", &lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Unusable::InUse {
                    dir: path.to_owned(),
                    owner: owner(&mut lock),
                });
            }
            Err(TryLockError::Error(error)) => return Err(failed("lock", &lock_path)(error)),
        }
        lock.set_len(0)
            .and_then(|()| lock.rewind())
            .and_then(|()| writeln!(lock, "{}", std::process::id()))
            .map_err(failed("write", &lock_path))?;
        Ok(DataDir {
            path: path.to_owned(),
            _lock: lock,
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether accounts other than the owner and its group can enter it: it was made by somebody else, too open.
    pub fn is_open_to_others(&self) -> bool {
        std::fs::metadata(&self.path).is_ok_and(|meta| meta.permissions().mode() & 0o007 != 0)
    }

    /// Listens on the administration socket, replacing what a killed process left there.
    ///
    /// A socket is born with the mode that the umask leaves, and the umask is the whole process's. So it is born in a
    /// directory that nobody else can enter, and moved when its mode is right: at no time can another account connect.
    pub fn listen(&self) -> Result<AdminSocket, Unusable> {
        let path = admin_socket(&self.path);
        if path.as_os_str().len() > MAX_SOCKET_PATH {
            return Err(Unusable::PathTooLong(path));
        }
        let cradle = self.path.join(".new");
        match std::fs::remove_dir_all(&cradle) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(failed("remove", &cradle)(error));
            }
            _ => {}
        }
        DirBuilder::new()
            .mode(0o700)
            .create(&cradle)
            .map_err(failed("create", &cradle))?;
        let newborn = cradle.join("s");
        let listener = UnixListener::bind(&newborn).map_err(failed("listen on", &newborn))?;
        std::fs::set_permissions(&newborn, Permissions::from_mode(0o600))
            .map_err(failed("restrict", &newborn))?;
        std::fs::rename(&newborn, &path).map_err(failed("create", &path))?;
        std::fs::remove_dir(&cradle).map_err(failed("remove", &cradle))?;
        Ok(AdminSocket { listener, path })
    }
}

/// The administration socket, listening.
#[derive(Debug)]
pub struct AdminSocket {
    /// Accepts connections.
    pub listener: UnixListener,
    /// Where; to be removed at the end, while the lock is still held.
    pub path: PathBuf,
}

/// Makes the directory, and those that it is in, if they are missing. After a power failure a new directory is there only if the one
/// that it is in was synced.
fn create(path: &Path) -> Result<(), Unusable> {
    let missing: Vec<&Path> = path.ancestors().take_while(|path| !path.exists()).collect();
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder
        .create(path)
        .map_err(failed("create the data directory", path))?;
    for new in missing {
        let parent = match new.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        File::open(parent)
            .and_then(|parent| parent.sync_all())
            .map_err(failed("sync", parent))?;
    }
    Ok(())
}

fn owner(lock: &mut File) -> String {
    let mut pid = String::new();
    match lock.take(32).read_to_string(&mut pid) {
        Ok(_) if !pid.trim().is_empty() => format!(" (pid {})", pid.trim()),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_has_one_owner_until_it_lets_go() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a/b");
        let first = DataDir::own(&path).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        assert!(!first.is_open_to_others());

        let refused = DataDir::own(&path).unwrap_err().to_string();
        assert!(
            refused.contains(&format!("pid {}", std::process::id())),
            "{refused}"
        );
        assert!(refused.contains(path.to_str().unwrap()), "{refused}");

        drop(first);
        DataDir::own(&path).unwrap();
    }

    #[tokio::test]
    async fn the_socket_is_the_owners_alone_and_replaces_a_stale_one() {
        let parent = tempfile::tempdir().unwrap();
        let dir = DataDir::own(parent.path()).unwrap();
        drop(dir.listen().unwrap()); // the file stays, as after SIGKILL
        let stale = std::os::unix::net::UnixStream::connect(admin_socket(parent.path()));
        assert!(stale.is_err());

        let socket = dir.listen().unwrap();
        let mode = std::fs::metadata(&socket.path)
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        std::os::unix::net::UnixStream::connect(&socket.path).unwrap();
        assert!(!parent.path().join(".new").exists());
    }

    #[test]
    fn a_path_that_no_socket_can_have_is_refused_by_name() {
        let parent = tempfile::tempdir().unwrap();
        let dir = DataDir::own(&parent.path().join("x".repeat(120))).unwrap();
        assert!(matches!(dir.listen(), Err(Unusable::PathTooLong(_))));
    }
}
