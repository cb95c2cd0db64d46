//! Policies outside of proxies: read from files, checked, tested and sized before anybody depends on them. Needs no running
//! feeder; decisions are the engine's.

mod file;

pub use file::{BadPolicyFile, Manifest, Origin, Written, read};
