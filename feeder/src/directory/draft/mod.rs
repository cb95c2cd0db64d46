//! The next directory, while one command makes it.
//!
//! Every method validates first and changes then; a command that ends in an error drops its draft, so nothing is half
//! done. What a draft did is also kept as rows for the store and as what it touched for the feed.

mod administration;
mod brakes;
mod extensions;
mod groups;
mod holds;
mod users;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use scimesh_proto::binding::{Binding, Voucher};
use uuid::Uuid;

use super::change::{Change, Touched};
use super::frozen::Kept;
use super::group::Group;
use super::release::Release;
use super::tenant::Tenant;
use super::token::Token;
use super::user::{Slot, User};
use super::{Bounds, Directory};
use crate::access::Rules;
use crate::schema::{InvalidExtension, Kind, Schema};

/// Why a command is refused. Nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// No tenant of this name.
    #[error("there is no tenant {0:?} (scimesh tenant list shows them)")]
    NoSuchTenant(String),
    /// A tenant of this name exists.
    #[error("there is a tenant {0:?} already")]
    TenantExists(String),
    /// See [`valid_tenant_name`](scimesh_proto::scope::valid_tenant_name).
    #[error(
        "{0:?} can't name a tenant: 1 to 63 characters of a-z, 0-9, '-', '_' and '.', the first a letter or digit"
    )]
    InvalidTenantName(String),
    /// No user of this id in the tenant.
    #[error("there is no user {0}")]
    NoSuchUser(Uuid),
    /// No group of this id in the tenant.
    #[error("there is no group {0}")]
    NoSuchGroup(Uuid),
    /// A member that is neither user nor group of the tenant.
    #[error("members: there is no user or group {0}")]
    NoSuchMember(Uuid),
    /// Another user of the tenant has this `userName`, case aside.
    #[error("userName: taken by another user")]
    UserNameTaken,
    /// A required attribute is absent or empty.
    #[error("{0} is required")]
    Missing(&'static str),
    /// An attribute has a value that it can't have.
    #[error("{attribute}: {why}")]
    Invalid {
        /// Which.
        attribute: &'static str,
        /// What is wrong.
        why: &'static str,
    },
    /// The tenant, or the group, holds as many as it may.
    #[error("more than {limit} {of}: the limit is {name}")]
    Full {
        /// Of what.
        of: &'static str,
        /// The bound's name.
        name: &'static str,
        /// The bound.
        limit: usize,
    },
    /// Groups would nest deeper than the bound.
    #[error("members: groups would nest {depth} deep, more than {limit}: the limit is group-depth")]
    TooDeep {
        /// How deep.
        depth: usize,
        /// The bound.
        limit: usize,
    },
    /// The issuer is bound in another tenant, and not every binding of it pins the same claim to another value.
    #[error(
        "issuer {issuer:?} is bound in tenant {tenant:?}: tenants share an issuer only if each binding pins the same claim to a value of its own"
    )]
    IssuerTaken {
        /// The issuer.
        issuer: String,
        /// Where it is bound.
        tenant: String,
    },
    /// The trust domain is bound in another tenant: its workloads are one tenant's.
    #[error("trust domain {trust_domain:?} is bound in tenant {tenant:?}")]
    TrustDomainTaken {
        /// The trust domain.
        trust_domain: String,
        /// Where it is bound.
        tenant: String,
    },
    /// The tenant has no binding for the issuer, or with the pin, that was named.
    #[error("tenant {0:?} has no such binding")]
    NoSuchBinding(String),
    /// A schema can't be an extension of the tenant's resources.
    #[error("extension: {0}")]
    Extension(#[from] InvalidExtension),
    /// Resources have values under the schema, which what was to come does not fit.
    #[error(
        "extension {urn:?} of tenant {tenant:?}: {why}, but {resources} of its resources have values under it"
    )]
    ExtensionInUse {
        /// The tenant.
        tenant: String,
        /// The schema's URN.
        urn: String,
        /// What would be lost.
        why: String,
        /// How many resources have it.
        resources: usize,
    },
    /// The tenant has not defined this schema.
    #[error("tenant {tenant:?} has no extension {urn:?}")]
    NoSuchExtension {
        /// The tenant.
        tenant: String,
        /// The URN that was named.
        urn: String,
    },
    /// What is published of the tenant is held back.
    #[error("tenant {0:?} is frozen: unfreeze it first")]
    Frozen(String),
    /// What is published of the tenant is what is stored.
    #[error("tenant {0:?} is not frozen")]
    NotFrozen(String),
    /// No hold of this name has to end.
    #[error("tenant {0:?} holds no such name")]
    NoSuchHold(String),
    /// The tenant has no token of this id.
    #[error("tenant {tenant:?} has no token {id:?}")]
    NoSuchToken {
        /// The tenant.
        tenant: String,
        /// The token's public id.
        id: String,
    },
}

impl Refused {
    pub(crate) fn invalid(attribute: &'static str, why: &'static str) -> Refused {
        Refused::Invalid { attribute, why }
    }
}

