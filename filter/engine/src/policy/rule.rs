//! One rule of a policy.

use std::time::Duration;

use scimesh_proto::scope::Term;

use super::document::{self, Allow};
use super::requirement::{Requirement, Requirements};
use super::strict::Object;
use super::{InvalidPolicy, MIN_STALENESS, Mode};
use crate::matching::operation::Field;
use crate::matching::{Operation, Target};

/// Characters of a rule's or a policy's name at most: it is a metric label.
pub(super) const MAX_NAME: usize = 63;

#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) name: String,
    pub(crate) to: Vec<Operation>,
    pub(crate) effect: Effect,
    pub(crate) mode: Mode,
}

/// What a rule says about the requests that it matches.
#[derive(Debug)]
pub(crate) enum Effect {
    Public,
    Nobody,
    Require(Demand),
}

#[derive(Debug)]
pub(crate) struct Demand {
    pub(crate) requirements: Requirements,
    pub(crate) max_staleness: Duration,
    pub(crate) max_token_age: Option<Duration>,
}

impl Rule {
    /// `max_staleness` is the policy's.
    pub(super) fn compile(
        index: usize,
        document: document::Rule,
        max_staleness: Duration,
    ) -> Result<Rule, InvalidPolicy> {
        let name = document.name;
        if !is_name(&name) {
            return Err(InvalidPolicy::at(
                format!("rules[{index}].name"),
                format!(
                    "'{name}': 1 to {MAX_NAME} of a-z, 0-9 and '-', the first a letter or digit"
                ),
            ));
        }
        let wrong = |field: &str, problem: &str| {
            InvalidPolicy::at(format!("rules[{index}] '{name}': {field}"), problem)
        };
        let to: Vec<Operation> = document.to.into_iter().map(|Object(to)| to).collect();
        if to.iter().any(Operation::is_empty) {
            return Err(wrong(
                "to",
                "an operation without conditions; methods: [\"*\"] is every request",
            ));
        }
        let effect = match (document.allow, document.require) {
            (Some(_), Some(_)) => return Err(wrong("require", "has allow as well; one of them")),
            (None, None) => return Err(wrong("require", "missing, and so is allow; one of them")),
            (Some(allow), None) => {
                let pointless = [
                    ("maxStaleness", document.max_staleness),
                    ("maxTokenAge", document.max_token_age),
                ];
                if let Some((field, _)) = pointless.into_iter().find(|(_, span)| span.is_some()) {
                    return Err(wrong(field, "means nothing beside allow"));
                }
                match allow {
                    Allow::Public => Effect::Public,
                    Allow::Nobody => Effect::Nobody,
                }
            }
            (None, Some(Object(require))) => {
                let own = document.max_staleness.map(|span| span.0);
                if own.is_some_and(|own| own < MIN_STALENESS) {
                    return Err(wrong("maxStaleness", "at least 5s"));
                }
                if own.is_some_and(|own| own > max_staleness) {
                    return Err(wrong("maxStaleness", "at most the policy's"));
                }
                let max_token_age = document.max_token_age.map(|span| span.0);
                if max_token_age.is_some_and(|age| age.is_zero()) {
                    return Err(wrong("maxTokenAge", "more than zero"));
                }
                let requirements = Requirements::compile(require)
                    .map_err(|(field, problem)| wrong(field, problem))?;
                if max_token_age.is_some() && requirements.user.is_none() {
                    return Err(wrong(
                        "maxTokenAge",
                        "means nothing where no user is required",
                    ));
                }
                Effect::Require(Demand {
                    requirements,
                    max_staleness: own.unwrap_or(max_staleness),
                    max_token_age,
                })
            }
        };
        Ok(Rule {
            to,
            effect,
            mode: document.mode.unwrap_or_default(),
            name,
        })
    }

    /// Whether it is about this request.
    pub(crate) fn matches(&self, target: &Target<'_>) -> bool {
        self.to.iter().any(|operation| operation.matches(target))
    }

    /// For each operation of `to`, the conditions that the request does not meet.
    pub(crate) fn unmet(&self, target: &Target<'_>) -> Vec<Vec<Field>> {
        let operations = self.to.iter();
        operations
            .map(|operation| operation.unmet(target))
            .collect()
    }

    /// Whether it depends on the host.
    pub(super) fn uses_host(&self) -> bool {
        self.to.iter().any(Operation::uses_host)
    }

    /// Every term in it.
    pub(super) fn terms(&self) -> impl Iterator<Item = &Term> {
        let parts = self.demand().into_iter();
        parts
            .flat_map(|demand| demand.requirements.parts())
            .flat_map(Requirement::terms)
    }

    /// Whether it depends on the local port.
    pub(crate) fn uses_port(&self) -> bool {
        self.to.iter().any(Operation::uses_port)
    }

    /// What it demands of whoever asks, if it asks for anybody.
    pub(crate) fn demand(&self) -> Option<&Demand> {
        match &self.effect {
            Effect::Require(demand) => Some(demand),
            Effect::Public | Effect::Nobody => None,
        }
    }
}

/// Of a rule or a policy.
pub(super) fn is_name(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    name.len() <= MAX_NAME
        && name.bytes().next().is_some_and(plain)
        && name.bytes().all(|b| plain(b) || b == b'-')
}
