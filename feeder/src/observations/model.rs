//! Random reports against a naive model, the bounds, and what no filter says.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use proptest::prelude::*;
use prost::Message as _;
use scimesh_proto::digest::{Key, SubjectDigest};
use scimesh_proto::position::History;
use scimesh_proto::scope::Term;

use super::*;
use crate::directory::{Directory, Draft, Keys};

/// Tenants that exist.
fn directory(tenants: &[&str]) -> Directory {
    let history = History {
        generation: 1,
        id: [1; 16],
    };
    let keys = Keys {
        content: Key::new([2; 32]),
        proof: Key::new([3; 32]),
    };
    let empty = Directory::new(history, 0, keys);
    let mut draft = Draft::new(&empty, Timestamp::UNIX_EPOCH);
    for tenant in tenants {
        draft.create_tenant(tenant).unwrap();
    }
    draft.finish().directory
}

fn scope(terms: impl IntoIterator<Item = String>) -> Scope {
    let terms = terms.into_iter().map(|term| Term::parse(&term).unwrap());
    Scope::new("corp", terms, false).unwrap()
}

fn subject(number: u32) -> Vec<u8> {
    u128::from(number).to_be_bytes().to_vec()
}

fn reporter() -> Reporter {
    Reporter {
        workload: "spiffe://td/w".to_owned(),
        proxy: "p".to_owned(),
    }
}

fn drift(number: u32, gone: Vec<u32>, gained: Vec<u32>) -> v1::Drift {
    v1::Drift {
        subject: subject(number).into(),
        gone,
        gained,
    }
}

fn refusal(rule: &str, reason: &str, number: Option<u32>, requests: u64) -> v1::ShadowRefusal {
    v1::ShadowRefusal {
        policy: "pay".to_owned(),
        rule: rule.to_owned(),
        reason: reason.to_owned(),
        subject: number.map(subject).unwrap_or_default().into(),
        requests,
    }
}

/// A feeder's end of it, and the time.
struct Heard {
    observations: Observations,
    metrics: ReportMetrics,
    directory: Directory,
    began: Instant,
    now: Instant,
}

impl Heard {
    fn new() -> Heard {
        let (metrics, now) = (ReportMetrics::default(), Instant::now());
        Heard {
            observations: Observations::new(metrics.clone(), now),
            metrics,
            directory: directory(&["corp", "acme"]),
            began: now,
            now,
        }
    }

    fn tenant(&self) -> &Tenant {
        self.directory.tenant("corp").unwrap()
    }

    /// A report of a stream's own.
    fn hears(&self, scope: &Scope, wire: v1::Report) -> Result<(), Malformed> {
        let tenant = Some(self.tenant());
        (self.observations).receive(
            &mut None,
            scope,
            tenant,
            reporter,
            &wire.encode_to_vec(),
            self.now,
        )
    }

    fn wait(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }
}

/// What one VM says of a subject, over one of two scopes that have a term in common.
#[derive(Debug, Clone)]
struct Says {
    seconds: u64,
    wide: bool,
    subject: u32,
    gone: BTreeSet<u32>,
    gained: BTreeSet<u32>,
    requests: u64,
}

fn says() -> impl Strategy<Value = Says> {
    let places = || prop::collection::btree_set(0..2_u32, 0..3);
    let seconds = prop_oneof![3 => 0..300_u64, 1 => 0..3_000_u64];
    (
        seconds,
        any::<bool>(),
        0..4_u32,
        places(),
        places(),
        0..5_u64,
    )
        .prop_map(|(seconds, wide, subject, gone, gained, requests)| Says {
            seconds,
            wide,
            subject,
            gained: gained.difference(&gone).copied().collect(),
            gone,
            requests,
        })
}

