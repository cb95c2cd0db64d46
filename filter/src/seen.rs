//! What a feed's policies have seen and did not decide by, until it is reported: tokens that say otherwise than the directory
//! about groups, and what SHADOW would have refused.
//!
//! Pure, and bounded whatever comes: it is told the time, and asks for a token's groups only when it wants them, because that is a
//! call to the host. It keeps digests and no names.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use scimesh_engine::{Decision, Drift, Moment, Policy, Subject, drift, groups_claim};
use scimesh_proto::digest::SubjectDigest;
use scimesh_proto::snapshot::Snapshot;
use scimesh_proto::wire::v1::{self, Report};

use crate::session::elapsed;
use crate::shadow;

/// The shortest time between two reports.
const BETWEEN_REPORTS: Duration = Duration::from_secs(10);
/// A subject's token is compared no sooner again than after this, whichever token it is then.
const BETWEEN_COMPARISONS: Duration = Duration::from_secs(60);
/// Subjects that are remembered at most; while they are, no others are compared.
const MAX_SUBJECTS: usize = 4096;
/// Drifts in a report at most, and as many shadow refusals.
const MAX_REPORTED: usize = 256;

/// See the module.
#[derive(Default)]
pub(crate) struct Seen {
    subjects: HashMap<SubjectDigest, Compared>,
    pending: Pending,
    reported: Option<Moment>,
    /// When room was made.
    swept: Option<Moment>,
}

/// A subject whose token was compared.
struct Compared {
    at: Moment,
    /// It was reported as differing, and not yet as agreeing.
    differs: bool,
}

/// What goes into the next report.
#[derive(Default)]
struct Pending {
    drifts: BTreeMap<SubjectDigest, v1::Drift>,
    compared: u64,
    unknown: u64,
    /// How many requests of each.
    refusals: BTreeMap<Refused, u64>,
    left_out: u64,
}

/// Requests that are told of together.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Refused {
    policy: String,
    rule: String,
    reason: &'static str,
    subject: Option<SubjectDigest>,
}

impl Seen {
    /// Whether this subject's token is to be compared, for which `groups` tells what it lists; does so.
    pub(crate) fn compare(
        &mut self,
        snapshot: &Snapshot,
        subject: &Subject,
        now: Moment,
        groups: impl FnOnce(&str) -> Option<Vec<Vec<u8>>>,
    ) {
        let Some(claim) = groups_claim(snapshot, &subject.issuer) else {
            return;
        };
        let before = self.subjects.get(&subject.digest);
        let due = match before {
            Some(before) => elapsed(before.at, now) >= BETWEEN_COMPARISONS,
            None => self.subjects.len() < MAX_SUBJECTS,
        };
        if !due {
            return;
        }
        let differed = before.is_some_and(|before| before.differs);
        let listed = groups(&claim.claim);
        self.pending.compared += 1;
        let differs = match listed {
            Some(listed) => {
                let drift = drift(snapshot, &subject.digest, claim.is, &listed);
                self.pending.compared(subject.digest, drift, differed)
            }
            None => {
                self.pending.unknown += 1;
                differed
            }
        };
        let compared = Compared { at: now, differs };
        self.subjects.insert(subject.digest, compared);
    }

    /// Takes down what SHADOW would have refused of a request.
    pub(crate) fn refused(&mut self, policy: &Policy, decision: &Decision) {
        for (rule, reason) in shadow::refusals(policy, decision) {
            self.pending.refused(Refused {
                policy: policy.name().unwrap_or_default().to_owned(),
                rule: rule.to_owned(),
                reason,
                subject: decision.subject.as_ref().map(|subject| subject.digest),
            });
        }
    }

    /// What to report, if there is anything and it is time.
    pub(crate) fn report(&mut self, now: Moment) -> Option<Report> {
        let recent = |at| elapsed(at, now) < BETWEEN_REPORTS;
        // Not only when there is something to report: a table that is full of those who never come again would never have anything.
        if !self.swept.is_some_and(recent) {
            self.swept = Some(now);
            self.forget(now);
        }
        if self.pending.is_empty() || self.reported.is_some_and(recent) {
            return None;
        }
        self.reported = Some(now);
        Some(std::mem::take(&mut self.pending).into())
    }

    /// Makes room. Those who differ are remembered for as long as there is some: that they agree again is to be told.
    fn forget(&mut self, now: Moment) {
        let full = self.subjects.len() >= MAX_SUBJECTS / 2;
        self.subjects.retain(|_, compared| {
            elapsed(compared.at, now) < BETWEEN_COMPARISONS || (compared.differs && !full)
        });
    }
}

impl Pending {
    fn is_empty(&self) -> bool {
        // Drifts come of comparisons.
        self.compared == 0 && self.refusals.is_empty()
    }

    /// Returns whether the subject is, or stays, known as one whose token differs.
    fn compared(&mut self, subject: SubjectDigest, drift: Drift, differed: bool) -> bool {
        let differs = !drift.is_empty();
        if !differs && !differed {
            return false;
        }
        if self.drifts.len() >= MAX_REPORTED && !self.drifts.contains_key(&subject) {
            self.left_out += 1;
            return differed;
        }
        let places = |places: Vec<usize>| places.into_iter().map(|place| place as u32).collect();
        let drift = v1::Drift {
            subject: subject.0.to_vec().into(),
            gone: places(drift.gone),
            gained: places(drift.gained),
        };
        self.drifts.insert(subject, drift);
        differs
    }

    fn refused(&mut self, refused: Refused) {
        if self.refusals.len() >= MAX_REPORTED && !self.refusals.contains_key(&refused) {
            self.left_out += 1;
            return;
        }
        *self.refusals.entry(refused).or_default() += 1;
    }
}

impl From<Pending> for Report {
    fn from(pending: Pending) -> Report {
        let refusals = pending.refusals.into_iter();
        Report {
            drifts: pending.drifts.into_values().collect(),
            compared: pending.compared,
            unknown: pending.unknown,
            shadow_refusals: refusals
                .map(|(refused, requests)| v1::ShadowRefusal {
                    policy: refused.policy,
                    rule: refused.rule,
                    reason: refused.reason.to_owned(),
                    subject: refused
                        .subject
                        .map_or(Default::default(), |s| s.0.to_vec().into()),
                    requests,
                })
                .collect(),
            left_out: pending.left_out,
        }
    }
}

#[cfg(test)]
mod tests;
