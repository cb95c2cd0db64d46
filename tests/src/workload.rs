//! A mesh's certificate authority, and workloads that call over mTLS with the certificates that it signed.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result};
use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair,
    PKCS_ECDSA_P256_SHA256, SanType,
};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::envoy::Answer;

/// The name in the server's certificate.
pub const SERVER: &str = "service.example";

/// Signs for workloads of any trust domain, and for the server that they call.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    certificate: String,
    server: (String, String),
}

/// Who calls: a client certificate, or none.
#[derive(Clone)]
pub struct Workload {
    config: Arc<ClientConfig>,
}

/// A certificate and its private key, as PEM.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The certificate.
    pub certificate: String,
    /// The key.
    pub key: String,
}

/// A connection of a workload, which stays open.
pub struct Connection {
    requests: SendRequest<Empty<Bytes>>,
}

fn key() -> Result<KeyPair> {
    Ok(KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?)
}

fn named(uris: &[&str]) -> Result<CertificateParams> {
    let mut params = CertificateParams::default();
    for uri in uris {
        let uri = SanType::URI((*uri).try_into()?);
        params.subject_alt_names.push(uri);
    }
    Ok(params)
}

impl Authority {
    /// A new one.
    pub fn new() -> Result<Authority> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Who has the issuer's name seems to have signed for themselves.
        params
            .distinguished_name
            .push(DnType::CommonName, "authority");
        let issuer = CertifiedIssuer::self_signed(params, key()?)?;
        let server_key = key()?;
        let server =
            CertificateParams::new([SERVER.to_owned()])?.signed_by(&server_key, &issuer)?;
        Ok(Authority {
            certificate: issuer.pem(),
            server: (server.pem(), server_key.serialize_pem()),
            issuer,
        })
    }

    /// Its own certificate, as PEM.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// The server's certificate, as PEM.
    pub fn server_certificate(&self) -> &str {
        &self.server.0
    }

    /// The server's private key, as PEM.
    pub fn server_key(&self) -> &str {
        &self.server.1
    }

    /// A certificate with these URIs as subject alternative names, in this order, and for the name of the server, for whoever
    /// is one.
    pub fn identity(&self, uris: &[&str]) -> Result<Identity> {
        let mut params = named(uris)?;
        params
            .subject_alt_names
            .push(SanType::DnsName(SERVER.try_into()?));
        let key = key()?;
        Ok(Identity {
            certificate: params.signed_by(&key, &self.issuer)?.pem(),
            key: key.serialize_pem(),
        })
    }

    /// A caller whose certificate has these URIs as subject alternative names, in this order.
    pub fn workload(&self, uris: &[&str]) -> Result<Workload> {
        let params = named(uris)?;
        let key = key()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        let key = PrivateKeyDer::try_from(key.serialize_der());
        let key = key.map_err(|error| anyhow::anyhow!("the workload's key: {error}"))?;
        self.caller(Some((certificate.der().clone(), key)))
    }

    /// A caller that speaks TLS and shows no certificate.
    pub fn nobody(&self) -> Result<Workload> {
        self.caller(None)
    }

    fn caller(
        &self,
        identity: Option<(CertificateDer<'static>, PrivateKeyDer<'static>)>,
    ) -> Result<Workload> {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone())?;
        let config = ClientConfig::builder().with_root_certificates(roots);
        let config = match identity {
            Some((certificate, key)) => config.with_client_auth_cert(vec![certificate], key)?,
            None => config.with_no_client_auth(),
        };
        Ok(Workload {
            config: Arc::new(config),
        })
    }
}

impl Workload {
    /// A new connection.
    pub async fn connect(&self, to: SocketAddr) -> Result<Connection> {
        let stream = TcpStream::connect(to).await?;
        let stream = TlsConnector::from(self.config.clone())
            .connect(ServerName::try_from(SERVER)?, stream)
            .await
            .with_context(|| format!("TLS with {to}"))?;
        let (requests, connection) = handshake(TokioIo::new(stream)).await?;
        // It ends with the requests' side; what fails on it fails there.
        tokio::spawn(connection);
        Ok(Connection { requests })
    }
}

impl Connection {
    /// GET with these headers.
    pub async fn get(&mut self, path: &str, headers: &[(&str, &str)]) -> Result<Answer> {
        let mut request = Request::get(path).header("host", SERVER);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.requests.ready().await?;
        let response = self
            .requests
            .send_request(request.body(Empty::new())?)
            .await?;
        let (parts, body) = response.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok(Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: String::from_utf8_lossy(&body).into_owned(),
        })
    }
}
