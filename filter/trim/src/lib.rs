//! The filter's module as it is shipped: with those callbacks alone that do something.
//!
//! Envoy enters the VM for each callback that a module exports: for a response's headers, for every piece of its body, its
//! trailers, at its end and for its log. The SDK exports them all, from its own crate, and no linker takes back what a crate
//! exports; so they are taken out of the built module. Knows no filter: what is needed is a list.

use anyhow::{Context, Result, ensure};
use wasm_encoder::{ExportKind, ExportSection, Module, RawSection};
use wasmparser::{ExternalKind, Parser, Payload, Validator};

/// What Envoy and the SDK need of any filter, whatever it does.
pub const FOUNDATION: [&str; 6] = [
    "memory",
    "_initialize",
    "proxy_abi_version_0_2_1",
    "proxy_on_memory_allocate",
    "proxy_on_context_create",
    "proxy_on_delete",
];

/// The SDK's methods that the filter's contexts have, and what Envoy calls for them.
pub const CALLBACKS: [(&str, &str); 8] = [
    ("on_vm_start", "proxy_on_vm_start"),
    ("on_configure", "proxy_on_configure"),
    ("on_tick", "proxy_on_tick"),
    ("on_grpc_stream_message", "proxy_on_grpc_receive"),
    ("on_grpc_stream_close", "proxy_on_grpc_close"),
    ("on_http_request_headers", "proxy_on_request_headers"),
    ("on_http_request_body", "proxy_on_request_body"),
    ("on_http_request_trailers", "proxy_on_request_trailers"),
];

/// Nothing is done with the answer, but the SDK forgets the call with it.
const FORGETS: &str = "proxy_on_http_call_response";

/// All that the shipped module exports.
pub fn needed() -> impl Iterator<Item = &'static str> {
    let callbacks = CALLBACKS.into_iter().map(|(_, export)| export);
    FOUNDATION.into_iter().chain(callbacks).chain([FORGETS])
}

/// What a module exports, in its order.
pub fn exports(module: &[u8]) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for payload in Parser::new(0).parse_all(module) {
        if let Payload::ExportSection(exports) = payload? {
            for export in exports {
                names.push(export?.name.to_owned());
            }
        }
    }
    Ok(names)
}

/// The module with those exports alone that are [needed], of which none may be missing. What is trimmed already stays as it is.
pub fn trim(module: &[u8]) -> Result<Vec<u8>> {
    let exports = exports(module)?;
    for needed in needed() {
        ensure!(
            exports.iter().any(|export| export == needed),
            "the module does not export {needed}"
        );
    }
    let mut trimmed = Module::new();
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload?;
        if let Payload::ExportSection(exports) = payload {
            let mut section = ExportSection::new();
            for export in exports {
                let export = export?;
                if needed().any(|needed| needed == export.name) {
                    let kind = match export.kind {
                        ExternalKind::Func => ExportKind::Func,
                        ExternalKind::Memory => ExportKind::Memory,
                        other => anyhow::bail!("{} is a {other:?}", export.name),
                    };
                    section.export(export.name, kind, export.index);
                }
            }
            trimmed.section(&section);
        } else if let Some((id, range)) = payload.as_section() {
            let data = module.get(range).context("a section beyond the end")?;
            trimmed.section(&RawSection { id, data });
        }
    }
    let trimmed = trimmed.finish();
    Validator::new().validate_all(&trimmed)?;
    Ok(trimmed)
}

#[cfg(test)]
mod tests;
