//! Tokens as bytes: how models whose tokens are pieces of bytes write them in a table of text.
//!
//! A piece of bytes may begin or end in the middle of a character, so tables write it in another way. Three are in use:
//!
//! | who | how | 我 |
//! |---|---|---|
//! | icefall (`byte_utils.py`) | each byte as a character that can be printed | `ƍĩĴ` |
//! | GPT-2 (`bytes_to_unicode`) | likewise, with other characters; a piece that begins a word begins with that of a space, `Ġ` | `æĪĳ` |
//! | SentencePiece (`byte_fallback`) | ordinary pieces, and a token for each byte beside them | `<0xE6>` `<0x88>` `<0x91>` |

use std::ops::RangeInclusive;

use crate::tokens::WORD_BEGIN;

/// What the characters of a table stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Alphabet {
    /// Themselves.
    Text,
    /// Bytes, as icefall writes them.
    Icefall,
    /// Bytes, as GPT-2 writes them.
    Gpt,
}

/// icefall's characters of the bytes 0 to 255, in order.
const ICEFALL: [RangeInclusive<u32>; 7] = [256..=287, 32..=126, 288..=305, 308..=318, 321..=328, 330..=382, 384..=422];

/// First of icefall's characters for bytes with which letters beyond the Latin ones begin, and that no script uses much.
const TELLING: RangeInclusive<char> = '\u{180}'..='\u{1a6}';

/// Bytes that are their own characters in GPT-2's alphabet. The others have those from 256 on, in order.
const PRINTED: [RangeInclusive<u8>; 3] = [b'!'..=b'~', 0xa1..=0xac, 0xae..=0xff];

/// GPT-2's character for a space.
pub(crate) const GPT_SPACE: char = 'Ġ';

impl Alphabet {
    /// The alphabet of these pieces: one of bytes if all their characters stand for some and it is plain that they do.
    pub(crate) fn of<'p>(pieces: impl Iterator<Item = &'p str> + Clone) -> Alphabet {
        let all = |alphabet: Alphabet| {
            let mut characters = pieces.clone().flat_map(|piece| alphabet.split(piece).1.chars());
            characters.all(|character| alphabet.byte(character).is_some())
        };
        // No language begins so many words with its letter of that look that it begins longer pieces.
        let spaced = |piece: &str| piece.starts_with(GPT_SPACE) && piece.chars().nth(2).is_some();
        if pieces.clone().flat_map(str::chars).any(|character| TELLING.contains(&character)) && all(Alphabet::Icefall) {
            return Alphabet::Icefall;
        }
        if pieces.clone().any(spaced) && all(Alphabet::Gpt) {
            return Alphabet::Gpt;
        }
        Alphabet::Text
    }

    /// The byte that a character stands for.
    fn byte(self, character: char) -> Option<u8> {
        let code = u32::from(character);
        match self {
            Alphabet::Text => None,
            Alphabet::Icefall => {
                let mut before = 0;
                for range in ICEFALL {
                    if range.contains(&code) {
                        return u8::try_from(before + code - range.start()).ok();
                    }
                    before += range.end() - range.start() + 1;
                }
                None
            }
            Alphabet::Gpt => match u8::try_from(code) {
                Ok(byte) => is_printed(byte).then_some(byte),
                Err(_) => (0..=255).filter(|&byte| !is_printed(byte)).nth(code.checked_sub(256)? as usize),
            },
        }
    }

    /// Whether a piece begins a word, and the rest of it.
    fn split(self, piece: &str) -> (bool, &str) {
        let mark = if self == Alphabet::Gpt { GPT_SPACE } else { WORD_BEGIN };
        piece.strip_prefix(mark).map_or((false, piece), |rest| (true, rest))
    }

    /// What a piece spells, in UTF-8, behind [`WORD_BEGIN`] if it begins a word. A character that stands for nothing is itself.
    pub(crate) fn spelling(self, piece: &str) -> Vec<u8> {
        let (begins, rest) = self.split(piece);
        let mut bytes = if begins { WORD_BEGIN.to_string().into_bytes() } else { Vec::new() };
        for character in rest.chars() {
            match self.byte(character) {
                Some(byte) => bytes.push(byte),
                None => bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        bytes
    }
}

fn is_printed(byte: u8) -> bool {
    PRINTED.iter().any(|range| range.contains(&byte))
}

/// The byte that a token stands for by its name, `<0xE6>`.
pub(crate) fn named_byte(text: &str) -> Option<u8> {
    let digits = text.strip_prefix("<0x")?.strip_suffix('>')?;
    let plain = digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    plain.then(|| u8::from_str_radix(digits, 16).ok()).flatten()
}

/// The text that bytes spell. What is no UTF-8, such as a character whose end was not heard, is left out.
pub(crate) fn read(bytes: &[u8]) -> String {
    bytes.utf8_chunks().map(|chunk| chunk.valid()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_a_character_of_its_own() {
        for alphabet in [Alphabet::Icefall, Alphabet::Gpt] {
            let mut bytes: Vec<u8> = ('\0'..='\u{200}').filter_map(|character| alphabet.byte(character)).collect();
            bytes.sort_unstable();
            assert!(bytes.into_iter().eq(0..=255), "{alphabet:?}");
            assert_eq!((alphabet.byte('我'), alphabet.byte('▁')), (None, None));
        }
        // As the two projects write them.
        assert_eq!(Alphabet::Icefall.spelling("▁ƍĩĴ"), "▁我".as_bytes());
        assert_eq!(Alphabet::Gpt.spelling("ĠæĪĳ"), "▁我".as_bytes());
        assert_eq!(Alphabet::Gpt.spelling("Ã©"), "é".as_bytes());
        assert_eq!((named_byte("<0xE6>"), named_byte("<0xE>"), named_byte("<0x+1>")), (Some(0xe6), None, None));
    }

    #[test]
    fn pieces_of_bytes_are_told_from_letters_of_the_same_look() {
        let of = |pieces: &[&str]| Alphabet::of(pieces.iter().copied());
        assert_eq!(of(&["▁ƍĩĴ", "a", "▁the"]), Alphabet::Icefall);
        assert_eq!(of(&["Ġthe", "a", "ĠæĪĳ"]), Alphabet::Gpt);
        assert_eq!(of(&["▁žąčęėįšųū", "labas"]), Alphabet::Text, "Lithuanian");
        assert_eq!(of(&["Ġ", "ġ", "ħ", "Ġa"]), Alphabet::Text, "Maltese");
        assert_eq!(of(&["▁ƍĩĴ", "我"]), Alphabet::Text);
    }

    #[test]
    fn what_is_no_text_is_left_out() {
        assert_eq!(read("日本".as_bytes()), "日本");
        assert_eq!(read(&"日本".as_bytes()[..5]), "日");
        assert_eq!(read(&"日本é".as_bytes()[1..]), "本é");
    }
}
