//! A directory put together from what the store holds, which was validated when it was written.

use std::collections::HashMap;
use std::sync::Arc;

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

/// A directory in the loading. Give it tenants first, and groups before their members.
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

    pub(crate) fn group(&mut self, tenant: u32, group: Group) {
        if let Some(held) = self.tenants.get_mut(&tenant) {
            self.tenant_of_group.insert(group.slot, tenant);
            held.put_group(Arc::new(group));
        }
    }

    pub(crate) fn members(&mut self, group: Slot, members: Vec<Slot>) {
        let tenant = self.tenant_of_group.get(&group);
        if let Some(tenant) = tenant.and_then(|number| self.tenants.get_mut(number)) {
            for member in members {
                tenant.add_member(group, member);
            }
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

    pub(crate) fn finish(self) -> Directory {
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
                    since,
                    kept,
                };
                directory.frozen.insert(tenant.name().clone(), frozen);
            }
        }
        directory.runs = runs.into();
        directory
    }
}
