//! English texts, by the parsing rules that Watson publishes for its European languages.
//!
//! * Numbers, amounts, percentages, years and times are spelt out (`$100`: one hundred dollars; `0.15`: zero point fifteen);
//!   currency signs without a number go.
//! * What stands in brackets of any kind, `( ) < > [ ] { }`, is left out.
//! * Punctuation goes, but where the base vocabulary has a word with it: apostrophes within words and in `'em` or `actors'`,
//!   hyphens in `brother-in-law` (others separate words), the period of letters said by their names (`J.`, `U.S.`).
//! * The case of words stays; the base vocabulary is matched in whatever case.

use super::{Part, TextRules};
use crate::spoken::spoken_corpus;

/// The rules for English.
#[derive(Debug, Clone, Copy)]
pub struct English;

impl TextRules for English {
    fn words(&self, line: &str, known: &dyn Fn(&str) -> bool, part: &mut dyn FnMut(Part<'_>)) {
        if line.bytes().all(|byte| byte.is_ascii_alphabetic() || byte.is_ascii_whitespace()) {
            line.split_ascii_whitespace().for_each(|word| part(Part::Word(word)));
            return;
        }
        let mut text = std::borrow::Cow::Borrowed(line);
        if text.contains(['(', '<', '[', '{']) {
            text = without_brackets(&text).into();
        }
        if text.contains(|c: char| c.is_ascii_digit() || c == '&') {
            text = spoken_corpus(&text).into();
        }
        if text.contains(['’', '‘', 'ʼ']) {
            text = text.replace(['’', '‘', 'ʼ'], "'").into();
        }
        let end = text.trim_end().len();
        let mut at = 0;
        for token in text.split_inclusive(char::is_whitespace) {
            at += token.len();
            Token { known, last: at >= end }.parts(token.trim_end(), part);
        }
    }
}

/// The text without what stands in brackets; brackets without a counterpart go by themselves.
fn without_brackets(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['(', '<', '[', '{']) {
        out.push_str(&rest[..at]);
        out.push(' ');
        let inside = &rest[at + 1..];
        let (open, close) = match rest.as_bytes()[at] {
            b'(' => ('(', ')'),
            b'<' => ('<', '>'),
            b'[' => ('[', ']'),
            _ => ('{', '}'),
        };
        rest = closing(inside, open, close).map_or(inside, |end| &inside[end + 1..]);
    }
    out.push_str(rest);
    out
}

/// Where the bracket closes that is open at the beginning of the text.
fn closing(text: &str, open: char, close: char) -> Option<usize> {
    let mut depth = 1;
    for (at, found) in text.match_indices([open, close]) {
        depth += if found.starts_with(open) { 1 } else { -1 };
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

/// What stands between two blanks.
struct Token<'a> {
    known: &'a dyn Fn(&str) -> bool,
    /// Whether nothing follows in the line.
    last: bool,
}

impl Token<'_> {
    fn parts(&self, token: &str, part: &mut dyn FnMut(Part<'_>)) {
        let token = token.trim_matches(|c| !is_word(c) && !matches!(c, '\'' | '.'));
        if token.bytes().all(|byte| byte.is_ascii_alphabetic()) {
            if !token.is_empty() {
                part(Part::Word(token));
            }
            return;
        }
        if self.letters(token, part) {
            return;
        }
        if let Some(word) = self.apostrophes(token.trim_matches('.')) {
            if !word.contains(|c| !is_word(c) && c != '\'') || (self.known)(word) {
                part(Part::Word(word));
                return;
            }
            for piece in word.split(|c| !is_word(c) && c != '\'') {
                if let Some(piece) = self.apostrophes(piece) {
                    part(Part::Word(piece));
                }
            }
        }
    }

    /// Letters that are said by their names: `J.` and `U.S.`; whether these were some. At the end of a line `a.` and `I.`
    /// are words.
    fn letters(&self, token: &str, part: &mut dyn FnMut(Part<'_>)) -> bool {
        let bytes = token.as_bytes();
        let pairs =
            bytes.chunks(2).all(|pair| pair[0].is_ascii_alphabetic() && pair.get(1).is_none_or(|&dot| dot == b'.'));
        if !pairs || bytes.len() < 2 || self.last && matches!(token, "a." | "I.") {
            return false;
        }
        for pair in bytes.chunks(2) {
            let letter = [pair[0].to_ascii_lowercase(), b'.'];
            let named = std::str::from_utf8(&letter).unwrap_or_default();
            part(Part::Word(if (self.known)(named) { named } else { &named[..1] }));
        }
        true
    }

    /// The token without quotation marks; an apostrophe at its beginning or end stays where the vocabulary has it.
    fn apostrophes<'t>(&self, token: &'t str) -> Option<&'t str> {
        let word = token.trim_matches(|c| !is_word(c));
        if word.is_empty() {
            return None;
        }
        let start = word.as_ptr() as usize - token.as_ptr() as usize;
        let end = start + word.len();
        let (before, after) = (token[..start].ends_with('\''), token[end..].starts_with('\''));
        let with = match (before, after) {
            (true, false) => &token[start - 1..end],
            (false, true) => &token[start..end + 1],
            _ => return Some(word),
        };
        Some(if (self.known)(with) { with } else { word })
    }
}

/// Whether a character is of words: letters, digits, marks upon them, `_`. Outside ASCII everything counts that is neither
/// punctuation nor a symbol, as letters of some scripts are made of several characters.
fn is_word(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_alphanumeric() || c == '_';
    }
    let symbol = matches!(c,
        '\u{2000}'..='\u{2BFF}' | '\u{2E00}'..='\u{2E7F}' | '\u{3000}'..='\u{3004}' | '\u{3008}'..='\u{3020}'
        | '\u{E000}'..='\u{F8FF}' | '\u{FE00}'..='\u{FE6F}' | '\u{FF01}'..='\u{FF0F}' | '\u{FFE0}'..='\u{FFFF}'
        | '\u{1F000}'..='\u{1FAFF}');
    c.is_alphanumeric() || c >= '\u{0300}' && !symbol
}
