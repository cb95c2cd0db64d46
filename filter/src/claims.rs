//! The claims of the token that Envoy's jwt_authn has verified, read from its metadata and from nowhere else.
//!
//! The host gives a property's bytes without its type. A number is eight bytes and a bool is one, so that a numeric
//! claim can spell a string; lists and objects always contain NUL. Only where that is ambiguous, all of the request's
//! metadata is read as a message, which keeps types.

use std::cell::OnceCell;

use prost::Message;
use scimesh_engine::{Claim, Claims};

use crate::host::HostError;

/// The filter whose metadata holds the claims; Istio's name for it is the same.
const JWT_AUTHN: &str = "envoy.filters.http.jwt_authn";
/// Its key for the token's payload, set by `payload_in_metadata`.
const PAYLOAD: &str = "payload";
/// The claim that tells tokens of different identity providers apart.
const ISSUER: &str = "iss";

/// A verified token. `P` asks the host for a property.
pub(crate) struct Token<P> {
    property: P,
    /// Every decision asks for it, and it also tells whether there is a token.
    issuer: OnceCell<Claim>,
}

impl<P: Fn(&[&str]) -> Result<Option<Vec<u8>>, HostError>> Token<P> {
    /// The request's token, or none if jwt_authn verified none.
    pub(crate) fn of_request(property: P) -> Option<Token<P>> {
        let token = Token {
            property,
            issuer: OnceCell::new(),
        };
        let there = token.claim(ISSUER) != Claim::Absent
            || (token.property)(&["metadata", "filter_metadata", JWT_AUTHN, PAYLOAD])
                .is_ok_and(|payload| payload.is_some());
        there.then_some(token)
    }

    fn read(&self, name: &str) -> Claim {
        if name.is_empty() || name.contains('\0') {
            // No step of a property's path: the host would answer for the whole payload, or for another claim.
            return Claim::Absent;
        }
        let path = ["metadata", "filter_metadata", JWT_AUTHN, PAYLOAD, name];
        match (self.property)(&path) {
            Ok(None) => Claim::Absent,
            // Null has no bytes.
            Err(_) => Claim::Other,
            Ok(Some(bytes)) => match bytes.as_slice() {
                [0 | 1] | [_, _, _, _, _, _, _, _] => self.typed(name),
                bytes if bytes.contains(&0) => Claim::Other,
                _ => Claim::Text(bytes),
            },
        }
    }

    fn typed(&self, name: &str) -> Claim {
        match (self.property)(&["metadata"]) {
            Ok(Some(bytes)) => claim_in(&bytes, name).unwrap_or(Claim::Other),
            _ => Claim::Other,
        }
    }
}

impl<P: Fn(&[&str]) -> Result<Option<Vec<u8>>, HostError>> Claims for Token<P> {
    fn claim(&self, name: &str) -> Claim {
        if name == ISSUER {
            return self.issuer.get_or_init(|| self.read(name)).clone();
        }
        self.read(name)
    }
}

fn claim_in(metadata: &[u8], name: &str) -> Option<Claim> {
    let metadata = wire::Metadata::decode(metadata).ok()?;
    let filter = metadata
        .filter_metadata
        .iter()
        .find(|entry| entry.key == JWT_AUTHN.as_bytes())?;
    let payload = filter.value.as_ref()?.field(PAYLOAD)?;
    let Some(wire::Kind::Struct(payload)) = &payload.kind else {
        return None;
    };
    match payload.field(name)?.kind.as_ref()? {
        wire::Kind::String(text) if !text.contains(&0) => Some(Claim::Text(text.clone())),
        wire::Kind::Number(number) => Some(Claim::Number(*number)),
        wire::Kind::Bool(bool) => Some(Claim::Bool(*bool)),
        _ => None,
    }
}

