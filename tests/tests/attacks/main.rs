//! Attacks on the real Envoy with the filter, in tables: a file a family, a row an attack. After each the upstream has
//! seen nothing of it, and the member's own request still works on the same worker.

mod claims;
mod configurations;
mod headers;
mod hosts;
mod methods;
mod paths;
mod row;
mod siege;
mod tenants;
mod tokens;
