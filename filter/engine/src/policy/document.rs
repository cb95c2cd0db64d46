//! A policy as it is written: the fields of `pluginConfig`, before anything is checked across them.

use std::time::Duration;

use serde::Deserialize;

use super::Mode;
use super::requirement::Condition;
use super::strict::{NonEmpty, Object, present};
use crate::duration::{InvalidDuration, parse_duration};
use crate::matching::Operation;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Policy {
    #[serde(default, deserialize_with = "present")]
    pub(crate) name: Option<String>,
    pub(crate) tenant: String,
    pub(crate) feed: Object<Feed>,
    #[serde(default, deserialize_with = "present")]
    pub(crate) hold: Option<Object<Hold>>,
    #[serde(default, deserialize_with = "present")]
    pub(crate) max_staleness: Option<Span>,
    #[serde(default, deserialize_with = "present")]
    pub(crate) mode: Option<Mode>,
    #[serde(default, deserialize_with = "present")]
    pub(crate) headers: Option<Object<Headers>>,
    pub(crate) rules: NonEmpty<Object<Rule>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Feed {
    pub(crate) cluster: String,
    #[serde(default, deserialize_with = "present")]
    pub(crate) authority: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Hold {
    #[serde(default, deserialize_with = "present")]
    pub(crate) timeout: Option<Span>,
    #[serde(default, deserialize_with = "present")]
    pub(crate) requests: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Headers {
    #[serde(default, deserialize_with = "present")]
    pub(crate) subject: Option<String>,
    #[serde(default, deserialize_with = "present")]
    pub(crate) issuer: Option<String>,
    #[serde(default, deserialize_with = "present")]
    pub(crate) rule: Option<String>,
    #[serde(default, deserialize_with = "present")]
    pub(crate) groups: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Rule {
    pub(crate) name: String,
    pub(crate) to: NonEmpty<Object<Operation>>,
    #[serde(default, deserialize_with = "present")]
    pub(crate) allow: Option<Allow>,
    #[serde(default, deserialize_with = "present")]
    pub(crate) require: Option<Object<Require>>,
    #[serde(default, deserialize_with = "present")]
    pub(crate) max_staleness: Option<Span>,
    #[serde(default, deserialize_with = "present")]
    pub(crate) max_token_age: Option<Span>,
    #[serde(default, deserialize_with = "present")]
    pub(crate) mode: Option<Mode>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Require {
    #[serde(default, deserialize_with = "present")]
    pub(crate) any_of: Option<NonEmpty<Condition>>,
    #[serde(default, deserialize_with = "present")]
    pub(crate) all_of: Option<NonEmpty<Condition>>,
    #[serde(default, deserialize_with = "present")]
    pub(crate) none_of: Option<NonEmpty<Condition>>,
    #[serde(default, deserialize_with = "present")]
    pub(crate) workload: Option<Object<RequireWorkload>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RequireWorkload {
    #[serde(default, deserialize_with = "present")]
    pub(crate) any_of: Option<NonEmpty<Condition>>,
    #[serde(default, deserialize_with = "present")]
    pub(crate) all_of: Option<NonEmpty<Condition>>,
    #[serde(default, deserialize_with = "present")]
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
