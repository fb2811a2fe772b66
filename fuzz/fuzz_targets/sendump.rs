//! Sphinx quantised mixture weights.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    // Small dimensions, so that inputs of a fuzzer's size can be complete; and the real ones.
    let _ = dictum_acoustic::parse_sendump(bytes, 3, 4, 10);
    let _ = dictum_acoustic::parse_sendump(bytes, 3, 128, 5126);
});
