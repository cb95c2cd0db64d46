//! Everybody at a company of any size, as plain maps: users, groups of Zipf sizes, groups within groups. The same seed
//! gives the same company.
//!
//! It is also the naive model that the feed is held against, so nothing in it is clever.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use clap::Args;
use rand::rngs::StdRng;
use rand::seq::index;
use rand::{RngExt, SeedableRng};
use scimesh_proto::scope::{Scope, Term};
use serde_json::{Map, Value, json};
use uuid::{Builder, Uuid};

use super::change::Change;

/// How sizes fall: the group of rank k has about 1/k^EXPONENT of the largest one's members.
const EXPONENT: f64 = 0.8;
/// Of ten groups in a row the first may hold groups of the sixth kind, and those may hold groups of the last: three deep.
const KINDS: u32 = 10;

/// How large a company is.
#[derive(Debug, Clone, Copy, Args)]
pub struct Plan {
    /// Users
    #[arg(long, default_value_t = 10_000)]
    pub users: u32,
    /// Groups
    #[arg(long, default_value_t = 200)]
    pub groups: u32,
    /// Direct memberships of users, over all groups
    #[arg(long, default_value_t = 200_000)]
    pub memberships: usize,
    /// The same seed gives the same company
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// One group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its displayName.
    pub name: String,
    /// Its direct members that are users.
    pub users: BTreeSet<u32>,
    /// Its direct members that are groups.
    pub groups: BTreeSet<u32>,
}

/// Where a group may stand when groups hold groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tier {
    /// Holds middle ones.
    Outer,
    /// Is held by outer ones, and holds inner ones.
    Middle,
    /// Is held by middle ones.
    Inner,
    /// Neither holds groups nor is held.
    Alone,
}

/// Everybody. Users and groups are known by numbers that are never used twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Staff {
    /// Whether each user is active.
    pub users: BTreeMap<u32, bool>,
    /// By number; at first the largest one is number 0.
    pub groups: BTreeMap<u32, Group>,
    /// The next user's number.
    pub next_user: u32,
    /// The next group's number.
    pub next_group: u32,
}

impl Plan {
    /// How many members each group has, the largest first. No group has more than half of all users.
    fn sizes(&self) -> Vec<usize> {
        let most = (self.users as usize / 2).max(1);
        let size = |largest: f64, rank: u32| {
            let size = largest / f64::from(rank + 1).powf(EXPONENT);
            (size as usize).clamp(1, most)
        };
        let (mut low, mut high) = (1.0, self.memberships as f64);
        for _ in 0..60 {
            let middle = (low + high) / 2.0;
            let sum: usize = (0..self.groups).map(|rank| size(middle, rank)).sum();
            match sum < self.memberships {
                true => low = middle,
                false => high = middle,
            }
        }
        (0..self.groups).map(|rank| size(high, rank)).collect()
    }
}

impl Staff {
    /// The company of this plan.
    pub fn new(plan: &Plan) -> Result<Staff> {
        ensure!(plan.users > 0 && plan.groups > 0, "nobody, or no group");
        let mut random = StdRng::seed_from_u64(plan.seed);
        let mut groups: BTreeMap<u32, Group> = BTreeMap::new();
        for (number, size) in (0..).zip(plan.sizes()) {
            let members = index::sample(&mut random, plan.users as usize, size);
            let members: Result<BTreeSet<u32>, _> = members.iter().map(u32::try_from).collect();
            let group = Group {
                name: format!("team-{number:05}"),
                users: members?,
                groups: BTreeSet::new(),
            };
            groups.insert(number, group);
        }
        let mut staff = Staff {
            users: (0..plan.users).map(|user| (user, true)).collect(),
            groups,
            next_user: plan.users,
            next_group: plan.groups,
        };
        for inner in 0..plan.groups {
            if let Some(outer) = staff.place_for(inner, &mut random)
                && random.random_bool(0.5)
            {
                staff.apply(&Change::Nest { outer, inner })?;
            }
        }
        Ok(staff)
    }

    /// A group that may hold this one; none if none may.
    pub fn place_for(&self, inner: u32, random: &mut StdRng) -> Option<u32> {
        let wanted = match tier(inner) {
            Tier::Middle => Tier::Outer,
            Tier::Inner => Tier::Middle,
            Tier::Outer | Tier::Alone => return None,
        };
        let from = random.random_range(0..self.next_group.max(1));
        let after = self.groups.range(from..).chain(self.groups.range(..from));
        after
            .map(|(number, _)| *number)
            .find(|g| tier(*g) == wanted)
    }

    /// A user who is in no group.
    pub fn hire(&mut self) -> u32 {
        let user = self.next_user;
        self.next_user += 1;
        self.users.insert(user, true);
        user
    }

    /// A group of that name.
    pub fn found(&mut self, name: &str, users: BTreeSet<u32>) -> u32 {
        let number = self.next_group;
        self.next_group += 1;
        let group = Group {
            name: name.to_owned(),
            users,
            groups: BTreeSet::new(),
        };
        self.groups.insert(number, group);
        number
    }

    /// The group of that number.
    pub fn group(&self, number: u32) -> Result<&Group> {
        let group = self.groups.get(&number);
        group.with_context(|| format!("no group {number}"))
    }