/// As much of `envoy.config.core.v3.Metadata` and `google.protobuf.Struct` as a claim needs. Strings are bytes here, so
/// that one that is not UTF-8, anywhere in the metadata, does not hide the others.
mod wire {
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Metadata {
        #[prost(message, repeated, tag = "1")]
        pub(super) filter_metadata: Vec<FilterEntry>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct FilterEntry {
        #[prost(bytes = "vec", tag = "1")]
        pub(super) key: Vec<u8>,
        #[prost(message, optional, tag = "2")]
        pub(super) value: Option<Struct>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Struct {
        #[prost(message, repeated, tag = "1")]
        pub(super) fields: Vec<Field>,
    }

    impl Struct {
        pub(super) fn field(&self, name: &str) -> Option<&Value> {
            let field = self
                .fields
                .iter()
                .find(|field| field.key == name.as_bytes())?;
            field.value.as_ref()
        }
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Field {
        #[prost(bytes = "vec", tag = "1")]
        pub(super) key: Vec<u8>,
        #[prost(message, optional, tag = "2")]
        pub(super) value: Option<Value>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Value {
        #[prost(oneof = "Kind", tags = "2, 3, 4, 5")]
        pub(super) kind: Option<Kind>,
    }

    /// Null and lists are left out: no claim that matters is one.
    #[derive(Clone, PartialEq, prost::Oneof)]
    pub(super) enum Kind {
        #[prost(double, tag = "2")]
        Number(f64),
        #[prost(bytes, tag = "3")]
        String(Vec<u8>),
        #[prost(bool, tag = "4")]
        Bool(bool),
        #[prost(message, tag = "5")]
        Struct(Struct),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::{Field, FilterEntry, Kind, Metadata, Struct, Value};

    fn value(kind: Option<Kind>) -> Option<Value> {
        Some(Value { kind })
    }

    fn object(fields: Vec<(&str, Option<Kind>)>) -> Struct {
        let fields = fields.into_iter().map(|(key, kind)| Field {
            key: key.into(),
            value: value(kind),
        });
        Struct {
            fields: fields.collect(),
        }
    }

    /// A host whose jwt_authn has verified a token of these claims: as bytes, and as what their type is.
    fn token(claims: &[(&str, &[u8], Option<Kind>)]) -> Option<impl Claims + use<>> {
        let payload = object(claims.iter().map(|(n, _, k)| (*n, k.clone())).collect());
        let entry = FilterEntry {
            key: JWT_AUTHN.into(),
            value: Some(object(vec![(PAYLOAD, Some(Kind::Struct(payload)))])),
        };
        let metadata = Metadata {
            filter_metadata: vec![entry],
        };
        let claims: Vec<(String, Vec<u8>)> = claims
            .iter()
            .map(|(name, bytes, _)| (name.to_string(), bytes.to_vec()))
            .collect();
        Token::of_request(move |path: &[&str]| {
            Ok(match path {
                ["metadata"] => Some(metadata.encode_to_vec()),
                ["metadata", "filter_metadata", JWT_AUTHN, PAYLOAD] => Some(vec![0]),
                ["metadata", "filter_metadata", JWT_AUTHN, PAYLOAD, name] => claims
                    .iter()
                    .find(|(known, _)| known == name)
                    .map(|(_, bytes)| bytes.clone()),
                _ => None,
            })
        })
    }

    #[test]
    fn a_number_that_spells_a_string_is_no_string() {
        let bytes = b"alice-01";
        let spelt = f64::from_le_bytes(*bytes);
        let number = token(&[("sub", bytes, Some(Kind::Number(spelt)))]).unwrap();
        assert_eq!(number.claim("sub"), Claim::Number(spelt));
        let text = token(&[("sub", bytes, Some(Kind::String(bytes.to_vec())))]).unwrap();
        assert_eq!(text.claim("sub"), Claim::Text(bytes.to_vec()));
    }

    #[test]
    fn a_bool_is_a_bool_and_a_digit_is_a_string() {
        let token = token(&[
            ("email_verified", &[1], Some(Kind::Bool(true))),
            ("no", &[0], Some(Kind::Bool(false))),
            ("control", &[1], Some(Kind::String(vec![1]))),
            ("digit", b"1", None),
        ])
        .unwrap();
        assert_eq!(token.claim("email_verified"), Claim::Bool(true));
        assert_eq!(token.claim("no"), Claim::Bool(false));
        assert_eq!(token.claim("control"), Claim::Text(vec![1]));
        assert_eq!(token.claim("digit"), Claim::Text(b"1".to_vec()));
    }

    #[test]
    fn what_contains_nul_is_no_string() {
        let list = b"\x01\0\0\0\x05\0\0\0\0\0\0\0admin\0\0";
        let eight = b"abc\0defg";
        let token = token(&[
            ("groups", list, None),
            ("nul", b"admin\0", Some(Kind::String(b"admin\0".to_vec()))),
            ("eight", eight, Some(Kind::String(eight.to_vec()))),
        ])
        .unwrap();
        for claim in ["groups", "nul", "eight"] {
            assert_eq!(token.claim(claim), Claim::Other, "{claim}");
        }
    }

    #[test]
    fn an_absent_claim_is_absent_and_no_name_reaches_another_claim() {
        let token = token(&[("a", b"x", None)]).unwrap();
        assert_eq!(token.claim("b"), Claim::Absent);
        assert_eq!(token.claim(""), Claim::Absent);
        assert_eq!(token.claim("a\0b"), Claim::Absent);
    }

    #[test]
    fn a_token_without_issuer_is_a_token_and_no_metadata_is_none() {
        assert!(token(&[("sub", b"x", None)]).is_some());
        assert!(Token::of_request(|_: &[&str]| Ok(None)).is_none());
    }

    #[test]
    fn what_another_filter_says_is_no_claim() {
        let said = |key: &str, sub: &[u8]| {
            let payload = object(vec![("sub", Some(Kind::String(sub.to_vec())))]);
            FilterEntry {
                key: key.into(),
                value: Some(object(vec![(PAYLOAD, Some(Kind::Struct(payload)))])),
            }
        };
        let mut metadata = Metadata {
            filter_metadata: vec![said("envoy.lb", b"mallory1")],
        };
        assert_eq!(claim_in(&metadata.encode_to_vec(), "sub"), None);
        metadata.filter_metadata.push(said(JWT_AUTHN, b"alice-01"));
        assert_eq!(
            claim_in(&metadata.encode_to_vec(), "sub"),
            Some(Claim::Text(b"alice-01".to_vec()))
        );
    }

    #[test]
    fn metadata_that_does_not_decode_gives_nothing() {
        for bytes in [&b"\xff\xff"[..], b"", &[0x0a, 0x7f]] {
            assert_eq!(claim_in(bytes, "sub"), None);
        }
    }
}
