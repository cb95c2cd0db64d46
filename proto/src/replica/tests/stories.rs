//! Message by message.

#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;
use crate::wire::PART_SUBJECTS;

/// An update with something in it changed.
fn changed(update: v1::Update, change: impl FnOnce(&mut v1::Update)) -> v1::Update {
    let mut update = update;
    change(&mut update);
    update
}

fn start(update: &mut v1::Update) -> &mut v1::Start {
    update.start.as_mut().unwrap()
}

fn part(update: &mut v1::Update) -> &mut v1::Part {
    update.part.as_mut().unwrap()
}

/// Subjects as a part has them, in this order, right or wrong.
fn row(subjects: &[u8]) -> Option<v1::Subjects> {
    let mut last = 0;
    let steps = subjects.iter().flat_map(|number| {
        let rank = subject(*number).rank();
        let step = rank.wrapping_sub(last);
        last = rank;
        step.to_be_bytes()
    });
    Some(v1::Subjects {
        width: 16,
        steps: steps.collect::<Vec<u8>>().into(),
    })
}

fn piece(part: v1::Part) -> v1::FeederMessage {
    wrap(Message::Update(v1::Update {
        part: Some(part),
        ..Default::default()
    }))
}

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
        terms: vec![TermState::Missing; TERMS],
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
    vm.replica = Replica::new(scope(), 1 << 20);
    vm.refuses(a.messages(at(2, 4), 8).remove(0), Reason::RevisionFell);
    // A snapshot that began in time and ends too late.
    let mut messages = a.messages(at(2, 6), 1);
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
    let wrong: [fn(&mut v1::Update); 5] = [
        |update| {
            start(update).subjects = 0;
            update.part = None;
        },
        |update| update.end.as_mut().unwrap().digest = digest_of(&Content::small(), at(1, 6)),
        |update| start(update).terms = Some(states(&[TermState::Missing; TERMS])),
        |update| start(update).bindings = Some(v1::BindingList::default()),
        |update| {
            start(update).subjects += 1;
            part(update).removed = row(&[2]);
        },
    ];
    for wrong in wrong {
        vm.refuses_delta(changed(good(), wrong), Reason::DigestMismatch);
    }
    let mut messages = b.messages(at(1, 6), 1);
    let Some(Message::Update(mut last)) = messages.pop().unwrap().message else {
        panic!("no update");
    };
    for message in messages {
        vm.take(message).unwrap();
    }
    last.end.as_mut().unwrap().digest = digest_of(&a, at(1, 6));
    vm.refuses(wrap(Message::Update(last)), Reason::DigestMismatch);
    assert_eq!(vm.delta(good()), Ok(Received::Applied(at(1, 6))));
}

#[test]
fn a_subject_that_is_there_twice_is_refused() {
    let a = Content::small();
    let mut vm = Vm::holding(&a, at(1, 5));
    let one = || v1::Part {
        changed: row(&[9]),
        sets: vec![0],
        table: vec![vec![].into()],
        removed: None,
    };
    let twice = || v1::Part {
        changed: row(&[9, 9]),
        sets: vec![0, 0],
        ..one()
    };
    let descending = || v1::Part {
        changed: row(&[9, 8]),
        sets: vec![0, 0],
        ..one()
    };
    let removed = |subjects: &[u8]| v1::Part {
        removed: row(subjects),
        ..Default::default()
    };
    let both = || v1::Part {
        removed: row(&[9]),
        ..one()
    };
    for wrong in [twice(), descending(), removed(&[1, 1]), both()] {
        let wrong = changed(a.delta(5, &a, at(1, 6)), |update| {
            start(update).subjects = 2;
            update.part = Some(wrong);
        });
        vm.refuses_delta(wrong, Reason::Malformed);
    }
    // Within a part of a snapshot, and over two.
    let start = || a.messages(at(1, 6), 1).remove(0);
    vm.take(start()).unwrap();
    vm.refuses(piece(twice()), Reason::Malformed);
    vm.take(start()).unwrap();
    vm.take(piece(one())).unwrap();
    let again = v1::Subjects {
        width: 1,
        steps: vec![0].into(),
    };
    let again = v1::Part {
        changed: Some(again),
        ..one()
    };
    vm.refuses(piece(again), Reason::Malformed);
    // A snapshot removes nobody.
    vm.take(start()).unwrap();
    vm.refuses(piece(removed(&[9])), Reason::Malformed);
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
    // Its step is from the one that is missing; how many there are is wrong in any case.
    vm.refuses(end, Reason::Malformed);
    // One is too many.
    let mut messages = a.messages(at(1, 5), 1);
    let end = messages.pop().unwrap();
    for message in messages {
        vm.take(message).unwrap();
    }
    let Some(Message::Update(mut more)) = end.message else {
        panic!("no update");
    };
    more.part = Some(v1::Part {
        changed: row(&[3]),
        ..part(&mut more).clone()
    });
    part(&mut more).changed = Some(v1::Subjects {
        width: 1,
        steps: vec![1, 1].into(),
    });
    part(&mut more).sets = vec![0, 0];
    vm.refuses(wrap(Message::Update(more)), Reason::Malformed);
}

