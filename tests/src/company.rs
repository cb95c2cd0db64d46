//! The sample company: the same 200 people and 25 groups every time, in two tenants, nested three deep.

use std::collections::HashMap;

use anyhow::{Context, Result};
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::json;

use crate::scim::{Scim, USER};

const FIRST: [&str; 20] = [
    "Anna", "Bela", "Chidi", "Dora", "Emil", "Fatima", "Goran", "Hana", "Ivo", "Jun", "Kofi",
    "Lena", "Mateo", "Nadia", "Omar", "Priya", "Quentin", "Rosa", "Sven", "Tara",
];
const LAST: [&str; 10] = [
    "Berg", "Castillo", "Dubois", "Eze", "Fischer", "Garcia", "Hansen", "Ito", "Jones", "Kovacs",
];
/// Requests under way at a time while loading.
const AT_ONCE: usize = 8;
/// The group that takes every tenth person, whatever else they are in.
const CONTRACTORS: &str = "contractors";

/// A group: its name, the group that it is a member of, and how many people are in it directly.
type Unit = (&'static str, Option<&'static str>, usize);

/// Inner groups come before the groups that hold them, so that each can be created with its members.
const ACME: [Unit; 18] = [
    ("payments-admins", Some("payments"), 4),
    ("payments-oncall", Some("payments"), 6),
    ("platform-oncall", Some("platform"), 4),
    ("support-tier2", Some("support"), 4),
    ("payments", Some("finance"), 12),
    ("accounting", Some("finance"), 10),
    ("platform", Some("engineering"), 18),
    ("product", Some("engineering"), 20),
    ("security", Some("engineering"), 8),
    ("support", Some("operations"), 16),
    ("facilities", Some("operations"), 6),
    ("field-sales", Some("sales"), 20),
    ("partners", Some("sales"), 8),
    ("finance", None, 4),
    ("engineering", None, 4),
    ("operations", None, 3),
    ("sales", None, 3),
    (CONTRACTORS, None, 0),
];

/// The other tenant has groups of the same names, and numbers its people from 1001 as well.
const GLOBEX: [Unit; 7] = [
    ("payments-admins", Some("payments"), 3),
    ("platform-oncall", Some("platform"), 6),
    ("payments", Some("finance"), 10),
    ("platform", Some("engineering"), 22),
    ("finance", None, 4),
    ("engineering", None, 5),
    (CONTRACTORS, None, 0),
];

/// One person.
#[derive(Debug, Clone)]
pub struct Person {
    /// Given name and surname.
    pub name: String,
    /// The `userName`.
    pub user_name: String,
    /// The `externalId`, and the `sub` of their tokens.
    pub number: String,
}

/// One tenant's part of the company.
pub struct Company {
    units: &'static [Unit],
    people: Vec<Person>,
}

/// What the feeder calls them.
pub struct Loaded {
    /// Ids of the people, in their order.
    pub people: Vec<String>,
    /// Ids of the groups, by name.
    pub groups: HashMap<&'static str, String>,
}

impl Company {
    /// 150 people in 18 groups.
    pub fn acme() -> Company {
        Self::new("acme", 0, &ACME)
    }

    /// 50 people in 7 groups.
    pub fn globex() -> Company {
        Self::new("globex", 150, &GLOBEX)
    }

    fn new(tenant: &str, first: usize, units: &'static [Unit]) -> Company {
        let count: usize = units.iter().map(|(_, _, size)| size).sum();
        let names = LAST
            .iter()
            .flat_map(|last| FIRST.iter().map(move |first| (*first, *last)));
        let people = names
            .skip(first)
            .take(count)
            .enumerate()
            .map(|(i, (first, last))| Person {
                name: format!("{first} {last}"),
                user_name: format!("{first}.{last}@{tenant}.example").to_lowercase(),
                number: format!("{}", 1001 + i),
            })
            .collect();
        Company { units, people }
    }

    /// Everyone; the first four are acme's, the first three globex' payments-admins.
    pub fn people(&self) -> &[Person] {
        &self.people
    }

    /// How many groups there are.
    pub fn group_count(&self) -> usize {
        self.units.len()
    }

    /// Creates all of it.
    pub async fn load(&self, scim: &Scim) -> Result<Loaded> {
        let people: Vec<String> = stream::iter(self.people.iter().map(|person| {
            let user = user(person);
            async move { scim.create("/Users", &user).await }
        }))
        .buffered(AT_ONCE)
        .try_collect()
        .await?;
        let mut groups: HashMap<&str, String> = HashMap::new();
        let mut rest = people.as_slice();
        for (name, _, size) in self.units {
            let (own, others) = rest.split_at_checked(*size).context("people enough")?;
            rest = others;
            let inner = self
                .units
                .iter()
                .filter(|(_, parent, _)| parent.as_ref() == Some(name))
                .filter_map(|(inner, _, _)| groups.get(inner));
            let mut members: Vec<&str> = own.iter().chain(inner).map(String::as_str).collect();
            if *name == CONTRACTORS {
                members.extend(people.iter().skip(3).step_by(10).map(String::as_str));
            }
            let id = scim.create_group(name, &members).await?;
            groups.insert(name, id);
        }
        Ok(Loaded { people, groups })
    }
}

fn user(person: &Person) -> serde_json::Value {
    let (given, family) = person.name.split_once(' ').unwrap_or((&person.name, ""));
    json!({
        "schemas": [USER],
        "userName": person.user_name,
        "externalId": person.number,
        "name": { "givenName": given, "familyName": family },
        "displayName": person.name,
        "emails": [{ "value": person.user_name, "type": "work", "primary": true }],
        "active": true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_company_is_as_large_as_the_readme_says() {
        let (acme, globex) = (Company::acme(), Company::globex());
        assert_eq!(acme.people().len() + globex.people().len(), 200);
        assert_eq!(acme.group_count() + globex.group_count(), 25);
        assert_eq!(acme.people()[0].name, "Anna Berg");
        assert_eq!(acme.people()[0].number, globex.people()[0].number);
    }
}
