//! Certificates that are rotated under a running server.
//!
//! The files are read every few seconds, and what is new in them is taken if it can be served with. Kubernetes swaps a symbolic
//! link that all of them lie behind, others write one file after the other: whatever is half there keeps the old, and is
//! looked at again. Open connections stay as they were made.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rustls::ServerConfig;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{BadIdentity, Files, Loaded, Pem};
use crate::metrics::TlsMetrics;

/// How long a new file may go unseen.
const EVERY: Duration = Duration::from_secs(2);

/// What new connections are accepted with now.
#[derive(Debug, Clone)]
pub struct Current(watch::Receiver<Loaded>);

impl Current {
    /// For one connection.
    pub fn config(&self) -> Arc<ServerConfig> {
        self.0.borrow().config.clone()
    }

    /// When the server's certificate ends.
    pub fn not_after(&self) -> Timestamp {
        self.0.borrow().not_after
    }
}

/// Follows the files of one server.
#[derive(Debug)]
pub struct Reloading {
    server: &'static str,
    files: Files,
    /// What was read last, whether or not it could be used; none if it could not be read.
    seen: Option<Pem>,
    publish: watch::Sender<Loaded>,
    metrics: TlsMetrics,
}

impl Reloading {
    /// Reads the files of the server of this name for the first time; then they have to be right.
    pub fn open(
        server: &'static str,
        files: Files,
        metrics: TlsMetrics,
    ) -> Result<(Current, Reloading), BadIdentity> {
        let pem = files.read()?;
        let (publish, current) = watch::channel(files.config(&pem)?);
        let reloading = Reloading {
            server,
            files,
            seen: Some(pem),
            publish,
            metrics,
        };
        Ok((Current(current), reloading))
    }

    /// Takes what is new in the files, until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(EVERY) => {}
            }
            let files = self.files.clone();
            // A volume that hangs must not hold up streams.
            let read = tokio::task::spawn_blocking(move || files.read()).await;
            if let Ok(read) = read {
                self.take(read);
            }
        }
    }

    /// Every state of the files is tried once, so what is wrong is told once.
    fn take(&mut self, read: Result<Pem, BadIdentity>) {
        let read = match read {
            Ok(pem) if self.seen.as_ref() == Some(&pem) => return,
            Err(_) if self.seen.is_none() => return,
            read => read,
        };
        self.seen = read.as_ref().ok().cloned();
        let server = self.server;
        match read.and_then(|pem| self.files.config(&pem)) {
            Ok(loaded) => {
                tracing::info!(server, ends = %loaded.not_after, "new certificates are served with");
                self.metrics.reloaded(server, "done");
                self.publish.send_replace(loaded);
            }
            Err(error) => {
                let error = anyhow::Error::from(error);
                tracing::error!(
                    server,
                    error = format!("{error:#}"),
                    "new certificates can't be used, and the old ones stay"
                );
                self.metrics.reloaded(server, "failed");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::tls::IdentityFiles;

    fn issue(name: &str) -> (String, String) {
        let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    fn put(dir: &Path, file: &str, text: &str) {
        std::fs::write(dir.join(file), text).unwrap();
    }

    #[test]
    fn only_a_whole_pair_replaces_the_old_one() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        let (cert, key) = issue("old");
        put(dir, "cert", &cert);
        put(dir, "key", &key);
        let files = Files::Server(IdentityFiles {
            cert: dir.join("cert"),
            key: dir.join("key"),
        });
        let metrics = TlsMetrics::default();
        let (current, mut reloading) = Reloading::open("scim", files, metrics.clone()).unwrap();
        let old = current.config();
        let mut look = || reloading.take(reloading.files.read());
        let same = |config: &Arc<ServerConfig>| Arc::ptr_eq(&current.config(), config);
        look();
        assert!(same(&old), "nothing is new");

        let (cert, key) = issue("new");
        put(dir, "cert", cert.get(..cert.len() / 2).unwrap());
        look();
        put(dir, "cert", &cert);
        look();
        look();
        assert!(same(&old), "the key is the old one's");
        std::fs::remove_file(dir.join("key")).unwrap();
        look();
        look();
        assert!(same(&old), "there is no key");
        let failures = |outcome| metrics.count("scim", outcome);
        assert_eq!((failures("failed"), failures("done")), (3, 0), "each once");

        put(dir, "key", &key);
        look();
        assert!(!same(&old));
        assert_eq!((failures("failed"), failures("done")), (3, 1));
    }
}
