//! An identity provider: pushes changes over SCIM on one connection, one request each, one after the other, so that the
//! revision of each is known.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::change::Change;
use super::staff::{group_attributes, group_id, subject, user_attributes, user_id};
use crate::scim::{GROUP, PATCH_OP, USER};
use crate::wire::{Connection, Exchange};

const BASE: &str = "/scim/v2";
/// Between two attempts while the feeder is away.
const PAUSE: Duration = Duration::from_millis(20);

/// When a change was asked for, and when the answer was there: it became durable between the two.
#[derive(Debug, Clone, Copy)]
pub struct Pushed {
    /// Just before the request's first byte was written.
    pub sent: Instant,
    /// Just after the answer's last byte was read.
    pub received: Instant,
}

/// One client with one token.
pub struct Idp {
    address: SocketAddr,
    token: String,
    connection: Option<Connection>,
    /// Of what was created over SCIM; all else has the ids that it was installed with.
    users: BTreeMap<u32, String>,
    groups: BTreeMap<u32, String>,
}

impl Idp {
    /// Connects when there is something to push.
    pub fn new(address: SocketAddr, token: &str) -> Idp {
        Idp {
            address,
            token: token.to_owned(),
            connection: None,
            users: BTreeMap::new(),
            groups: BTreeMap::new(),
        }
    }

    /// Its bearer token.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Pushes one change. After an error nobody knows whether it happened.
    pub fn push(&mut self, change: &Change) -> Result<Pushed> {
        let (method, path, body) = self.request(change);
        let answer = self.exchange(method, &path, &body)?;
        ensure!(
            (200..300).contains(&answer.status),
            "{method} {path}: {} {}",
            answer.status,
            String::from_utf8_lossy(&answer.body)
        );
        self.learn(change, &answer.body)?;
        Ok(Pushed {
            sent: answer.sent,
            received: answer.received,
        })
    }

    /// Pushes one change until it has happened, whatever becomes of the feeder meanwhile.
    pub fn push_through(&mut self, change: &Change, patience: Duration) -> Result<()> {
        let start = Instant::now();
        loop {
            let Err(error) = self.push(change) else {
                return Ok(());
            };
            // Of a request without an answer nobody knows what came of it; one sent again must not do it twice.
            loop {
                if start.elapsed() > patience {
                    let what = format!("pushed {change:?} for {patience:?} in vain");
                    return Err(error.context(what));
                }
                self.connection = None;
                std::thread::sleep(PAUSE);
                match self.has_happened(change) {
                    Ok(true) => return Ok(()),
                    Ok(false) => break,
                    Err(_) => {}
                }
            }
        }
    }

    /// Opens another connection for the next request: the feeder is another process.
    pub fn reconnect(&mut self) {
        self.connection = None;
    }

    /// Forgets the ids of what was created since: the feeder's database is that of another time.
    pub fn restore(&mut self, before: &Ids) {
        self.users.clone_from(&before.users);
        self.groups.clone_from(&before.groups);
        self.connection = None;
    }

    /// The ids that it knows now.
    pub fn ids(&self) -> Ids {
        Ids {
            users: self.users.clone(),
            groups: self.groups.clone(),
        }
    }

