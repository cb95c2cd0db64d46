//! The bound of everything that a client can make large: its name, its default, and the error beyond it.

use std::time::Duration;

use thiserror::Error;

use crate::directory::Bounds;
use crate::limits::{self, Named as _, limits};

limits! {
    BodyBytes, body_bytes = 16 << 20, "body-bytes", "bytes in a body";
    BodiesBytes, bodies_bytes = 64 << 20, "bodies-bytes", "bytes of bodies at once, over all requests";
    BodyMemory, body_memory = 128 << 20, "body-memory", "bytes of memory for the values of a body";
    JsonDepth, json_depth = 32, "json-depth", "lists and objects inside each other";
    RequestSeconds, request_seconds = 60, "request-seconds", "seconds for a request";
    UrlBytes, url_bytes = 16 << 10, "url-bytes", "bytes in a URL";
    FilterBytes, filter_bytes = 16 << 10, "filter-bytes", "bytes in a filter or path";
    FilterDepth, filter_depth = 32, "filter-depth", "parentheses and brackets inside each other";
    FilterTerms, filter_terms = 2000, "filter-terms", "comparisons in a filter";
    PatchOperations, patch_operations = 50_000, "patch-operations", "operations in a PATCH";
    BulkOperations, bulk_operations = 1000, "bulk-operations", "operations in a Bulk request";
    Page, page = 1000, "page", "resources on a page";
    CursorSeconds, cursor_seconds = 3600, "cursor-seconds", "seconds from a page to the next by its cursor";
    Work, work = 20_000_000, "work", "steps of work for a request";
    Values, values = 1000, "values", "values of one attribute";
    ResourceBytes, resource_bytes = 1 << 20, "resource-bytes", "bytes of attributes in a resource";
    Users, users = 2_000_000, "users", "users in a tenant";
    Groups, groups = 200_000, "groups", "groups in a tenant";
    Members, members = 1_000_000, "members", "direct members in a group";
    Memberships, memberships = 40_000_000, "memberships", "direct memberships in a tenant";
    HeldNames, held_names = 500_000, "held-names", "names held in a tenant after somebody lost them";
    GroupDepth, group_depth = 16, "group-depth", "groups inside each other";
    RequestsPerSecond, requests_per_second = 10_000, "requests-per-second", "requests a second with one token";
    RequestsBurst, requests_burst = 20_000, "requests-burst", "requests at once with one token";
    Connections, connections = 1024, "connections", "connections at once";
    ConnectionsPerAddress, connections_per_address = 0, "connections-per-address", "connections at once from one address";
}

/// Beyond this, reading one into the other recursively would take more stack than a thread has.
const DEEPEST: usize = 100;

impl Limit {
    /// Whether 0 means that there is no bound.
    pub fn can_be_off(self) -> bool {
        matches!(
            self,
            Limit::RequestsPerSecond | Limit::ConnectionsPerAddress
        )
    }

    /// The values that it may have.
    fn range(self) -> std::ops::RangeInclusive<usize> {
        let least = usize::from(!self.can_be_off());
        let most = match self {
            Limit::JsonDepth | Limit::FilterDepth => DEEPEST,
            Limit::RequestSeconds => 3600,
            _ => u32::MAX as usize,
        };
        least..=most
    }

    /// For something of which there is more.
    pub(crate) fn exceeded(self, value: usize) -> Exceeded {
        Exceeded { limit: self, value }
    }
}

/// More than a limit allows. Nothing was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("more than {value} {of}: the limit is {name}", of = .limit.of(), name = .limit.name())]
pub(crate) struct Exceeded {
    /// Which.
    pub(crate) limit: Limit,
    /// What it is set to.
    pub(crate) value: usize,
}

impl Limits {
    /// How long after a page its cursor opens the next one.
    pub(crate) fn cursor_timeout(&self) -> Duration {
        Duration::from_secs(self.cursor_seconds as u64)
    }

    /// What a tenant may hold.
    pub(crate) fn bounds(&self) -> Bounds {
        Bounds {
            users: self.users,
            groups: self.groups,
            members: self.members,
            memberships: self.memberships,
            depth: self.group_depth,
            held_names: self.held_names,
        }
    }

    /// Whether there may be so many of something.
    pub(crate) fn allow(&self, limit: Limit, count: usize) -> Result<(), Exceeded> {
        let value = self.get(limit);
        match count > value {
            true => Err(limit.exceeded(value)),
            false => Ok(()),
        }
    }
}

/// `NAME=VALUE` of one of these limits.
pub type Setting = limits::Setting<Limit>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_names_a_known_limit_and_a_value_that_it_can_have() {
        let set = |text: &str| text.parse::<Setting>();
        let setting = set("filter-terms=7").unwrap();
        let mut limits = Limits::default();
        limits.set(setting.limit, setting.value);
        assert_eq!(limits.filter_terms, 7);
        assert!(set("requests-per-second=0").is_ok());
        for (text, said) in [
            ("filter-terms", "NAME=VALUE"),
            (
                "filterterms=7",
                "there is no limit \"filterterms\"; there are body-bytes, ",
            ),
            ("filter-terms=0", "from 1 to"),
            ("filter-terms=", "whole number"),
            ("filter-terms=-1", "whole number"),
            ("json-depth=101", "from 1 to 100"),
        ] {
            let error = set(text).unwrap_err().to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
    }

    #[test]
    fn every_default_is_a_value_that_can_be_set() {
        for limit in Limit::ALL {
            let text = format!("{}={}", limit.name(), Limits::default().get(*limit));
            assert!(text.parse::<Setting>().is_ok(), "{text}");
        }
    }

    #[test]
    fn what_is_exceeded_is_named_with_its_value() {
        let limits = Limits::default();
        assert_eq!(limits.allow(Limit::Values, 1000), Ok(()));
        let said = limits.allow(Limit::Values, 1001).unwrap_err().to_string();
        assert_eq!(
            said,
            "more than 1000 values of one attribute: the limit is values"
        );
    }
}
