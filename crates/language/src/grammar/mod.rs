//! Grammars: what may be said, written down as rules, compiled to an automaton that accepts nothing else.
//!
//! The language is W3C's Speech Recognition Grammar Specification 1.0 (SRGS) in both its forms, [`abnf`] and [`xml`]: rules,
//! sequences, alternatives with weights, repeats with probabilities, optional parts, references within the document. Tags and
//! metadata are skipped: semantic interpretation is not done here. References to other documents and `GARBAGE` are refused.
//!
//! A [`Grammar`] is a deterministic automaton over words ([`automaton`]), and with that a [`LanguageModel`](crate::LanguageModel):
//! what it does not generate has a probability of zero. Rules are expanded where they are referred to, so only what
//! is regular can be compiled: a rule may refer to itself at its very end and nowhere else. How large the automaton and how
//! long the way to it may become is bounded ([`compile`]); grammars beyond that are refused.
//!
//! ```
//! use dictum_language::{Grammar, LanguageModel};
//! let grammar = Grammar::parse_abnf(b"#ABNF 1.0 ISO-8859-1; language en-US; root $yesno; $yesno = yes | /0.5/ no;")?;
//! let yes = grammar.vocabulary().id("yes").unwrap();
//! let (after, probability) = grammar.step(grammar.start(), yes);
//! assert!((probability.exp() - 2.0 / 3.0).abs() < 1e-3 && grammar.end(after) == 0.0);
//! assert_eq!(grammar.step(after, yes).1, f32::NEG_INFINITY);
//! # Ok::<(), dictum_language::GrammarError>(())
//! ```

mod abnf;
mod automaton;
mod compile;
mod determinize;
mod document;
mod format;
mod minimize;
mod nfa;
mod xml;

pub use automaton::Grammar;

/// Most bytes of a grammar document.
pub const LONGEST_GRAMMAR: usize = 16 << 20;

/// A place in a document, both counted from 1; columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GrammarPlace {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

impl GrammarPlace {
    /// The place of a byte of a text.
    fn of(text: &str, offset: usize) -> Self {
        let before = &text.as_bytes()[..offset.min(text.len())];
        let line_start = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
        let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
        // A byte that continues a character counts nothing.
        let column = before[line_start..].iter().filter(|&&byte| byte & 0xC0 != 0x80).count() + 1;
        GrammarPlace { line, column }
    }
}

impl std::fmt::Display for GrammarPlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// Why a grammar cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GrammarError {
    /// The document is not SRGS.
    #[error("Cannot compile grammar: {place}: {what}")]
    Syntax {
        /// Where.
        place: GrammarPlace,
        /// What is wrong there, and what to do.
        what: String,
    },
    /// It is, but uses something that is not supported.
    #[error("Cannot compile grammar: {place}: {what} not supported")]
    Unsupported {
        /// Where.
        place: GrammarPlace,
        /// What is not supported, with its verb.
        what: String,
    },
    /// The document is not UTF-8.
    #[error(
        "Cannot compile grammar: byte {offset} is not UTF-8; grammars are read as UTF-8 whatever encoding they declare"
    )]
    NotUtf8 {
        /// The first byte that is not, from 0.
        offset: usize,
    },
    /// No rule is the root.
    #[error(
        "Cannot compile grammar: it names no root rule; declare one with 'root $rule;' (ABNF) or root=\"rule\" (XML)"
    )]
    NoRoot,
    /// A rule is named that is not there.
    #[error("Cannot compile grammar: rule '{rule}' is referred to but not defined in the document")]
    UndefinedRule {
        /// Its name.
        rule: String,
    },
    /// A rule refers to itself where that is not regular.
    #[error(
        "Cannot compile grammar: rule '{rule}' refers to itself, by way of others or not, elsewhere than at its very end; \
         write a repeat, or move the reference to the end"
    )]
    Recursive {
        /// Its name.
        rule: String,
    },
    /// Nothing that can be said.
    #[error("Cannot compile grammar: it generates no words")]
    Empty,
    /// Beyond what is compiled.
    #[error("Cannot compile grammar: it is too large: {what}")]
    TooLarge {
        /// Which bound it exceeds.
        what: String,
    },
    /// A compiled grammar that is damaged, or of another version.
    #[error("compiled grammar, byte {offset}: {what}; compile it again from its document")]
    Damaged {
        /// Where, from 0.
        offset: usize,
        /// What is wrong there.
        what: &'static str,
    },
}

impl Grammar {
    /// Compiles a document of the ABNF form (`application/srgs`).
    ///
    /// # Errors
    /// When it is no such document, uses what is not supported, cannot be compiled to a finite automaton, or to none
    /// within bounds.
    pub fn parse_abnf(bytes: &[u8]) -> Result<Grammar, GrammarError> {
        compile::compile(abnf::parse(text(bytes)?)?)
    }

    /// Compiles a document of the XML form (`application/srgs+xml`). Document types are not read, nor are entities other than
    /// XML's own expanded; nothing is ever fetched.
    ///
    /// # Errors
    /// As [`parse_abnf`](Self::parse_abnf).
    pub fn parse_xml(bytes: &[u8]) -> Result<Grammar, GrammarError> {
        compile::compile(xml::parse(text(bytes)?)?)
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote.
    ///
    /// # Errors
    /// [`GrammarError::Damaged`] when the bytes contradict the format.
    pub fn from_bytes(bytes: &[u8]) -> Result<Grammar, GrammarError> {
        format::read(bytes)
    }

    /// The compiled grammar as a file; the format is in `grammar/format.rs`.
    pub fn to_bytes(&self) -> Vec<u8> {
        format::write(self)
    }
}

fn text(bytes: &[u8]) -> Result<&str, GrammarError> {
    if bytes.len() > LONGEST_GRAMMAR {
        return Err(GrammarError::TooLarge {
            what: format!("the document has more than {} MiB", LONGEST_GRAMMAR >> 20),
        });
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    std::str::from_utf8(bytes).map_err(|error| GrammarError::NotUtf8 { offset: error.valid_up_to() })
}

#[cfg(test)]
mod tests;
