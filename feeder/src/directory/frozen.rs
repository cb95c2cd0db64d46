//! Tenants whose filters go on with what was so at one revision, whatever is stored since.

use std::sync::Arc;

use jiff::Timestamp;

use super::{Change, Directory, Tenant};

/// A tenant that is frozen.
#[derive(Debug, Clone)]
pub struct Frozen {
    pub(super) tenant: Arc<Tenant>,
    /// The last revision of which its filters have everything.
    pub revision: u64,
    /// The first revision that changed the tenant since, and that its filters were not sent.
    pub withheld_since: Option<u64>,
    /// When it was frozen.
    pub since: Timestamp,
    /// Whether what is published would be known after a restart.
    pub kept: Kept,
}

/// What has become of the copy of a frozen tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// It is being written. A feeder that dies now publishes what is stored when it starts again.
    Writing,
    /// It is on stable storage.
    Stored,
    /// It could not be read: as nobody knows what it was, nobody is published.
    Lost,
}

impl Frozen {
    /// The tenant as it was: what is published.
    pub fn tenant(&self) -> &Arc<Tenant> {
        &self.tenant
    }
}

impl Directory {
    /// The tenant as filters are sent it: as it is, or as it was when it was frozen. All that the feed reads, it reads by this.
    pub fn published(&self, name: &str) -> Option<&Arc<Tenant>> {
        match self.frozen.get(name) {
            Some(frozen) => Some(&frozen.tenant),
            None => self.tenants.get(name),
        }
    }

    /// Every tenant, by name, as filters are sent it.
    pub fn all_published(&self) -> impl Iterator<Item = &Arc<Tenant>> {
        let names = self.tenants.keys();
        names.filter_map(|name| self.published(name))
    }

    /// The tenants that are frozen, by name. What was committed of one after its revision has been applied by nobody.
    pub fn all_frozen(&self) -> impl Iterator<Item = (&Arc<str>, &Frozen)> {
        self.frozen.iter()
    }

    /// How the tenant of this name is frozen, if it is.
    pub fn frozen(&self, name: &str) -> Option<&Frozen> {
        self.frozen.get(name)
    }

    /// Notes whose changes this one withholds: those of tenants that were frozen before it.
    pub(super) fn withhold(&mut self, change: &Change) {
        for (name, _) in &change.touched {
            if let Some(frozen) = self.frozen.get_mut(name)
                && frozen.revision < change.revision
            {
                frozen.withheld_since.get_or_insert(change.revision);
            }
        }
    }

    /// Notes that nothing is known of what is withheld: it may be everything.
    pub(super) fn withhold_all(&mut self) {
        let newest = self.revision;
        let names: Vec<_> = self.frozen.keys().cloned().collect();
        for name in names {
            if let Some(frozen) = self.frozen.get_mut(&name)
                && frozen.revision < newest
            {
                frozen.withheld_since = Some(frozen.revision + 1);
            }
        }
    }

    /// The same, if what is stored of the tenant were published.
    pub(crate) fn as_if_thawed(&self, name: &str) -> Directory {
        let mut thawed = self.clone();
        thawed.frozen.remove(name);
        thawed
    }

    /// Nothing but this tenant as it is published: what is to be known of it while it is frozen.
    pub(crate) fn only_published(&self, name: &str) -> Directory {
        let tenants = self.published(name).into_iter();
        Directory {
            tenants: tenants
                .map(|tenant| (tenant.name().clone(), tenant.clone()))
                .collect(),
            frozen: Default::default(),
            tokens: Default::default(),
            changes: Default::default(),
            feed_access: Default::default(),
            ..self.clone()
        }
    }

    /// What the frozen tenant's copy says, or that it says nothing that can be read.
    pub(crate) fn with_frozen_content(self, name: &str, copy: Option<&Directory>) -> Directory {
        let mut directory = self;
        let (Some(frozen), Some(stored)) =
            (directory.frozen.get_mut(name), directory.tenants.get(name))
        else {
            return directory;
        };
        let tenant = copy.and_then(|copy| copy.tenant(name));
        let tenant = tenant.filter(|tenant| tenant.number == stored.number);
        match tenant {
            Some(tenant) => frozen.tenant = tenant.clone(),
            None => {
                frozen.tenant = Arc::new(Tenant::new(stored.number, name));
                frozen.kept = Kept::Lost;
            }
        }
        directory
    }
}
