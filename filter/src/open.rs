//! The requests of one feed that were let in and are still open: which of them must end now, and why.
//!
//! Most requests are over before anything is asked about them again. So to be let in and to end cost one entry each; what is
//! worth knowing of a request is found out with the first tick that finds it open. Pure: it is told the time and what
//! changed, and says what to do. Each call does a bounded amount of work; while more is left it [is busy](Open::is_busy).

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use scimesh_engine::{Grant, Lease, Moment, Reason};
use scimesh_proto::digest::SubjectDigest;
use scimesh_proto::snapshot::{Snapshot, Touched};

use crate::vm::Plugin;

/// What one callback does at most: each is a few host calls.
const CUTS: usize = 128;
const READS: usize = 128;
/// The same; each is a look-up.
const ASKED: usize = 1024;

/// Before a lease ends, those who go by it are ended one after the other, over this time, so that not all of them come back at once.
const SPREAD: Duration = Duration::from_secs(1);
/// By how much before the lease's end all of them are: ticks come every 100 ms, and ending many takes several.
const MARGIN: Duration = Duration::from_millis(250);

/// See the module.
#[derive(Default)]
pub(crate) struct Open {
    /// By the host's context.
    requests: HashMap<u32, Request>,
    /// Those of which nothing is found out yet, and some that have ended.
    fresh: Vec<u32>,
    /// Who has which.
    subjects: BTreeSet<(SubjectDigest, u32)>,
    /// Those whose token's end is to be read.
    unread: VecDeque<u32>,
    /// When tokens end, on either clock: one stands still while a machine sleeps, and the other may be set back.
    by_monotonic: BTreeSet<(Duration, u32)>,
    by_wall: BTreeSet<(Duration, u32)>,
    /// Those to be asked again.
    asked: VecDeque<u32>,
    /// Those to be ended.
    lost: VecDeque<(u32, Reason)>,
}

struct Request {
    plugin: Rc<Plugin>,
    grant: Grant,
    admitted: Moment,
    /// As Envoy sees it.
    grpc: bool,
    indexed: bool,
    /// In `asked`.
    asked: bool,
    /// In `lost`.
    lost: bool,
    /// When its token ends.
    expiry: Option<Moment>,
}

/// A request that must end now.
pub(crate) struct Cut {
    pub(crate) context: u32,
    pub(crate) plugin: Rc<Plugin>,
    /// The place of the rule that had let it in.
    pub(crate) rule: usize,
    pub(crate) reason: Reason,
    pub(crate) grpc: bool,
}

impl Open {
    /// A request goes on.
    pub(crate) fn admit(
        &mut self,
        context: u32,
        plugin: Rc<Plugin>,
        grant: Grant,
        grpc: bool,
        now: Moment,
    ) {
        let request = Request {
            plugin,
            grant,
            admitted: now,
            grpc,
            indexed: false,
            asked: false,
            lost: false,
            expiry: None,
        };
        self.requests.insert(context, request);
        self.fresh.push(context);
    }

    /// A request has ended; it may be none of these.
    pub(crate) fn end(&mut self, context: u32) {
        self.take(context);
    }

    fn take(&mut self, context: u32) -> Option<Request> {
        let request = self.requests.remove(&context)?;
        if request.indexed {
            for subject in request.grant.subjects() {
                self.subjects.remove(&(subject, context));
            }
        }
        if let Some(expiry) = request.expiry {
            self.by_monotonic.remove(&(expiry.monotonic, context));
            self.by_wall.remove(&(expiry.wall, context));
        }
        Some(request)
    }

    /// How many are open.
    pub(crate) fn len(&self) -> usize {
        self.requests.len()
    }

    /// Whether there is something to do before the next tick.
    pub(crate) fn is_busy(&self) -> bool {
        !(self.asked.is_empty() && self.lost.is_empty() && self.unread.is_empty())
    }

    /// The directory has changed for these: whoever has a request open is asked again.
    pub(crate) fn touched(&mut self, touched: &Touched) {
        match touched {
            Touched::All => {
                for (context, request) in &mut self.requests {
                    request.ask(*context, &mut self.asked);
                }
            }
            Touched::Subjects(subjects) if !subjects.is_empty() => {
                self.index();
                for subject in subjects {
                    let theirs = self.subjects.range((*subject, 0)..=(*subject, u32::MAX));
                    for (_, context) in theirs {
                        if let Some(request) = self.requests.get_mut(context) {
                            request.ask(*context, &mut self.asked);
                        }
                    }
                }
            }
            Touched::Subjects(_) => {}
        }
    }

    fn index(&mut self) {
        for context in self.fresh.drain(..) {
            let Some(request) = self.requests.get_mut(&context) else {
                continue;
            };
            for subject in request.grant.subjects() {
                self.subjects.insert((subject, context));
            }
            request.indexed = true;
            if request.grant.needs_token() && request.plugin.policy.cut_at_expiry() {
                self.unread.push_back(context);
            }
        }
    }

