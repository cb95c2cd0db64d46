//! What filters see and report: `scimesh drift` and `scimesh shadow`, told by a filter that follows the real feed.

use prost::Message as _;
use scimesh_proto::binding::Binding;
use scimesh_proto::digest::Key;
use scimesh_proto::scope::{Scope, Term};
use scimesh_proto::wire::v1::feed_client::FeedClient;
use scimesh_proto::wire::v1::feeder_message::Message as FromFeeder;
use scimesh_proto::wire::v1::filter_message::Message as FromFilter;
use scimesh_proto::wire::{FORMAT, v1};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use crate::feeder::{Feeder, Place};

const ISSUER: &str = "https://idp.example";

/// A filter that has taken in a small snapshot.
struct Filter {
    out: mpsc::Sender<v1::FilterMessage>,
    inbound: Streaming<v1::FeederMessage>,
    key: Key,
    binding: Binding,
}

impl Filter {
    async fn follow(feeder: &Feeder, terms: &[&str]) -> Filter {
        let address = format!("http://{}", feeder.address("feed"));
        let mut client = FeedClient::connect(address).await.unwrap();
        let (out, outbound) = mpsc::channel(4);
        let terms = terms.iter().map(|term| Term::parse(term).unwrap());
        let scope = Scope::new("corp", terms, false).unwrap();
        let hello = v1::Hello {
            format: FORMAT,
            node: Some(v1::Node {
                id: "sidecar~1".to_owned(),
                ..Default::default()
            }),
            scope: Some((&scope).into()),
            ..Default::default()
        };
        send(&out, FromFilter::Hello(hello)).await;
        let stream = client.stream(ReceiverStream::new(outbound)).await.unwrap();
        let mut inbound = stream.into_inner();
        let message = inbound.message().await.unwrap().unwrap();
        let Some(FromFeeder::Update(update)) = message.message else {
            panic!("{message:?}");
        };
        let start = update.start.unwrap();
        assert!(update.end.is_some());
        let [binding] = &start.bindings.unwrap().bindings[..] else {
            panic!();
        };
        let ack = v1::Ack {
            position: start.position,
            memory: None,
        };
        send(&out, FromFilter::Ack(ack)).await;
        Filter {
            out,
            inbound,
            key: Key::from_bytes(&start.key).unwrap(),
            binding: Binding::try_from(binding.clone()).unwrap(),
        }
    }

    /// As a filter knows whoever has this externalId.
    fn subject(&self, name: &str) -> Vec<u8> {
        let digest = self.key.subject("corp", &self.binding, name.as_bytes());
        digest.0.to_vec()
    }

    fn drift(&self, name: &str, gone: &[u32], gained: &[u32]) -> v1::Drift {
        v1::Drift {
            subject: self.subject(name).into(),
            gone: gone.to_vec(),
            gained: gained.to_vec(),
        }
    }

    fn refusal(&self, name: Option<&str>, requests: u64) -> v1::ShadowRefusal {
        v1::ShadowRefusal {
            policy: "pay".to_owned(),
            rule: if name.is_some() { "refunds" } else { "" }.to_owned(),
            reason: if name.is_some() {
                "not_permitted"
            } else {
                "no_rule"
            }
            .to_owned(),
            subject: name
                .map(|name| self.subject(name))
                .unwrap_or_default()
                .into(),
            requests,
        }
    }

    /// Reports, and waits until the feeder has taken it in: whatever is said on a stream is heard in order.
    async fn reports(&mut self, report: v1::Report) -> Result<(), Status> {
        send(&self.out, FromFilter::Report(report.encode_to_vec().into())).await;
        let ping = v1::Ping {
            id: 1,
            lease_ms: 5000,
        };
        send(&self.out, FromFilter::Ping(ping)).await;
        self.inbound.message().await.map(drop)
    }
}

async fn send(out: &mpsc::Sender<v1::FilterMessage>, message: FromFilter) {
    let message = v1::FilterMessage {
        message: Some(message),
    };
    out.send(message).await.unwrap();
}

/// A tenant of three, of whom one is in the group, one no longer is, and one is inactive.
fn corp(place: &Place, feeder: &Feeder, groups_claim: &str) -> Vec<String> {
    let file =
        format!("tenants: {{ corp: {{ bindings: [{{ issuer: '{ISSUER}'{groups_claim} }}] }} }}");
    let path = place.write("corp.yaml", &file);
    place.done(&["apply", "-f", path.to_str().unwrap()]);
    let token = place.done(&["token", "create", "--tenant", "corp"]);
    let create = |what: &str, body: Value| {
        let answer = feeder.scim(
            token.trim_end(),
            &format!("POST /scim/v2/{what}"),
            &body.to_string(),
        );
        assert_eq!(answer.status, 201, "{}", answer.body);
        let made: Value = serde_json::from_str(&answer.body).unwrap();
        made["id"].as_str().unwrap().to_owned()
    };
    let users = [("olga", true), ("wim", true), ("yusuf", false)];
    let ids: Vec<String> = users
        .iter()
        .enumerate()
        .map(|(number, (name, active))| {
            let external_id = format!("0{number}");
            create(
                "Users",
                json!({"userName": name, "externalId": external_id, "active": active}),
            )
        })
        .collect();
    create(
        "Groups",
        json!({"displayName": "admins", "members": [{"value": ids[1]}]}),
    );
    ids
}

