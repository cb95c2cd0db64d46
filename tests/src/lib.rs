//! The harness: the real Envoy with the filter, the real feeder, an identity provider and a service, each a process or
//! a task on free loopback addresses. Nothing here is mocked, and everything ends with its owner.

pub mod address;
pub mod artifact;
pub mod bootstrap;
pub mod budget;
pub mod clocks;
pub mod company;
pub mod envoy;
pub mod eventually;
pub mod exposition;
pub mod feeder;
pub mod frames;
pub mod issuer;
pub mod load;
pub mod machine;
pub mod mesh;
pub mod peer;
pub mod probe;
pub mod process;
pub mod raw;
pub mod recorder;
pub mod sample;
pub mod scim;
pub mod socket;
pub mod strace;
pub mod suite;
pub mod upstream;
pub mod wire;
pub mod workload;
