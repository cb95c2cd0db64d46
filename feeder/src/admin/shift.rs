//! Who gains and loses what when a frozen tenant is published as it is stored: by the entries that filters would be sent, over what they ask for now.

use std::collections::{BTreeSet, HashMap};

use scimesh_proto::scope::{MAX_TERMS, Scope, Term};
use scimesh_proto::snapshot::{TermSet, TermState};

use super::wire::TermShift;
use crate::directory::{Directory, Resolved, Slot};

/// What a rule calls being known at all.
const ACTIVE: &str = "active";

/// What becomes of each term of `scopes`, which are the tenant's, if anything does.
pub(super) fn by_unfreezing(
    directory: &Directory,
    tenant: &str,
    scopes: &[Scope],
) -> Vec<TermShift> {
    let thawed = directory.as_if_thawed(tenant);
    let any_active = scopes.iter().any(Scope::any_active);
    let terms: BTreeSet<&Term> = scopes.iter().flat_map(Scope::terms).collect();
    let terms: Vec<Term> = terms.into_iter().cloned().collect();
    let mut shifts = Vec::new();
    if any_active {
        let scope = Scope::new(tenant, [], true);
        shifts.extend(
            scope
                .iter()
                .flat_map(|scope| of_scope(directory, &thawed, scope)),
        );
    }
    // Together they may be more than one scope can have.
    for terms in terms.chunks(MAX_TERMS) {
        let scope = Scope::new(tenant, terms.iter().cloned(), false);
        shifts.extend(
            scope
                .iter()
                .flat_map(|scope| of_scope(directory, &thawed, scope)),
        );
    }
    shifts
}

fn of_scope(before: &Directory, after: &Directory, scope: &Scope) -> Vec<TermShift> {
    let (before, held) = holders(before, scope);
    let (after, holds) = holders(after, scope);
    let nobody = TermSet::default();
    let count = |one: &HashMap<Slot, TermSet>, other: &HashMap<Slot, TermSet>, term: usize| {
        let lacks = |slot| !other.get(slot).unwrap_or(&nobody).contains(term);
        let holders = one.iter().filter(|(_, terms)| terms.contains(term));
        holders.filter(|(slot, _)| lacks(*slot)).count()
    };
    let mut shifts = Vec::new();
    if scope.any_active() {
        let unknown_to = |one: &HashMap<Slot, TermSet>, other: &HashMap<Slot, TermSet>| {
            one.keys().filter(|slot| !other.contains_key(slot)).count()
        };
        shifts.push(TermShift {
            term: ACTIVE.to_owned(),
            gain: unknown_to(&holds, &held),
            lose: unknown_to(&held, &holds),
            from: word(TermState::Found),
            to: word(TermState::Found),
        });
    }
    for (index, term) in scope.terms().iter().enumerate() {
        let state = |states: &[TermState]| states.get(index).copied().map(word).unwrap_or_default();
        shifts.push(TermShift {
            term: term.to_string(),
            gain: count(&holds, &held, index),
            lose: count(&held, &holds, index),
            from: state(&before),
            to: state(&after),
        });
    }
    shifts.retain(|shift| shift.gain + shift.lose > 0 || shift.from != shift.to);
    shifts
}

/// What the scope's terms resolve to, and who of those whom a token or a certificate can name has which.
fn holders(directory: &Directory, scope: &Scope) -> (Vec<TermState>, HashMap<Slot, TermSet>) {
    let mut resolved = Resolved::new(directory, scope);
    let mut holders = HashMap::new();
    resolved.for_each_user(|user, _, terms| {
        holders.entry(user).or_insert_with(|| terms.clone());
    });
    (resolved.states().to_vec(), holders)
}

fn word(state: TermState) -> String {
    match state {
        TermState::Found => "found",
        TermState::Missing => "missing",
        TermState::Ambiguous => "ambiguous",
    }
    .to_owned()
}
