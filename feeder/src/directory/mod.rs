//! The directory: every tenant's users, groups, nested membership, bindings and tokens, as an immutable value.
//!
//! ```text
//! Directory
//!   +- tenants   name -> Tenant: users, groups, bindings, and indexes over them
//!   +- frozen    name -> the tenant as it was when it was frozen, which is what filters go on being sent
//!   +- tokens    hash -> Token
//!   +- access    who may follow what of the feed
//!   +- changes   what each of the latest revisions touched
//! ```
//!
//! A clone shares everything. [`Draft`] is the only maker of the next value; it knows nothing of stores, HTTP or streams.

mod bounds;
mod change;
mod difference;
mod draft;
mod entry;
mod frozen;
mod group;
mod holders;
mod holdings;
mod index;
mod loading;
mod nesting;
mod release;
mod rows;
mod run;
mod tenant;
mod token;
mod touched;
mod user;

use std::sync::Arc;
use std::time::Duration;

use imbl::{HashMap, OrdMap};
use jiff::{SignedDuration, Timestamp};
use scimesh_proto::digest::Key;
use scimesh_proto::position::History;

pub use bounds::Bounds;
pub use change::{Change, ChangeLog, Name, Touched};
pub use difference::Difference;
pub(crate) use draft::Made;
pub use draft::{Draft, Refused, Row};
pub use entry::{Content, Resolved};
pub use frozen::{Frozen, Kept};
pub use group::{Group, MemberChange};
pub(crate) use loading::Loading;
pub use nesting::MAX_DEPTH;
pub use release::{Person, Release};
pub use run::Issued;
pub(crate) use run::{MAX_RUNS, Run, RunId};
pub use tenant::{Held, Member, Tenant};
pub use token::{Token, TokenHash};
pub(crate) use touched::weight as touched_weight;
pub use touched::{Reach, Touch, touched};
pub use user::{Attributes, Identity, MAX_NAME_BYTES, Meta, Slot, User, fold};

use crate::access::Rules;

/// The keys of one database. They are made with it and never change.
#[derive(Debug, Clone)]
pub struct Keys {
    /// Of subjects and contents; filters get it.
    pub content: Key,
    /// Of the proofs of positions; never leaves the feeder.
    pub proof: Key,
}

/// Everything that the feeder knows, at one revision.
#[derive(Debug, Clone)]
pub struct Directory {
    history: History,
    revision: u64,
    keys: Arc<Keys>,
    next_slot: u32,
    next_tenant: u32,
    tenants: OrdMap<Arc<str>, Arc<Tenant>>,
    frozen: OrdMap<Arc<str>, Frozen>,
    tokens: HashMap<TokenHash, Token>,
    changes: ChangeLog,
    feed_access: Arc<Rules>,
    /// The oldest first; the last one is under way.
    runs: Arc<[Run]>,
    /// A revision that a filter has proved and that is not of this database's past.
    proved: Option<u64>,
    name_hold: SignedDuration,
    longest_lease: Duration,
}

/// How long a name is held where nobody says otherwise: a day is longer than most tokens live.
pub const DEFAULT_NAME_HOLD: SignedDuration = SignedDuration::from_hours(24);

impl Directory {
    /// A directory without tenants.
    pub fn new(history: History, revision: u64, keys: Keys) -> Directory {
        Directory {
            history,
            revision,
            keys: Arc::new(keys),
            next_slot: 1,
            next_tenant: 1,
            tenants: OrdMap::new(),
            frozen: OrdMap::new(),
            tokens: HashMap::new(),
            changes: ChangeLog::default(),
            feed_access: Arc::default(),
            runs: Arc::default(),
            proved: None,
            name_hold: DEFAULT_NAME_HOLD,
            longest_lease: Duration::ZERO,
        }
    }

    /// The same, with another time for which a name that was lost means nobody else. It counts for the names that are held already; zero holds none.
    /// It is not stored.
    pub fn with_name_hold(self, name_hold: SignedDuration) -> Directory {
        Directory { name_hold, ..self }
    }

    /// How long a name that was lost means nobody else.
    pub fn name_hold(&self) -> SignedDuration {
        self.name_hold
    }

    /// When the hold of a name ends that was lost `at` this time. Times are whole milliseconds here, so one is added: never too early.
    pub fn hold_end(&self, at: Timestamp) -> Timestamp {
        let whole = self
            .name_hold
            .saturating_add(SignedDuration::from_millis(1));
        at.saturating_add(whole).unwrap_or(Timestamp::MAX)
    }

    /// When the next hold ends, or ended.
    pub fn next_hold_end(&self) -> Option<Timestamp> {
        let oldest = self.tenants().filter_map(|tenant| tenant.oldest_release());
        oldest.map(|(at, _)| *at).min().map(|at| self.hold_end(at))
    }

    /// The longest lease that a filter of this history may have, in whole milliseconds: what a feeder that has just been started, and knows no
    /// filter yet, has to wait for before it can say that none goes on by older content.
    pub fn longest_lease(&self) -> Duration {
        self.longest_lease
    }

    /// Which life of which database.
    pub fn history(&self) -> History {
        self.history
    }

    /// Number of the newest change in it.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The database's keys.
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// The tenant of this name, as it is stored. What filters are sent of it is [`published`](Self::published).
    pub fn tenant(&self, name: &str) -> Option<&Arc<Tenant>> {
        self.tenants.get(name)
    }

    /// Every tenant, by name, as it is stored.
    pub fn tenants(&self) -> impl Iterator<Item = &Arc<Tenant>> {
        self.tenants.values()
    }

    /// The token of this hash, valid or not.
    pub fn token(&self, hash: &TokenHash) -> Option<&Token> {
        self.tokens.get(hash)
    }

    /// The tenant whose resources the token of this hash opens at this time.
    pub fn opened_by(&self, token: &TokenHash, now: Timestamp) -> Option<&Arc<Tenant>> {
        let token = self.token(token).filter(|token| token.valid_at(now))?;
        self.tenant(&token.tenant)
    }

    /// A tenant's tokens, in no order.
    pub fn tokens_of(&self, tenant: &str) -> impl Iterator<Item = &Token> {
        let tokens = self.tokens.values();
        tokens.filter(move |token| &*token.tenant == tenant)
    }

    /// Who may follow what of the feed. The same pointer, the same rules.
    pub fn feed_access(&self) -> &Arc<Rules> {
        &self.feed_access
    }

    /// Whether something remains of groups that are gone, for [`Draft::sweep`] to take out. No look-up shows it.
    pub(crate) fn has_remains(&self) -> bool {
        self.tenants().any(|tenant| tenant.has_remains())
    }

    pub(crate) fn change_log(&self) -> &ChangeLog {
        &self.changes
    }

    /// The next resource's and the next tenant's number.
    pub(crate) fn next_numbers(&self) -> (u32, u32) {
        (self.next_slot, self.next_tenant)
    }

    /// What changed after `revision`, oldest first; none if that is no longer known, or lies ahead.
    pub fn changes_since(&self, revision: u64) -> Option<Vec<Arc<Change>>> {
        self.changes.since(revision, self.revision)
    }
}
