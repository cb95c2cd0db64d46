use std::cell::Cell;

use scimesh_engine::{Claim, Claims, Connection, Lease, Reason, Request, decide};
use scimesh_proto::binding::{Attribute, Binding, GroupName, GroupsClaim, Source};
use scimesh_proto::digest::Key;
use scimesh_proto::position::{History, Position, Proof};
use scimesh_proto::snapshot::{TermSet, TermState};
use serde_json::json;

use super::*;

const ISSUER: &str = "https://idp.example";

fn at(seconds: u64) -> Moment {
    Moment {
        monotonic: Duration::from_secs(1000 + seconds),
        wall: Duration::from_secs(1_800_000_000 + seconds),
    }
}

fn policy() -> Policy {
    let policy = json!({
        "name": "edge", "tenant": "corp", "feed": { "cluster": "feed" }, "mode": "SHADOW",
        "rules": [
            { "name": "trial", "to": [{ "methods": ["*"] }], "require": { "anyOf": ["group:b"] }, "mode": "SHADOW" },
            { "name": "all", "to": [{ "methods": ["*"] }], "require": { "anyOf": ["group:a"] } },
        ],
    });
    Policy::parse(policy.to_string().as_bytes()).unwrap()
}

/// A directory where nobody is known but, by the numbers given, those in group a. Tokens list groups if `lists`.
fn directory(members: impl IntoIterator<Item = u32>, lists: bool) -> Snapshot {
    let position = Position {
        history: History {
            generation: 1,
            id: [1; 16],
        },
        revision: 1,
        proof: Proof([0; 16]),
    };
    let groups = GroupsClaim {
        claim: "groups".into(),
        is: GroupName::DisplayName,
    };
    let binding = Binding {
        source: Source::Token {
            issuer: ISSUER.into(),
            claim: "sub".into(),
            pin: None,
            groups: lists.then_some(groups),
        },
        attribute: Attribute::ExternalId,
        ignore_case: false,
    };
    let states = vec![TermState::Found; 2];
    let scope = policy().scope().clone();
    let mut snapshot = Snapshot::new(
        scope,
        position,
        Key::new([7; 32]),
        vec![binding.clone()],
        states,
    );
    for member in members {
        let subject = snapshot.subject(&binding, member.to_string().as_bytes());
        snapshot
            .insert(subject, TermSet::from_indices([0]))
            .unwrap();
    }
    snapshot
}

fn subject(snapshot: &Snapshot, number: u32) -> Subject {
    let name = number.to_string().into_bytes();
    Subject {
        digest: snapshot.subject(&snapshot.bindings()[0], &name),
        issuer: ISSUER.into(),
        name,
    }
}

impl Seen {
    /// Somebody's token that lists these groups, or none; returns whether it was asked.
    fn sees(
        &mut self,
        snapshot: &Snapshot,
        number: u32,
        groups: Option<&[&str]>,
        seconds: u64,
    ) -> bool {
        let asked = Cell::new(false);
        self.compare(snapshot, &subject(snapshot, number), at(seconds), |claim| {
            assert_eq!(claim, "groups");
            asked.set(true);
            Some(
                groups?
                    .iter()
                    .map(|name| name.as_bytes().to_vec())
                    .collect(),
            )
        });
        asked.get()
    }
}

/// Who is in the report, what they have lost and gained.
fn drifts(report: &Report) -> Vec<(&[u8], &[u32], &[u32])> {
    let drifts = report.drifts.iter();
    drifts
        .map(|drift| (&*drift.subject, &*drift.gone, &*drift.gained))
        .collect()
}

