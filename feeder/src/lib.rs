//! The feeder.
