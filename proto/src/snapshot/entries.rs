//! The packed form of subjects and their term sets, as chunks and deltas carry them.

use hashbrown::HashMap;

use super::terms::TermSet;
use crate::digest::SubjectDigest;
use crate::wire::{Malformed, array, v1};

/// Packs entries; equal term sets are written once.
pub fn encode<'a>(entries: impl IntoIterator<Item = (SubjectDigest, &'a TermSet)>) -> v1::Entries {
    let mut subjects: Vec<u8> = Vec::new();
    let mut sets = Vec::new();
    let mut table = Vec::new();
    let mut ids: HashMap<&TermSet, u32> = HashMap::new();
    for (subject, set) in entries {
        subjects.extend_from_slice(&subject.0);
        let id = *ids.entry(set).or_insert_with(|| {
            table.push(set.as_bytes().to_vec().into());
            (table.len() - 1) as u32
        });
        sets.push(id);
    }
    v1::Entries {
        subjects: subjects.into(),
        sets,
        table,
    }
}

/// Unpacks entries over a scope of `terms` terms.
pub fn decode(
    wire: &v1::Entries,
    terms: usize,
) -> Result<Vec<(SubjectDigest, TermSet)>, Malformed> {
    let subjects = decode_subjects("entries.subjects", &wire.subjects)?;
    if subjects.len() != wire.sets.len() {
        return Err(Malformed::Invalid {
            field: "entries.sets",
            why: "not one for each subject",
        });
    }
    let table = wire
        .table
        .iter()
        .map(|bytes| TermSet::read(bytes, terms))
        .collect::<Result<Vec<_>, _>>()?;
    subjects
        .into_iter()
        .zip(&wire.sets)
        .map(|(subject, id)| {
            let set = table.get(*id as usize).ok_or(Malformed::Invalid {
                field: "entries.sets",
                why: "beyond the table",
            })?;
            Ok((subject, set.clone()))
        })
        .collect()
}

/// Unpacks a row of subject digests.
pub fn decode_subjects(field: &'static str, bytes: &[u8]) -> Result<Vec<SubjectDigest>, Malformed> {
    let chunks = bytes.chunks(16);
    chunks
        .map(|chunk| Ok(SubjectDigest(array(field, chunk)?)))
        .collect()
}
