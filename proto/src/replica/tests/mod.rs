//! A feeder's messages, good and bad, and what a replica makes of them.

mod floor;
mod properties;
mod stories;

use std::collections::BTreeMap;

use super::*;
use crate::binding::{Attribute, Source};
use crate::digest::SubjectDigest;
use crate::position::{History, Proof};
use crate::scope::Term;
use crate::snapshot::TermSet;

const TERMS: usize = 20;

fn scope() -> Scope {
    let terms = (0..TERMS).map(|n| Term::parse(&format!("group:{n}")).unwrap());
    Scope::new("corp", terms, true).unwrap()
}

fn key() -> Key {
    Key::new([7; 32])
}

fn at(generation: u64, revision: u64) -> Position {
    Position {
        history: History {
            generation,
            id: [generation as u8; 16],
        },
        revision,
        proof: Proof([revision as u8; 16]),
    }
}

fn subject(number: u8) -> SubjectDigest {
    SubjectDigest([number; 16])
}

/// What a scope holds, told plainly.
#[derive(Debug, Clone, PartialEq)]
struct Content {
    bindings: Vec<Binding>,
    terms: Vec<TermState>,
    entries: BTreeMap<SubjectDigest, TermSet>,
}

impl Content {
    fn small() -> Content {
        Content {
            bindings: vec![binding(1)],
            terms: vec![TermState::Found; TERMS],
            entries: (1..=3)
                .map(|n| (subject(n), TermSet::from_indices([n as usize])))
                .collect(),
        }
    }

    fn snapshot(&self, position: Position) -> Snapshot {
        let mut snapshot = Snapshot::new(
            scope(),
            position,
            key(),
            self.bindings.clone(),
            self.terms.clone(),
        );
        for (subject, set) in &self.entries {
            snapshot.insert(*subject, set.clone()).unwrap();
        }
        snapshot
    }

    fn of(snapshot: &Snapshot) -> Content {
        Content {
            bindings: snapshot.bindings().to_vec(),
            terms: (0..TERMS).map(|n| snapshot.term_state(n)).collect(),
            entries: snapshot
                .entries()
                .map(|(subject, set)| (subject, set.clone()))
                .collect(),
        }
    }

    /// As the feeder would send it, in chunks of `chunk` entries.
    fn messages(&self, position: Position, chunk: usize) -> Vec<v1::FeederMessage> {
        let start = v1::SnapshotStart {
            format: FORMAT,
            position: Some((&position).into()),
            key: key().as_bytes().to_vec().into(),
            bindings: self.bindings.iter().map(v1::Binding::from).collect(),
            terms: states(&self.terms),
            entries: self.entries.len() as u64,
        };
        let all: Vec<_> = self
            .entries
            .iter()
            .map(|(subject, set)| (*subject, set))
            .collect();
        let chunks = all.chunks(chunk).map(|some| {
            Message::SnapshotChunk(v1::SnapshotChunk {
                entries: Some(entries::encode(some.iter().copied())),
            })
        });
        let end = v1::SnapshotEnd {
            digest: digest_of(self, position),
        };
        [Message::SnapshotStart(start)]
            .into_iter()
            .chain(chunks)
            .chain([Message::SnapshotEnd(end)])
            .map(wrap)
            .collect()
    }

    /// What brings `self`, held at `from`, to `other` at `to`.
    fn delta(&self, from: u64, other: &Content, to: Position) -> v1::Delta {
        let changed = other
            .entries
            .iter()
            .filter(|(subject, set)| self.entries.get(*subject) != Some(set));
        let removed = self
            .entries
            .keys()
            .filter(|subject| !other.entries.contains_key(*subject));
        v1::Delta {
            format: FORMAT,
            from,
            to: Some((&to).into()),
            bindings: (self.bindings != other.bindings).then(|| v1::BindingList {
                bindings: other.bindings.iter().map(v1::Binding::from).collect(),
            }),
            terms: (self.terms != other.terms).then(|| v1::TermStateList {
                states: states(&other.terms),
            }),
            changed: Some(entries::encode(
                changed.map(|(subject, set)| (*subject, set)),
            )),
            removed: removed
                .flat_map(|subject| subject.0)
                .collect::<Vec<u8>>()
                .into(),
            digest: digest_of(other, to),
        }
    }
}

fn states(terms: &[TermState]) -> Vec<i32> {
    terms
        .iter()
        .map(|state| v1::TermState::from(*state).into())
        .collect()
}

fn digest_of(content: &Content, position: Position) -> prost::bytes::Bytes {
    content
        .snapshot(position)
        .digest()
        .to_bytes()
        .to_vec()
        .into()
}

fn wrap(message: Message) -> v1::FeederMessage {
    v1::FeederMessage {
        message: Some(message),
    }
}

/// Of tokens, but every fifth of workloads.
fn binding(number: u8) -> Binding {
    let source = match number % 5 {
        4 => Source::Workload {
            trust_domain: format!("td{number}"),
        },
        _ => Source::Token {
            issuer: format!("https://idp{number}.example"),
            claim: "sub".to_owned(),
            pin: (number % 2 == 1).then(|| crate::binding::Pin {
                claim: "tid".to_owned(),
                value: number.to_string(),
            }),
        },
    };
    let attribute = match source {
        Source::Workload { .. } => Attribute::ExternalId,
        Source::Token { .. } => Attribute::ALL[number as usize % 4],
    };
    Binding {
        ignore_case: attribute == Attribute::Email,
        source,
        attribute,
    }
}

/// A replica and its VM's high water.
struct Vm {
    replica: Replica,
    highest: HighWater,
}

impl Vm {
    fn empty() -> Vm {
        Vm {
            replica: Replica::new(scope()),
            highest: HighWater::default(),
        }
    }

    fn holding(content: &Content, position: Position) -> Vm {
        let mut vm = Vm::empty();
        assert_eq!(vm.load(content, position), Ok(Received::Applied(position)));
        vm
    }

    fn take(&mut self, message: v1::FeederMessage) -> Result<Received, Rejection> {
        self.replica.receive(message, &mut self.highest)
    }

    fn delta(&mut self, delta: v1::Delta) -> Result<Received, Rejection> {
        self.take(wrap(Message::Delta(delta)))
    }

    fn load(&mut self, content: &Content, position: Position) -> Result<Received, Rejection> {
        let mut messages = content.messages(position, 2);
        let end = messages.pop().unwrap();
        for message in messages {
            assert_eq!(self.take(message)?, Received::Part);
        }
        self.take(end)
    }

    /// All that a decision could see of it.
    fn seen(&self) -> Option<(Content, Position, ContentDigest)> {
        let held = self.replica.snapshot()?;
        Some((Content::of(held), *held.position(), held.digest()))
    }

    /// Sends what must be refused for `reason`, and finds nothing changed.
    fn refuses(&mut self, message: v1::FeederMessage, reason: Reason) {
        let before = (self.seen(), self.highest.position().copied());
        let refused = self
            .take(message.clone())
            .expect_err(&format!("{message:?}"));
        assert_eq!(refused.reason, reason, "{refused:?}");
        assert_eq!((self.seen(), self.highest.position().copied()), before);
    }

    fn refuses_delta(&mut self, delta: v1::Delta, reason: Reason) {
        self.refuses(wrap(Message::Delta(delta)), reason);
    }
}
