//! A policy: an ordered list of rules over one tenant, compiled from `pluginConfig`.
//!
//! Whether bytes are a policy depends on those bytes and nothing else: Envoy's canary and every worker must agree.

mod document;
pub(crate) mod feed;
pub(crate) mod headers;
pub(crate) mod hold;
pub(crate) mod requirement;
mod rule;
#[cfg(feature = "schema")]
pub(crate) mod schema;
pub(crate) mod strict;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::time::Duration;

use scimesh_proto::scope::{Scope, Term};
use serde::Deserialize;

use feed::Feed;
use headers::Headers;
use hold::Hold;
pub(crate) use requirement::{Condition, Requirement, Requirements};
pub(crate) use rule::{Demand, Effect, Rule};
use strict::Object;

/// Bytes of a policy at most.
const MAX_BYTES: usize = 1 << 20;
/// Rules of a policy at most: each is a metric label.
const MAX_RULES: usize = 256;
/// The shortest lease: a feeder's restart should fit into it.
const MIN_STALENESS: Duration = Duration::from_secs(5);
const DEFAULT_STALENESS: Duration = Duration::from_secs(300);

/// Whether decisions are carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(try_from = "String")]
pub enum Mode {
    /// They are.
    #[default]
    Enforce,
    /// They are recorded: a rule is skipped, a policy refuses nothing.
    Shadow,
}

/// A compiled policy. It never changes.
#[derive(Debug)]
pub struct Policy {
    name: Option<String>,
    scope: Scope,
    feed: Feed,
    hold: Hold,
    max_staleness: Duration,
    min_staleness: Duration,
    mode: Mode,
    cut_at_expiry: bool,
    headers: Headers,
    uses_port: bool,
    told: BTreeSet<Term>,
    rules: Vec<Rule>,
}

/// Why bytes are no policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct InvalidPolicy {
    /// The path of the field, with the rule's number and, if it was read, name; `.` for the document.
    pub field: String,
    /// What is wrong with it.
    pub problem: String,
}

impl InvalidPolicy {
    fn at(field: impl Into<String>, problem: impl Into<String>) -> InvalidPolicy {
        InvalidPolicy {
            field: field.into(),
            problem: problem.into(),
        }
    }
}

impl Policy {
    /// The longest lease, a week. For as long a feeder that was restarted can't say whether all filters have applied a change.
    pub const MAX_STALENESS: Duration = Duration::from_secs(7 * 24 * 3600);

    /// Reads `pluginConfig`, strictly: an unknown or repeated field, null, an empty list, a wrong type, a pattern that
    /// can't match are errors.
    pub fn parse(json: &[u8]) -> Result<Policy, InvalidPolicy> {
        if json.len() > MAX_BYTES {
            return Err(InvalidPolicy::at(
                ".",
                format!("more than {MAX_BYTES} bytes"),
            ));
        }
        let mut reader = serde_json::Deserializer::from_slice(json);
        let Object(document): Object<document::Policy> =
            serde_path_to_error::deserialize(&mut reader).map_err(|e| {
                let field = e.path().to_string();
                // A field whose name is the empty text.
                let field = if field.is_empty() {
                    ".".to_owned()
                } else {
                    field
                };
                InvalidPolicy::at(field, e.inner().to_string())
            })?;
        reader
            .end()
            .map_err(|e| InvalidPolicy::at(".", e.to_string()))?;
        Policy::compile(document)
    }

