//! The filter: feeds a copy of the directory's part that its policies ask about, and decides each request on it.
//!
//! ```text
//! Root (one a policy) --ticks, messages--> vm::Vm --> Feed { Replica, Lease, Session, Open }  (one a feed and scope; outlives policies)
//! Http (one a request) --> request::answer --> scimesh_engine::decide --> headers, verdict | refusal | hold
//!                          '--> open::Open --changes, ends of leases and tokens--> cut::settle --> refusal | reset
//! ```
//!
//! Only [`host`] calls the host. [`session`], [`hold`], [`mod@open`], [`vm`], [`seen`], [`shadow`], [`claims`], [`connection`],
//! [`headers`], [`refusal`] and [`problem`] are pure, and tested natively. Nothing here panics: a trap takes the whole worker's VM with it.

mod claims;
mod connection;
mod cut;
#[cfg(any(fuzzing, test))]
#[doc(hidden)]
pub mod fuzzing;
mod headers;
mod hold;
mod host;
mod http;
mod logs;
mod open;
mod problem;
mod record;
mod refusal;
mod request;
mod root;
mod seen;
mod session;
mod shadow;
mod stats;
mod vm;

// `main!` writes the module's entry point, which has no documentation.
#[allow(missing_docs, reason = "written by the SDK")]
mod entry {
    use crate::root::Root;

    proxy_wasm::main! {{
        proxy_wasm::set_log_level(proxy_wasm::types::LogLevel::Warn);
        proxy_wasm::set_root_context(|id| Box::new(Root::new(id)));
    }}
}
