//! Stories about the binary `scimesh`, told with the binary: what an operator types, and what comes of it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that can't go on has failed"
)]

mod access;
mod administration;
mod apply;
mod bindings;
mod bounds;
mod brakes;
mod explain;
mod exposure;
mod extensions;
mod feed;
mod feeder;
mod holds;
mod idps;
mod lifecycle;
mod manifests;
mod observed;
mod policies;
mod tls;
