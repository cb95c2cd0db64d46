//! One filter VM, as it follows one scope.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use jiff::Timestamp;
use scimesh_proto::scope::Scope;
use scimesh_proto::wire::v1;

use super::course::Course;
use super::leases::Leases;

/// Bytes of each name in a hello that are kept. The VM's own is random, so no two become one by this.
const NAME: usize = 256;

/// What makes a filter that returns the same one: its verified peer, and the names that it gives itself.
///
/// The names are hints. Whoever lies about them can be taken for another of its own peer, and never for one of another peer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Identity {
    /// As verified: a SPIFFE id, or what else the feed knows of it.
    pub(crate) peer: String,
    /// Envoy's node id.
    pub(crate) node: String,
    /// Random; tells the VMs of one proxy apart.
    pub(crate) vm: String,
    /// Tells apart what one VM follows.
    pub(crate) feed: u32,
}

impl Identity {
    /// Of a hello. One that does not name its VM is told apart by `stream`, and can't be known again.
    pub(super) fn new(peer: &str, node: &v1::Node, stream: u64) -> Identity {
        Identity {
            peer: peer.to_owned(),
            node: cut(&node.id),
            vm: match node.vm.as_str() {
                "" => format!("stream {stream}"),
                vm => cut(vm),
            },
            feed: node.feed,
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Vm {
    pub(crate) identity: Identity,
    /// Envoy's node cluster, as it says.
    pub(crate) cluster: String,
    /// The filter's version, as it says.
    pub(crate) version: String,
    pub(crate) tenant: String,
    pub(crate) terms: usize,
    pub(crate) any_active: bool,
    facts: Mutex<Facts>,
}

/// What is known of it so far.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    /// Since when it has been connected; or gone, if it is.
    pub(crate) since: Timestamp,
    /// The newest revision that it acked, or returned with; and when. What it has applied it never falls below.
    pub(crate) acked: Option<(u64, Instant)>,
    pub(crate) nacks: u64,
    pub(crate) last_nack: Option<&'static str>,
    pub(crate) memory: Option<v1::Memory>,
    pub(super) leases: Leases,
    pub(super) course: Arc<Course>,
}

impl Facts {
    /// Of a filter that comes for the first time.
    pub(super) fn new(course: Arc<Course>) -> Facts {
        Facts {
            since: Timestamp::now(),
            acked: None,
            nacks: 0,
            last_nack: None,
            memory: None,
            leases: Leases::default(),
            course,
        }
    }

    /// The newest revision that it has applied.
    pub(crate) fn applied(&self) -> Option<u64> {
        let (acked, _) = self.acked?;
        Some(self.course.applied(acked))
    }

    /// When the oldest change was shown that it has not applied; none if there is none, or if it has no content yet.
    pub(crate) fn awaited_since(&self) -> Option<Instant> {
        let (acked, _) = self.acked?;
        self.course.awaited_since(acked)
    }

    /// The first revision of its frozen tenant that it is not sent.
    pub(crate) fn withheld_since(&self) -> Option<u64> {
        self.course.withheld_since()
    }

    /// How it stands to `revision`. `connected`: its leases may be renewed.
    pub(super) fn stand(&self, revision: u64, connected: bool, now: Instant) -> Stand {
        if self.applied().is_some_and(|applied| applied >= revision) {
            return Stand::Applied;
        }
        let withheld = self.withheld_since();
        if connected && withheld.is_some_and(|first| first <= revision) {
            return Stand::Withheld;
        }
        match self.leases.end_before(revision, now) {
            Some(end) => Stand::Pending(end),
            None => Stand::NoLease,
        }
    }
}

/// How a filter stands to one revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stand {
    /// It has acked it, or nothing that it is sent has changed up to it.
    Applied,
    /// It may go on by older content, until then at the latest.
    Pending(Instant),
    /// Its tenant is frozen at older content, and its lease is renewed with that.
    Withheld,
    /// It has not applied it, and has no lease by which it could allow anything by older content.
    NoLease,
}

impl Vm {
    pub(super) fn new(identity: Identity, node: &v1::Node, scope: &Scope, facts: Facts) -> Vm {
        Vm {
            identity,
            cluster: cut(&node.cluster),
            version: cut(&node.version),
            tenant: scope.tenant().to_owned(),
            terms: scope.terms().len(),
            any_active: scope.any_active(),
            facts: Mutex::new(facts),
        }
    }

    pub(crate) fn facts(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn cut(name: &str) -> String {
    let end = name.floor_char_boundary(NAME);
    name.get(..end).unwrap_or_default().to_owned()
}
