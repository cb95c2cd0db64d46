//! What belongs to the VM and outlives the policies in it: the feeds with their content and leases, and the requests that
//! wait for them.
//!
//! A changed policy is a new root context in the same VM, and the old one lives on until its last request ends. So a feed
//! is shared by all root contexts that ask for the same scope of the same cluster, and the oldest of them keeps its
//! stream. Pure: no host calls, so nothing can re-enter while this is borrowed.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::rc::Rc;
use std::time::Duration;

use prost::Message;
use scimesh_engine::{Claims, Decision, Feed as Target, Grant, Lease, Moment, Policy, Subject};
use scimesh_proto::replica::{HighWater, Replica};
use scimesh_proto::snapshot::Snapshot;
use scimesh_proto::wire::v1::filter_message::Message as Outgoing;
use scimesh_proto::wire::v1::{FeederMessage, Node};

use crate::hold::Holds;
use crate::open::{Cut, Open};
use crate::record::Record;
use crate::seen::Seen;
use crate::session::{Pace, Session, Step, elapsed};
use crate::shadow::Sampled;
use crate::stats::Places;

/// The verdict of a policy without a name.
const VERDICT: &str = "scimesh_verdict";

thread_local! {
    /// A VM has one thread.
    static VM: RefCell<Vm> = RefCell::new(Vm::default());
}

/// Runs `f` on the VM's state. `f` makes no host call that can re-enter the VM: no resume, no reply, no reset.
pub(crate) fn with<T>(f: impl FnOnce(&mut Vm) -> T) -> T {
    VM.with_borrow_mut(f)
}

/// One root context's policy, and where its content comes from.
pub(crate) struct Plugin {
    pub(crate) policy: Policy,
    /// Filter state `wasm.<this>` of a request that may go on: what the RBAC filter behind this one asks for.
    pub(crate) verdict: String,
    /// How many of its requests wait.
    pub(crate) held: Cell<usize>,
    /// Its counters.
    pub(crate) places: Places,
    /// What its requests say of themselves in the access log.
    pub(crate) record: Record,
    feed: u32,
    joined: Moment,
}

/// See the module.
#[derive(Default)]
pub(crate) struct Vm {
    /// Keyed by the source of all that is random here.
    random: RandomState,
    feeds: BTreeMap<u32, Feed>,
    last_feed: u32,
    /// By cluster.
    high_water: BTreeMap<String, HighWater>,
    pub(crate) holds: Holds,
    /// Of what SHADOW would have refused.
    log: Sampled,
}

/// The content of one scope, and the stream that keeps it current.
pub(crate) struct Feed {
    target: Target,
    replica: Replica,
    lease: Lease,
    session: Session,
    seen: Seen,
    /// Those who ask for it, the oldest first: the stream is its.
    members: Vec<Member>,
    /// The requests that were let in by its content, under any of their policies.
    open: Open,
    /// Envoy knows no such cluster.
    cluster_missing: bool,
}

struct Member {
    root: u32,
    /// The smallest staleness that any rule of its policy admits, and the longest.
    smallest: Duration,
    longest: Duration,
}

impl Feed {
    pub(crate) fn target(&self) -> &Target {
        &self.target
    }

    pub(crate) fn snapshot(&self) -> Option<&Snapshot> {
        self.replica.snapshot()
    }

    pub(crate) fn lease(&self) -> &Lease {
        &self.lease
    }

    /// How many of the requests that its content has let in are open.
    pub(crate) fn open(&self) -> usize {
        self.open.len()
    }

    /// Bytes of memory that the content takes, and may take.
    pub(crate) fn memory(&self) -> (u64, u64) {
        (self.replica.bytes(), self.replica.limit())
    }

    /// Whose directory it is.
    pub(crate) fn tenant(&self) -> &str {
        self.replica.scope().tenant()
    }

