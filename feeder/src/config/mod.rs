//! The file of `scimesh apply` and `serve --config`: tenants and their bindings as they shall be. YAML or JSON.
//! It owns the file's shape and its errors; how the directory is brought there is `admin::reconcile`'s.
//!
//! ```yaml
//! tenants:
//!   corp:
//!     bindings:
//!     - issuer: https://idp.example.com
//!       claim: oid                        # sub if absent
//!       attribute: externalId             # externalId if absent; userName, id, emails.value
//!       pin: { claim: tid, value: 4f1c }  # if tenants share the issuer
//!       groupsClaim: groups               # where tokens list groups, to be compared with the directory
//!       groupsClaimIs: displayName        # or externalId: by what
//!     - trustDomain: cluster.local        # workloads, by their SPIFFE ids
//!       attribute: externalId             # or userName
//!     extensions:                         # as they are, if absent
//!     - resource: User
//!       schema: { id: "urn:example:badge", attributes: [{ name: number, type: integer }] }
//! feedAccess:                           # as it is, if absent
//! - peer: spiffe://cluster.local/ns/shop/sa/*
//!   tenants: [corp]
//! ```
//!
//! The same shapes travel between the command line and the feeder (`admin::wire`).

mod binding;

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use scimesh_proto::binding::Voucher;
use serde::{Deserialize, Deserializer, Serialize};

pub use binding::{
    BindingForm, DEFAULT_ATTRIBUTE, DEFAULT_CLAIM, PinForm, unknown_attribute, unknown_group_name,
};

use crate::access::Rules;
use crate::schema::{Kind, Schema};

/// A file with a terabyte of tenants is a mistake; no more than this is read.
const MAX_FILE_BYTES: u64 = 16 << 20;

/// Every tenant that shall be, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Desired {
    /// By name.
    pub tenants: BTreeMap<String, DesiredTenant>,
    /// All rules of who may follow what of the feed: others are removed. None: they stay as they are.
    #[serde(
        default,
        deserialize_with = "there",
        rename = "feedAccess",
        skip_serializing_if = "Option::is_none"
    )]
    pub feed_access: Option<Rules>,
}

/// One tenant that shall be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DesiredTenant {
    /// All of its bindings: others that it has are removed.
    #[serde(default)]
    pub bindings: Vec<BindingForm>,
    /// All of the schemas that it defines: others that it has are removed. None: they stay as they are.
    #[serde(
        default,
        deserialize_with = "there",
        skip_serializing_if = "Option::is_none"
    )]
    pub extensions: Option<Vec<ExtensionForm>>,
}

/// A schema that a tenant defines, and what it extends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExtensionForm {
    /// Of which resources.
    pub resource: Kind,
    /// As RFC 7643 section 7 shows one.
    pub schema: Schema,
}

/// A list that is there. One whose items were commented out is null, and an error: it might mean none of them, or as they are.
fn there<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

/// Why a file says nothing that could be applied.
#[derive(Debug, thiserror::Error)]
pub enum BadFile {
    /// It could not be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is larger than any honest one.
    #[error("{} is larger than {} MiB", .0.display(), MAX_FILE_BYTES >> 20)]
    TooLarge(PathBuf),
    /// It does not parse.
    #[error("{}: {why}", path.display())]
    Malformed {
        /// Which.
        path: PathBuf,
        /// Line, column, what is wrong.
        why: String,
    },
}

/// Reads a file whole; `-` is standard input.
pub(crate) fn read(path: &Path) -> Result<String, BadFile> {
    let unreadable = |source| BadFile::Unreadable {
        path: path.to_owned(),
        source,
    };
    let mut text = String::new();
    let read = if path == Path::new("-") {
        std::io::stdin()
            .take(MAX_FILE_BYTES + 1)
            .read_to_string(&mut text)
    } else {
        std::fs::File::open(path)
            .and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text))
    };
    read.map_err(unreadable)?;
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(BadFile::TooLarge(path.to_owned()));
    }
    Ok(text)
}

