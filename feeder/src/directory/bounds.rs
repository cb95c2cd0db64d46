//! How much a tenant may hold. The writer asks before it adds; taking away is always possible, also where there is too much.

use super::draft::Refused;
use super::nesting::MAX_DEPTH;
use super::tenant::Tenant;
use super::user::Slot;

/// What the writer keeps every tenant within.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Users.
    pub users: usize,
    /// Groups.
    pub groups: usize,
    /// Direct members of one group.
    pub members: usize,
    /// Direct memberships over all groups.
    pub memberships: usize,
    /// Groups in a chain, each a member of the one before.
    pub depth: usize,
    /// Names that are held after somebody lost them.
    pub held_names: usize,
}

/// Nesting is bounded, counts are not.
impl Default for Bounds {
    fn default() -> Bounds {
        Bounds {
            users: usize::MAX,
            groups: usize::MAX,
            members: usize::MAX,
            memberships: usize::MAX,
            depth: MAX_DEPTH,
            held_names: usize::MAX,
        }
    }
}

impl Bounds {
    /// Whether one more user may come.
    pub(super) fn admit_user(&self, tenant: &Tenant) -> Result<(), Refused> {
        let count = tenant.user_count() + 1;
        admit(count, self.users, "users in a tenant", "users")
    }

    /// Whether somebody may be given a name: each may have to be held one day.
    pub(super) fn admit_names(&self, tenant: &Tenant) -> Result<(), Refused> {
        let count = tenant.release_count() + 1;
        admit(
            count,
            self.held_names,
            "names held in a tenant",
            "held-names",
        )
    }

    /// Whether one more group may come.
    pub(super) fn admit_group(&self, tenant: &Tenant) -> Result<(), Refused> {
        let count = tenant.group_count() + 1;
        admit(count, self.groups, "groups in a tenant", "groups")
    }

    /// Whether the group, which has just been given members, may have them.
    pub(super) fn admit_members(&self, tenant: &Tenant, group: Slot) -> Result<(), Refused> {
        let members = tenant
            .group_at(group)
            .map_or(0, |group| group.members.len());
        let of = "direct members in a group";
        admit(members, self.members, of, "members")?;
        let of = "direct memberships in a tenant";
        admit(
            tenant.membership_count(),
            self.memberships,
            of,
            "memberships",
        )
    }
}

fn admit(count: usize, limit: usize, of: &'static str, name: &'static str) -> Result<(), Refused> {
    match count > limit {
        true => Err(Refused::Full { of, name, limit }),
        false => Ok(()),
    }
}
