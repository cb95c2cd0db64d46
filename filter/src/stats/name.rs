//! How a metric's labels are written into its name: an Envoy statistic has nothing but a name, and takes labels out of it by
//! regular expressions (`stats_tags`).
//!
//! The form is the one for which Istio writes the expressions itself, given no more than the labels' names (`extraStatTags`).
//! The labels stand behind `scimesh_`, so that what is left when they are taken out is the metric's name, and an Envoy that takes
//! none out still has all of them under one prefix.

/// `scimesh_` is not part of `metric`. A label without a value is left out.
///
/// Values are names out of a policy, or words of this program: none has a `;` or a `=`, the two that could end a value early
/// or begin another one.
pub(super) fn name(metric: &str, labels: &[(&str, Option<&str>)]) -> String {
    let mut name = "scimesh_".to_owned();
    for (label, value) in labels {
        if let Some(value) = value {
            name.extend([label, "=.=", value, ";.;"]);
        }
    }
    name.push_str(metric);
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use scimesh_engine::Policy;
    use serde_json::{Value, json};

    #[test]
    fn labels_stand_between_the_prefix_and_the_metric() {
        assert_eq!(name("entries", &[]), "scimesh_entries");
        let labels = [
            ("tenant", Some("corp.eu")),
            ("policy", None),
            ("rule", Some("refunds")),
        ];
        assert_eq!(
            name("requests_total", &labels),
            "scimesh_tenant=.=corp.eu;.;rule=.=refunds;.;requests_total"
        );
    }

    /// What the expressions go by can't be in a name that a policy gives.
    #[test]
    fn no_policy_has_a_name_that_could_be_taken_for_two() {
        let policy = |tenant: &str, name: &str, rule: &str| -> Value {
            json!({
                "tenant": tenant,
                "name": name,
                "feed": { "cluster": "feed" },
                "rules": [{ "name": rule, "to": [{ "paths": ["/"] }], "allow": "PUBLIC" }],
            })
        };
        let parses = |policy: Value| Policy::parse(policy.to_string().as_bytes()).is_ok();
        assert!(parses(policy("corp.eu", "pay", "refunds")));
        for bad in ["a;.;rule=.=b", "a;b", "a=b", "a\"b", "a b", "a\nb", "ä"] {
            assert!(!parses(policy(bad, "pay", "refunds")), "{bad}");
            assert!(!parses(policy("corp", bad, "refunds")), "{bad}");
            assert!(!parses(policy("corp", "pay", bad)), "{bad}");
        }
    }
}
