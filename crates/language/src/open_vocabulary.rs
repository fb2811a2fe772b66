//! Words that no vocabulary has, spelt by an acoustic model that can spell.
//!
//! Such a word is a chain of *pieces* in the search: one that begins it and any number that go on. Pieces have word ids of their
//! own, above those of any vocabulary ([`piece`]); [`OpenVocabulary`] gives them probabilities beside those of a model's words: some
//! for beginning a word that the model does not know, some for each further piece. So what is known is preferred, and what
//! is not known can still be written. Wherever words are counted, a chain is one.

use std::sync::Arc;

use crate::model::{LanguageModel, LmState};
use crate::vocabulary::{Vocabulary, WordId};

/// Set in the ids of pieces.
const PIECE: WordId = 1 << 31;
/// Set in those that go on.
const LATER: WordId = 1 << 30;
/// Set in those that close: marks behind a word, which cost nothing.
const MARK: WordId = 1 << 29;

/// What a piece is to its word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PieceRole {
    /// It begins one.
    First,
    /// It goes on with one that was spelt so far.
    Later,
    /// It is a punctuation mark behind any word.
    Mark,
}

/// The id of a token as a piece.
pub fn piece(token: u16, role: PieceRole) -> WordId {
    let role = match role {
        PieceRole::First => 0,
        PieceRole::Later => LATER,
        PieceRole::Mark => LATER | MARK,
    };
    PIECE | role | WordId::from(token)
}

/// What an id is a piece of: its token and role, or `None` for a word of a vocabulary.
pub fn as_piece(word: WordId) -> Option<(u16, PieceRole)> {
    let role = match (word & LATER != 0, word & MARK != 0) {
        (false, _) => PieceRole::First,
        (true, false) => PieceRole::Later,
        (true, true) => PieceRole::Mark,
    };
    (word & PIECE != 0).then_some((word as u16, role))
}

/// What spelling costs, natural logs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spelling {
    /// ln p that a word follows which the model does not know, and begins with a certain piece.
    pub first: f32,
    /// ln p of each further piece.
    pub later: f32,
}

/// A language model with an open end.
pub struct OpenVocabulary {
    lm: Arc<dyn LanguageModel>,
    spelling: Spelling,
}

impl OpenVocabulary {
    /// A model whose words may be joined by any others.
    pub fn new(lm: Arc<dyn LanguageModel>, spelling: Spelling) -> Self {
        OpenVocabulary { lm, spelling }
    }
}

impl LanguageModel for OpenVocabulary {
    /// That of the model; it has no pieces.
    fn vocabulary(&self) -> &Vocabulary {
        self.lm.vocabulary()
    }

    fn start(&self) -> LmState {
        self.lm.start()
    }

    fn step(&self, state: LmState, word: WordId) -> (LmState, f32) {
        match as_piece(word) {
            None => self.lm.step(state, word),
            Some((_, PieceRole::First)) => (self.lm.after_unknown(state), self.spelling.first),
            Some((_, PieceRole::Later)) => (state, self.spelling.later),
            Some((_, PieceRole::Mark)) => (state, 0.0),
        }
    }

    fn end(&self, state: LmState) -> f32 {
        self.lm.end(state)
    }

    fn after_unknown(&self, state: LmState) -> LmState {
        self.lm.after_unknown(state)
    }
}
