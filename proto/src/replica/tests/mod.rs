//! A feeder's messages, good and bad, and what a replica makes of them.

mod floor;
mod golden;
mod properties;
mod stories;
mod touched;

use std::collections::BTreeMap;

use super::*;
use crate::binding::{Attribute, Source};
use crate::digest::SubjectDigest;
use crate::position::{History, Proof};
use crate::scope::Term;
use crate::snapshot::TermSet;
use crate::snapshot::parts::PartWriter;

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

    /// As the feeder would send it, in parts of `size` subjects.
    fn messages(&self, position: Position, size: usize) -> Vec<v1::FeederMessage> {
        let start = v1::Start {
            format: FORMAT,
            position: Some((&position).into()),
            from: None,
            key: key().as_bytes().to_vec().into(),
            bindings: Some(bindings(&self.bindings)),
            terms: Some(states(&self.terms)),
            subjects: self.entries.len() as u64,
        };
        let changed = self.entries.iter().map(|(subject, set)| (*subject, set));
        in_parts(
            start,
            changed.collect(),
            &[],
            size,
            digest_of(self, position),
        )
    }

    /// What brings `self`, held at `from`, to `other` at `to`, in parts of `size` subjects.
    fn changes(
        &self,
        from: u64,
        other: &Content,
        to: Position,
        size: usize,
    ) -> Vec<v1::FeederMessage> {
        let changed = other
            .entries
            .iter()
            .filter(|(subject, set)| self.entries.get(*subject) != Some(set));
        let changed: Vec<_> = changed.map(|(subject, set)| (*subject, set)).collect();
        let removed = self.entries.keys().copied();
        let removed: Vec<_> = removed
            .filter(|subject| !other.entries.contains_key(subject))
            .collect();
        let start = v1::Start {
            format: FORMAT,
            position: Some((&to).into()),
            from: Some(from),
            key: Default::default(),
            bindings: (self.bindings != other.bindings).then(|| bindings(&other.bindings)),
            terms: (self.terms != other.terms).then(|| states(&other.terms)),
            subjects: (changed.len() + removed.len()) as u64,
        };
        in_parts(start, changed, &removed, size, digest_of(other, to))
    }

    /// The same in one message.
    fn delta(&self, from: u64, other: &Content, to: Position) -> v1::Update {
        match self.changes(from, other, to, usize::MAX).remove(0).message {
            Some(Message::Update(update)) => update,
            other => panic!("{other:?}"),
        }
    }
}

/// The pieces of an update: what is changed first, then what is removed.
fn in_parts(
    start: v1::Start,
    changed: Vec<(SubjectDigest, &TermSet)>,
    removed: &[SubjectDigest],
    size: usize,
    digest: prost::bytes::Bytes,
) -> Vec<v1::FeederMessage> {
    let mut writer = PartWriter::default();
    let mut parts: Vec<v1::Part> = Vec::new();
    if size == usize::MAX {
        parts.push(writer.part(changed, removed.iter().copied()));
    } else {
        for some in changed.chunks(size) {
            parts.push(writer.part(some.iter().copied(), []));
        }
        for some in removed.chunks(size) {
            parts.push(writer.part([], some.iter().copied()));
        }
    }
    let mut pieces: Vec<v1::Update> = parts
        .into_iter()
        .map(|part| v1::Update {
            part: Some(part),
            ..Default::default()
        })
        .collect();
    if pieces.is_empty() {
        pieces.push(v1::Update::default());
    }
    pieces.first_mut().unwrap().start = Some(start);
    pieces.last_mut().unwrap().end = Some(v1::End { digest });
    pieces
        .into_iter()
        .map(|piece| wrap(Message::Update(piece)))
        .collect()
}

fn bindings(all: &[Binding]) -> v1::BindingList {
    v1::BindingList {
        bindings: all.iter().map(v1::Binding::from).collect(),
    }
}

fn states(terms: &[TermState]) -> v1::TermStateList {
    let states = terms.iter().map(|state| v1::TermState::from(*state).into());
    v1::TermStateList {
        states: states.collect(),
    }
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
            groups: (number % 4 == 3).then(|| crate::binding::GroupsClaim {
                claim: "groups".to_owned(),
                is: crate::binding::GroupName::ALL[number as usize % 2],
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
            replica: Replica::new(scope(), 1 << 20),
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

    fn delta(&mut self, delta: v1::Update) -> Result<Received, Rejection> {
        self.take(wrap(Message::Update(delta)))
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

    fn refuses_delta(&mut self, delta: v1::Update, reason: Reason) {
        self.refuses(wrap(Message::Update(delta)), reason);
    }
}
