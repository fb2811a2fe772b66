//! Back-off n-gram models of order up to 3.

mod arpa;
mod arrays;
mod bits;
mod dmp;
mod index;
mod mapped;
mod store;
mod trie;
mod trie_writer;

use std::fs::File;
use std::io::{self, BufRead, Write};
use std::path::Path;
use std::sync::OnceLock;

use self::arrays::Arrays;
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
    Arrays(Arrays),
}

/// Runs the same code for each representation.
macro_rules! with_store {
    ($model:expr, $store:ident => $body:expr) => {
        match &$model.storage {
            Storage::Trie($store) => $body,
            Storage::Arrays($store) => $body,
        }
    };
}

impl NgramModel {
    /// Opens a language model file of any of the three formats; the contents tell which. A trie (`.lm.bin`) is
    /// memory-mapped and read in place, the others are read into memory.
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
        let bytes = Bytes::map(&file).map_err(Fault::Io)?;
        if bytes.starts_with(trie::MAGIC) {
            Self::from_trie(bytes)
        } else if dmp::is_dmp(&bytes) {
            Self::from_arrays(dmp::parse(&bytes)?)
        } else if bytes.starts_with(b"\x1f\x8b") {
            Err(Fault::Unsupported("is compressed; decompress it first (gunzip)".to_owned()))
        } else if bytes.iter().take(512).any(|&byte| byte == 0) {
            Err(Fault::Unsupported("is none of: Sphinx trie (.lm.bin), Sphinx DMP, ARPA text".to_owned()))
        } else {
            Self::from_arrays(arpa::read(&bytes[..])?)
        }
    }

    /// Reads an ARPA model line by line, from a pipe or a decompressor for instance.
    ///
    /// # Errors
    /// When reading fails, or with the line number where the contents contradict the format.
    pub fn read_arpa(input: impl BufRead) -> Result<NgramModel, LmError> {
        arpa::read(input).and_then(Self::from_arrays).map_err(|fault| fault.in_file(MEMORY))
    }

    /// Writes the model in ARPA format: n-grams sorted by word ids, values with seven significant digits.
    ///
    /// # Errors
    /// When writing fails.
    pub fn write_arpa(&self, out: impl Write) -> io::Result<()> {
        with_store!(self, store => arpa::write(store, &self.vocabulary, self.order, out))
    }

    /// Writes the model as a Sphinx trie (`.lm.bin`), which opens in place. Where more than 65 536 different values of a
    /// kind occur they are quantised to as many.
    ///
    /// # Errors
    /// When writing fails, or the model has more n-grams of a length than the format holds (2^25).
    pub fn write_trie(&self, out: impl Write) -> io::Result<()> {
        with_store!(self, store => trie_writer::write(store, &self.vocabulary, self.order, out))
    }

    fn from_trie(bytes: Bytes) -> Result<NgramModel, Fault> {
        let (trie, vocabulary, order) = Trie::parse(bytes)?;
        Self::new(vocabulary, order, Storage::Trie(trie))
    }

    fn from_arrays((arrays, vocabulary, order): (Arrays, Vocabulary, usize)) -> Result<NgramModel, Fault> {
        Self::new(vocabulary, order, Storage::Arrays(arrays))
    }

    fn new(vocabulary: Vocabulary, order: usize, storage: Storage) -> Result<NgramModel, Fault> {
        let words = vocabulary.len() as u32;
        let histories = match &storage {
            Storage::Trie(store) => Histories::of(store, words),
            Storage::Arrays(store) => Histories::of(store, words),
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

/// The name under which errors report models that were not opened from a file.
const MEMORY: &str = "(memory)";

/// Reads an ARPA model from memory.
///
/// # Errors
/// With the line number where the contents contradict the format.
pub fn parse_arpa(bytes: &[u8]) -> Result<NgramModel, LmError> {
    NgramModel::read_arpa(bytes)
}

/// Reads a Sphinx trie (`.lm.bin`) from memory; [`NgramModel::open`] reads it in place.
///
/// # Errors
/// With the byte offset where the contents contradict the format.
pub fn parse_trie(bytes: &[u8]) -> Result<NgramModel, LmError> {
    NgramModel::from_trie(Bytes::Owned(bytes.to_vec())).map_err(|fault| fault.in_file(MEMORY))
}

/// Reads a Sphinx DMP model from memory.
///
/// # Errors
/// With the byte offset where the contents contradict the format.
pub fn parse_dmp(bytes: &[u8]) -> Result<NgramModel, LmError> {
    dmp::parse(bytes).and_then(NgramModel::from_arrays).map_err(|fault| fault.in_file(MEMORY))
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
