//! Which requests a rule is about: the conditions of `to`, over canonical forms of what a request says.
//!
//! Knows nothing of users. A condition on something that a request does not have, or has in no well-formed way, is not met,
//! and neither is the negation of that condition.

mod folding;
pub(crate) mod host;
pub(crate) mod kinds;
pub(crate) mod method;
pub(crate) mod operation;
pub(crate) mod path;
pub(crate) mod path_pattern;
pub(crate) mod port;
mod target;

pub(crate) use operation::Operation;
pub(crate) use target::Target;
