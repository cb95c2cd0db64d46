//! What `scimesh explain` asks, and its answer. The answer's JSON is a contract (`docs/cli.md`): fields may be added, none is
//! removed or changes its meaning. Texts in `detail`, `problem` and `changes` are for people.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::wire::{Command, FrozenRow};
use crate::config::BindingForm;

/// Asks why a request is allowed or refused now.
#[derive(Serialize, Deserialize)]
pub struct Explain {
    /// Whose policy it must be; none: whosever it is.
    pub tenant: Option<String>,
    /// `pluginConfig`, as JSON text.
    pub policy: String,
    /// Who asks.
    pub who: Who,
    /// The SPIFFE id of the mTLS peer.
    pub workload: Option<String>,
    /// What is asked for.
    pub request: Requested,
}

impl Command for Explain {
    const PATH: &'static str = "/explain";
    type Answer = Explained;
}

/// Asks whom a token names, in every tenant or in one.
#[derive(Serialize, Deserialize)]
pub struct ExplainToken {
    /// Only in this one.
    pub tenant: Option<String>,
    /// The token's payload.
    pub claims: Map<String, Value>,
}

impl Command for ExplainToken {
    const PATH: &'static str = "/explain/token";
    type Answer = ExplainedToken;
}

/// The subject that is asked about.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Who {
    /// A request without a verified token.
    Nobody,
    /// A verified token with this payload.
    Claims(Map<String, Value>),
    /// A valid token, just issued, that names this user by one of the tenant's bindings.
    User {
        /// An id, userName, externalId or email.
        named: String,
        /// Only by the binding of this issuer; none: by each.
        issuer: Option<String>,
    },
}

/// A request, as Envoy's router would see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Requested {
    /// `:method`
    pub method: String,
    /// `:path`, query included; none for CONNECT.
    pub path: Option<String>,
    /// `:authority`; none: the policy must not depend on it.
    pub host: Option<String>,
    /// The local port; none: the proxy does not know it.
    pub port: Option<u16>,
}

/// Why a request is allowed or refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Explained {
    /// The policy's tenant.
    pub tenant: String,
    /// The policy's name, if it has one.
    pub policy: Option<String>,
    /// `ENFORCE`, or `SHADOW`: refuses nothing.
    pub mode: String,
    /// Of the directory that was asked.
    pub generation: u64,
    /// The newest durable change in it.
    pub revision: u64,
    /// How the tenant is frozen, if it is: all of this is by what was so then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frozen: Option<FrozenRow>,
    /// What was asked for.
    pub request: Requested,
    /// Its path as rules see it; none if it has none.
    pub canonical_path: Option<String>,
    /// One for each token that was tried: one, but for a user whom several bindings name.
    pub cases: Vec<Case>,
    /// The bindings by which no token can name the user who was asked about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unnameable: Vec<Unnameable>,
}

/// A binding that can't name the user who was asked about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Unnameable {
    /// Which.
    pub binding: BindingForm,
    /// Why.
    pub detail: String,
}

/// One decision, and how it came about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Case {
    /// Whether the request goes on. Under a SHADOW policy it always does.
    pub allowed: bool,
    /// A word of `docs/reasons.md`.
    pub reason: String,
    /// The status of the response, or 200.
    pub status: u16,
    /// The rule that decided.
    pub rule: Option<String>,
    /// Under a SHADOW policy: why ENFORCE would refuse.
    pub would_refuse: Option<String>,
    /// Whom the token names; none without a token.
    pub user: Option<Naming>,
    /// Whom the mTLS peer's certificate names; none without one.
    pub workload: Option<Naming>,
    /// The rules that were asked, in order; the one that decided is the last.
    pub rules: Vec<Asked>,
    /// What would have to be otherwise for the request to be allowed: each is one way, or one thing of several.
    pub changes: Vec<String>,
}

/// A rule that was asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Asked {
    /// Its name.
    pub name: String,
    /// `ENFORCE`, or `SHADOW`: only recorded.
    pub mode: String,
    /// Whether it is about the request.
    pub matches: bool,
    /// For each operation of `to`, the fields that do not hold; one operation without any is a match.
    pub unmet: Vec<Vec<String>>,
    /// What it says, as a reason, if it matches.
    pub says: Option<String>,
    /// What it demands, if it matches and has a `require`.
    pub require: Option<Require>,
}