    /// Whether it has a stream.
    pub(crate) fn is_connected(&self) -> bool {
        self.session.stream().is_some()
    }

    /// When the first piece had come of the update that was acknowledged last.
    pub(crate) fn updated_from(&self) -> Option<Moment> {
        self.session.updated_from()
    }

    pub(crate) fn cluster_missing(&self) -> bool {
        self.cluster_missing
    }

    /// Whether it has had content and a lease that is good enough for `plugin`, whose policy may be stricter than those
    /// before it. It may have ended since: nobody waits twice.
    pub(crate) fn has_begun(&self, plugin: &Plugin, now: Moment) -> bool {
        let (Some(_), Some(age)) = (self.snapshot(), self.lease.age(now)) else {
            return false;
        };
        let there = elapsed(plugin.joined, now);
        age < plugin.policy.min_staleness() || age <= there || there >= plugin.policy.hold().timeout
    }

    /// What was applied concerns who is open.
    fn tell(&mut self) {
        self.open.touched(&self.replica.take_touched());
    }

    fn is_led_by(&self, root: u32) -> bool {
        self.members.first().is_some_and(|first| first.root == root)
    }

    fn pace(&self) -> Pace {
        let smallest = self.members.iter().map(|member| member.smallest).min();
        let longest = self.members.iter().map(|member| member.longest).max();
        Pace {
            interval: smallest.unwrap_or_default() / 3,
            lease: longest.unwrap_or_default(),
        }
    }
}

impl Vm {
    /// Random; tells this VM apart from the others of the same proxy.
    pub(crate) fn name(&self) -> String {
        format!("{:016x}", self.random.hash_one("vm"))
    }

    /// A root context comes with its policy.
    pub(crate) fn join(&mut self, root: u32, policy: Policy, now: Moment) -> Rc<Plugin> {
        let known =
            |feed: &Feed| feed.target == *policy.feed() && feed.replica.scope() == policy.scope();
        let follows = |feed: &Feed| feed.members.iter().any(|member| member.root == root);
        // One that is configured once more keeps its feed: with that, what is open would be forgotten.
        if !self.feeds.values().any(|feed| known(feed) && follows(feed)) {
            self.leave(root);
        }
        let known = self.feeds.iter().find(|(_, feed)| known(feed));
        let id = match known {
            Some((id, _)) => *id,
            None => {
                self.last_feed += 1;
                let feed = Feed {
                    target: policy.feed().clone(),
                    replica: Replica::new(policy.scope().clone(), policy.feed().max_memory),
                    lease: Lease::default(),
                    session: Session::new(self.random.hash_one(self.last_feed)),
                    seen: Seen::default(),
                    members: Vec::new(),
                    open: Open::default(),
                    cluster_missing: false,
                };
                self.feeds.insert(self.last_feed, feed);
                self.last_feed
            }
        };
        if let Some(feed) = self.feeds.get_mut(&id) {
            let member = Member {
                root,
                smallest: policy.min_staleness(),
                longest: policy.max_staleness(),
            };
            match feed.members.iter_mut().find(|held| held.root == root) {
                Some(held) => *held = member,
                None => feed.members.push(member),
            }
        }
        Rc::new(Plugin {
            verdict: match policy.name() {
                None => VERDICT.to_owned(),
                Some(name) => format!("{VERDICT}_{name}"),
            },
            record: Record::of(policy.name()),
            policy,
            held: Cell::default(),
            places: Places::default(),
            feed: id,
            joined: now,
        })
    }

    /// A root context goes, and its stream with it: the next oldest opens one. A feed that nobody asks for is dropped.
    pub(crate) fn leave(&mut self, root: u32) {
        for feed in self.feeds.values_mut() {
            if feed.is_led_by(root) {
                feed.replica.disconnect();
                feed.session.hand_over();
            }
            feed.members.retain(|member| member.root != root);
        }
        self.feeds.retain(|_, feed| !feed.members.is_empty());
    }

