//! The claims of the token that Envoy's jwt_authn has verified, read from its metadata and from nowhere else.
//!
//! The host gives a property's bytes without its type. A number is eight bytes and a bool is one, so that a numeric
//! claim can spell a string; lists and objects always contain NUL. Only where that is ambiguous, all of the request's
//! metadata is read as a message, which keeps types.

use std::cell::OnceCell;

use prost::Message;
use scimesh_engine::{Claim, Claims};

use crate::headers::for_each;
use crate::host::HostError;

/// The filter whose metadata holds the claims; Istio's name for it is the same.
const JWT_AUTHN: &str = "envoy.filters.http.jwt_authn";
/// Its key for the token's payload, set by `payload_in_metadata`.
const PAYLOAD: &str = "payload";
/// The claim that tells tokens of different identity providers apart.
const ISSUER: &str = "iss";
/// Names claims that are too large for the token, and says where they are to be had (OpenID Connect Core section 5.6.2).
const ELSEWHERE: &str = "_claim_names";
/// Entra's word for the same, in tokens that a browser is handed in a URL.
const HAS_GROUPS: &str = "hasgroups";
/// Groups that a token lists at most, and bytes of the list: of what is larger nothing is known.
const MAX_GROUPS: usize = 1024;
const MAX_LIST_BYTES: usize = 64 << 10;

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

    /// The groups that a token lists in a claim of this name; a lone text is one group. None: it does not say, because the claim is absent, or
    /// elsewhere, or no list of texts, or too large.
    pub(crate) fn groups(&self, name: &str) -> Option<Vec<Vec<u8>>> {
        if name.is_empty() || name.contains('\0') {
            return None;
        }
        let read = |path: &[&str]| {
            let mut full = vec!["metadata", "filter_metadata", JWT_AUTHN, PAYLOAD];
            full.extend(path);
            (self.property)(&full)
        };
        let listed = match read(&[name]).ok()?? {
            bytes if bytes.len() > MAX_LIST_BYTES => return None,
            bytes if matches!(*bytes, [0 | 1] | [_, _, _, _, _, _, _, _]) => {
                match self.typed(name) {
                    Claim::Text(text) => vec![text],
                    _ => return None,
                }
            }
            bytes if bytes.contains(&0) => items(&bytes)?,
            bytes => vec![bytes],
        };
        let there = |path: &[&str]| read(path) != Ok(None);
        let elsewhere = there(&[ELSEWHERE, name]) || there(&[HAS_GROUPS]);
        (!elsewhere).then_some(listed)
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

/// The texts of a list, which the host gives as a header map: items for names, and empty values. A number among them has eight bytes, mostly
/// with a NUL; an object has values.
fn items(list: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut items = Vec::new();
    let mut texts = true;
    for_each(list, |item, value| {
        texts &= value.is_empty() && !item.contains(&0) && items.len() < MAX_GROUPS;
        if texts {
            items.push(item.to_vec());
        }
    })?;
    texts.then_some(items)
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

    type Property = Result<Option<Vec<u8>>, HostError>;

    /// A host whose jwt_authn has verified a token of these claims: as bytes, and as what their type is.
    fn token(
        claims: &[(&str, &[u8], Option<Kind>)],
    ) -> Option<Token<impl Fn(&[&str]) -> Property + use<>>> {
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
                // Only its keys are asked for.
                [
                    "metadata",
                    "filter_metadata",
                    JWT_AUTHN,
                    PAYLOAD,
                    object,
                    key,
                ] => claims
                    .iter()
                    .find(|(known, bytes)| known == object && bytes == key.as_bytes())
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

    /// A list as the host gives it.
    fn list(items: &[&[u8]]) -> Vec<u8> {
        let mut bytes = Vec::from((items.len() as u32).to_le_bytes());
        for item in items {
            bytes.extend((item.len() as u32).to_le_bytes());
            bytes.extend([0; 4]);
        }
        for item in items {
            bytes.extend(*item);
            bytes.extend([0, 0]);
        }
        bytes
    }

    #[test]
    fn a_token_lists_its_groups_or_says_nothing_of_them() {
        let listed = |bytes: &[u8], kind: Option<Kind>| {
            let token = token(&[("groups", bytes, kind)]).unwrap();
            let listed = token.groups("groups")?;
            let text = |group| String::from_utf8(group).unwrap();
            Some(listed.into_iter().map(text).collect::<Vec<_>>())
        };
        let of = |items: &[&str]| {
            let items: Vec<&[u8]> = items.iter().map(|item| item.as_bytes()).collect();
            listed(&list(&items), None)
        };
        let known = |items: &[&str]| Some(items.iter().map(|item| item.to_string()).collect());
        for items in [&["admins", "contractors"][..], &[""], &[], &["eight by"]] {
            assert_eq!(of(items), known(items));
        }
        // A lone text is one group, whatever its length.
        assert_eq!(listed(b"admins", None), known(&["admins"]));
        let eight = Kind::String(b"auditors".to_vec());
        assert_eq!(listed(b"auditors", Some(eight)), known(&["auditors"]));
        // What is no list of texts says nothing.
        let spelt = f64::from_le_bytes(*b"auditors");
        assert_eq!(listed(b"auditors", Some(Kind::Number(spelt))), None);
        assert_eq!(listed(&[1], Some(Kind::Bool(true))), None);
        assert_eq!(listed(&list(&[&7f64.to_le_bytes()]), None), None);
        let object = b"\x01\0\0\0\x06\0\0\0\x01\0\0\0admins\0x\0";
        assert_eq!(listed(object, None), None);
    }

    #[test]
    fn a_token_that_leaves_its_groups_out_says_nothing_of_them() {
        let admins = list(&[b"admins"]);
        let groups = ("groups", admins.as_slice(), None);
        assert!(
            token(std::slice::from_ref(&groups))
                .unwrap()
                .groups("groups")
                .is_some()
        );
        assert_eq!(
            token(std::slice::from_ref(&groups))
                .unwrap()
                .groups("roles"),
            None
        );
        assert_eq!(
            token(std::slice::from_ref(&groups)).unwrap().groups(""),
            None
        );
        for (claim, value, tells) in [
            ("_claim_names", &b"groups"[..], false),
            ("_claim_names", b"roles", true),
            ("hasgroups", &[1], false),
        ] {
            let token = token(&[groups.clone(), (claim, value, None)]).unwrap();
            assert_eq!(token.groups("groups").is_some(), tells, "{claim} {value:?}");
        }
    }

    #[test]
    fn a_list_that_is_too_long_or_broken_says_nothing() {
        let count = |count: usize| {
            let items = vec![&b"admins"[..]; count];
            token(&[("groups", &list(&items), None)])
                .unwrap()
                .groups("groups")
        };
        assert_eq!(count(MAX_GROUPS).unwrap().len(), MAX_GROUPS);
        assert_eq!(count(MAX_GROUPS + 1), None);
        let long = |bytes: usize| {
            let text = vec![b'a'; bytes];
            token(&[("groups", &text, None)]).unwrap().groups("groups")
        };
        assert!(long(MAX_LIST_BYTES).is_some());
        assert_eq!(long(MAX_LIST_BYTES + 1), None);
        let whole = list(&[b"admins", b"contractors"]);
        for size in 4..whole.len() {
            // Eight bytes might be a number.
            let token = token(&[("groups", &whole[..size], None)]).unwrap();
            assert_eq!(token.groups("groups"), None, "{size}");
        }
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
