//! `Content-Type` headers: what is understood prints in a form that is understood as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;

use dictum_audio::ContentType;

fuzz_target!(|text: &str| {
    if let Ok(ty) = ContentType::parse(Some(text)) {
        let again = ContentType::parse(Some(&ty.to_string()));
        assert_eq!(again.ok().map(|ty| ty.to_string()), Some(ty.to_string()));
    }
});
