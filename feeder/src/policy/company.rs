//! A directory in few words, as a file of tests writes one.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::Value;

use super::stage::{Group, Stage, User};
use crate::config::BindingForm;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Company {
    #[serde(default)]
    bindings: Vec<BindingForm>,
    #[serde(default)]
    users: Vec<Employee>,
    #[serde(default)]
    groups: Vec<Team>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Employee {
    user_name: String,
    external_id: Option<String>,
    #[serde(default = "yes")]
    active: bool,
    #[serde(default)]
    emails: Vec<String>,
    #[serde(default)]
    roles: Vec<String>,
    #[serde(default)]
    entitlements: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Team {
    display_name: String,
    external_id: Option<String>,
    /// By userName.
    #[serde(default)]
    users: Vec<String>,
    /// By displayName.
    #[serde(default)]
    groups: Vec<String>,
}

fn yes() -> bool {
    true
}

/// The directory of a tenant. The error names the field.
pub(super) fn stage(tenant: &str, written: Value) -> Result<Stage, String> {
    let company: Company = serde_json::from_value(written).map_err(|error| error.to_string())?;
    let bindings = company.bindings.into_iter().map(|form| form.0);
    let mut stage = Stage::new(tenant, bindings).map_err(|why| format!("bindings: {why}"))?;
    let mut users = HashMap::new();
    for employee in company.users {
        let name = employee.user_name.clone();
        let added = stage.add_user(User {
            id: None,
            user_name: employee.user_name,
            external_id: employee.external_id,
            active: employee.active,
            emails: employee.emails,
            roles: employee.roles,
            entitlements: employee.entitlements,
        });
        let id = added.map_err(|why| format!("users: '{name}': {why}"))?;
        users.insert(name, id);
    }
    let mut groups = HashMap::new();
    let mut teams = Vec::new();
    for team in company.groups {
        let name = team.display_name.clone();
        let added = stage.add_group(Group {
            id: None,
            display_name: team.display_name,
            external_id: team.external_id,
            users: Vec::new(),
            groups: Vec::new(),
        });
        let id = added.map_err(|why| format!("groups: '{name}': {why}"))?;
        // Of two groups of one name, which rules can't refer to, the first is meant.
        groups.entry(name.clone()).or_insert(id);
        teams.push((name, id, team.users, team.groups));
    }
    for (name, id, of_users, of_groups) in teams {
        let find = |known: &HashMap<_, _>, kind: &str, member: &String| {
            let found = known.get(member).copied();
            found.ok_or_else(|| format!("groups: '{name}': no {kind} '{member}' in this directory"))
        };
        let of_users = of_users.iter().map(|member| find(&users, "user", member));
        let of_groups = of_groups
            .iter()
            .map(|member| find(&groups, "group", member));
        let members = of_users.chain(of_groups).collect::<Result<_, _>>()?;
        let added = stage.add_members(id, members);
        added.map_err(|why| format!("groups: '{name}': {why}"))?;
    }
    Ok(stage)
}
