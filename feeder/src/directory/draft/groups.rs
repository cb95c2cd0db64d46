//! Groups and memberships come, change and go. A membership costs what one membership costs, however large the group.

use std::sync::Arc;

use imbl::OrdSet;
use uuid::Uuid;

use super::{Draft, Refused, Row};
use crate::directory::change::Touched;
use crate::directory::group::Group;
use crate::directory::nesting;
use crate::directory::user::{Attributes, Meta, Slot};

impl Draft {
    /// A new group. Its id is the server's choice: random, and so never used before; its members are users and groups of the tenant.
    pub fn create_group(
        &mut self,
        tenant: &str,
        id: Uuid,
        attributes: Attributes,
        members: &[Uuid],
    ) -> Result<Arc<Group>, Refused> {
        let held = self.tenant(tenant)?.clone();
        self.bounds.admit_group(&held)?;
        let members = self.slots(tenant, members)?;
        let slot = self.next_slot();
        let meta = Meta::new(self.now);
        let group = Group::new(slot, id, meta, &attributes, OrdSet::new())?;
        let terms = group.terms();
        let group = Arc::new(group);
        self.tenant_mut(tenant)?.put_group(group.clone());
        self.touch(&held, Touched::Group { group: slot, terms });
        self.rows.push(Row::Group(held.number, group));
        self.link_members(tenant, slot, members)?;
        self.group_at(tenant, slot)
    }

    /// Gives a group other attributes; its members stay. The same ones change nothing, not even `meta`.
    pub fn update_group(
        &mut self,
        tenant: &str,
        id: Uuid,
        attributes: Attributes,
    ) -> Result<Arc<Group>, Refused> {
        let held = self.tenant(tenant)?.clone();
        let old = self.group(tenant, id)?;
        let meta = old.meta.touched(self.now);
        let group = Group::new(old.slot, id, meta, &attributes, old.members.clone())?;
        if group.document == old.document {
            return Ok(old);
        }
        let mut terms = old.terms();
        if terms != group.terms() {
            terms.extend(group.terms());
            let group = group.slot;
            self.touch(&held, Touched::Group { group, terms });
        }
        let group = Arc::new(group);
        self.tenant_mut(tenant)?.put_group(group.clone());
        self.rows.push(Row::Group(held.number, group.clone()));
        Ok(group)
    }

    /// Adds members; adding who is one changes nothing.
    pub fn add_members(
        &mut self,
        tenant: &str,
        group: Uuid,
        members: &[Uuid],
    ) -> Result<Arc<Group>, Refused> {
        let slot = self.group(tenant, group)?.slot;
        let members = self.slots(tenant, members)?;
        if self.link_members(tenant, slot, members)? {
            self.touch_group(tenant, slot)?;
        }
        self.group_at(tenant, slot)
    }

    /// Removes members; removing who is none, or nobody, changes nothing.
    pub fn remove_members(
        &mut self,
        tenant: &str,
        group: Uuid,
        members: &[Uuid],
    ) -> Result<Arc<Group>, Refused> {
        let slot = self.group(tenant, group)?.slot;
        let held = self.tenant(tenant)?;
        let members = members.iter().filter_map(|id| held.slot_of(*id)).collect();
        self.drop_members(tenant, slot, members)?;
        self.group_at(tenant, slot)
    }

    /// Makes these the only members, changing as little as that takes.
    pub fn set_members(
        &mut self,
        tenant: &str,
        group: Uuid,
        members: &[Uuid],
    ) -> Result<Arc<Group>, Refused> {
        let old = self.group(tenant, group)?;
        let members: OrdSet<Slot> = self.slots(tenant, members)?.into_iter().collect();
        let gone = old.members.clone().relative_complement(members.clone());
        let new = members.relative_complement(old.members.clone());
        // Those who go make room for those who come.
        let dropped = self.drop_members(tenant, old.slot, gone.into_iter().collect())?;
        let added = self.link_members(tenant, old.slot, new.into_iter().collect())?;
        if added && !dropped {
            self.touch_group(tenant, old.slot)?;
        }
        self.group_at(tenant, old.slot)
    }

