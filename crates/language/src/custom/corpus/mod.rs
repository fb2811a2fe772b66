//! Texts as users send them, line by line: what is in them is told by the rules of their language.

mod english;

use std::io::{self, BufRead, Read, Write};
use std::sync::Arc;

use super::counter::{Counter, Limits};
use super::counts::TextSummary;
use crate::vocabulary::Vocabulary;
pub use english::English;

/// Longest line, in bytes: a sentence or a name is far shorter, and memory stays bounded.
pub const LONGEST_LINE: usize = 1 << 20;

/// Longest word that can be learnt, in characters; longer ones are taken as gaps in the text.
pub const LONGEST_WORD: usize = 100;

/// Why a text cannot be analysed.
#[derive(Debug, thiserror::Error)]
pub enum CorpusError {
    /// The text cannot be read.
    #[error("the text cannot be read: {0}")]
    Reading(#[source] io::Error),
    /// The counts cannot be sorted on disk or written.
    #[error("the counts of the text cannot be kept: {0}")]
    Sorting(#[source] io::Error),
    /// Not UTF-8.
    #[error("line {line} is not UTF-8: convert the text to UTF-8")]
    NotUtf8 {
        /// From 1.
        line: u64,
    },
    /// Control characters, as binary files and UTF-16 hold them.
    #[error("line {line} holds a control character: send plain text in UTF-8")]
    Binary {
        /// From 1.
        line: u64,
    },
    /// A line too long to be a sentence.
    #[error("line {line} is longer than {LONGEST_LINE} bytes: write one sentence a line")]
    LongLine {
        /// From 1.
        line: u64,
    },
    /// More words than allowed.
    #[error("the text has more than {limit} words: split it or leave some out")]
    TooManyWords {
        /// As many are allowed.
        limit: u64,
    },
    /// More new words than allowed.
    #[error(
        "the text has more than {limit} different words that are not in the base vocabulary; is it in the language of the model?"
    )]
    TooManyNewWords {
        /// As many are allowed.
        limit: usize,
    },
    /// Nothing to learn.
    #[error("the text holds no words")]
    Empty,
}

/// How the texts of a language are made into words as they are spoken.
pub trait TextRules {
    /// Calls `part` for the words of a line, in order. `known` tells whether a word is of the base vocabulary, in whatever
    /// case.
    fn words(&self, line: &str, known: &dyn Fn(&str) -> bool, part: &mut dyn FnMut(Part<'_>));
}

/// What a line consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part<'a> {
    /// A word.
    Word(&'a str),
    /// Something that stands between words and is none.
    Gap,
}

/// The rules for texts in a language (`en-US`), or `None` when there are none yet.
pub fn rules(language: &str) -> Option<&'static dyn TextRules> {
    let english = language.get(..2).is_some_and(|code| code.eq_ignore_ascii_case("en"));
    english.then_some(&English as &dyn TextRules)
}

/// Reads a text, counts its n-grams and writes the counts, within the memory that `limits` allow.
///
/// # Errors
/// When the text cannot be read, is none, or exceeds the limits; or writing fails.
pub fn analyse(
    text: impl BufRead,
    rules: &dyn TextRules,
    base: &Arc<Vocabulary>,
    limits: Limits,
    counts: impl Write,
) -> Result<TextSummary, CorpusError> {
    let mut counter = Counter::new(base, limits);
    let known = Known::new(base);
    let mut lines = Lines { input: text, number: 0, buffer: Vec::new() };
    let mut words = 0;
    while let Some(line) = lines.next()? {
        let mut outcome = Ok(());
        counter.begin();
        rules.words(line, &|word| known.contains(word), &mut |part| {
            if outcome.is_ok() {
                outcome = match part {
                    Part::Word(word) if word.chars().nth(LONGEST_WORD).is_none() => {
                        words += 1;
                        counter.word(word)
                    }
                    _ => {
                        counter.gap();
                        Ok(())
                    }
                };
            }
        });
        outcome?;
        counter.end()?;
    }
    if words == 0 {
        return Err(CorpusError::Empty);
    }
    counter.finish(counts)
}

/// The base vocabulary asked in whatever case.
struct Known<'a>(&'a Vocabulary);

impl<'a> Known<'a> {
    fn new(base: &'a Vocabulary) -> Self {
        Known(base)
    }

    fn contains(&self, word: &str) -> bool {
        if self.0.id(word).is_some() {
            return true;
        }
        word.contains(char::is_uppercase) && self.0.id(&word.to_lowercase()).is_some()
    }
}

struct Lines<R> {
    input: R,
    number: u64,
    buffer: Vec<u8>,
}

impl<R: BufRead> Lines<R> {
    fn next(&mut self) -> Result<Option<&str>, CorpusError> {
        self.buffer.clear();
        let limit = LONGEST_LINE as u64 + 1;
        let read = self.input.by_ref().take(limit).read_until(b'\n', &mut self.buffer).map_err(CorpusError::Reading)?;
        if read == 0 {
            return Ok(None);
        }
        self.number += 1;
        let line = self.number;
        let control =
            |byte: &u8| *byte < b' ' && !matches!(byte, b'\t' | b'\r' | b'\n' | b'\x0b' | b'\x0c') || *byte == 127;
        if self.buffer.iter().any(control) {
            return Err(CorpusError::Binary { line });
        }
        if self.buffer.len() > LONGEST_LINE {
            return Err(CorpusError::LongLine { line });
        }
        let text = std::str::from_utf8(&self.buffer).map_err(|_| CorpusError::NotUtf8 { line })?;
        Ok(Some(text.strip_prefix('\u{FEFF}').filter(|_| line == 1).unwrap_or(text)))
    }
}

#[cfg(test)]
mod tests;
