//! The table of tokens, `tokens.txt`: what each column of the scores stands for.

use std::collections::HashMap;

use crate::alphabet::{self, Alphabet};
use crate::error::ParseError;

/// How the tokens of a model make words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Boundary {
    /// A token that begins a word begins with `▁` (U+2581), as SentencePiece writes them; `▁` alone may begin one too.
    Prefix,
    /// This token stands between words: `|` or a space.
    Separator(u16),
    /// Nothing says where words begin: scripts that are written without spaces.
    None,
}

/// The mark of SentencePiece for the beginning of a word.
pub const WORD_BEGIN: char = '\u{2581}';

/// Names of the token that stands for nothing, in the order in which they are looked for.
const BLANKS: [&str; 5] = ["<blk>", "<blank>", "<eps>", "<pad>", "[PAD]"];

/// A parsed `tokens.txt`: a line for each token, its text and its number.
///
/// Numbers are 0, 1, ... without gaps, in any order of lines. A line that has a number only is the token of a space, as is one
/// whose text is a space. Numbers are 16 bits wide here: no published model has more tokens.
#[derive(Debug, Clone)]
pub struct Tokens {
    texts: Vec<Box<str>>,
    ids: HashMap<Box<str>, u16>,
    special: Vec<bool>,
    blank: u16,
    boundary: Boundary,
    /// What each token spells.
    spellings: Vec<Box<[u8]>>,
}

impl Tokens {
    /// Reads a table.
    ///
    /// # Errors
    /// Where and why, when a line has no number, a number is missing or is there twice, or no token is the blank
    /// (`<blk>`, `<blank>`, `<eps>`, `<pad>`, `[PAD]`).
    pub fn parse(bytes: &[u8]) -> Result<Tokens, ParseError> {
        Tokens::with_blank(bytes, None)
    }

    /// Reads a table of a model whose blank has number `blank`, whatever it is called.
    ///
    /// # Errors
    /// As [`Tokens::parse`].
    pub fn with_blank(bytes: &[u8], blank: Option<u16>) -> Result<Tokens, ParseError> {
        let texts = in_order(lines(bytes)?, bytes.len())?;
        let mut ids = HashMap::with_capacity(texts.len());
        for (id, text) in texts.iter().enumerate() {
            // Some tables name a token twice; the first is the one that was meant.
            ids.entry(text.clone()).or_insert(id as u16);
        }
        let named = BLANKS.iter().find_map(|&name| ids.get(name).copied());
        let blank = blank.filter(|&id| usize::from(id) < texts.len()).or(named).ok_or_else(|| ParseError {
            offset: bytes.len() as u64,
            reason: format!("no token is called {}: a CTC model has a blank", BLANKS.join(" or ")),
        })?;
        let special: Vec<bool> =
            texts.iter().enumerate().map(|(id, text)| id == usize::from(blank) || is_special(text)).collect();
        let named = |text: &str| alphabet::named_byte(text);
        let words = texts.iter().zip(&special).filter(|(text, special)| !**special && named(text).is_none());
        let alphabet = Alphabet::of(words.map(|(text, _)| &**text));
        let boundary = if alphabet == Alphabet::Gpt { Boundary::Prefix } else { boundary(&texts, &ids) };
        let spelling = |text: &str| -> Box<[u8]> {
            match named(text) {
                Some(byte) => Box::from([byte]),
                None => alphabet.spelling(text).into(),
            }
        };
        let spellings = texts.iter().map(|text| spelling(text)).collect();
        Ok(Tokens { texts, ids, special, blank, boundary, spellings })
    }

    /// Number of tokens, which is the number of columns of the scores.
    pub fn len(&self) -> usize {
        self.texts.len()
    }

    /// Whether there are none. A table that was read has at least the blank.
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// The token of CTC that stands for nothing.
    pub fn blank(&self) -> u16 {
        self.blank
    }

    /// A token as the file has it, `▁the`.
    ///
    /// # Panics
    /// When there is no such token.
    pub fn text(&self, id: u16) -> &str {
        &self.texts[usize::from(id)]
    }

    /// The number of the token with this text.
    pub fn find(&self, text: &str) -> Option<u16> {
        self.ids.get(text).copied()
    }

    /// How tokens make words.
    pub fn boundary(&self) -> Boundary {
        self.boundary
    }

    /// Whether a token is never in a word: the blank, `<unk>`, `<s>`, `</s>`, `<pad>`, `<sos/eos>` and their like.
    ///
    /// # Panics
    /// When there is no such token.
    pub fn is_special(&self, id: u16) -> bool {
        self.special[usize::from(id)]
    }

    /// What a token spells, in UTF-8: `▁the`. A token may be a piece of bytes (`ƍĩĴ` or `<0xE6>`), which may begin or end in
    /// the middle of a character.
    ///
    /// # Panics
    /// When there is no such token.
    pub fn spelling(&self, id: u16) -> &[u8] {
        &self.spellings[usize::from(id)]
    }

