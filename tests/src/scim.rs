//! An identity provider's client: SCIM over HTTP with one tenant's token.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};

/// The core User schema (RFC 7643 section 4.1).
pub const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
/// The core Group schema (RFC 7643 section 4.2).
pub const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
/// The message of a PATCH (RFC 7644 section 3.5.2).
pub const PATCH_OP: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

/// What the feeder answered.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: StatusCode,
    /// Null when there was none.
    pub body: Value,
}

/// One tenant's client.
#[derive(Clone)]
pub struct Scim {
    client: Client,
    base: String,
    token: String,
}

impl Scim {
    /// For the SCIM service on `address`. Each request has a connection of its own: one that was kept from before the
    /// feeder was killed may take a request with it, and that would be the story's failure, not the feeder's.
    pub fn new(address: SocketAddr, token: &str) -> Result<Scim> {
        Ok(Scim {
            client: Client::builder().pool_max_idle_per_host(0).build()?,
            base: format!("http://{address}/scim/v2"),
            token: token.to_owned(),
        })
    }

    /// The bearer token.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Any request; `path` begins with a slash and follows `/scim/v2`.
    pub async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Answer> {
        let mut request = self
            .client
            .request(method.clone(), format!("{}{path}", self.base))
            .bearer_auth(&self.token);
        if let Some(body) = body {
            request = request
                .header("content-type", "application/scim+json")
                .body(serde_json::to_vec(body)?);
        }
        let response = request
            .send()
            .await
            .with_context(|| format!("{method} {path}"))?;
        let status = response.status();
        let bytes = response.bytes().await?;
        let body = if bytes.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&bytes)
                .with_context(|| format!("{method} {path} answered {status} with no JSON"))?
        };
        Ok(Answer { status, body })
    }

    async fn done(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value> {
        let answer = self.send(method.clone(), path, body).await?;
        ensure!(
            answer.status.is_success(),
            "{method} {path}: {} {}",
            answer.status,
            answer.body
        );
        Ok(answer.body)
    }

    /// Creates `/Users` or `/Groups`; gives the new id.
    pub async fn create(&self, path: &str, resource: &Value) -> Result<String> {
        let body = self.done(Method::POST, path, Some(resource)).await?;
        let id = body.get("id").and_then(Value::as_str).context("an id")?;
        Ok(id.to_owned())
    }

    /// Creates an active user whose externalId is `external_id` and whose userName is `user_name`.
    pub async fn create_user(&self, user_name: &str, external_id: &str) -> Result<String> {
        let user = json!({
            "schemas": [USER], "userName": user_name, "externalId": external_id, "active": true,
        });
        self.create("/Users", &user).await
    }

    /// Creates a group with `members`, ids of users or groups.
    pub async fn create_group(&self, display_name: &str, members: &[&str]) -> Result<String> {
        let members: Vec<Value> = members.iter().map(|id| json!({ "value": id })).collect();
        let group = json!({ "schemas": [GROUP], "displayName": display_name, "members": members });
        self.create("/Groups", &group).await
    }

    /// Reads one resource.
    pub async fn get(&self, path: &str) -> Result<Value> {
        self.done(Method::GET, path, None).await
    }

    /// PATCHes with `operations`.
    pub async fn patch(&self, path: &str, operations: Value) -> Result<()> {
        let body = json!({ "schemas": [PATCH_OP], "Operations": operations });
        self.done(Method::PATCH, path, Some(&body)).await.map(drop)
    }

    /// Adds one member to a group.
    pub async fn add_member(&self, group: &str, member: &str) -> Result<()> {
        let operation = json!([{ "op": "add", "path": "members", "value": [{ "value": member }] }]);
        self.patch(&format!("/Groups/{group}"), operation).await
    }

    /// Removes one member from a group.
    pub async fn remove_member(&self, group: &str, member: &str) -> Result<()> {
        let path = format!("members[value eq \"{member}\"]");
        self.patch(
            &format!("/Groups/{group}"),
            json!([{ "op": "remove", "path": path }]),
        )
        .await
    }

    /// Sets a user's `active`.
    pub async fn set_active(&self, user: &str, active: bool) -> Result<()> {
        let operation = json!([{ "op": "replace", "path": "active", "value": active }]);
        self.patch(&format!("/Users/{user}"), operation).await
    }

    /// Deletes one resource.
    pub async fn delete(&self, path: &str) -> Result<()> {
        self.done(Method::DELETE, path, None).await.map(drop)
    }
}
