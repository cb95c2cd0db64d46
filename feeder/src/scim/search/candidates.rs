//! Where a filter's matches can be: what the tenant's indexes say, and what is left to be asked of each resource.

use std::sync::Arc;

use scimesh_proto::binding::Attribute;

use crate::directory::{Group, Slot, Tenant, User};
use crate::schema::{Kind, Place};
use crate::scim::filter::{Filter, Operand, Operator};
use crate::scim::id;

/// Resources among which are all matches.
#[derive(Debug, Default)]
pub(crate) struct Candidates<'f, 's> {
    /// Their numbers in rising order; none: every resource of the kind.
    pub(crate) slots: Option<Vec<Slot>>,
    /// What each of them has to meet to be a match.
    pub(crate) rest: Vec<&'f Filter<'s>>,
}

impl<'f, 's> Candidates<'f, 's> {
    /// Those of this kind for this filter.
    pub(crate) fn of(tenant: &Tenant, kind: Kind, filter: &'f Filter<'s>) -> Candidates<'f, 's> {
        found(tenant, kind, filter).unwrap_or_else(|| Candidates {
            slots: None,
            rest: vec![filter],
        })
    }
}

/// None if no index helps.
fn found<'f, 's>(
    tenant: &Tenant,
    kind: Kind,
    filter: &'f Filter<'s>,
) -> Option<Candidates<'f, 's>> {
    match filter {
        Filter::And(_) => all_of(tenant, kind, filter.conjuncts()),
        Filter::Or(filters) => {
            let found: Option<Vec<_>> = filters.iter().map(|f| found(tenant, kind, f)).collect();
            let found = found?;
            let proven = found.iter().all(|found| found.rest.is_empty());
            let mut slots: Vec<Slot> = found
                .into_iter()
                .filter_map(|f| f.slots)
                .flatten()
                .collect();
            slots.sort_unstable();
            slots.dedup();
            Some(Candidates {
                slots: Some(slots),
                rest: if proven { Vec::new() } else { vec![filter] },
            })
        }
        _ => {
            let lookup = Lookup::of(kind, filter)?;
            Some(Candidates {
                slots: Some(lookup.slots(tenant)),
                rest: if lookup.proves(filter) {
                    Vec::new()
                } else {
                    vec![filter]
                },
            })
        }
    }
}

/// One index is asked, that which promises to find the fewest; the other conditions are left to be met.
fn all_of<'f, 's>(
    tenant: &Tenant,
    kind: Kind,
    filters: Vec<&'f Filter<'s>>,
) -> Option<Candidates<'f, 's>> {
    let lookups = filters.iter().enumerate();
    let best = lookups
        .filter_map(|(index, filter)| Some((Lookup::of(kind, filter)?, index)))
        .min_by(|(one, _), (other, _)| one.promise().cmp(&other.promise()));
    let (mut candidates, index) = match best {
        Some((lookup, index)) => {
            let filter = filters.get(index)?;
            let rest = if lookup.proves(filter) {
                Vec::new()
            } else {
                vec![*filter]
            };
            let slots = Some(lookup.slots(tenant));
            (Candidates { slots, rest }, index)
        }
        None => filters
            .iter()
            .enumerate()
            .find_map(|(index, filter)| Some((found(tenant, kind, filter)?, index)))?,
    };
    let others = filters.iter().enumerate().filter(|(i, _)| *i != index);
    candidates.rest.extend(others.map(|(_, filter)| *filter));
    Some(candidates)
}

