//! What happens at a company from day to day: mostly people who join and leave groups; now and then people who come, go,
//! or are locked out, groups that are put into groups and taken out, renamed, founded and dissolved.

use std::collections::VecDeque;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::change::Change;
use super::staff::Staff;

/// Groups that a new user joins.
const FIRST_GROUPS: usize = 3;

/// An endless series of changes, each of which changes something.
#[derive(Debug)]
pub struct Churn {
    random: StdRng,
    /// What follows from what has happened.
    next: VecDeque<Change>,
}

impl Churn {
    /// The same seed and the same company give the same changes.
    pub fn new(seed: u64) -> Churn {
        Churn {
            random: StdRng::seed_from_u64(seed),
            next: VecDeque::new(),
        }
    }

    /// What happens next at `staff`, where it has not happened yet.
    pub fn next(&mut self, staff: &Staff) -> Change {
        if let Some(change) = self.next.pop_front()
            && still_makes_sense(&change, staff)
        {
            return change;
        }
        loop {
            if let Some(change) = self.draw(staff) {
                return change;
            }
        }
    }

    fn draw(&mut self, staff: &Staff) -> Option<Change> {
        Some(match self.random.random_range(0..100) {
            0..40 => {
                let (group, user) = (self.group(staff)?, self.user(staff)?);
                let there = staff.groups.get(&group)?.users.contains(&user);
                (!there).then_some(Change::Join { group, user })?
            }
            40..78 => {
                let group = self.group(staff)?;
                let members = &staff.groups.get(&group)?.users;
                let from = self.random.random_range(0..staff.next_user.max(1));
                let user = *members.range(from..).next().or(members.first())?;
                Change::Part { group, user }
            }
            78..82 => {
                let user = staff.next_user;
                for _ in 0..FIRST_GROUPS {
                    let group = self.group(staff)?;
                    self.next.push_back(Change::Join { group, user });
                }
                Change::Hire { user }
            }
            82..85 => Change::Leave {
                user: self.user(staff)?,
            },
            85..91 => {
                let user = self.user(staff)?;
                let active = !staff.users.get(&user)?;
                Change::SetActive { user, active }
            }
            91..94 => {
                let inner = self.group(staff)?;
                let outer = staff.place_for(inner, &mut self.random)?;
                let there = staff.groups.get(&outer)?.groups.contains(&inner);
                (!there).then_some(Change::Nest { outer, inner })?
            }
            94..96 => {
                let outer = self.group(staff)?;
                let inner = *staff.groups.get(&outer)?.groups.first()?;
                Change::Unnest { outer, inner }
            }
            96..98 => {
                let group = self.group(staff)?;
                // Its own name again, a name that it never had, or that of another group.
                let name = match self.random.random_range(0..4) {
                    0 => format!("team-{group:05}-renamed"),
                    1 => staff.groups.get(&self.group(staff)?)?.name.clone(),
                    _ => format!("team-{group:05}"),
                };
                let same = staff.groups.get(&group)?.name == name;
                (!same).then_some(Change::Rename { group, name })?
            }
            98 => {
                let group = staff.next_group;
                for _ in 0..FIRST_GROUPS {
                    let user = self.user(staff)?;
                    self.next.push_back(Change::Join { group, user });
                }
                let name = format!("team-{group:05}");
                Change::Found { group, name }
            }
            _ => {
                // The largest ones stay.
                let group = *staff.groups.keys().next_back()?;
                (staff.groups.len() > 10).then_some(Change::Dissolve { group })?
            }
        })
    }

    /// Large groups more often than small ones: as likely among the first ten as among the next ninety.
    fn group(&mut self, staff: &Staff) -> Option<u32> {
        let most = f64::from(staff.next_group.max(1));
        let rank = most.powf(self.random.random_range(0.0..1.0)) as u32;
        let from = rank.saturating_sub(1);
        let group = staff.groups.range(from..).next();
        group
            .or(staff.groups.first_key_value())
            .map(|(group, _)| *group)
    }

    fn user(&mut self, staff: &Staff) -> Option<u32> {
        let from = self.random.random_range(0..staff.next_user.max(1));
        let user = staff.users.range(from..).next();
        user.or(staff.users.first_key_value())
            .map(|(user, _)| *user)
    }
}

fn still_makes_sense(change: &Change, staff: &Staff) -> bool {
    match change {
        Change::Join { group, user } => {
            staff.users.contains_key(user)
                && staff
                    .groups
                    .get(group)
                    .is_some_and(|group| !group.users.contains(user))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::mem::discriminant;

    use super::*;
    use crate::load::staff::Plan;

    #[test]
    fn everything_happens_and_each_change_changes_something() {
        let plan = Plan {
            users: 300,
            groups: 60,
            memberships: 3000,
            seed: 1,
        };
        let mut staff = Staff::new(&plan).unwrap();
        let mut churn = Churn::new(1);
        let mut kinds = BTreeSet::new();
        for _ in 0..3000 {
            let change = churn.next(&staff);
            kinds.insert(format!("{:?}", discriminant(&change)));
            let before = staff.clone();
            staff.apply(&change).unwrap();
            assert_ne!(staff, before, "{change:?}");
        }
        assert_eq!(kinds.len(), 10);
    }
}