    /// Whether a token is one of those by which a model of ordinary pieces writes characters that are in none of them,
    /// byte by byte (`<0xE6>`).
    ///
    /// # Panics
    /// When there is no such token.
    pub fn is_byte(&self, id: u16) -> bool {
        alphabet::named_byte(self.text(id)).is_some()
    }

    /// The text that bytes of spellings spell together; what is no UTF-8 is left out, such as a character without its end.
    pub fn read(spelling: &[u8]) -> String {
        alphabet::read(spelling)
    }

    /// The text that a sequence of tokens spells: special tokens left out, boundaries as single spaces.
    pub fn spell(&self, ids: &[u16]) -> String {
        let mut bytes = Vec::new();
        for &id in ids.iter().filter(|&&id| !self.is_special(id)) {
            match self.boundary == Boundary::Separator(id) {
                true => bytes.push(b' '),
                false => bytes.extend_from_slice(self.spelling(id)),
            }
        }
        let text = Tokens::read(&bytes);
        text.split([' ', WORD_BEGIN]).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
    }

    /// Drops the tokens from `len` on, which must be such that no network has a column for: `#0`, `#1`, the marks by which
    /// lexicons tell words of the same sound apart. Says whether `len` tokens are left.
    pub(crate) fn truncate(&mut self, len: usize) -> bool {
        let extra = self.texts.get(len..).unwrap_or_default();
        if usize::from(self.blank) < len && extra.iter().all(|text| text.starts_with('#')) {
            self.texts.truncate(len);
            self.special.truncate(len);
            self.spellings.truncate(len);
            self.ids.retain(|_, id| usize::from(*id) < len);
        }
        self.texts.len() == len
    }
}

/// Text, number and offset of each line.
fn lines(bytes: &[u8]) -> Result<Vec<(&str, u16, u64)>, ParseError> {
    let mut found = Vec::new();
    let mut offset = 0;
    for line in bytes.split(|&byte| byte == b'\n') {
        let start = offset;
        offset += line.len() as u64 + 1;
        let error = |reason: String| ParseError { offset: start, reason };
        let line = std::str::from_utf8(line).map_err(|_| error("a line that is not UTF-8".to_string()))?;
        let line = line.trim_end_matches(['\r', ' ', '\t']);
        if line.trim_matches([' ', '\t']).is_empty() {
            continue;
        }
        // The number is what follows the last space; the text may itself be a space.
        let (text, number) = match line.rfind([' ', '\t']) {
            Some(at) => (&line[..at], &line[at + 1..]),
            None => ("", line),
        };
        let text = if text.trim_matches([' ', '\t']).is_empty() { " " } else { text.trim_matches([' ', '\t']) };
        let id = number.parse::<u16>().map_err(|_| {
            error("expected a token and its number, from 0 to 65535, at the end of the line".to_string())
        })?;
        found.push((text, id, start));
    }
    Ok(found)
}

/// The texts by number.
fn in_order(lines: Vec<(&str, u16, u64)>, end: usize) -> Result<Vec<Box<str>>, ParseError> {
    let mut texts: Vec<Option<Box<str>>> = vec![None; lines.len()];
    for (text, id, offset) in &lines {
        let count = lines.len();
        let slot = texts.get_mut(usize::from(*id)).ok_or_else(|| ParseError {
            offset: *offset,
            reason: format!("token {id} in a table of {count}: numbers must be 0 to {}", count - 1),
        })?;
        if slot.replace((*text).into()).is_some() {
            return Err(ParseError { offset: *offset, reason: format!("token {id} is there twice") });
        }
    }
    // As many lines as numbers, none twice: none is missing.
    let texts: Vec<Box<str>> = texts.into_iter().flatten().collect();
    if texts.is_empty() {
        return Err(ParseError { offset: end as u64, reason: "a table of tokens without any".to_string() });
    }
    Ok(texts)
}

/// Whether a text names something that is not written: in angle brackets, unless it is a byte (`<0x41>`) that may be part of a
/// word, or in square ones as BERT has them, or a lexicon's mark.
fn is_special(text: &str) -> bool {
    if let Some(byte) = alphabet::named_byte(text) {
        return byte <= b' ' || byte == 0x7f;
    }
    let inside = |open, close| text.len() > 2 && text.starts_with(open) && text.ends_with(close);
    inside('<', '>')
        || matches!(text, "[PAD]" | "[UNK]" | "[CLS]" | "[SEP]" | "[MASK]")
        || text.strip_prefix('#').is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()))
}

