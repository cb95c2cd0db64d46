//! A filter's copy of its scope: takes what the feeder sends, verifies it off to the side, and swaps it in whole.
//!
//! Owns the content and the half-read snapshot; knows no stream, no clock and no policy.

use crate::binding::Binding;
use crate::digest::{ContentDigest, Key};
use crate::position::Position;
use crate::scope::Scope;
use crate::snapshot::delta::Delta;
use crate::snapshot::parts::PartReader;
use crate::snapshot::{Snapshot, TermState, Touched};
use crate::wire::v1::feeder_message::Message;
use crate::wire::v1::nack::Reason;
use crate::wire::{FORMAT, Malformed, v1};

/// The highest (generation, revision) that a VM has applied from one feed, whatever the scope. It outlives every replica.
#[derive(Debug, Clone, Default)]
pub struct HighWater(Option<Position>);

impl HighWater {
    /// What it stands at.
    pub fn position(&self) -> Option<&Position> {
        self.0.as_ref()
    }

    /// What a stream must not fall below that was opened at `opened`. Streams of two scopes race each other, so within a
    /// history one may rightly be behind the other by what has happened since it was opened.
    pub fn floor(&self, opened: &HighWater) -> HighWater {
        HighWater(self.0.map(|highest| match opened.0 {
            Some(opened) if opened.history == highest.history => opened,
            _ => Position {
                revision: 0,
                ..highest
            },
        }))
    }

    /// Refuses what lies below, and another history of the same generation.
    fn admit(&self, position: &Position) -> Result<(), Rejection> {
        let Some(highest) = &self.0 else {
            return Ok(());
        };
        if position.order() < highest.order() {
            return Err(Rejection::new(
                Some(*position),
                Reason::RevisionFell,
                format!(
                    "({}, {}) is below ({}, {})",
                    position.history.generation,
                    position.revision,
                    highest.history.generation,
                    highest.revision
                ),
            ));
        }
        if position.history.generation == highest.history.generation
            && position.history.id != highest.history.id
        {
            return Err(Rejection::new(
                Some(*position),
                Reason::HistoryMismatch,
                "another history of the same generation".to_owned(),
            ));
        }
        Ok(())
    }

    /// Notes that this position was applied.
    pub fn raise(&mut self, position: Position) {
        if self.0.is_none_or(|old| old.order() <= position.order()) {
            self.0 = Some(position);
        }
    }
}

/// What a message did.
#[derive(Debug, PartialEq, Eq)]
pub enum Received {
    /// Part of an update was taken in; nothing changed yet. There is room for more.
    Part,
    /// An update was verified, and counts as soon as an earlier one is [settled](Replica::settle).
    Waits,
    /// The content is now that of this position: ack it.
    Applied(Position),
    /// The answer to a ping: the feeder's current durable position.
    Pong {
        /// The ping's id.
        ping_id: u64,
        /// Where the feeder stands.
        position: Position,
    },
}

/// Why a message was refused. Nothing changed: nack it.
#[derive(Debug, PartialEq, Eq)]
pub struct Rejection {
    /// Of what was rejected, if it could be read.
    pub position: Option<Position>,
    /// For the feeder.
    pub reason: Reason,
    /// For people.
    pub detail: String,
}

impl Rejection {
    fn new(position: Option<Position>, reason: Reason, detail: String) -> Rejection {
        Rejection {
            position,
            reason,
            detail,
        }
    }
}

impl From<Malformed> for Rejection {
    fn from(malformed: Malformed) -> Self {
        Rejection::new(None, Reason::Malformed, malformed.to_string())
    }
}

impl From<&Rejection> for v1::Nack {
    fn from(rejection: &Rejection) -> Self {
        v1::Nack {
            position: rejection.position.as_ref().map(v1::Position::from),
            reason: rejection.reason.into(),
            detail: rejection.detail.clone(),
        }
    }
}

