//! The SCIM API as clients meet it: requests through the router, onto a real ledger over a database on disk.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that can't go on has failed"
)]

mod api;
mod authentication;
mod bounds;
mod bulk;
mod bulk_property;
mod concurrency;
mod cursors;
mod discovery;
mod errors;
mod etags;
mod extensions;
mod groups;
mod idps;
mod listing;
mod log;
mod reuse;
mod rfc7643;
mod rfc7644;
mod search;
mod sorting;
mod streaming;
mod tenancy;
mod uniqueness;
mod users;