proptest! {
    #[test]
    fn what_was_said_last_within_the_hour_is_told(all in prop::collection::vec(says(), 1..60)) {
        let scopes = [["group:a", "group:b"], ["group:b", "groupExternalId:c"]];
        let mut heard = Heard::new();
        // Of a subject and a term: which side, and when.
        let mut said: BTreeMap<(u32, &str), (bool, Instant)> = BTreeMap::new();
        let mut refused: Vec<(u64, u32, u64)> = Vec::new();
        for says in all {
            heard.wait(says.seconds);
            let terms = scopes[usize::from(says.wide)];
            let scope = scope(terms.map(str::to_owned));
            let wire = v1::Report {
                drifts: vec![drift(
                    says.subject,
                    says.gone.iter().copied().collect(),
                    says.gained.iter().copied().collect(),
                )],
                compared: 1,
                shadow_refusals: vec![refusal("r", "not_permitted", Some(says.subject), says.requests)],
                ..Default::default()
            };
            heard.hears(&scope, wire).unwrap();
            said.retain(|(subject, term), _| *subject != says.subject || !terms.contains(term));
            let places = says.gone.iter().map(|place| (place, true));
            for (place, gone) in places.chain(says.gained.iter().map(|place| (place, false))) {
                said.insert((says.subject, terms[*place as usize]), (gone, heard.now));
            }
            said.retain(|_, (_, at)| heard.now - *at < Duration::from_secs(3600));
            refused.push(((heard.now - heard.began).as_secs() / 300, says.subject, says.requests));

            let told = heard.observations.drifts(heard.tenant(), heard.now).unwrap();
            let mut expected: BTreeMap<Arc<str>, Sides> = BTreeMap::new();
            for ((subject, term), (gone, at)) in &said {
                let sides = expected.entry((*term).into()).or_default();
                let subject = SubjectDigest(u128::from(*subject).to_be_bytes());
                let seen = Seen { at: *at, subject };
                match gone {
                    true => sides.gone.push(seen),
                    false => sides.gained.push(seen),
                }
            }
            prop_assert_eq!(&told.seen, &expected);
            let count = |side: bool| {
                let of = said.iter().filter(|(_, (gone, _))| *gone == side);
                of.map(|((subject, _), _)| subject).collect::<BTreeSet<_>>().len()
            };
            let subjects = heard.observations.subjects(heard.tenant(), heard.now);
            prop_assert_eq!(subjects, (count(true), count(false)));

            let slot = (heard.now - heard.began).as_secs() / 300;
            let lately = refused.iter().filter(|(at, _, _)| slot - at <= 12);
            let told = heard.observations.refusals(heard.tenant(), heard.now).unwrap();
            prop_assert_eq!(told.compared, lately.clone().count() as u64);
            prop_assert_eq!(told.seen.len(), 1);
            let requests: u64 = lately.map(|(_, _, requests)| requests).sum();
            prop_assert_eq!(told.seen[0].requests, requests);
            // Nothing is counted that is not there, and nothing that is there is not counted.
            let registry = heard.observations.0.registry.lock().unwrap();
            let observed = &registry.tenants["corp"];
            let there = observed.drifts.entries() + observed.refusals.entries();
            prop_assert_eq!((observed.entries, registry.entries), (there, there));
        }
        heard.wait(3_700);
        prop_assert!(heard.observations.drifts(heard.tenant(), heard.now).is_none());
        let registry = heard.observations.0.registry.lock().unwrap();
        prop_assert_eq!((registry.entries, registry.tenants.len()), (0, 0));
    }
}