#[test]
fn what_breaks_the_rules_of_the_wire_is_refused() {
    let a = Content::small();
    let mut vm = Vm::holding(&a, at(1, 5));
    vm.refuses(v1::FeederMessage { message: None }, Reason::Malformed);
    vm.refuses(piece(v1::Part::default()), Reason::OutOfOrder);
    vm.refuses(
        wrap(Message::Update(v1::Update::default())),
        Reason::OutOfOrder,
    );
    let end = v1::Update {
        end: Some(v1::End::default()),
        ..Default::default()
    };
    vm.refuses(wrap(Message::Update(end)), Reason::OutOfOrder);
    vm.refuses(wrap(Message::Pong(v1::Pong::default())), Reason::Malformed);

    let delta = || a.delta(5, &a, at(1, 6));
    for format in [0, FORMAT - 1, FORMAT + 1] {
        let wrong = changed(delta(), |update| start(update).format = format);
        vm.refuses_delta(wrong, Reason::UnsupportedFormat);
    }
    fn position(update: &mut v1::Update) -> &mut v1::Position {
        start(update).position.as_mut().unwrap()
    }
    fn end_of(update: &mut v1::Update) -> &mut v1::End {
        update.end.as_mut().unwrap()
    }
    let wrong: [fn(&mut v1::Update); 10] = [
        |update| start(update).position = None,
        |update| position(update).history = vec![1; 15].into(),
        |update| position(update).proof = vec![1; 17].into(),
        |update| end_of(update).digest = vec![0; 15].into(),
        |update| end_of(update).digest = vec![].into(),
        |update| start(update).subjects = 1,
        |update| start(update).terms.get_or_insert_default().states = vec![1; TERMS - 1],
        |update| start(update).terms.get_or_insert_default().states = vec![0; TERMS],
        |update| start(update).terms.get_or_insert_default().states = vec![4; TERMS],
        |update| start(update).terms = Some(v1::TermStateList::default()),
    ];
    for wrong in wrong {
        vm.refuses_delta(changed(delta(), wrong), Reason::Malformed);
    }
    let table = |sets: &[&[u8]]| sets.iter().map(|set| set.to_vec().into()).collect();
    let one = || v1::Part {
        changed: row(&[9]),
        sets: vec![0],
        table: table(&[&[]]),
        removed: None,
    };
    let steps = |width: u32, steps: &[u8]| {
        Some(v1::Subjects {
            width,
            steps: steps.to_vec().into(),
        })
    };
    let many: Vec<u8> = vec![1; PART_SUBJECTS + 1];
    for wrong in [
        v1::Part {
            sets: vec![],
            ..one()
        },
        v1::Part {
            sets: vec![0, 0],
            ..one()
        },
        v1::Part {
            sets: vec![1],
            ..one()
        },
        v1::Part {
            table: table(&[&[1, 0]]),
            ..one()
        },
        // Term 20 of 20, and far beyond.
        v1::Part {
            table: table(&[&[0, 0, 0b1_0000]]),
            ..one()
        },
        v1::Part {
            table: table(&[&[1; 1000]]),
            ..one()
        },
        // More sets than subjects.
        v1::Part {
            table: table(&[&[], &[1]]),
            ..one()
        },
        v1::Part {
            changed: steps(16, &[9; 15]),
            ..one()
        },
        v1::Part {
            changed: steps(0, &[]),
            ..one()
        },
        v1::Part {
            changed: steps(17, &[9; 17]),
            ..one()
        },
        v1::Part {
            changed: steps(16, &[255; 32]),
            sets: vec![0, 0],
            ..one()
        },
        v1::Part {
            removed: steps(16, &[9; 17]),
            ..Default::default()
        },
        v1::Part {
            removed: steps(1, &many),
            ..Default::default()
        },
        v1::Part {
            changed: steps(1, &many),
            sets: vec![0; many.len()],
            ..one()
        },
    ] {
        let wrong = changed(delta(), |update| {
            start(update).subjects = 1;
            update.part = Some(wrong);
        });
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
        let wrong = changed(delta(), |update| start(update).bindings = list);
        vm.refuses_delta(wrong, Reason::Malformed);
    }

    let snapshot = || match a.messages(at(1, 6), 8).remove(0).message {
        Some(Message::Update(update)) => update,
        other => panic!("{other:?}"),
    };
    type Change = fn(&mut v1::Start);
    let wrong: [(Change, Reason); 6] = [
        (|start| start.format = FORMAT + 1, Reason::UnsupportedFormat),
        (|start| start.position = None, Reason::Malformed),
        (|start| start.key = vec![7; 31].into(), Reason::Malformed),
        (|start| start.terms = None, Reason::Malformed),
        (|start| start.bindings = None, Reason::Malformed),
        (|start| start.subjects = 1 << 40, Reason::TooLarge),
    ];
    for (wrong, reason) in wrong {
        let wrong = changed(snapshot(), |update| wrong(start(update)));
        vm.refuses_delta(wrong, reason);
    }
}

