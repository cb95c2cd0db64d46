//! The bytes of each format that was ever released, as files: what a filter of then was sent.
//!
//! `format-N.bin` holds messages, each behind its length: a snapshot in three pieces, a delta in two, a small delta, a pong. A file is never
//! changed. A new format gets one of its own: an empty one first, and then `SCIMESH_GOLDEN=PATH cargo test -p scimesh-proto golden` fills it.

use prost::Message as _;
#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

const FORMAT_2: &[u8] = include_bytes!("../../../golden/format-2.bin");

fn contents() -> [Content; 3] {
    let mut first = Content::small();
    first.bindings.push(binding(2));
    first.bindings.push(binding(4));
    first.bindings.sort_by_key(Binding::voucher);
    for number in 4..10 {
        let terms = TermSet::from_indices([0, 7, 8, 19]);
        first.entries.insert(subject(number), terms);
    }
    let mut second = first.clone();
    second.terms[3] = TermState::Ambiguous;
    second.bindings.remove(0);
    second.entries.remove(&subject(5));
    second.entries.insert(subject(200), TermSet::default());
    second
        .entries
        .insert(subject(4), TermSet::from_indices([19]));
    let mut third = second.clone();
    third.entries.remove(&subject(200));
    [first, second, third]
}

fn messages() -> Vec<v1::FeederMessage> {
    let [first, second, third] = contents();
    let pong = v1::Pong {
        ping_id: 300,
        position: Some((&at(3, 8)).into()),
    };
    let mut messages = first.messages(at(3, 5), 3);
    messages.extend(first.changes(5, &second, at(3, 7), 2));
    messages.extend(second.changes(7, &third, at(3, 8), usize::MAX));
    messages.push(wrap(Message::Pong(pong)));
    messages
}

#[test]
fn the_messages_of_this_format_are_read_as_when_they_were_written() {
    let mut rest = FORMAT_2;
    let mut vm = Vm::empty();
    let mut applied = contents().into_iter().zip([5, 7, 8]);
    let mut pong = None;
    while !rest.is_empty() {
        let message = v1::FeederMessage::decode_length_delimited(&mut rest).unwrap();
        match vm.take(message).unwrap() {
            Received::Part => {}
            Received::Applied(position) => {
                let (content, revision) = applied.next().unwrap();
                assert_eq!(position, at(3, revision));
                assert_eq!(vm.seen().unwrap().0, content);
            }
            other => pong = Some(other),
        }
    }
    assert_eq!(applied.next(), None);
    let position = at(3, 8);
    let ping_id = 300;
    assert_eq!(pong, Some(Received::Pong { ping_id, position }));
}

#[test]
fn this_format_is_written_as_it_always_was() {
    let mut written = Vec::new();
    for message in messages() {
        message.encode_length_delimited(&mut written).unwrap();
    }
    if let Ok(path) = std::env::var("SCIMESH_GOLDEN") {
        std::fs::write(path, &written).unwrap();
    }
    assert!(
        FORMAT_2 == written,
        "a change of the wire's form needs a new format"
    );
}
