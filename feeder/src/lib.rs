//! The feeder: takes identity in over SCIM, stores it durably, and streams it to every filter.
//!
//! ```text
//! scim, admin --> ledger --> directory (a value) --> store (SQLite)
//!                    |
//!                    '--> feed --> filters
//!
//! cli --> serve: opens and joins all of these        cli --> admin.sock --> admin
//! ```

pub mod access;
pub mod admin;
pub mod cli;
pub mod config;
pub mod data_dir;
mod descriptors;
pub mod directory;
pub mod feed;
mod fleet;
pub mod ledger;
pub mod limits;
pub mod metrics;
mod observations;
pub mod policy;
pub mod schema;
pub mod scim;
pub mod serve;
pub mod store;
pub mod tls;
