//! Who is known: the users of a company, who of them is in which group, and a feeder that holds them.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use scimesh_tests::feeder::Feeder;
use scimesh_tests::scim::{Scim, USER};
use serde_json::{Value, json};

/// The tenant.
pub(crate) const TENANT: &str = "corp";
/// Who signs its users' tokens.
pub(crate) const ISSUER: &str = "https://idp.corp.example";
/// The groups; of ten users in a row each of the first three is in one of them, and all are in the last.
pub(crate) const GROUPS: [&str; 4] = [
    "payments-admins",
    "payments-auditors",
    "contractors",
    "staff",
];

/// Operations in one Bulk request: the feeder's limit.
const BULK: usize = 1000;

/// The externalId of the user of that number, and the `sub` of their tokens.
pub(crate) fn subject(number: usize) -> String {
    format!("00u{number:017}")
}

/// The groups that the user of that number is in.
pub(crate) fn groups_of(number: usize) -> impl Iterator<Item = &'static str> {
    let of_few = GROUPS.iter().take(3).enumerate();
    let of_few = of_few.filter(move |(turn, _)| number % 10 == *turn);
    of_few
        .map(|(_, group)| *group)
        .chain(GROUPS.last().copied())
}

/// A feeder whose one tenant has so many users.
pub(crate) struct Directory {
    pub(crate) users: usize,
    pub(crate) feeder: Feeder,
}

impl Directory {
    /// Starts it, its files in `dir`, and loads it.
    pub(crate) async fn load(dir: &Path, users: usize) -> Result<Directory> {
        fs::create_dir(dir)?;
        let mut feeder = Feeder::new(dir)?;
        // A Bulk request counts with its operations, and here comes as many as it can take.
        feeder
            .start_with(&["--scim-limit", "requests-per-second=0"])
            .await?;
        let scim = feeder.create_tenant(TENANT, ISSUER).await?;
        let mut members: Vec<Vec<Value>> = vec![Vec::new(); GROUPS.len()];
        let numbers: Vec<usize> = (0..users).collect();
        for chunk in numbers.chunks(BULK) {
            let ids = create(&scim, chunk).await?;
            for (number, id) in chunk.iter().zip(ids) {
                for (group, members) in GROUPS.iter().zip(&mut members) {
                    if groups_of(*number).any(|name| name == *group) {
                        members.push(json!({ "value": id }));
                    }
                }
            }
        }
        for (group, members) in GROUPS.iter().zip(members) {
            let empty = scim.create_group(group, &[]).await?;
            let add = json!([{ "op": "add", "path": "members", "value": members }]);
            scim.patch(&format!("/Groups/{empty}"), add).await?;
        }
        Ok(Directory { users, feeder })
    }
}

/// Creates the users of these numbers in one request; gives their ids.
async fn create(scim: &Scim, numbers: &[usize]) -> Result<Vec<String>> {
    let operations: Vec<Value> = numbers
        .iter()
        .map(|number| {
            let name = format!("ada.lovelace.{number}@corp.example");
            let data = json!({
                "schemas": [USER], "userName": name, "externalId": subject(*number),
                "displayName": format!("Ada Lovelace {number}"), "active": true,
            });
            let bulk_id = format!("user-{number}");
            json!({ "method": "POST", "path": "/Users", "bulkId": bulk_id, "data": data })
        })
        .collect();
    let bulk = json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], "Operations": operations,
    });
    let answer = scim.send(Method::POST, "/Bulk", Some(&bulk)).await?;
    let done = answer.body.get("Operations").and_then(Value::as_array);
    let done = done.with_context(|| format!("/Bulk: {} {}", answer.status, answer.body))?;
    ensure!(
        done.len() == numbers.len(),
        "/Bulk did {} of {}",
        done.len(),
        numbers.len()
    );
    let id = |operation: &Value| {
        let location = operation.get("location")?.as_str()?;
        Some(location.rsplit_once('/')?.1.to_owned())
    };
    done.iter()
        .map(|operation| id(operation).with_context(|| format!("/Bulk: {operation}")))
        .collect()
}
