//! Manifests of model packages.
#![no_main]

use libfuzzer_sys::fuzz_target;

use std::path::Path;

fuzz_target!(|text: &str| {
    let _ = dictum_models::Package::parse(text, Path::new("/package"));
});
