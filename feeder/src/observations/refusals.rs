//! What SHADOW rules and policies would have refused, and whom.

use std::collections::BTreeMap;
use std::time::Instant;

use scimesh_engine::Reason;
use scimesh_proto::digest::SubjectDigest;

use super::lately::{Lately, Slot};
use super::report::Refusal;
use super::{Room, is_kept};

/// Subjects of one refusal that are remembered at most; of others, only that there are some.
pub(super) const MAX_SUBJECTS: usize = 100;

#[derive(Debug, Default)]
pub(super) struct Refusals(BTreeMap<Which, Row>);

/// Requests that are told of together. The reason is its word.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Which {
    policy: Box<str>,
    rule: Box<str>,
    reason: &'static str,
}

#[derive(Debug)]
struct Row {
    requests: Lately,
    last: Instant,
    subjects: BTreeMap<SubjectDigest, (Lately, Instant)>,
    /// When there was last one who found no room.
    others: Option<Instant>,
}

/// One rule's refusals for one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    /// Empty: the policy has no name.
    pub(crate) policy: String,
    /// Empty: no rule matched.
    pub(crate) rule: String,
    pub(crate) reason: &'static str,
    pub(crate) requests: u64,
    pub(crate) last: Instant,
    pub(crate) subjects: Vec<RefusedSubject>,
    /// Whether there were others.
    pub(crate) others: bool,
}

/// One of those who were refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RefusedSubject {
    pub(crate) subject: SubjectDigest,
    pub(crate) requests: u64,
    pub(crate) last: Instant,
}

impl Refusals {
    /// Returns how many of the two, the refusal and its subject, found no room.
    pub(super) fn take(
        &mut self,
        refusal: Refusal,
        slot: Slot,
        now: Instant,
        room: &mut Room,
    ) -> u64 {
        let Refusal {
            policy,
            rule,
            reason,
            subject,
            requests,
        } = refusal;
        let which = Which {
            policy: policy.into(),
            rule: rule.into(),
            reason: Reason::as_str(reason),
        };
        if !self.0.contains_key(&which) && !room.take() {
            return 1;
        }
        let row = self.0.entry(which).or_insert_with(|| Row {
            requests: Lately::default(),
            last: now,
            subjects: BTreeMap::new(),
            others: None,
        });
        row.requests.add(slot, requests);
        row.last = now;
        let Some(subject) = subject else {
            return 0;
        };
        if !row.subjects.contains_key(&subject)
            && (row.subjects.len() >= MAX_SUBJECTS || !room.take())
        {
            row.others = Some(now);
            return 1;
        }
        let known = row.subjects.entry(subject);
        let (requested, last) = known.or_insert_with(|| (Lately::default(), now));
        requested.add(slot, requests);
        *last = now;
        0
    }

    /// Drops what is too old.
    pub(super) fn forget(&mut self, now: Instant, room: &mut Room) {
        self.0.retain(|_, row| {
            let before = row.subjects.len();
            row.subjects.retain(|_, (_, last)| is_kept(*last, now));
            room.give(before - row.subjects.len());
            let stays = is_kept(row.last, now);
            if !stays {
                room.give(1);
            }
            stays
        });
    }

    #[cfg(test)]
    pub(super) fn entries(&self) -> usize {
        let subjects = self.0.values().map(|row| row.subjects.len());
        self.0.len() + subjects.sum::<usize>()
    }

    /// All of them, by policy, rule and reason.
    pub(super) fn all(&self, slot: Slot, now: Instant) -> Vec<Refused> {
        let rows = self.0.iter().filter(|(_, row)| is_kept(row.last, now));
        rows.map(|(which, row)| {
            let subjects = row.subjects.iter();
            let subjects = subjects.filter(|(_, (_, last))| is_kept(*last, now));
            Refused {
                policy: which.policy.to_string(),
                rule: which.rule.to_string(),
                reason: which.reason,
                requests: row.requests.total(slot),
                last: row.last,
                subjects: subjects
                    .map(|(subject, (requests, last))| RefusedSubject {
                        subject: *subject,
                        requests: requests.total(slot),
                        last: *last,
                    })
                    .collect(),
                others: row.others.is_some_and(|at| is_kept(at, now)),
            }
        })
        .collect()
    }
}
