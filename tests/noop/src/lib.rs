//! A filter that does nothing, written as the SDK wants it: what a request costs that enters a wasm VM and leaves it
//! again. Only the benchmark loads it.

use proxy_wasm::traits::{Context, HttpContext};

struct Noop;

impl Context for Noop {}

impl HttpContext for Noop {}

// `main!` writes the module's entry point, which has no documentation.
#[allow(missing_docs, reason = "written by the SDK")]
mod entry {
    proxy_wasm::main! {{
        proxy_wasm::set_http_context(|_, _| Box::new(crate::Noop));
    }}
}
