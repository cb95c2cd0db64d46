//! Whose standing an update is said to have changed.

use super::*;

fn touched(vm: &mut Vm) -> Vec<u8> {
    match vm.replica.take_touched() {
        Touched::Subjects(subjects) => subjects.iter().map(|subject| subject.0[0]).collect(),
        Touched::All => panic!("everybody's"),
    }
}

fn holding(content: &Content) -> Vm {
    let mut vm = Vm::holding(content, at(1, 5));
    assert_eq!(vm.replica.take_touched(), Touched::All, "a snapshot");
    assert!(vm.replica.take_touched().is_nobody());
    vm
}

#[test]
fn a_delta_touches_whom_it_changes_and_whom_it_removes() {
    let before = Content::small();
    let mut vm = holding(&before);
    let mut after = before.clone();
    after.entries.remove(&subject(1));
    after.entries.insert(subject(2), TermSet::from_indices([7]));
    after.entries.insert(subject(9), TermSet::from_indices([7]));
    vm.delta(before.delta(5, &after, at(1, 6))).unwrap();
    let mut touched = touched(&mut vm);
    touched.sort();
    assert_eq!(touched, [1, 2, 9]);
}

#[test]
fn deltas_add_up_until_somebody_asks() {
    let before = Content::small();
    let mut vm = holding(&before);
    let mut between = before.clone();
    between.entries.remove(&subject(1));
    vm.delta(before.delta(5, &between, at(1, 6))).unwrap();
    vm.delta(between.delta(6, &before, at(1, 7))).unwrap();
    assert_eq!(touched(&mut vm), [1, 1]);
    assert!(touched(&mut vm).is_empty());
}

#[test]
fn a_binding_or_a_terms_state_touches_everybody() {
    let before = Content::small();
    let mut bound = before.clone();
    bound.bindings.push(binding(2));
    let mut lost = before.clone();
    lost.terms[3] = TermState::Missing;
    for after in [bound, lost] {
        let mut vm = holding(&before);
        vm.delta(before.delta(5, &after, at(1, 6))).unwrap();
        assert_eq!(vm.replica.take_touched(), Touched::All);
    }
}

#[test]
fn what_says_the_same_again_touches_nobody() {
    let content = Content::small();
    let mut vm = holding(&content);
    let mut delta = content.delta(5, &content, at(1, 6));
    let start = delta.start.as_mut().unwrap();
    start.bindings = Some(bindings(&content.bindings));
    start.terms = Some(states(&content.terms));
    vm.delta(delta).unwrap();
    assert!(touched(&mut vm).is_empty());
}

#[test]
fn what_was_refused_touches_nobody() {
    let before = Content::small();
    let mut vm = holding(&before);
    let mut after = before.clone();
    after.entries.remove(&subject(1));
    let mut delta = before.delta(5, &after, at(1, 6));
    delta.end.as_mut().unwrap().digest = vec![0; 16].into();
    vm.delta(delta).unwrap_err();
    assert!(touched(&mut vm).is_empty());
}

#[test]
fn more_than_can_be_listed_is_everybody() {
    for (count, listed) in [(Touched::MAX, true), (Touched::MAX + 1, false)] {
        let mut before = Content::small();
        let mut vm = holding(&before);
        vm.replica.limit = 64 << 20;
        let subjects = (0..count as u32).map(|number| {
            let mut bytes = [200; 16];
            bytes[1..5].copy_from_slice(&number.to_be_bytes());
            SubjectDigest(bytes)
        });
        for (some, revision) in subjects.collect::<Vec<_>>().chunks(100).zip(5..) {
            let mut after = before.clone();
            let set = TermSet::from_indices([1]);
            let some = some.iter().map(|subject| (*subject, set.clone()));
            after.entries.extend(some);
            vm.delta(before.delta(revision, &after, at(1, revision + 1)))
                .unwrap();
            before = after;
        }
        match vm.replica.take_touched() {
            Touched::Subjects(subjects) => assert!(listed && subjects.len() == count),
            Touched::All => assert!(!listed),
        }
    }
}
