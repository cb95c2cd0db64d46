//! Message by message.

#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

#[test]
fn nothing_of_a_snapshot_counts_before_its_end() {
    let content = Content::small();
    let mut vm = Vm::empty();
    let mut messages = content.messages(at(1, 5), 1);
    let end = messages.pop().unwrap();
    for message in messages {
        assert_eq!(vm.take(message), Ok(Received::Part));
        assert!(vm.seen().is_none());
    }
    assert_eq!(vm.take(end), Ok(Received::Applied(at(1, 5))));
    assert_eq!(vm.seen().unwrap().0, content);
    let held = vm.replica.snapshot().unwrap();
    assert_eq!((held.len(), held.is_empty()), (3, false));
    let of_issuer = |issuer: &str| held.binding_of_issuer(issuer.as_bytes());
    assert_eq!(of_issuer("https://idp1.example"), Some(&binding(1)));
    assert_eq!(of_issuer("https://idp1.example/"), None);
}

#[test]
fn a_half_read_snapshot_dies_with_its_stream_and_the_old_one_serves_on() {
    let mut vm = Vm::holding(&Content::small(), at(1, 5));
    let before = vm.seen();
    let mut messages = Content {
        entries: BTreeMap::new(),
        ..Content::small()
    }
    .messages(at(1, 6), 1);
    let end = messages.pop().unwrap();
    for message in messages {
        vm.take(message).unwrap();
    }
    vm.replica.disconnect();
    vm.refuses(end, Reason::OutOfOrder);
    assert_eq!(vm.seen(), before);
}

#[test]
fn a_pong_in_the_middle_of_a_snapshot_does_not_disturb_it() {
    let mut vm = Vm::empty();
    let mut messages = Content::small().messages(at(1, 5), 1).into_iter();
    vm.take(messages.next().unwrap()).unwrap();
    let pong = v1::Pong {
        ping_id: 9,
        position: Some((&at(1, 5)).into()),
    };
    let pong = vm.take(wrap(Message::Pong(pong)));
    assert_eq!(
        pong,
        Ok(Received::Pong {
            ping_id: 9,
            position: at(1, 5)
        })
    );
    let last = messages.map(|message| vm.take(message)).last().unwrap();
    assert_eq!(last, Ok(Received::Applied(at(1, 5))));
}

#[test]
fn a_delta_changes_what_it_says_and_an_empty_one_only_the_position() {
    let a = Content::small();
    let mut b = a.clone();
    b.entries.remove(&subject(1));
    b.entries.insert(subject(2), TermSet::default());
    b.entries.insert(subject(9), TermSet::from_indices([0, 19]));
    b.terms[3] = TermState::Ambiguous;
    b.bindings.push(binding(2));
    let mut vm = Vm::holding(&a, at(1, 5));
    assert_eq!(
        vm.delta(a.delta(5, &b, at(1, 8))),
        Ok(Received::Applied(at(1, 8)))
    );
    assert_eq!(vm.seen().unwrap().0, b);
    assert_eq!(
        vm.delta(b.delta(8, &b, at(1, 9))),
        Ok(Received::Applied(at(1, 9)))
    );
    assert_eq!(
        vm.seen().unwrap(),
        (b.clone(), at(1, 9), b.snapshot(at(1, 9)).digest())
    );
}

#[test]
fn hello_tells_what_is_held() {
    let content = Content::small();
    let hello = Vm::empty().replica.hello(v1::Node::default());
    assert_eq!((hello.held, hello.digest.len()), (None, 0));
    let hello = Vm::holding(&content, at(1, 5))
        .replica
        .hello(v1::Node::default());
    assert_eq!(hello.held, Some((&at(1, 5)).into()));
    assert_eq!(hello.digest, digest_of(&content, at(1, 5)));
    assert_eq!(hello.scope, Some((&scope()).into()));
}

