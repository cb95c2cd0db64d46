//! Who may follow what of the feed: rules that an operator sets, from a workload's SPIFFE id to tenants and terms.
//!
//! A rule only ever adds. A peer may follow a scope if the rules whose pattern it matches let it have the tenant and
//! each term; where there is no such rule, it gets nothing. Knows neither certificates nor streams.

mod pattern;

use std::collections::BTreeSet;

use scimesh_proto::scope::{Scope, Term, valid_tenant_name};
use serde::{Deserialize, Serialize};

pub use pattern::{InvalidPattern, PeerPattern, TermPattern};

/// Rules at most.
pub const MAX_RULES: usize = 1000;
/// Tenants in one rule at most, and terms.
pub const MAX_LISTED: usize = 1000;

/// Lets the workloads that a pattern fits follow scopes of some tenants.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "RuleForm", try_from = "RuleForm")]
pub struct Rule {
    peer: PeerPattern,
    tenants: BTreeSet<String>,
    /// None: every term, and every active user.
    terms: Option<BTreeSet<TermPattern>>,
}

/// A [`Rule`] as it is written.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleForm {
    peer: String,
    tenants: Vec<String>,
    #[serde(
        default,
        deserialize_with = "list",
        skip_serializing_if = "Option::is_none"
    )]
    terms: Option<Vec<String>>,
}

/// A list that is there. One whose items were commented out is null, and an error: it might mean none of them, or all.
fn list<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Vec<String>>, D::Error> {
    Vec::deserialize(from).map(Some)
}

/// Why what was written is no rule. It names the field, and in a list the place from 0.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRule {
    /// The pattern of peers.
    #[error("peer: {0}")]
    Peer(InvalidPattern),
    /// A list without anything in it.
    #[error("{0}: empty; {1}")]
    Empty(&'static str, &'static str),
    /// A list with more than [`MAX_LISTED`].
    #[error("{0}: more than {MAX_LISTED}")]
    TooMany(&'static str),
    /// No tenant can have this name.
    #[error("tenants[{0}]: {1:?} can't name a tenant, and there are no patterns here")]
    Tenant(usize, String),
    /// A term's pattern.
    #[error("terms[{0}]: {1}")]
    Term(usize, InvalidPattern),
}

impl TryFrom<RuleForm> for Rule {
    type Error = InvalidRule;

    fn try_from(form: RuleForm) -> Result<Rule, InvalidRule> {
        let peer = PeerPattern::parse(&form.peer).map_err(InvalidRule::Peer)?;
        listed("tenants", "a rule for nobody's data", &form.tenants)?;
        let bad = |(_, name): &(usize, &String)| !valid_tenant_name(name);
        if let Some((at, name)) = form.tenants.iter().enumerate().find(bad) {
            return Err(InvalidRule::Tenant(at, name.clone()));
        }
        let terms = match form.terms {
            None => None,
            Some(terms) => {
                listed("terms", "without the field every term may be asked", &terms)?;
                let patterns = terms.iter().enumerate().map(|(at, text)| {
                    TermPattern::parse(text).map_err(|why| InvalidRule::Term(at, why))
                });
                Some(patterns.collect::<Result<_, _>>()?)
            }
        };
        Ok(Rule {
            peer,
            tenants: form.tenants.into_iter().collect(),
            terms,
        })
    }
}

fn listed(field: &'static str, empty: &'static str, list: &[String]) -> Result<(), InvalidRule> {
    match list.len() {
        0 => Err(InvalidRule::Empty(field, empty)),
        1..=MAX_LISTED => Ok(()),
        _ => Err(InvalidRule::TooMany(field)),
    }
}

impl From<Rule> for RuleForm {
    fn from(rule: Rule) -> RuleForm {
        let text = |pattern: TermPattern| pattern.to_string();
        RuleForm {
            peer: rule.peer.to_string(),
            tenants: rule.tenants.into_iter().collect(),
            terms: rule
                .terms
                .map(|terms| terms.into_iter().map(text).collect()),
        }
    }
}

