//! What an operator stops and lets go: what is published of a tenant, and a database that turned out to be an old copy.

use std::sync::Arc;

use super::{Draft, Refused, Row};
use crate::directory::change::Touched;
use crate::directory::frozen::{Frozen, Kept};

impl Draft {
    /// From now on the tenant is published as it is. That is no change of what anybody is sent, and so no revision. Its copy is still to be
    /// [`kept`](Self::freeze_kept).
    pub fn freeze(&mut self, tenant: &str) -> Result<Frozen, Refused> {
        let held = self.tenant(tenant)?.clone();
        self.not_frozen(tenant)?;
        let frozen = Frozen {
            tenant: held,
            revision: self.directory.revision,
            withheld_since: None,
            since: self.now,
            kept: Kept::Writing,
        };
        self.put_frozen(frozen.clone());
        Ok(frozen)
    }

    /// The copy of the tenant that was frozen at this revision is on stable storage.
    pub fn freeze_kept(&mut self, tenant: &str, revision: u64) -> Result<(), Refused> {
        let frozen = self.directory.frozen(tenant);
        let Some(frozen) = frozen.filter(|frozen| frozen.revision == revision) else {
            return Err(Refused::NotFrozen(tenant.to_owned()));
        };
        let kept = Frozen {
            kept: Kept::Stored,
            ..frozen.clone()
        };
        self.put_frozen(kept);
        Ok(())
    }

    /// From now on the tenant is published as it is stored. A filter that has gone on to later revisions with what was frozen has missed what was
    /// withheld, so all of it counts as touched.
    pub fn unfreeze(&mut self, tenant: &str) -> Result<Frozen, Refused> {
        let held = self.tenant(tenant)?.clone();
        let Some(frozen) = self.directory.frozen.remove(tenant) else {
            return Err(Refused::NotFrozen(tenant.to_owned()));
        };
        self.touch(&held, Touched::Everything);
        self.rows.push(Row::Unfreeze(held.number));
        Ok(frozen)
    }

    /// A filter has proved this revision, which is not of this database's past.
    pub fn prove_old(&mut self, revision: u64) {
        if self.directory.proved.is_none() {
            self.directory.proved = Some(revision);
            self.rows.push(Row::Proved(revision));
        }
    }

    pub(super) fn not_frozen(&self, tenant: &str) -> Result<(), Refused> {
        match self.directory.frozen(tenant) {
            Some(_) => Err(Refused::Frozen(tenant.to_owned())),
            None => Ok(()),
        }
    }

    fn put_frozen(&mut self, frozen: Frozen) {
        self.rows.push(Row::Freeze {
            tenant: frozen.tenant.number,
            revision: frozen.revision,
            since: frozen.since,
            kept: frozen.kept,
        });
        let name = Arc::clone(frozen.tenant.name());
        self.directory.frozen.insert(name, frozen);
    }
}