const LISTING: &str = ", groupsClaim: groups, groupsClaimIs: displayName";
/// The second one is a peer's word, and clears a terminal.
const TERMS: [&str; 2] = ["group:admins", "group:staff\u{1b}[2J"];

#[tokio::test]
async fn whose_tokens_claim_what_they_have_lost_is_told_by_group_and_by_name() {
    let place = Place::new();
    let feeder = place.start();
    let ids = corp(&place, &feeder, LISTING);
    let said = place.done(&["drift", "corp"]);
    assert!(
        said.contains("no token was compared in the last hour"),
        "{said}"
    );
    let nothing = &place.json(&["drift", "corp"])["tenants"][0];
    assert_eq!(
        (&nothing["heard"], &nothing["groups"]),
        (&json!(null), &json!([]))
    );
    assert_eq!(nothing["issuers"], json!([ISSUER]));

    let mut filter = Filter::follow(&feeder, &TERMS).await;
    let report = v1::Report {
        drifts: vec![
            filter.drift("00", &[0, 1], &[]),
            filter.drift("01", &[], &[0]),
            filter.drift("02", &[0], &[]),
            filter.drift("nobody", &[0], &[]),
        ],
        compared: 10,
        unknown: 3,
        left_out: 2,
        ..Default::default()
    };
    filter.reports(report).await.unwrap();
    let mut told = place.json(&["drift"])["tenants"][0].take();
    let heard = told["heard"].take();
    assert_eq!(
        (&heard["leftOut"], &told["compared"], &told["unknown"]),
        (&json!(2), &json!(10), &json!(3))
    );
    let proxies = heard["proxies"].as_array().unwrap();
    assert_eq!(
        (proxies.len(), &proxies[0]["proxy"], &proxies[0]["workload"]),
        (1, &json!("sidecar~1"), &json!("local"))
    );
    assert_eq!((&told["gone"], &told["gained"]), (&json!(3), &json!(1)));
    let [admins, staff] = &told["groups"].as_array().unwrap()[..] else {
        panic!("{told}");
    };
    assert_eq!(
        (&admins["term"], &staff["term"]),
        (&json!("group:admins"), &json!(TERMS[1]))
    );
    assert_eq!(
        (&admins["gone"]["subjects"], &staff["gone"]["subjects"]),
        (&json!(3), &json!(1))
    );
    let users = |row: &Value| {
        let named = row["named"].as_array().unwrap().iter();
        let mut users: Vec<String> = named.map(|one| one["users"].to_string()).collect();
        users.sort();
        users
    };
    let row = |number: usize, name: &str, active: bool| {
        json!([{"active": active, "id": ids[number], "userName": name}]).to_string()
    };
    let mut expected = vec![
        "[]".to_owned(),
        row(0, "olga", true),
        row(2, "yusuf", false),
    ];
    expected.sort();
    assert_eq!(users(&admins["gone"]), expected);
    assert_eq!(users(&admins["gained"]), [row(1, "wim", true)]);

    let text = place.done(&["drift", "corp"]);
    for sentence in [
        "10 tokens compared since",
        "by local (1 proxy)",
        "unknown: 3 of these do not list their groups",
        "incomplete: there was no room for 2",
        "3 subjects' tokens claim groups that they are out of, and 1 subjects' lack",
        "\ngroup:admins ",
        "\ngroup:staff\\u{1b}[2J  1",
        &format!("olga ({})", ids[0]),
        &format!("yusuf ({}, inactive)", ids[2]),
        "nobody known (",
    ] {
        assert!(text.contains(sentence), "{sentence}\n{text}");
    }

    let metrics = feeder.get("admin", "/metrics").body;
    for line in [
        r#"scimesh_feeder_drift_subjects{tenant="corp",kind="gone"} 3"#,
        r#"scimesh_feeder_drift_subjects{tenant="corp",kind="gained"} 1"#,
        r#"scimesh_feeder_drift_compared_total{tenant="corp"} 10"#,
        r#"scimesh_feeder_drift_unknown_total{tenant="corp"} 3"#,
        r#"scimesh_feeder_report_entries_left_out_total{tenant="corp"} 2"#,
        "scimesh_feeder_reports_total 1",
    ] {
        assert!(
            metrics.lines().any(|held| held == line),
            "{line}\n{metrics}"
        );
    }
    // Names are for the operator's eyes alone.
    for somewhere in [feeder.log(), metrics] {
        assert!(
            !somewhere.contains("olga") && !somewhere.contains("wim"),
            "{somewhere}"
        );
    }

    // By another stream, her token agrees again about one of the two.
    let mut other = Filter::follow(&feeder, &["group:admins"]).await;
    let agrees = v1::Report {
        drifts: vec![other.drift("00", &[], &[])],
        compared: 1,
        ..Default::default()
    };
    other.reports(agrees).await.unwrap();
    let told = &place.json(&["drift", "corp"])["tenants"][0];
    let count = |place: usize| told["groups"][place]["gone"]["subjects"].as_u64();
    assert_eq!(
        (count(0), count(1), &told["compared"]),
        (Some(2), Some(1), &json!(11))
    );
}