#[test]
fn there_is_only_so_much_room_and_what_finds_none_is_counted() {
    let heard = Heard::new();
    let scope = scope((0..1000).map(|number| format!("group:{number}")));
    let all: Vec<u32> = (0..1000).collect();
    let many = |first: u32| v1::Report {
        drifts: (first..first + 5)
            .map(|number| drift(number, all.clone(), vec![]))
            .collect(),
        ..Default::default()
    };
    // Of five thousand places, four are taken in; the rest comes with the next report.
    for first in (0..60).step_by(4) {
        heard.hears(&scope, many(first)).unwrap();
    }
    let told = heard.observations.drifts(heard.tenant(), heard.now);
    let told = told.unwrap();
    let entries = told.seen.values().map(|sides| sides.gone.len());
    assert_eq!(entries.sum::<usize>(), MAX_OF_TENANT);
    assert_eq!(told.left_out, 15 * 1000 + 10_000);
    // There is none for a refusal, until somebody's tokens agree again.
    let refused = || v1::Report {
        shadow_refusals: vec![refusal("r", "nobody", None, 7)],
        ..Default::default()
    };
    let rows = || {
        let told = heard.observations.refusals(heard.tenant(), heard.now);
        told.unwrap().seen.len()
    };
    heard.hears(&scope, refused()).unwrap();
    assert_eq!(rows(), 0);
    let agrees = v1::Report {
        drifts: vec![drift(3, vec![], vec![])],
        ..Default::default()
    };
    heard.hears(&scope, agrees).unwrap();
    heard.hears(&scope, refused()).unwrap();
    assert_eq!(rows(), 1);
    // Another tenant has its own.
    let acme = heard.directory.tenant("acme").unwrap();
    let observations = &heard.observations;
    observations
        .receive(
            &mut None,
            &scope,
            Some(acme),
            reporter,
            &refused().encode_to_vec(),
            heard.now,
        )
        .unwrap();
    let told = observations.refusals(acme, heard.now).unwrap();
    assert_eq!((told.seen.len(), told.left_out), (1, 0));
}

#[test]
fn of_many_subjects_of_a_refusal_some_are_named_and_it_is_said_that_there_are_others() {
    let heard = Heard::new();
    let scope = scope(["group:a".to_owned()]);
    for first in [0, 100] {
        let subjects = first..first + 100;
        let wire = v1::Report {
            shadow_refusals: subjects
                .map(|number| refusal("r", "not_permitted", Some(number), 2))
                .collect(),
            ..Default::default()
        };
        heard.hears(&scope, wire).unwrap();
        let told = heard.observations.refusals(heard.tenant(), heard.now);
        let [row] = &told.unwrap().seen[..] else {
            panic!()
        };
        assert_eq!(row.requests, u64::from(first + 100) * 2);
        assert_eq!((row.subjects.len(), row.others), (100, first == 100));
        assert!(row.subjects.iter().all(|subject| subject.requests == 2));
    }
}

#[test]
fn a_stream_that_reports_too_often_is_not_listened_to_in_between() {
    let mut heard = Heard::new();
    let scope = scope(["group:a".to_owned()]);
    let mut last = None;
    let mut says = |heard: &Heard, unknown| {
        let wire = v1::Report {
            compared: 1,
            unknown,
            ..Default::default()
        };
        let tenant = Some(heard.tenant());
        (heard.observations).receive(
            &mut last,
            &scope,
            tenant,
            reporter,
            &wire.encode_to_vec(),
            heard.now,
        )
    };
    says(&heard, 0).unwrap();
    // Not even whether it makes sense is looked at.
    says(&heard, 2).unwrap();
    heard.wait(1);
    says(&heard, 1).unwrap();
    assert!(says(&heard, 2).is_ok());
    heard.wait(1);
    assert!(says(&heard, 2).is_err());
    let told = heard.observations.drifts(heard.tenant(), heard.now);
    let told = told.unwrap();
    assert_eq!((told.compared, told.unknown), (2, 1));
    assert_eq!(
        told.reporters,
        [(reporter(), heard.now - Duration::from_secs(1))]
    );
    let metrics = &heard.metrics;
    assert_eq!((metrics.reports.get(), metrics.dropped.get()), (2, 3));
}

