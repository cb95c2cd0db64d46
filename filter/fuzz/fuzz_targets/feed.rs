#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| scimesh_filter::fuzzing::feed(data));
