//! Narrowband maps of model packages.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = dictum_acoustic::NarrowbandMap::parse(bytes);
});
