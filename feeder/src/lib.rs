//! The feeder: takes identity in over SCIM, stores it durably, and streams it to every filter.
//!
//! ```text
//! scim, admin --> ledger --> directory (a value) --> store (SQLite)
//!                    |
//!                    '--> feed --> filters
//! ```

pub mod directory;
pub mod feed;
pub mod ledger;
pub mod store;
