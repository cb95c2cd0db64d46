//! What the linter can find, each by one stable word.

use std::fmt;

/// The kind of a finding. The variant's word is what scripts match on, and the row in `docs/policy-lint.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Code {
    /// Earlier rules decide every request that the rule matches.
    UnreachableRule,
    /// Earlier rules decide every request that one of the rule's operations matches.
    UnreachableOperation,
    /// A broader, weaker rule before it decides some of the rule's requests.
    PartlyShadowed,
    /// On a sidecar: with another Host, a request comes to a weaker rule.
    HostEvades,
    /// On a sidecar: whoever sends the rule's Host gets a weaker rule than others.
    HostClaims,
    /// CORS preflights, which carry no token, come to a rule that needs one.
    PreflightRefused,
    /// HEAD is decided by a weaker rule than GET.
    WeakerHead,
    /// A rule without conditions on paths allows CONNECT.
    ConnectAllowed,
    /// Requests that a SHADOW rule would refuse are let in by the rules after it, or the other way round.
    ShadowRule,
    /// The policy is in SHADOW and refuses nothing.
    ShadowPolicy,
    /// A PUBLIC rule for every path.
    WidePublic,
    /// A PUBLIC rule says what it is not for.
    PublicByExclusion,
    /// A PUBLIC rule for every method.
    PublicMethods,
    /// A prefix that ends within a segment.
    OpenPrefix,
    /// A suffix of a PUBLIC rule, which the end of any path may have.
    PublicSuffix,
    /// Two patterns, or terms, that differ in case alone.
    CaseDiffers,
    /// `noneOf` alone.
    NoneOfAlone,
    /// `active` beside terms in an `anyOf`.
    ActiveBesideTerms,
    /// The rule makes the feeder send every active user.
    EveryUser,
    /// A lease under a minute.
    ShortLease,
    /// A rule on ports where the proxy does not know them.
    PortsUnknown,
    /// A rule that requires a workload where clients from outside have no certificate of the mesh.
    WorkloadAtGateway,
    /// A term that is nobody's in the directory.
    TermMissing,
    /// A term that several groups share.
    TermAmbiguous,
    /// Too many patterns to compare them all.
    TooComplex,
}

impl Code {
    /// Every code, in the order of the documentation.
    pub const ALL: [Code; 25] = [
        Code::UnreachableRule,
        Code::UnreachableOperation,
        Code::PartlyShadowed,
        Code::HostEvades,
        Code::HostClaims,
        Code::PreflightRefused,
        Code::WeakerHead,
        Code::ConnectAllowed,
        Code::ShadowRule,
        Code::ShadowPolicy,
        Code::WidePublic,
        Code::PublicByExclusion,
        Code::PublicMethods,
        Code::OpenPrefix,
        Code::PublicSuffix,
        Code::CaseDiffers,
        Code::NoneOfAlone,
        Code::ActiveBesideTerms,
        Code::EveryUser,
        Code::ShortLease,
        Code::PortsUnknown,
        Code::WorkloadAtGateway,
        Code::TermMissing,
        Code::TermAmbiguous,
        Code::TooComplex,
    ];

    /// Its word. Never changes.
    pub fn as_str(self) -> &'static str {
        match self {
            Code::UnreachableRule => "unreachable-rule",
            Code::UnreachableOperation => "unreachable-operation",
            Code::PartlyShadowed => "partly-shadowed",
            Code::HostEvades => "host-evades",
            Code::HostClaims => "host-claims",
            Code::PreflightRefused => "preflight-refused",
            Code::WeakerHead => "weaker-head",
            Code::ConnectAllowed => "connect-allowed",
            Code::ShadowRule => "shadow-rule",
            Code::ShadowPolicy => "shadow-policy",
            Code::WidePublic => "wide-public",
            Code::PublicByExclusion => "public-by-exclusion",
            Code::PublicMethods => "public-methods",
            Code::OpenPrefix => "open-prefix",
            Code::PublicSuffix => "public-suffix",
            Code::CaseDiffers => "case-differs",
            Code::NoneOfAlone => "none-of-alone",
            Code::ActiveBesideTerms => "active-beside-terms",
            Code::EveryUser => "every-user",
            Code::ShortLease => "short-lease",
            Code::PortsUnknown => "ports-unknown",
            Code::WorkloadAtGateway => "workload-at-gateway",
            Code::TermMissing => "term-missing",
            Code::TermAmbiguous => "term-ambiguous",
            Code::TooComplex => "too-complex",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
