//! What the order of the rules makes of each: who decides what a rule matches, and who would if the request were a bit another.

use std::collections::{BTreeMap, BTreeSet};

use super::samples::{Hit, Sample, Samples};
use super::strictness::at_least_as_strict;
use super::{Code, Findings, Placement, Severity, effect};
use crate::matching::Operation;
use crate::matching::method::MethodPattern;
use crate::policy::strict::NonEmpty;
use crate::policy::{Effect, Mode, Policy, Rule};

/// Rules that a message names at most.
const MAX_NAMES: usize = 3;

pub(super) fn look(findings: &mut Findings<'_>, placement: Option<Placement>) {
    let Some(samples) = Samples::of(findings.policy) else {
        return findings.about_policy(
            Code::TooComplex,
            Severity::Note,
            "rules",
            "too many patterns to compare: rules' order, hosts and methods were not looked at"
                .to_owned(),
        );
    };
    let reached = reached(findings, &samples);
    partly_shadowed(findings, &samples, &reached);
    if matches!(placement, None | Some(Placement::Sidecar)) {
        hosts(findings, &samples, placement);
    }
    preflights(findings, &samples, &reached);
    weaker_head(findings, &samples);
    connect(findings, &samples);
    shadow_rules(findings, &samples);
}

fn rule_at(policy: &Policy, hit: Option<Hit>) -> Option<&Rule> {
    policy.rules().get(hit?.rule)
}

fn operation_at(policy: &Policy, hit: Hit) -> Option<&Operation> {
    policy.rules().get(hit.rule)?.to.get(hit.operation)
}

fn names_method(to: &Operation, name: &str) -> bool {
    let mut methods = to.methods.iter().flat_map(NonEmpty::iter);
    methods.any(|method| *method == MethodPattern::Exact(name.to_owned()))
}

/// Who decides in the place of an operation, and a request for which it does.
type Deciders<'s> = BTreeMap<usize, &'s Sample>;

/// Finds what is never asked, and gives the operations that are.
fn reached(findings: &mut Findings<'_>, samples: &Samples) -> BTreeSet<Hit> {
    let policy = findings.policy;
    let mut reached: BTreeSet<Hit> = BTreeSet::new();
    let mut deciders: BTreeMap<Hit, Deciders<'_>> = BTreeMap::new();
    for sample in samples.iter() {
        let decided = sample.decided(policy).map(|hit| hit.rule);
        for hit in &sample.hits {
            match decided {
                Some(decided) if decided < hit.rule => {
                    let deciders = deciders.entry(*hit).or_default();
                    deciders.entry(decided).or_insert(sample);
                }
                _ => {
                    reached.insert(*hit);
                }
            }
        }
    }
    for (index, rule) in findings.rules() {
        let hits: Vec<Hit> = (0..rule.to.len())
            .map(|operation| Hit {
                rule: index,
                operation,
            })
            .collect();
        let whole = !hits.iter().any(|hit| reached.contains(hit));
        if whole {
            let mut all = Deciders::new();
            for hit in &hits {
                all.extend(deciders.get(hit).into_iter().flatten());
            }
            report_unreachable(findings, index, None, &all);
            continue;
        }
        for hit in hits.iter().filter(|hit| !reached.contains(hit)) {
            let none = Deciders::new();
            let deciders = deciders.get(hit).unwrap_or(&none);
            report_unreachable(findings, index, Some(hit.operation), deciders);
        }
    }
    reached
}