/// A row that the store writes or drops. `u32` is a tenant's number.
#[derive(Debug, Clone)]
pub enum Row {
    /// A new tenant.
    Tenant(u32, Arc<str>),
    /// A tenant and everything in it is gone.
    DropTenant(u32),
    /// A new binding, or a changed one.
    Binding(u32, Binding),
    /// The binding for this issuer or trust domain is gone.
    DropBinding(u32, Voucher),
    /// A new extension, or a changed one.
    Extension(u32, Kind, Schema),
    /// The extension of this URN is gone.
    DropExtension(u32, String),
    /// A new token.
    Token(u32, Token),
    /// The token of this id is gone.
    DropToken(String),
    /// A new user, or a changed one.
    User(u32, Arc<User>),
    /// A user is gone.
    DropUser(Slot),
    /// A new group, or a changed one; its members have rows of their own.
    Group(u32, Arc<Group>),
    /// A group is gone. Rows of its members may remain, and say nothing any more.
    DropGroup(Slot),
    /// The rows of the members of a group that is gone are: up to this one, or all.
    DropMembers(Slot, Option<Slot>),
    /// A direct membership.
    Member(Slot, Slot),
    /// A direct membership is gone.
    DropMember(Slot, Slot),
    /// A name was lost, or lost again, at this time.
    Release(u32, Release, Timestamp),
    /// It is held no longer.
    DropRelease(u32, Release),
    /// All rules of who may follow what of the feed.
    FeedAccess(Arc<Rules>),
    /// The longest lease that a filter may have, in whole milliseconds.
    LongestLease(Duration),
    /// A tenant is frozen, or its copy is kept.
    Freeze {
        /// Which.
        tenant: u32,
        /// See [`Frozen::revision`](super::Frozen::revision).
        revision: u64,
        /// When.
        since: Timestamp,
        /// What has become of its copy.
        kept: Kept,
    },
    /// It is frozen no longer.
    Unfreeze(u32),
    /// A filter has proved this revision, which is not of this database's past.
    Proved(u64),
}

/// The next directory, in the making.
#[derive(Debug)]
pub struct Draft {
    directory: Directory,
    now: Timestamp,
    rows: Vec<Row>,
    touched: Vec<(Arc<str>, Touched)>,
    bounds: Bounds,
    memberships: usize,
    held: usize,
}

/// What a command made of a directory.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) directory: Directory,
    pub(crate) rows: Vec<Row>,
    /// None if nothing changed that a filter may be sent.
    pub(crate) change: Option<Arc<Change>>,
}

impl Draft {
    /// Starts from `directory`; what it makes is made at `now`, in whole milliseconds, as the store keeps it.
    pub fn new(directory: &Directory, now: Timestamp) -> Draft {
        let whole = Timestamp::from_millisecond(now.as_millisecond());
        Draft {
            directory: directory.clone(),
            now: whole.unwrap_or(now),
            rows: Vec::new(),
            touched: Vec::new(),
            bounds: Bounds::default(),
            memberships: 0,
            held: 0,
        }
    }

    /// Lets tenants hold no more than this from here on. What they hold already stays.
    pub fn within(&mut self, bounds: Bounds) {
        self.bounds = bounds;
    }

    /// Whether the command has changed anything so far.
    pub(crate) fn has_changes(&self) -> bool {
        !self.rows.is_empty()
    }

    /// How many memberships the command has moved or looked at so far, also where it failed: nearly all that a change of groups costs, and a few
    /// words can ask for a lot of it.
    pub(crate) fn memberships(&self) -> usize {
        self.memberships
    }

    /// How many names the command has given to somebody whom they do not mean yet, because they are held.
    pub(crate) fn held(&self) -> usize {
        self.held
    }

    /// The directory as this command has made it so far.
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// The time of the change.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// A tenant as this command has made it so far.
    pub fn tenant(&self, name: &str) -> Result<&Arc<Tenant>, Refused> {
        self.directory
            .tenant(name)
            .ok_or_else(|| Refused::NoSuchTenant(name.to_owned()))
    }

    /// Runs a part of the command that may fail alone: after an error the draft is as it was before the part.
    pub(crate) fn attempt<T, E>(
        &mut self,
        part: impl FnOnce(&mut Draft) -> Result<T, E>,
    ) -> Result<T, E> {
        // A copy of a directory shares everything with it.
        let before = self.directory.clone();
        let (rows, touched) = (self.rows.len(), self.touched.len());
        let held = self.held;
        let result = part(self);
        if result.is_err() {
            self.directory = before;
            self.rows.truncate(rows);
            self.touched.truncate(touched);
            self.held = held;
        }
        result
    }

    /// Takes out what remains of groups that are gone, no more than so many links.
    pub(crate) fn sweep(&mut self, at_most: usize) {
        let swept = |tenant: &&Arc<Tenant>| tenant.has_remains();
        let tenants = self.directory.tenants().filter(swept);
        let names: Vec<Arc<str>> = tenants.map(|tenant| tenant.name().clone()).collect();
        let mut left = at_most;
        for name in names {
            while left > 0
                && let Ok(tenant) = self.tenant_mut(&name)
                && let Some((group, swept)) = tenant.sweep(left)
            {
                // A group that nobody was in costs a row as well.
                left -= swept.links.clamp(1, left);
                self.rows.push(Row::DropMembers(group, swept.up_to));
            }
        }
    }

    fn tenant_mut(&mut self, name: &str) -> Result<&mut Tenant, Refused> {
        self.directory
            .tenants
            .get_mut(name)
            .map(Arc::make_mut)
            .ok_or_else(|| Refused::NoSuchTenant(name.to_owned()))
    }

    fn next_slot(&mut self) -> Slot {
        let slot = Slot(self.directory.next_slot);
        self.directory.next_slot += 1;
        slot
    }

    fn touch(&mut self, tenant: &Tenant, touched: Touched) {
        self.touched.push((tenant.name().clone(), touched));
    }

    /// Numbers the change, if there is one to number.
    pub(crate) fn finish(self) -> Made {
        let Draft {
            mut directory,
            rows,
            touched,
            ..
        } = self;
        let change = (!touched.is_empty()).then(|| {
            directory.revision += 1;
            let change = Arc::new(Change {
                revision: directory.revision,
                touched,
            });
            directory.withhold(&change);
            directory.changes.push(change.clone());
            change
        });
        Made {
            directory,
            rows,
            change,
        }
    }
}
