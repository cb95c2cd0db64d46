//! What an open request was let in by, so that it can be asked again whether it still would be.
//!
//! The answer is worked out as [`decide`](crate::decide) does it, from the same demand: what is open can't outlast what is
//! allowed. What the request itself said (path, token) does not change; what the directory says does.

use std::sync::Arc;
use std::time::Duration;

use scimesh_proto::binding::Binding;
use scimesh_proto::digest::SubjectDigest;
use scimesh_proto::snapshot::Snapshot;
use scimesh_proto::spiffe;

use crate::claims::{Claim, Claims};
use crate::decide::{Decision, own, user_may, workload_may};
use crate::identity::{Subject, Workload};
use crate::lease::Moment;
use crate::policy::{Demand, Mode, Policy};
use crate::reason::Reason;

/// What a verifier of tokens adds to `exp`, since clocks differ: Envoy's, if it is not told otherwise.
const LEEWAY: Duration = Duration::from_secs(60);

/// See the module. Means something only with the policy that gave it.
#[derive(Debug)]
pub struct Grant {
    rule: usize,
    user: Option<Subject>,
    workload: Option<Workload>,
    /// By which they were named.
    bindings: Arc<[Binding]>,
}

impl Grant {
    /// What `decision` was made by, on this policy and snapshot. None if there is nothing to ask again: it was refused, nobody was
    /// asked for, or the policy refuses nothing.
    pub fn of(policy: &Policy, snapshot: Option<&Snapshot>, decision: Decision) -> Option<Grant> {
        if decision.reason != Reason::Permitted || policy.mode() == Mode::Shadow {
            return None;
        }
        let rule = decision.rule?;
        let demanded = &policy.demand(rule)?.requirements;
        let user = decision.subject.filter(|_| demanded.user.is_some());
        let workload = decision.workload.filter(|_| demanded.workload.is_some());
        Some(Grant {
            rule,
            user,
            workload,
            bindings: own(policy, snapshot)?.shared_bindings().clone(),
        })
    }

    /// The place of the rule that let it in.
    pub fn rule(&self) -> usize {
        self.rule
    }

    /// Whether a token's user was asked for.
    pub fn needs_token(&self) -> bool {
        self.user.is_some()
    }

    /// Whom it is about.
    pub fn subjects(&self) -> impl Iterator<Item = SubjectDigest> {
        let user = self.user.as_ref().map(|user| user.digest);
        let workload = self.workload.as_ref().map(|workload| workload.digest);
        user.into_iter().chain(workload)
    }

    /// How stale the snapshot may be.
    pub fn max_staleness(&self, policy: &Policy) -> Duration {
        let demand = policy.demand(self.rule);
        demand.map_or(Duration::ZERO, |demand| demand.max_staleness)
    }

    /// Whether the request would still be let in, as far as the directory goes; if not, the reason that [`decide`](crate::decide) would
    /// give. If what is known by its bindings was named anew, [`subjects`](Self::subjects) are others now.
    pub fn still(&mut self, policy: &Policy, snapshot: Option<&Snapshot>) -> Result<(), Reason> {
        let demand = policy.demand(self.rule).ok_or(Reason::NoRule)?;
        let snapshot = own(policy, snapshot).ok_or(Reason::NoSnapshot)?;
        if !Arc::ptr_eq(&self.bindings, snapshot.shared_bindings()) {
            self.rename(snapshot)?;
        }
        if let Some(demanded) = &demand.requirements.user {
            let user = self.user.as_ref().ok_or(Reason::UnknownSubject)?;
            user_may(demanded, snapshot, &user.digest)?;
        }
        if let Some(demanded) = &demand.requirements.workload {
            let workload = self.workload.as_ref().ok_or(Reason::UnknownWorkload)?;
            workload_may(demanded, snapshot, &workload.digest)?;
        }
        Ok(())
    }

    /// There are other bindings, or another key. Where they would read a token in another way, nobody knows any more whom it names: the
    /// claim that they read now was never looked at.
    fn rename(&mut self, snapshot: &Snapshot) -> Result<(), Reason> {
        if let Some(user) = &mut self.user {
            let named = |binding: &&Binding| {
                binding.issuer().map(str::as_bytes) == Some(user.issuer.as_slice())
            };
            let before = self.bindings.iter().find(named);
            let now = snapshot.binding_of_issuer(&user.issuer);
            let now = now.filter(|now| before.is_some_and(|before| before.names_like(now)));
            user.digest = snapshot.subject(now.ok_or(Reason::UnknownIssuer)?, &user.name);
        }
        if let Some(workload) = &mut self.workload {
            let domain = spiffe::trust_domain(&workload.id).ok_or(Reason::NoWorkload)?;
            let named = |binding: &&Binding| binding.trust_domain() == Some(domain);
            let before = self.bindings.iter().find(named);
            let now = snapshot.binding_of_trust_domain(domain);
            let now = now.filter(|now| before.is_some_and(|before| before.names_like(now)));
            workload.digest =
                snapshot.subject(now.ok_or(Reason::UnknownTrustDomain)?, &workload.id);
        }
        self.bindings = snapshot.shared_bindings().clone();
        Ok(())
    }

    /// When the token ends it, since the Unix epoch: at its `exp`, a minute later if it had been let in after that already, and at the age
    /// that the rule admits. None: it does not.
    pub fn expiry(
        &self,
        policy: &Policy,
        token: &dyn Claims,
        admitted: Moment,
    ) -> Option<Duration> {
        if !self.needs_token() || !policy.cut_at_expiry() {
            return None;
        }
        let expires = instant(token.claim("exp")).map(|expires| {
            if expires <= admitted.wall {
                expires.saturating_add(LEEWAY)
            } else {
                expires
            }
        });
        let max_age = policy
            .demand(self.rule)
            .and_then(|demand: &Demand| demand.max_token_age);
        let ages = max_age.map(|max_age| {
            let issued = instant(token.claim("iat")).unwrap_or_default();
            issued.saturating_add(max_age)
        });
        expires.into_iter().chain(ages).min()
    }
}

/// A NumericDate (RFC 7519 section 2), none if there is none. What is no number helps nobody: it is long past.
fn instant(claim: Claim) -> Option<Duration> {
    match claim {
        Claim::Absent => None,
        Claim::Number(seconds) if seconds > 0.0 => {
            Some(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
        }
        _ => Some(Duration::ZERO),
    }
}