#[test]
fn a_delta_into_the_past_is_refused_by_the_content_itself() {
    let content = Content::small();
    let mut vm = Vm::holding(&content, at(1, 5));
    // As if another stream of the VM had held nothing yet.
    vm.highest = HighWater::default();
    let back = content.delta(5, &content, at(1, 4));
    vm.refuses_delta(back, Reason::OutOfOrder);
}

/// So many subjects, from this one on, who all hold this term.
fn many(from: u128, count: u128, term: usize) -> BTreeMap<SubjectDigest, TermSet> {
    let subjects = (from..from + count).map(|n| SubjectDigest::of_rank(n << 100));
    subjects
        .map(|subject| (subject, TermSet::from_indices([term])))
        .collect()
}

fn with(entries: BTreeMap<SubjectDigest, TermSet>) -> Content {
    Content {
        entries,
        ..Content::small()
    }
}

/// Settles it to the end, and finds the same content after each step.
fn settle(vm: &mut Vm) {
    let before = vm.seen();
    while !vm.replica.is_settled() {
        assert_eq!(vm.replica.settle(&mut vm.highest), None);
        assert_eq!(vm.seen(), before);
    }
}

#[test]
fn a_large_change_counts_at_once_and_is_worked_in_little_by_little() {
    let before = with(many(0, 3000, 1));
    let after = with(
        [many(500, 1500, 2), many(1000, 3000, 1), many(9000, 1000, 3)]
            .into_iter()
            .flatten()
            .collect(),
    );
    let mut vm = Vm::holding(&before, at(1, 5));
    let mut messages = before.changes(5, &after, at(1, 6), 100);
    let end = messages.pop().unwrap();
    let seen = vm.seen();
    for message in messages {
        assert_eq!(vm.take(message), Ok(Received::Part));
        assert_eq!(vm.seen(), seen);
    }
    assert_eq!(vm.take(end), Ok(Received::Applied(at(1, 6))));
    assert_eq!(vm.seen().unwrap().0, after);
    assert!(!vm.replica.is_settled());
    // A small one meanwhile.
    let mut third = after.clone();
    third.entries.remove(&SubjectDigest::of_rank(1000 << 100));
    third.entries.extend(many(700, 3, 4));
    assert_eq!(
        vm.delta(after.delta(6, &third, at(1, 7))),
        Ok(Received::Applied(at(1, 7)))
    );
    assert_eq!(vm.seen().unwrap().0, third);
    settle(&mut vm);
    assert_eq!(vm.seen().unwrap().0, third);
    assert_eq!(vm.replica.snapshot().unwrap().len(), third.entries.len());
}

