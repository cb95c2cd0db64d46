//! Which feeder issued a position: each start of one on a database is a run, with a random id that is stored before the run issues anything.
//!
//! An old copy of a database does not know the runs, or not the ends of runs, that came after it was made. So whoever shows a position of such a
//! run proves that the copy is old, even if it has been written since, past the revision that they show.

use scimesh_proto::position::{Position, Proof};

use super::Directory;

/// Told apart from others by chance alone.
pub(crate) type RunId = [u8; RUN_BYTES];

const RUN_BYTES: usize = 6;

/// Runs that are remembered.
pub(crate) const MAX_RUNS: usize = 1000;

/// One start of a feeder on a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) id: RunId,
    /// The revision that was stored when it began; the one before has issued none above it.
    pub(crate) start: u64,
}

/// Who issued a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Issued {
    /// A feeder on this database, in its past; or one so long ago that nobody remembers it.
    Here,
    /// A feeder on this database, but not in its past: this is an old copy.
    Elsewhere,
    /// Nobody who had this database's key.
    ByNobody,
}

impl Directory {
    /// Where it stands, with the proof: the run's id, and 80 bits of a MAC over history, run and revision.
    pub fn position(&self) -> Position {
        let run = self.runs.last().map_or(RunId::default(), |run| run.id);
        Position {
            history: self.history,
            revision: self.revision,
            proof: self.proof(run, self.revision),
        }
    }

    /// Who issued a position.
    pub fn issued(&self, position: &Position) -> Issued {
        let mut run = RunId::default();
        run.copy_from_slice(position.proof.0.split_at(RUN_BYTES).0);
        let revision = position.revision;
        if position.history != self.history || position.proof != self.proof(run, revision) {
            return Issued::ByNobody;
        }
        let place = self.runs.iter().position(|known| known.id == run);
        let in_its_past = match place {
            Some(place) => {
                let start = self.runs.get(place).map(|run| run.start);
                let end = self.runs.get(place + 1).map(|next| next.start);
                start.is_some_and(|start| start <= revision)
                    && end.is_none_or(|end| revision <= end)
            }
            // Of before those that are remembered.
            None => self
                .runs
                .first()
                .is_none_or(|oldest| revision < oldest.start),
        };
        match in_its_past && revision <= self.revision {
            true => Issued::Here,
            false => Issued::Elsewhere,
        }
    }

    /// The oldest first.
    pub(crate) fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// A revision that a filter has proved, and that is not of this database's past: the database is an old copy.
    pub fn proved(&self) -> Option<u64> {
        self.proved
    }

    fn proof(&self, run: RunId, revision: u64) -> Proof {
        let mut proof = self.keys.proof.proof(&self.history, &run, revision);
        // What is overwritten is as good as what is left.
        proof.split_at_mut(RUN_BYTES).0.copy_from_slice(&run);
        Proof(proof)
    }
}

#[cfg(test)]
mod tests {
    use scimesh_proto::digest::Key;
    use scimesh_proto::position::History;

    use super::*;
    use crate::directory::Keys;

    /// As a feeder finds the database that begins a run of this id.
    fn run(before: &[Run], id: u8, revision: u64) -> Directory {
        let history = History {
            generation: 1,
            id: [1; 16],
        };
        let keys = Keys {
            content: Key::new([2; 32]),
            proof: Key::new([3; 32]),
        };
        let mut directory = Directory::new(history, revision, keys);
        let start = revision;
        let this = Run { id: [id; 6], start };
        directory.runs = before.iter().copied().chain([this]).collect();
        directory
    }

    fn later(directory: &Directory, revision: u64) -> Directory {
        Directory {
            revision,
            ..directory.clone()
        }
    }

    #[test]
    fn what_was_issued_before_is_known_over_every_start() {
        let first = run(&[], 1, 0);
        let issued = later(&first, 7).position();
        let second = run(&first.runs, 2, 7);
        let third = later(&run(&second.runs, 3, 7), 9);
        for directory in [&later(&first, 7), &second, &third] {
            assert_eq!(directory.issued(&issued), Issued::Here);
        }
        assert_eq!(third.issued(&second.position()), Issued::Here);
        assert_eq!(third.issued(&third.position()), Issued::Here);
    }

    #[test]
    fn an_old_copy_is_known_by_whatever_was_issued_after_it_was_made() {
        let first = run(&[], 1, 0);
        let second = run(&first.runs, 2, 5);
        let lost = [later(&first, 4), later(&second, 5), later(&second, 6)];
        let lost = lost.map(|directory| directory.position());
        // Made at revision 3 of the first run, and written up to 9 since.
        let copy = later(&run(&first.runs, 9, 3), 9);
        for position in lost {
            assert_eq!(copy.issued(&position), Issued::Elsewhere, "{position:?}");
        }
        assert_eq!(copy.issued(&later(&first, 3).position()), Issued::Here);
        // One that was never started since.
        assert_eq!(later(&first, 3).issued(&lost[0]), Issued::Elsewhere);
    }

    #[test]
    fn a_position_that_was_changed_is_nobodys() {
        let directory = later(&run(&[], 1, 0), 7);
        let position = directory.position();
        for byte in 0..16 {
            let mut forged = position;
            forged.proof.0[byte] ^= 1;
            assert_eq!(directory.issued(&forged), Issued::ByNobody, "{byte}");
        }
        let revision = 8;
        let ahead = Position {
            revision,
            ..position
        };
        assert_eq!(directory.issued(&ahead), Issued::ByNobody);
    }

    #[test]
    fn what_nobody_remembers_proves_nothing() {
        let old = run(&[], 1, 0);
        let kept = run(&[], 2, 50);
        assert_eq!(kept.issued(&later(&old, 49).position()), Issued::Here);
        assert_eq!(kept.issued(&later(&old, 50).position()), Issued::Elsewhere);
    }
}
