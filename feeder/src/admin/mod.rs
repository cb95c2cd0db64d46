//! Administration: what an operator tells the running feeder, over a Unix socket in its data directory.
//!
//! ```text
//! cli -> client ==admin.sock==> router -> reconcile, dump, explain, brakes -> ledger
//!                                     |--> fleet
//!                                     '--> drift, shadow -> observations
//! ```
//!
//! Who may connect is the file system's to say (`data_dir`). Nothing here is reachable over TCP.

mod brakes;
pub mod client;
pub mod drift;
mod dump;
mod explain;
pub mod explanation;
mod fleet;
pub mod observed;
mod reconcile;
mod router;
pub mod shadow;
mod shift;
pub mod status;
pub mod wire;

pub use brakes::Brakes;
pub use reconcile::reconcile;
pub(crate) use router::router;