/// What a rule demands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Require {
    /// Of the user; none: no user is asked for.
    pub user: Option<Vec<Condition>>,
    /// Of the workload; none: no workload is asked for.
    pub workload: Option<Vec<Condition>>,
    /// The lease, in seconds.
    pub max_staleness_seconds: f64,
    /// The token's age at most, in seconds.
    pub max_token_age_seconds: Option<f64>,
}

/// One element of `anyOf`, `allOf` or `noneOf`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// `anyOf`, `allOf` or `noneOf`.
    pub list: String,
    /// As the policy writes it.
    pub condition: String,
    /// How whoever asks stands to it.
    pub state: State,
    /// Whether that is what its list wants: held, or in `noneOf` not held.
    pub met: bool,
    /// If it is held by a group: the groups on the way, from one with the user as its direct member to the one that is meant.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub via: Vec<String>,
    /// If it is missing: groups whose name differs in case alone. If it is ambiguous: the groups of that name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<GroupRow>,
}

/// How somebody stands to a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Meets it.
    Held,
    /// Does not.
    NotHeld,
    /// It names a group that does not exist.
    Missing,
    /// It names a group by what several have.
    Ambiguous,
}

/// A group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupRow {
    /// Its SCIM id.
    pub id: Uuid,
    /// Its name.
    pub display_name: String,
}

/// Whom a token, or a certificate, names in a tenant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Naming {
    /// The tenant's binding for the issuer or the trust domain.
    pub binding: Option<BindingForm>,
    /// The name that is read by it: the claim's value, or the SPIFFE id.
    pub name: Option<String>,
    /// Who has that name, active or not; several have it only by mistake.
    pub users: Vec<UserRow>,
    /// Until when the name is held, as RFC 3339, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_until: Option<String>,
    /// Why it names nobody to the policy; none: it names the only one of `users`.
    pub problem: Option<Problem>,
}

/// A user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UserRow {
    /// Its SCIM id.
    pub id: Uuid,
    /// RFC 7643 section 4.1.1.
    pub user_name: String,
    /// Whether it may do anything.
    pub active: bool,
    /// If it was asked about: the attributes that it was found by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub found_by: Vec<String>,
}

/// Why a name means nobody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// For scripts.
    pub what: What,
    /// For people.
    pub detail: String,
}

/// The ways in which a token or a certificate names nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// `iss` is absent, no string, empty, too long, or has a NUL.
    IssuerUnusable,
    /// The tenant has no binding for the issuer.
    IssuerNotBound,
    /// The pinned claim is not there, or has another value.
    PinDiffers,
    /// The claim is not there.
    ClaimAbsent,
    /// The claim is not a string.
    ClaimNotText,
    /// The claim is the empty string.
    ClaimEmpty,
    /// The claim is longer than 1024 bytes.
    ClaimTooLong,
    /// The claim has a NUL in it.
    ClaimNul,
    /// The token lacks `email_verified: true`.
    EmailNotVerified,
    /// The peer's URI is no SPIFFE id of a workload.
    NotASpiffeId,
    /// The tenant has no binding for the trust domain.
    TrustDomainNotBound,
    /// Nobody has the name.
    NoUser,
    /// Several users have the name.
    SeveralUsers,
    /// The user who has the name is inactive.
    UserInactive,
    /// Somebody else lost the name not long ago: it means nobody until `heldUntil`.
    NameHeld,
    /// The user is active and holds none of the policy's terms, and no rule admits every active user: the filter is not told of it.
    NoTerms,
}

/// Whom a token names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExplainedToken {
    /// Of the directory that was asked.
    pub generation: u64,
    /// The newest durable change in it.
    pub revision: u64,
    /// Its `iss`, if that is a string.
    pub issuer: Option<String>,
    /// The tenants with a binding for the issuer: at most one of them is named a user of, as bindings are set.
    pub tenants: Vec<InTenant>,
    /// Where no tenant has one: why.
    pub problem: Option<Problem>,
}

/// Whom a token names in one tenant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InTenant {
    /// Which.
    pub tenant: String,
    /// How it is frozen, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frozen: Option<FrozenRow>,
    /// Whom.
    #[serde(flatten)]
    pub naming: Naming,
}