#[test]
fn a_delta_counts_only_from_the_revision_that_is_held() {
    let a = Content::small();
    let b = Content {
        entries: BTreeMap::new(),
        ..a.clone()
    };
    Vm::empty().refuses_delta(a.delta(5, &b, at(1, 6)), Reason::OutOfOrder);
    let mut vm = Vm::holding(&a, at(1, 5));
    for from in [4, 6, u64::MAX] {
        vm.refuses_delta(a.delta(from, &b, at(1, 9)), Reason::OutOfOrder);
    }
    // A higher generation takes a whole snapshot.
    vm.refuses_delta(a.delta(5, &b, at(2, 6)), Reason::OutOfOrder);
    assert_eq!(vm.load(&b, at(2, 1)), Ok(Received::Applied(at(2, 1))));
    assert_eq!(vm.seen().unwrap().0, b);
}

#[test]
fn a_worker_never_goes_back() {
    let a = Content::small();
    let pong = |position: Position| {
        wrap(Message::Pong(v1::Pong {
            ping_id: 1,
            position: Some((&position).into()),
        }))
    };
    let mut stranger = at(2, 9);
    stranger.history.id = [99; 16];
    let cases = [
        (at(2, 4), Reason::RevisionFell),
        (at(1, 99), Reason::RevisionFell),
        (stranger, Reason::HistoryMismatch),
    ];
    for (position, reason) in cases {
        let mut vm = Vm::holding(&a, at(2, 5));
        vm.refuses(a.messages(position, 8).remove(0), reason);
        vm.refuses_delta(a.delta(5, &a, position), reason);
        vm.refuses(pong(position), reason);
    }
    // Not even a VM that holds nothing of this scope, but has seen more in another.
    let mut vm = Vm::holding(&a, at(2, 5));
    vm.replica = Replica::new(scope());
    vm.refuses(a.messages(at(2, 4), 8).remove(0), Reason::RevisionFell);
    // A snapshot that began in time and ends too late.
    let mut messages = a.messages(at(2, 6), 8);
    let end = messages.pop().unwrap();
    for message in messages {
        vm.take(message).unwrap();
    }
    vm.highest.raise(at(2, 7));
    vm.refuses(end, Reason::RevisionFell);
    // The same position again is no step back: so a wrong digest is repaired.
    let mut vm = Vm::holding(&a, at(2, 5));
    assert_eq!(vm.load(&a, at(2, 5)), Ok(Received::Applied(at(2, 5))));
}

#[test]
fn content_that_is_not_what_was_announced_is_refused() {
    let a = Content::small();
    let mut b = a.clone();
    b.entries.insert(subject(1), TermSet::default());
    let mut vm = Vm::holding(&a, at(1, 5));
    let good = || a.delta(5, &b, at(1, 6));
    for wrong in [
        v1::Delta {
            changed: None,
            ..good()
        },
        v1::Delta {
            digest: digest_of(&a, at(1, 6)),
            ..good()
        },
        v1::Delta {
            terms: Some(v1::TermStateList {
                states: states(&[TermState::Missing; TERMS]),
            }),
            ..good()
        },
        v1::Delta {
            bindings: Some(v1::BindingList::default()),
            ..good()
        },
        v1::Delta {
            removed: vec![2; 16].into(),
            ..good()
        },
    ] {
        vm.refuses_delta(wrong, Reason::DigestMismatch);
    }
    let mut messages = b.messages(at(1, 6), 8);
    messages.pop();
    for message in messages {
        vm.take(message).unwrap();
    }
    let end = v1::SnapshotEnd {
        digest: digest_of(&a, at(1, 6)),
    };
    vm.refuses(wrap(Message::SnapshotEnd(end)), Reason::DigestMismatch);
    assert_eq!(vm.delta(good()), Ok(Received::Applied(at(1, 6))));
}

