//! The packed form of subjects and their term sets, as the parts of an update carry them.
//!
//! Subjects come in order, as differences: of a million, neighbours lie some 2^108 apart, so that two bytes of each are
//! zero and are left out. A term set is written when it is first needed, and by its place in the table from then on.

use hashbrown::HashMap;

use super::terms::TermSet;
use crate::digest::SubjectDigest;
use crate::wire::{Malformed, PART_SUBJECTS, v1};

/// Writes the parts of one update.
#[derive(Debug, Default)]
pub struct PartWriter<'a> {
    table: HashMap<&'a TermSet, u32>,
    changed: Row,
    removed: Row,
}

impl<'a> PartWriter<'a> {
    /// The next part: at most [`PART_SUBJECTS`] together, both in ascending order and beyond those of the parts before.
    pub fn part(
        &mut self,
        changed: impl IntoIterator<Item = (SubjectDigest, &'a TermSet)>,
        removed: impl IntoIterator<Item = SubjectDigest>,
    ) -> v1::Part {
        let mut subjects = Vec::new();
        let mut sets = Vec::new();
        let mut table = Vec::new();
        for (subject, set) in changed {
            subjects.push(subject);
            let next = self.table.len() as u32;
            sets.push(*self.table.entry(set).or_insert_with(|| {
                table.push(set.as_bytes().to_vec().into());
                next
            }));
        }
        v1::Part {
            changed: self.changed.write(subjects),
            sets,
            table,
            removed: self.removed.write(removed.into_iter().collect()),
        }
    }
}

/// Reads the parts of one update over a scope of so many terms.
#[derive(Debug)]
pub(crate) struct PartReader {
    terms: usize,
    /// What stands for each set of the update's table.
    table: Vec<u32>,
    changed: Row,
    removed: Row,
    subjects: u64,
}

/// A part that has been read: subjects with what stands for their sets, and subjects that are gone.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) changed: Vec<(SubjectDigest, u32)>,
    pub(crate) removed: Vec<SubjectDigest>,
}

impl PartReader {
    pub(crate) fn new(terms: usize) -> PartReader {
        PartReader {
            terms,
            table: Vec::new(),
            changed: Row::default(),
            removed: Row::default(),
            subjects: 0,
        }
    }

    /// How many subjects have been read.
    pub(crate) fn subjects(&self) -> u64 {
        self.subjects
    }

    /// What stands for the sets that have been read.
    pub(crate) fn table(&self) -> &[u32] {
        &self.table
    }

    /// Reads the next part. `keep` is given each new set, and says what stands for it.
    pub(crate) fn read(
        &mut self,
        wire: &v1::Part,
        mut keep: impl FnMut(TermSet) -> u32,
    ) -> Result<Part, Malformed> {
        let changed = self.changed.read("part.changed", wire.changed.as_ref())?;
        let removed = self.removed.read("part.removed", wire.removed.as_ref())?;
        let subjects = changed.len() + removed.len();
        if subjects > PART_SUBJECTS || wire.table.len() > changed.len() {
            return Err(Malformed::Invalid {
                field: "part",
                why: "more than a part may hold",
            });
        }
        self.subjects += subjects as u64;
        if changed.len() != wire.sets.len() {
            return Err(Malformed::Invalid {
                field: "part.sets",
                why: "not one for each subject",
            });
        }
        for bytes in &wire.table {
            let set = TermSet::read(bytes, self.terms)?;
            self.table.push(keep(set));
        }
        let changed = changed.into_iter().zip(&wire.sets).map(|(subject, place)| {
            let set = self.table.get(*place as usize);
            set.map(|set| (subject, *set)).ok_or(Malformed::Invalid {
                field: "part.sets",
                why: "beyond the table",
            })
        });
        Ok(Part {
            changed: changed.collect::<Result<_, _>>()?,
            removed,
        })
    }
}

/// Where a row of subjects has got to, over the parts of an update.
#[derive(Debug, Default)]
struct Row {
    last: Option<u128>,
}

impl Row {
    fn write(&mut self, subjects: Vec<SubjectDigest>) -> Option<v1::Subjects> {
        let mut last = self.last.unwrap_or_default();
        let mut steps = Vec::with_capacity(subjects.len());
        for subject in subjects {
            steps.push(subject.rank().wrapping_sub(last));
            last = subject.rank();
        }
        let widest = steps.iter().copied().max()?;
        self.last = Some(last);
        let width = (size_of::<u128>() - widest.leading_zeros() as usize / 8).max(1);
        let bytes = steps.iter().flat_map(|step| {
            let bytes = step.to_be_bytes();
            bytes.into_iter().skip(size_of::<u128>() - width)
        });
        Some(v1::Subjects {
            width: width as u32,
            steps: bytes.collect::<Vec<u8>>().into(),
        })
    }

    fn read(
        &mut self,
        field: &'static str,
        wire: Option<&v1::Subjects>,
    ) -> Result<Vec<SubjectDigest>, Malformed> {
        let Some(wire) = wire else {
            return Ok(Vec::new());
        };
        let invalid = |why| Malformed::Invalid { field, why };
        let width = wire.width as usize;
        if width == 0 || width > size_of::<u128>() || wire.steps.len() % width != 0 {
            return Err(invalid("not whole steps of 1 to 16 bytes"));
        }
        if wire.steps.len() / width > PART_SUBJECTS {
            return Err(invalid("more than a part may hold"));
        }
        let mut subjects = Vec::with_capacity(wire.steps.len() / width);
        for bytes in wire.steps.chunks_exact(width) {
            let mut step = [0; size_of::<u128>()];
            if let Some(low) = step.get_mut(size_of::<u128>() - width..) {
                low.copy_from_slice(bytes);
            }
            let step = u128::from_be_bytes(step);
            let next = match self.last {
                None => Some(step),
                Some(_) if step == 0 => None,
                Some(last) => last.checked_add(step),
            };
            let next = next.ok_or(invalid("not in ascending order"))?;
            self.last = Some(next);
            subjects.push(SubjectDigest::of_rank(next));
        }
        Ok(subjects)
    }
}
