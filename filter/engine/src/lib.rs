//! Pure decisions: a policy, a snapshot and a request in, allow or deny out.
//!
//! ```text
//! pluginConfig --parse--> Policy { feed, hold, rules: [ to: Operation, Requirement | PUBLIC | NOBODY ] }
//!                            |
//! Request (path, host, method, token's claims, mTLS peer) --> decide <-- Snapshot (scimesh-proto), Lease, Moment
//!                                                    |
//!                                                    '--> Decision { allowed, reason, rule, subject, shadowed } --> Grant
//! ```
//!
//! This crate knows no clock, no I/O and no host: time is an argument, claims are asked for through [`Claims`]. It builds for
//! wasm32-wasip1, wasm32-unknown-unknown and natively, so that an explanation can't differ from the enforcement.
//! What the policy language means is in `docs/policy.md`, what the reasons mean in `docs/reasons.md`.

mod claims;
mod decide;
mod drift;
mod duration;
pub mod explain;
mod grant;
mod identity;
mod lease;
pub mod lint;
mod matching;
mod policy;
mod reason;
mod request;
#[cfg(test)]
mod stories;

pub use claims::{Claim, Claims};
pub use decide::{Decision, decide};
pub use drift::{Drift, drift, groups_claim};
pub use duration::{InvalidDuration, parse_duration};
pub use grant::Grant;
pub use identity::{Subject, Unnamed, Unusable, Workload};
pub use lease::{Lease, Moment};
pub use matching::path::{AmbiguousPath, CanonicalPath};
pub use policy::feed::Feed;
pub use policy::headers::Headers;
pub use policy::hold::Hold;
#[cfg(feature = "schema")]
pub use policy::schema::policy_schema;
pub use policy::{InvalidPolicy, Mode, Policy};
pub use reason::Reason;
pub use request::{Connection, Request};
