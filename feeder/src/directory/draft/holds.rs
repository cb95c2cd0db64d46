//! Names are held from when somebody loses them, until their time has come or an operator says so.

use scimesh_proto::binding::Attribute;

use super::{Draft, Refused, Row};
use crate::directory::change::{Name, Touched};
use crate::directory::entry::meant;
use crate::directory::release::{Person, Release};
use crate::directory::tenant::Tenant;
use crate::directory::user::User;

impl Draft {
    /// Ends the holds whose time has come, the oldest first, and no more than so many. Says how many it ended. What a filter may be sent changes, and so
    /// the revision, only by those whose name means somebody from now on.
    pub fn end_holds(&mut self, at_most: usize) -> usize {
        let tenants: Vec<_> = self.directory.tenants().cloned().collect();
        let mut ended = 0;
        for tenant in tenants {
            let over = tenant
                .releases()
                .take_while(|(at, _)| self.directory.hold_end(*at) <= self.now);
            let over: Vec<Release> = over
                .take(at_most - ended)
                .map(|(_, release)| release.clone())
                .collect();
            ended += over.len();
            self.drop_releases(&tenant, over);
        }
        ended
    }

    /// Ends the hold of a name in every spelling, whoever has lost it. Says how many there were.
    pub fn end_hold(
        &mut self,
        tenant: &str,
        attribute: Attribute,
        value: &str,
    ) -> Result<usize, Refused> {
        let held = self.tenant(tenant)?.clone();
        let spelled =
            |name: &Name| name.attribute == attribute && name.value.eq_ignore_ascii_case(value);
        let over: Vec<Release> = held
            .releases()
            .filter(|(_, release)| spelled(&release.name))
            .map(|(_, release)| release.clone())
            .collect();
        let ended = over.len();
        if ended == 0 {
            return Err(Refused::NoSuchHold(tenant.to_owned()));
        }
        self.drop_releases(&held, over);
        Ok(ended)
    }

    fn drop_releases(&mut self, before: &Tenant, over: Vec<Release>) {
        let Ok(tenant) = self.tenant_mut(before.name()) else {
            return;
        };
        for release in &over {
            tenant.drop_release(release);
        }
        let after = tenant.clone();
        for release in over {
            if begins_to_mean(&release.name, before, &after) {
                let names = vec![release.name.clone()];
                self.touch(&after, Touched::User { names });
            }
            self.rows.push(Row::DropRelease(after.number, release));
        }
    }

    /// The person who `user` was has lost these names.
    pub(super) fn release(
        &mut self,
        tenant: &str,
        user: &User,
        names: Vec<Name>,
    ) -> Result<(), Refused> {
        if self.directory.name_hold.is_zero() {
            return Ok(());
        }
        let now = self.now;
        let person = Person::of(user);
        let tenant = self.tenant_mut(tenant)?;
        let number = tenant.number;
        let mut rows = Vec::new();
        for name in names {
            let person = person.clone();
            let release = Release { name, person };
            if tenant.put_release(release.clone(), now) {
                rows.push(Row::Release(number, release, now));
            }
        }
        self.rows.extend(rows);
        Ok(())
    }

    /// A user who had no `externalId` has one: what was lost without it, the same person has lost. Otherwise they were kept from what is theirs, and
    /// whoever has the resource without one later on were taken for them. Says which names that is.
    pub(super) fn carry_releases_over(
        &mut self,
        tenant: &str,
        user: &User,
    ) -> Result<Vec<Name>, Refused> {
        let person = Person::of(user);
        let tenant = self.tenant_mut(tenant)?;
        let number = tenant.number;
        let mut names = Vec::new();
        let mut rows = Vec::new();
        for (at, old) in tenant.releases_of_resource(user.slot) {
            let new = Release {
                name: old.name.clone(),
                person: person.clone(),
            };
            names.push(old.name.clone());
            tenant.drop_release(&old);
            rows.push(Row::DropRelease(number, old));
            if tenant.put_release(new.clone(), at) {
                rows.push(Row::Release(number, new, at));
            }
        }
        self.rows.extend(rows);
        Ok(names)
    }

    /// Counts those of these names, which somebody has just been given, that do not mean them yet.
    pub(super) fn count_held(&mut self, tenant: &str, gained: &[Name]) -> Result<(), Refused> {
        let tenant = self.tenant(tenant)?;
        if tenant.release_count() == 0 {
            return Ok(());
        }
        let held = gained.iter().filter(|name| is_held(name, tenant)).count();
        self.held += held;
        Ok(())
    }
}

fn is_held(name: &Name, tenant: &Tenant) -> bool {
    tenant.bindings().any(|binding| {
        meant(binding, name).is_some_and(|value| tenant.held(binding, &value).is_some())
    })
}

/// Whether the name means somebody active who, before, could not be meant by it.
fn begins_to_mean(name: &Name, before: &Tenant, after: &Tenant) -> bool {
    after.bindings().any(|binding| {
        let Some(value) = meant(binding, name) else {
            return false;
        };
        let user = after.user_named(binding, &value);
        user.is_some_and(|user| user.identity.active)
            && before.user_named(binding, &value).is_none()
    })
}