#[test]
fn a_subject_that_is_there_twice_is_refused() {
    let a = Content::small();
    let set = TermSet::default();
    let twice = entries::encode([(subject(9), &set), (subject(9), &set)]);
    let mut vm = Vm::holding(&a, at(1, 5));
    let good = || a.delta(5, &a, at(1, 6));
    for wrong in [
        v1::Delta {
            changed: Some(twice.clone()),
            ..good()
        },
        v1::Delta {
            removed: vec![1; 32].into(),
            ..good()
        },
        v1::Delta {
            changed: Some(entries::encode([(subject(1), &set)])),
            removed: vec![1; 16].into(),
            ..good()
        },
    ] {
        vm.refuses_delta(wrong, Reason::Malformed);
    }
    // Within a chunk, and over two.
    let chunk = |wire: &v1::Entries| {
        wrap(Message::SnapshotChunk(v1::SnapshotChunk {
            entries: Some(wire.clone()),
        }))
    };
    let start = || a.messages(at(1, 6), 8).remove(0);
    vm.take(start()).unwrap();
    vm.refuses(chunk(&twice), Reason::Malformed);
    let once = entries::encode([(subject(9), &set)]);
    vm.take(start()).unwrap();
    vm.take(chunk(&once)).unwrap();
    vm.refuses(chunk(&once), Reason::Malformed);
}

#[test]
fn a_nack_says_what_was_rejected_and_why() {
    let a = Content::small();
    let mut vm = Vm::holding(&a, at(1, 5));
    let delta = a.delta(4, &a, at(1, 6));
    let nack = v1::Nack::from(&vm.delta(delta).unwrap_err());
    assert_eq!(nack.position, Some((&at(1, 6)).into()));
    assert_eq!(nack.reason(), Reason::OutOfOrder);
    assert!(!nack.detail.is_empty());
}

#[test]
fn a_snapshot_has_as_many_entries_as_it_announced() {
    let a = Content::small();
    let mut vm = Vm::empty();
    // One chunk is missing.
    let mut messages = a.messages(at(1, 5), 1);
    messages.remove(1);
    let end = messages.pop().unwrap();
    for message in messages {
        vm.take(message).unwrap();
    }
    vm.refuses(end, Reason::Malformed);
    // One is too many.
    let set = TermSet::default();
    let mut messages = a.messages(at(1, 5), 8);
    messages.pop();
    for message in messages {
        vm.take(message).unwrap();
    }
    let more = v1::SnapshotChunk {
        entries: Some(entries::encode([(subject(9), &set)])),
    };
    vm.refuses(wrap(Message::SnapshotChunk(more)), Reason::Malformed);
}