    fn compile(document: document::Policy) -> Result<Policy, InvalidPolicy> {
        let wrong = |(field, problem): (&str, &str)| InvalidPolicy::at(field, problem);
        if let Some(name) = document.name.as_ref().filter(|name| !rule::is_name(name)) {
            let problem = format!(
                "'{name}': 1 to {} of a-z, 0-9 and '-', the first a letter or digit",
                rule::MAX_NAME
            );
            return Err(InvalidPolicy::at("name", problem));
        }
        let feed = Feed::compile(document.feed.0).map_err(wrong)?;
        let headers = document.headers.map(|Object(headers)| headers);
        let headers = headers.map(Headers::compile).transpose()?;
        let hold = document.hold.map(|Object(hold)| Hold::compile(hold));
        let hold = hold.transpose().map_err(wrong)?.unwrap_or_default();
        let max_staleness = document
            .max_staleness
            .map_or(DEFAULT_STALENESS, |span| span.0);
        if max_staleness < MIN_STALENESS {
            return Err(wrong(("maxStaleness", "at least 5s")));
        }
        if max_staleness > Policy::MAX_STALENESS {
            return Err(wrong(("maxStaleness", "at most 168h")));
        }
        let mut rules = Vec::new();
        let mut names = BTreeSet::new();
        for (index, Object(rule)) in document.rules.into_iter().enumerate() {
            if index == MAX_RULES {
                return Err(wrong(("rules", "more than 256")));
            }
            let rule = Rule::compile(index, rule, max_staleness)?;
            if !names.insert(rule.name.clone()) {
                return Err(InvalidPolicy::at(
                    format!("rules[{index}].name"),
                    format!("'{}' names another rule already", rule.name),
                ));
            }
            rules.push(rule);
        }
        let demands = || rules.iter().filter_map(Rule::demand);
        let parts = || demands().flat_map(|demand| demand.requirements.parts());
        let terms = parts().flat_map(|part| part.terms().cloned());
        let any_active = parts().any(|part| part.admits_without_terms());
        let scope = Scope::new(&document.tenant, terms, any_active).map_err(|e| match e {
            scimesh_proto::scope::InvalidScope::Tenant => {
                InvalidPolicy::at("tenant", e.to_string())
            }
            scimesh_proto::scope::InvalidScope::TooManyTerms => {
                InvalidPolicy::at("rules", e.to_string())
            }
        })?;
        let enforced = || rules.iter().filter(|rule| rule.mode == Mode::Enforce);
        Ok(Policy {
            name: document.name,
            scope,
            feed,
            hold,
            max_staleness,
            min_staleness: demands()
                .map(|demand| demand.max_staleness)
                .fold(max_staleness, Duration::min),
            mode: document.mode.unwrap_or_default(),
            cut_at_expiry: document.cut_at_expiry.unwrap_or(true),
            headers: headers.unwrap_or_default(),
            uses_port: enforced().any(Rule::uses_port),
            told: enforced().flat_map(Rule::terms).cloned().collect(),
            rules,
        })
    }

    /// What tells it apart from other policies on the same proxy, if it has a name.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// What the upstream is told, and under which headers.
    pub fn headers(&self) -> &Headers {
        &self.headers
    }

    /// Whether any rule that can decide depends on the local port.
    pub(crate) fn uses_port(&self) -> bool {
        self.uses_port
    }

    /// The terms of rules that can decide: the upstream is told of no others.
    pub(crate) fn told(&self) -> &BTreeSet<Term> {
        &self.told
    }

    /// Whether any rule depends on the host.
    pub fn uses_host(&self) -> bool {
        self.rules.iter().any(Rule::uses_host)
    }

    /// All that the feeder has to send for it.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Where the feed is.
    pub fn feed(&self) -> &Feed {
        &self.feed
    }

    /// What happens to requests before the first snapshot.
    pub fn hold(&self) -> Hold {
        self.hold
    }

    /// The longest lease that any rule may go by: the policy's own, which rules can only shorten.
    pub fn max_staleness(&self) -> Duration {
        self.max_staleness
    }

    /// The smallest `maxStaleness` of the policy and its rules: pings go out every third of it.
    pub fn min_staleness(&self) -> Duration {
        self.min_staleness
    }

    /// Whether anything is refused.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Whether a request that is still open when its token expires is ended then.
    pub fn cut_at_expiry(&self) -> bool {
        self.cut_at_expiry
    }

    /// The name of a rule, by its place.
    pub fn rule_name(&self, rule: usize) -> Option<&str> {
        self.rules.get(rule).map(|rule| rule.name.as_str())
    }

    /// What the rule at this place demands, if it asks for anybody.
    pub(crate) fn demand(&self, rule: usize) -> Option<&Demand> {
        self.rules.get(rule)?.demand()
    }

    pub(crate) fn rules(&self) -> &[Rule] {
        &self.rules
    }
}