    /// A group goes, and with it its memberships in both directions.
    pub fn delete_group(&mut self, tenant: &str, id: Uuid) -> Result<(), Refused> {
        let old = self.group(tenant, id)?;
        self.leave_groups(tenant, old.slot)?;
        // It may have been a member of itself.
        let old = self.group(tenant, id)?;
        let held = self.tenant(tenant)?.clone();
        self.tenant_mut(tenant)?.drop_group(old.slot);
        if !old.members.is_empty() {
            let members = old.members.iter().copied().collect();
            let group = old.slot;
            self.touch(&held, Touched::Members { group, members });
        }
        let terms = old.terms();
        let group = old.slot;
        self.touch(&held, Touched::Group { group, terms });
        self.rows.push(Row::DropGroup(old.slot));
        Ok(())
    }

    fn group(&self, tenant: &str, id: Uuid) -> Result<Arc<Group>, Refused> {
        let group = self.tenant(tenant)?.group(id);
        group.cloned().ok_or(Refused::NoSuchGroup(id))
    }

    fn group_at(&self, tenant: &str, slot: Slot) -> Result<Arc<Group>, Refused> {
        let group = self.tenant(tenant)?.group_at(slot);
        group.cloned().ok_or(Refused::NoSuchGroup(Uuid::nil()))
    }

    fn slots(&self, tenant: &str, ids: &[Uuid]) -> Result<Vec<Slot>, Refused> {
        let held = self.tenant(tenant)?;
        ids.iter()
            .map(|id| held.slot_of(*id).ok_or(Refused::NoSuchMember(*id)))
            .collect()
    }

    /// Whether it changed anything.
    fn link_members(
        &mut self,
        tenant: &str,
        group: Slot,
        members: Vec<Slot>,
    ) -> Result<bool, Refused> {
        let held = self.tenant_mut(tenant)?;
        let mut added = Vec::new();
        let mut nests = false;
        for member in members {
            if held.add_member(group, member) {
                nests |= held.group_at(member).is_some();
                added.push(member);
            }
        }
        if added.is_empty() {
            return Ok(false);
        }
        let held = self.tenant(tenant)?.clone();
        self.bounds.admit_members(&held, group)?;
        if nests {
            let (depth, limit) = (nesting::depth(&held, group), self.bounds.depth);
            if depth > limit {
                return Err(Refused::TooDeep { depth, limit });
            }
        }
        let rows = added.iter().map(|member| Row::Member(group, *member));
        self.rows.extend(rows);
        let members = added;
        self.touch(&held, Touched::Members { group, members });
        Ok(true)
    }

    /// Whether it changed anything.
    pub(super) fn drop_members(
        &mut self,
        tenant: &str,
        group: Slot,
        members: Vec<Slot>,
    ) -> Result<bool, Refused> {
        let held = self.tenant_mut(tenant)?;
        let mut dropped = members;
        dropped.retain(|member| held.drop_member(group, *member));
        if dropped.is_empty() {
            return Ok(false);
        }
        let held = self.tenant(tenant)?.clone();
        let rows = dropped.iter().map(|member| Row::DropMember(group, *member));
        self.rows.extend(rows);
        let members = dropped;
        self.touch(&held, Touched::Members { group, members });
        self.touch_group(tenant, group)?;
        Ok(true)
    }

    /// The group's members changed: so did its `meta`.
    fn touch_group(&mut self, tenant: &str, group: Slot) -> Result<(), Refused> {
        let old = self.group_at(tenant, group)?;
        let changed = Arc::new(Group {
            meta: old.meta.touched(self.now),
            ..Group::clone(&old)
        });
        let held = self.tenant_mut(tenant)?;
        held.put_group(changed.clone());
        let number = held.number;
        self.rows.push(Row::Group(number, changed));
        Ok(())
    }
}