/// An update of which some has come.
#[derive(Debug)]
struct Loading {
    kind: Kind,
    /// How many subjects were announced.
    expected: u64,
}

#[derive(Debug)]
enum Kind {
    Snapshot(Box<Snapshot>, PartReader),
    Delta(Delta),
    /// Verified, and not made yet.
    Verified(Delta),
}

impl Loading {
    fn subjects(&self) -> u64 {
        match &self.kind {
            Kind::Snapshot(_, reader) => reader.subjects(),
            Kind::Delta(delta) | Kind::Verified(delta) => delta.subjects(),
        }
    }

    fn position(&self) -> &Position {
        match &self.kind {
            Kind::Snapshot(snapshot, _) => snapshot.position(),
            Kind::Delta(delta) | Kind::Verified(delta) => delta.position(),
        }
    }

    fn bytes(&self) -> usize {
        match &self.kind {
            Kind::Snapshot(snapshot, _) => snapshot.bytes(),
            Kind::Delta(delta) | Kind::Verified(delta) => delta.bytes(),
        }
    }
}

/// Bytes that a subject takes in memory at least: what an update will take is known before it is taken in.
const SUBJECT_BYTES: u64 = 20;

/// One scope's content in one VM.
#[derive(Debug)]
pub struct Replica {
    scope: Scope,
    held: Option<Snapshot>,
    loading: Option<Loading>,
    /// Bytes of memory for content at most, what is being taken in included.
    limit: u64,
    touched: Touched,
}

impl Replica {
    /// Holds nothing yet, and will take no update that needs more than `limit` bytes of memory together with what is held.
    pub fn new(scope: Scope, limit: u64) -> Replica {
        Replica {
            scope,
            held: None,
            loading: None,
            limit,
            touched: Touched::default(),
        }
    }

    /// Bytes of memory that the content takes, with what is being taken in.
    pub fn bytes(&self) -> u64 {
        let held = self.held.as_ref().map_or(0, Snapshot::bytes);
        let loading = self.loading.as_ref().map_or(0, Loading::bytes);
        (held + loading) as u64
    }

    /// What [`bytes`](Self::bytes) may be at most.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// What it is a copy of.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The content, once there is one.
    pub fn snapshot(&self) -> Option<&Snapshot> {
        self.held.as_ref()
    }

    /// Whose standing the updates that were applied since the last call may have changed.
    pub fn take_touched(&mut self) -> Touched {
        std::mem::take(&mut self.touched)
    }

    /// Drops an update of which not all has come: its stream is gone.
    pub fn disconnect(&mut self) {
        if let Some(Loading {
            kind: Kind::Delta(delta) | Kind::Verified(delta),
            ..
        }) = self.loading.take()
            && let Some(held) = &mut self.held
        {
            held.forget(delta);
        }
    }

    /// Works in, a bounded number of entries at a time, what has changed. Returns the position of an update that waited for this, and
    /// counts now: ack it.
    pub fn settle(&mut self, highest: &mut HighWater) -> Option<Position> {
        let held = self.held.as_mut()?;
        if held.settle() {
            return None;
        }
        match self.loading.take() {
            Some(Loading {
                kind: Kind::Verified(delta),
                expected,
            }) => {
                let position = *delta.position();
                // While it waited, the VM may have gone on to a later history by another stream.
                if highest.admit(&position).is_err() {
                    held.forget(delta);
                    return None;
                }
                let touched = held.touched_by(&delta);
                if let Some(delta) = held.make(delta) {
                    let kind = Kind::Verified(delta);
                    self.loading = Some(Loading { kind, expected });
                    return None;
                }
                self.touched.add(touched);
                highest.raise(position);
                Some(position)
            }
            loading => {
                self.loading = loading;
                None
            }
        }
    }

    /// Whether [`settle`](Self::settle) has anything to do.
    pub fn is_settled(&self) -> bool {
        self.held.as_ref().is_none_or(Snapshot::is_settled)
    }