    /// All feeds, in no order that means anything.
    pub(crate) fn feeds(&self) -> impl Iterator<Item = &Feed> {
        self.feeds.values()
    }

    /// Where a policy's content comes from.
    pub(crate) fn feed(&self, plugin: &Plugin) -> Option<&Feed> {
        self.feeds.get(&plugin.feed)
    }

    /// The feed whose stream is this root context's.
    pub(crate) fn led_by(&self, root: u32) -> Option<&Feed> {
        self.feeds.values().find(|feed| feed.is_led_by(root))
    }

    fn led_by_mut(&mut self, root: u32) -> Option<&mut Feed> {
        self.feeds.values_mut().find(|feed| feed.is_led_by(root))
    }

    /// What is due on this root context's stream.
    pub(crate) fn step(&mut self, root: u32, now: Moment) -> Step {
        let Some(feed) = self.led_by_mut(root) else {
            return Step::Wait;
        };
        let step = feed.session.step(feed.pace(), now);
        if let Step::Cancel { .. } = step {
            feed.replica.disconnect();
        }
        step
    }

    /// This root context has opened a stream. Returns what to send first.
    pub(crate) fn opened(
        &mut self,
        root: u32,
        stream: u32,
        node: Node,
        now: Moment,
    ) -> Option<[Outgoing; 2]> {
        let (id, feed) = self
            .feeds
            .iter_mut()
            .find(|(_, feed)| feed.is_led_by(root))?;
        let node = Node { feed: *id, ..node };
        feed.cluster_missing = false;
        let highest = self
            .high_water
            .entry(feed.target.cluster.clone())
            .or_default();
        let pace = feed.pace();
        Some(
            feed.session
                .opened(stream, &feed.replica, node, highest, pace, now),
        )
    }

    /// This root context could not open a stream. Returns whether that is news.
    pub(crate) fn failed(&mut self, root: u32, cluster_missing: bool, now: Moment) -> bool {
        let Some(feed) = self.led_by_mut(root) else {
            return false;
        };
        feed.session.lost(now);
        std::mem::replace(&mut feed.cluster_missing, cluster_missing) != cluster_missing
    }

    /// A stream has ended. False if it is none of ours.
    pub(crate) fn closed(&mut self, root: u32, stream: u32, now: Moment) -> bool {
        match self.led_by_mut(root) {
            Some(feed) if feed.session.stream() == Some(stream) => {
                feed.replica.disconnect();
                feed.session.lost(now);
                true
            }
            _ => false,
        }
    }

    /// A message has come. Returns the answer to it.
    pub(crate) fn receive(
        &mut self,
        root: u32,
        stream: u32,
        message: Vec<u8>,
        now: Moment,
    ) -> Option<Outgoing> {
        let feed = self
            .feeds
            .values_mut()
            .find(|feed| feed.is_led_by(root) && feed.session.stream() == Some(stream))?;
        let highest = self
            .high_water
            .entry(feed.target.cluster.clone())
            .or_default();
        // Bytes that are no message become an empty one, which is rejected as malformed.
        let message = FeederMessage::decode(prost::bytes::Bytes::from(message)).ok();
        let answer =
            feed.session
                .receive(message, &mut feed.replica, highest, &mut feed.lease, now);
        feed.tell();
        answer
    }

    /// Works in some of what has changed. Returns the answer to an update that waited for this, and the stream to send it on.
    pub(crate) fn settle(&mut self, root: u32) -> Option<(u32, Outgoing)> {
        let feed = self.feeds.values_mut().find(|feed| feed.is_led_by(root))?;
        let highest = self
            .high_water
            .entry(feed.target.cluster.clone())
            .or_default();
        let answer = feed
            .session
            .settle(&mut feed.replica, highest, &mut feed.lease);
        feed.tell();
        feed.session.stream().zip(answer)
    }