#[test]
fn what_breaks_the_rules_of_the_wire_is_refused() {
    let a = Content::small();
    let mut vm = Vm::holding(&a, at(1, 5));
    vm.refuses(v1::FeederMessage { message: None }, Reason::Malformed);
    vm.refuses(
        wrap(Message::SnapshotChunk(v1::SnapshotChunk::default())),
        Reason::OutOfOrder,
    );
    vm.refuses(
        wrap(Message::SnapshotEnd(v1::SnapshotEnd::default())),
        Reason::OutOfOrder,
    );
    vm.refuses(wrap(Message::Pong(v1::Pong::default())), Reason::Malformed);

    let delta = || a.delta(5, &a, at(1, 6));
    for format in [0, FORMAT + 1] {
        vm.refuses_delta(v1::Delta { format, ..delta() }, Reason::UnsupportedFormat);
    }
    let position = |change: fn(&mut v1::Position)| {
        let mut position = v1::Position::from(&at(1, 6));
        change(&mut position);
        Some(position)
    };
    let entries = |subjects: Vec<u8>, sets: Vec<u32>, table: Vec<Vec<u8>>| {
        Some(v1::Entries {
            subjects: subjects.into(),
            sets,
            table: table.into_iter().map(Into::into).collect(),
        })
    };
    let one = vec![9; 16];
    for wrong in [
        v1::Delta {
            to: None,
            ..delta()
        },
        v1::Delta {
            to: position(|p| p.history = vec![1; 15].into()),
            ..delta()
        },
        v1::Delta {
            to: position(|p| p.proof = vec![1; 17].into()),
            ..delta()
        },
        v1::Delta {
            digest: vec![0; 15].into(),
            ..delta()
        },
        v1::Delta {
            digest: vec![].into(),
            ..delta()
        },
        v1::Delta {
            removed: vec![1; 17].into(),
            ..delta()
        },
        v1::Delta {
            terms: Some(v1::TermStateList {
                states: vec![1; TERMS - 1],
            }),
            ..delta()
        },
        v1::Delta {
            terms: Some(v1::TermStateList {
                states: vec![0; TERMS],
            }),
            ..delta()
        },
        v1::Delta {
            terms: Some(v1::TermStateList {
                states: vec![4; TERMS],
            }),
            ..delta()
        },
        v1::Delta {
            changed: entries(vec![9; 15], vec![0], vec![vec![]]),
            ..delta()
        },
        v1::Delta {
            changed: entries(one.clone(), vec![], vec![vec![]]),
            ..delta()
        },
        v1::Delta {
            changed: entries(one.clone(), vec![0, 0], vec![vec![]]),
            ..delta()
        },
        v1::Delta {
            changed: entries(one.clone(), vec![1], vec![vec![]]),
            ..delta()
        },
        v1::Delta {
            changed: entries(one.clone(), vec![0], vec![vec![1, 0]]),
            ..delta()
        },
        // Term 20 of 20, and far beyond.
        v1::Delta {
            changed: entries(one.clone(), vec![0], vec![vec![0, 0, 0b1_0000]]),
            ..delta()
        },
        v1::Delta {
            changed: entries(one.clone(), vec![0], vec![vec![1; 1000]]),
            ..delta()
        },
    ] {
        vm.refuses_delta(wrong, Reason::Malformed);
    }
    let bad = |change: fn(&mut v1::Binding)| {
        let mut wire = v1::Binding::from(&binding(1));
        change(&mut wire);
        vec![wire]
    };
    let twice = vec![
        v1::Binding::from(&binding(1)),
        v1::Binding::from(&binding(1)),
    ];
    let disordered = vec![
        v1::Binding::from(&binding(2)),
        v1::Binding::from(&binding(1)),
    ];
    for bindings in [
        twice,
        disordered,
        bad(|b| b.issuer.clear()),
        bad(|b| b.claim.clear()),
        bad(|b| b.attribute = "nickName".to_owned()),
        bad(|b| b.pin_value.clear()),
        bad(|b| b.pin_claim.clear()),
        bad(|b| b.trust_domain = "td".to_owned()),
        bad(|b| {
            *b = v1::Binding {
                trust_domain: "TD".to_owned(),
                ..v1::Binding::from(&binding(4))
            }
        }),
        bad(|b| {
            *b = v1::Binding {
                ignore_case: true,
                ..v1::Binding::from(&binding(4))
            }
        }),
        bad(|b| {
            *b = v1::Binding {
                attribute: "id".to_owned(),
                ..v1::Binding::from(&binding(4))
            }
        }),
        bad(|b| {
            *b = v1::Binding {
                attribute: "externalId".to_owned(),
                ignore_case: true,
                ..v1::Binding::from(&binding(1))
            }
        }),
    ] {
        let list = Some(v1::BindingList { bindings });
        vm.refuses_delta(
            v1::Delta {
                bindings: list,
                ..delta()
            },
            Reason::Malformed,
        );
    }

    let start = || match a.messages(at(1, 6), 8).remove(0).message {
        Some(Message::SnapshotStart(start)) => start,
        other => panic!("{other:?}"),
    };
    for (wrong, reason) in [
        (
            v1::SnapshotStart {
                format: FORMAT + 1,
                ..start()
            },
            Reason::UnsupportedFormat,
        ),
        (
            v1::SnapshotStart {
                position: None,
                ..start()
            },
            Reason::Malformed,
        ),
        (
            v1::SnapshotStart {
                key: vec![7; 31].into(),
                ..start()
            },
            Reason::Malformed,
        ),
        (
            v1::SnapshotStart {
                terms: vec![],
                ..start()
            },
            Reason::Malformed,
        ),
    ] {
        vm.refuses(wrap(Message::SnapshotStart(wrong)), reason);
    }
}

#[test]
fn a_delta_into_the_past_is_refused_by_the_content_itself() {
    let content = Content::small();
    let mut vm = Vm::holding(&content, at(1, 5));
    // As if another stream of the VM had held nothing yet.
    vm.highest = HighWater::default();
    let back = content.delta(5, &content, at(1, 4));
    vm.refuses(wrap(Message::Delta(back)), Reason::OutOfOrder);
}
