//! What the tokens of a neural model spell, and how words are spelt in them.

use std::sync::Arc;

use dictum_language::{PieceRole, SoundsLike, TokenPronouncer, Tokenizer, WORD_BEGIN, WordBoundary};
use dictum_neural::{Boundary, Tokens};

/// How a model of tokens writes.
pub struct Script {
    tokenizer: Arc<Tokenizer>,
    /// Texts of all tokens, as the table has them: the names of units of pronunciations.
    names: Arc<[String]>,
    /// What transcripts get of each token, in UTF-8; it may be a part of a character.
    written: Vec<Box<[u8]>>,
    /// What each token may be to a word that is spelt.
    roles: Vec<(u16, PieceRole)>,
    /// Whether it writes capitals only, which transcripts are not to have.
    shouts: bool,
}

impl Script {
    /// Reads what is to be known of tokens.
    pub fn new(tokens: &Tokens) -> Script {
        let boundary = match tokens.boundary() {
            Boundary::Prefix => WordBoundary::Prefix,
            Boundary::Separator(id) => WordBoundary::Separator(id),
            Boundary::None => WordBoundary::None,
        };
        let spelling = |id: u16| tokens.spelling(id);
        let ids = || (0..tokens.len() as u16).filter(|&id| !tokens.is_special(id));
        let separates = |id: u16| boundary == WordBoundary::Separator(id);
        let words = ids().filter(|&id| !is_mark(spelling(id)) && !separates(id));
        let (bytes, pieces): (Vec<u16>, Vec<u16>) = words.partition(|&id| tokens.is_byte(id));
        let tokenizer = Tokenizer::new(pieces.iter().map(|&id| (spelling(id), id)), boundary)
            .with_bytes(bytes.iter().map(|&id| (spelling(id)[0], id)));
        let written = |id: u16| if separates(id) { &[][..] } else { without_mark(spelling(id)) };
        let roles = ids().flat_map(|id| roles(spelling(id), boundary, id).map(move |role| (id, role)));
        Script {
            names: (0..tokens.len() as u16).map(|id| tokens.text(id).to_owned()).collect(),
            written: (0..tokens.len() as u16).map(|id| written(id).into()).collect(),
            roles: roles.collect(),
            shouts: tokenizer.shouts(),
            tokenizer: Arc::new(tokenizer),
        }
    }

    /// Cuts words into tokens.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// The tokens that spell words which are not listed, with what they may be to them.
    pub fn pieces(&self) -> impl Iterator<Item = (u16, PieceRole)> {
        self.roles.iter().copied()
    }

    /// What transcripts get of a token: UTF-8, or a part of it.
    pub fn written(&self, token: u16) -> &[u8] {
        &self.written[usize::from(token)]
    }

    /// The text that tokens spell one behind the other, given what is [`written`](Self::written) of each.
    pub fn read(&self, written: &[u8]) -> String {
        let text = Tokens::read(written);
        if self.shouts { text.to_lowercase() } else { text }
    }

    /// How words of a language are said: written.
    pub fn pronouncer(&self, rules: Option<SoundsLike>) -> TokenPronouncer {
        TokenPronouncer::new(Arc::clone(&self.tokenizer), Arc::clone(&self.names), rules)
    }

    /// Tokens by their names, if there are all of them.
    pub fn units(&self, tokens: &Tokens, names: &[String]) -> Option<Vec<u16>> {
        names.iter().map(|name| tokens.find(name).filter(|&id| !tokens.is_special(id))).collect()
    }
}

fn without_mark(spelling: &[u8]) -> &[u8] {
    let mark = WORD_BEGIN.to_string();
    spelling.strip_prefix(mark.as_bytes()).unwrap_or(spelling)
}

/// What a token may be to a word that is spelt.
fn roles(spelling: &[u8], boundary: WordBoundary, token: u16) -> impl Iterator<Item = PieceRole> + use<> {
    let begins = without_mark(spelling).len() < spelling.len();
    let mark = is_mark(spelling);
    let (first, later) = match boundary {
        _ if mark => (false, false),
        WordBoundary::Prefix => (begins, !begins),
        WordBoundary::Separator(separator) => (token != separator, true),
        // Without a sign of where words begin, each character is one.
        WordBoundary::None => (true, false),
    };
    let roles = [(PieceRole::First, first), (PieceRole::Later, later), (PieceRole::Mark, mark)];
    roles.into_iter().filter_map(|(role, is)| is.then_some(role))
}