    /// The hello that tells the feeder what is held.
    pub fn hello(&self, node: v1::Node) -> v1::Hello {
        let held = self.held.as_ref();
        v1::Hello {
            format: FORMAT,
            node: Some(node),
            scope: Some((&self.scope).into()),
            held: held.map(|snapshot| snapshot.position().into()),
            digest: held
                .map(|snapshot| snapshot.digest().to_bytes().to_vec().into())
                .unwrap_or_default(),
        }
    }

    /// Takes one message. On an error nothing has changed, except that an update of which not all has come is dropped.
    pub fn receive(
        &mut self,
        message: v1::FeederMessage,
        highest: &mut HighWater,
    ) -> Result<Received, Rejection> {
        match message.message {
            None => {
                self.disconnect();
                Err(Malformed::Missing("message").into())
            }
            Some(Message::Update(update)) => {
                let received = self.update(update, highest);
                if received.is_err() {
                    self.disconnect();
                }
                received
            }
            Some(Message::Pong(pong)) => {
                let position: Position = pong
                    .position
                    .ok_or(Malformed::Missing("pong.position"))?
                    .try_into()?;
                highest.admit(&position)?;
                Ok(Received::Pong {
                    ping_id: pong.ping_id,
                    position,
                })
            }
        }
    }

    fn update(
        &mut self,
        update: v1::Update,
        highest: &mut HighWater,
    ) -> Result<Received, Rejection> {
        if let Some(start) = update.start {
            self.disconnect();
            self.loading = Some(self.start(start, highest)?);
        }
        if let Some(part) = update.part {
            self.part(&part)?;
        }
        let Some(end) = update.end else {
            return match &self.loading {
                Some(_) => Ok(Received::Part),
                None => Err(without_start()),
            };
        };
        self.end(&end, highest)
    }

    fn start(&self, start: v1::Start, highest: &HighWater) -> Result<Loading, Rejection> {
        let position: Position = start
            .position
            .ok_or(Malformed::Missing("start.position"))?
            .try_into()?;
        supported(start.format, position)?;
        highest.admit(&position)?;
        let bindings = start.bindings.map(|list| read_bindings(list.bindings));
        let bindings = bindings.transpose()?;
        let terms = start
            .terms
            .map(|list| read_terms(&list.states, &self.scope));
        let terms = terms.transpose()?;
        self.fits(start.subjects.saturating_mul(SUBJECT_BYTES), position)?;
        let kind = match start.from {
            None => {
                let key = Key::from_bytes(&start.key)?;
                let bindings = bindings.ok_or(Malformed::Missing("start.bindings"))?;
                let terms = terms.ok_or(Malformed::Missing("start.terms"))?;
                let reader = PartReader::new(self.scope.terms().len());
                let scope = self.scope.clone();
                let snapshot = Snapshot::new(scope, position, key, bindings, terms);
                Kind::Snapshot(Box::new(snapshot), reader)
            }
            Some(from) => {
                let held = self.held.as_ref().filter(|held| {
                    held.position().history == position.history
                        && held.position().revision == from
                        && from <= position.revision
                });
                let held = held.ok_or_else(|| {
                    Rejection::new(
                        Some(position),
                        Reason::OutOfOrder,
                        format!("a delta from {from}, which is not held"),
                    )
                })?;
                Kind::Delta(held.change(position, bindings, terms))
            }
        };
        Ok(Loading {
            kind,
            expected: start.subjects,
        })
    }

    fn part(&mut self, part: &v1::Part) -> Result<(), Rejection> {
        let loading = self.loading.as_mut().ok_or_else(without_start)?;
        match (&mut loading.kind, &mut self.held) {
            (Kind::Snapshot(snapshot, reader), _) => {
                if part.removed.is_some() {
                    return Err(Malformed::Invalid {
                        field: "part.removed",
                        why: "of a snapshot",
                    }
                    .into());
                }
                snapshot.take(reader, part)?;
            }
            (Kind::Delta(delta), Some(held)) => held.change_part(delta, part)?,
            _ => return Err(without_start()),
        }
        if loading.subjects() > loading.expected {
            return Err(Malformed::Invalid {
                field: "start.subjects",
                why: "more subjects than were announced",
            }
            .into());
        }
        let position = *loading.position();
        self.fits(0, position)
    }

