//! Cursors (RFC 9865): where a list goes on, sealed.
//!
//! A cursor says where the last page ended, not how many resources came before: what comes and goes between two pages makes no other
//! resource be skipped or repeated. It is encrypted, because it holds an internal number that tells of other tenants, and authenticated along with
//! the tenant and the query: nowhere else it means anything. Its key follows from the database's, so it survives a restart; the server keeps nothing.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use scimesh_proto::digest::Key as DatabaseKey;
use thiserror::Error;

use super::order::Position;
use crate::directory::Slot;
use crate::schema::Kind;

/// What a cursor says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// The last resource of the page that it was issued with.
    pub(crate) after: Position,
    /// The size of that page at most.
    pub(crate) count: usize,
    pub(crate) issued: Timestamp,
}

/// Why a text opens nothing. Which of the reasons for `Invalid` it was is nobody's business.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum CursorError {
    #[error("the cursor was not issued for this query")]
    Invalid,
    #[error("the cursor was issued too long ago")]
    Expired,
}

/// Seals the cursors of one query of one tenant.
#[derive(Debug)]
pub(crate) struct Seal {
    key: LessSafeKey,
    /// What a cursor is only good for.
    query: [u8; 32],
}

impl Seal {
    /// `query` is what has to stay the same from page to page, the tenant included, part by part.
    pub(crate) fn new(key: &DatabaseKey, query: &[&str]) -> Result<Seal, CursorError> {
        let key = blake3::derive_key("scimesh 2026-11 SCIM cursors", key.as_bytes());
        // Fails only for a key of another length.
        let key = UnboundKey::new(&CHACHA20_POLY1305, &key).map_err(|_| CursorError::Invalid)?;
        let mut hasher = blake3::Hasher::new();
        for part in query {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        Ok(Seal {
            key: LessSafeKey::new(key),
            query: *hasher.finalize().as_bytes(),
        })
    }

    /// The cursor's text, of the characters that need no escape in a URL.
    pub(crate) fn close(&self, cursor: &Cursor) -> Result<String, CursorError> {
        // A nonce by chance is fine for some 2^32 cursors.
        let nonce: [u8; NONCE_LEN] = rand::random();
        let mut sealed = cursor.to_bytes();
        let (bound, aad) = (Nonce::assume_unique_for_key(nonce), Aad::from(&self.query));
        let closed = self.key.seal_in_place_append_tag(bound, aad, &mut sealed);
        // Fails only for a text of gigabytes.
        closed.map_err(|_| CursorError::Invalid)?;
        Ok(URL_SAFE_NO_PAD.encode([&nonce, sealed.as_slice()].concat()))
    }

    /// What the text says, if it was issued for this query no longer ago than `timeout`.
    pub(crate) fn open(
        &self,
        text: &str,
        now: Timestamp,
        timeout: Duration,
    ) -> Result<Cursor, CursorError> {
        let sealed = URL_SAFE_NO_PAD.decode(text);
        let sealed = sealed.map_err(|_| CursorError::Invalid)?;
        let (nonce, sealed) = sealed.split_first_chunk().ok_or(CursorError::Invalid)?;
        let mut sealed = sealed.to_vec();
        let (nonce, aad) = (Nonce::assume_unique_for_key(*nonce), Aad::from(&self.query));
        let opened = self.key.open_in_place(nonce, aad, &mut sealed);
        let cursor = Cursor::from_bytes(opened.map_err(|_| CursorError::Invalid)?);
        let cursor = cursor.ok_or(CursorError::Invalid)?;
        match now.duration_since(cursor.issued).unsigned_abs() >= timeout {
            true => Err(CursorError::Expired),
            false => Ok(cursor),
        }
    }
}

impl Cursor {
    fn to_bytes(&self) -> Vec<u8> {
        let kind = match self.after.kind {
            Kind::User => 0,
            Kind::Group => 1,
        };
        let mut bytes = vec![kind];
        bytes.extend(self.after.slot.0.to_le_bytes());
        bytes.extend((self.count as u64).to_le_bytes());
        bytes.extend(self.issued.as_millisecond().to_le_bytes());
        if let Some(key) = &self.after.key {
            bytes.push(1);
            bytes.extend(key);
        }
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Cursor> {
        let (kind, bytes) = bytes.split_first()?;
        let (slot, bytes) = bytes.split_first_chunk()?;
        let (count, bytes) = bytes.split_first_chunk()?;
        let (issued, bytes) = bytes.split_first_chunk()?;
        Some(Cursor {
            after: Position {
                kind: match kind {
                    0 => Kind::User,
                    1 => Kind::Group,
                    _ => return None,
                },
                slot: Slot(u32::from_le_bytes(*slot)),
                key: bytes.split_first().map(|(_, key)| key.into()),
            },
            count: usize::try_from(u64::from_le_bytes(*count)).ok()?,
            issued: Timestamp::from_millisecond(i64::from_le_bytes(*issued)).ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn seal(query: &[&str]) -> Seal {
        Seal::new(&DatabaseKey::new([7; 32]), query).unwrap()
    }

    fn cursor(key: Option<&str>) -> Cursor {
        Cursor {
            after: Position {
                key: key.map(|key| key.as_bytes().into()),
                kind: Kind::Group,
                slot: Slot(0x0102_0304),
            },
            count: 100,
            issued: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn rfc9865_a_cursor_opens_for_its_own_query_alone() {
        let query = ["corp", "/Users", "title pr", ""];
        for key in [None, Some(""), Some("title")] {
            let cursor = cursor(key);
            let text = seal(&query).close(&cursor).unwrap();
            let now = cursor.issued;
            assert_eq!(seal(&query).open(&text, now, HOUR), Ok(cursor));
            let others = [
                ["other", "/Users", "title pr", ""],
                ["corp", "/Groups", "title pr", ""],
                ["corp", "/Users", "title p", "r"],
            ];
            for other in others {
                let opened = seal(&other).open(&text, now, HOUR);
                assert_eq!(opened, Err(CursorError::Invalid), "{other:?}");
            }
            let elsewhere = Seal::new(&DatabaseKey::new([8; 32]), &query).unwrap();
            assert_eq!(elsewhere.open(&text, now, HOUR), Err(CursorError::Invalid));
        }
    }

    #[test]
    fn rfc9865_a_cursor_expires() {
        let seal = seal(&[]);
        let text = seal.close(&cursor(None)).unwrap();
        let open = |seconds| {
            let now = Timestamp::from_second(seconds).unwrap();
            seal.open(&text, now, HOUR).map(|_| ())
        };
        assert_eq!(open(3599), Ok(()));
        assert_eq!(open(3600), Err(CursorError::Expired));
    }

    #[test]
    fn rfc9865_a_cursor_needs_no_escape_and_two_are_never_alike() {
        let seal = seal(&[]);
        let texts = [(); 2].map(|()| seal.close(&cursor(Some("ö&?"))).unwrap());
        assert_ne!(texts[0], texts[1]);
        let unreserved = |c: char| c.is_ascii_alphanumeric() || "-._~".contains(c);
        assert!(texts.concat().chars().all(unreserved));
    }

    proptest! {
        #[test]
        fn no_text_panics_or_opens(text: String, bytes: Vec<u8>, at: prop::sample::Index, bit in 0..8_u8) {
            let seal = seal(&[]);
            let now = Timestamp::UNIX_EPOCH;
            prop_assert!(seal.open(&text, now, HOUR).is_err());
            prop_assert!(seal.open(&URL_SAFE_NO_PAD.encode(bytes), now, HOUR).is_err());
            let whole = seal.close(&cursor(Some("key"))).unwrap();
            let mut changed = URL_SAFE_NO_PAD.decode(&whole).unwrap();
            let at = at.index(changed.len());
            changed[at] ^= 1 << bit;
            prop_assert!(seal.open(&URL_SAFE_NO_PAD.encode(changed), now, HOUR).is_err());
        }
    }
}