    /// Finds out what a tick is for: who is new, whose token has ended, whose lease is about to. `shortest` is the shortest staleness that
    /// any of them may go by.
    pub(crate) fn tick(&mut self, lease: &Lease, shortest: Duration, now: Moment) {
        self.index();
        self.expire(now);
        let Some(age) = lease.age(now) else {
            return;
        };
        // While there are some to be ended, the others can wait.
        if self.lost.is_empty() && age + SPREAD + MARGIN >= lease.length(shortest) {
            for (context, request) in &mut self.requests {
                if age >= request.lease_end(*context, lease) {
                    request.lose(*context, Reason::LeaseEnded, &mut self.lost);
                }
            }
        }
    }

    fn expire(&mut self, now: Moment) {
        let ended = |ends: &mut BTreeSet<(Duration, u32)>, now| {
            let first = ends.first().copied();
            let (end, context) = first.filter(|(end, _)| *end <= now)?;
            ends.remove(&(end, context)).then_some(context)
        };
        // Those who are left are the next tick's, which comes soon, as there are some to be ended.
        for _ in 0..ASKED {
            let context = ended(&mut self.by_monotonic, now.monotonic);
            let context = context.or_else(|| ended(&mut self.by_wall, now.wall));
            let Some(context) = context else {
                return;
            };
            let Some(request) = self.requests.get_mut(&context) else {
                continue;
            };
            request.lose(context, Reason::TokenExpired, &mut self.lost);
            if let Some(expiry) = request.expiry.take() {
                self.by_monotonic.remove(&(expiry.monotonic, context));
                self.by_wall.remove(&(expiry.wall, context));
            }
        }
    }

    /// Some of those whose token's end is to be [`read`](Self::read).
    pub(crate) fn unread(&mut self) -> Vec<u32> {
        let next = self.unread.len().min(READS);
        let requests = &self.requests;
        let next = self.unread.drain(..next);
        next.filter(|context| requests.contains_key(context))
            .collect()
    }

    /// What the token of a request says of its end.
    pub(crate) fn read(
        &mut self,
        context: u32,
        token: Option<&dyn scimesh_engine::Claims>,
        now: Moment,
    ) {
        let Some(request) = self.requests.get_mut(&context) else {
            return;
        };
        let Some(token) = token else {
            // There was one when it was let in.
            return request.lose(context, Reason::NoToken, &mut self.lost);
        };
        let policy = &request.plugin.policy;
        let Some(expiry) = request.grant.expiry(policy, token, request.admitted) else {
            return;
        };
        let left = expiry.saturating_sub(now.wall);
        if left.is_zero() {
            return request.lose(context, Reason::TokenExpired, &mut self.lost);
        }
        let expiry = Moment {
            monotonic: now.monotonic.saturating_add(left),
            wall: now.wall.saturating_add(left),
        };
        request.expiry = Some(expiry);
        self.by_monotonic.insert((expiry.monotonic, context));
        self.by_wall.insert((expiry.wall, context));
    }

    /// Asks some of those who are to be asked, and gives some of those who must end. They count as ended from here on.
    pub(crate) fn cut(&mut self, snapshot: Option<&Snapshot>) -> Vec<Cut> {
        for context in self.asked.drain(..self.asked.len().min(ASKED)) {
            let Some(request) = self.requests.get_mut(&context) else {
                continue;
            };
            request.asked = false;
            let before: Vec<_> = request.grant.subjects().collect();
            let answer = request.grant.still(&request.plugin.policy, snapshot);
            if request.indexed && !request.grant.subjects().eq(before.iter().copied()) {
                for subject in before {
                    self.subjects.remove(&(subject, context));
                }
                for subject in request.grant.subjects() {
                    self.subjects.insert((subject, context));
                }
            }
            if let Err(reason) = answer {
                request.lose(context, reason, &mut self.lost);
            }
        }
        let mut cuts = Vec::new();
        while cuts.len() < CUTS
            && let Some((context, reason)) = self.lost.pop_front()
        {
            if let Some(request) = self.take(context) {
                cuts.push(Cut {
                    context,
                    rule: request.grant.rule(),
                    plugin: request.plugin,
                    reason,
                    grpc: request.grpc,
                });
            }
        }
        cuts
    }
}

impl Request {
    fn ask(&mut self, context: u32, asked: &mut VecDeque<u32>) {
        if !self.asked && !self.lost {
            self.asked = true;
            asked.push_back(context);
        }
    }

    fn lose(&mut self, context: u32, reason: Reason, lost: &mut VecDeque<(u32, Reason)>) {
        if !self.lost {
            self.lost = true;
            lost.push_back((context, reason));
        }
    }

    /// The lease's age at which it ends: at some moment of the last second, or of what is left of that if it was let in then.
    fn lease_end(&self, context: u32, lease: &Lease) -> Duration {
        let staleness = self.grant.max_staleness(&self.plugin.policy);
        let last = lease.length(staleness).saturating_sub(MARGIN);
        let first = last.saturating_sub(SPREAD);
        let admitted = lease.age(self.admitted).unwrap_or_default();
        let first = first.max(admitted).min(last);
        // Contexts are numbered in their order: a golden share (Fibonacci hashing) spreads any run of them evenly.
        let share = context.wrapping_mul(0x9e37_79b9);
        first + (last - first).mul_f64(f64::from(share) / f64::from(u32::MAX))
    }
}

#[cfg(test)]
mod tests;
