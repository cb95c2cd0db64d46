//! One element of a rule's `to`.

use serde::Deserialize;

use super::host::HostPattern;
use super::method::MethodPattern;
use super::path_pattern::PathPattern;
use super::port::Port;
use super::target::Target;
use crate::policy::strict::{NonEmpty, present};

/// Conditions that a request meets all together; what is absent is no condition. As in Istio's AuthorizationPolicy.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(extend("minProperties" = 1))
)]
pub(crate) struct Operation {
    /// One of these hosts, without regard to port.
    #[serde(default, deserialize_with = "present")]
    pub(crate) hosts: Option<NonEmpty<HostPattern>>,
    /// None of these hosts.
    #[serde(default, deserialize_with = "present")]
    pub(crate) not_hosts: Option<NonEmpty<HostPattern>>,
    /// One of these local ports.
    #[serde(default, deserialize_with = "present")]
    pub(crate) ports: Option<NonEmpty<Port>>,
    /// None of these local ports.
    #[serde(default, deserialize_with = "present")]
    pub(crate) not_ports: Option<NonEmpty<Port>>,
    /// One of these methods.
    #[serde(default, deserialize_with = "present")]
    pub(crate) methods: Option<NonEmpty<MethodPattern>>,
    /// None of these methods.
    #[serde(default, deserialize_with = "present")]
    pub(crate) not_methods: Option<NonEmpty<MethodPattern>>,
    /// One of these paths, in canonical form.
    #[serde(default, deserialize_with = "present")]
    pub(crate) paths: Option<NonEmpty<PathPattern>>,
    /// None of these paths.
    #[serde(default, deserialize_with = "present")]
    pub(crate) not_paths: Option<NonEmpty<PathPattern>>,
}

/// A field of an operation: one condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// `methods`
    Methods,
    /// `notMethods`
    NotMethods,
    /// `paths`
    Paths,
    /// `notPaths`
    NotPaths,
    /// `hosts`
    Hosts,
    /// `notHosts`
    NotHosts,
    /// `ports`
    Ports,
    /// `notPorts`
    NotPorts,
}

impl Field {
    /// In the order in which they are asked: the cheap ones first.
    pub const ALL: [Field; 8] = [
        Field::Methods,
        Field::NotMethods,
        Field::Paths,
        Field::NotPaths,
        Field::Hosts,
        Field::NotHosts,
        Field::Ports,
        Field::NotPorts,
    ];

    /// Its name in a policy.
    pub fn as_str(self) -> &'static str {
        match self {
            Field::Methods => "methods",
            Field::NotMethods => "notMethods",
            Field::Paths => "paths",
            Field::NotPaths => "notPaths",
            Field::Hosts => "hosts",
            Field::NotHosts => "notHosts",
            Field::Ports => "ports",
            Field::NotPorts => "notPorts",
        }
    }
}

impl Operation {
    /// Whether it has no condition at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.hosts.is_none()
            && self.not_hosts.is_none()
            && self.ports.is_none()
            && self.not_ports.is_none()
            && self.methods.is_none()
            && self.not_methods.is_none()
            && self.paths.is_none()
            && self.not_paths.is_none()
    }

    /// Whether it depends on the host.
    pub(crate) fn uses_host(&self) -> bool {
        self.hosts.is_some() || self.not_hosts.is_some()
    }

    /// Whether it depends on the local port.
    pub(crate) fn uses_port(&self) -> bool {
        self.ports.is_some() || self.not_ports.is_some()
    }

    pub(crate) fn matches(&self, target: &Target<'_>) -> bool {
        Field::ALL.iter().all(|field| self.meets(*field, target))
    }

    /// The conditions in it that the request does not meet.
    pub(crate) fn unmet(&self, target: &Target<'_>) -> Vec<Field> {
        let unmet = |field: &Field| !self.meets(*field, target);
        Field::ALL.into_iter().filter(unmet).collect()
    }

    fn meets(&self, field: Field, target: &Target<'_>) -> bool {
        let method = || Some(target.method());
        let path = || target.path();
        let host = || Some(target.host());
        let port = || target.port();
        match field {
            Field::Methods => among(&self.methods, method, |p, method| p.matches(method)),
            Field::NotMethods => outside(&self.not_methods, method, |p, method| p.matches(method)),
            Field::Paths => among(&self.paths, path, |p, path| p.matches(path)),
            Field::NotPaths => outside(&self.not_paths, path, |p, path| p.matches(path)),
            Field::Hosts => among(&self.hosts, host, |p, host| p.matches(host)),
            Field::NotHosts => outside(&self.not_hosts, host, |p, host| p.matches(host)),
            Field::Ports => among(&self.ports, port, |p, port| p.0 == port),
            Field::NotPorts => outside(&self.not_ports, port, |p, port| p.0 == port),
        }
    }
}

/// Whether the value is there and one of the patterns matches it. No patterns: no condition.
fn among<P, V: Copy>(
    patterns: &Option<NonEmpty<P>>,
    value: impl FnOnce() -> Option<V>,
    matches: impl Fn(&P, V) -> bool,
) -> bool {
    patterns.as_ref().is_none_or(|patterns| {
        value().is_some_and(|value| patterns.iter().any(|pattern| matches(pattern, value)))
    })
}

/// Whether the value is *there* and none of the patterns matches it. No patterns: no condition.
fn outside<P, V: Copy>(
    patterns: &Option<NonEmpty<P>>,
    value: impl FnOnce() -> Option<V>,
    matches: impl Fn(&P, V) -> bool,
) -> bool {
    patterns.as_ref().is_none_or(|patterns| {
        value().is_some_and(|value| !patterns.iter().any(|pattern| matches(pattern, value)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    #[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn each_field_is_a_condition_of_its_name_and_says_what_it_depends_on() {
        for field in Field::ALL {
            let value = match field {
                Field::Methods | Field::NotMethods => json!("GET"),
                Field::Paths | Field::NotPaths => json!("/a"),
                Field::Hosts | Field::NotHosts => json!("a.example"),
                Field::Ports | Field::NotPorts => json!("80"),
            };
            let document = json!({ field.as_str(): [value] });
            let operation: Operation = serde_json::from_value(document).unwrap();
            assert!(!operation.is_empty(), "{field:?}");
            let host = matches!(field, Field::Hosts | Field::NotHosts);
            let port = matches!(field, Field::Ports | Field::NotPorts);
            assert_eq!(operation.uses_host(), host, "{field:?}");
            assert_eq!(operation.uses_port(), port, "{field:?}");
        }
        let none: Operation = serde_json::from_value(json!({})).unwrap();
        assert!(none.is_empty() && !none.uses_host() && !none.uses_port());
    }
}