/// The schema that a file of `scimesh extension set` defines, YAML or JSON. Whether a tenant can have it is the feeder's to say.
pub fn read_schema(path: &Path) -> Result<Schema, BadFile> {
    serde_saphyr::from_str(&read(path)?).map_err(|error| BadFile::Malformed {
        path: path.to_owned(),
        why: error.to_string(),
    })
}

impl Desired {
    /// Reads a file; `-` is standard input.
    pub fn read(path: &Path) -> Result<Desired, BadFile> {
        Desired::parse(&read(path)?).map_err(|why| BadFile::Malformed {
            path: path.to_owned(),
            why,
        })
    }

    /// Parses YAML, of which JSON is a part. The error says line and column.
    pub fn parse(text: &str) -> Result<Desired, String> {
        let desired: Desired = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
        for (name, tenant) in &desired.tenants {
            let mut vouchers: Vec<Voucher> =
                tenant.bindings.iter().map(|b| b.0.voucher()).collect();
            vouchers.sort_unstable();
            let mut pairs = vouchers.windows(2);
            if let Some([voucher, _]) = pairs.find(|pair| pair.first() == pair.last()) {
                return Err(format!("tenant {name} has two bindings for {voucher}"));
            }
            let extensions = tenant.extensions.iter().flatten();
            let mut urns: Vec<String> = extensions
                .map(|form| form.schema.urn().to_ascii_lowercase())
                .collect();
            urns.sort_unstable();
            if let Some(twice) = urns.windows(2).find(|pair| pair.first() == pair.last()) {
                let urn = twice.first().map_or("", String::as_str);
                return Err(format!("tenant {name} has two extensions {urn}"));
            }
        }
        Ok(desired)
    }
}

#[cfg(test)]
mod tests {
    use scimesh_proto::binding::{Attribute, Binding, Source};

    use super::*;

    #[test]
    fn what_is_left_out_has_its_default() {
        let desired = Desired::parse(
            "tenants:\n  corp:\n    bindings:\n    - issuer: https://idp.example\n  empty: {}\n",
        )
        .unwrap();
        let expected = Binding {
            source: Source::Token {
                issuer: "https://idp.example".to_owned(),
                claim: "sub".to_owned(),
                pin: None,
                groups: None,
            },
            attribute: Attribute::ExternalId,
            ignore_case: false,
        };
        assert_eq!(desired.tenants["corp"].bindings[0].0, expected);
        assert!(desired.tenants["empty"].bindings.is_empty());
    }

    #[test]
    fn json_is_read_as_well_and_comes_back() {
        let text = r#"{"tenants":{"corp":{"bindings":[{"issuer":"i","claim":"oid","attribute":"emails.value","ignoreCase":true,"pin":{"claim":"tid","value":"1"},"groupsClaim":"groups","groupsClaimIs":"externalId"},{"trustDomain":"cluster.local","attribute":"externalId"}]}}}"#;
        let desired = Desired::parse(text).unwrap();
        assert_eq!(serde_json::to_string(&desired).unwrap(), text);
    }

