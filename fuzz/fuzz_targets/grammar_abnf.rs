//! Speech recognition grammars, ABNF form: what compiles behaves like a grammar.
#![no_main]

use dictum_language::{Bigrams, Grammar, LanguageModel};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(grammar) = Grammar::parse_abnf(bytes) else { return };
    let mut state = grammar.start();
    for step in 0..16 {
        let Some((word, probability, next)) = grammar.followers(state).nth(step % 3) else { break };
        assert_eq!(grammar.step(state, word), (next, probability));
        assert!(grammar.unigram(word) >= probability);
        state = next;
    }
    grammar.end(state);
});
