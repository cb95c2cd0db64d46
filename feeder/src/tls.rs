//! Certificates, keys and authorities from files, which may change while they are served with. It knows rustls, and no server.

mod reload;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use x509_parser::prelude::{FromDer as _, X509Certificate};

pub use reload::{Current, Reloading};

/// The files of a server's identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityFiles {
    /// PEM: the certificate, then its intermediates.
    pub cert: PathBuf,
    /// PEM: PKCS#8, PKCS#1 or SEC1.
    pub key: PathBuf,
}

/// Why an identity can't be used.
#[derive(Debug, thiserror::Error)]
pub enum BadIdentity {
    /// A file can't be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file holds something else.
    #[error("{} holds no {expected} in PEM: {why}", path.display())]
    NotPem {
        /// Which.
        path: PathBuf,
        /// What it should hold.
        expected: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// Certificate and key don't go together, or rustls can't use them.
    #[error("cannot serve with {} and {}", cert.display(), key.display())]
    Unusable {
        /// The certificate's file.
        cert: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// Why not.
        source: rustls::Error,
    },
}

/// The files of a server that admits only peers with a certificate of one of its authorities.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MutualFiles {
    /// Who the server is.
    pub identity: IdentityFiles,
    /// PEM: the authorities of its peers.
    pub client_ca: PathBuf,
}

/// The files that make a server's side of TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Files {
    /// Clients show no certificate; HTTP/1.1 alone.
    Server(IdentityFiles),
    /// Clients must show one; HTTP/2 alone.
    Mutual(MutualFiles),
}

/// A server's side of TLS, as its files said when they were read.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// What connections are accepted with.
    pub config: Arc<ServerConfig>,
    /// When the server's own certificate ends.
    pub not_after: Timestamp,
}

/// What the files hold, byte by byte.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pem {
    cert: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

impl Files {
    /// Reads the files, and makes sure that they can be served with.
    pub fn load(&self) -> Result<Loaded, BadIdentity> {
        self.config(&self.read()?)
    }

    /// Which they are, for logs and metrics.
    fn identity(&self) -> &IdentityFiles {
        match self {
            Files::Server(identity) => identity,
            Files::Mutual(mutual) => &mutual.identity,
        }
    }

    fn read(&self) -> Result<Pem, BadIdentity> {
        let identity = self.identity();
        Ok(Pem {
            cert: read(&identity.cert)?,
            key: read(&identity.key)?,
            client_ca: match self {
                Files::Server(_) => None,
                Files::Mutual(mutual) => Some(read(&mutual.client_ca)?),
            },
        })
    }

    fn config(&self, pem: &Pem) -> Result<Loaded, BadIdentity> {
        let files = self.identity();
        let unusable = |source| BadIdentity::Unusable {
            cert: files.cert.clone(),
            key: files.key.clone(),
            source,
        };
        let chain = certificates(&files.cert, &pem.cert)?;
        let not_after = ends(&chain);
        let not_after =
            not_after.ok_or_else(|| not_pem(&files.cert, "certificate", "not X.509"))?;
        let key = PrivateKeyDer::from_pem_slice(&pem.key)
            .map_err(|error| not_pem(&files.key, "private key", error))?;
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(unusable)?;
        let config = match (self, &pem.client_ca) {
            (Files::Mutual(mutual), Some(client_ca)) => {
                let mut config = config
                    .with_client_cert_verifier(verifier(&mutual.client_ca, client_ca)?)
                    .with_single_cert(chain, key)
                    .map_err(unusable)?;
                config.alpn_protocols = vec![b"h2".to_vec()];
                // A resumed session is not verified again: not whether its certificate has ended, nor by new authorities.
                config.session_storage = Arc::new(NoServerSessionStorage {});
                config.send_tls13_tickets = 0;
                config
            }
            _ => {
                let config = config.with_no_client_auth();
                let mut config = config.with_single_cert(chain, key).map_err(unusable)?;
                config.alpn_protocols = vec![b"http/1.1".to_vec()];
                config
            }
        };
        Ok(Loaded {
            config: Arc::new(config),
            not_after,
        })
    }
}

fn verifier(path: &Path, pem: &[u8]) -> Result<Arc<dyn ClientCertVerifier>, BadIdentity> {
    let expected = "authority's certificate";
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path, pem)? {
        let added = roots.add(certificate);
        added.map_err(|error| not_pem(path, expected, error))?;
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider());
    let verifier = verifier.build();
    verifier.map_err(|error| not_pem(path, expected, error))
}

/// When the first certificate of a chain ends; none if there is none that can be read.
pub fn ends(chain: &[CertificateDer<'_>]) -> Option<Timestamp> {
    let (_, first) = X509Certificate::from_der(chain.first()?).ok()?;
    let seconds = first.validity().not_after.timestamp();
    // The year 9999 is written where no end is meant.
    Some(Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX))
}

/// Named, not the process's default: that would depend on which crates are linked.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn certificates(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, BadIdentity> {
    let chain = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    match chain {
        Ok(chain) if chain.is_empty() => Err(not_pem(path, "certificate", "there is none in it")),
        Ok(chain) => Ok(chain),
        Err(error) => Err(not_pem(path, "certificate", error)),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, BadIdentity> {
    std::fs::read(path).map_err(|source| BadIdentity::Unreadable {
        path: path.to_owned(),
        source,
    })
}

fn not_pem(path: &Path, expected: &'static str, why: impl std::fmt::Display) -> BadIdentity {
    BadIdentity::NotPem {
        path: path.to_owned(),
        expected,
        why: why.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(dir: &Path, name: &str) -> IdentityFiles {
        let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
        let files = IdentityFiles {
            cert: dir.join(format!("{name}.crt")),
            key: dir.join(format!("{name}.key")),
        };
        std::fs::write(&files.cert, made.cert.pem()).unwrap();
        std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
        files
    }

    #[test]
    fn an_identity_is_served_and_a_wrong_file_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let ours = files(dir.path(), "ours");
        let other = files(dir.path(), "other");
        let server = |files: &IdentityFiles| Files::Server(files.clone()).load();
        server(&ours).unwrap();

        let swapped = IdentityFiles {
            key: ours.cert.clone(),
            ..ours.clone()
        };
        let error = server(&swapped).unwrap_err().to_string();
        assert!(error.contains("ours.crt holds no private key"), "{error}");

        let mixed = IdentityFiles {
            key: other.key.clone(),
            ..ours.clone()
        };
        let error = server(&mixed).unwrap_err().to_string();
        assert!(
            error.contains("ours.crt") && error.contains("other.key"),
            "{error}"
        );

        let missing = IdentityFiles {
            cert: dir.path().join("none"),
            ..ours.clone()
        };
        assert!(matches!(
            server(&missing),
            Err(BadIdentity::Unreadable { .. })
        ));
    }

    #[test]
    fn mutual_tls_needs_an_authority() {
        let dir = tempfile::tempdir().unwrap();
        let identity = files(dir.path(), "ours");
        let client_ca = identity.cert.clone();
        let mutual = |client_ca: PathBuf| {
            let identity = identity.clone();
            Files::Mutual(MutualFiles {
                identity,
                client_ca,
            })
            .load()
        };
        mutual(client_ca).unwrap();
        let error = mutual(identity.key.clone()).unwrap_err().to_string();
        assert!(error.contains("ours.key holds no certificate"), "{error}");
    }
}
