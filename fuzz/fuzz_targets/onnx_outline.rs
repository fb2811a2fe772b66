//! What ONNX files say of themselves.
#![no_main]

use dictum_neural::onnx::Outline;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(outline) = Outline::read(bytes, &|name| (name.len() == 7).then_some(1000)) {
        assert!(outline.beside.iter().all(|name| name.len() == 7 && !name.contains('/')));
        let _ = dictum_neural::describe(&outline);
    }
});
