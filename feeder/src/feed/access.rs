//! Who is let in, and to how much at once.
//!
//! A stream asks twice: when it is opened, whether there is any rule for its peer at all, and when it has said hello, whether
//! the rules let it have that scope. It is told when a change of the rules no longer does. Names in a hello count for
//! nothing here. A process of the machine, on the plain loopback feed, needs no rule and has no share of its own.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use scimesh_proto::scope::Scope;
use tokio::sync::watch;
use tonic::Status;

use super::limits::{Limit, Limits};
use super::peer::{Peer, Unidentified};
use crate::access::{Forbidden, Rules};
use crate::limits::Named as _;
use crate::metrics::FeedMetrics;

/// Why a peer is not let in, or not any longer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is not known who it is.
    #[error(transparent)]
    Unidentified(#[from] Unidentified),
    /// `feedAccess` does not let it.
    #[error("feedAccess: {0}")]
    Forbidden(#[from] Forbidden),
    /// There are as many as there may be.
    #[error("{value} {of}: the limit is {name}", of = .limit.of(), name = .limit.name())]
    Exhausted {
        /// Of what.
        limit: Limit,
        /// What it is set to.
        value: usize,
    },
}

/// All that a peer is told when no rule lets it: no word on whether there is such a tenant, or a rule for anything near.
const FORBIDDEN: &str = "no rule of feedAccess lets this peer follow this scope";

impl Refusal {
    /// Its word in metrics and logs.
    pub fn word(&self) -> &'static str {
        match self {
            Refusal::Unidentified(Unidentified::Undeclared) => "undeclared_proxy",
            Refusal::Unidentified(_) => "no_peer",
            Refusal::Forbidden(Forbidden::Peer) => "no_rule",
            Refusal::Forbidden(Forbidden::Tenant) => "tenant",
            Refusal::Forbidden(Forbidden::Term(_)) => "term",
            Refusal::Forbidden(Forbidden::AnyActive) => "any_active",
            Refusal::Exhausted { limit, .. } => limit.name(),
        }
    }

    /// What the peer is told.
    pub fn status(&self) -> Status {
        match self {
            Refusal::Unidentified(Unidentified::Undeclared) => {
                Status::permission_denied(self.to_string())
            }
            Refusal::Unidentified(_) => Status::unauthenticated(self.to_string()),
            Refusal::Forbidden(_) => Status::permission_denied(FORBIDDEN),
            Refusal::Exhausted { .. } => Status::resource_exhausted(self.to_string()),
        }
    }
}

/// The entrance: the rules that hold, and what each peer has.
#[derive(Debug)]
pub(super) struct Gate {
    limits: Limits,
    metrics: FeedMetrics,
    rules: watch::Sender<Arc<Rules>>,
    // A std mutex: nothing waits while it is held.
    shares: Mutex<Shares>,
}

#[derive(Debug, Default)]
struct Shares {
    streams: usize,
    peers: HashMap<Arc<str>, Share>,
}

/// What one peer has.
#[derive(Debug, Default)]
struct Share {
    connections: usize,
    streams: usize,
    terms: usize,
    /// How many streams follow each.
    scopes: HashMap<Arc<Scope>, usize>,
}

impl Share {
    fn is_empty(&self) -> bool {
        self.connections == 0 && self.streams == 0
    }
}

impl Gate {
    pub(super) fn new(rules: Arc<Rules>, limits: Limits, metrics: FeedMetrics) -> Gate {
        Gate {
            limits,
            metrics,
            rules: watch::Sender::new(rules),
            shares: Mutex::default(),
        }
    }

    /// From now on these rules hold, for open streams too.
    pub(super) fn set_rules(&self, rules: &Arc<Rules>) {
        self.rules.send_if_modified(|held| {
            let new = !Arc::ptr_eq(held, rules);
            if new {
                *held = rules.clone();
            }
            new
        });
    }

    /// Says, where it can be seen, that somebody was refused, and what they are to be told. `peer` is who, or from where.
    pub(super) fn refuse(&self, peer: &str, asked: Option<&Scope>, why: &Refusal) -> Status {
        self.metrics.refused(why.word());
        let tenant = asked.map(Scope::tenant);
        tracing::warn!(
            peer,
            tenant,
            refusal = why.word(),
            "a stream was refused: {why}"
        );
        why.status()
    }

    /// Lets the stream of a peer in, as far as can be said before its hello. `rules` are those that hold now.
    pub(super) fn enter(
        self: &Arc<Self>,
        peer: Peer,
        rules: impl FnOnce() -> Arc<Rules>,
    ) -> Result<Pass, Refusal> {
        // Before they are asked: what changes them afterwards is seen in here.
        let changes = self.rules.subscribe();
        if let Some(id) = peer.id() {
            rules().know(id)?;
        }
        let mut shares = self.shares();
        self.allow(Limit::Streams, shares.streams + 1)?;
        if let Some(id) = peer.id() {
            let share = shares.peers.entry(id.clone()).or_default();
            self.allow(Limit::StreamsPerPeer, share.streams + 1)?;
            share.streams += 1;
        }
        shares.streams += 1;
        Ok(Pass {
            gate: self.clone(),
            peer,
            scope: OnceLock::new(),
            changes,
        })
    }

