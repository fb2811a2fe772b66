//! Words: how they are spelt, how they are said, and how likely they follow each other.
//!
//! * [`Dictionary`]: pronunciations, from dictionary files in CMU Sphinx's format.
//! * [`NgramModel`]: back-off n-gram models of order up to 3, from Sphinx tries (`.lm.bin`, memory-mapped), Sphinx DMP files
//!   and ARPA text; written as tries and ARPA text.
//! * [`LanguageModel`]: what a search asks of any language model, word by word in natural logarithms; the [`Vocabulary`]
//!   numbers the words.
//! * [`G2p`]: pronunciations of words that no dictionary has, by a model trained from one.
//! * [`custom`]: models that users teach, trained from words and texts, and interpolated with the base model.
//! * [`Pronouncer`]: how any word is said, and what a user writes that it sounds like.
//! * [`Tokenizer`]: words as strings of an acoustic model's own tokens. [`OpenVocabulary`]: words that nobody has listed, spelt in them.
//! * [`Grammar`]: what may be said by rules (SRGS), compiled to an automaton that is a language model.
//! * [`spoken_form`]: numbers as they are spoken. [`scoring`]: word error rate with alignment and confidence interval.
//!
//! The crate knows nothing of audio or phones beyond their names, and never trusts a file: sizes are checked before memory
//! is asked for, and errors name the file and the byte or line.
//!
//! ```no_run
//! use dictum_language::{Dictionary, LanguageModel, NgramModel};
//!
//! let model = NgramModel::open("en-us.lm.bin")?;
//! let dictionary = Dictionary::open("cmudict-en-us.dict")?;
//! let mut state = model.start();
//! for word in ["speech", "recognition"] {
//!     let id = model.vocabulary().id(word).ok_or("not a word of the model")?;
//!     let (next, probability) = model.step(state, id);
//!     println!("{word}: ln p = {probability:.2}, {} pronunciations", dictionary.pronunciations(word).len());
//!     state = next;
//! }
//! println!("end of sentence: ln p = {:.2}", model.end(state));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![deny(unsafe_code)]

pub mod custom;
mod dictionary;
mod error;
mod fold;
mod g2p;
mod grammar;
mod mapped;
mod model;
mod ngram;
mod open_vocabulary;
mod pronounce;
pub mod scoring;
mod spoken;
mod tokenizer;
mod vocabulary;
mod words;

pub use dictionary::{Dictionary, DictionaryError, Pronunciation};
pub use error::{LmError, Place};
pub use g2p::{G2p, G2pAccuracy, G2pError, G2pTraining, hold_out};
pub use grammar::{Grammar, GrammarError, GrammarPlace, LONGEST_GRAMMAR};
pub use model::{Bigrams, LanguageModel, LmState};
pub use ngram::{NgramModel, parse_arpa, parse_dmp, parse_trie};
pub use open_vocabulary::{OpenVocabulary, PieceRole, Spelling, as_piece, piece};
pub use pronounce::{
    LONGEST_SOUNDS_LIKE, LONGEST_WORD, MOST_PHONES, MOST_PRONUNCIATIONS, MOST_SOUNDS_LIKE, PhonePronouncer, Pronouncer,
    SoundsLike, SoundsLikeError, TokenPronouncer, UnitNames, WordError, check_word,
};
pub use spoken::spoken_form;
pub use tokenizer::{Tokenizer, WORD_BEGIN, WordBoundary};
pub use vocabulary::{Vocabulary, WordId};