/// A condition that an index answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lookup<'f> {
    UserId(&'f str),
    UserName(&'f str),
    UserExternalId(&'f str),
    UserEmail(&'f str),
    UserDisplayName(&'f str),
    /// Folded.
    UserNamePrefix(&'f str),
    /// The id of a group.
    UserGroup(&'f str),
    GroupId(&'f str),
    GroupExternalId(&'f str),
    GroupDisplayName(&'f str),
    /// The id of a member.
    GroupMember(&'f str),
}

impl<'f> Lookup<'f> {
    fn of(kind: Kind, filter: &'f Filter<'_>) -> Option<Lookup<'f>> {
        let (place, operator, written, compared) = match filter {
            Filter::Has { place, element } => {
                // One element has to meet all of it, and so also this.
                let mut demands = element.conjuncts().into_iter().filter_map(compared);
                let value = demands
                    .find(|(sub, operator, ..)| sub.is("value") && *operator == Operator::Equal);
                return Lookup::of_value(kind, place, value?.2);
            }
            filter => compared(filter)?,
        };
        if operator == Operator::StartsWith {
            let name = kind == Kind::User && place.is("userName");
            return (name && !compared.is_empty()).then_some(Lookup::UserNamePrefix(compared));
        }
        if operator != Operator::Equal || written.is_empty() {
            return None;
        }
        match place.sub {
            Some(sub) if sub.name == "value" => Lookup::of_value(kind, place, written),
            Some(_) => None,
            None => Lookup::of_attribute(kind, place, written),
        }
    }

    fn of_attribute(kind: Kind, place: &Place<'_>, written: &'f str) -> Option<Lookup<'f>> {
        if place.extension.is_some() {
            return None;
        }
        Some(match (kind, place.attribute.name.as_str()) {
            (Kind::User, "id") => Lookup::UserId(written),
            (Kind::User, "userName") => Lookup::UserName(written),
            (Kind::User, "externalId") => Lookup::UserExternalId(written),
            (Kind::User, "displayName") => Lookup::UserDisplayName(written),
            (Kind::Group, "id") => Lookup::GroupId(written),
            (Kind::Group, "externalId") => Lookup::GroupExternalId(written),
            (Kind::Group, "displayName") => Lookup::GroupDisplayName(written),
            _ => return None,
        })
    }

    /// The `value` of an element of a multi-valued attribute.
    fn of_value(kind: Kind, place: &Place<'_>, written: &'f str) -> Option<Lookup<'f>> {
        if place.extension.is_some() || written.is_empty() {
            return None;
        }
        Some(match (kind, place.attribute.name.as_str()) {
            (Kind::User, "emails") => Lookup::UserEmail(written),
            (Kind::User, "groups") => Lookup::UserGroup(written),
            (Kind::Group, "members") => Lookup::GroupMember(written),
            _ => return None,
        })
    }

    /// How few resources it can be expected to find; less is fewer.
    fn promise(self) -> u8 {
        match self {
            Lookup::UserId(_) | Lookup::GroupId(_) | Lookup::UserName(_) => 0,
            Lookup::UserExternalId(_)
            | Lookup::GroupExternalId(_)
            | Lookup::UserEmail(_)
            | Lookup::GroupDisplayName(_) => 1,
            Lookup::UserDisplayName(_) | Lookup::GroupMember(_) => 2,
            Lookup::UserNamePrefix(_) => 3,
            Lookup::UserGroup(_) => 4,
        }
    }

    /// Whether whatever it finds meets the condition.
    fn proves(self, filter: &Filter<'_>) -> bool {
        !matches!(filter, Filter::Has { .. }) && !matches!(self, Lookup::UserDisplayName(_))
    }

    /// The numbers of what it finds, in rising order.
    fn slots(self, tenant: &Tenant) -> Vec<Slot> {
        let mut slots: Vec<Slot> = match self {
            Lookup::UserId(id) => users(id::parse(id).and_then(|id| tenant.user(id))),
            Lookup::UserName(name) => users(tenant.user_by_name(name)),
            Lookup::UserNamePrefix(prefix) => users(tenant.users_by_name_prefix(prefix)),
            Lookup::UserExternalId(id) => users(tenant.users_by(Attribute::ExternalId, id)),
            Lookup::UserEmail(email) => users(tenant.users_by_email(email)),
            Lookup::UserDisplayName(name) => users(tenant.users_displayed_as(name)),
            Lookup::UserGroup(group) => {
                let group = id::parse(group).and_then(|id| tenant.group(id));
                let below = group.map(|group| tenant.users_below(group.slot));
                users(below.into_iter().flatten())
            }
            Lookup::GroupId(id) => groups(id::parse(id).and_then(|id| tenant.group(id))),
            Lookup::GroupExternalId(id) => groups(tenant.groups_by_external_id(id)),
            Lookup::GroupDisplayName(name) => groups(tenant.groups_displayed_as(name)),
            Lookup::GroupMember(member) => {
                let slot = id::parse(member).and_then(|id| tenant.slot_of(id));
                groups(slot.into_iter().flat_map(|slot| tenant.direct_groups(slot)))
            }
        };
        slots.sort_unstable();
        slots
    }
}

fn users<'t>(users: impl IntoIterator<Item = &'t Arc<User>>) -> Vec<Slot> {
    users.into_iter().map(|user| user.slot).collect()
}

fn groups<'t>(groups: impl IntoIterator<Item = &'t Arc<Group>>) -> Vec<Slot> {
    groups.into_iter().map(|group| group.slot).collect()
}

/// A comparison with a text: as it was written, and as it is compared.
fn compared<'f, 's>(filter: &'f Filter<'s>) -> Option<(&'f Place<'s>, Operator, &'f str, &'f str)> {
    match filter {
        Filter::Compare {
            place,
            operator,
            operand: Operand::Text { written, compared },
        } => Some((place, *operator, written, compared)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{group, user};
    use crate::scim::reading::Reading;

    #[test]
    fn every_form_of_a_condition_is_answered_by_its_index() {
        let users = [
            (r#"id eq "v""#, Lookup::UserId("v")),
            (r#"userName eq "v""#, Lookup::UserName("v")),
            (r#"userName sw "V""#, Lookup::UserNamePrefix("v")),
            (r#"externalId eq "v""#, Lookup::UserExternalId("v")),
            (r#"displayName eq "v""#, Lookup::UserDisplayName("v")),
            (r#"emails eq "v""#, Lookup::UserEmail("v")),
            (r#"emails.value eq "v""#, Lookup::UserEmail("v")),
            (r#"emails[value eq "v"]"#, Lookup::UserEmail("v")),
            (
                r#"emails[type eq "work" and value eq "v"]"#,
                Lookup::UserEmail("v"),
            ),
            (
                r#"emails[type eq "work"].value eq "v""#,
                Lookup::UserEmail("v"),
            ),
            (r#"groups.value eq "v""#, Lookup::UserGroup("v")),
            (r#"groups[value eq "v"]"#, Lookup::UserGroup("v")),
        ];
        let groups = [
            (r#"id eq "v""#, Lookup::GroupId("v")),
            (r#"externalId eq "v""#, Lookup::GroupExternalId("v")),
            (r#"displayName eq "v""#, Lookup::GroupDisplayName("v")),
            (r#"members eq "v""#, Lookup::GroupMember("v")),
            (
                r#"members[type eq "User" and value eq "v"]"#,
                Lookup::GroupMember("v"),
            ),
        ];
        let users = users.map(|(text, lookup)| (user(), text, lookup));
        let groups = groups.map(|(text, lookup)| (group(), text, lookup));
        for (resources, text, lookup) in users.into_iter().chain(groups) {
            let filter = Filter::parse(text, resources, &mut Reading::default()).unwrap();
            let found = Lookup::of(resources.kind, &filter);
            assert_eq!(found, Some(lookup), "{text}");
        }
    }
}