#[test]
fn a_token_is_asked_for_its_groups_once_a_minute_and_only_where_it_lists_any() {
    let (snapshot, silent) = (directory([1], true), directory([1], false));
    let mut seen = Seen::default();
    assert!(!seen.sees(&silent, 1, Some(&["a"]), 0));
    assert_eq!(seen.report(at(0)), None);
    assert!(seen.sees(&snapshot, 1, Some(&["a"]), 0));
    assert!(seen.sees(&snapshot, 2, None, 1), "somebody else");
    assert!(!seen.sees(&snapshot, 1, Some(&["a"]), 59));
    assert!(seen.sees(&snapshot, 1, Some(&["a"]), 60));
    let report = seen.report(at(60)).unwrap();
    assert_eq!(
        (report.compared, report.unknown, report.left_out),
        (3, 1, 0)
    );
    assert_eq!(drifts(&report), []);
}

#[test]
fn a_token_that_differs_is_reported_each_time_and_its_agreement_once() {
    let snapshot = directory([1], true);
    let one = subject(&snapshot, 1).digest.0;
    let two = subject(&snapshot, 2).digest.0;
    let mut seen = Seen::default();
    let mut reported = |number, groups: Option<&[&str]>, minute: u64| {
        assert!(seen.sees(&snapshot, number, groups, 60 * minute));
        let report = seen.report(at(60 * minute)).unwrap();
        let told = drifts(&report);
        let owned = |(who, gone, gained): &(&[u8], &[u32], &[u32])| {
            (who.to_vec(), gone.to_vec(), gained.to_vec())
        };
        told.iter().map(owned).collect::<Vec<_>>()
    };
    let told = |who: [u8; 16], gone: &[u32], gained: &[u32]| {
        vec![(who.to_vec(), gone.to_vec(), gained.to_vec())]
    };
    assert_eq!(reported(1, Some(&["a", "b"]), 0), told(one, &[1], &[]));
    assert_eq!(reported(1, Some(&["b"]), 1), told(one, &[1], &[0]));
    // A token that does not say takes nothing back.
    assert_eq!(reported(1, None, 2), []);
    assert_eq!(reported(1, Some(&["a"]), 3), told(one, &[], &[]));
    assert_eq!(reported(1, Some(&["a"]), 4), []);
    // Whoever the directory does not know.
    assert_eq!(reported(2, Some(&["a"]), 5), told(two, &[0], &[]));
    assert_eq!(reported(2, Some(&[]), 6), told(two, &[], &[]));
}

#[test]
fn reports_are_ten_seconds_apart_and_none_is_empty() {
    let snapshot = directory([1], true);
    let mut seen = Seen::default();
    assert_eq!(seen.report(at(0)), None);
    seen.sees(&snapshot, 1, Some(&["a"]), 1);
    assert!(seen.report(at(1)).is_some());
    assert_eq!(seen.report(at(30)), None);
    seen.sees(&snapshot, 2, Some(&["a"]), 30);
    let report = seen.report(at(30)).unwrap();
    assert_eq!(
        report.compared, 1,
        "what was reported is not reported again"
    );
    seen.sees(&snapshot, 3, Some(&["a"]), 31);
    assert_eq!(seen.report(at(39)), None);
    assert!(seen.report(at(40)).is_some());
}

#[test]
fn what_is_kept_is_bounded_and_what_is_left_out_counted() {
    let snapshot = directory([], true);
    let mut seen = Seen::default();
    let asked = (0..5000).filter(|number| seen.sees(&snapshot, *number, Some(&["a"]), 0));
    assert_eq!(asked.count(), MAX_SUBJECTS);
    let report = seen.report(at(0)).unwrap();
    assert_eq!(report.drifts.len(), MAX_REPORTED);
    assert_eq!(report.compared, MAX_SUBJECTS as u64);
    assert_eq!(report.left_out, (MAX_SUBJECTS - MAX_REPORTED) as u64);
    assert!(!seen.sees(&snapshot, 5000, Some(&["a"]), 59), "no room");
    // After their minute they make room, also where they differ.
    assert!(seen.sees(&snapshot, 0, Some(&["a"]), 60));
    assert!(seen.report(at(60)).is_some());
    assert!(seen.sees(&snapshot, 5000, Some(&["a"]), 60));
    assert_eq!(seen.subjects.len(), 2);
}

