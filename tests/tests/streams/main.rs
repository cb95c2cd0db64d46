//! Requests that are open when their user loses what let them in end at once, on every worker, and nobody else's do.
//!
//! A stream is opened by [`Lane`] (downloads and echoes, over HTTP/1.1 or HTTP/2) or by the harness' `Socket`.

mod lane;
mod world;

mod bindings;
mod edits;
mod lease;
mod membership;
mod refused;
mod several;
mod spared;
mod token;
mod tunnel;