fn report_unreachable(
    findings: &mut Findings<'_>,
    index: usize,
    operation: Option<usize>,
    deciders: &Deciders<'_>,
) {
    let policy = findings.policy;
    let rule = policy.rules().get(index);
    let (code, what, field) = match operation {
        None => (Code::UnreachableRule, "never decides", "to".to_owned()),
        Some(number) => (
            Code::UnreachableOperation,
            "never matters",
            format!("to[{number}]"),
        ),
    };
    let enforced = rule.is_some_and(|rule| rule.mode == Mode::Enforce);
    let weaker = deciders
        .iter()
        .find(|(decider, _)| enforced && !at_least_as_strict(policy.rules().get(**decider), rule));
    let names = named(policy, deciders.keys().copied());
    let (severity, message) = if deciders.is_empty() {
        let message = format!("{what}: no request can match it");
        (Severity::Warning, message)
    } else if let Some((decider, sample)) = weaker {
        let severity = match operation {
            None => Severity::Error,
            Some(_) => Severity::Warning,
        };
        let message = format!(
            "{what}, because of {names} before it. What it would refuse can get in: {} is decided by {}. Put it first",
            sample.line(),
            effect(policy.rules().get(*decider)),
        );
        (severity, message)
    } else {
        let severity = match operation {
            None => Severity::Warning,
            Some(_) => Severity::Note,
        };
        let message = format!(
            "{what}, because of {names} before it. Whom those refuse is not asked of this rule: the first rule that matches decides alone"
        );
        (severity, message)
    };
    findings.about_rule(code, severity, index, &field, message);
}

