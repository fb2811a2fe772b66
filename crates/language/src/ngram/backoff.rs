//! The model itself: probabilities of words after states, over either representation.

use std::sync::OnceLock;

use super::index::{Followers, Histories, Orphan};
use super::store::Store;
use crate::model::LmState;
use crate::vocabulary::WordId;

/// A reverse trie and what is derived from it.
pub(super) struct Backoff<S: Store> {
    pub(super) store: S,
    words: u32,
    histories: Histories,
    followers: OnceLock<Followers<S::Code>>,
}

impl<S: Store> Backoff<S> {
    pub(super) fn new(store: S, words: u32) -> Result<Self, Orphan> {
        let histories = Histories::of(&store, words)?;
        Ok(Backoff { store, words, histories, followers: OnceLock::new() })
    }

    /// Number of two-word histories that are states of their own.
    pub(super) fn history_count(&self) -> usize {
        self.histories.len()
    }

    /// Bigrams by their first word.
    pub(super) fn followers(&self) -> &Followers<S::Code> {
        self.followers.get_or_init(|| Followers::of(&self.store, self.words))
    }

    /// Back-off of the state's two words, in natural logarithm.
    pub(super) fn context_backoff(&self, state: LmState) -> f32 {
        self.context(state).map_or(0.0, |bigram| self.store.bigram_backoff(bigram))
    }

    /// The state after `word`, which must be of the vocabulary, and its probability in `state`.
    #[inline(always)]
    pub(super) fn step(&self, state: LmState, word: WordId) -> (LmState, f32) {
        let store = &self.store;
        let unigram = store.unigram(word);
        let Some(last) = state.last_word().filter(|&last| last < self.words) else {
            return (LmState::after(word), unigram.probability);
        };
        let Some(bigram) = store.find_bigram(unigram, last) else {
            let backoff = store.unigram(last).backoff + self.context_backoff(state);
            return (LmState::after(word), unigram.probability + backoff);
        };
        let next = match self.histories.contains(bigram) {
            true => LmState::with_context(word, bigram),
            false => LmState::after(word),
        };
        let Some(context) = self.context(state) else { return (next, store.bigram_probability(bigram)) };
        let probability = match store.find_trigram(bigram, store.bigram_word(context)) {
            Some(trigram) => store.trigram_probability(trigram),
            None => store.bigram_probability(bigram) + store.bigram_backoff(context),
        };
        (next, probability)
    }

    /// The bigram that a state remembers; `None` also for a state of another model whose index means nothing here.
    #[inline(always)]
    fn context(&self, state: LmState) -> Option<u32> {
        state.context().filter(|&bigram| bigram < self.store.bigram_count())
    }
}