    fn end(&mut self, end: &v1::End, highest: &mut HighWater) -> Result<Received, Rejection> {
        let loading = self.loading.as_ref().ok_or_else(without_start)?;
        if loading.subjects() != loading.expected {
            return Err(Malformed::Invalid {
                field: "start.subjects",
                why: "fewer subjects than were announced",
            }
            .into());
        }
        let position = *loading.position();
        let digest = match &loading.kind {
            Kind::Snapshot(snapshot, _) => snapshot.digest(),
            Kind::Delta(delta) => delta.digest(),
            Kind::Verified(_) => return Err(without_start()),
        };
        verified(digest, &end.digest, position)?;
        highest.admit(&position)?;
        let expected = loading.expected;
        match (
            self.loading.take().map(|loading| loading.kind),
            &mut self.held,
        ) {
            (Some(Kind::Snapshot(mut snapshot, reader)), held) => {
                snapshot.finish(&reader);
                *held = Some(*snapshot);
                self.touched = Touched::All;
            }
            (Some(Kind::Delta(delta)), Some(held)) => {
                let touched = held.touched_by(&delta);
                if let Some(delta) = held.make(delta) {
                    let kind = Kind::Verified(delta);
                    self.loading = Some(Loading { kind, expected });
                    return Ok(Received::Waits);
                }
                self.touched.add(touched);
            }
            _ => return Err(without_start()),
        }
        highest.raise(position);
        Ok(Received::Applied(position))
    }

    fn fits(&self, more: u64, position: Position) -> Result<(), Rejection> {
        let needed = self.bytes().saturating_add(more);
        if needed <= self.limit {
            return Ok(());
        }
        Err(Rejection::new(
            Some(position),
            Reason::TooLarge,
            format!("{needed} bytes of memory; the bound is {}", self.limit),
        ))
    }
}

fn without_start() -> Rejection {
    Rejection::new(
        None,
        Reason::OutOfOrder,
        "a piece of an update without its start".to_owned(),
    )
}

fn supported(format: u32, position: Position) -> Result<(), Rejection> {
    if format == FORMAT {
        return Ok(());
    }
    Err(Rejection::new(
        Some(position),
        Reason::UnsupportedFormat,
        format!("format {format}; this filter reads {FORMAT}"),
    ))
}

fn verified(got: ContentDigest, announced: &[u8], position: Position) -> Result<(), Rejection> {
    // What a fuzzer makes up would always end here.
    if ContentDigest::from_bytes(announced)? == got || cfg!(fuzzing) {
        return Ok(());
    }
    Err(Rejection::new(
        Some(position),
        Reason::DigestMismatch,
        format!("the content's digest is {got:?}"),
    ))
}

fn read_bindings(wire: Vec<v1::Binding>) -> Result<Vec<Binding>, Malformed> {
    let bindings = wire
        .into_iter()
        .map(Binding::try_from)
        .collect::<Result<Vec<_>, _>>()?;
    if !bindings.is_sorted_by(|a, b| a.voucher() < b.voucher()) {
        return Err(Malformed::Invalid {
            field: "bindings",
            why: "not sorted by issuer, or an issuer twice",
        });
    }
    Ok(bindings)
}

fn read_terms(wire: &[i32], scope: &Scope) -> Result<Vec<TermState>, Malformed> {
    if wire.len() != scope.terms().len() {
        return Err(Malformed::Invalid {
            field: "terms",
            why: "not one for each of the scope's terms",
        });
    }
    wire.iter().map(|state| TermState::read(*state)).collect()
}

#[cfg(test)]
mod tests;
