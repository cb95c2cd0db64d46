//! An OpenID provider's signing side: a key pair, its key set, and tokens with any claims.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use serde::Serialize;
use serde_json::{Value, json};

/// One issuer with one ES256 key.
#[derive(Clone)]
pub struct Issuer {
    url: String,
    key_id: String,
    key: EncodingKey,
    public_key: String,
    jwks: String,
}

impl Issuer {
    /// A new key; `url` is the tokens' `iss`.
    pub fn new(url: &str) -> Result<Issuer> {
        Self::with_key(url, &KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?)
    }

    fn with_key(url: &str, pair: &KeyPair) -> Result<Issuer> {
        let key = EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes())?;
        let mut jwk = Jwk::from_encoding_key(&key, Algorithm::ES256)?;
        let key_id = format!("{url}#1");
        jwk.common.key_id = Some(key_id.clone());
        Ok(Issuer {
            url: url.to_owned(),
            key_id,
            key,
            public_key: pair.public_key_pem(),
            jwks: serde_json::to_string(&JwkSet { keys: vec![jwk] })?,
        })
    }

    /// The `iss` of its tokens.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its public keys, as it would publish them.
    pub fn jwks(&self) -> &str {
        &self.jwks
    }

    /// Its public key as PEM, for those who take it for a shared secret.
    pub fn public_key(&self) -> &str {
        &self.public_key
    }

    /// The header of its tokens.
    pub fn header(&self) -> Header {
        Header {
            kid: Some(self.key_id.clone()),
            ..Header::new(Algorithm::ES256)
        }
    }

    /// A token of this header with these claims and no others.
    pub fn sign(&self, header: &Header, claims: &impl Serialize) -> Result<String> {
        encode(header, claims, &self.key).context("signing")
    }

    /// A token of an hour for `sub`.
    pub fn token(&self, sub: &str) -> Result<String> {
        self.token_with(json!({ "sub": sub }))
    }

    /// A token with `claims`, to which `iss`, `iat` and `exp` (in an hour) are added where they are absent.
    pub fn token_with(&self, claims: Value) -> Result<String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let mut all = json!({ "iss": self.url, "iat": now, "exp": now + 3600 });
        let (Some(all_claims), Value::Object(claims)) = (all.as_object_mut(), claims) else {
            anyhow::bail!("claims are an object");
        };
        all_claims.extend(claims);
        self.sign(&self.header(), &all)
    }
}