#[test]
fn an_agreement_for_which_a_report_had_no_room_is_told_later() {
    let snapshot = directory([], true);
    let mut seen = Seen::default();
    seen.sees(&snapshot, 0, Some(&["a"]), 0);
    assert_eq!(seen.report(at(0)).unwrap().drifts.len(), 1);
    for number in 1..=MAX_REPORTED as u32 {
        seen.sees(&snapshot, number, Some(&["a"]), 60);
    }
    seen.sees(&snapshot, 0, Some(&[]), 60);
    let report = seen.report(at(60)).unwrap();
    assert_eq!((report.drifts.len(), report.left_out), (MAX_REPORTED, 1));
    seen.sees(&snapshot, 0, Some(&[]), 120);
    let report = seen.report(at(120)).unwrap();
    let zero = subject(&snapshot, 0).digest.0;
    assert_eq!(drifts(&report), [(&zero[..], &[][..], &[][..])]);
}

/// A token of this number.
struct Token(u32);

impl Claims for Token {
    fn claim(&self, name: &str) -> Claim {
        match name {
            "iss" => Claim::Text(ISSUER.into()),
            "sub" => Claim::Text(self.0.to_string().into_bytes()),
            _ => Claim::Absent,
        }
    }
}

struct Nowhere;

impl Connection for Nowhere {
    fn local_port(&self) -> Option<u16> {
        None
    }

    fn peer(&self) -> Option<Vec<u8>> {
        None
    }
}

fn decided(snapshot: &Snapshot, token: Option<&Token>) -> Decision {
    let mut lease = Lease::default();
    lease.renew(at(0));
    let request = Request {
        method: b"GET",
        path: Some(b"/"),
        host: b"a.example",
        connection: &Nowhere,
        token: token.map(|token| token as _),
    };
    decide(&policy(), Some(snapshot), &lease, &request, at(0))
}

#[test]
fn what_shadow_would_refuse_is_counted_by_rule_reason_and_subject() {
    let snapshot = directory([1], true);
    let mut seen = Seen::default();
    for token in [Some(Token(1)), Some(Token(1)), Some(Token(2)), None] {
        seen.refused(&policy(), &decided(&snapshot, token.as_ref()));
    }
    let report = seen.report(at(0)).unwrap();
    let refusals = report.shadow_refusals.iter();
    let mut told: Vec<_> = refusals
        .map(|refusal| {
            assert_eq!(refusal.policy, "edge");
            (
                &*refusal.rule,
                &*refusal.reason,
                &*refusal.subject,
                refusal.requests,
            )
        })
        .collect();
    told.sort();
    let (one, two) = (
        subject(&snapshot, 1).digest.0,
        subject(&snapshot, 2).digest.0,
    );
    let mut expected = [
        ("trial", "not_permitted", &one[..], 2),
        ("trial", "unknown_subject", &two, 1),
        ("all", "unknown_subject", &two, 1),
        ("trial", "no_token", &[], 1),
        ("all", "no_token", &[], 1),
    ];
    expected.sort();
    assert_eq!(told, expected);
    assert_eq!(seen.report(at(100)), None);
}

#[test]
fn refusals_in_shadow_are_bounded_too() {
    let snapshot = directory([], true);
    let mut seen = Seen::default();
    for number in 0..1000 {
        let decision = decided(&snapshot, Some(&Token(number)));
        assert_eq!(decision.would_refuse, Some(Reason::UnknownSubject));
        seen.refused(&policy(), &decision);
        seen.refused(&policy(), &decision);
    }
    let report = seen.report(at(0)).unwrap();
    assert_eq!(report.shadow_refusals.len(), MAX_REPORTED);
    let told: u64 = report
        .shadow_refusals
        .iter()
        .map(|refusal| refusal.requests)
        .sum();
    assert_eq!(told + report.left_out, 4000);
}