#[test]
fn a_part_holds_no_more_than_a_worker_takes_in_between_two_requests() {
    let half = PART_SUBJECTS as u128 / 2;
    let full = PART_SUBJECTS as u128;
    let before = with(many(0, 2 * full, 1));
    for (changed, removed) in [(full, 0), (0, full), (half, full - half)] {
        let after = |changed: u128| {
            let mut entries = many(removed, 2 * full - removed, 1);
            entries.extend(many(removed, changed, 2));
            with(entries)
        };
        let mut vm = Vm::holding(&before, at(1, 5));
        let more = if changed > 0 {
            after(changed + 1)
        } else {
            with(many(removed + 1, 2 * full - removed - 1, 1))
        };
        vm.refuses_delta(before.delta(5, &more, at(1, 6)), Reason::Malformed);
        let most = before.delta(5, &after(changed), at(1, 6));
        assert_eq!(vm.delta(most), Ok(Received::Applied(at(1, 6))));
    }
    let mut vm = Vm::empty();
    let snapshot = |count: u128| with(many(0, count, 1)).messages(at(1, 5), usize::MAX);
    vm.refuses(snapshot(full + 1).remove(0), Reason::Malformed);
    let most = vm.take(snapshot(full).remove(0));
    assert_eq!(most, Ok(Received::Applied(at(1, 5))));
}

#[test]
fn no_step_of_working_a_change_in_is_longer_than_another() {
    const COUNT: usize = 40 * PART_SUBJECTS;
    let before = with(many(0, COUNT as u128, 1));
    let after = with(many(0, COUNT as u128, 2));
    let mut vm = Vm::holding(&before, at(1, 5));
    for message in before.changes(5, &after, at(1, 6), PART_SUBJECTS) {
        vm.take(message).unwrap();
    }
    // What is not worked in yet is in memory twice.
    let mut steps = Vec::new();
    while !vm.replica.is_settled() {
        let bytes = vm.replica.bytes();
        vm.replica.settle(&mut vm.highest);
        steps.push(bytes - vm.replica.bytes());
    }
    assert_eq!(steps.len(), COUNT / PART_SUBJECTS);
    let longest = steps.iter().max().unwrap();
    assert!(
        *longest < 2 * PART_SUBJECTS as u64 * SUBJECT_BYTES,
        "{steps:?}"
    );
}