    /// Whether there is more to do than can wait for the next tick.
    pub(crate) fn is_busy(&self, root: u32) -> bool {
        self.led_by(root)
            .is_some_and(|feed| !feed.replica.is_settled() || feed.open.is_busy())
    }

    /// A request goes on: if what it was let in by can be lost, it is remembered until it [ends](Self::end).
    pub(crate) fn admit(
        &mut self,
        context: u32,
        plugin: &Rc<Plugin>,
        decision: Decision,
        grpc: bool,
        now: Moment,
    ) {
        let Some(feed) = self.feeds.get_mut(&plugin.feed) else {
            return;
        };
        if let Some(grant) = Grant::of(&plugin.policy, feed.replica.snapshot(), decision) {
            feed.open.admit(context, plugin.clone(), grant, grpc, now);
        }
    }

    /// A decision of `plugin` has looked at this subject, whose token can say by `groups` what it lists in a claim.
    pub(crate) fn compare(
        &mut self,
        plugin: &Plugin,
        subject: &Subject,
        now: Moment,
        groups: impl FnOnce(&str) -> Option<Vec<Vec<u8>>>,
    ) {
        if let Some(feed) = self.feeds.get_mut(&plugin.feed)
            && let Some(snapshot) = feed.replica.snapshot()
        {
            feed.seen.compare(snapshot, subject, now, groups);
        }
    }

    /// Takes down what SHADOW would have refused of a request. Returns the line to log, if it is time for one.
    pub(crate) fn would_refuse(
        &mut self,
        plugin: &Plugin,
        decision: &Decision,
        now: Moment,
    ) -> Option<String> {
        if let Some(feed) = self.feeds.get_mut(&plugin.feed) {
            feed.seen.refused(&plugin.policy, decision);
        }
        self.log.line(&plugin.policy, decision, now)
    }

    /// What is to be reported on this root context's stream, and which that is.
    pub(crate) fn report(&mut self, root: u32, now: Moment) -> Option<(u32, Outgoing)> {
        let feed = self.led_by_mut(root)?;
        let stream = feed.session.stream()?;
        let report = feed.seen.report(now)?;
        Some((stream, Outgoing::Report(report.encode_to_vec().into())))
    }

    /// A request has ended.
    pub(crate) fn end(&mut self, context: u32, plugin: &Plugin) {
        if let Some(feed) = self.feeds.get_mut(&plugin.feed) {
            feed.open.end(context);
        }
    }

    /// Looks after the open requests of this root context's feed. Returns those whose token's end is to be [`read`](Self::read).
    pub(crate) fn watch(&mut self, root: u32, now: Moment) -> Vec<u32> {
        let Some(feed) = self.led_by_mut(root) else {
            return Vec::new();
        };
        let smallest = feed.members.iter().map(|member| member.smallest).min();
        feed.open
            .tick(&feed.lease, smallest.unwrap_or_default(), now);
        feed.open.unread()
    }

    /// What the token of an open request says of its end.
    pub(crate) fn read(
        &mut self,
        root: u32,
        context: u32,
        token: Option<&dyn Claims>,
        now: Moment,
    ) {
        if let Some(feed) = self.led_by_mut(root) {
            feed.open.read(context, token, now);
        }
    }

    /// Those of this root context's feed that must end now; they are not remembered any more.
    pub(crate) fn cut(&mut self, root: u32) -> Vec<Cut> {
        let Some(feed) = self.led_by_mut(root) else {
            return Vec::new();
        };
        feed.open.cut(feed.replica.snapshot())
    }

    /// The waiting requests that can be answered now.
    pub(crate) fn release(&mut self, now: Moment) -> Vec<(u32, Rc<Plugin>)> {
        let feeds = &self.feeds;
        self.holds.release(now, |plugin| {
            feeds
                .get(&plugin.feed)
                .is_none_or(|feed| feed.has_begun(plugin, now))
        })
    }
}

#[cfg(test)]
mod tests;
