//! The order of operations that refer to each other.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};

/// The operations in the order in which they are carried out, those that refer to each other in a circle together.
///
/// `needs` has, for each operation, those that it refers to. They keep the order of the request (RFC 7644 section 3.7: the result is to be that of the
/// order received), except that an operation waits until what it refers to is there, and a circle has the place of the last of its operations. Takes
/// steps in proportion to operations and references, times the logarithm of the operations, and no recursion.
pub(super) fn order(needs: &[Vec<usize>]) -> Vec<Vec<usize>> {
    let needed = |operation: usize| needs.get(operation).map_or(&[][..], Vec::as_slice);
    let mut waiting = Vec::new();
    let mut circle_of = HashMap::with_capacity(needs.len());
    for (number, mut operations) in circles(needs.len(), needed).into_iter().enumerate() {
        operations.sort_unstable();
        circle_of.extend(operations.iter().map(|operation| (*operation, number)));
        waiting.push(Circle {
            operations,
            needs: 0,
            needed_by: Vec::new(),
        });
    }
    for (operation, others) in needs.iter().enumerate() {
        let Some(number) = circle_of.get(&operation) else {
            continue;
        };
        let others = others.iter().filter_map(|other| circle_of.get(other));
        for other in others.filter(|other| *other != number) {
            if let Some(other) = waiting.get_mut(*other) {
                other.needed_by.push(*number);
            }
            if let Some(circle) = waiting.get_mut(*number) {
                circle.needs += 1;
            }
        }
    }
    // Kahn's: of those that wait for nothing, the first of the request comes first.
    let ready = waiting.iter().enumerate();
    let mut ready: BinaryHeap<Reverse<(Option<usize>, usize)>> = ready
        .filter(|(_, circle)| circle.needs == 0)
        .map(|(number, circle)| Reverse((circle.place(), number)))
        .collect();
    let mut order = Vec::with_capacity(waiting.len());
    while let Some(Reverse((_, number))) = ready.pop() {
        let Some(circle) = waiting.get_mut(number) else {
            continue;
        };
        order.push(std::mem::take(&mut circle.operations));
        for other in std::mem::take(&mut circle.needed_by) {
            let Some(circle) = waiting.get_mut(other) else {
                continue;
            };
            circle.needs -= 1;
            if circle.needs == 0 {
                ready.push(Reverse((circle.place(), other)));
            }
        }
    }
    order
}

/// Operations that refer to each other, nearly always one alone.
struct Circle {
    /// In the order of the request.
    operations: Vec<usize>,
    /// References to circles that are not done yet.
    needs: usize,
    /// The circles that refer to it, once a reference.
    needed_by: Vec<usize>,
}

impl Circle {
    /// Where in the request it belongs.
    fn place(&self) -> Option<usize> {
        self.operations.last().copied()
    }
}

/// Kosaraju's: the strongly connected components of `0..count`.
fn circles<'n>(count: usize, needed: impl Fn(usize) -> &'n [usize]) -> Vec<Vec<usize>> {
    let finished = finishing_order(count, &needed);
    let mut needed_by: HashMap<usize, Vec<usize>> = HashMap::new();
    for operation in &finished {
        for other in needed(*operation) {
            needed_by.entry(*other).or_default().push(*operation);
        }
    }
    let mut seen = HashSet::with_capacity(count);
    let mut circles = Vec::new();
    for root in finished.into_iter().rev() {
        if !seen.insert(root) {
            continue;
        }
        let mut circle = Vec::new();
        let mut open = vec![root];
        while let Some(operation) = open.pop() {
            circle.push(operation);
            let others = needed_by.get(&operation).into_iter().flatten();
            open.extend(others.copied().filter(|other| seen.insert(*other)));
        }
        circles.push(circle);
    }
    circles
}

/// All operations, in the order in which a depth-first walk along what they need leaves them.
fn finishing_order<'n>(count: usize, needed: &impl Fn(usize) -> &'n [usize]) -> Vec<usize> {
    let mut seen = HashSet::with_capacity(count);
    let mut finished = Vec::with_capacity(count);
    for root in 0..count {
        if !seen.insert(root) {
            continue;
        }
        let mut path = vec![(root, needed(root).iter())];
        while let Some((operation, others)) = path.last_mut() {
            match others.next() {
                Some(other) => {
                    if seen.insert(*other) {
                        path.push((*other, needed(*other).iter()));
                    }
                }
                None => {
                    finished.push(*operation);
                    path.pop();
                }
            }
        }
    }
    finished
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn without_references_the_order_is_that_of_the_request() {
        assert_eq!(order(&vec![vec![]; 3]), [[0], [1], [2]]);
    }

    #[test]
    fn an_operation_waits_for_what_it_refers_to_and_holds_up_no_other() {
        // 0 needs 2, and 1 needs 0.
        let needs = [vec![2], vec![0], vec![], vec![]];
        assert_eq!(order(&needs), [[2], [0], [1], [3]]);
        // Backwards there is nothing to wait for.
        let needs = [vec![], vec![0], vec![0], vec![2]];
        assert_eq!(order(&needs), [[0], [1], [2], [3]]);
        // 0 needs 2, which needs 4, as does 1: when 4 is there, 1 comes first.
        let needs = [vec![2], vec![4], vec![4], vec![], vec![]];
        assert_eq!(order(&needs), [[3], [4], [1], [2], [0]]);
    }

    #[test]
    fn a_circle_waits_for_its_last() {
        let needs = [vec![3], vec![], vec![2], vec![0]];
        assert_eq!(order(&needs), [vec![1], vec![2], vec![0, 3]]);
    }

    #[test]
    fn a_long_chain_takes_no_recursion() {
        let count = 100_000;
        let mut needs: Vec<Vec<usize>> = (1..count).map(|next| vec![next]).collect();
        needs.push(vec![]);
        let order = order(&needs);
        assert!(order.iter().map(|circle| circle[0]).eq((0..count).rev()));
    }

    proptest! {
        #[test]
        fn everything_comes_once_and_after_what_it_needs(
            needs in prop::collection::vec(prop::collection::vec(0..12_usize, 0..3), 12)
        ) {
            let order = order(&needs);
            let mut all: Vec<usize> = order.iter().flatten().copied().collect();
            all.sort_unstable();
            prop_assert!(all.into_iter().eq(0..12));
            let place: HashMap<usize, usize> = order
                .iter()
                .enumerate()
                .flat_map(|(place, circle)| circle.iter().map(move |operation| (*operation, place)))
                .collect();
            // What can be reached from where, the slow way.
            let reaches = |from: usize| {
                let mut seen = HashSet::new();
                let mut open = needs[from].clone();
                while let Some(operation) = open.pop() {
                    if seen.insert(operation) {
                        open.extend(&needs[operation]);
                    }
                }
                seen
            };
            for one in 0..12 {
                for other in 0..12 {
                    let (to, back) = (reaches(one).contains(&other), reaches(other).contains(&one));
                    let together = one == other || (to && back);
                    prop_assert_eq!(place[&one] == place[&other], together);
                    prop_assert!(!to || place[&other] <= place[&one]);
                }
            }
        }
    }
}
