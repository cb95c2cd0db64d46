//! A policy as it is written: the fields of `pluginConfig`, before anything is checked across them.
//!
//! What the comments say of a field is its description in `docs/policy.schema.json`.

use std::time::Duration;

use serde::Deserialize;

use super::Mode;
use super::requirement::Condition;
#[cfg(feature = "schema")]
use super::schema;
use super::strict::{NonEmpty, Object, present};
use crate::duration::{InvalidDuration, parse_duration};
use crate::matching::Operation;

/// The `pluginConfig` of one Scimesh filter: who may do what behind this proxy.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct Policy {
    /// Tells several policies on one proxy apart: all must allow, each with a verdict of its own, `scimesh_verdict_NAME`.
    #[serde(default, deserialize_with = "present")]
    #[cfg_attr(feature = "schema", schemars(regex(pattern = schema::NAME)))]
    pub(crate) name: Option<String>,
    /// Whose directory. All terms are this tenant's; a subject of another tenant is nobody here.
    #[cfg_attr(feature = "schema", schemars(regex(pattern = schema::TENANT)))]
    pub(crate) tenant: String,
    /// Where the feeder is.
    pub(crate) feed: Object<Feed>,
    /// What becomes of requests that arrive before the first snapshot.
    #[serde(default, deserialize_with = "present")]
    pub(crate) hold: Option<Object<Hold>>,
    /// The lease: how long the filter goes on deciding without hearing from the feeder that it is current. 5m if absent, at least 5s, at most 168h.
    #[serde(default, deserialize_with = "present")]
    pub(crate) max_staleness: Option<Span>,
    /// ENFORCE if absent. SHADOW: decide and record everything, refuse nothing for any reason.
    #[serde(default, deserialize_with = "present")]
    pub(crate) mode: Option<Mode>,
    /// Whether a request that is still open when its token expires, or grows too old for the rule, is ended then. true if absent.
    #[serde(default, deserialize_with = "present")]
    pub(crate) cut_at_expiry: Option<bool>,
    /// What the upstream is told, and under which names. What a client sends under them is removed.
    #[serde(default, deserialize_with = "present")]
    pub(crate) headers: Option<Object<Headers>>,
    /// The first whose `to` matches decides, alone. What none matches is refused.
    #[cfg_attr(feature = "schema", schemars(length(max = 256)))]
    pub(crate) rules: NonEmpty<Object<Rule>>,
}

/// Where the feeder is.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct Feed {
    /// Envoy's cluster of the feeder.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub(crate) cluster: String,
    /// The `:authority` of the feed's requests. If absent: the host in `outbound|PORT|SUBSET|HOST`, else the cluster's name.
    #[serde(default, deserialize_with = "present")]
    #[cfg_attr(feature = "schema", schemars(regex(pattern = schema::AUTHORITY)))]
    pub(crate) authority: Option<String>,
    /// Memory that the content may take in a VM, while it is replaced too: 512 MiB if absent. What does not fit is refused, and what is
    /// held decides until its lease ends.
    #[serde(default, rename = "maxMemoryMiB", deserialize_with = "present")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 896)))]
    pub(crate) max_memory_mib: Option<u32>,
}

/// How long, and how many, requests wait in a VM for its first snapshot.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct Hold {
    /// 2s if absent, at most 60s.
    #[serde(default, deserialize_with = "present")]
    pub(crate) timeout: Option<Span>,
    /// 256 if absent.
    #[serde(default, deserialize_with = "present")]
    #[cfg_attr(feature = "schema", schemars(range(max = 65536)))]
    pub(crate) requests: Option<u32>,
}

/// The names of the headers that tell the upstream, each if it is given; no two alike.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(extend("minProperties" = 1))
)]
pub(crate) struct Headers {
    /// The claim's value that names the user.
    #[serde(default, deserialize_with = "present")]
    #[cfg_attr(feature = "schema", schemars(regex(pattern = schema::HEADER)))]
    pub(crate) subject: Option<String>,
    /// The token's `iss`.
    #[serde(default, deserialize_with = "present")]
    #[cfg_attr(feature = "schema", schemars(regex(pattern = schema::HEADER)))]
    pub(crate) issuer: Option<String>,
    /// The name of the rule that decided.
    #[serde(default, deserialize_with = "present")]
    #[cfg_attr(feature = "schema", schemars(regex(pattern = schema::HEADER)))]
    pub(crate) rule: Option<String>,
    /// Which of the policy's groups the user is in.
    #[serde(default, deserialize_with = "present")]
    #[cfg_attr(feature = "schema", schemars(regex(pattern = schema::HEADER)))]
    pub(crate) groups: Option<String>,
}