    /// Any request on its connection.
    pub fn exchange(&mut self, method: &str, path: &str, body: &str) -> Result<Exchange> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => Connection::open(self.address)?,
        };
        let path = format!("{BASE}{path}");
        let answer = connection.exchange(method, &path, &self.token, body)?;
        self.connection = Some(connection);
        Ok(answer)
    }

    /// What one change is as a request: method, path and body.
    pub fn request(&self, change: &Change) -> (&'static str, String, String) {
        match change {
            Change::Hire { user } => {
                let mut body = user_attributes(*user);
                body.insert("schemas".to_owned(), json!([USER]));
                ("POST", "/Users".to_owned(), Value::Object(body).to_string())
            }
            Change::Leave { user } => ("DELETE", self.user_path(*user), String::new()),
            Change::SetActive { user, active } => {
                let operation = json!({ "op": "replace", "path": "active", "value": active });
                ("PATCH", self.user_path(*user), patch(operation))
            }
            Change::Join { group, user } => {
                ("PATCH", self.group_path(*group), add(&self.user(*user)))
            }
            Change::Part { group, user } => {
                ("PATCH", self.group_path(*group), remove(&self.user(*user)))
            }
            Change::Nest { outer, inner } => {
                ("PATCH", self.group_path(*outer), add(&self.group(*inner)))
            }
            Change::Unnest { outer, inner } => (
                "PATCH",
                self.group_path(*outer),
                remove(&self.group(*inner)),
            ),
            Change::Found { name, .. } => {
                let mut body = group_attributes(name);
                body.insert("schemas".to_owned(), json!([GROUP]));
                (
                    "POST",
                    "/Groups".to_owned(),
                    Value::Object(body).to_string(),
                )
            }
            Change::Dissolve { group } => ("DELETE", self.group_path(*group), String::new()),
            Change::Rename { group, name } => {
                let operation = json!({ "op": "replace", "path": "displayName", "value": name });
                ("PATCH", self.group_path(*group), patch(operation))
            }
        }
    }

    fn learn(&mut self, change: &Change, answer: &[u8]) -> Result<()> {
        match change {
            Change::Hire { user } => {
                self.users
                    .insert(*user, id(&serde_json::from_slice(answer)?)?);
            }
            Change::Found { group, .. } => {
                self.groups
                    .insert(*group, id(&serde_json::from_slice(answer)?)?);
            }
            _ => {}
        }
        Ok(())
    }

    /// Of changes that would do something else when they are made again. An error: the feeder does not say.
    fn has_happened(&mut self, change: &Change) -> Result<bool> {
        match change {
            Change::Hire { user } => {
                let filter = format!("externalId%20eq%20%22{}%22", subject(*user));
                self.find("/Users", &filter, change)
            }
            Change::Found { name, .. } => {
                let filter = format!("displayName%20eq%20%22{name}%22");
                self.find("/Groups", &filter, change)
            }
            Change::Leave { user } => self.is_gone(&self.user_path(*user)),
            Change::Dissolve { group } => self.is_gone(&self.group_path(*group)),
            _ => {
                // Until it answers there is no use in trying.
                self.exchange("GET", "/ServiceProviderConfig", "")?;
                Ok(false)
            }
        }
    }

    fn find(&mut self, path: &str, filter: &str, change: &Change) -> Result<bool> {
        let path = format!("{path}?filter={filter}&attributes=id");
        let answer = self.exchange("GET", &path, "")?;
        ensure!(answer.status == 200, "GET {path}: {}", answer.status);
        let found: Value = serde_json::from_slice(&answer.body)?;
        let found = found.get("Resources").and_then(Value::as_array);
        match found.map(Vec::as_slice) {
            None | Some([]) => Ok(false),
            Some([one]) => {
                self.learn(change, one.to_string().as_bytes())?;
                Ok(true)
            }
            Some(_) => bail!("{path}: several"),
        }
    }

    fn is_gone(&mut self, path: &str) -> Result<bool> {
        let answer = self.exchange("GET", path, "")?;
        match answer.status {
            200 => Ok(false),
            404 => Ok(true),
            other => bail!("GET {path}: {other}"),
        }
    }

    /// The SCIM id of a user.
    pub fn user(&self, user: u32) -> String {
        let known = self.users.get(&user).cloned();
        known.unwrap_or_else(|| user_id(user).to_string())
    }

    /// The SCIM id of a group.
    pub fn group(&self, group: u32) -> String {
        let known = self.groups.get(&group).cloned();
        known.unwrap_or_else(|| group_id(group).to_string())
    }

    fn user_path(&self, user: u32) -> String {
        format!("/Users/{}", self.user(user))
    }

    fn group_path(&self, group: u32) -> String {
        format!("/Groups/{}", self.group(group))
    }
}

/// The ids that an identity provider knew at some time.
#[derive(Debug, Clone)]
pub struct Ids {
    users: BTreeMap<u32, String>,
    groups: BTreeMap<u32, String>,
}

fn id(resource: &Value) -> Result<String> {
    let id = resource.get("id").and_then(Value::as_str);
    Ok(id.context("an id")?.to_owned())
}

fn add(member: &str) -> String {
    patch(json!({ "op": "add", "path": "members", "value": [{ "value": member }] }))
}

fn remove(member: &str) -> String {
    patch(json!({ "op": "remove", "path": format!("members[value eq \"{member}\"]") }))
}

fn patch(operation: Value) -> String {
    json!({ "schemas": [PATCH_OP], "Operations": [operation] }).to_string()
}
