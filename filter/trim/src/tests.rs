use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use wasm_encoder::{MemorySection, MemoryType};

use super::*;

/// A module of memories, exported under these names.
fn module<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<u8> {
    let mut memories = MemorySection::new();
    memories.memory(MemoryType {
        minimum: 1,
        maximum: None,
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    let mut exports = ExportSection::new();
    for name in names {
        exports.export(name, ExportKind::Memory, 0);
    }
    let mut module = Module::new();
    module.section(&memories).section(&exports);
    module.finish()
}

#[test]
fn what_is_not_needed_goes_and_all_else_stays() {
    let full = module(needed().chain(["proxy_on_log", "proxy_on_response_headers"]));
    let trimmed = trim(&full).unwrap();
    let left = exports(&trimmed).unwrap();
    assert_eq!(left, needed().collect::<Vec<_>>());
    assert_eq!(trim(&trimmed).unwrap(), trimmed);
}

#[test]
fn a_module_without_a_needed_export_is_refused() {
    let error = trim(&module(needed().skip(1))).unwrap_err();
    assert_eq!(error.to_string(), "the module does not export memory");
    assert!(trim(b"\0asm").is_err());
}

/// A callback that a context has and Envoy does not call would do nothing, silently.
#[test]
fn every_callback_of_the_filter_is_on_the_list() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../src");
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(sources).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            for line in fs::read_to_string(path).unwrap().lines() {
                let method = line.trim_start().strip_prefix("fn on_");
                found.extend(
                    method
                        .and_then(|rest| rest.split_once('('))
                        .map(|(name, _)| format!("on_{name}")),
                );
            }
        }
    }
    let listed = CALLBACKS.map(|(method, _)| method.to_owned());
    assert_eq!(found, BTreeSet::from(listed));
}
