//! SCIM over TLS, and the feed over mutual TLS.

use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use scimesh_proto::wire::v1::feed_client::FeedClient;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Identity};

use crate::feeder::{Feeder, Place, exchange, stderr};

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Authority(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate and its key, PEM.
    fn issue(&self) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let cert = params.signed_by(&key, &self.0).unwrap();
        (cert.pem(), key.serialize_pem())
    }
}

fn identity(place: &Place, authority: &Authority) -> (PathBuf, PathBuf) {
    let (cert, key) = authority.issue();
    (place.write("cert.pem", &cert), place.write("key.pem", &key))
}

#[test]
fn scim_is_served_over_tls() {
    let place = Place::new();
    let authority = Authority::new();
    let (cert, key) = identity(&place, &authority);
    let mut serve = place.serve();
    serve
        .arg("--scim-tls-cert")
        .arg(&cert)
        .arg("--scim-tls-key")
        .arg(&key);
    let feeder = place.start_as(serve);
    place.done(&["tenant", "create", "corp"]);
    let token = place.done(&["token", "create", "--tenant", "corp"]);

    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap())
        .unwrap();
    let config =
        ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
    let connection =
        ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
    let stream = TcpStream::connect(feeder.address("scim")).unwrap();
    let head = format!(
        "GET /scim/v2/Users HTTP/1.1\r\nauthorization: Bearer {}",
        token.trim_end()
    );
    assert_eq!(
        exchange(StreamOwned::new(connection, stream), &head, "").status,
        200
    );
}

#[test]
fn a_key_that_is_not_the_certificates_is_refused_at_the_start() {
    let place = Place::new();
    let (cert, _) = identity(&place, &Authority::new());
    let (_, other) = Authority::new().issue();
    let other = place.write("other.pem", &other);
    let mut serve = place.serve();
    serve
        .arg("--scim-tls-cert")
        .arg(&cert)
        .arg("--scim-tls-key")
        .arg(&other);
    let output = serve.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = stderr(&output);
    assert!(
        said.contains("cert.pem") && said.contains("other.pem"),
        "{said}"
    );
}

/// Opens a stream and says nothing on it: whether the feed lets this client in.
async fn opens(feeder: &Feeder, roots: &Authority, identity: Option<(String, String)>) -> bool {
    let mut tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(roots.pem()))
        .domain_name("localhost");
    if let Some((cert, key)) = identity {
        tls = tls.identity(Identity::from_pem(cert, key));
    }
    let address = format!("https://{}", feeder.address("feed"));
    let channel = Channel::from_shared(address)
        .unwrap()
        .tls_config(tls)
        .unwrap()
        .connect_lazy();
    FeedClient::new(channel)
        .stream(tokio_stream::empty())
        .await
        .is_ok()
}

#[tokio::test]
async fn the_feed_admits_only_whom_its_authority_certified() {
    let place = Place::new();
    let (servers, clients) = (Authority::new(), Authority::new());
    let (cert, key) = identity(&place, &servers);
    let client_ca = place.write("ca.pem", &clients.pem());
    let mut serve = place.serve();
    serve
        .arg("--feed-tls-cert")
        .arg(&cert)
        .arg("--feed-tls-key")
        .arg(&key);
    serve.arg("--feed-client-ca").arg(&client_ca);
    let feeder = place.start_as(serve);
    assert!(opens(&feeder, &servers, Some(clients.issue())).await);
    assert!(!opens(&feeder, &servers, None).await);
    assert!(!opens(&feeder, &servers, Some(servers.issue())).await);
}
