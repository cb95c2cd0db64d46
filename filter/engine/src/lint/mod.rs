//! What is wrong with a policy that parses: rules that never decide, that let more in than they look, or that the place or the
//! directory gives another meaning.
//!
//! Pure: where the policy is enforced and what the directory knows are told. What is said of rules' order holds for every
//! request there is ([`samples`]); that a finding is missing proves nothing.

mod breadth;
mod code;
mod order;
mod placement;
mod samples;
mod strictness;
mod terms;
#[cfg(test)]
mod tests;

use std::fmt;

pub use code::Code;
pub use placement::Placement;
pub use terms::Vocabulary;

use crate::policy::{Effect, Policy, Rule};

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The policy can't mean what it says.
    Error,
    /// It may not mean what it says.
    Warning,
    /// It costs something, or shows later.
    Note,
}

impl Severity {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One thing that somebody should look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Its kind.
    pub code: Code,
    /// How much it matters.
    pub severity: Severity,
    /// The place of the rule, and its name. None if it is about the policy.
    pub rule: Option<(usize, String)>,
    /// The field, from the rule on.
    pub field: String,
    /// What is so, and what to do, in a sentence or two.
    pub message: String,
}

/// Looks at a policy, for proxies of this kind and a directory with these terms, as far as they are known. Findings about the
/// policy come first, then rule by rule, what matters most first.
pub fn lint(
    policy: &Policy,
    placement: Option<Placement>,
    vocabulary: Option<&Vocabulary>,
) -> Vec<Finding> {
    let mut findings = Findings {
        policy,
        found: Vec::new(),
    };
    breadth::look(&mut findings, placement);
    order::look(&mut findings, placement);
    if let Some(vocabulary) = vocabulary {
        terms::look(&mut findings, vocabulary);
    }
    let mut found = findings.found;
    found.sort_by_key(|finding| {
        let rule = finding.rule.as_ref().map(|(place, _)| *place);
        (rule, finding.severity, finding.code)
    });
    found
}

/// The policy, and what was found so far.
struct Findings<'p> {
    policy: &'p Policy,
    found: Vec<Finding>,
}

impl<'p> Findings<'p> {
    fn rules(&self) -> impl Iterator<Item = (usize, &'p Rule)> + use<'p> {
        self.policy.rules().iter().enumerate()
    }

    fn about_policy(&mut self, code: Code, severity: Severity, field: &str, message: String) {
        self.add(code, severity, None, field, message);
    }

    fn about_rule(
        &mut self,
        code: Code,
        severity: Severity,
        rule: usize,
        field: &str,
        message: String,
    ) {
        self.add(code, severity, Some(rule), field, message);
    }

    fn add(
        &mut self,
        code: Code,
        severity: Severity,
        rule: Option<usize>,
        field: &str,
        message: String,
    ) {
        let name = |rule| self.policy.rule_name(rule).unwrap_or_default().to_owned();
        self.found.push(Finding {
            code,
            severity,
            rule: rule.map(|rule| (rule, name(rule))),
            field: field.to_owned(),
            message,
        });
    }
}

/// What a rule says, in a few words; no rule at all is as good as NOBODY.
fn effect(rule: Option<&Rule>) -> String {
    match rule.map(|rule| (&rule.effect, &rule.name)) {
        None => "no rule, and so is refused".to_owned(),
        Some((Effect::Public, name)) => format!("'{name}' (PUBLIC)"),
        Some((Effect::Nobody, name)) => format!("'{name}' (NOBODY)"),
        Some((Effect::Require(_), name)) => format!("'{name}'"),
    }
}
