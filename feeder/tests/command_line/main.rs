//! Stories about the binary `scimesh`, told with the binary: what an operator types, and what comes of it.

mod administration;
mod apply;
mod exposure;
mod feeder;
mod lifecycle;
mod tls;
