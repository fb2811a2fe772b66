//! What a decoder asks of a language model.

use crate::vocabulary::{Vocabulary, WordId};

/// What a language model remembers of the words so far.
///
/// Equal states give every continuation the same probability, so hypotheses that differ in nothing else may be merged.
/// For n-gram models ([`NgramModel`](crate::NgramModel)) the low half is the last word's id + 1 (0: none) and the high
/// half the index + 1 of the bigram that ends in it (0: the model distinguishes no longer history); other models give the
/// bits their own meaning.
#[derive(Copy, Clone, Eq, PartialEq, Hash, Debug, PartialOrd, Ord)]
pub struct LmState(pub u64);

impl LmState {
    /// Nothing is known of what came before.
    pub const EMPTY: LmState = LmState(0);

    /// The state after `word` with nothing known of what came before it.
    pub fn after(word: WordId) -> Self {
        LmState(u64::from(word) + 1)
    }

    pub(crate) fn with_context(word: WordId, context: u32) -> Self {
        LmState((u64::from(context) + 1) << 32 | (u64::from(word) + 1))
    }

    /// The last word, in the state of an n-gram model.
    #[inline]
    pub fn last_word(self) -> Option<WordId> {
        (self.0 as u32).checked_sub(1)
    }

    /// Index of the bigram that ends in the last word.
    #[inline]
    pub(crate) fn context(self) -> Option<u32> {
        ((self.0 >> 32) as u32).checked_sub(1)
    }
}

/// A language model as the search walks it: word by word, in natural logarithms.
pub trait LanguageModel: Send + Sync {
    /// The words it can score.
    fn vocabulary(&self) -> &Vocabulary;

    /// The state at the start of a sentence.
    fn start(&self) -> LmState;

    /// The state after `word`, and ln p(`word` | `state`). `word` must be of [`vocabulary`](Self::vocabulary), and `state`
    /// one that this model gave.
    fn step(&self, state: LmState, word: WordId) -> (LmState, f32);

    /// ln p(sentence ends | `state`).
    fn end(&self, state: LmState) -> f32;

    /// The state after a word that the model does not have.
    fn after_unknown(&self, state: LmState) -> LmState {
        match self.vocabulary().unknown() {
            Some(unknown) => self.step(state, unknown).0,
            None => LmState::EMPTY,
        }
    }
}

/// What looking ahead asks of a model: its words by themselves and in pairs, in natural logarithms.
///
/// p(w | v) is that of the pair if the model has it, else `backoff(v)` plus `unigram(w)`. Words that the model does not have
/// are allowed: their unigram is negative infinity, and after them it is the unigrams that count.
pub trait Bigrams: Send + Sync {
    /// ln p(`word`) without history.
    fn unigram(&self, word: WordId) -> f32;

    /// Natural logarithm of the weight with which unigrams are used after `word`.
    fn backoff(&self, word: WordId) -> f32;

    /// Calls `visit(w, ln p(w | v))` for every pair (v, w) that the model has.
    fn bigrams_after(&self, v: WordId, visit: &mut dyn FnMut(WordId, f32));
}
