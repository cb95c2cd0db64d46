//! The decision: the first rule that is about the request decides, alone.

use std::cell::OnceCell;
use std::time::Duration;

use scimesh_proto::digest::SubjectDigest;
use scimesh_proto::snapshot::Snapshot;
use scimesh_proto::spiffe;

use crate::claims::{Claim, Claims};
use crate::identity::{self, Subject, Unnamed, Workload};
use crate::lease::{Lease, Moment};
use crate::matching::Target;
use crate::policy::{Demand, Effect, Mode, Policy, Requirement, Requirements};
use crate::reason::Reason;
use crate::request::{Connection, Request};

/// Seconds that a token's `iat` may lie ahead: clocks differ.
const MAX_SKEW: f64 = 60.0;

/// What becomes of a request, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Whether it goes on. Under a SHADOW policy it always does.
    pub allowed: bool,
    /// Why; under a SHADOW policy, why it would be allowed or refused in ENFORCE.
    pub reason: Reason,
    /// The place of the rule that decided.
    pub rule: Option<usize>,
    /// The token's user, if that mattered and could be told; known to the directory or not.
    pub subject: Option<Subject>,
    /// The mTLS peer's service account, in the same way.
    pub workload: Option<Workload>,
    /// The SHADOW rules that would have refused it, and why.
    pub shadowed: Vec<(usize, Reason)>,
    /// Under a SHADOW policy: why ENFORCE would have refused it.
    pub would_refuse: Option<Reason>,
}

/// Decides. A pure function of its arguments; claims are asked for only when they matter.
pub fn decide(
    policy: &Policy,
    snapshot: Option<&Snapshot>,
    lease: &Lease,
    request: &Request<'_>,
    now: Moment,
) -> Decision {
    let facts = Facts {
        snapshot: own(policy, snapshot),
        lease,
        connection: request.connection,
        token: request.token,
        now,
        subject: OnceCell::new(),
        peer: OnceCell::new(),
        workload: OnceCell::new(),
    };
    let mut shadowed = Vec::new();
    let (reason, rule) = match Target::new(request) {
        // Were it only not to match, a rule that refuses would be passed by. What a SHADOW rule says refuses nothing.
        Ok(target) if policy.uses_port() && target.port().is_none() => (Reason::UnknownPort, None),
        Ok(target) => first_match(policy, &target, &facts, &mut shadowed),
        Err(ambiguous) => (ambiguous, None),
    };
    let shadow = policy.mode() == Mode::Shadow;
    let workload = facts.workload.into_inner().and_then(Result::ok);
    let peer = facts.peer.into_inner().flatten();
    Decision {
        allowed: shadow || reason.allows(),
        reason,
        rule,
        subject: facts.subject.into_inner().and_then(Result::ok),
        workload: workload
            .zip(peer)
            .map(|(digest, id)| Workload { digest, id }),
        shadowed,
        would_refuse: Some(reason).filter(|reason| shadow && !reason.allows()),
    }
}

/// The snapshot, if it is the policy's tenant's. Terms are a tenant's own: what another tenant's snapshot says about a group of
/// that name is about another group.
pub(crate) fn own<'s>(policy: &Policy, snapshot: Option<&'s Snapshot>) -> Option<&'s Snapshot> {
    snapshot.filter(|held| held.scope().tenant() == policy.scope().tenant())
}

/// Whether a user who is named may what the rule demands.
pub(crate) fn user_may(
    demanded: &Requirement,
    snapshot: &Snapshot,
    user: &SubjectDigest,
) -> Result<(), Reason> {
    let held = snapshot.terms_of(user).ok_or(Reason::UnknownSubject)?;
    match demanded.admits(snapshot, held) {
        true => Ok(()),
        false => Err(Reason::NotPermitted),
    }
}

