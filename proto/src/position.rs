//! A place in a history: which database, and how far into it.

use crate::wire::{Malformed, array, v1};

/// Which life of which database. New when one is made or restored; a later one has a higher generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct History {
    /// max(old + 1, Unix seconds) when the history began.
    pub generation: u64,
    /// Random; tells two histories of one generation apart.
    pub id: [u8; 16],
}

/// A MAC over history and revision that only the feeder can make: who shows it has really been there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Proof(pub [u8; 16]);

/// A revision within a history, and the proof that it was issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Position {
    /// Which history.
    pub history: History,
    /// Number of a committed change; strictly increasing within the history.
    pub revision: u64,
    /// Opaque to the filter, which gives it back as it came.
    pub proof: Proof,
}

impl Position {
    /// (generation, revision): what only grows in a filter.
    pub fn order(&self) -> (u64, u64) {
        (self.history.generation, self.revision)
    }

    /// Whether it is the same revision of the same history. A feeder that has started again proves it otherwise.
    pub fn is_at(&self, other: &Position) -> bool {
        self.history == other.history && self.revision == other.revision
    }
}

impl From<&Position> for v1::Position {
    fn from(position: &Position) -> Self {
        v1::Position {
            generation: position.history.generation,
            history: position.history.id.to_vec().into(),
            revision: position.revision,
            proof: position.proof.0.to_vec().into(),
        }
    }
}

impl TryFrom<v1::Position> for Position {
    type Error = Malformed;

    fn try_from(wire: v1::Position) -> Result<Self, Malformed> {
        Ok(Position {
            history: History {
                generation: wire.generation,
                id: array("position.history", &wire.history)?,
            },
            revision: wire.revision,
            proof: Proof(array("position.proof", &wire.proof)?),
        })
    }
}
