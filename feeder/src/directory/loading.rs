//! A directory put together from what the store holds, which was validated when it was written.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use scimesh_proto::binding::Binding;
use scimesh_proto::position::History;

use super::change::Change;
use super::frozen::{Frozen, Kept};
use super::group::Group;
use super::release::Release;
use super::run::Run;
use super::tenant::Tenant;
use super::token::Token;
use super::user::{Slot, User};
use super::{Directory, Keys};
use crate::access::Rules;
use crate::schema::{Kind, Schema};

/// A directory in the loading. Give it tenants first.
#[derive(Debug)]
pub(crate) struct Loading {
    directory: Directory,
    tenants: HashMap<u32, Tenant>,
    tenant_of_group: HashMap<Slot, u32>,
    frozen: Vec<(u32, u64, Timestamp, Kept)>,
    runs: Vec<Run>,
}

impl Loading {
    pub(crate) fn new(
        history: History,
        revision: u64,
        keys: Keys,
        next_slot: u32,
        next_tenant: u32,
    ) -> Loading {
        let mut directory = Directory::new(history, revision, keys);
        directory.next_slot = next_slot;
        directory.next_tenant = next_tenant;
        Loading {
            directory,
            tenants: HashMap::new(),
            tenant_of_group: HashMap::new(),
            frozen: Vec::new(),
            runs: Vec::new(),
        }
    }

    pub(crate) fn tenant(&mut self, number: u32, name: &str) {
        self.tenants.insert(number, Tenant::new(number, name));
    }

    pub(crate) fn longest_lease(&mut self, longest: Duration) {
        self.directory.longest_lease = longest;
    }

    pub(crate) fn binding(&mut self, tenant: u32, binding: Binding) {
        if let Some(tenant) = self.tenants.get_mut(&tenant) {
            tenant.put_binding(binding);
        }
    }

    pub(crate) fn extension(&mut self, tenant: u32, kind: Kind, schema: Schema) {
        if let Some(tenant) = self.tenants.get_mut(&tenant) {
            tenant.put_schemas(tenant.schemas().with(kind, schema));
        }
    }

    pub(crate) fn token(&mut self, tenant: u32, token: Token) {
        if let Some(tenant) = self.tenants.get(&tenant) {
            let token = Token {
                tenant: tenant.name().clone(),
                ..token
            };
            self.directory.tokens.insert(token.hash, token);
        }
    }

    pub(crate) fn user(&mut self, tenant: u32, user: User) {
        if let Some(tenant) = self.tenants.get_mut(&tenant) {
            tenant.put_user(Arc::new(user));
        }
    }

    /// A group with all its members. It is theirs by [`finish`](Self::finish).
    pub(crate) fn group(&mut self, tenant: u32, group: Group) {
        if let Some(held) = self.tenants.get_mut(&tenant) {
            self.tenant_of_group.insert(group.slot, tenant);
            held.put_group_of(Arc::new(group));
        }
    }

    pub(crate) fn release(&mut self, tenant: u32, release: Release, at: Timestamp) {
        if let Some(tenant) = self.tenants.get_mut(&tenant) {
            tenant.put_release(release, at);
        }
    }

    pub(crate) fn feed_access(&mut self, rules: Rules) {
        self.directory.feed_access = Arc::new(rules);
    }

    /// The tenant is frozen. Until its copy is read, it counts as frozen as it is.
    pub(crate) fn frozen(&mut self, tenant: u32, revision: u64, since: Timestamp, kept: Kept) {
        self.frozen.push((tenant, revision, since, kept));
    }

    pub(crate) fn run(&mut self, run: Run) {
        self.runs.push(run);
    }

    pub(crate) fn proved(&mut self, revision: u64) {
        self.directory.proved = Some(revision);
    }

    pub(crate) fn change(&mut self, change: Change) {
        self.directory.changes.push(Arc::new(change));
    }

    /// Links all members to their groups. One by one, each link would copy those before it.
    fn link(&mut self) {
        // How many groups each number's resource has, then where they begin in `linked`, then where they end.
        let mut places = vec![0_usize; self.directory.next_slot as usize + 1];
        for member in self.groups().flat_map(|group| &group.members) {
            if let Some(count) = places.get_mut(member.0 as usize + 1) {
                *count += 1;
            }
        }
        let mut sum = 0;
        for place in &mut places {
            sum += *place;
            *place = sum;
        }
        let mut linked = vec![Slot::BEFORE_ALL; sum];
        for group in self.groups() {
            for member in &group.members {
                if let Some(place) = places.get_mut(member.0 as usize)
                    && let Some(link) = linked.get_mut(*place)
                {
                    *link = group.slot;
                    *place += 1;
                }
            }
        }
        let mut start = 0;
        for (number, end) in (0..).zip(places) {
            let groups = linked.get(start..end).unwrap_or_default();
            let tenant = groups
                .first()
                .and_then(|group| self.tenant_of_group.get(group));
            if let Some(tenant) = tenant.and_then(|tenant| self.tenants.get_mut(tenant)) {
                tenant.put_links(Slot(number), groups);
            }
            start = end;
        }
    }

    fn groups(&self) -> impl Iterator<Item = &Arc<Group>> {
        self.tenants.values().flat_map(Tenant::groups)
    }

    pub(crate) fn finish(mut self) -> Directory {
        self.link();
        let Loading {
            mut directory,
            tenants,
            frozen,
            runs,
            ..
        } = self;
        for tenant in tenants.into_values() {
            let name = tenant.name().clone();
            directory.tenants.insert(name, Arc::new(tenant));
        }
        for (number, revision, since, kept) in frozen {
            let mut tenants = directory.tenants.values();
            if let Some(tenant) = tenants.find(|tenant| tenant.number == number).cloned() {
                let frozen = Frozen {
                    tenant: tenant.clone(),
                    revision,
                    withheld_since: None,
                    since,
                    kept,
                };
                directory.frozen.insert(tenant.name().clone(), frozen);
            }
        }
        directory.runs = runs.into();
        // What is no longer in the log may have been of any tenant.
        let known = directory.frozen.values().map(|frozen| frozen.revision);
        let known = known.min().unwrap_or_else(|| directory.revision());
        match directory.changes_since(known) {
            Some(changes) => {
                for change in changes {
                    directory.withhold(&change);
                }
            }
            None => directory.withhold_all(),
        }
        directory
    }
}