/// Either `allow` or `require`, for the requests that `to` matches.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(extend("oneOf" = schema::effects()))
)]
pub(crate) struct Rule {
    /// Unique; a metric label.
    #[cfg_attr(feature = "schema", schemars(regex(pattern = schema::NAME)))]
    pub(crate) name: String,
    /// Which requests: operations, of which one must match.
    pub(crate) to: NonEmpty<Object<Operation>>,
    /// PUBLIC: everybody, without token, snapshot or lease. NOBODY.
    #[serde(default, deserialize_with = "present")]
    pub(crate) allow: Option<Allow>,
    /// What the user, the workload, or both must hold.
    #[serde(default, deserialize_with = "present")]
    pub(crate) require: Option<Object<Require>>,
    /// Stricter than the policy's: at least 5s, at most the policy's.
    #[serde(default, deserialize_with = "present")]
    pub(crate) max_staleness: Option<Span>,
    /// How long ago the token may have been issued.
    #[serde(default, deserialize_with = "present")]
    pub(crate) max_token_age: Option<Span>,
    /// SHADOW: evaluated and recorded, and skipped; the next rule decides.
    #[serde(default, deserialize_with = "present")]
    pub(crate) mode: Option<Mode>,
}

/// The lists are about the token's user, who must be known and active. All that are present must hold.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(extend("minProperties" = 1))
)]
pub(crate) struct Require {
    /// At least one of these.
    #[serde(default, deserialize_with = "present")]
    pub(crate) any_of: Option<NonEmpty<Condition>>,
    /// Each of these.
    #[serde(default, deserialize_with = "present")]
    pub(crate) all_of: Option<NonEmpty<Condition>>,
    /// None of these.
    #[serde(default, deserialize_with = "present")]
    #[cfg_attr(feature = "schema", schemars(schema_with = "schema::terms"))]
    pub(crate) none_of: Option<NonEmpty<Condition>>,
    /// What the mTLS peer must hold.
    #[serde(default, deserialize_with = "present")]
    pub(crate) workload: Option<Object<RequireWorkload>>,
}

/// The lists are about the mTLS peer, which must be a known, active service account. All that are present must hold.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(extend("minProperties" = 1))
)]
pub(crate) struct RequireWorkload {
    /// At least one of these.
    #[serde(default, deserialize_with = "present")]
    pub(crate) any_of: Option<NonEmpty<Condition>>,
    /// Each of these.
    #[serde(default, deserialize_with = "present")]
    pub(crate) all_of: Option<NonEmpty<Condition>>,
    /// None of these.
    #[serde(default, deserialize_with = "present")]
    #[cfg_attr(feature = "schema", schemars(schema_with = "schema::terms"))]
    pub(crate) none_of: Option<NonEmpty<Condition>>,
}

/// `allow`: the rules that look at no user.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
pub(crate) enum Allow {
    Public,
    Nobody,
}

impl TryFrom<String> for Allow {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        match text.as_str() {
            "PUBLIC" => Ok(Allow::Public),
            "NOBODY" => Ok(Allow::Nobody),
            _ => Err("PUBLIC or NOBODY"),
        }
    }
}

impl TryFrom<String> for Mode {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        match text.as_str() {
            "ENFORCE" => Ok(Mode::Enforce),
            "SHADOW" => Ok(Mode::Shadow),
            _ => Err("ENFORCE or SHADOW"),
        }
    }
}

/// A duration, as text.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Span(pub(crate) Duration);

impl TryFrom<String> for Span {
    type Error = InvalidDuration;

    fn try_from(text: String) -> Result<Self, InvalidDuration> {
        parse_duration(&text).map(Span)
    }
}
