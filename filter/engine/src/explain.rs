//! Why a decision is what it is: rule by rule, condition by condition.
//!
//! Decides nothing: [`decide`] does, and what is added to its decision comes from the functions that it asks itself.

use scimesh_proto::digest::SubjectDigest;
use scimesh_proto::snapshot::{Snapshot, TermSet};
use std::time::Duration;

use crate::decide::{Decision, decide};
use crate::identity::{self, Subject, Unnamed};
use crate::lease::{Lease, Moment};
use crate::matching::Target;
use crate::policy::{Demand, Effect, Mode, Policy, Requirement};
use crate::reason::Reason;
use crate::request::Request;

pub use crate::matching::operation::Field;
pub use crate::policy::requirement::{List, Standing};

/// A decision, and how it came about.
#[derive(Debug, Clone)]
pub struct Explanation {
    /// What [`decide`] says.
    pub decision: Decision,
    /// The rules that were asked, in order, the one that decided last. None were if the request can be read in two ways, or
    /// lacks a port that some rule is about.
    pub rules: Vec<Asked>,
}

/// A rule that was asked.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Its place.
    pub rule: usize,
    /// Whether what it says counts.
    pub mode: Mode,
    /// For each operation of its `to`, the conditions that the request does not meet. One without any: the rule matches.
    pub unmet: Vec<Vec<Field>>,
    /// What it says, if it matches. In [`Mode::Shadow`] that is recorded and nothing else.
    pub says: Option<Reason>,
    /// What it demands of whoever asks, if it matches and demands anything.
    pub demand: Option<Demanded>,
}

/// What a rule demands, and what of it is there.
#[derive(Debug, Clone)]
pub struct Demanded {
    /// Of the token's user; none if the rule does not ask for one.
    pub user: Option<Vec<Demandable>>,
    /// Of the workload.
    pub workload: Option<Vec<Demandable>>,
    /// How long the filter may go without hearing that it is current.
    pub max_staleness: Duration,
    /// How old the token may be.
    pub max_token_age: Option<Duration>,
}

/// One condition of `require`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Demandable {
    /// Where it stands.
    pub list: List,
    /// As the policy writes it.
    pub condition: String,
    /// How whoever asks stands to it. Whoever the snapshot does not know holds nothing, and is not `active`.
    pub standing: Standing,
}

/// What [`decide`] says of the same arguments, and how it comes about.
pub fn explain(
    policy: &Policy,
    snapshot: &Snapshot,
    lease: &Lease,
    request: &Request<'_>,
    now: Moment,
) -> Explanation {
    let decision = decide(policy, Some(snapshot), lease, request, now);
    let asked = match (decision.rule, decision.reason) {
        (Some(rule), _) => rule.saturating_add(1),
        (None, Reason::NoRule) => policy.rules().len(),
        (None, _) => 0,
    };
    let user = request.token.and_then(|token| user(snapshot, token).ok());
    let user = user.map(|subject| subject.digest);
    let workload = workload(snapshot, request.connection.peer().as_deref()).ok();
    let demanded = |demand: &Demand| Demanded {
        user: held(demand.requirements.user.as_ref(), snapshot, user),
        workload: held(demand.requirements.workload.as_ref(), snapshot, workload),
        max_staleness: demand.max_staleness,
        max_token_age: demand.max_token_age,
    };
    let rules = Target::new(request).map_or(Vec::new(), |target| {
        let rules = policy.rules().iter().enumerate().take(asked);
        rules
            .map(|(place, rule)| {
                let matches = rule.matches(&target);
                Asked {
                    rule: place,
                    mode: rule.mode,
                    unmet: rule.unmet(&target),
                    says: matches.then(|| said(&decision, place, &rule.effect)),
                    demand: match &rule.effect {
                        Effect::Require(demand) if matches => Some(demanded(demand)),
                        _ => None,
                    },
                }
            })
            .collect()
    });
    Explanation { decision, rules }
}

/// What a rule that matched said, by the decision that was made.
fn said(decision: &Decision, rule: usize, effect: &Effect) -> Reason {
    if decision.rule == Some(rule) {
        return decision.reason;
    }
    let mut shadowed = decision.shadowed.iter();
    match (shadowed.find(|(place, _)| *place == rule), effect) {
        (Some((_, reason)), _) => *reason,
        (None, Effect::Public) => Reason::Public,
        (None, _) => Reason::Permitted,
    }
}

fn held(
    requirement: Option<&Requirement>,
    snapshot: &Snapshot,
    subject: Option<SubjectDigest>,
) -> Option<Vec<Demandable>> {
    let known = subject.and_then(|subject| snapshot.terms_of(&subject));
    let nothing = TermSet::default();
    let held = known.unwrap_or(&nothing);
    let conditions = requirement?.conditions().map(|(list, condition)| {
        let standing = match condition.standing(snapshot, held) {
            Standing::Held if known.is_none() => Standing::NotHeld,
            standing => standing,
        };
        Demandable {
            list,
            condition: condition.to_string(),
            standing,
        }
    });
    Some(conditions.collect())
}

/// Whom a verified token names by the snapshot's bindings, known or not.
pub fn user(snapshot: &Snapshot, token: &dyn crate::Claims) -> Result<Subject, Unnamed> {
    identity::user(snapshot, token)
}

/// Whom an mTLS peer's URI names by the snapshot's bindings, known or not; the error is why requests are refused.
pub fn workload(snapshot: &Snapshot, peer: Option<&[u8]>) -> Result<SubjectDigest, Reason> {
    identity::workload(snapshot, peer)
}
