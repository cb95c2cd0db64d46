//! Who gets what of the feed behind a sidecar, whose word for the peer these stories give themselves; and what a workload
//! with an honest identity can't do by what it says in its hello.

use std::time::Duration;

use scimesh_proto::wire::FORMAT;
use scimesh_proto::wire::v1::feed_client::FeedClient;
use scimesh_proto::wire::v1::feeder_message::Message;
use scimesh_proto::wire::v1::filter_message::Message as Said;
use scimesh_proto::wire::v1::{FeederMessage, FilterMessage, Hello, Node, Scope};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Status, Streaming};

use crate::feeder::{Feeder, Place};

const APP: &str = "spiffe://cluster.local/ns/shop/sa/app";
const STRANGER: &str = "spiffe://cluster.local/ns/else/sa/app";

const RULES: &str = "
tenants: { corp: {}, acme: {} }
feedAccess:
- peer: spiffe://cluster.local/ns/shop/sa/*
  tenants: [corp]
  terms: ['group:payments', 'group:ops-*']
";

fn start(place: &Place, flags: &[&str]) -> Feeder {
    let mut serve = place.serve();
    serve.arg("--feed-behind-sidecar").args(flags);
    place.start_as(serve)
}

fn apply(place: &Place, file: &str) {
    let path = place.write("access.yaml", file);
    place.done(&["apply", "-f", path.to_str().unwrap()]);
}

pub(crate) fn scope(tenant: &str, terms: &[&str], any_active: bool) -> Scope {
    Scope {
        tenant: tenant.to_owned(),
        terms: terms.iter().map(|term| (*term).to_owned()).collect(),
        any_active,
    }
}

/// What a filter says at first; it says nothing else until the sender is dropped, and then it ends.
pub(crate) async fn hello(
    scope: Scope,
) -> (mpsc::Sender<FilterMessage>, ReceiverStream<FilterMessage>) {
    let (says, said) = mpsc::channel(1);
    let hello = Hello {
        format: FORMAT,
        // Whoever it says it is.
        node: Some(Node {
            id: "sidecar~spiffe://cluster.local/ns/admin/sa/all".to_owned(),
            cluster: "acme".to_owned(),
            ..Node::default()
        }),
        scope: Some(scope),
        ..Hello::default()
    };
    let message = Some(Said::Hello(hello));
    says.send(FilterMessage { message }).await.unwrap();
    (says, ReceiverStream::new(said))
}

/// A stream that has said hello.
struct Stream {
    _says: mpsc::Sender<FilterMessage>,
    hears: Streaming<FeederMessage>,
}

impl Stream {
    async fn open(feeder: &Feeder, peer: &str, scope: Scope) -> Result<Stream, Status> {
        let address = format!("http://{}", feeder.address("feed"));
        let mut client = FeedClient::connect(address).await.unwrap();
        let (says, said) = hello(scope).await;
        let mut request = Request::new(said);
        let xfcc =
            format!("By=spiffe://cluster.local/ns/scimesh-system/sa/scimesh-feeder;URI={peer}");
        let metadata = request.metadata_mut();
        metadata.insert("x-forwarded-client-cert", xfcc.parse().unwrap());
        let hears = client.stream(request).await?.into_inner();
        Ok(Stream { _says: says, hears })
    }

    /// What it hears next, if that is not its end.
    async fn next(&mut self) -> Result<Message, Status> {
        let next = tokio::time::timeout(Duration::from_secs(20), self.hears.message());
        let next = next.await.unwrap()?;
        Ok(next.unwrap().message.unwrap())
    }

    /// What comes of asking.
    async fn ask(feeder: &Feeder, peer: &str, scope: Scope) -> Result<Stream, Status> {
        let mut stream = Stream::open(feeder, peer, scope).await?;
        match stream.next().await? {
            Message::Update(_) => Ok(stream),
            other => panic!("{other:?}"),
        }
    }
}

async fn refused(feeder: &Feeder, peer: &str, scope: Scope) -> Status {
    match Stream::ask(feeder, peer, scope).await {
        Ok(_) => panic!("{peer} got a stream"),
        Err(status) => status,
    }
}

fn refusals(feeder: &Feeder, reason: &str) -> Option<String> {
    let metrics = feeder.get("admin", "/metrics").body;
    let name = format!("scimesh_feeder_feed_streams_refused_total{{reason=\"{reason}\"}} ");
    let mut lines = metrics.lines();
    lines
        .find_map(|line| line.strip_prefix(&name))
        .map(str::to_owned)
}

#[tokio::test]
async fn without_a_rule_nobody_gets_a_stream() {
    let place = Place::new();
    let feeder = start(&place, &[]);
    assert!(
        place.log().contains("there is no rule of feedAccess"),
        "{}",
        place.log()
    );
    place.done(&["tenant", "create", "corp"]);
    let status = refused(&feeder, APP, scope("corp", &[], false)).await;
    assert_eq!(status.code(), Code::PermissionDenied);
    assert_eq!(refusals(&feeder, "no_rule").as_deref(), Some("1"));
    assert!(place.log().contains(APP), "{}", place.log());
}

