//! Back-off n-gram models of order up to 3.

mod arpa;
mod arrays;
mod backoff;
mod bits;
mod dmp;
mod index;
mod store;
mod trie;
mod trie_writer;

use std::fs::File;
use std::io::{self, BufRead, Write};
use std::path::Path;
use std::sync::Arc;

use self::arrays::Arrays;
use self::backoff::Backoff;
use self::index::Orphan;
use self::store::Store;
pub(crate) use self::store::find;
use self::trie::Trie;
use crate::error::{Fault, LmError};
use crate::mapped::Bytes;
use crate::model::{Bigrams, LanguageModel, LmState};
use crate::vocabulary::{Vocabulary, WordId};

/// A back-off n-gram model (Katz 1987) of order 1, 2 or 3.
///
/// p(w | u, v) is the trigram's probability if the model has it, else the back-off weight of (u, v) times p(w | v), and so
/// on down. All values given out are natural logarithms.
pub struct NgramModel {
    vocabulary: Arc<Vocabulary>,
    order: usize,
    storage: Storage,
    start: LmState,
    sentence_end: Option<WordId>,
}

enum Storage {
    Trie(Backoff<Trie>),
    Arrays(Backoff<Arrays>),
}

/// Runs the same code for each representation.
macro_rules! with {
    ($model:expr, $backoff:ident => $body:expr) => {
        match &$model.storage {
            Storage::Trie($backoff) => $body,
            Storage::Arrays($backoff) => $body,
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
    /// Many small writes: give it a buffered writer.
    ///
    /// # Errors
    /// When writing fails.
    pub fn write_arpa(&self, out: impl Write) -> io::Result<()> {
        with!(self, model => arpa::write(&model.store, &self.vocabulary, self.order, out))
    }

    /// Writes the model as a Sphinx trie (`.lm.bin`), which opens in place. Where more than 65 536 different values of a
    /// kind occur they are quantised to as many. Many small writes: give it a buffered writer.
    ///
    /// # Errors
    /// When writing fails, or the model has more n-grams of a length than the format holds (2^25).
    pub fn write_trie(&self, out: impl Write) -> io::Result<()> {
        with!(self, model => trie_writer::write(&model.store, &self.vocabulary, self.order, out))
    }

    fn from_trie(bytes: Bytes) -> Result<NgramModel, Fault> {
        let (trie, vocabulary, order) = Trie::parse(bytes)?;
        Self::new(vocabulary, order, |words| Backoff::new(trie, words).map(Storage::Trie))
    }

    fn from_arrays((arrays, vocabulary, order): (Arrays, Vocabulary, usize)) -> Result<NgramModel, Fault> {
        Self::new(vocabulary, order, |words| Backoff::new(arrays, words).map(Storage::Arrays))
    }

    fn new(
        vocabulary: Vocabulary,
        order: usize,
        storage: impl FnOnce(u32) -> Result<Storage, Orphan>,
    ) -> Result<NgramModel, Fault> {
        let storage = storage(vocabulary.len() as u32).map_err(|Orphan { first, middle }| {
            let (first, middle) = (vocabulary.word(first), vocabulary.word(middle));
            Fault::Unsupported(format!("has trigrams after \"{first} {middle}\", which is not among its bigrams"))
        })?;
        let start = vocabulary.sentence_start().map_or(LmState::EMPTY, LmState::after);
        let sentence_end = vocabulary.sentence_end();
        Ok(NgramModel { vocabulary: Arc::new(vocabulary), order, storage, start, sentence_end })
    }

    /// The vocabulary, for those that build upon it.
    pub fn shared_vocabulary(&self) -> &Arc<Vocabulary> {
        &self.vocabulary
    }

    /// The longest n-grams' length: 1, 2 or 3.
    pub fn order(&self) -> usize {
        self.order
    }

    /// Number of n-grams of the given length (1 to [`order`](Self::order)); 0 for any other.
    pub fn count(&self, length: usize) -> usize {
        match length {
            1 => self.vocabulary.len(),
            2 => with!(self, model => model.store.bigram_count() as usize),
            3 => with!(self, model => model.store.trigram_count() as usize),
            _ => 0,
        }
    }

    /// Number of two-word histories that are states of their own.
    pub fn history_count(&self) -> usize {
        with!(self, model => model.history_count())
    }

    /// ln p(`word`) without history.
    ///
    /// # Panics
    /// When `word` is not of this model's vocabulary.
    pub fn unigram(&self, word: WordId) -> f32 {
        self.check(word);
        with!(self, model => model.store.unigram(word).probability)
    }

    /// Natural logarithm of the weight with which unigrams are used after `word`.
    ///
    /// # Panics
    /// When `word` is not of this model's vocabulary.
    pub fn backoff(&self, word: WordId) -> f32 {
        self.check(word);
        with!(self, model => model.store.unigram(word).backoff)
    }

    /// Natural logarithm of the weight with which p(w | last word) is used in `state` for words w that no explicit trigram
    /// of the state ends in; 0 for states of one word or none.
    pub fn context_backoff(&self, state: LmState) -> f32 {
        with!(self, model => model.context_backoff(state))
    }

    /// Calls `visit(w, ln p(w | v))` for every explicit bigram (v, w), in ascending order of w.
    ///
    /// The first call builds an index (see [`prepare`](Self::prepare)).
    pub fn bigrams_after(&self, v: WordId, visit: &mut dyn FnMut(WordId, f32)) {
        with!(self, model => model.followers().for_each(&model.store, v, visit));
    }

    /// Builds the index of [`bigrams_after`](Self::bigrams_after) now, rather than at its first call: six bytes a bigram.
    pub fn prepare(&self) {
        with!(self, model => {
            model.followers();
        });
    }

    fn has(&self, word: WordId) -> bool {
        (word as usize) < self.vocabulary.len()
    }

    fn check(&self, word: WordId) {
        assert!(self.has(word), "word {word} is not of this model's vocabulary");
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
        with!(self, model => model.step(state, word))
    }

    /// 0 (certain) when the model has no `</s>`.
    fn end(&self, state: LmState) -> f32 {
        self.sentence_end.map_or(0.0, |end| self.step(state, end).1)
    }
}

impl Bigrams for NgramModel {
    fn unigram(&self, word: WordId) -> f32 {
        if self.has(word) { NgramModel::unigram(self, word) } else { f32::NEG_INFINITY }
    }

    fn backoff(&self, word: WordId) -> f32 {
        if self.has(word) { NgramModel::backoff(self, word) } else { 0.0 }
    }

    fn bigrams_after(&self, v: WordId, visit: &mut dyn FnMut(WordId, f32)) {
        if self.has(v) {
            NgramModel::bigrams_after(self, v, visit);
        }
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
