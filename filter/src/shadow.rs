//! What SHADOW would have refused of a request, and the line of the log that tells of it.

use std::time::Duration;

use scimesh_engine::{Decision, Moment, Policy};

use crate::session::elapsed;

/// The shortest time between two lines.
const BETWEEN_LINES: Duration = Duration::from_secs(1);

/// The name of each rule that SHADOW kept from refusing a request, and why it would have: the SHADOW rules', and of a SHADOW policy the one that
/// decided, without a name if it was none.
pub(crate) fn refusals<'a>(
    policy: &'a Policy,
    decision: &'a Decision,
) -> impl Iterator<Item = (&'a str, &'static str)> {
    let rules = decision.shadowed.iter();
    let rules = rules.map(|(rule, reason)| (Some(*rule), *reason));
    let whole = decision.would_refuse.map(|reason| (decision.rule, reason));
    rules.chain(whole).map(|(rule, reason)| {
        let rule = rule.and_then(|rule| policy.rule_name(rule));
        (rule.unwrap_or_default(), reason.as_str())
    })
}

/// A line of the log a second at most, however many there are to write.
#[derive(Default)]
pub(crate) struct Sampled {
    last: Option<Moment>,
    left_out: u64,
}

impl Sampled {
    /// The line for what SHADOW would have refused of a request; none if there was nothing, or one of late. It names nobody, and no path: a log is read by
    /// more people than may know who asked for what.
    pub(crate) fn line(
        &mut self,
        policy: &Policy,
        decision: &Decision,
        now: Moment,
    ) -> Option<String> {
        let mut refusals = refusals(policy, decision);
        let (rule, reason) = refusals.next()?;
        let others = refusals.count() as u64;
        let recent = |at| elapsed(at, now) < BETWEEN_LINES;
        if self.last.is_some_and(recent) {
            self.left_out += 1 + others;
            return None;
        }
        self.last = Some(now);
        let left_out = std::mem::replace(&mut self.left_out, others);
        let policy = policy.name().unwrap_or("-");
        let rule = if rule.is_empty() { "-" } else { rule };
        Some(format!(
            "scimesh: SHADOW: would be refused: policy {policy}, rule {rule}, reason {reason}; {left_out} more since the last such line"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use scimesh_engine::Reason;

    fn policy(name: Option<&str>) -> Policy {
        let rules = serde_json::json!([
            { "name": "trial", "to": [{ "methods": ["*"] }], "allow": "NOBODY", "mode": "SHADOW" },
            { "name": "all", "to": [{ "methods": ["*"] }], "allow": "NOBODY" },
        ]);
        let mut policy =
            serde_json::json!({ "tenant": "corp", "feed": { "cluster": "feed" }, "rules": rules });
        if let Some(name) = name {
            policy["name"] = name.into();
        }
        Policy::parse(policy.to_string().as_bytes()).unwrap()
    }

    fn decision(
        shadowed: &[(usize, Reason)],
        would_refuse: Option<(Option<usize>, Reason)>,
    ) -> Decision {
        Decision {
            allowed: true,
            reason: would_refuse.map_or(Reason::Permitted, |(_, reason)| reason),
            rule: would_refuse.map_or(Some(1), |(rule, _)| rule),
            subject: None,
            workload: None,
            shadowed: shadowed.to_vec(),
            would_refuse: would_refuse.map(|(_, reason)| reason),
        }
    }

    fn at(milliseconds: u64) -> Moment {
        Moment {
            monotonic: Duration::from_millis(milliseconds),
            wall: Duration::from_millis(milliseconds),
        }
    }

    #[test]
    fn rules_in_shadow_come_before_the_policy_itself() {
        let policy = policy(None);
        let both = decision(&[(0, Reason::Nobody)], Some((None, Reason::AmbiguousPath)));
        let told: Vec<_> = refusals(&policy, &both).collect();
        assert_eq!(told, [("trial", "nobody"), ("", "ambiguous_path")]);
        assert_eq!(refusals(&policy, &decision(&[], None)).count(), 0);
    }

    #[test]
    fn a_line_a_second_says_how_many_it_stands_for() {
        let named = policy(Some("edge"));
        let mut sampled = Sampled::default();
        assert_eq!(sampled.line(&named, &decision(&[], None), at(0)), None);
        let first = sampled.line(&named, &decision(&[(0, Reason::Nobody)], None), at(0));
        assert_eq!(
            first.unwrap(),
            "scimesh: SHADOW: would be refused: policy edge, rule trial, reason nobody; 0 more since the last such line"
        );
        let two = decision(&[(0, Reason::Nobody)], Some((None, Reason::NoRule)));
        assert_eq!(sampled.line(&named, &two, at(500)), None);
        assert_eq!(sampled.line(&named, &two, at(999)), None);
        let next = sampled.line(
            &policy(None),
            &decision(&[], Some((None, Reason::NoRule))),
            at(1000),
        );
        assert_eq!(
            next.unwrap(),
            "scimesh: SHADOW: would be refused: policy -, rule -, reason no_rule; 4 more since the last such line"
        );
        let last = sampled.line(&named, &two, at(2000)).unwrap();
        assert!(
            last.ends_with("; 0 more since the last such line"),
            "{last}"
        );
        let last = sampled.line(&named, &two, at(3000)).unwrap();
        assert!(
            last.ends_with("; 1 more since the last such line"),
            "{last}"
        );
    }
}
