//! Tables of tokens of CTC models.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(tokens) = dictum_neural::Tokens::parse(bytes) {
        assert!(tokens.is_special(tokens.blank()));
        let last = tokens.len() - 1;
        assert_eq!(tokens.find(tokens.text(0)), Some(0));
        let _ = tokens.spell(&[0, last as u16]);
    }
});
