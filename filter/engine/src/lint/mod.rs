//! What is wrong with a policy that parses.

mod placement;

pub use placement::Placement;