    fn group_mut(&mut self, number: u32) -> Result<&mut Group> {
        let group = self.groups.get_mut(&number);
        group.with_context(|| format!("no group {number}"))
    }

    /// Makes one change.
    pub fn apply(&mut self, change: &Change) -> Result<()> {
        match change {
            Change::Hire { user } => {
                self.users.insert(*user, true);
                self.next_user = self.next_user.max(user + 1);
            }
            Change::Leave { user } => {
                self.users.remove(user);
                for group in self.groups.values_mut() {
                    group.users.remove(user);
                }
            }
            Change::SetActive { user, active } => {
                self.users.insert(*user, *active);
            }
            Change::Join { group, user } => {
                self.group_mut(*group)?.users.insert(*user);
            }
            Change::Part { group, user } => {
                self.group_mut(*group)?.users.remove(user);
            }
            Change::Nest { outer, inner } => {
                self.group_mut(*outer)?.groups.insert(*inner);
            }
            Change::Unnest { outer, inner } => {
                self.group_mut(*outer)?.groups.remove(inner);
            }
            Change::Found { group, name } => {
                let new = Group {
                    name: name.clone(),
                    users: BTreeSet::new(),
                    groups: BTreeSet::new(),
                };
                self.groups.insert(*group, new);
                self.next_group = self.next_group.max(group + 1);
            }
            Change::Dissolve { group } => {
                self.groups.remove(group);
                for other in self.groups.values_mut() {
                    other.groups.remove(group);
                }
            }
            Change::Rename { group, name } => self.group_mut(*group)?.name.clone_from(name),
        }
        Ok(())
    }

    /// Direct memberships of users.
    pub fn memberships(&self) -> usize {
        self.groups.values().map(|group| group.users.len()).sum()
    }

    /// A scope of these groups' names as they are now.
    pub fn scope(&self, tenant: &str, groups: &[u32], any_active: bool) -> Result<Scope> {
        let mut terms = Vec::new();
        for group in groups {
            terms.push(Term::parse(&format!("group:{}", self.group(*group)?.name))?);
        }
        Ok(Scope::new(tenant, terms, any_active)?)
    }

    /// So many groups that neither hold groups nor are held, spread over all sizes.
    pub fn groups_alone(&self, count: usize) -> Result<Vec<u32>> {
        let all: Vec<u32> = self.groups.keys().copied().collect();
        let alone: Vec<u32> = all
            .into_iter()
            .filter(|g| tier(*g) == Tier::Alone)
            .collect();
        ensure!(
            alone.len() >= count,
            "{} groups are alone, not {count}",
            alone.len()
        );
        let step = alone.len() / count.max(1);
        Ok(alone.into_iter().step_by(step.max(1)).take(count).collect())
    }
}

/// Where a group stands.
pub fn tier(group: u32) -> Tier {
    match group % KINDS {
        0 => Tier::Outer,
        5 => Tier::Middle,
        9 => Tier::Inner,
        _ => Tier::Alone,
    }
}

/// A user's `externalId`, and the `sub` of their tokens.
pub fn subject(user: u32) -> String {
    format!("00u{user:017}")
}

/// A user's attributes, some 300 bytes of JSON, as an identity provider sends them.
pub fn user_attributes(user: u32) -> Map<String, Value> {
    let name = format!("ada.lovelace.{user:07}@corp.example");
    let attributes = json!({
        "userName": name,
        "externalId": subject(user),
        "displayName": format!("Ada Lovelace {user}"),
        "name": { "givenName": "Ada", "familyName": format!("Lovelace {user}") },
        "emails": [{ "value": name, "type": "work", "primary": true }],
        "active": true,
    });
    object(attributes)
}

/// A group's attributes but its members.
pub fn group_attributes(name: &str) -> Map<String, Value> {
    object(json!({ "displayName": name }))
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

/// The SCIM id of a user that was [installed](super::install), not created over SCIM.
pub fn user_id(user: u32) -> Uuid {
    id(1, user)
}

/// The same of a group.
pub fn group_id(group: u32) -> Uuid {
    id(2, group)
}

fn id(kind: u128, number: u32) -> Uuid {
    let bits = kind << 96 | u128::from(number);
    Builder::from_random_bytes(bits.to_be_bytes()).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: Plan = Plan {
        users: 1000,
        groups: 100,
        memberships: 20_000,
        seed: 7,
    };

    #[test]
    fn a_company_is_as_large_as_its_plan_and_its_groups_fall_off() {
        let staff = Staff::new(&PLAN).unwrap();
        let sizes: Vec<usize> = staff.groups.values().map(|g| g.users.len()).collect();
        assert!((19_900..20_100).contains(&staff.memberships()));
        assert!(sizes.is_sorted_by(|a, b| a >= b), "{sizes:?}");
        assert!(sizes[0] == 500 && sizes[99] < 100, "{sizes:?}");
        let nested: usize = staff.groups.values().map(|g| g.groups.len()).sum();
        assert!((5..15).contains(&nested), "{nested}");
        assert_eq!(staff, Staff::new(&PLAN).unwrap());
        assert_ne!(staff, Staff::new(&Plan { seed: 8, ..PLAN }).unwrap());
    }
}
