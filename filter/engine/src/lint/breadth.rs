//! Rules that let more in than they look, each seen by itself, and what the place makes of a rule.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Code, Findings, Placement, Severity};
use crate::matching::Operation;
use crate::matching::method::MethodPattern;
use crate::matching::path_pattern::PathPattern;
use crate::policy::strict::NonEmpty;
use crate::policy::{Condition, Effect, Mode, Requirement, Rule};

/// The shortest lease that a single feeder's restart surely fits into.
const MIN_LEASE: Duration = Duration::from_secs(60);

pub(super) fn look(findings: &mut Findings<'_>, placement: Option<Placement>) {
    if findings.policy.mode() == Mode::Shadow {
        findings.about_policy(
            Code::ShadowPolicy,
            Severity::Note,
            "mode",
            "SHADOW: nothing is refused, whatever the rules say".to_owned(),
        );
    }
    for (index, rule) in findings.rules() {
        match &rule.effect {
            Effect::Public => public(findings, index, rule),
            Effect::Require(_) => {
                requirements(findings, index, rule);
                open_prefixes(findings, index, rule, Severity::Note);
            }
            // What it matches beyond what was meant is refused, which shows.
            Effect::Nobody => {}
        }
        place(findings, index, rule, placement);
    }
    every_user(findings);
    short_lease(findings);
    case(findings);
}

