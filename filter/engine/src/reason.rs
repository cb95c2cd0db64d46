//! Why a request was allowed or refused, as one stable word.

use std::fmt;

/// Why. The variant's word is the metric label, the log field and the row in `docs/reasons.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// A PUBLIC rule: anybody may.
    Public,
    /// A known, active user who satisfies the rule.
    Permitted,
    /// The request carries no verified token.
    NoToken,
    /// The rule bounds the token's age; it is older, has no numeric `iat`, or one in the future.
    TokenTooOld,
    /// An open request's token has expired, or is too old for the rule by now.
    TokenExpired,
    /// The tenant has no binding for the token's issuer, or the binding's pin does not match.
    UnknownIssuer,
    /// The claim that names the subject is absent or unusable, or an email was not verified.
    NoSubject,
    /// Nobody active is known by that name, or (unless any active user is in scope) they hold none of the policy's terms.
    UnknownSubject,
    /// A known user who does not satisfy the rule.
    NotPermitted,
    /// A NOBODY rule.
    Nobody,
    /// No rule matches the request.
    NoRule,
    /// Two readers of the path could take it for different ones.
    AmbiguousPath,
    /// The request does not name one well-formed host.
    AmbiguousHost,
    /// The method is none, or one that a lenient server would take for another.
    AmbiguousMethod,
    /// The rule needs a workload, and the connection was not verified as one's.
    NoWorkload,
    /// The tenant has no binding for the workload's trust domain.
    UnknownTrustDomain,
    /// Nobody active is known by the workload's SPIFFE id, or (unless any active user is in scope) it holds none of the policy's terms.
    UnknownWorkload,
    /// A known workload that does not satisfy the rule.
    WorkloadNotPermitted,
    /// Nothing was received from the feeder yet.
    NoSnapshot,
    /// The feeder has not confirmed for too long that the snapshot is current.
    LeaseEnded,
    /// A rule depends on the local port, and the proxy does not know it.
    UnknownPort,
    /// Envoy does not know the feed's cluster. The filter says it in place of [`NoSnapshot`](Self::NoSnapshot).
    FeedClusterMissing,
    /// The filter itself can't work. Only the filter says it.
    Misconfigured,
}

impl Reason {
    /// Every reason, in the order of the documentation.
    pub const ALL: [Reason; 23] = [
        Reason::Public,
        Reason::Permitted,
        Reason::NoToken,
        Reason::TokenTooOld,
        Reason::TokenExpired,
        Reason::UnknownIssuer,
        Reason::NoSubject,
        Reason::UnknownSubject,
        Reason::NotPermitted,
        Reason::Nobody,
        Reason::NoRule,
        Reason::NoWorkload,
        Reason::UnknownTrustDomain,
        Reason::UnknownWorkload,
        Reason::WorkloadNotPermitted,
        Reason::AmbiguousPath,
        Reason::AmbiguousHost,
        Reason::AmbiguousMethod,
        Reason::NoSnapshot,
        Reason::LeaseEnded,
        Reason::UnknownPort,
        Reason::FeedClusterMissing,
        Reason::Misconfigured,
    ];

    /// Its word. Never changes.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Public => "public",
            Reason::Permitted => "permitted",
            Reason::NoToken => "no_token",
            Reason::TokenTooOld => "token_too_old",
            Reason::TokenExpired => "token_expired",
            Reason::UnknownIssuer => "unknown_issuer",
            Reason::NoSubject => "no_subject",
            Reason::UnknownSubject => "unknown_subject",
            Reason::NotPermitted => "not_permitted",
            Reason::Nobody => "nobody",
            Reason::NoRule => "no_rule",
            Reason::NoWorkload => "no_workload",
            Reason::UnknownTrustDomain => "unknown_trust_domain",
            Reason::UnknownWorkload => "unknown_workload",
            Reason::WorkloadNotPermitted => "workload_not_permitted",
            Reason::AmbiguousPath => "ambiguous_path",
            Reason::AmbiguousHost => "ambiguous_host",
            Reason::AmbiguousMethod => "ambiguous_method",
            Reason::NoSnapshot => "no_snapshot",
            Reason::LeaseEnded => "lease_ended",
            Reason::UnknownPort => "unknown_port",
            Reason::FeedClusterMissing => "feed_cluster_missing",
            Reason::Misconfigured => "misconfigured",
        }
    }

    /// The HTTP status of a request that was decided for this reason; 200 means that it goes on.
    pub fn status(self) -> u16 {
        match self {
            Reason::Public | Reason::Permitted => 200,
            Reason::AmbiguousPath | Reason::AmbiguousHost | Reason::AmbiguousMethod => 400,
            Reason::NoToken
            | Reason::TokenTooOld
            | Reason::TokenExpired
            | Reason::UnknownIssuer
            | Reason::NoSubject => 401,
            Reason::UnknownSubject
            | Reason::NotPermitted
            | Reason::Nobody
            | Reason::NoRule
            | Reason::NoWorkload
            | Reason::UnknownTrustDomain
            | Reason::UnknownWorkload
            | Reason::WorkloadNotPermitted => 403,
            Reason::NoSnapshot
            | Reason::LeaseEnded
            | Reason::UnknownPort
            | Reason::FeedClusterMissing
            | Reason::Misconfigured => 503,
        }
    }

    /// Whether a request that was decided for this reason goes on.
    pub fn allows(self) -> bool {
        matches!(self, Reason::Public | Reason::Permitted)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn every_reason_is_documented_with_its_status() {
        let docs = include_str!("../../../docs/reasons.md");
        for reason in Reason::ALL {
            let row = format!("| `{reason}` | {} |", reason.status());
            assert!(docs.contains(&row), "docs/reasons.md lacks a row {row}");
        }
        let rows = docs.lines().filter(|line| line.starts_with("| `"));
        assert_eq!(rows.count(), Reason::ALL.len());
    }

    #[test]
    fn only_what_allows_has_a_status_that_goes_on() {
        for reason in Reason::ALL {
            assert_eq!(reason.allows(), reason.status() == 200, "{reason}");
        }
    }
}
