//! Load: directories of any size that change as real ones do, identity providers that push the changes, and proxies that
//! follow the feed without an Envoy, thousands of them in one process.
//!
//! ```text
//! Plan --> Staff --Churn--> Change --Idp (SCIM)--> feeder --> Fleet of Followers, each with a Copy
//!            |                                                                           |
//!            '--> Content (naive model) ------------- digests are equal -----------------'
//! ```
//!
//! Only [`copy`] knows the feed's messages.

pub mod change;
pub mod churn;
pub mod content;
pub mod copy;
pub mod document;
pub mod fleet;
pub mod follower;
pub mod idp;
pub mod install;
pub mod proxy;
pub mod staff;
pub mod timeline;
