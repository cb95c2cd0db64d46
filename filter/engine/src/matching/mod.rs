//! Which requests a rule is about: the conditions of `to`, over canonical forms of what a request says.
//!
//! Knows nothing of users. A request that could be read in two ways has no canonical form, and no rule is asked about it. A CONNECT without
//! path meets neither a condition on paths nor the negation of one.

mod folding;
pub(crate) mod host;
pub(crate) mod kinds;
pub(crate) mod method;
pub(crate) mod operation;
pub(crate) mod path;
pub(crate) mod path_pattern;
pub(crate) mod port;
mod target;

#[cfg(feature = "schema")]
pub(crate) use {host::HostPattern, method::MethodPattern, path_pattern::PathPattern, port::Port};

pub(crate) use operation::Operation;
pub(crate) use target::Target;
