//! Pronunciation dictionaries.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(dictionary) = dictum_language::Dictionary::parse(bytes) {
        for (word, pronunciations) in dictionary.iter() {
            assert!(!word.is_empty() && !pronunciations.is_empty());
        }
    }
});