#[test]
fn a_second_large_change_waits_for_the_first_to_be_worked_in() {
    let contents = [many(0, 10, 1), many(0, 2000, 2), many(1000, 2000, 3)].map(with);
    let mut vm = Vm::holding(&contents[0], at(1, 5));
    for message in contents[0].changes(5, &contents[1], at(1, 6), 256) {
        vm.take(message).unwrap();
    }
    let mut messages = contents[1].changes(6, &contents[2], at(1, 7), 256);
    let end = messages.pop().unwrap();
    for message in messages {
        vm.take(message).unwrap();
    }
    assert_eq!(vm.take(end), Ok(Received::Waits));
    let mut made = None;
    while made.is_none() {
        assert_eq!(vm.seen().unwrap().0, contents[1]);
        assert_eq!(vm.highest.position(), Some(&at(1, 6)));
        made = vm.replica.settle(&mut vm.highest);
    }
    assert_eq!(made, Some(at(1, 7)));
    assert_eq!(vm.seen().unwrap().0, contents[2]);
    assert_eq!(vm.highest.position(), Some(&at(1, 7)));
    settle(&mut vm);
    // One that waits dies with its stream as well.
    for message in contents[2].changes(7, &contents[1], at(1, 8), 256) {
        vm.take(message).unwrap();
    }
    for message in contents[1].changes(8, &contents[2], at(1, 9), 256) {
        vm.take(message).unwrap();
    }
    vm.replica.disconnect();
    settle(&mut vm);
    assert_eq!(vm.seen().unwrap().1, at(1, 8));
}

#[test]
fn a_change_that_waited_while_the_vm_went_on_to_a_later_history_is_not_made() {
    let contents = [many(0, 10, 1), many(0, 2000, 2), many(1000, 2000, 3)].map(with);
    let mut vm = Vm::holding(&contents[0], at(1, 5));
    for message in contents[0].changes(5, &contents[1], at(1, 6), 256) {
        vm.take(message).unwrap();
    }
    for message in contents[1].changes(6, &contents[2], at(1, 7), 256) {
        vm.take(message).unwrap();
    }
    vm.highest.raise(at(2, 1));
    while !vm.replica.is_settled() {
        assert_eq!(vm.replica.settle(&mut vm.highest), None);
    }
    assert_eq!(vm.replica.settle(&mut vm.highest), None);
    assert_eq!(
        vm.seen().map(|seen| (seen.0, seen.1)),
        Some((contents[1].clone(), at(1, 6)))
    );
    assert_eq!(vm.highest.position(), Some(&at(2, 1)));
    assert_eq!(vm.replica.snapshot().unwrap().distinct_sets(), 1);
}

#[test]
fn what_would_not_fit_is_refused_before_it_is_taken_in_and_while_it_is() {
    let small = with(many(0, 100, 1));
    let large = with(many(0, 1000, 1));
    let mut vm = Vm::empty();
    vm.replica = Replica::new(scope(), 16 << 10);
    vm.load(&small, at(1, 5)).unwrap();
    let held = vm.replica.bytes();
    assert!((2000..16 << 10).contains(&held), "{held}");
    assert_eq!(vm.replica.limit(), 16 << 10);
    let first = large.messages(at(1, 6), 256).remove(0);
    vm.refuses(first, Reason::TooLarge);
    let delta = small.changes(5, &large, at(1, 6), 256).remove(0);
    vm.refuses(delta, Reason::TooLarge);
    // Announced as less than it is.
    let mut refused = None;
    for message in large.messages(at(1, 6), 256) {
        let Some(Message::Update(mut update)) = message.message else {
            panic!("no update");
        };
        if let Some(start) = &mut update.start {
            start.subjects = 300;
        }
        if let Err(rejection) = vm.take(wrap(Message::Update(update))) {
            refused = Some(rejection.reason);
            break;
        }
    }
    assert_eq!(refused, Some(Reason::Malformed));
    assert_eq!(vm.replica.bytes(), held);

    // With sets that take more than the subjects do.
    let each_their_own = |n: u128| {
        let terms = (0..TERMS).filter(|term| n >> term & 1 == 1);
        (
            SubjectDigest::of_rank(n << 100),
            TermSet::from_indices(terms),
        )
    };
    let sets = with((0..600).map(each_their_own).collect());
    let mut messages = sets.messages(at(1, 6), 100).into_iter();
    assert_eq!(vm.take(messages.next().unwrap()), Ok(Received::Part));
    let refused = messages.find_map(|message| vm.take(message).err());
    assert_eq!(
        refused.map(|refused| refused.reason),
        Some(Reason::TooLarge)
    );
    assert_eq!(vm.replica.bytes(), held);
}