#[tokio::test]
async fn an_honest_identity_gets_what_its_rules_say_whatever_its_hello_says() {
    let place = Place::new();
    let feeder = start(&place, &[]);
    apply(&place, RULES);
    let allowed = scope("corp", &["group:ops-eu", "group:payments"], false);
    Stream::ask(&feeder, APP, allowed.clone()).await.unwrap();

    let of_another_tenant = refused(&feeder, APP, scope("acme", &[], false)).await;
    assert_eq!(of_another_tenant.code(), Code::PermissionDenied);
    for (asked, reason) in [
        (scope("nowhere", &[], false), "tenant"),
        (scope("corp", &["group:salaries"], false), "term"),
        (scope("corp", &["groupExternalId:payments"], false), "term"),
        (
            scope(
                "corp",
                &["group:ops-eu", "group:payments", "role:owner"],
                false,
            ),
            "term",
        ),
        (scope("corp", &["group:payments"], true), "any_active"),
    ] {
        let status = refused(&feeder, APP, asked.clone()).await;
        // Not even whether there is such a tenant.
        assert_eq!(
            (status.code(), status.message()),
            (of_another_tenant.code(), of_another_tenant.message()),
            "{asked:?}"
        );
        assert!(refusals(&feeder, reason).is_some(), "{reason}");
        let log = place.log();
        assert!(log.contains(&format!("refusal=\"{reason}\"")), "{log}");
    }
    let status = refused(&feeder, STRANGER, allowed).await;
    assert_eq!(status.message(), of_another_tenant.message());
    assert_eq!(refusals(&feeder, "tenant").as_deref(), Some("2"));
}

#[tokio::test]
async fn a_change_of_the_rules_ends_the_streams_that_it_no_longer_allows() {
    let place = Place::new();
    let feeder = start(&place, &[]);
    apply(&place, RULES);
    let mut payments = Stream::ask(&feeder, APP, scope("corp", &["group:payments"], false))
        .await
        .unwrap();
    let mut ops = Stream::ask(&feeder, APP, scope("corp", &["group:ops-eu"], false))
        .await
        .unwrap();
    apply(&place, &RULES.replace("'group:payments', ", ""));
    let told = loop {
        if let Err(status) = payments.next().await {
            break status;
        }
    };
    assert_eq!(told.code(), Code::PermissionDenied);
    let metrics = feeder.get("admin", "/metrics").body;
    assert!(
        metrics.contains("scimesh_feeder_feed_streams 1\n"),
        "{metrics}"
    );

    // A tenant's end is no change of the rules; an empty list is one.
    apply(&place, "tenants: { corp: {} }");
    apply(&place, "{ tenants: {}, feedAccess: [] }");
    let told = loop {
        if let Err(status) = ops.next().await {
            break status;
        }
    };
    assert_eq!(told.code(), Code::PermissionDenied);
    let status = refused(&feeder, APP, scope("corp", &["group:ops-eu"], false)).await;
    assert_eq!(status.code(), Code::PermissionDenied);
}

#[tokio::test]
async fn one_identity_can_not_take_what_is_everybodys() {
    let place = Place::new();
    let flags = [
        "streams=5",
        "streams-per-peer=3",
        "scopes-per-peer=2",
        "terms-per-peer=4",
    ];
    let flags = flags.map(|limit| format!("--feed-limit={limit}"));
    let feeder = start(&place, &flags.each_ref().map(String::as_str));
    let file = "
tenants: { corp: {} }
feedAccess:
- peer: spiffe://cluster.local/ns/shop/sa/*
  tenants: [corp]
";
    apply(&place, file);
    let ask = |peer: &'static str, terms: &'static [&'static str]| {
        Stream::ask(&feeder, peer, scope("corp", terms, false))
    };
    const OTHER: &str = "spiffe://cluster.local/ns/shop/sa/other";
    let first = ask(APP, &["group:a", "group:b", "group:c"]).await.unwrap();
    let mut held = Vec::new();
    for (terms, limit) in [
        (&["group:a", "group:d"][..], "terms-per-peer"),
        (&["group:a"], ""),
        (&["group:b"], "scopes-per-peer"),
        (&["group:a"], ""),
        (&["group:a"], "streams-per-peer"),
    ] {
        match (ask(APP, terms).await, limit) {
            (Ok(stream), "") => held.push(stream),
            (Err(status), limit) => {
                assert_eq!(status.code(), Code::ResourceExhausted);
                assert!(status.message().contains(limit), "{status}");
                assert_eq!(refusals(&feeder, limit).as_deref(), Some("1"));
            }
            (Ok(_), limit) => panic!("beyond {limit}"),
        }
    }
    // Nobody else has less for it, up to what there is for all.
    let others = [
        ask(OTHER, &["group:a"]).await,
        ask(OTHER, &["group:z"]).await,
    ];
    assert!(others.iter().all(Result::is_ok));
    let status = match ask("spiffe://cluster.local/ns/shop/sa/third", &[]).await {
        Ok(_) => panic!("beyond all"),
        Err(status) => status,
    };
    assert_eq!(status.message(), "5 streams at once: the limit is streams");
    drop((first, held));
    while ask(APP, &["group:x", "group:y"]).await.is_err() {
        tokio::task::yield_now().await;
    }
}
