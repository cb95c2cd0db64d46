//! The bearer tokens of SCIM clients. Only their hash is kept.

use std::sync::Arc;

use jiff::Timestamp;

/// BLAKE3 of a token. A token has 256 random bits: its hash needs no salt and can't be searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TokenHash(pub(crate) [u8; 32]);

impl TokenHash {
    /// What is stored of `token`.
    pub fn of(token: &str) -> TokenHash {
        TokenHash(*blake3::hash(token.as_bytes()).as_bytes())
    }
}

/// What is known of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Public, short: what it is listed and revoked by.
    pub id: String,
    /// What it is recognised by.
    pub hash: TokenHash,
    /// Whose resources it opens.
    pub tenant: Arc<str>,
    /// When it was made.
    pub created: Timestamp,
    /// From when on it opens nothing; none: never.
    pub expires: Option<Timestamp>,
}

impl Token {
    /// Whether it still opens anything.
    pub fn valid_at(&self, now: Timestamp) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }
}
