//! A filter's copy of its scope: takes what the feeder sends, verifies it off to the side, and swaps it in whole.
//!
//! Owns the content and the half-read snapshot; knows no stream, no clock and no policy.

use crate::binding::Binding;
use crate::digest::{ContentDigest, Key};
use crate::position::Position;
use crate::scope::Scope;
use crate::snapshot::{Change, Snapshot, SubjectMap, TermState, entries};
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
    /// Part of a snapshot was taken in; nothing changed yet.
    Part,
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

#[derive(Debug)]
struct Loading {
    snapshot: Snapshot,
    expected: u64,
}

/// One scope's content in one VM.
#[derive(Debug)]
pub struct Replica {
    scope: Scope,
    held: Option<Snapshot>,
    loading: Option<Loading>,
}

impl Replica {
    /// Holds nothing yet.
    pub fn new(scope: Scope) -> Replica {
        Replica {
            scope,
            held: None,
            loading: None,
        }
    }

    /// What it is a copy of.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The content, once there is one.
    pub fn snapshot(&self) -> Option<&Snapshot> {
        self.held.as_ref()
    }

    /// Drops a half-read snapshot: its stream is gone.
    pub fn disconnect(&mut self) {
        self.loading = None;
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

    /// Takes one message. On an error nothing has changed, except that a half-read snapshot is dropped.
    pub fn receive(
        &mut self,
        message: v1::FeederMessage,
        highest: &mut HighWater,
    ) -> Result<Received, Rejection> {
        let loading = self.loading.take();
        match message.message {
            None => Err(Malformed::Missing("message").into()),
            Some(Message::SnapshotStart(start)) => {
                self.loading = Some(self.start(start, highest)?);
                Ok(Received::Part)
            }
            Some(Message::SnapshotChunk(chunk)) => {
                self.loading = Some(chunk_of(loading, chunk)?);
                Ok(Received::Part)
            }
            Some(Message::SnapshotEnd(end)) => {
                let snapshot = end_of(loading, end)?;
                highest.admit(snapshot.position())?;
                let position = *snapshot.position();
                self.held = Some(snapshot);
                highest.raise(position);
                Ok(Received::Applied(position))
            }
            Some(Message::Delta(delta)) => {
                let position = self.delta(delta, highest)?;
                highest.raise(position);
                Ok(Received::Applied(position))
            }
            Some(Message::Pong(pong)) => {
                self.loading = loading;
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

    fn start(&self, start: v1::SnapshotStart, highest: &HighWater) -> Result<Loading, Rejection> {
        let position: Position = start
            .position
            .ok_or(Malformed::Missing("snapshot.position"))?
            .try_into()?;
        supported(start.format, position)?;
        highest.admit(&position)?;
        let bindings = read_bindings(start.bindings)?;
        let terms = read_terms(&start.terms, &self.scope)?;
        let key = Key::from_bytes(&start.key)?;
        Ok(Loading {
            snapshot: Snapshot::new(self.scope.clone(), position, key, bindings, terms),
            expected: start.entries,
        })
    }

    fn delta(&mut self, delta: v1::Delta, highest: &HighWater) -> Result<Position, Rejection> {
        let position: Position = delta.to.ok_or(Malformed::Missing("delta.to"))?.try_into()?;
        supported(delta.format, position)?;
        highest.admit(&position)?;
        let held = match &mut self.held {
            Some(held)
                if held.position().history == position.history
                    && held.position().revision == delta.from
                    && delta.from <= position.revision =>
            {
                held
            }
            _ => {
                return Err(Rejection::new(
                    Some(position),
                    Reason::OutOfOrder,
                    format!("a delta from {}, which is not held", delta.from),
                ));
            }
        };
        let change = Change {
            position,
            bindings: delta
                .bindings
                .map(|list| read_bindings(list.bindings))
                .transpose()?,
            terms: delta
                .terms
                .map(|list| read_terms(&list.states, &self.scope))
                .transpose()?,
            entries: read_changes(delta.changed.as_ref(), &delta.removed, &self.scope)?,
        };
        let digest = held.digest_after(&change);
        verified(digest, &delta.digest, position)?;
        held.apply(change, digest);
        Ok(position)
    }
}

fn chunk_of(loading: Option<Loading>, chunk: v1::SnapshotChunk) -> Result<Loading, Rejection> {
    let mut loading = loading.ok_or_else(without_start)?;
    let snapshot = &mut loading.snapshot;
    let wire = chunk.entries.unwrap_or_default();
    for (subject, set) in entries::decode(&wire, snapshot.scope().terms().len())? {
        snapshot.insert(subject, set).map_err(|_| DUPLICATE)?;
    }
    if snapshot.len() as u64 > loading.expected {
        return Err(Malformed::Invalid {
            field: "snapshot.entries",
            why: "more entries than were announced",
        }
        .into());
    }
    Ok(loading)
}

fn end_of(loading: Option<Loading>, end: v1::SnapshotEnd) -> Result<Snapshot, Rejection> {
    let Loading { snapshot, expected } = loading.ok_or_else(without_start)?;
    if snapshot.len() as u64 != expected {
        return Err(Malformed::Invalid {
            field: "snapshot.entries",
            why: "fewer entries than were announced",
        }
        .into());
    }
    verified(snapshot.digest(), &end.digest, *snapshot.position())?;
    Ok(snapshot)
}

const DUPLICATE: Malformed = Malformed::Invalid {
    field: "entries.subjects",
    why: "a subject twice",
};

fn without_start() -> Rejection {
    Rejection::new(
        None,
        Reason::OutOfOrder,
        "part of a snapshot without its start".to_owned(),
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
    if ContentDigest::from_bytes(announced)? == got {
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

fn read_changes(
    changed: Option<&v1::Entries>,
    removed: &[u8],
    scope: &Scope,
) -> Result<SubjectMap<Option<crate::snapshot::TermSet>>, Malformed> {
    let mut changes = SubjectMap::default();
    let changed = match changed {
        Some(wire) => entries::decode(wire, scope.terms().len())?,
        None => Vec::new(),
    };
    let removed = entries::decode_subjects("delta.removed", removed)?;
    let all = changed
        .into_iter()
        .map(|(subject, set)| (subject, Some(set)))
        .chain(removed.into_iter().map(|subject| (subject, None)));
    for (subject, after) in all {
        if changes.insert(subject, after).is_some() {
            return Err(DUPLICATE);
        }
    }
    Ok(changes)
}

#[cfg(test)]
mod tests;
