//! Certificates and keys from files. It knows rustls, and no server.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

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

/// A server's side of TLS without client certificates, HTTP/1.1 alone.
pub fn server(files: &IdentityFiles) -> Result<Arc<ServerConfig>, BadIdentity> {
    let (chain, key) = identity(files)?;
    let unusable = |source| BadIdentity::Unusable {
        cert: files.cert.clone(),
        key: files.key.clone(),
        source,
    };
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(unusable)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// The files of a server that admits only peers with a certificate of one of its authorities.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MutualFiles {
    /// Who the server is.
    pub identity: IdentityFiles,
    /// PEM: the authorities of its peers.
    pub client_ca: PathBuf,
}

/// What [`MutualFiles`] hold, checked.
#[derive(Debug, Clone)]
pub struct MutualPem {
    /// The certificate chain.
    pub cert: Vec<u8>,
    /// Its key.
    pub key: Vec<u8>,
    /// The authorities of peers.
    pub client_ca: Vec<u8>,
}

/// Reads the files of a server with mutual TLS, and makes sure that they hold what they should.
pub fn mutual(files: &MutualFiles) -> Result<MutualPem, BadIdentity> {
    server(&files.identity)?;
    certificates(&files.client_ca)?;
    Ok(MutualPem {
        cert: read(&files.identity.cert)?,
        key: read(&files.identity.key)?,
        client_ca: read(&files.client_ca)?,
    })
}

/// Named, not the process's default: that would depend on which crates are linked.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn identity(
    files: &IdentityFiles,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), BadIdentity> {
    let chain = certificates(&files.cert)?;
    let pem = read(&files.key)?;
    let key = PrivateKeyDer::from_pem_slice(&pem)
        .map_err(|error| not_pem(&files.key, "private key", error))?;
    Ok((chain, key))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, BadIdentity> {
    let pem = read(path)?;
    let chain = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>();
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
        mutual(&MutualFiles {
            identity: identity.clone(),
            client_ca,
        })
        .unwrap();
        let client_ca = identity.key.clone();
        assert!(
            mutual(&MutualFiles {
                identity,
                client_ca
            })
            .is_err()
        );
    }
}
