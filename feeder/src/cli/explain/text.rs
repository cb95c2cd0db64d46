//! An explanation as lines for people.

use std::fmt::Write as _;

use super::jwt::Header;
use crate::admin::explanation::{
    Asked, Case, Condition, Explained, ExplainedToken, Naming, Require, State, UserRow,
};
use crate::admin::wire::FrozenRow;
use crate::cli::binding::describe;
use crate::cli::output::plain;

/// What a token says of itself, and that nobody has verified it.
pub(super) fn of_header(header: &Header) -> String {
    let mut text = String::new();
    put(
        &mut text,
        format_args!(
            "THE SIGNATURE WAS NOT VERIFIED: what follows takes the token for one that Envoy has verified."
        ),
    );
    let said = |field: &Option<String>| field.clone().unwrap_or_else(|| "none".to_owned());
    put(
        &mut text,
        format_args!(
            "token: alg {}, iat {}, nbf {}, exp {}",
            said(&header.alg),
            said(&header.iat),
            said(&header.nbf),
            said(&header.exp)
        ),
    );
    for why in &header.refused_for {
        put(
            &mut text,
            format_args!("Envoy refuses this token, whoever signed it: {why}"),
        );
    }
    text
}

/// Whom a token names.
pub(super) fn of_token(explained: &ExplainedToken) -> String {
    let mut text = String::new();
    if let Some(problem) = &explained.problem {
        put(&mut text, format_args!("names nobody: {}", problem.detail));
    }
    for told in &explained.tenants {
        put(
            &mut text,
            format_args!("in tenant {}: {}", told.tenant, naming(&told.naming)),
        );
        of_freeze(&mut text, &told.tenant, told.frozen.as_ref());
    }
    put(&mut text, format_args!("(revision {})", explained.revision));
    ended(text)
}

/// What becomes of a request.
pub(super) fn of_request(explained: &Explained) -> String {
    let mut text = String::new();
    let request = &explained.request;
    let path = request.path.as_deref().unwrap_or_default();
    let mut asked = format!("{} {path}", request.method);
    if let Some(canonical) = &explained.canonical_path
        && canonical != path
    {
        let _ = write!(asked, ", which rules see as {canonical}");
    }
    put(&mut text, format_args!("{asked}"));
    for case in &explained.cases {
        text.push('\n');
        of_case(&mut text, case);
    }
    for unnameable in &explained.unnameable {
        text.push('\n');
        put(
            &mut text,
            format_args!(
                "by the binding \"{}\": {}",
                describe(&unnameable.binding),
                unnameable.detail
            ),
        );
    }
    text.push('\n');
    let tenant = &explained.tenant;
    put(
        &mut text,
        format_args!(
            "By tenant {tenant} at revision {}, with a lease renewed just now; what each proxy has heard, only it can tell.",
            explained.revision
        ),
    );
    of_freeze(&mut text, tenant, explained.frozen.as_ref());
    ended(text)
}

/// What is stored may say otherwise: that is not what proxies have.
fn of_freeze(text: &mut String, tenant: &str, frozen: Option<&FrozenRow>) {
    let Some(frozen) = frozen else { return };
    let (revision, since) = (frozen.revision, &frozen.since);
    put(
        text,
        format_args!(
            "TENANT {tenant} IS FROZEN since {since}: this is what was so at its revision {revision}, and what was stored since is not in it."
        ),
    );
}

fn of_case(text: &mut String, case: &Case) {
    let verdict = match (&case.would_refuse, case.allowed) {
        (Some(_), _) => "allowed, for the policy is SHADOW; ENFORCE would refuse it",
        (None, true) => "allowed",
        (None, false) => "refused",
    };
    let by = match &case.rule {
        Some(rule) => format!("by the rule {rule}"),
        None => "by no rule".to_owned(),
    };
    put(
        text,
        format_args!("{verdict}: {} ({}), {by}", case.reason, case.status),
    );
    match &case.user {
        Some(user) => put(text, format_args!("  token: {}", naming(user))),
        None => put(text, format_args!("  token: none")),
    }
    if let Some(workload) = &case.workload {
        put(text, format_args!("  workload: {}", naming(workload)));
    }
    for rule in &case.rules {
        of_rule(text, rule, case.rule.as_ref() == Some(&rule.name));
    }
    for change in &case.changes {
        put(text, format_args!("  to be allowed: {change}"));
    }
}

fn of_rule(text: &mut String, rule: &Asked, decides: bool) {
    let name = &rule.name;
    match (&rule.says, decides) {
        (Some(says), true) => put(text, format_args!("  rule {name} decides: {says}")),
        (Some(says), false) => put(
            text,
            format_args!("  rule {name} (SHADOW, recorded only) says: {says}"),
        ),
        (None, _) => {
            let operations: Vec<String> = rule.unmet.iter().map(|u| u.join(" and ")).collect();
            let operations = operations.join("; ");
            put(
                text,
                format_args!("  rule {name} does not match, by its {operations}"),
            );
        }
    }
    let Some(require) = &rule.require else {
        return;
    };
    let Require { user, workload, .. } = require;
    for (whose, conditions) in [("", user), ("workload ", workload)] {
        for condition in conditions.iter().flatten() {
            of_condition(text, whose, condition);
        }
    }
}

fn of_condition(text: &mut String, whose: &str, condition: &Condition) {
    let mark = if condition.met { '+' } else { '-' };
    let state = match condition.state {
        State::Held => "held",
        State::NotHeld => "not held",
        State::Missing => "no group has that name",
        State::Ambiguous => "several groups have that name",
    };
    let mut row = format!(
        "    {mark} {whose}{} {}: {state}",
        condition.list, condition.condition
    );
    if !condition.via.is_empty() {
        let _ = write!(row, ", by {}", condition.via.join(" > "));
    }
    for group in &condition.groups {
        let _ = write!(row, "; {} is {}", group.display_name, group.id);
    }
    put(text, format_args!("{row}"));
}

fn naming(naming: &Naming) -> String {
    let mut text = String::new();
    if let Some(binding) = &naming.binding {
        text.push_str(&describe(binding));
        if let Some(name) = &naming.name {
            let _ = write!(text, ": {name:?}");
        }
        text.push_str("; ");
    }
    match &naming.problem {
        Some(problem) => {
            let _ = write!(text, "names nobody: {}", problem.detail);
        }
        None => text.push_str("names "),
    }
    let users: Vec<String> = naming.users.iter().map(user).collect();
    match (&naming.problem, users.is_empty()) {
        (Some(_), false) => {
            let _ = write!(text, " ({})", users.join("; "));
        }
        _ => text.push_str(&users.join("; ")),
    }
    text
}

fn user(user: &UserRow) -> String {
    let active = if user.active { "active" } else { "inactive" };
    let mut text = format!("{}, id {}, {active}", user.user_name, user.id);
    if !user.found_by.is_empty() {
        let _ = write!(text, ", found by {}", user.found_by.join(" and "));
    }
    text
}

/// One line. Names are other people's words.
fn put(text: &mut String, row: std::fmt::Arguments<'_>) {
    text.push_str(&plain(&row.to_string()));
    text.push('\n');
}

/// Without the last line's end, which printing adds.
fn ended(mut text: String) -> String {
    text.truncate(text.trim_end().len());
    text
}
