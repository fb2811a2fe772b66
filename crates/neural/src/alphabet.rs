//! Bytes as characters: how models of pieces of bytes write what they spell.
//!
//! icefall's byte-level pieces (`byte_utils.py`) stand for bytes of UTF-8, each written as a character that can be printed; the
//! word 我 is three of them.

use std::ops::RangeInclusive;

/// The characters of the bytes 0 to 255, in order.
const CHARACTERS: [RangeInclusive<u32>; 7] =
    [256..=287, 32..=126, 288..=305, 308..=318, 321..=328, 330..=382, 384..=422];

/// The character that stands for a byte.
fn character(byte: u8) -> char {
    let mut left = u32::from(byte);
    for range in CHARACTERS {
        let count = range.end() - range.start() + 1;
        if left < count {
            return char::from_u32(range.start() + left).expect("no surrogate among them");
        }
        left -= count;
    }
    unreachable!("256 characters for 256 bytes")
}

/// The byte that a character stands for.
fn byte(character: char) -> Option<u8> {
    let mut before = 0;
    for range in CHARACTERS {
        if range.contains(&u32::from(character)) {
            return u8::try_from(before + u32::from(character) - range.start()).ok();
        }
        before += range.end() - range.start() + 1;
    }
    None
}

/// A text in characters that stand for its bytes.
pub(crate) fn written(text: &str) -> String {
    text.bytes().map(character).collect()
}

/// The text whose bytes characters stand for; what is none of them stays as it is, and bytes that are no text become `�`.
pub(crate) fn read(characters: &str) -> String {
    let mut bytes = Vec::with_capacity(characters.len());
    for character in characters.chars() {
        match byte(character) {
            Some(byte) => bytes.push(byte),
            None => bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// First of the characters that stand for bytes with which letters beyond the Latin ones begin, and that no script uses much.
const TELLING: RangeInclusive<char> = '\u{180}'..='\u{1a6}';

/// Whether pieces are ones of bytes: all their characters stand for some, and one for a byte that tells.
pub(crate) fn are_bytes<'p>(pieces: impl Iterator<Item = &'p str> + Clone) -> bool {
    let mut characters = pieces.flat_map(str::chars);
    let told = characters.clone().any(|character| TELLING.contains(&character));
    told && characters.all(|character| byte(character).is_some())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_byte_has_a_character_of_its_own() {
        for value in 0..=255 {
            assert_eq!(byte(character(value)), Some(value));
        }
        assert_eq!((byte('我'), byte('▁')), (None, None));
        assert_eq!((written("az"), written("我")), ("az".to_string(), "ƍĩĴ".to_string()));
    }

    #[test]
    fn pieces_of_bytes_are_told_from_letters_of_the_same_look() {
        assert!(are_bytes(["ƍĩĴ", "a", "the"].into_iter()));
        assert!(!are_bytes(["žąčęėįšųū", "labas"].into_iter()), "Lithuanian");
        assert!(!are_bytes(["ƍĩĴ", "我"].into_iter()));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(text in ".{0,40}") {
            prop_assert_eq!(read(&written(&text)), text);
        }
    }
}