    /// Counts a connection of a peer, until it is dropped.
    pub(super) fn connect(self: &Arc<Self>, peer: Arc<str>) -> Result<Connection, Refusal> {
        let mut shares = self.shares();
        let share = shares.peers.entry(peer.clone()).or_default();
        self.allow(Limit::ConnectionsPerPeer, share.connections + 1)?;
        share.connections += 1;
        Ok(Connection {
            gate: self.clone(),
            peer,
        })
    }

    /// Whether there may be so many.
    fn allow(&self, limit: Limit, count: usize) -> Result<(), Refusal> {
        let value = self.limits.get(limit);
        let within = count <= value;
        within
            .then_some(())
            .ok_or(Refusal::Exhausted { limit, value })
    }

    fn shares(&self) -> MutexGuard<'_, Shares> {
        self.shares.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shares {
    /// Takes something of a peer's away, and the peer, if that was the last.
    fn give_back(&mut self, peer: &Arc<str>, give: impl FnOnce(&mut Share)) {
        if let Entry::Occupied(mut share) = self.peers.entry(peer.clone()) {
            give(share.get_mut());
            if share.get().is_empty() {
                share.remove();
            }
        }
    }
}

/// A peer's connection; it counts until it is dropped.
#[derive(Debug)]
pub(crate) struct Connection {
    gate: Arc<Gate>,
    peer: Arc<str>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        let mut shares = self.gate.shares();
        shares.give_back(&self.peer, |share| share.connections -= 1);
    }
}

/// An open stream's right to be; it counts until it is dropped.
#[derive(Debug)]
pub(super) struct Pass {
    gate: Arc<Gate>,
    peer: Peer,
    /// What its hello asked for.
    scope: OnceLock<Arc<Scope>>,
    changes: watch::Receiver<Arc<Rules>>,
}

impl Pass {
    /// Whose stream it is.
    pub(super) fn peer(&self) -> &Peer {
        &self.peer
    }

    /// The stream asks, once, for this scope, under the rules that hold now.
    pub(super) fn follow(&self, scope: &Scope, rules: &Rules) -> Result<(), Status> {
        let followed = self.admit(scope, rules);
        followed.map_err(|why| self.gate.refuse(&self.peer.to_string(), Some(scope), &why))
    }

    fn admit(&self, scope: &Scope, rules: &Rules) -> Result<(), Refusal> {
        let Some(id) = self.peer.id() else {
            return Ok(());
        };
        rules.admit(id, scope)?;
        let mut shares = self.gate.shares();
        let share = shares.peers.entry(id.clone()).or_default();
        let scope = match share.scopes.get_key_value(scope) {
            Some((scope, _)) => scope.clone(),
            None => {
                let terms = share.terms + scope.terms().len();
                self.gate
                    .allow(Limit::ScopesPerPeer, share.scopes.len() + 1)?;
                self.gate.allow(Limit::TermsPerPeer, terms)?;
                share.terms = terms;
                Arc::new(scope.clone())
            }
        };
        *share.scopes.entry(scope.clone()).or_default() += 1;
        // A stream has one hello: there is none before it.
        let _ = self.scope.set(scope);
        Ok(())
    }

    /// Returns when the rules no longer let the stream be: with what it is told.
    pub(super) async fn revoked(&self) -> Status {
        let mut changes = self.changes.clone();
        let Some(id) = self.peer.id() else {
            return std::future::pending().await;
        };
        while changes.changed().await.is_ok() {
            let rules = changes.borrow_and_update().clone();
            let held = match self.scope.get() {
                Some(scope) => rules.admit(id, scope),
                None => rules.know(id),
            };
            if let Err(why) = held {
                let scope = self.scope.get().map(|scope| &**scope);
                return self.gate.refuse(id, scope, &why.into());
            }
        }
        // The gate is in this pass.
        std::future::pending().await
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut shares = self.gate.shares();
        shares.streams -= 1;
        let Some(id) = self.peer.id() else {
            return;
        };
        let scope = self.scope.get();
        shares.give_back(id, |share| {
            share.streams -= 1;
            let Some(scope) = scope else { return };
            if let Entry::Occupied(mut streams) = share.scopes.entry(scope.clone()) {
                *streams.get_mut() -= 1;
                if *streams.get() == 0 {
                    streams.remove();
                    share.terms -= scope.terms().len();
                }
            }
        });
    }
}

#[cfg(test)]
mod tests;