#[tokio::test]
async fn what_shadow_would_have_refused_is_told_by_rule_and_by_name() {
    let place = Place::new();
    let feeder = place.start();
    let ids = corp(&place, &feeder, "");
    let said = place.done(&["shadow"]);
    assert!(
        said.contains("tenant corp: no request was reported"),
        "{said}"
    );
    let said = place.done(&["drift"]);
    assert!(
        said.contains("no binding says where tokens list groups"),
        "{said}"
    );

    let mut filter = Filter::follow(&feeder, &TERMS).await;
    let report = v1::Report {
        shadow_refusals: vec![
            filter.refusal(None, 4),
            filter.refusal(Some("00"), 5),
            filter.refusal(Some("01"), 7),
        ],
        ..Default::default()
    };
    filter.reports(report).await.unwrap();
    let told = &place.json(&["shadow", "corp"])["tenants"][0];
    let [nobodys, refunds] = &told["refusals"].as_array().unwrap()[..] else {
        panic!("{told}");
    };
    let brief = |row: &Value| {
        json!([
            row["policy"],
            row["rule"],
            row["reason"],
            row["requests"],
            row["subjects"],
            row["moreSubjects"]
        ])
    };
    assert_eq!(brief(nobodys), json!(["pay", null, "no_rule", 4, 0, false]));
    assert_eq!(
        brief(refunds),
        json!(["pay", "refunds", "not_permitted", 12, 2, false])
    );
    let named = refunds["named"].as_array().unwrap().iter();
    let named: Vec<_> = named
        .map(|one| (&one["users"][0]["id"], &one["requests"]))
        .collect();
    let [one, two] = [json!(ids[1]), json!(ids[0])];
    assert_eq!(named, [(&one, &json!(7)), (&two, &json!(5))]);
    let text = place.done(&["shadow"]);
    let row = format!("wim ({}) 7x, olga ({}) 5x", ids[1], ids[0]);
    assert!(
        text.contains(&row) && text.contains("would have been refused since"),
        "{text}"
    );
    let metrics = feeder.get("admin", "/metrics").body;
    let line = r#"scimesh_feeder_shadow_refusals_total{tenant="corp"} 16"#;
    assert!(metrics.lines().any(|held| held == line), "{metrics}");
    let said = place.done(&["drift"]);
    assert!(
        said.contains("no binding says where tokens list groups"),
        "{said}"
    );

    for command in ["drift", "shadow"] {
        let said = place.refused(1, &[command, "acme"]);
        assert!(said.contains("acme"), "{said}");
    }
}

#[tokio::test]
async fn a_report_that_no_filter_sends_counts_for_nothing_and_ends_nothing() {
    let place = Place::new();
    let feeder = place.start();
    corp(&place, &feeder, LISTING);
    let mut honest = Filter::follow(&feeder, &TERMS).await;
    let mut other = Filter::follow(&feeder, &TERMS).await;
    let wrong = v1::Report {
        drifts: vec![other.drift("00", &[2], &[])],
        compared: 1,
        ..Default::default()
    };
    // Leases hang on the stream, and nothing on a report.
    other.reports(wrong).await.unwrap();
    let right = v1::Report {
        compared: 1,
        ..Default::default()
    };
    honest.reports(right.clone()).await.unwrap();
    // Again at once: it is not listened to, and not let go.
    honest.reports(right).await.unwrap();
    assert_eq!(place.json(&["drift"])["tenants"][0]["compared"], 1);
    let metrics = feeder.get("admin", "/metrics").body;
    assert!(
        metrics.contains("scimesh_feeder_reports_dropped_total 2\n"),
        "{metrics}"
    );
    feeder.kill();
    assert!(place.run(&["drift"]).status.code() == Some(3));
}
