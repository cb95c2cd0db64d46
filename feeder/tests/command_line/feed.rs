//! Who may open a stream, and what becomes of it when the feeder stops.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use scimesh_proto::wire::v1::feed_client::FeedClient;
use scimesh_proto::wire::v1::{FeederMessage, FilterMessage};
use tonic::{Code, Request, Status, Streaming};

use crate::feeder::{Feeder, Place};

/// Opens a stream that says nothing, with this header if one is given.
async fn open(feeder: &Feeder, xfcc: Option<&str>) -> Result<Streaming<FeederMessage>, Status> {
    let address = format!("http://{}", feeder.address("feed"));
    let mut client = FeedClient::connect(address).await.unwrap();
    let mut request = Request::new(tokio_stream::pending::<FilterMessage>());
    if let Some(xfcc) = xfcc {
        let metadata = request.metadata_mut();
        metadata.insert("x-forwarded-client-cert", xfcc.parse().unwrap());
    }
    Ok(client.stream(request).await?.into_inner())
}

const SIDECARS: &str =
    "By=spiffe://td/ns/scimesh-system/sa/scimesh-feeder;URI=spiffe://td/ns/shop/sa/accounts";

#[tokio::test]
async fn behind_a_sidecar_a_stream_needs_the_sidecars_word() {
    let place = Place::new();
    let rules =
        "{ tenants: {}, feedAccess: [{ peer: spiffe://td/ns/shop/sa/*, tenants: [corp] }] }";
    let mut serve = place.serve();
    serve.env("SCIMESH_FEED_BEHIND_SIDECAR", "true");
    serve.arg("--config").arg(place.write("access.yaml", rules));
    let feeder = place.start_as(serve);
    assert!(open(&feeder, Some(SIDECARS)).await.is_ok());
    let refused = open(&feeder, None).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn a_sidecars_word_without_the_flag_is_refused() {
    let place = Place::new();
    let feeder = place.start();
    assert!(open(&feeder, None).await.is_ok());
    let refused = open(&feeder, Some(SIDECARS)).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
}

#[tokio::test]
async fn an_open_stream_is_ended_and_holds_up_no_shutdown() {
    let place = Place::new();
    let feeder = place.start();
    let mut stream = open(&feeder, None).await.unwrap();
    let metrics = feeder.get("admin", "/metrics").body;
    assert!(
        metrics.contains("scimesh_feeder_feed_streams 1\n"),
        "{metrics}"
    );
    let status = tokio::task::spawn_blocking(|| feeder.end("-TERM"));
    let told = stream.message().await.unwrap_err();
    assert_eq!(told.code(), Code::Unavailable);
    assert!(status.await.unwrap().success(), "{}", place.log());
    assert!(!place.log().contains("in time"), "{}", place.log());
}

#[test]
fn a_peer_that_answers_no_ping_is_given_up() {
    let place = Place::new();
    let mut serve = place.serve();
    serve.env(
        "SCIMESH_FEED_LIMIT",
        "keepalive-seconds=1,keepalive-timeout-seconds=1",
    );
    let feeder = place.start_as(serve);
    let mut dead = TcpStream::connect(feeder.address("feed")).unwrap();
    dead.set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    // HTTP/2's preface and no settings; after that, not a word (RFC 9113 section 3.4).
    dead.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .unwrap();
    let mut heard = Vec::new();
    dead.read_to_end(&mut heard).unwrap();
    // A PING frame: eight bytes of type 6 on stream 0 (section 6.7).
    let ping = b"\0\0\x08\x06\0\0\0\0\0";
    assert!(heard.windows(ping.len()).any(|frame| frame == ping));
}
