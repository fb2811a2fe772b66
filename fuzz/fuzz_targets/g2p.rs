//! Grapheme-to-phoneme models: what is read converts words within bounds.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(model) = dictum_language::G2p::parse(bytes) else { return };
    for (pronunciation, _) in model.pronounce("don'tbaulk", 3) {
        assert!(pronunciation.iter().all(|&phone| usize::from(phone) < model.phones().len()));
    }
});