#[test]
fn a_tenant_of_the_same_name_is_another_one_and_of_none_nothing_is_kept() {
    let heard = Heard::new();
    let scope = scope(["group:a".to_owned()]);
    let wire = || v1::Report {
        drifts: vec![drift(1, vec![0], vec![])],
        ..Default::default()
    };
    let (observations, now) = (&heard.observations, heard.now);
    observations
        .receive(
            &mut None,
            &scope,
            None,
            reporter,
            &wire().encode_to_vec(),
            now,
        )
        .unwrap();
    assert!(observations.drifts(heard.tenant(), now).is_none());
    heard.hears(&scope, wire()).unwrap();
    assert_eq!(observations.subjects(heard.tenant(), now), (1, 0));
    let mut draft = Draft::new(&heard.directory, Timestamp::UNIX_EPOCH);
    draft.delete_tenant("corp").unwrap();
    draft.create_tenant("corp").unwrap();
    let again = draft.finish().directory;
    let successor = again.tenant("corp").unwrap();
    assert!(observations.drifts(successor, now).is_none());
    assert_eq!(observations.subjects(successor, now), (0, 0));
    observations
        .receive(
            &mut None,
            &scope,
            Some(successor),
            reporter,
            &wire().encode_to_vec(),
            now,
        )
        .unwrap();
    assert_eq!(observations.subjects(successor, now), (1, 0));
    assert_eq!(observations.0.registry.lock().unwrap().entries, 1);
}

#[test]
fn what_no_filter_says_is_an_error_and_changes_nothing() {
    let heard = Heard::new();
    let scope = scope(["group:a", "group:b", "role:r"].map(str::to_owned));
    let drifts = |drifts| v1::Report {
        drifts,
        ..Default::default()
    };
    let short = v1::Drift {
        subject: vec![1; 15].into(),
        ..Default::default()
    };
    let nobodys = v1::ShadowRefusal {
        subject: vec![1; 17].into(),
        ..refusal("r", "nobody", None, 1)
    };
    let named = |policy: &str| v1::ShadowRefusal {
        policy: policy.to_owned(),
        ..refusal("r", "nobody", None, 1)
    };
    let refusals = |shadow_refusals| v1::Report {
        shadow_refusals,
        ..Default::default()
    };
    for (wire, field) in [
        (drifts(vec![short]), "drift.subject"),
        (drifts(vec![drift(1, vec![3], vec![])]), "drift.gone"),
        (drifts(vec![drift(1, vec![2], vec![])]), "drift.gone"),
        (drifts(vec![drift(1, vec![1, 0], vec![])]), "drift.gone"),
        (drifts(vec![drift(1, vec![], vec![0, 0])]), "drift.gained"),
        (drifts(vec![drift(1, vec![0], vec![0])]), "drift.gained"),
        (
            drifts(
                (0..257)
                    .map(|number| drift(number, vec![], vec![]))
                    .collect(),
            ),
            "report.drifts",
        ),
        (
            v1::Report {
                compared: 1,
                unknown: 2,
                ..Default::default()
            },
            "report.unknown",
        ),
        (
            v1::Report {
                compared: 1 << 32,
                ..Default::default()
            },
            "report.compared",
        ),
        (
            v1::Report {
                left_out: u64::MAX,
                ..Default::default()
            },
            "report.left_out",
        ),
        (
            refusals(vec![refusal("r", "permitted", None, 1)]),
            "shadow_refusal.reason",
        ),
        (
            refusals(vec![refusal("r", "because", None, 1)]),
            "shadow_refusal.reason",
        ),
        (
            refusals(vec![refusal("R", "nobody", None, 1)]),
            "shadow_refusal.rule",
        ),
        (
            refusals(vec![refusal("\x1b[2J", "nobody", None, 1)]),
            "shadow_refusal.rule",
        ),
        (
            refusals(vec![named(&"a".repeat(64))]),
            "shadow_refusal.policy",
        ),
        (refusals(vec![nobodys]), "shadow_refusal.subject"),
        (
            refusals(vec![refusal("r", "nobody", None, u64::MAX)]),
            "shadow_refusal.requests",
        ),
        (
            refusals(vec![refusal("r", "nobody", None, 1); 257]),
            "report.shadow_refusals",
        ),
    ] {
        // A good one beside it does not count either.
        let mut wire = wire;
        wire.drifts.insert(0, drift(9, vec![0], vec![1]));
        let text = heard.hears(&scope, wire).unwrap_err().to_string();
        assert!(text.starts_with(field), "{field}: {text}");
    }
    assert!(
        heard
            .observations
            .drifts(heard.tenant(), heard.now)
            .is_none()
    );
    let named = refusals(vec![refusal("", "no_rule", None, 1), named("")]);
    heard.hears(&scope, named).unwrap();
}