/// Whether a token is punctuation that stands behind a word.
fn is_mark(spelling: &[u8]) -> bool {
    const MARKS: &str = ".,?!;:…。、，？！；：؟،";
    let text = std::str::from_utf8(spelling).unwrap_or_default();
    !text.is_empty() && text.chars().all(|c| MARKS.contains(c))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A table of tokens with these texts and a blank.
    fn table(texts: &[String]) -> Tokens {
        let lines = texts.iter().enumerate().map(|(id, text)| format!("{text} {id}\n"));
        Tokens::parse(format!("{}<blk> {}\n", lines.collect::<String>(), texts.len()).as_bytes()).unwrap()
    }

    /// A text in the characters by which icefall and GPT-2 write its bytes; `▁` is the mark of a word's beginning.
    fn in_icefall(text: &str) -> String {
        in_characters(text, '▁', icefall_code)
    }

    fn in_gpt(text: &str) -> String {
        in_characters(text, 'Ġ', |byte| match byte {
            0..=32 => 256 + byte,
            127..=160 => 289 + (byte - 127),
            173 => 323,
            _ => byte,
        })
    }

    fn icefall_code(byte: u32) -> u32 {
        let runs = [(0, 256), (32, 32), (127, 288), (145, 308), (156, 321), (164, 330), (217, 384)];
        let &(from, code) = runs.iter().rev().find(|(from, _)| *from <= byte).unwrap();
        code + (byte - from)
    }

    fn in_characters(text: &str, mark: char, code: fn(u32) -> u32) -> String {
        let byte = |byte: u8| char::from_u32(code(u32::from(byte))).unwrap();
        let mut written = String::new();
        for c in text.chars() {
            match c {
                '▁' => written.push(mark),
                _ => written.extend(c.encode_utf8(&mut [0; 4]).bytes().map(byte)),
            }
        }
        written
    }

    /// The words that pronunciations of a text spell, by all ways.
    fn heard(tokens: &Tokens, script: &Script, said: &[Vec<String>]) -> Vec<String> {
        let spell = |names: &Vec<String>| {
            let units = script.units(tokens, names).expect("names of tokens");
            script.read(&units.iter().flat_map(|&unit| script.written(unit).to_vec()).collect::<Vec<u8>>())
        };
        said.iter().map(spell).collect()
    }

    /// Every byte but that of a space, some pieces that end within a character, and some of several.
    fn icefall() -> Vec<String> {
        let bytes =
            (0..=255).filter(|&byte| byte != 32).map(|byte| char::from_u32(icefall_code(byte)).unwrap().to_string());
        let pieces = ["▁日", "▁本", "▁", "▁CAF", "ЖИ"].map(in_icefall);
        let part = in_icefall("日").chars().take(2).collect();
        bytes.chain(pieces).chain([part]).collect()
    }

    #[test]
    fn words_of_any_script_are_spelt_in_bytes() {
        let tokens = table(&icefall());
        let script = Script::new(&tokens);
        let pronouncer = script.pronouncer(None);
        for (word, first) in [("日本", vec!["▁日", "▁本"]), ("жи", vec!["▁", "ЖИ"]), ("é", vec!["▁"])]
        {
            let said = pronouncer.pronounce(word);
            let first: Vec<String> = first.into_iter().map(in_icefall).collect();
            assert!(said[0].starts_with(&first), "{said:?}");
            assert!(heard(&tokens, &script, &said).iter().all(|text| text == word), "{word}: {said:?}");
        }
        assert!(pronouncer.pronounce("日本").len() > 1, "there are several ways");
        let said = pronouncer.sounds_like("日 жи").unwrap();
        assert!(heard(&tokens, &script, &said).iter().all(|text| text == "日жи"), "{said:?}");
    }

    /// SentencePiece with `byte_fallback`: bytes write what no piece does, and no line feed is ever written.
    #[test]
    fn bytes_stand_in_for_characters_that_are_no_pieces() {
        let mut texts: Vec<String> = ["▁the", "▁caf", "▁日", "▁", "。"].map(str::to_owned).to_vec();
        texts.extend((0..=255).map(|byte| format!("<0x{byte:02X}>")));
        let tokens = table(&texts);
        let script = Script::new(&tokens);
        let pronouncer = script.pronouncer(None);
        assert_eq!(pronouncer.pronounce("the"), [["▁the"]]);
        assert_eq!(pronouncer.pronounce("café")[0], ["▁caf", "<0xC3>", "<0xA9>"]);
        for word in ["café", "日本", "ж"] {
            let said = pronouncer.pronounce(word);
            assert!(heard(&tokens, &script, &said).iter().all(|text| text == word), "{said:?}");
        }
        let pieces: Vec<_> = script.pieces().collect();
        let of = |text: &str| pieces.iter().find(|(id, _)| tokens.text(*id) == text).map(|(_, role)| *role);
        assert_eq!(of("<0x0A>"), None);
        assert_eq!(
            (of("<0xE6>"), of("▁日"), of("。")),
            (Some(PieceRole::Later), Some(PieceRole::First), Some(PieceRole::Mark))
        );
    }

    #[test]
    fn what_no_token_spells_cannot_be_said() {
        let tokens = table(&["▁a", "b", "é"].map(str::to_owned));
        let pronouncer = Script::new(&tokens).pronouncer(None);
        assert!(pronouncer.pronounce("ж").is_empty());
        let error = pronouncer.sounds_like("日本").unwrap_err().to_string();
        assert!(error.contains("日本") && error.contains("no pronunciation"), "{error}");
    }

    proptest! {
        /// However bytes are cut into tokens, a word is written as it was taught.
        #[test]
        fn what_is_taught_is_written(
            words in prop::collection::vec("[bcé]{1,4}|[жи]{1,4}|[日本]{1,3}|[a-zé日😀]{1,6}", 1..6),
            cuts in prop::collection::vec((0usize..16, 1usize..6), 0..24),
            icefall: bool,
        ) {
            let write = if icefall { in_icefall } else { in_gpt };
            let mut texts: Vec<String> = "▁日ж".chars().map(|c| write(&c.to_string())).collect();
            texts.push(write("▁the"));
            let every: String = ('\0'..='\u{7f}').chain("éжи日本😀".chars()).filter(|c| *c != ' ').collect();
            texts.extend(write(&every).chars().map(String::from));
            for (at, (from, count)) in cuts.into_iter().enumerate() {
                texts.push(write(&format!("▁{}", words[at % words.len()])).chars().skip(from).take(count).collect());
            }
            let mut known = std::collections::HashSet::new();
            texts.retain(|text| !text.is_empty() && known.insert(text.clone()));
            let tokens = table(&texts);
            let script = Script::new(&tokens);
            for word in &words {
                let said = script.pronouncer(None).pronounce(word);
                prop_assert!(!said.is_empty());
                for text in heard(&tokens, &script, &said) {
                    // A model that writes capitals may write any word with some.
                    prop_assert_eq!(&text.to_lowercase(), word);
                }
            }
        }
    }
}
