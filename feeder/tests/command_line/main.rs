//! Stories about the binary `scimesh`, told with the binary: what an operator types, and what comes of it.

mod administration;
mod apply;
mod exposure;
mod feed;
mod feeder;
mod lifecycle;
mod manifests;
mod tls;