fn each<'p, T: 'p>(list: &'p Option<NonEmpty<T>>) -> impl Iterator<Item = &'p T> {
    list.iter().flat_map(NonEmpty::iter)
}

fn field(operation: usize, name: &str) -> String {
    format!("to[{operation}].{name}")
}

fn public(findings: &mut Findings<'_>, index: usize, rule: &Rule) {
    for (number, to) in rule.to.iter().enumerate() {
        let every_path = match &to.paths {
            None => true,
            Some(paths) => paths.iter().any(PathPattern::is_every_path),
        };
        let excluding = [
            ("notPaths", to.not_paths.is_some()),
            ("notMethods", to.not_methods.is_some()),
            ("notHosts", to.not_hosts.is_some()),
            ("notPorts", to.not_ports.is_some()),
        ];
        let excluded = excluding.iter().find(|(_, there)| *there);
        if let Some((name, _)) = excluded {
            findings.about_rule(
                Code::PublicByExclusion,
                Severity::Warning,
                index,
                &field(number, name),
                "PUBLIC for everything but this: whatever the service gains later is open to everybody. List what is PUBLIC".to_owned(),
            );
        } else if every_path && !only_preflights(to) && to.hosts.is_none() && to.ports.is_none() {
            findings.about_rule(
                Code::WidePublic,
                Severity::Warning,
                index,
                &field(number, "paths"),
                "PUBLIC for every path: requests that no rule before it matches need no token"
                    .to_owned(),
            );
        } else if to.methods.is_none() || each(&to.methods).any(|m| *m == MethodPattern::Any) {
            findings.about_rule(
                Code::PublicMethods,
                Severity::Note,
                index,
                &field(number, "methods"),
                "PUBLIC for every method, POST and DELETE too. If reading is meant: methods: [\"GET\", \"HEAD\"]".to_owned(),
            );
        }
        for pattern in each(&to.paths) {
            if let PathPattern::Suffix(suffix) = pattern {
                findings.about_rule(
                    Code::PublicSuffix,
                    Severity::Warning,
                    index,
                    &field(number, "paths"),
                    format!(
                        "'*{suffix}' is any path with that end, below /admin too, and many services ignore an end that they don't know. Use a prefix"
                    ),
                );
            }
        }
    }
    open_prefixes(findings, index, rule, Severity::Warning);
}

fn only_preflights(to: &Operation) -> bool {
    let options = |method: &MethodPattern| *method == MethodPattern::Exact("OPTIONS".to_owned());
    to.methods.is_some() && each(&to.methods).all(options)
}

fn open_prefixes(findings: &mut Findings<'_>, index: usize, rule: &Rule, severity: Severity) {
    for (number, to) in rule.to.iter().enumerate() {
        for pattern in each(&to.paths) {
            let PathPattern::Prefix(prefix) = pattern else {
                continue;
            };
            // "/*" and "/api/*" end with a segment; "/static/app-*" says where in one.
            let word = prefix.rsplit('/').next().unwrap_or_default();
            if word.ends_with(|c: char| c.is_alphanumeric()) {
                findings.about_rule(
                    Code::OpenPrefix,
                    severity,
                    index,
                    &field(number, "paths"),
                    format!(
                        "'{prefix}*' matches {prefix}x as well. If {prefix} and what is below it is meant: '{prefix}/*'"
                    ),
                );
            }
        }
    }
}

fn requirements(findings: &mut Findings<'_>, index: usize, rule: &Rule) {
    let Some(demand) = rule.demand() else { return };
    let parts = &demand.requirements;
    for (part, prefix, who) in [
        (&parts.user, "require", "active user"),
        (&parts.workload, "require.workload", "known workload"),
    ] {
        let Some(part) = part else { continue };
        if part.any_of.is_none() && part.all_of.is_none() {
            findings.about_rule(
                Code::NoneOfAlone,
                Severity::Warning,
                index,
                &format!("{prefix}.noneOf"),
                format!(
                    "alone it admits every {who} who is not in these. If that is meant, say so: anyOf: [\"active\"]"
                ),
            );
        }
        let beside = each(&part.any_of).any(|one| *one != Condition::Active);
        if beside && each(&part.any_of).any(|one| *one == Condition::Active) {
            findings.about_rule(
                Code::ActiveBesideTerms,
                Severity::Warning,
                index,
                &format!("{prefix}.anyOf"),
                format!("\"active\" is every {who}: what stands beside it changes nothing"),
            );
        }
    }
}

fn place(findings: &mut Findings<'_>, index: usize, rule: &Rule, placement: Option<Placement>) {
    let ports = rule.to.iter().position(Operation::uses_port);
    if let Some(number) = ports {
        let not = rule.to.get(number).is_some_and(|to| to.ports.is_none());
        let name = if not { "notPorts" } else { "ports" };
        match placement {
            Some(Placement::Waypoint) => findings.about_rule(
                Code::PortsUnknown,
                Severity::Error,
                index,
                &field(number, name),
                "a waypoint does not know the port, and refuses every request of the policy (unknown_port)".to_owned(),
            ),
            Some(Placement::Gateway) => findings.about_rule(
                Code::PortsUnknown,
                Severity::Note,
                index,
                &field(number, name),
                "if this is a waypoint: it does not know the port, and refuses every request of the policy (unknown_port)".to_owned(),
            ),
            Some(Placement::Sidecar) | None => {}
        }
    }
    let workload = rule
        .demand()
        .is_some_and(|demand| demand.requirements.workload.is_some());
    if workload && placement == Some(Placement::Gateway) {
        findings.about_rule(
            Code::WorkloadAtGateway,
            Severity::Warning,
            index,
            "require.workload",
            "a client from outside of the mesh has no certificate of it, and is refused (no_workload). Fine at a waypoint".to_owned(),
        );
    }
}

/// One finding for the policy: without any one of the rules, the others would do it.
fn every_user(findings: &mut Findings<'_>) {
    let admits_all = |rule: &Rule| {
        let demand = rule.demand();
        demand.is_some_and(|demand| {
            let mut parts = demand.requirements.parts();
            parts.any(Requirement::admits_without_terms)
        })
    };
    let rules: Vec<(usize, &Rule)> = findings
        .rules()
        .filter(|(_, rule)| admits_all(rule))
        .collect();
    let Some((first, _)) = rules.first() else {
        return;
    };
    let names: Vec<String> = rules
        .iter()
        .map(|(_, rule)| format!("'{}'", rule.name))
        .collect();
    findings.about_rule(
        Code::EveryUser,
        Severity::Note,
        *first,
        "require",
        format!(
            "every active user of the tenant is sent to each proxy of this policy, because of {}. Requiring a group sends its members alone",
            names.join(", ")
        ),
    );
}

fn short_lease(findings: &mut Findings<'_>) {
    let lease = findings.policy.min_staleness();
    if lease >= MIN_LEASE {
        return;
    }
    let message = format!(
        "{} s: a restart of a single feeder that takes longer stops requests (lease_ended). 60s or more, unless several feeders serve",
        lease.as_secs_f64()
    );
    let own = findings.rules().find(|(_, rule)| {
        let demand = rule.demand();
        demand.is_some_and(|demand| demand.max_staleness == lease)
    });
    let policy_wide = findings.rules().all(|(_, rule)| {
        let demand = rule.demand();
        demand.is_none_or(|demand| demand.max_staleness == lease)
    });
    let (code, severity, field) = (Code::ShortLease, Severity::Warning, "maxStaleness");
    match own {
        Some((rule, _)) if !policy_wide => {
            findings.about_rule(code, severity, rule, field, message)
        }
        _ => findings.about_policy(code, severity, field, message),
    }
}

/// Paths, and terms, that differ in case alone: one of them is likely misspelt, and both are compared to the letter.
fn case(findings: &mut Findings<'_>) {
    let mut words: BTreeMap<String, (usize, String)> = BTreeMap::new();
    for (index, rule) in findings.rules() {
        let mut here: Vec<(String, String)> = Vec::new();
        for (number, to) in rule.to.iter().enumerate() {
            for (name, patterns) in [("paths", &to.paths), ("notPaths", &to.not_paths)] {
                let patterns = each(patterns).map(PathPattern::to_string);
                here.extend(patterns.map(|pattern| (field(number, name), pattern)));
            }
        }
        let parts = rule.demand().map(|demand| demand.requirements.parts());
        for term in parts.into_iter().flatten().flat_map(Requirement::terms) {
            here.push(("require".to_owned(), term.to_string()));
        }
        for (field, text) in here {
            let (other, other_text) = words
                .entry(text.to_lowercase())
                .or_insert_with(|| (index, text.clone()))
                .clone();
            // Within one rule both spellings are meant.
            if other_text != text && other != index {
                let name = findings.policy.rule_name(other).unwrap_or_default();
                let message = format!("'{text}' is not '{other_text}' of '{name}': case counts");
                findings.about_rule(Code::CaseDiffers, Severity::Warning, index, &field, message);
            }
        }
    }
}
