//! Snapshots and deltas as messages, ready for the wire. Going out can't fail.

use std::collections::HashMap;

use hyper::body::Bytes;
use scimesh_proto::digest::SubjectDigest;
use scimesh_proto::scope::Scope;
use scimesh_proto::snapshot::parts::PartWriter;
use scimesh_proto::snapshot::{TermSet, TermState};
use scimesh_proto::wire::v1::feeder_message::Message;
use scimesh_proto::wire::{FORMAT, PART_SUBJECTS, v1};

use super::grpc::{PREFIX, framed};
use crate::directory::{Content, Difference, Directory, Resolved};

/// One update as it goes out to every stream, piece by piece; a small one is one piece.
#[derive(Debug, Default)]
pub(crate) struct Update {
    pieces: Box<[Bytes]>,
    is_delta: bool,
}

impl Update {
    pub(super) fn pieces(&self) -> &[Bytes] {
        &self.pieces
    }

    pub(super) fn is_delta(&self) -> bool {
        self.is_delta
    }

    /// Bytes on the wire, what gRPC puts before each message included.
    pub(crate) fn wire_bytes(&self) -> usize {
        self.pieces.iter().map(Bytes::len).sum()
    }

    /// Bytes of its messages.
    pub(super) fn bytes(&self) -> usize {
        self.wire_bytes() - PREFIX * self.pieces.len()
    }
}

/// The whole content of a scope, whose totals are `content`.
pub(crate) fn snapshot(directory: &Directory, scope: &Scope, content: Content) -> Update {
    let mut resolved = Resolved::new(directory, scope);
    let start = v1::Start {
        format: FORMAT,
        position: Some((&directory.position()).into()),
        from: None,
        key: directory.keys().content.as_bytes().to_vec().into(),
        bindings: Some(bindings(&resolved)),
        terms: Some(states(resolved.states())),
        subjects: content.entries,
    };
    // A set is held once however many have it: a million sets of their own would be most of the memory.
    let mut sets: Vec<TermSet> = Vec::new();
    let mut numbers: HashMap<TermSet, u32> = HashMap::new();
    let mut entries: Vec<(SubjectDigest, u32)> = Vec::new();
    resolved.for_each(|subject, terms| {
        let number = match numbers.get(terms) {
            Some(number) => *number,
            None => {
                let number = sets.len() as u32;
                sets.push(terms.clone());
                numbers.insert(terms.clone(), number);
                number
            }
        };
        entries.push((subject, number));
    });
    entries.sort_unstable();
    let mut writer = PartWriter::default();
    let parts = entries.chunks(PART_SUBJECTS).map(|some| {
        let some = some
            .iter()
            .filter_map(|(subject, number)| Some((*subject, sets.get(*number as usize)?)));
        writer.part(some, [])
    });
    update(start, parts.collect(), content)
}

/// What a filter lacks that holds the content of revision `held`, from which this one differs. None if a snapshot is shorter.
pub(super) fn delta(
    directory: &Directory,
    scope: &Scope,
    content: Content,
    held: u64,
    difference: &Difference,
) -> Option<Update> {
    if difference.entries.len() as u64 > content.entries.max(64) {
        return None;
    }
    let mut changed: Vec<(SubjectDigest, &TermSet)> = Vec::new();
    let mut removed: Vec<SubjectDigest> = Vec::new();
    for (subject, terms) in &difference.entries {
        match terms {
            Some(terms) => changed.push((*subject, terms)),
            None => removed.push(*subject),
        }
    }
    changed.sort_unstable();
    removed.sort_unstable();
    let heads = (difference.terms || difference.bindings).then(|| Resolved::new(directory, scope));
    let terms = heads.as_ref().filter(|_| difference.terms);
    let bound = heads.as_ref().filter(|_| difference.bindings);
    let start = v1::Start {
        format: FORMAT,
        position: Some((&directory.position()).into()),
        from: Some(held),
        key: Default::default(),
        bindings: bound.map(bindings),
        terms: terms.map(|resolved| states(resolved.states())),
        subjects: (changed.len() + removed.len()) as u64,
    };
    let mut writer = PartWriter::default();
    let mut parts = Vec::new();
    let (mut changed, mut removed) = (changed.as_slice(), removed.as_slice());
    while !changed.is_empty() || !removed.is_empty() {
        let (some, others) = changed.split_at(changed.len().min(PART_SUBJECTS));
        let room = PART_SUBJECTS - some.len();
        let (gone, stay) = removed.split_at(removed.len().min(room));
        parts.push(writer.part(some.iter().copied(), gone.iter().copied()));
        (changed, removed) = (others, stay);
    }
    Some(update(start, parts, content))
}

fn update(start: v1::Start, parts: Vec<v1::Part>, content: Content) -> Update {
    let is_delta = start.from.is_some();
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
    if let Some(first) = pieces.first_mut() {
        first.start = Some(start);
    }
    if let Some(last) = pieces.last_mut() {
        last.end = Some(v1::End {
            digest: content.digest.to_bytes().to_vec().into(),
        });
    }
    let pieces = pieces.into_iter().map(Message::Update).map(framed);
    Update {
        pieces: pieces.collect(),
        is_delta,
    }
}

fn bindings(resolved: &Resolved) -> v1::BindingList {
    v1::BindingList {
        bindings: resolved.bindings().iter().map(Into::into).collect(),
    }
}

fn states(states: &[TermState]) -> v1::TermStateList {
    let states = states.iter().copied().map(v1::TermState::from);
    v1::TermStateList {
        states: states.map(Into::into).collect(),
    }
}