fn boundary(texts: &[Box<str>], ids: &HashMap<Box<str>, u16>) -> Boundary {
    if texts.iter().any(|text| text.starts_with(WORD_BEGIN)) {
        return Boundary::Prefix;
    }
    [" ", "|"].iter().find_map(|&text| ids.get(text)).map_or(Boundary::None, |&id| Boundary::Separator(id))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn pieces_of_words_in_any_order_of_lines() {
        let tokens = Tokens::parse("▁the 1\n<unk> 0\ns 2\r\n\n▁ 3\n<blk> 4\n".as_bytes()).unwrap();
        assert_eq!((tokens.len(), tokens.blank(), tokens.boundary()), (5, 4, Boundary::Prefix));
        assert_eq!((tokens.text(1), tokens.find("s"), tokens.find("x")), ("▁the", Some(2), None));
        assert!(tokens.is_special(0) && tokens.is_special(4) && !tokens.is_special(3));
        assert_eq!(tokens.spell(&[1, 2, 4, 3, 2, 0]), "thes s");
    }

    #[test]
    fn a_space_may_be_a_token_however_it_is_written() {
        for table in ["  0\na 1\n<blk> 2\n", "0\na 1\n<blk> 2", " \t0\na\t1\n<blk>\t2\n"] {
            let tokens = Tokens::parse(table.as_bytes()).unwrap();
            assert_eq!((tokens.text(0), tokens.boundary()), (" ", Boundary::Separator(0)), "{table:?}");
        }
        let tokens = Tokens::parse(b"<pad> 0\n| 1\nA 2\n").unwrap();
        assert_eq!(
            (tokens.blank(), tokens.boundary(), tokens.spell(&[2, 1, 1, 2])),
            (0, Boundary::Separator(1), "A A".into())
        );
    }

    #[test]
    fn scripts_without_spaces_have_no_boundary_and_a_model_may_know_its_blank() {
        let tokens = Tokens::with_blank("<s> 0\n我 1\n<0x41> 2\n".as_bytes(), Some(0)).unwrap();
        assert_eq!((tokens.blank(), tokens.boundary()), (0, Boundary::None));
        assert!(!tokens.is_special(2));
    }

    #[test]
    fn pieces_of_bytes_are_read_as_text() {
        for (table, ids) in [
            ("<blk> 0\n▁ƍĩ 1\nĴ 2\n▁the 3\n", &[3, 1, 2, 1][..]),
            ("<blk> 0\nĠæĪ 1\nĳ 2\nĠthe 3\n", &[3, 1, 2, 1]),
            ("<blk> 0\n▁ 1\n<0xE6> 2\n▁the 3\n<0x88> 4\n<0x91> 5\n<0x0A> 6\n", &[3, 1, 2, 4, 5, 6, 1, 2]),
        ] {
            let tokens = Tokens::parse(table.as_bytes()).unwrap();
            assert_eq!((tokens.spell(ids), tokens.boundary()), ("the 我".into(), Boundary::Prefix), "{table}");
        }
        let tokens = Tokens::parse("<blk> 0\n▁žą 1\n".as_bytes()).unwrap();
        assert_eq!((tokens.spell(&[1]), tokens.spelling(1)), ("žą".into(), "▁žą".as_bytes()));
    }

    #[test]
    fn marks_of_lexicons_have_no_columns() {
        let mut tokens = Tokens::parse(b"<blk> 0\na 1\n#0 2\n#1 3\n").unwrap();
        assert!(!tokens.clone().truncate(1));
        assert!(tokens.truncate(2));
        assert_eq!((tokens.len(), tokens.find("#0")), (2, None));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        for (table, offset, reason) in [
            ("<blk> 0\na x\n", 8, "number"),
            ("<blk> 0\na 2\n", 8, "0 to 1"),
            ("<blk> 0\na 0\n", 8, "twice"),
            ("a 0\nb 1\n", 8, "blank"),
            ("", 0, "without any"),
            ("a 70000\n", 0, "65535"),
        ] {
            let error = Tokens::parse(table.as_bytes()).unwrap_err();
            assert_eq!(error.offset, offset, "{error}");
            assert!(error.reason.contains(reason), "{error}");
        }
        assert!(Tokens::parse(b"<blk> 0\n\xff 1\n").unwrap_err().reason.contains("UTF-8"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_table_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Tokens::parse(&bytes);
        }

        #[test]
        fn what_is_written_is_read(texts in proptest::collection::hash_set("[a-z▁|<>#]{1,6}", 1..50)) {
            let mut table: Vec<String> = texts.iter().enumerate().map(|(id, text)| format!("{text} {id}")).collect();
            table.push(format!("<blk> {}", texts.len()));
            table.reverse();
            let tokens = Tokens::parse(table.join("\n").as_bytes()).unwrap();
            for (id, text) in texts.iter().enumerate() {
                prop_assert_eq!(tokens.text(id as u16), text);
                prop_assert_eq!(tokens.find(text), Some(id as u16));
            }
        }
    }
}