/// The same of a workload.
pub(crate) fn workload_may(
    demanded: &Requirement,
    snapshot: &Snapshot,
    workload: &SubjectDigest,
) -> Result<(), Reason> {
    let held = snapshot.terms_of(workload).ok_or(Reason::UnknownWorkload)?;
    match demanded.admits(snapshot, held) {
        true => Ok(()),
        false => Err(Reason::WorkloadNotPermitted),
    }
}

fn first_match(
    policy: &Policy,
    target: &Target<'_>,
    facts: &Facts<'_>,
    shadowed: &mut Vec<(usize, Reason)>,
) -> (Reason, Option<usize>) {
    for (index, rule) in policy.rules().iter().enumerate() {
        let shadow = rule.mode == Mode::Shadow;
        if shadow && rule.uses_port() && target.port().is_none() {
            // In ENFORCE it would have every request refused; here it only must not do so.
            shadowed.push((index, Reason::UnknownPort));
            continue;
        }
        if !rule.matches(target) {
            continue;
        }
        let reason = match &rule.effect {
            Effect::Public => Reason::Public,
            Effect::Nobody => Reason::Nobody,
            Effect::Require(demand) => match facts.check(demand) {
                Ok(()) => Reason::Permitted,
                Err(refused) => refused,
            },
        };
        if !shadow {
            return (reason, Some(index));
        }
        if !reason.allows() {
            shadowed.push((index, reason));
        }
    }
    (Reason::NoRule, None)
}

/// What rules ask about whoever asks, found out once however many of them ask.
struct Facts<'a> {
    snapshot: Option<&'a Snapshot>,
    lease: &'a Lease,
    connection: &'a dyn Connection,
    token: Option<&'a dyn Claims>,
    now: Moment,
    subject: OnceCell<Result<Subject, Unnamed>>,
    peer: OnceCell<Option<Vec<u8>>>,
    workload: OnceCell<Result<SubjectDigest, Reason>>,
}

impl Facts<'_> {
    /// What token and connection say by themselves comes first: a client without one is told so whether or not the feed is
    /// up. What needs the directory needs it to be current: a stale one may not know an issuer that it knows today.
    fn check(&self, demand: &Demand) -> Result<(), Reason> {
        let Requirements { user, workload } = &demand.requirements;
        if user.is_some() {
            let token = self.token.ok_or(Reason::NoToken)?;
            if let Some(max_age) = demand.max_token_age
                && !self.issued_within(token, max_age)
            {
                return Err(Reason::TokenTooOld);
            }
        }
        if workload.is_some() && self.peer().is_none() {
            return Err(Reason::NoWorkload);
        }
        let snapshot = self.snapshot.ok_or(Reason::NoSnapshot)?;
        if !self.lease.holds(self.now, demand.max_staleness) {
            return Err(Reason::LeaseEnded);
        }
        if let Some(demanded) = user {
            user_may(demanded, snapshot, &self.subject(snapshot)?.digest)?;
        }
        if let Some(demanded) = workload {
            let name = || identity::workload(snapshot, self.peer());
            let named = (*self.workload.get_or_init(name))?;
            workload_may(demanded, snapshot, &named)?;
        }
        Ok(())
    }

    fn subject(&self, snapshot: &Snapshot) -> Result<&Subject, Reason> {
        let token = self.token.ok_or(Reason::NoToken)?;
        let subject = self.subject.get_or_init(|| identity::user(snapshot, token));
        subject.as_ref().map_err(|unnamed| unnamed.reason())
    }

    /// The peer's SPIFFE id. None as well if what the connection says is none.
    fn peer(&self) -> Option<&[u8]> {
        let ask = || {
            self.connection
                .peer()
                .filter(|id| spiffe::trust_domain(id).is_some())
        };
        self.peer.get_or_init(ask).as_deref()
    }

    fn issued_within(&self, token: &dyn Claims, max_age: Duration) -> bool {
        let Claim::Number(issued) = token.claim("iat") else {
            return false;
        };
        // Comparisons with a NaN are false, and so refuse.
        let age = self.now.wall.as_secs_f64() - issued;
        age >= -MAX_SKEW && age <= max_age.as_secs_f64()
    }
}
