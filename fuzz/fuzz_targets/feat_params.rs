//! Sphinx front-end parameters.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = dictum_acoustic::parse_feat_params(bytes);
});
