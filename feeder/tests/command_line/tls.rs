//! SCIM over TLS, and the feed over mutual TLS.

use std::io::Read as _;
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, ClientConnection, HandshakeKind, RootCertStore, StreamOwned,
    SupportedProtocolVersion,
};
use scimesh_proto::wire::v1::feed_client::FeedClient;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Identity};
use tonic::{Code, Request, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::access::{hello, scope};
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
        self.issue_for(&[])
    }

    /// The same with these URIs.
    fn issue_for(&self, uris: &[&str]) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let uris = uris
            .iter()
            .map(|uri| SanType::URI((*uri).try_into().unwrap()));
        params.subject_alt_names.extend(uris);
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

    let head = format!(
        "GET /scim/v2/Users HTTP/1.1\r\nauthorization: Bearer {}",
        token.trim_end()
    );
    let config = Arc::new(client(&authority, &[&TLS13], None));
    let stream = connect(&feeder, "scim", &config);
    assert_eq!(exchange(stream, &head, "").status, 200);
}

/// A client's side of TLS, which remembers sessions as any client does.
fn client(
    roots: &Authority,
    versions: &[&'static SupportedProtocolVersion],
    identity: Option<(String, String)>,
) -> ClientConfig {
    let authority = CertificateDer::from_pem_slice(roots.pem().as_bytes()).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(authority).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots);
    let Some((cert, key)) = identity else {
        return config.with_no_client_auth();
    };
    let chain = vec![CertificateDer::from_pem_slice(cert.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let mut config = config.with_client_auth_cert(chain, key).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    config
}

fn connect(
    feeder: &Feeder,
    of: &str,
    config: &Arc<ClientConfig>,
) -> StreamOwned<ClientConnection, TcpStream> {
    let name = "localhost".try_into().unwrap();
    let connection = ClientConnection::new(config.clone(), name).unwrap();
    let stream = TcpStream::connect(feeder.address(of)).unwrap();
    StreamOwned::new(connection, stream)
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

/// A client of the feed's port that takes the server for what these authorities say it is.
fn channel(feeder: &Feeder, roots: &Authority, identity: Option<(String, String)>) -> Channel {
    let mut tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(roots.pem()))
        .domain_name("localhost");
    if let Some((cert, key)) = identity {
        tls = tls.identity(Identity::from_pem(cert, key));
    }
    let address = format!("https://{}", feeder.address("feed"));
    let channel = Channel::from_shared(address).unwrap();
    channel.tls_config(tls).unwrap().connect_lazy()
}

/// Opens a stream and says nothing on it: whether the feed lets this client in.
async fn opens(
    feeder: &Feeder,
    roots: &Authority,
    identity: Option<(String, String)>,
) -> Result<(), Status> {
    let mut client = FeedClient::new(channel(feeder, roots, identity));
    client.stream(tokio_stream::empty()).await.map(drop)
}

const APP: &str = "spiffe://td/ns/shop/sa/app";

/// The feed with mutual TLS, and a rule for [`APP`].
fn mutual(place: &Place, servers: &Authority, clients: &Authority) -> Feeder {
    mutual_within(place, servers, clients, &[])
}

/// The same with these limits.
fn mutual_within(
    place: &Place,
    servers: &Authority,
    clients: &Authority,
    limits: &[&str],
) -> Feeder {
    let (cert, key) = identity(place, servers);
    let rules = format!("{{ tenants: {{}}, feedAccess: [{{ peer: {APP}, tenants: [corp] }}] }}");
    let mut serve = place.serve();
    serve.arg("--feed-tls-cert").arg(&cert);
    serve.arg("--feed-tls-key").arg(&key);
    serve.arg("--feed-client-ca");
    serve.arg(place.write("ca.pem", &clients.pem()));
    serve
        .arg("--config")
        .arg(place.write("access.yaml", &rules));
    for limit in limits {
        serve.arg("--feed-limit").arg(limit);
    }
    place.start_as(serve)
}

#[tokio::test]
async fn the_feed_admits_only_whom_its_authority_certified_and_a_rule_names() {
    let place = Place::new();
    let (servers, clients) = (Authority::new(), Authority::new());
    let feeder = mutual(&place, &servers, &clients);
    let app = || clients.issue_for(&[APP]);
    opens(&feeder, &servers, Some(app())).await.unwrap();
    let refused = async |identity| {
        let opened = opens(&feeder, &servers, identity).await;
        opened.unwrap_err().code()
    };
    // No TLS without a certificate of the authority's.
    let _ = refused(None).await;
    let _ = refused(Some(servers.issue_for(&[APP]))).await;
    // Nobody, or two.
    let other = "spiffe://td/ns/shop/sa/other";
    for uris in [&[][..], &[APP, other], &["https://td/ns/shop/sa/app"]] {
        let identity = clients.issue_for(uris);
        assert_eq!(
            refused(Some(identity)).await,
            Code::Unauthenticated,
            "{uris:?}"
        );
    }
    let identity = clients.issue_for(&[other]);
    assert_eq!(refused(Some(identity)).await, Code::PermissionDenied);

    let log = place.log();
    for said in [
        "has 0 URIs",
        "has 2 URIs",
        "which is no workload's SPIFFE id",
        other,
    ] {
        assert!(log.contains(said), "{said}: {log}");
    }
    // And it is no sidecar that could speak for others.
    let mut client = FeedClient::new(channel(&feeder, &servers, Some(app())));
    let mut request = Request::new(tokio_stream::empty());
    let xfcc = format!("URI={APP}").parse().unwrap();
    request
        .metadata_mut()
        .insert("x-forwarded-client-cert", xfcc);
    let refused = client.stream(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
}

#[test]
fn a_client_that_offers_an_earlier_session_to_the_feed_is_verified_again() {
    let place = Place::new();
    let (servers, clients) = (Authority::new(), Authority::new());
    let feeder = mutual(&place, &servers, &clients);
    for version in [&TLS12, &TLS13] {
        let app = clients.issue_for(&[APP]);
        let config = Arc::new(client(&servers, &[version], Some(app)));
        for _ in 0..3 {
            let mut stream = connect(&feeder, "feed", &config);
            // The server's first frame: what it gives to come again with, it has given before.
            stream.read_exact(&mut [0; 9]).unwrap();
            let kind = stream.conn.handshake_kind();
            assert_eq!(kind, Some(HandshakeKind::Full), "{version:?}");
        }
    }
}

/// The metric's value; none without it.
fn metric(feeder: &Feeder, name: &str) -> Option<f64> {
    let metrics = feeder.get("admin", "/metrics").body;
    let value = metrics.lines().find_map(|line| line.strip_prefix(name));
    value.map(|value| value.trim().parse().unwrap())
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waited = tokio::time::timeout(Duration::from_secs(20), async {
        while !holds().await {
            tokio::task::yield_now().await;
        }
    });
    assert!(waited.await.is_ok(), "no {what} in time");
}

#[tokio::test]
async fn new_certificates_are_served_with_and_an_open_stream_does_not_notice() {
    let place = Place::new();
    let (old, new, clients) = (Authority::new(), Authority::new(), Authority::new());
    let feeder = mutual(&place, &old, &clients);
    let expiry = "scimesh_feeder_tls_certificate_expiry_timestamp_seconds{server=\"feed\"}";
    assert!(metric(&feeder, expiry).unwrap() > 1e9);
    let mut client = FeedClient::new(channel(&feeder, &old, Some(clients.issue_for(&[APP]))));
    let (_says, said) = hello(scope("corp", &[], false)).await;
    let mut stream = client.stream(said).await.unwrap().into_inner();
    assert!(stream.message().await.unwrap().is_some());

    // Half of it changes nothing, and is told.
    let (cert, key) = new.issue();
    place.write("cert.pem", &cert);
    let failed = "scimesh_feeder_tls_reloads_total{server=\"feed\",outcome=\"failed\"}";
    until("word of half a pair", async || {
        metric(&feeder, failed).is_some()
    })
    .await;
    let identity = || Some(clients.issue_for(&[APP]));
    opens(&feeder, &old, identity()).await.unwrap();
    assert!(place.log().contains("key.pem"), "{}", place.log());

    place.write("key.pem", &key);
    until("new certificates", async || {
        opens(&feeder, &new, identity()).await.is_ok()
    })
    .await;
    assert!(opens(&feeder, &old, identity()).await.is_err());

    // And so are the authorities of clients.
    let others = Authority::new();
    place.write("ca.pem", &others.pem());
    let identity = || Some(others.issue_for(&[APP]));
    until("new authorities", async || {
        opens(&feeder, &new, identity()).await.is_ok()
    })
    .await;
    let former = Some(clients.issue_for(&[APP]));
    assert!(opens(&feeder, &new, former).await.is_err());

    let still = tokio::time::timeout(Duration::from_millis(10), stream.message()).await;
    assert!(still.is_err(), "the stream has ended: {still:?}");
}

#[tokio::test]
async fn one_identity_has_no_more_connections_than_its_share() {
    let place = Place::new();
    let (servers, clients) = (Authority::new(), Authority::new());
    let feeder = mutual_within(&place, &servers, &clients, &["connections-per-peer=1"]);
    let mut first = FeedClient::new(channel(&feeder, &servers, Some(clients.issue_for(&[APP]))));
    let (says, said) = hello(scope("corp", &[], false)).await;
    let mut stream = first.stream(said).await.unwrap().into_inner();
    assert!(stream.message().await.unwrap().is_some());

    let app = || Some(clients.issue_for(&[APP]));
    assert!(opens(&feeder, &servers, app()).await.is_err());
    let other = Some(clients.issue_for(&["spiffe://td/ns/shop/sa/other"]));
    let other = opens(&feeder, &servers, other).await.unwrap_err();
    assert_eq!(other.code(), Code::PermissionDenied, "it was heard");
    let log = place.log();
    assert!(log.contains("the limit is connections-per-peer"), "{log}");

    drop((says, stream, first));
    until("room again", async || {
        opens(&feeder, &servers, app()).await.is_ok()
    })
    .await;
}

#[tokio::test]
async fn a_connection_lasts_no_longer_than_its_certificate() {
    let place = Place::new();
    let (servers, clients) = (Authority::new(), Authority::new());
    let feeder = mutual(&place, &servers, &clients);
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![SanType::URI(APP.try_into().unwrap())];
    let begins = std::time::SystemTime::now();
    params.not_before = (begins - Duration::from_secs(60)).into();
    params.not_after = (begins + Duration::from_secs(5)).into();
    let cert = params.signed_by(&key, &clients.0).unwrap();
    let identity = (cert.pem(), key.serialize_pem());

    let mut client = FeedClient::new(channel(&feeder, &servers, Some(identity)));
    let (_says, said) = hello(scope("corp", &[], false)).await;
    let mut stream = client.stream(said).await.unwrap().into_inner();
    assert!(stream.message().await.unwrap().is_some());
    let ended = tokio::time::timeout(Duration::from_secs(20), stream.message()).await;
    assert!(ended.unwrap().is_err());
}

#[tokio::test]
async fn whoever_probes_the_feeds_port_learns_whether_the_feeder_is_ready() {
    let place = Place::new();
    let feeder = place.start();
    let address = format!("http://{}", feeder.address("feed"));
    let channel = Channel::from_shared(address).unwrap().connect_lazy();
    let mut health = HealthClient::new(channel);
    let mut check = async |service: &str| {
        let service = service.to_owned();
        let checked = health.check(HealthCheckRequest { service }).await;
        checked
            .map(|answer| answer.into_inner().status())
            .map_err(|status| status.code())
    };
    assert_eq!(check("").await, Ok(ServingStatus::Serving));
    assert_eq!(
        check("scimesh.feed.v1.Feed").await,
        Ok(ServingStatus::Serving)
    );
    assert_eq!(check("scimesh.other").await, Err(Code::NotFound));
}
