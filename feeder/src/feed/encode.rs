//! Snapshots and deltas as messages. Going out can't fail.

use std::sync::Arc;

use scimesh_proto::digest::SubjectDigest;
use scimesh_proto::scope::Scope;
use scimesh_proto::snapshot::{TermSet, TermState, entries};
use scimesh_proto::wire::v1::feeder_message::Message;
use scimesh_proto::wire::{CHUNK_ENTRIES, FORMAT, v1};

use crate::directory::{Content, Difference, Directory, Resolved};

/// Entries in a delta at most: 1.7 MB. Whoever is further behind gets a snapshot.
const DELTA_ENTRIES: usize = 100_000;

pub(super) fn message(message: Message) -> v1::FeederMessage {
    v1::FeederMessage {
        message: Some(message),
    }
}

/// The whole content of a scope, whose totals are `content`.
pub(crate) fn snapshot(
    directory: &Directory,
    scope: &Scope,
    content: Content,
) -> Arc<[v1::FeederMessage]> {
    let mut resolved = Resolved::new(directory, scope);
    let start = v1::SnapshotStart {
        format: FORMAT,
        position: Some((&directory.position()).into()),
        key: directory.keys().content.as_bytes().to_vec().into(),
        bindings: resolved.bindings().iter().map(Into::into).collect(),
        terms: states(resolved.states()),
        entries: content.entries,
    };
    let mut messages = vec![message(Message::SnapshotStart(start))];
    let mut chunk: Vec<(SubjectDigest, TermSet)> = Vec::new();
    let mut flush = |chunk: &mut Vec<(SubjectDigest, TermSet)>| {
        let packed = entries::encode(chunk.iter().map(|(subject, set)| (*subject, set)));
        let entries = Some(packed);
        messages.push(message(Message::SnapshotChunk(v1::SnapshotChunk {
            entries,
        })));
        chunk.clear();
    };
    resolved.for_each(|subject, terms| {
        chunk.push((subject, terms.clone()));
        if chunk.len() == CHUNK_ENTRIES {
            flush(&mut chunk);
        }
    });
    if !chunk.is_empty() {
        flush(&mut chunk);
    }
    messages.push(message(Message::SnapshotEnd(v1::SnapshotEnd {
        digest: content.digest.to_bytes().to_vec().into(),
    })));
    messages.into()
}

/// What a filter lacks that holds the content of revision `held`, from which this one differs. None if a snapshot is shorter.
pub(super) fn delta(
    directory: &Directory,
    scope: &Scope,
    content: Content,
    held: u64,
    difference: &Difference,
) -> Option<v1::FeederMessage> {
    let touched = difference.entries.len();
    if touched > DELTA_ENTRIES || touched as u64 > content.entries.max(64) {
        return None;
    }
    let mut changed: Vec<(SubjectDigest, &TermSet)> = Vec::new();
    let mut removed: Vec<u8> = Vec::new();
    for (subject, terms) in &difference.entries {
        match terms {
            Some(terms) => changed.push((*subject, terms)),
            None => removed.extend_from_slice(&subject.0),
        }
    }
    let terms = difference.terms.then(|| v1::TermStateList {
        states: states(Resolved::new(directory, scope).states()),
    });
    let delta = v1::Delta {
        format: FORMAT,
        from: held,
        to: Some((&directory.position()).into()),
        bindings: None,
        terms,
        changed: (!changed.is_empty()).then(|| entries::encode(changed)),
        removed: removed.into(),
        digest: content.digest.to_bytes().to_vec().into(),
    };
    Some(message(Message::Delta(delta)))
}

fn states(states: &[TermState]) -> Vec<i32> {
    let states = states.iter().copied().map(v1::TermState::from);
    states.map(Into::into).collect()
}
