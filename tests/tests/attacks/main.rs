//! Attacks on the real Envoy with the filter, in tables: a file a family, a row an attack. After each the upstream has
//! seen nothing of it, and the member's own request still works on the same worker.

#![allow(
    clippy::indexing_slicing,
    reason = "what is indexed is JSON, by functions that only tests call"
)]

mod claims;
mod configurations;
mod headers;
mod hosts;
mod identities;
mod listeners;
mod methods;
mod paths;
mod row;
mod siege;
mod smuggling;
mod tenants;
mod tokens;
mod unparsable;
