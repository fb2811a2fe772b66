//! Sphinx model definitions, binary and text.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = dictum_acoustic::parse_mdef(bytes);
});
