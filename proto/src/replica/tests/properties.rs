//! What holds for every content and every message.

use proptest::prelude::*;
use prost::Message as _;
#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

fn set() -> impl Strategy<Value = TermSet> {
    prop::collection::vec(0..TERMS, 0..4).prop_map(TermSet::from_indices)
}

fn state() -> impl Strategy<Value = TermState> {
    prop::sample::select(vec![
        TermState::Found,
        TermState::Missing,
        TermState::Ambiguous,
    ])
}

prop_compose! {
    fn content()(
        issuers in prop::collection::btree_set(0u8..9, 0..4),
        terms in prop::collection::vec(state(), TERMS),
        entries in prop::collection::btree_map(any::<u8>().prop_map(|n| subject(n % 24)), set(), 0..20),
    ) -> Content {
        let mut bindings: Vec<Binding> = issuers.into_iter().map(binding).collect();
        bindings.sort_by_key(Binding::voucher);
        Content { bindings, terms, entries }
    }
}

/// What a feeder might do next, to a replica that may hold something.
#[derive(Debug, Clone)]
enum Step {
    /// The whole content, in chunks.
    Snapshot,
    /// What leads from the content that is held to another, said to be from a revision so many above the held one.
    Delta(u64, usize),
}

/// Messages that are right, or nearly: of some the order, the position or a byte is wrong.
#[derive(Debug, Clone)]
struct Turn {
    step: Step,
    content: Content,
    position: Position,
    dropped: Option<prop::sample::Index>,
    damage: Option<(prop::sample::Index, prop::sample::Index, u8)>,
}

impl Turn {
    fn messages(&self, vm: &Vm) -> Vec<v1::FeederMessage> {
        let mut messages = match (&self.step, vm.seen()) {
            (Step::Delta(off, size), Some((held, position, _))) => {
                let from = position.revision + off;
                held.changes(from, &self.content, self.position, *size)
            }
            _ => self.content.messages(self.position, 3),
        };
        if let Some(which) = self.dropped {
            messages.remove(which.index(messages.len()));
        }
        if let Some((which, at, byte)) = self.damage
            && !messages.is_empty()
        {
            let which = which.index(messages.len());
            let mut bytes = messages[which].encode_to_vec();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            if let Ok(message) = v1::FeederMessage::decode(bytes.as_slice()) {
                messages[which] = message;
            }
        }
        messages
    }
}

prop_compose! {
    fn turn()(
        step in prop_oneof![1 => Just(Step::Snapshot), 2 => (1usize..9).prop_map(|size| Step::Delta(0, size)), 1 => (1u64..3).prop_map(|off| Step::Delta(off, usize::MAX))],
        content in content(),
        generation in prop_oneof![8 => Just(1u64), 1 => 0u64..3],
        revision in 0u64..12,
        dropped in prop::option::weighted(0.1, any::<prop::sample::Index>()),
        damage in prop::option::weighted(0.3, any::<(prop::sample::Index, prop::sample::Index, u8)>()),
    ) -> Turn {
        Turn { step, content, position: at(generation, revision), dropped, damage }
    }
}

proptest! {
    #[test]
    fn a_snapshot_arrives_as_it_was_sent(content in content(), chunk in 1usize..30) {
        let mut vm = Vm::empty();
        for message in content.messages(at(1, 5), chunk) {
            let bytes = message.encode_to_vec();
            vm.take(v1::FeederMessage::decode(bytes.as_slice()).unwrap()).unwrap();
        }
        let digest = content.snapshot(at(1, 5)).digest();
        prop_assert_eq!(vm.seen(), Some((content, at(1, 5), digest)));
    }

    #[test]
    fn deltas_lead_where_a_snapshot_would(contents in prop::collection::vec(content(), 1..6)) {
        let mut vm = Vm::holding(&contents[0], at(1, 0));
        for (revision, step) in contents.windows(2).enumerate() {
            let to = at(1, revision as u64 + 1);
            prop_assert_eq!(vm.delta(step[0].delta(revision as u64, &step[1], to)), Ok(Received::Applied(to)));
            let digest = step[1].snapshot(to).digest();
            prop_assert_eq!(vm.seen(), Some((step[1].clone(), to, digest)));
        }
    }

    #[test]
    fn different_contents_have_different_digests(a in content(), b in content()) {
        prop_assert_eq!(a == b, digest_of(&a, at(1, 1)) == digest_of(&b, at(1, 1)));
    }

    #[test]
    fn no_message_panics_goes_back_or_leaves_half_a_change(turns in prop::collection::vec(turn(), 1..10)) {
        let mut vm = Vm::empty();
        for turn in turns {
            for message in turn.messages(&vm) {
                let before = vm.seen();
                let highest = vm.highest.position().copied();
                if let Ok(Received::Applied(position)) = vm.take(message) {
                    prop_assert!(highest.is_none_or(|highest| highest.order() <= position.order()));
                    let (content, held, digest) = vm.seen().unwrap();
                    prop_assert_eq!(held, position);
                    prop_assert_eq!(digest, content.snapshot(held).digest());
                    prop_assert_eq!(vm.highest.position(), Some(&position));
                } else {
                    prop_assert_eq!(vm.seen(), before);
                    prop_assert_eq!(vm.highest.position().copied(), highest);
                }
            }
        }
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut vm = Vm::holding(&Content::small(), at(1, 5));
        if let Ok(message) = v1::FeederMessage::decode(bytes.as_slice()) {
            let _ = vm.take(message);
        }
    }

    #[test]
    fn what_is_left_of_updates_is_their_content_alone(contents in prop::collection::vec((content(), 1usize..9, any::<bool>()), 1..8)) {
        let mut held = Content { entries: BTreeMap::new(), ..Content::small() };
        let mut vm = Vm::holding(&held, at(1, 0));
        let mut revision = 0;
        for (next, size, whole) in contents {
            let mut pieces = held.changes(revision, &next, at(1, revision + 1), size);
            if !whole {
                // Cut off: as if it had never come.
                pieces.pop();
            }
            for piece in pieces {
                vm.take(piece).unwrap();
            }
            if whole {
                revision += 1;
                held = next;
            }
            vm.replica.disconnect();
            vm.replica.settle(&mut vm.highest);
        }
        while !vm.replica.is_settled() {
            vm.replica.settle(&mut vm.highest);
        }
        prop_assert_eq!(vm.seen().map(|seen| seen.0), Some(held.clone()));
        let distinct: std::collections::BTreeSet<_> = held.entries.values().collect();
        prop_assert_eq!(vm.replica.snapshot().unwrap().distinct_sets(), distinct.len());
    }

    #[test]
    fn positions_and_bindings_are_read_as_they_were_written(generation in any::<u64>(), revision in any::<u64>(), id in any::<[u8; 16]>(), proof in any::<[u8; 16]>(), number in any::<u8>()) {
        let position = Position { history: History { generation, id }, revision, proof: Proof(proof) };
        prop_assert_eq!(Position::try_from(v1::Position::from(&position)), Ok(position));
        let binding = binding(number);
        prop_assert_eq!(Binding::try_from(v1::Binding::from(&binding)), Ok(binding));
    }
}
