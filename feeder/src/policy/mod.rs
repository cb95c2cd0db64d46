//! Policies outside of proxies: read from files, checked, tested and sized before anybody depends on them. Needs no running
//! feeder; what a policy means is the engine's to say.
//!
//! ```text
//! file: pluginConfig, manifests --> Policy --> lint (engine)                      scimesh policy check
//! table: tests; dump, company, cast --> stage: a directory --> Snapshot --> decide    policy test
//!                                            '--> encoded as the feed does --> size    policy size
//! ```

mod cast;
mod company;
mod dump;
mod file;
mod size;
mod stage;
mod table;
mod trial;

pub use dump::{BadDump, read as read_dump};
pub use file::{BadPolicyFile, Manifest, Origin, Written, read};
pub use size::Size;
pub use stage::Stage;
pub use table::{BadTable, Expected, Outcome, Verdict, run as run_tests};
pub use trial::Got;
