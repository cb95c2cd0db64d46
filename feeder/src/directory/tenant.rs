//! One IdP connection: its users, groups, bindings, and the indexes over them. Nothing in it points outside it.

mod names;

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

use imbl::{OrdMap, OrdSet};
use jiff::Timestamp;
use scimesh_proto::binding::{Binding, Voucher};
use uuid::Uuid;

use super::group::Group;
use super::index::{Index, Located, Locator};
use super::release::{Release, Releases};
use super::user::{Slot, User, fold};
use crate::schema::{Kind, Schema, Schemas};
pub use names::Held;

/// A member of a group.
#[derive(Debug, Clone, Copy)]
pub enum Member<'a> {
    /// A person or a machine.
    User(&'a Arc<User>),
    /// A nested group.
    Group(&'a Arc<Group>),
}

/// How far a sweep has come.
#[derive(Debug, Clone, Copy)]
pub(super) struct Swept {
    /// The last who is no longer linked; none if nobody is.
    pub(super) up_to: Option<Slot>,
    /// How many links it has taken out.
    pub(super) links: usize,
}

/// A tenant, as a value.
#[derive(Debug, Clone)]
pub struct Tenant {
    pub(super) number: u32,
    name: Arc<str>,
    schemas: Arc<Schemas>,
    bindings: OrdMap<Voucher, Binding>,
    users: OrdMap<Slot, Arc<User>>,
    groups: OrdMap<Slot, Arc<Group>>,
    ids: OrdMap<Uuid, Slot>,
    /// Folded: unique, and in order for those that begin alike.
    user_names: OrdMap<Arc<str>, Slot>,
    external_ids: Index,
    /// To the letter, as a binding names a user.
    emails: Index,
    /// Without regard to case, as a search does.
    user_emails: Located,
    user_display_names: Located,
    group_display_names: Located,
    /// By the text of a term: `group:NAME`, `groupExternalId:ID`.
    group_terms: Index,
    /// Direct groups of users and groups, in order of their numbers. Of users, groups that are gone may be among them: see `remains`.
    member_of: OrdMap<Slot, Arc<[Slot]>>,
    /// The groups among the direct members of groups.
    nested: OrdMap<Slot, Arc<[Slot]>>,
    /// Direct memberships, over all groups.
    memberships: usize,
    /// Groups that are gone, and those of their members, users all, who are still linked to them: taking out a hundred thousand links takes a while.
    remains: OrdMap<Slot, OrdSet<Slot>>,
    releases: Releases,
}

impl Tenant {
    pub(super) fn new(number: u32, name: &str) -> Tenant {
        Tenant {
            number,
            name: name.into(),
            schemas: Schemas::standard().clone(),
            bindings: OrdMap::new(),
            users: OrdMap::new(),
            groups: OrdMap::new(),
            ids: OrdMap::new(),
            user_names: OrdMap::new(),
            external_ids: Index::default(),
            emails: Index::default(),
            user_emails: Located::default(),
            user_display_names: Located::default(),
            group_display_names: Located::default(),
            group_terms: Index::default(),
            member_of: OrdMap::new(),
            nested: OrdMap::new(),
            memberships: 0,
            remains: OrdMap::new(),
            releases: Releases::default(),
        }
    }

    /// Its number in the store.
    pub(crate) fn number(&self) -> u32 {
        self.number
    }

    /// Its name.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// What its users and groups look like.
    pub fn schemas(&self) -> &Arc<Schemas> {
        &self.schemas
    }

    /// The extensions that its operator has defined.
    pub fn extensions(&self) -> impl Iterator<Item = (Kind, &Schema)> {
        self.schemas.defined()
    }

    /// How many resources have values under this URN, as its schema spells it.
    pub(crate) fn uses_of(&self, kind: Kind, urn: &str) -> usize {
        // In JSON a quotation mark within a string is escaped, so this can only be a key with an object.
        let key = format!("\"{urn}\":{{");
        match kind {
            Kind::User => {
                let users = self.users.values();
                users.filter(|user| user.document.contains(&key)).count()
            }
            Kind::Group => {
                let groups = self.groups.values();
                groups.filter(|group| group.document.contains(&key)).count()
            }
        }
    }

    /// By issuer, then by trust domain, in their order.
    pub fn bindings(&self) -> impl Iterator<Item = &Binding> {
        self.bindings.values()
    }

    /// The binding for one issuer or trust domain.
    pub fn binding(&self, voucher: &Voucher) -> Option<&Binding> {
        self.bindings.get(voucher)
    }

    /// The user of this SCIM id.
    pub fn user(&self, id: Uuid) -> Option<&Arc<User>> {
        self.users.get(self.ids.get(&id)?)
    }

    /// Every user, the oldest first.
    pub fn users(&self) -> impl Iterator<Item = &Arc<User>> {
        self.users.values()
    }

    /// How many users there are.
    pub fn user_count(&self) -> usize {
        self.users.len()
    }

    /// How many direct memberships there are.
    pub fn membership_count(&self) -> usize {
        self.memberships
    }

    /// The group of this SCIM id.
    pub fn group(&self, id: Uuid) -> Option<&Arc<Group>> {
        self.groups.get(self.ids.get(&id)?)
    }

    /// Every group, the oldest first.
    pub fn groups(&self) -> impl Iterator<Item = &Arc<Group>> {
        self.groups.values()
    }

    /// How many groups there are.
    pub fn group_count(&self) -> usize {
        self.groups.len()
    }

    /// Every user who is in this group, directly or through others, the oldest first.
    pub(crate) fn users_below(&self, group: Slot) -> Vec<&Arc<User>> {
        let mut groups = vec![group];
        let mut met = BTreeSet::from([group]);
        let mut users = OrdSet::new();
        while let Some(group) = groups.pop() {
            let Some(held) = self.groups.get(&group) else {
                continue;
            };
            // Most groups hold users alone, and one whole set is shared rather than copied.
            users = match users.is_empty() {
                true => held.members.clone(),
                false => users.union(held.members.clone()),
            };
            groups.extend(self.nested(group).iter().filter(|slot| met.insert(**slot)));
        }
        users
            .iter()
            .filter_map(|slot| self.users.get(slot))
            .collect()
    }

    /// Every user and the groups that it is [linked](Self::linked) to, the oldest first.
    pub(super) fn users_with_groups(&self) -> impl Iterator<Item = (&Arc<User>, &[Slot])> {
        // In step: to look each up would take longer than all else.
        let mut member_of = self.member_of.iter().peekable();
        self.users.iter().map(move |(slot, user)| {
            while member_of.next_if(|(member, _)| *member < slot).is_some() {}
            let groups = member_of.next_if(|(member, _)| *member == slot);
            (user, groups.map_or(&[][..], |(_, groups)| groups))
        })
    }

    /// The users after this number, the oldest first.
    pub(crate) fn users_after(&self, slot: Slot) -> impl Iterator<Item = &Arc<User>> {
        let after = (Bound::Excluded(slot), Bound::Unbounded);
        self.users.range::<_, Slot>(after).map(|(_, user)| user)
    }

    /// The groups after this number, the oldest first.
    pub(crate) fn groups_after(&self, slot: Slot) -> impl Iterator<Item = &Arc<Group>> {
        let after = (Bound::Excluded(slot), Bound::Unbounded);
        self.groups.range::<_, Slot>(after).map(|(_, group)| group)
    }

    /// The names that were lost and whose hold has not ended, and when, the longest ago first.
    pub fn releases(&self) -> impl Iterator<Item = &(Timestamp, Release)> {
        self.releases.iter()
    }

    /// How many there are.
    pub fn release_count(&self) -> usize {
        self.releases.len()
    }

    /// Those of what the user of this number lost while it had no `externalId`.
    pub(super) fn releases_of_resource(&self, slot: Slot) -> Vec<(Timestamp, Release)> {
        self.releases.of_resource(slot)
    }

    /// The one that is the longest ago.
    pub(crate) fn oldest_release(&self) -> Option<&(Timestamp, Release)> {
        self.releases.first()
    }

    /// Who or what has this number.
    pub fn member(&self, slot: Slot) -> Option<Member<'_>> {
        match self.users.get(&slot) {
            Some(user) => Some(Member::User(user)),
            None => self.groups.get(&slot).map(Member::Group),
        }
    }

    pub(crate) fn user_at(&self, slot: Slot) -> Option<&Arc<User>> {
        self.users.get(&slot)
    }

    pub(crate) fn group_at(&self, slot: Slot) -> Option<&Arc<Group>> {
        self.groups.get(&slot)
    }

    /// The number of the resource of this SCIM id.
    pub fn slot_of(&self, id: Uuid) -> Option<Slot> {
        self.ids.get(&id).copied()
    }

    /// The groups that a user or group is a direct member of.
    pub fn direct_groups(&self, slot: Slot) -> impl Iterator<Item = &Arc<Group>> {
        self.parents(slot).filter_map(|slot| self.groups.get(&slot))
    }

    /// The numbers of the groups that a user or group is a direct member of.
    pub(crate) fn parents(&self, slot: Slot) -> impl Iterator<Item = Slot> + '_ {
        let linked = self.linked(slot).iter().copied();
        linked.filter(|group| self.remains.is_empty() || !self.remains.contains_key(group))
    }

    /// The same, but for a user groups that are gone may be among them, which have no terms and are in no group.
    pub(super) fn linked(&self, slot: Slot) -> &[Slot] {
        self.member_of.get(&slot).map_or(&[], |slots| slots)
    }

    pub(crate) fn nested(&self, group: Slot) -> &[Slot] {
        self.nested.get(&group).map_or(&[], |slots| slots)
    }

    // ---- what a draft and the loader do to it; whoever calls these has validated

    pub(super) fn put_schemas(&mut self, schemas: Schemas) {
        self.schemas = Arc::new(schemas);
    }

    pub(super) fn put_binding(&mut self, binding: Binding) {
        self.bindings.insert(binding.voucher(), binding);
    }

    pub(super) fn drop_binding(&mut self, voucher: &Voucher) -> Option<Binding> {
        self.bindings.remove(voucher)
    }

    /// False if it is known already, or to have happened later.
    pub(super) fn put_release(&mut self, release: Release, at: Timestamp) -> bool {
        self.releases.put(release, at)
    }

    pub(super) fn drop_release(&mut self, release: &Release) {
        self.releases.remove(release);
    }

    /// Puts a user in, in the place of its former self if there is one.
    pub(super) fn put_user(&mut self, user: Arc<User>) {
        self.unindex_user(user.slot);
        self.ids.insert(user.id, user.slot);
        let identity = &user.identity;
        self.user_names
            .insert(folded(&identity.user_name), user.slot);
        if let Some(external_id) = &identity.external_id {
            self.external_ids.add(external_id, user.slot);
        }
        for email in &identity.emails {
            self.emails.add(email, user.slot);
            self.user_emails.add(Locator::of(email), user.slot);
        }
        if let Some(display_name) = user.display_name {
            self.user_display_names.add(display_name, user.slot);
        }
        self.users.insert(user.slot, user);
    }

    pub(super) fn drop_user(&mut self, slot: Slot) {
        self.unindex_user(slot);
        if let Some(user) = self.users.remove(&slot) {
            self.ids.remove(&user.id);
        }
    }

    fn unindex_user(&mut self, slot: Slot) {
        let Some(old) = self.users.get(&slot).cloned() else {
            return;
        };
        // Names that were different when they were stored may have become one since.
        let name = fold(&old.identity.user_name);
        if self.user_names.get(name.as_str()) == Some(&slot) {
            self.user_names.remove(name.as_str());
        }
        if let Some(external_id) = &old.identity.external_id {
            self.external_ids.remove(external_id, slot);
        }
        for email in &old.identity.emails {
            self.emails.remove(email, slot);
            self.user_emails.remove(Locator::of(email), slot);
        }
        if let Some(display_name) = old.display_name {
            self.user_display_names.remove(display_name, slot);
        }
    }

    /// Puts a group in, in the place of its former self if there is one. Its members are changed by
    /// [`add_member`](Self::add_member) and [`drop_members`](Self::drop_members) alone, which keep both directions.
    pub(super) fn put_group(&mut self, group: Arc<Group>) {
        self.unindex_group(group.slot);
        self.ids.insert(group.id, group.slot);
        for term in group.terms() {
            self.group_terms.add(&term, group.slot);
        }
        let name = Locator::of(&group.display_name);
        self.group_display_names.add(name, group.slot);
        self.groups.insert(group.slot, group);
    }

    /// A group that is in no other goes, with its memberships. Users stay linked to what [remains](Self::has_remains) of it, so this takes as long as the
    /// groups in it take.
    pub(super) fn drop_group(&mut self, slot: Slot) {
        self.unindex_group(slot);
        let Some(group) = self.groups.remove(&slot) else {
            return;
        };
        self.ids.remove(&group.id);
        self.memberships -= group.members.len();
        let mut users = group.members.clone();
        for nested in self.nested.remove(&slot).iter().flat_map(|slots| &**slots) {
            unlink(&mut self.member_of, *nested, slot);
            users.remove(nested);
        }
        self.remains.insert(slot, users);
    }

    /// Whether somebody is still linked to a group that is gone.
    pub(super) fn has_remains(&self) -> bool {
        !self.remains.is_empty()
    }

    /// Takes out what remains of one group that is gone, no more than so many links. Says up to whom, and how many, if there was one.
    pub(super) fn sweep(&mut self, at_most: usize) -> Option<(Slot, Swept)> {
        let (group, users) = self.remains.get_min()?;
        let (group, mut left) = (*group, users.clone());
        let swept: Vec<Slot> = left.iter().take(at_most).copied().collect();
        for user in &swept {
            unlink(&mut self.member_of, *user, group);
            left.remove(user);
        }
        let links = swept.len();
        let up_to = match left.is_empty() {
            true => None,
            false => swept.last().copied(),
        };
        match up_to {
            None => self.remains.remove(&group),
            Some(_) => self.remains.insert(group, left),
        };
        Some((group, Swept { up_to, links }))
    }

    fn unindex_group(&mut self, slot: Slot) {
        let Some(old) = self.groups.get(&slot).cloned() else {
            return;
        };
        for term in old.terms() {
            self.group_terms.remove(&term, slot);
        }
        let name = Locator::of(&old.display_name);
        self.group_display_names.remove(name, slot);
    }

    /// Puts a new group in with its members. Those have to be [linked](Self::put_links) to it.
    pub(super) fn put_group_of(&mut self, group: Arc<Group>) {
        self.memberships += group.members.len();
        self.put_group(group);
    }

    /// Links a member that had no links to all its groups, in order of their numbers. The members come in order of theirs.
    pub(super) fn put_links(&mut self, member: Slot, groups: &[Slot]) {
        self.member_of.insert(member, groups.into());
        if self.groups.contains_key(&member) {
            for group in groups {
                link(&mut self.nested, *group, member);
            }
        }
    }

    /// False if it was a member already.
    pub(super) fn add_member(&mut self, group: Slot, member: Slot) -> bool {
        let Some(held) = self.groups.get_mut(&group) else {
            return false;
        };
        if Arc::make_mut(held).members.insert(member).is_some() {
            return false;
        }
        link(&mut self.member_of, member, group);
        if self.groups.contains_key(&member) {
            link(&mut self.nested, group, member);
        }
        self.memberships += 1;
        true
    }

    /// Takes members out of a group. Those who were none go from the list. The nested groups that are left are listed once, not once a member.
    pub(super) fn drop_members(&mut self, group: Slot, members: &mut Vec<Slot>) {
        let Some(held) = self.groups.get_mut(&group) else {
            return members.clear();
        };
        let held = Arc::make_mut(held);
        members.retain(|member| held.members.remove(member).is_some());
        let left = held.members.clone();
        for member in members.iter() {
            unlink(&mut self.member_of, *member, group);
        }
        self.memberships -= members.len();
        if members
            .iter()
            .any(|member| self.groups.contains_key(member))
        {
            retain(&mut self.nested, group, |slot| left.contains(slot));
        }
    }

    /// Takes someone out of all groups, which it says. One by one, each would copy the list of those that are left.
    pub(super) fn leave_groups(&mut self, member: Slot) -> Vec<Slot> {
        let groups: Vec<Slot> = self.parents(member).collect();
        self.member_of.remove(&member);
        for group in &groups {
            if let Some(held) = self.groups.get_mut(group) {
                Arc::make_mut(held).members.remove(&member);
            }
            unlink(&mut self.nested, *group, member);
        }
        self.memberships -= groups.len();
        groups
    }

    /// The members of a group, none if there is no such group.
    pub(crate) fn members(&self, group: Slot) -> OrdSet<Slot> {
        let group = self.groups.get(&group);
        group.map(|group| group.members.clone()).unwrap_or_default()
    }
}

/// A folded name. One that folding leaves as it is shares its text: that is memory for every user.
fn folded(name: &Arc<str>) -> Arc<str> {
    let folded = fold(name);
    match *folded == **name {
        true => name.clone(),
        false => folded.into(),
    }
}

fn link(links: &mut OrdMap<Slot, Arc<[Slot]>>, from: Slot, to: Slot) {
    let mut slots = links.get(&from).map_or(Vec::new(), |slots| slots.to_vec());
    if let Err(place) = slots.binary_search(&to) {
        slots.insert(place, to);
    }
    links.insert(from, slots.into());
}

fn unlink(links: &mut OrdMap<Slot, Arc<[Slot]>>, from: Slot, to: Slot) {
    retain(links, from, |slot| *slot != to);
}

fn retain(links: &mut OrdMap<Slot, Arc<[Slot]>>, from: Slot, kept: impl Fn(&Slot) -> bool) {
    let Some(slots) = links.get(&from) else {
        return;
    };
    let rest: Vec<Slot> = slots.iter().copied().filter(kept).collect();
    if rest.is_empty() {
        links.remove(&from);
    } else {
        links.insert(from, rest.into());
    }
}
