//! What the feeder and the filter must agree on.
//!
//! ```text
//! wire (generated messages) <-> Scope, Position, Binding, Snapshot, Delta, Digest  <- Replica (the filter's copy)
//! ```
//!
//! Going out can't fail; coming in is `TryFrom` or a typed error. This crate knows no clock, no I/O, no host
//! and no policy. It builds for wasm32-wasip1, wasm32-unknown-unknown and natively.

pub mod binding;
#[cfg(feature = "grpc")]
pub mod codec;
pub mod digest;
pub mod position;
pub mod replica;
pub mod scope;
pub mod snapshot;
pub mod spiffe;
pub mod wire;
