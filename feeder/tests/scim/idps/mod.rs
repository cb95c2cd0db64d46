//! What identity providers and client libraries really send, as whole requests: one file for each of them.

mod authentik;
mod clients;
mod dialect;
mod entra;
mod jumpcloud;
mod keycloak;
mod okta;
mod onelogin;
mod ping;

use axum::body::Body;
use http::Method;
use serde_json::Value;

use crate::api::{Answer, Api, CORP, request};

const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

/// Sends a body to the letter, where the order of its keys matters.
async fn written(api: &Api, method: Method, path: &str, text: &str) -> Answer {
    let body = Body::from(text.to_owned());
    api.send(request(method, path, CORP), body).await
}

/// An answer's body without what the server alone says.
#[track_caller]
fn said(answer: &Answer) -> Value {
    let mut body = answer.body.clone();
    let resource = body.as_object_mut().unwrap();
    for name in ["id", "meta", "schemas"] {
        assert!(resource.remove(name).is_some(), "{name}");
    }
    body
}
