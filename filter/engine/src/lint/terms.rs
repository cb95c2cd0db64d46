//! Terms that the directory does not know, or knows twice.

use std::collections::BTreeMap;

use scimesh_proto::scope::{Term, TermKind};

use super::{Code, Findings, Severity};
use crate::policy::strict::NonEmpty;
use crate::policy::{Condition, Requirement};

/// Names to suggest at most.
const MAX_SUGGESTIONS: usize = 3;

/// The terms that a directory has something for: its groups by both of their names, and its users' roles and entitlements.
#[derive(Debug, Default)]
pub struct Vocabulary {
    /// How many groups, or users, each stands for, by `kind:value`.
    terms: BTreeMap<String, usize>,
    /// The same terms as people confuse them.
    folded: BTreeMap<String, Vec<String>>,
}

impl Vocabulary {
    /// Adds a group's name, or a user's role or entitlement.
    pub fn add(&mut self, kind: TermKind, value: &str) {
        let text = format!("{}:{value}", kind.as_str());
        let uses = self.terms.entry(text.clone()).or_default();
        *uses += 1;
        if *uses == 1 {
            self.folded.entry(fold(value)).or_default().push(text);
        }
    }

    fn uses(&self, term: &Term) -> usize {
        self.terms.get(term.as_str()).copied().unwrap_or_default()
    }

    /// Terms that differ from this one in case, spaces and punctuation, or in kind.
    fn similar(&self, term: &Term) -> impl Iterator<Item = &str> {
        let similar = self.folded.get(&fold(term.value())).into_iter().flatten();
        similar
            .map(String::as_str)
            .filter(|other| *other != term.as_str())
    }
}

/// What is left of a name when nobody looks closely.
fn fold(value: &str) -> String {
    let letters = value.chars().filter(|c| c.is_alphanumeric());
    letters.flat_map(char::to_lowercase).collect()
}

/// Each field that a rule can have terms in.
const FIELDS: [(&str, &str); 3] = [
    ("require.anyOf", "require.workload.anyOf"),
    ("require.allOf", "require.workload.allOf"),
    ("require.noneOf", "require.workload.noneOf"),
];

pub(super) fn look(findings: &mut Findings<'_>, vocabulary: &Vocabulary) {
    for (index, rule) in findings.rules() {
        let Some(demand) = rule.demand() else {
            continue;
        };
        let parts = &demand.requirements;
        for (part, workload) in [(&parts.user, false), (&parts.workload, true)] {
            let Some(part) = part else { continue };
            for (list, (field, workload_field)) in lists(part).into_iter().zip(FIELDS) {
                let field = if workload { workload_field } else { field };
                look_at(findings, vocabulary, index, field, list);
            }
        }
    }
}

fn lists(part: &Requirement) -> [&Option<NonEmpty<Condition>>; 3] {
    [&part.any_of, &part.all_of, &part.none_of]
}

fn look_at(
    findings: &mut Findings<'_>,
    vocabulary: &Vocabulary,
    rule: usize,
    field: &str,
    list: &Option<NonEmpty<Condition>>,
) {
    let conditions = || list.iter().flat_map(NonEmpty::iter);
    let resolves = |condition: &Condition| match condition {
        Condition::Active => true,
        Condition::Term(term) => match term.kind() {
            TermKind::Group | TermKind::GroupExternalId => vocabulary.uses(term) == 1,
            TermKind::Role | TermKind::Entitlement => vocabulary.uses(term) > 0,
        },
    };
    let others_hold = conditions().any(resolves);
    for condition in conditions() {
        let Condition::Term(term) = condition else {
            continue;
        };
        if resolves(condition) {
            continue;
        }
        let is_value = matches!(term.kind(), TermKind::Role | TermKind::Entitlement);
        let (severity, effect) = match (field.ends_with("noneOf"), is_value) {
            // A role that nobody has is found, and held by nobody.
            (true, true) => (Severity::Warning, "so nobody is kept out by it"),
            (true, false) => (Severity::Error, "so the rule refuses everybody"),
            (false, _) if field.ends_with("anyOf") && others_hold => {
                (Severity::Warning, "so nobody passes by it")
            }
            (false, _) => (Severity::Error, "so the rule refuses everybody"),
        };
        let (code, what) = match vocabulary.uses(term) {
            0 if is_value => (
                Code::TermMissing,
                "no user of the directory has it".to_owned(),
            ),
            0 => (
                Code::TermMissing,
                "the directory has no such group".to_owned(),
            ),
            count => (
                Code::TermAmbiguous,
                format!("{count} groups share that name"),
            ),
        };
        let mut message = format!("{term}: {what}, {effect}");
        if code == Code::TermAmbiguous {
            message.push_str("; name one by its groupExternalId");
        }
        let similar: Vec<String> = vocabulary
            .similar(term)
            .take(MAX_SUGGESTIONS)
            .map(|other| format!("\"{other}\""))
            .collect();
        if code == Code::TermMissing && !similar.is_empty() {
            message.push_str(&format!("; did you mean {}?", similar.join(" or ")));
        }
        findings.about_rule(code, severity, rule, field, message);
    }
}
