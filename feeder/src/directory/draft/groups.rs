//! Groups and memberships come, change and go. A membership costs what one membership costs, however large the group.

use std::sync::Arc;

use imbl::OrdSet;
use uuid::Uuid;

use super::{Draft, Refused, Row};
use crate::directory::change::Touched;
use crate::directory::group::{Group, MemberChange};
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

    /// Gives a group other attributes, and then changes its members: one version, whatever it takes. What is so already changes nothing, not even
    /// `meta`.
    pub fn update_group(
        &mut self,
        tenant: &str,
        id: Uuid,
        attributes: Attributes,
        members: &[MemberChange],
    ) -> Result<Arc<Group>, Refused> {
        let held = self.tenant(tenant)?.clone();
        let old = self.group(tenant, id)?;
        let group = Group::new(old.slot, id, old.meta, &attributes, old.members.clone())?;
        let changed = group.document != old.document;
        if changed {
            let mut terms = old.terms();
            if terms != group.terms() {
                terms.extend(group.terms());
                let group = group.slot;
                self.touch(&held, Touched::Group { group, terms });
            }
            self.tenant_mut(tenant)?.put_group(Arc::new(group));
        }
        let moved = self.move_members(tenant, old.slot, members)?;
        if changed || moved {
            self.touch_group(tenant, old.slot)?;
        }
        self.group_at(tenant, old.slot)
    }

    /// Changes a group's members, and nothing else. Adding who is one changes nothing, nor does removing who is none, or nobody.
    pub fn change_members(
        &mut self,
        tenant: &str,
        group: Uuid,
        members: &[MemberChange],
    ) -> Result<Arc<Group>, Refused> {
        let slot = self.group(tenant, group)?.slot;
        if self.move_members(tenant, slot, members)? {
            self.touch_group(tenant, slot)?;
        }
        self.group_at(tenant, slot)
    }

    /// A group goes, and with it its memberships in both directions.
    pub fn delete_group(&mut self, tenant: &str, id: Uuid) -> Result<(), Refused> {
        let old = self.group(tenant, id)?;
        self.leave_groups(tenant, old.slot)?;
        // It may have been a member of itself.
        let old = self.group(tenant, id)?;
        let held = self.tenant(tenant)?.clone();
        self.memberships += old.members.len();
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

    /// Whether they changed anything.
    fn move_members(
        &mut self,
        tenant: &str,
        group: Slot,
        changes: &[MemberChange],
    ) -> Result<bool, Refused> {
        let mut moved = false;
        for change in changes {
            moved |= match change {
                MemberChange::Add(members) => {
                    let members = self.slots(tenant, members)?;
                    self.link_members(tenant, group, members)?
                }
                MemberChange::Remove(members) => {
                    let held = self.tenant(tenant)?;
                    let members = members.iter().filter_map(|id| held.slot_of(*id)).collect();
                    self.drop_members(tenant, group, members)?
                }
                MemberChange::Set(members) => self.set_members(tenant, group, members)?,
            };
        }
        Ok(moved)
    }

    /// Makes these the only members, changing as little as that takes. Whether it changed anything.
    fn set_members(
        &mut self,
        tenant: &str,
        group: Slot,
        members: &[Uuid],
    ) -> Result<bool, Refused> {
        let members: OrdSet<Slot> = self.slots(tenant, members)?.into_iter().collect();
        let old = self.tenant(tenant)?.members(group);
        self.memberships += old.len() + members.len();
        let gone = old.clone().relative_complement(members.clone());
        let new = members.relative_complement(old);
        // Those who go make room for those who come.
        let dropped = self.drop_members(tenant, group, gone.into_iter().collect())?;
        let added = self.link_members(tenant, group, new.into_iter().collect())?;
        Ok(added || dropped)
    }

    /// Whether it changed anything.
    fn link_members(
        &mut self,
        tenant: &str,
        group: Slot,
        members: Vec<Slot>,
    ) -> Result<bool, Refused> {
        self.memberships += members.len();
        let held = self.tenant_mut(tenant)?;
        let mut added = Vec::new();
        let mut nested = Vec::new();
        for member in members {
            if held.add_member(group, member) {
                if held.group_at(member).is_some() {
                    nested.push(member);
                }
                added.push(member);
            }
        }
        if added.is_empty() {
            return Ok(false);
        }
        let held = self.tenant(tenant)?.clone();
        self.bounds.admit_members(&held, group)?;
        if !nested.is_empty() {
            let limit = self.bounds.depth;
            let (depth, looked_at) = nesting::depth(&held, group, &nested);
            self.memberships += looked_at;
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
    fn drop_members(
        &mut self,
        tenant: &str,
        group: Slot,
        members: Vec<Slot>,
    ) -> Result<bool, Refused> {
        self.memberships += members.len();
        let mut dropped = members;
        self.tenant_mut(tenant)?.drop_members(group, &mut dropped);
        if dropped.is_empty() {
            return Ok(false);
        }
        let held = self.tenant(tenant)?.clone();
        let rows = dropped.iter().map(|member| Row::DropMember(group, *member));
        self.rows.extend(rows);
        let members = dropped;
        self.touch(&held, Touched::Members { group, members });
        Ok(true)
    }

    /// The group changed: so does its `meta`.
    pub(super) fn touch_group(&mut self, tenant: &str, group: Slot) -> Result<(), Refused> {
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