impl Rule {
    /// Whether it lets anybody follow this tenant.
    pub fn names(&self, tenant: &str) -> bool {
        self.tenants.contains(tenant)
    }

    /// The rule in one line, for people.
    pub fn describe(&self) -> String {
        let tenants: Vec<&str> = self.tenants.iter().map(String::as_str).collect();
        let terms = match &self.terms {
            None => "every term".to_owned(),
            Some(terms) => {
                let terms: Vec<String> = terms.iter().map(TermPattern::to_string).collect();
                terms.join(", ")
            }
        };
        format!("{}: {} of {}", self.peer, terms, tenants.join(", "))
    }

    fn lets(&self, asked: impl Fn(&TermPattern) -> bool) -> bool {
        let terms = self.terms.as_ref();
        terms.is_none_or(|terms| terms.iter().any(asked))
    }
}

/// All rules. Their order means nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<RuleForm>")]
pub struct Rules(BTreeSet<Rule>);

/// Why these are no rules.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRules {
    /// One of them, by its place from 0.
    #[error("feedAccess[{0}].{1}")]
    Rule(usize, InvalidRule),
    /// More than [`MAX_RULES`].
    #[error("feedAccess: more than {MAX_RULES} rules")]
    TooMany,
}

impl TryFrom<Vec<RuleForm>> for Rules {
    type Error = InvalidRules;

    fn try_from(forms: Vec<RuleForm>) -> Result<Rules, InvalidRules> {
        if forms.len() > MAX_RULES {
            return Err(InvalidRules::TooMany);
        }
        let rules = forms
            .into_iter()
            .enumerate()
            .map(|(at, form)| Rule::try_from(form).map_err(|why| InvalidRules::Rule(at, why)));
        rules.collect::<Result<_, _>>().map(Rules)
    }
}

/// What a peer asked for, and no rule lets it have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Forbidden {
    /// Anything at all: its id fits no rule's pattern.
    #[error("no rule's pattern fits it")]
    Peer,
    /// Any part of this tenant.
    #[error("no rule that fits it names the tenant")]
    Tenant,
    /// This term of the tenant.
    #[error("no rule that fits it and names the tenant lets it ask for {:?}", .0.as_str())]
    Term(Term),
    /// Every active user of the tenant.
    #[error(
        "no rule that fits it and names the tenant lets it ask for `active`, every active user"
    )]
    AnyActive,
}

impl Rules {
    /// Every rule, in no order that means anything.
    pub fn iter(&self) -> impl Iterator<Item = &Rule> {
        self.0.iter()
    }

    /// Whether it holds this very rule.
    pub fn contains(&self, rule: &Rule) -> bool {
        self.0.contains(rule)
    }

    /// Whether there is any rule for this workload; `peer` is a valid SPIFFE id.
    pub fn know(&self, peer: &str) -> Result<(), Forbidden> {
        let known = self.0.iter().any(|rule| rule.peer.fits(peer));
        known.then_some(()).ok_or(Forbidden::Peer)
    }

    /// Whether this workload may follow all of the scope; `peer` is a valid SPIFFE id. Nothing is asked of the directory,
    /// so the answer is the same whether or not the tenant exists.
    pub fn admit(&self, peer: &str, scope: &Scope) -> Result<(), Forbidden> {
        self.know(peer)?;
        let rules = self.0.iter().filter(|rule| rule.peer.fits(peer));
        let rules: Vec<&Rule> = rules.filter(|rule| rule.names(scope.tenant())).collect();
        if rules.is_empty() {
            return Err(Forbidden::Tenant);
        }
        let lets = |asked: &dyn Fn(&TermPattern) -> bool| rules.iter().any(|rule| rule.lets(asked));
        if scope.any_active() && !lets(&TermPattern::is_active) {
            return Err(Forbidden::AnyActive);
        }
        let mut terms = scope.terms().iter();
        match terms.find(|term| !lets(&|pattern| pattern.fits(term))) {
            Some(term) => Err(Forbidden::Term(term.clone())),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