    #[test]
    fn a_mistake_is_named_with_its_line() {
        for (text, line, word) in [
            ("tenants:\n  corp:\n    binding: []\n", "line 3", "binding"),
            (
                "tenants:\n  corp:\n    bindings:\n    - claim: sub\n",
                "line 4",
                "issuer",
            ),
            (
                "tenants:\n  corp:\n    bindings:\n    - trustDomain: td\n      claim: sub\n",
                "line 4",
                "claim",
            ),
            (
                "tenants:\n  corp:\n    bindings:\n    - trustDomain: td\n      issuer: i\n",
                "line 4",
                "issuer",
            ),
            (
                "tenants:\n  corp:\n    bindings:\n    - trustDomain: TD\n",
                "line 4",
                "trustDomain",
            ),
            (
                "tenants:\n  corp:\n    bindings:\n    - trustDomain: td\n      attribute: email\n",
                "line 4",
                "workload",
            ),
            (
                "tenants:\n  corp:\n    bindings:\n    - issuer: i\n      ignoreCase: true\n",
                "line 4",
                "ignoreCase",
            ),
            (
                "tenants:\n  corp:\n    bindings:\n    - issuer: ''\n",
                "line 4",
                "empty",
            ),
            (
                "tenants:\n  corp:\n    bindings:\n    - issuer: i\n      attribute: name\n",
                "line 5",
                "userName",
            ),
            ("tenants:\n  corp: {}\n  corp: {}\n", "line 3", "corp"),
            (
                "tenants:\n  corp:\n    extensions:\n",
                "line 3",
                "extensions",
            ),
            (
                "tenants:\n  corp:\n    extensions:\n    - resource: Device\n",
                "line 4",
                "Device",
            ),
            (
                "tenants:\n  corp:\n    extensions:\n    - resource: User\n      schema:\n        id: urn:x:y\n        \
                 attributes:\n        - nam: x\n",
                "line 8",
                "nam",
            ),
            (
                "tenants:\n  corp:\n    bindings:\n    - issuer: i\n      pin: { claim: tid }\n",
                "line 5",
                "value",
            ),
            (
                "tenants:\n  corp:\n    bindings:\n    - issuer: i\n      groupsClaim: groups\n",
                "line 4",
                "groupsClaimIs is missing",
            ),
            (
                "tenants:\n  corp:\n    bindings:\n    - issuer: i\n      groupsClaimIs: displayName\n",
                "line 4",
                "groupsClaim is missing",
            ),
            (
                "tenants:\n  corp:\n    bindings:\n    - issuer: i\n      groupsClaim: ''\n      groupsClaimIs: displayName\n",
                "line 4",
                "groupsClaim must not be empty",
            ),
            (
                "tenants:\n  corp:\n    bindings:\n    - issuer: i\n      groupsClaim: groups\n      groupsClaimIs: displayname\n",
                "line 6",
                "groupsClaimIs: `displayname`",
            ),
            (
                "tenants:\n  corp:\n    bindings:\n    - trustDomain: td\n      groupsClaim: groups\n",
                "line 4",
                "groupsClaim means nothing beside trustDomain",
            ),
            (
                "tenants:\n  corp:\n    bindings:\n    - trustDomain: td\n      groupsClaimIs: externalId\n",
                "line 4",
                "groupsClaimIs means nothing beside trustDomain",
            ),
            ("tenants: {}\nfeedAccess:\n", "line 2", "feedAccess"),
            (
                "tenants: {}\nfeedAccess:\n- peer: spiffe://td/x\n",
                "line 3",
                "tenants",
            ),
            (
                "tenants: {}\nfeedAccess:\n- peer: spiffe://td/x\n  tenants: [corp]\n  term: [active]\n",
                "line 5",
                "term",
            ),
            (
                "tenants: {}\nfeedAccess:\n- peer: spiffe://td/x\n  tenants: [corp]\n- peer: spiffe://*/x\n  tenants: [corp]\n",
                "line 3",
                "feedAccess[1].peer",
            ),
        ] {
            let why = Desired::parse(text).unwrap_err();
            assert!(why.contains(line) && why.contains(word), "{text}\n-> {why}");
        }
        let twice = "tenants:\n  corp:\n    bindings:\n    - issuer: i\n    - issuer: i\n      claim: oid\n";
        assert!(
            Desired::parse(twice)
                .unwrap_err()
                .contains("two bindings for the issuer i")
        );
        let twice = "tenants: { corp: { extensions: [
            { resource: User, schema: { id: 'urn:x:y', attributes: [] } },
            { resource: Group, schema: { id: 'URN:x:Y', attributes: [] } } ] } }";
        let why = Desired::parse(twice).unwrap_err();
        assert!(why.contains("two extensions urn:x:y"), "{why}");
        assert!(
            Desired::parse("").is_err(),
            "an empty file is no wish to have no tenants"
        );
    }
}
