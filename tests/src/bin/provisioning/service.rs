//! A SCIM service under measurement, and what is asked of it: the same bodies for every service.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use scimesh_tests::scim::{GROUP, PATCH_OP, USER};
use scimesh_tests::wire::{Connection, Exchange};
use serde_json::{Value, json};

/// Where a service is, and how to be let in.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    pub(crate) address: SocketAddr,
    /// The path of its API.
    pub(crate) base: &'static str,
    pub(crate) token: String,
}

/// A connection to it.
pub(crate) struct Client<'s> {
    service: &'s Service,
    connection: Connection,
}

impl Service {
    /// Opens a connection.
    pub(crate) fn connect(&self) -> Result<Client<'_>> {
        Ok(Client {
            service: self,
            connection: Connection::open(self.address)?,
        })
    }
}

impl Client<'_> {
    /// A request that has to succeed.
    pub(crate) fn ask(&mut self, method: &str, path: &str, body: &str) -> Result<Exchange> {
        let path = format!("{}{path}", self.service.base);
        let exchange = self
            .connection
            .exchange(method, &path, &self.service.token, body)?;
        ensure!(
            (200..300).contains(&exchange.status),
            "{method} {path}: {} {}",
            exchange.status,
            String::from_utf8_lossy(&exchange.body)
        );
        Ok(exchange)
    }

    /// Creates a resource; gives its id.
    pub(crate) fn create(&mut self, path: &str, body: &str) -> Result<String> {
        let answer: Value = serde_json::from_slice(&self.ask("POST", path, body)?.body)?;
        let id = answer.get("id").and_then(Value::as_str).context("an id")?;
        Ok(id.to_owned())
    }
}

/// The user of that number: about 500 bytes, as identity providers send them.
pub(crate) fn user(number: usize) -> String {
    let name = format!("ada.lovelace.{number:07}");
    json!({
        "schemas": [USER],
        "userName": format!("{name}@corp.example"),
        "externalId": format!("00u{number:017}"),
        "displayName": format!("Ada Lovelace {number}"),
        "name": { "givenName": "Ada", "familyName": format!("Lovelace {number}") },
        "title": "Programmer",
        "emails": [
            { "value": format!("{name}@corp.example"), "type": "work", "primary": true },
            { "value": format!("{name}@home.example"), "type": "home" },
        ],
        "active": true,
    })
    .to_string()
}

/// A group of these members.
pub(crate) fn group(name: &str, members: &[String]) -> String {
    let members: Vec<Value> = members.iter().map(|id| json!({ "value": id })).collect();
    json!({ "schemas": [GROUP], "displayName": name, "members": members }).to_string()
}

/// Adds one member.
pub(crate) fn add(member: &str) -> String {
    patch(json!({ "op": "add", "path": "members", "value": [{ "value": member }] }))
}

/// Removes one member.
pub(crate) fn remove(member: &str) -> String {
    patch(json!({ "op": "remove", "path": format!("members[value eq \"{member}\"]") }))
}

fn patch(operation: Value) -> String {
    json!({ "schemas": [PATCH_OP], "Operations": [operation] }).to_string()
}
