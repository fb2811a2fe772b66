//! Grapheme-to-phoneme models: what is read converts words within bounds. Inputs are read as models, and as changes to one:
//! a file made of bytes alone hardly ever gets as far as the n-grams.
#![no_main]

use std::sync::OnceLock;

use dictum_language::{Dictionary, G2p, G2pTraining};
use libfuzzer_sys::fuzz_target;

fn small_model() -> Vec<u8> {
    let words = "bat B AE T\nbaulk B AO K\ndon't D OW N T\ntax T AE K S\nphone F OW N\nshot SH AA T\nshot(2) SH AO T\n";
    let dictionary = Dictionary::parse(words.as_bytes()).expect("a dictionary");
    let training = G2pTraining { order: 3, pruning: 0.0, ..G2pTraining::default() };
    G2p::train(&dictionary, &training).expect("words to train on").to_bytes()
}

fn convert(bytes: &[u8]) {
    let Ok(model) = G2p::parse(bytes) else { return };
    for (pronunciation, _) in model.pronounce("don'tbaulkphonetax", 3) {
        assert!(pronunciation.iter().all(|&phone| usize::from(phone) < model.phones().len()));
    }
}

fuzz_target!(|bytes: &[u8]| {
    static MODEL: OnceLock<Vec<u8>> = OnceLock::new();
    convert(bytes);
    let mut changed = MODEL.get_or_init(small_model).clone();
    for change in bytes.chunks_exact(3) {
        let at = usize::from(u16::from_le_bytes([change[0], change[1]])) % changed.len();
        changed[at] = change[2];
    }
    convert(&changed);
});
