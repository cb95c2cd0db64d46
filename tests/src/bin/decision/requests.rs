//! What is asked: the same request again and again, by users in turn.

use anyhow::Result;
use scimesh_tests::issuer::Issuer;
use serde_json::json;

use crate::directory::{groups_of, subject};

/// Askers: more than one, so that nothing that a filter keeps of the last token is all that it needs; fewer than the 100
/// tokens that jwt_authn's cache holds.
pub(crate) const ASKERS: usize = 64;

/// Requests that are written out.
pub(crate) struct Requests {
    /// Of the askers, who are all in the first group.
    pub(crate) allowed: Vec<Vec<u8>>,
    /// Of a contractor.
    pub(crate) not_permitted: Vec<u8>,
    /// With a token that nobody trusted has signed.
    pub(crate) forged: Vec<u8>,
}

impl Requests {
    /// By users whose tokens `issuer` signs.
    pub(crate) fn new(issuer: &Issuer) -> Result<Requests> {
        let allowed = (0..ASKERS).map(|asker| request(issuer, asker * 10));
        Ok(Requests {
            allowed: allowed.collect::<Result<_>>()?,
            not_permitted: request(issuer, 2)?,
            forged: request(&Issuer::new(issuer.url())?, 0)?,
        })
    }
}

/// What a mesh's client sends.
fn request(issuer: &Issuer, user: usize) -> Result<Vec<u8>> {
    let token = issuer.token_with(json!({
        "sub": subject(user),
        "aud": "payments",
        "azp": "console",
        "scope": "openid profile email",
        "name": format!("Ada Lovelace {user}"),
        "email": format!("ada.lovelace.{user}@corp.example"),
        "email_verified": true,
        "groups": groups_of(user).collect::<Vec<_>>(),
    }))?;
    let request = format!(
        "GET /accounts/4711/refunds?limit=20 HTTP/1.1\r\n\
         host: payments.corp.example\r\n\
         user-agent: console/3.1\r\n\
         accept: application/json\r\n\
         accept-encoding: gzip\r\n\
         x-request-id: 5cc9e8a6-6d0f-4d4c-9d3c-0b4a0f6f8a11\r\n\
         traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n\
         authorization: Bearer {token}\r\n\r\n"
    );
    Ok(request.into_bytes())
}
