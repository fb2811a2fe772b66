//! Back-off n-gram models of order up to 3.

mod bits;
mod index;
mod mapped;
mod store;
mod trie;

use std::fs::File;
use std::path::Path;
use std::sync::OnceLock;

use self::index::{Followers, Histories};
use self::mapped::Bytes;
use self::store::Store;
use self::trie::Trie;
use crate::error::{Fault, LmError};
use crate::model::{LanguageModel, LmState};
use crate::vocabulary::{Vocabulary, WordId};

/// A back-off n-gram model (Katz 1987) of order 1, 2 or 3.
///
/// p(w | u, v) is the trigram's probability if the model has it, else the back-off weight of (u, v) times p(w | v), and so
/// on down. All values given out are natural logarithms.
pub struct NgramModel {
    vocabulary: Vocabulary,
    order: usize,
    storage: Storage,
    histories: Histories,
    followers: OnceLock<Followers>,
    start: LmState,
    sentence_end: Option<WordId>,
}

enum Storage {
    Trie(Trie),
}

/// Runs the same code for each representation.
macro_rules! with_store {
    ($model:expr, $store:ident => $body:expr) => {
        match &$model.storage {
            Storage::Trie($store) => $body,
        }
    };
}

impl NgramModel {
    /// Opens a language model file. A trie (`.lm.bin`) is memory-mapped and read in place.
    ///
    /// # Errors
    /// When the file cannot be read, is none of the formats, or its contents contradict the format; the error names the
    /// file and the place in it.
    pub fn open(path: impl AsRef<Path>) -> Result<NgramModel, LmError> {
        let path = path.as_ref();
        let name = path.display().to_string();
        Self::open_file(path).map_err(|fault| fault.in_file(&name))
    }

    fn open_file(path: &Path) -> Result<NgramModel, Fault> {
        let file = File::open(path).map_err(Fault::Io)?;
        Self::from_trie(Bytes::map(&file).map_err(Fault::Io)?)
    }

    fn from_trie(bytes: Bytes) -> Result<NgramModel, Fault> {
        let (trie, vocabulary, order) = Trie::parse(bytes)?;
        Self::new(vocabulary, order, Storage::Trie(trie))
    }

    fn new(vocabulary: Vocabulary, order: usize, storage: Storage) -> Result<NgramModel, Fault> {
        let words = vocabulary.len() as u32;
        let histories = match &storage {
            Storage::Trie(store) => Histories::of(store, words),
        };
        let histories = histories.map_err(|orphan| {
            Fault::Unsupported(format!(
                "trigram {} continues \"{} {}\", which is not a bigram of the model",
                orphan.trigram,
                vocabulary.word(orphan.first),
                vocabulary.word(orphan.middle)
            ))
        })?;
        let start = vocabulary.sentence_start().map_or(LmState::EMPTY, LmState::after);
        let sentence_end = vocabulary.sentence_end();
        Ok(NgramModel { vocabulary, order, storage, histories, followers: OnceLock::new(), start, sentence_end })
    }

    /// The longest n-grams' length: 1, 2 or 3.
    pub fn order(&self) -> usize {
        self.order
    }

    /// Number of n-grams of the given length (1 to [`order`](Self::order)); 0 for any other.
    pub fn count(&self, length: usize) -> usize {
        match length {
            1 => self.vocabulary.len(),
            2 => with_store!(self, store => store.bigram_count() as usize),
            3 => with_store!(self, store => store.trigram_count() as usize),
            _ => 0,
        }
    }

    /// Number of two-word histories that are states of their own.
    pub fn history_count(&self) -> usize {
        self.histories.len()
    }

    /// ln p(`word`) without history.
    ///
    /// # Panics
    /// When `word` is not of this model's vocabulary.
    pub fn unigram(&self, word: WordId) -> f32 {
        self.check(word);
        with_store!(self, store => store.unigram(word).probability)
    }

    /// Natural logarithm of the weight with which unigrams are used after `word`.
    ///
    /// # Panics
    /// When `word` is not of this model's vocabulary.
    pub fn backoff(&self, word: WordId) -> f32 {
        self.check(word);
        with_store!(self, store => store.unigram(word).backoff)
    }

    /// Natural logarithm of the weight with which p(w | last word) is used in `state` for words w that no explicit trigram
    /// of the state ends in; 0 for states of one word or none.
    pub fn context_backoff(&self, state: LmState) -> f32 {
        with_store!(self, store => context(store, state).map_or(0.0, |bigram| store.bigram_backoff(bigram)))
    }

    /// Calls `visit(w, ln p(w | v))` for every explicit bigram (v, w), in ascending order of w.
    ///
    /// The first call builds an index (see [`prepare`](Self::prepare)).
    pub fn bigrams_after(&self, v: WordId, visit: &mut dyn FnMut(WordId, f32)) {
        let followers = self.followers();
        with_store!(self, store => followers.for_each(store, v, visit));
    }

    /// Builds the index of [`bigrams_after`](Self::bigrams_after) now, rather than at its first call: six bytes a bigram.
    pub fn prepare(&self) {
        self.followers();
    }

    fn followers(&self) -> &Followers {
        self.followers.get_or_init(|| with_store!(self, store => Followers::of(store, self.vocabulary.len() as u32)))
    }

    fn check(&self, word: WordId) {
        assert!((word as usize) < self.vocabulary.len(), "word {word} is not of this model's vocabulary");
    }

    #[inline(always)]
    fn step_in(&self, store: &impl Store, state: LmState, word: WordId) -> (LmState, f32) {
        let unigram = store.unigram(word);
        let Some(last) = state.last_word() else { return (LmState::after(word), unigram.probability) };
        let context = context(store, state);
        let Some(bigram) = store.find_bigram(unigram, last) else {
            let backoff = self.unigram_backoff(store, last);
            let context_backoff = context.map_or(0.0, |context| store.bigram_backoff(context));
            return (LmState::after(word), unigram.probability + backoff + context_backoff);
        };
        let next =
            if self.histories.contains(bigram) { LmState::with_context(word, bigram) } else { LmState::after(word) };
        let Some(context) = context else { return (next, store.bigram_probability(bigram)) };
        let probability = match store.find_trigram(bigram, store.bigram_word(context)) {
            Some(trigram) => store.trigram_probability(trigram),
            None => store.bigram_probability(bigram) + store.bigram_backoff(context),
        };
        (next, probability)
    }

    #[inline(always)]
    fn unigram_backoff(&self, store: &impl Store, word: WordId) -> f32 {
        if (word as usize) < self.vocabulary.len() { store.unigram(word).backoff } else { 0.0 }
    }
}

/// The bigram that a state remembers; `None` also for a state of another model whose index means nothing here.
#[inline(always)]
fn context(store: &impl Store, state: LmState) -> Option<u32> {
    state.context().filter(|&bigram| bigram < store.bigram_count())
}

impl LanguageModel for NgramModel {
    fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    fn start(&self) -> LmState {
        self.start
    }

    /// # Panics
    /// When `word` is not of this model's vocabulary.
    fn step(&self, state: LmState, word: WordId) -> (LmState, f32) {
        self.check(word);
        with_store!(self, store => self.step_in(store, state, word))
    }

    /// 0 (certain) when the model has no `</s>`.
    fn end(&self, state: LmState) -> f32 {
        self.sentence_end.map_or(0.0, |end| self.step(state, end).1)
    }
}

impl std::fmt::Debug for NgramModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NgramModel")
            .field("order", &self.order)
            .field("words", &self.count(1))
            .field("bigrams", &self.count(2))
            .field("trigrams", &self.count(3))
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
