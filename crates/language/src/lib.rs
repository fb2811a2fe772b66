//! Vocabulary, pronunciations and n-gram language models.
//!
//! See README.md.
#![deny(unsafe_code)]

mod dictionary;
mod error;
mod model;
mod ngram;
mod vocabulary;
mod words;

pub use dictionary::{Dictionary, DictionaryError, Pronunciation};
pub use error::{LmError, Place};
pub use model::{LanguageModel, LmState};
pub use ngram::{NgramModel, parse_arpa, parse_dmp, parse_trie};
pub use vocabulary::{Vocabulary, WordId};
