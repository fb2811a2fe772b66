//! Sphinx `.lm.bin` tries.
#![no_main]

use libfuzzer_sys::fuzz_target;

use dictum_language::{LanguageModel, NgramModel, WordId};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(model) = dictum_language::parse_trie(bytes) {
        walk(&model);
    }
});

/// A model that could be opened can be asked anything.
fn walk(model: &NgramModel) {
    let words = model.vocabulary().len().min(20) as WordId;
    let mut state = model.start();
    for word in 0..words {
        assert!(!model.unigram(word).is_nan() && !model.backoff(word).is_nan());
        model.bigrams_after(word, &mut |_, score| assert!(!score.is_nan()));
        let (next, score) = model.step(state, word);
        assert!(!score.is_nan() && !model.end(next).is_nan());
        state = next;
    }
}