/// `'a', 'b' and 3 more`
fn named(policy: &Policy, rules: impl Iterator<Item = usize>) -> String {
    let names: Vec<String> = rules
        .filter_map(|rule| policy.rule_name(rule))
        .map(|name| format!("'{name}'"))
        .collect();
    let more = names.len().saturating_sub(MAX_NAMES);
    let shown = names.iter().take(MAX_NAMES).cloned().collect::<Vec<_>>();
    match more {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// A narrow rule before a broad one is an exception from it, and meant. One that also reaches elsewhere took these by accident.
fn partly_shadowed(findings: &mut Findings<'_>, samples: &Samples, reached: &BTreeSet<Hit>) {
    let policy = findings.policy;
    let mut taken: BTreeMap<(Hit, usize), &Sample> = BTreeMap::new();
    // A PUBLIC rule for preflights stands before all others.
    for sample in samples.iter().filter(|sample| sample.method != "OPTIONS") {
        let Some(by) = sample.decided(policy) else {
            continue;
        };
        let later = sample.hits.iter().filter(|hit| hit.rule > by.rule);
        for hit in later {
            let rule = rule_at(policy, Some(*hit));
            let enforced = rule.is_some_and(|rule| rule.mode == Mode::Enforce);
            if enforced
                && reached.contains(hit)
                && !at_least_as_strict(rule_at(policy, Some(by)), rule)
            {
                taken.entry((by, hit.rule)).or_insert(sample);
            }
        }
    }
    let mut elsewhere: BTreeSet<(Hit, usize)> = BTreeSet::new();
    for sample in samples.iter() {
        for hit in &sample.hits {
            let pairs = taken.range((*hit, 0)..=(*hit, usize::MAX));
            let outside =
                pairs.filter(|((_, rule), _)| !sample.hits.iter().any(|hit| hit.rule == *rule));
            elsewhere.extend(outside.map(|(pair, _)| *pair));
        }
    }
    let mut reported = BTreeSet::new();
    for ((by, rule), sample) in taken {
        if elsewhere.contains(&(by, rule)) && reported.insert((by.rule, rule)) {
            let message = format!(
                "{} is decided by {} before it, which is weaker. Put this rule first, or narrow the other",
                sample.line(),
                effect(rule_at(policy, Some(by))),
            );
            findings.about_rule(Code::PartlyShadowed, Severity::Warning, rule, "to", message);
        }
    }
}

/// The caller chooses the host, and so which of the rules that differ in it decides.
fn hosts(findings: &mut Findings<'_>, samples: &Samples, placement: Option<Placement>) {
    let policy = findings.policy;
    let sidecar = placement == Some(Placement::Sidecar);
    let mut evaded: BTreeMap<usize, String> = BTreeMap::new();
    let mut claimed: BTreeMap<usize, String> = BTreeMap::new();
    for place in samples.by_host() {
        for sample in place {
            let Some(hit) = sample.decided(policy) else {
                continue;
            };
            let to = operation_at(policy, hit);
            if !to.is_some_and(|to| to.hosts.is_some() || to.not_hosts.is_some()) {
                continue;
            }
            let rule = rule_at(policy, Some(hit));
            for other in place {
                let decided = other.decided(policy);
                if decided.is_some_and(|decided| decided.rule <= hit.rule) {
                    continue;
                }
                let later = rule_at(policy, decided);
                if !at_least_as_strict(later, rule) {
                    evaded.entry(hit.rule).or_insert_with(|| {
                        format!(
                            "on a sidecar the caller chooses Host: with 'Host: {}', {} is decided by {}, which is weaker. Make what comes after at least as strict, or don't ask for the host",
                            other.host,
                            other.line(),
                            effect(later),
                        )
                    });
                } else if !at_least_as_strict(rule, later) {
                    claimed.entry(hit.rule).or_insert_with(|| {
                        format!(
                            "on a sidecar the caller chooses Host: whoever says 'Host: {}' gets this rule for {}; otherwise it is decided by {}, which is stricter",
                            sample.host,
                            sample.line(),
                            effect(later),
                        )
                    });
                }
            }
        }
    }
    for (rule, message) in &evaded {
        let severity = if sidecar {
            Severity::Error
        } else {
            Severity::Warning
        };
        findings.about_rule(Code::HostEvades, severity, *rule, "to", message.clone());
    }
    for (rule, message) in claimed {
        if !evaded.contains_key(&rule) {
            let severity = if sidecar {
                Severity::Warning
            } else {
                Severity::Note
            };
            findings.about_rule(Code::HostClaims, severity, rule, "to", message);
        }
    }
}

/// Whether a request without a token is refused.
fn needs_token(rule: &Rule) -> bool {
    rule.demand()
        .is_some_and(|demand| demand.requirements.user.is_some())
}

fn preflights(findings: &mut Findings<'_>, samples: &Samples, reached: &BTreeSet<Hit>) {
    let policy = findings.policy;
    for (index, rule) in findings.rules() {
        let named = rule.to.iter().position(|to| names_method(to, "OPTIONS"));
        if let Some(number) = named.filter(|_| needs_token(rule)) {
            findings.about_rule(
                Code::PreflightRefused,
                Severity::Warning,
                index,
                &format!("to[{number}].methods"),
                "OPTIONS: browsers send CORS preflights without a token, and so they are refused (no_token). Admit them before, by a PUBLIC rule for OPTIONS".to_owned(),
            );
        }
    }
    let mut refused: BTreeMap<usize, (usize, &Sample)> = BTreeMap::new();
    for sample in samples.iter().filter(|sample| sample.method == "OPTIONS") {
        let Some(by) = sample.decided(policy) else {
            continue;
        };
        if !rule_at(policy, Some(by)).is_some_and(needs_token) {
            continue;
        }
        for hit in sample.hits.iter().filter(|hit| hit.rule > by.rule) {
            let public = rule_at(policy, Some(*hit))
                .is_some_and(|rule| matches!(rule.effect, Effect::Public));
            let named = operation_at(policy, *hit).is_some_and(|to| names_method(to, "OPTIONS"));
            if public && named && reached.contains(hit) {
                refused.entry(hit.rule).or_insert((by.rule, sample));
            }
        }
    }
    for (rule, (by, sample)) in refused {
        let message = format!(
            "{} is decided by {} before it, which needs a token, and browsers send CORS preflights without. Put this rule first",
            sample.line(),
            effect(policy.rules().get(by)),
        );
        findings.about_rule(
            Code::PreflightRefused,
            Severity::Warning,
            rule,
            "to",
            message,
        );
    }
}

/// HEAD tells what GET would: whether a thing is there, its size, its headers.
fn weaker_head(findings: &mut Findings<'_>, samples: &Samples) {
    let policy = findings.policy;
    let mut heads: BTreeMap<_, Option<Hit>> = BTreeMap::new();
    for sample in samples.iter().filter(|sample| sample.method == "HEAD") {
        heads.insert(sample.place(), sample.decided(policy));
    }
    let mut weaker: BTreeMap<usize, String> = BTreeMap::new();
    for sample in samples.iter().filter(|sample| sample.method == "GET") {
        let Some(hit) = sample.decided(policy) else {
            continue;
        };
        let named = operation_at(policy, hit)
            .is_some_and(|to| names_method(to, "GET") && !names_method(to, "HEAD"));
        let Some(head) = heads.get(&sample.place()).copied().filter(|_| named) else {
            continue;
        };
        let by = rule_at(policy, head);
        if !at_least_as_strict(by, rule_at(policy, Some(hit))) {
            weaker.entry(hit.rule).or_insert_with(|| {
                let path = sample.path.as_deref().unwrap_or_default();
                format!(
                    "GET without HEAD: HEAD {path} is decided by {}, which is weaker. Add HEAD",
                    effect(by)
                )
            });
        }
    }
    for (rule, message) in weaker {
        findings.about_rule(Code::WeakerHead, Severity::Warning, rule, "to", message);
    }
}

fn connect(findings: &mut Findings<'_>, samples: &Samples) {
    let policy = findings.policy;
    let mut allowed = BTreeSet::new();
    for sample in samples.iter().filter(|sample| sample.path.is_none()) {
        let Some(hit) = sample.decided(policy) else {
            continue;
        };
        let named = operation_at(policy, hit).is_some_and(|to| names_method(to, "CONNECT"));
        let refuses =
            rule_at(policy, Some(hit)).is_some_and(|rule| matches!(rule.effect, Effect::Nobody));
        if !named && !refuses {
            allowed.insert(hit.rule);
        }
    }
    for rule in allowed {
        findings.about_rule(
            Code::ConnectAllowed,
            Severity::Note,
            rule,
            "to",
            "allows CONNECT too, which has no path, so that rules on paths before it don't see it. With paths: [\"/{**}\"] it would not".to_owned(),
        );
    }
}

/// Of a SHADOW rule: what comes of the requests that it says something about.
fn shadow_rules(findings: &mut Findings<'_>, samples: &Samples) {
    let policy = findings.policy;
    let mut let_in: BTreeMap<usize, String> = BTreeMap::new();
    let mut refused: BTreeMap<usize, String> = BTreeMap::new();
    for sample in samples.iter() {
        let decided = sample.decided(policy);
        let asked = sample
            .hits
            .iter()
            .take_while(|hit| decided.is_none_or(|decided| hit.rule < decided.rule));
        for hit in asked {
            let (rule, by) = (rule_at(policy, Some(*hit)), rule_at(policy, decided));
            let nobody = by.is_none_or(|by| matches!(by.effect, Effect::Nobody));
            let itself = rule.is_some_and(|rule| matches!(rule.effect, Effect::Nobody));
            if !at_least_as_strict(by, rule) {
                let_in.entry(hit.rule).or_insert_with(|| {
                    format!(
                        "mode SHADOW refuses nothing: {} is decided by {}, which is weaker",
                        sample.line(),
                        effect(by)
                    )
                });
            } else if nobody && !itself {
                refused.entry(hit.rule).or_insert_with(|| {
                    format!(
                        "mode SHADOW allows nothing: {} is decided by {}",
                        sample.line(),
                        effect(by)
                    )
                });
            }
        }
    }
    for (index, rule) in findings.rules() {
        let severity = match rule.effect {
            Effect::Nobody => Severity::Warning,
            Effect::Public | Effect::Require(_) => Severity::Note,
        };
        if let Some(message) = let_in.remove(&index) {
            findings.about_rule(Code::ShadowRule, severity, index, "mode", message);
        } else if let Some(message) = refused.remove(&index) {
            findings.about_rule(Code::ShadowRule, Severity::Note, index, "mode", message);
        }
    }
}
