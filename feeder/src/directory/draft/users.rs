//! Users come, change and go.

use std::sync::Arc;

use uuid::Uuid;

use super::{Draft, Refused, Row};
use crate::directory::change::{Name, Touched};
use crate::directory::release::{gained, lost};
use crate::directory::tenant::Tenant;
use crate::directory::user::{Attributes, Meta, Slot, User};

impl Draft {
    /// A new user. Its id is the server's choice: random, and so never used before.
    pub fn create_user(
        &mut self,
        tenant: &str,
        id: Uuid,
        attributes: Attributes,
    ) -> Result<Arc<User>, Refused> {
        let meta = Meta::new(self.now);
        self.bounds.admit_user(self.tenant(tenant)?)?;
        let slot = self.next_slot();
        let user = User::new(slot, id, meta, &attributes)?;
        user.check_name()?;
        self.put_user(tenant, user, None)
    }

    /// Gives a user other attributes. The same ones change nothing, not even `meta`.
    pub fn update_user(
        &mut self,
        tenant: &str,
        id: Uuid,
        attributes: Attributes,
    ) -> Result<Arc<User>, Refused> {
        let old = self.user(tenant, id)?;
        let user = User::new(old.slot, id, old.meta.touched(self.now), &attributes)?;
        if user.document == old.document {
            return Ok(old);
        }
        if user.identity.user_name != old.identity.user_name {
            user.check_name()?;
        }
        if user.identity != old.identity {
            return self.put_user(tenant, user, Some(&old));
        }
        let user = Arc::new(user);
        let held = self.tenant_mut(tenant)?;
        held.put_user(user.clone());
        let number = held.number;
        self.rows.push(Row::User(number, user.clone()));
        Ok(user)
    }

    /// A user goes, and with it its memberships.
    pub fn delete_user(&mut self, tenant: &str, id: Uuid) -> Result<(), Refused> {
        let old = self.user(tenant, id)?;
        self.leave_groups(tenant, old.slot)?;
        let held = self.tenant_mut(tenant)?;
        held.drop_user(old.slot);
        self.release(tenant, &old, lost(&old, None))?;
        let held = self.tenant(tenant)?.clone();
        let names = old.names().collect();
        self.touch(&held, Touched::User { names });
        self.rows.push(Row::DropUser(old.slot));
        Ok(())
    }

    fn user(&self, tenant: &str, id: Uuid) -> Result<Arc<User>, Refused> {
        let user = self.tenant(tenant)?.user(id);
        user.cloned().ok_or(Refused::NoSuchUser(id))
    }

    /// Puts a user in whose identity is new; `old` is what it was, if it was there.
    fn put_user(
        &mut self,
        tenant: &str,
        user: User,
        old: Option<&User>,
    ) -> Result<Arc<User>, Refused> {
        let held = self.tenant(tenant)?.clone();
        if name_taken(&held, &user) {
            return Err(Refused::UserNameTaken);
        }
        let gained = gained(old, &user);
        if !gained.is_empty() {
            self.bounds.admit_names(&held)?;
        }
        let user = Arc::new(user);
        let mut names: Vec<Name> = old.map_or(Vec::new(), |old| old.names().collect());
        for name in user.names() {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        self.tenant_mut(tenant)?.put_user(user.clone());
        if let Some(old) = old {
            self.release(tenant, old, lost(old, Some(&user)))?;
            if old.identity.external_id.is_none() && user.identity.external_id.is_some() {
                // Whoever else has the externalId may be meant by them from now on.
                names.extend(self.carry_releases_over(tenant, &user)?);
            }
        }
        self.count_held(tenant, &gained)?;
        self.touch(&held, Touched::User { names });
        self.rows.push(Row::User(held.number, user.clone()));
        Ok(user)
    }

    /// Takes a user or group out of every group that it is a direct member of.
    pub(super) fn leave_groups(&mut self, tenant: &str, member: Slot) -> Result<(), Refused> {
        let groups = self.tenant_mut(tenant)?.leave_groups(member);
        let held = self.tenant(tenant)?.clone();
        self.memberships += groups.len();
        for group in groups {
            let members = vec![member];
            self.rows.push(Row::DropMember(group, member));
            self.touch(&held, Touched::Members { group, members });
            self.touch_group(tenant, group)?;
        }
        Ok(())
    }
}

fn name_taken(tenant: &Tenant, user: &User) -> bool {
    tenant
        .user_by_name(&user.identity.user_name)
        .is_some_and(|holder| holder.slot != user.slot)
}
