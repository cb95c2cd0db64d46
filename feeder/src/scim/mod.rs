//! The SCIM 2.0 API (RFC 7643, RFC 7644), mounted under `/scim/v2`; the bearer token chooses the tenant.
//!
//! ```text
//! request -> auth -> body -> Edit (schema-driven, pure) -> Ledger::commit -> rendering -> response
//!                    query -> search ----------------------------------------'
//!                    bulk -> Plan -> many Edits, one commit -'
//! ```
//!
//! Schemas are data; canonical names, types, PATCH, filters, projection and discovery all follow from them. One lenient dialect is always
//! on: what IdPs send beyond the RFC is accepted where its meaning is certain, and logged under a stable word ([`dialect`]).
//! Nothing here knows of stores or streams.

mod auth;
mod bodies;
mod body;
mod bulk;
mod context;
mod dialect;
#[cfg(test)]
mod differential;
mod discovery;
mod endpoints;
mod error;
mod filter;
#[cfg(any(fuzzing, test))]
pub mod fuzzing;
mod id;
mod json;
mod limits;
mod log;
mod note;
mod patch;
mod projection;
mod query;
mod rate;
mod reading;
mod rendering;
mod reply;
mod resource;
mod router;
mod search;
mod settings;
mod stored;
mod version;
mod write;

pub(crate) use auth::Caller;
pub use context::BASE_PATH;
pub use limits::{Limit, Limits, Setting};
pub use router::{not_found, router};
pub use settings::Settings;
