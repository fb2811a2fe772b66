//! The language model of a customization, read in place.
//!
//! One file, little-endian, values natural logarithms:
//!
//! | what | bytes |
//! |---|---|
//! | the text `Dictum LM` and a NUL | 10 |
//! | version, u16 = 1 | 2 |
//! | words of the base vocabulary, u32, and its [fingerprint](Vocabulary::fingerprint), u64 | 12 |
//! | new words, user words, bigrams, trigrams, and bytes of text, u32 each | 20 |
//! | one unigram more than words: {f32 probability, f32 back-off, u32 first bigram} | 12 each |
//! | one bigram more than counted: {u32 word, f32 probability, f32 back-off, u32 first trigram} | 16 each |
//! | trigrams: {u32 word, f32 probability} | 8 each |
//! | user words: {u32 id, f32 share, at most 0}, ids ascending | 8 each |
//! | the new words, each ended by a NUL | |
//!
//! A *forward* trie, other than the base model's: bigrams (v, w) lie by v and trigrams (u, v, w) by their bigram (u, v), so
//! that all questions about the words after one state read neighbouring bytes, and a look-ahead finds a word's bigrams
//! without an index. That of the last word ends where the one too many begins.

use std::fs::File;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use super::NEVER;
use crate::error::{Fault, LmError};
use crate::mapped::Bytes;
use crate::model::{Bigrams, LanguageModel, LmState};
use crate::ngram::find;
use crate::vocabulary::{Vocabulary, WordId};

/// First bytes of a file in this format.
pub(super) const MAGIC: &[u8; 10] = b"Dictum LM\0";
pub(super) const VERSION: u16 = 1;
const HEADER: usize = 44;
const UNIGRAM: usize = 12;
const BIGRAM: usize = 16;
const TRIGRAM: usize = 8;
const USER_WORD: usize = 8;

/// A back-off trigram model of a customization's texts.
///
/// Words have the ids of the base vocabulary, and new ones follow. Words that no text holds and that are not in the base
/// vocabulary have the probability [`NEVER`]: the user's words get theirs from [`Interpolated`](super::Interpolated).
pub struct Snapshot {
    bytes: Bytes,
    vocabulary: Arc<Vocabulary>,
    base_words: u32,
    words: u32,
    bigrams: u32,
    trigrams: u32,
    bigrams_at: usize,
    trigrams_at: usize,
    user_words: UserWords,
    start: LmState,
    end: Option<WordId>,
}

/// The words that the user added, with ln of the share of each.
#[derive(Debug)]
struct UserWords {
    /// Whether a word is one: asked for every word that is scored.
    bits: Vec<u64>,
    words: Vec<(WordId, f32)>,
    /// Sum of the shares.
    total: f64,
}

impl UserWords {
    #[inline]
    fn contains(&self, word: WordId) -> bool {
        self.bits.get(word as usize / 64).is_some_and(|bits| bits >> (word % 64) & 1 != 0)
    }

    fn share(&self, word: WordId) -> Option<f32> {
        let at = self.words.binary_search_by_key(&word, |entry| entry.0).ok()?;
        Some(self.words[at].1)
    }
}

impl Snapshot {
    /// Opens a snapshot that was trained over the vocabulary `base`. The file is memory-mapped.
    ///
    /// # Errors
    /// When the file cannot be read, contradicts the format, or was trained over another vocabulary.
    pub fn open(path: impl AsRef<Path>, base: &Arc<Vocabulary>) -> Result<Snapshot, LmError> {
        let path = path.as_ref();
        let bytes = File::open(path).and_then(|file| Bytes::map(&file)).map_err(Fault::Io);
        bytes.and_then(|bytes| Self::read(bytes, base)).map_err(|fault| fault.in_file(&path.display().to_string()))
    }

    /// Reads a snapshot from memory.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn parse(bytes: Vec<u8>, base: &Arc<Vocabulary>) -> Result<Snapshot, LmError> {
        Self::read(Bytes::Owned(bytes), base).map_err(|fault| fault.in_file("(memory)"))
    }

    fn read(bytes: Bytes, base: &Arc<Vocabulary>) -> Result<Snapshot, Fault> {
        let header = Header::read(&bytes, base)?;
        let words = header.base_words + header.new_words;
        let bigrams_at = HEADER + (words as usize + 1) * UNIGRAM;
        let trigrams_at = bigrams_at + (header.bigrams as usize + 1) * BIGRAM;
        let users_at = trigrams_at + header.trigrams as usize * TRIGRAM;
        let text_at = users_at + header.user_words as usize * USER_WORD;
        let mut snapshot = Snapshot {
            user_words: read_user_words(&bytes, users_at..text_at, words)?,
            vocabulary: Arc::new(read_words(&bytes, text_at, header.new_words, base)?),
            bytes,
            base_words: header.base_words,
            words,
            bigrams: header.bigrams,
            trigrams: header.trigrams,
            bigrams_at,
            trigrams_at,
            start: LmState::EMPTY,
            end: base.sentence_end(),
        };
        snapshot.start = base.sentence_start().map_or(LmState::EMPTY, LmState::after);
        snapshot.check()?;
        Ok(snapshot)
    }

    /// Ranges follow each other, words are of the vocabulary and ascend, values are logarithms of probabilities.
    fn check(&self) -> Result<(), Fault> {
        let unigram_at = |word: u32| HEADER + word as usize * UNIGRAM;
        let bigram_at = |bigram: u32| self.bigrams_at + bigram as usize * BIGRAM;
        let first = |word| number(&self.bytes, unigram_at(word) + 8);
        let key = |bigram| number(&self.bytes, bigram_at(bigram));
        check_ranges(self.words, self.bigrams, self.words, first, key).map_err(|(parent, what)| {
            Fault::byte(unigram_at(parent) as u64 + 8, format!("the bigrams of word {parent} {what}"))
        })?;
        let first = |bigram| number(&self.bytes, bigram_at(bigram) + 12);
        let key = |trigram: u32| number(&self.bytes, self.trigrams_at + trigram as usize * TRIGRAM);
        check_ranges(self.bigrams, self.trigrams, self.words, first, key).map_err(|(parent, what)| {
            Fault::byte(bigram_at(parent) as u64 + 12, format!("the trigrams of bigram {parent} {what}"))
        })?;
        let unigrams = (0..self.words).map(|word| (unigram_at(word), true));
        let bigrams = (0..self.bigrams).map(|bigram| (bigram_at(bigram) + 4, true));
        let trigrams = (0..self.trigrams).map(|trigram| (self.trigrams_at + trigram as usize * TRIGRAM + 4, false));
        for (at, has_backoff) in unigrams.chain(bigrams).chain(trigrams) {
            let probability = value(&self.bytes, at);
            // Rounding can leave either a hair above what it should be.
            let valid = (-1e6..=1e-4).contains(&probability);
            if !valid || has_backoff && !(-1e6..=100.0).contains(&value(&self.bytes, at + 4)) {
                return Err(Fault::byte(at as u64, "a probability or back-off out of range"));
            }
        }
        Ok(())
    }

    /// The vocabulary: that of the base model, and the new words.
    pub fn shared_vocabulary(&self) -> &Arc<Vocabulary> {
        &self.vocabulary
    }

    /// Words of the base vocabulary: new words have the ids from here on.
    pub fn base_words(&self) -> u32 {
        self.base_words
    }

    /// Number of n-grams of a length: words that may occur, bigrams, trigrams; 0 for any other length.
    pub fn count(&self, length: usize) -> usize {
        [0, self.words, self.bigrams, self.trigrams].get(length).map_or(0, |&count| count as usize)
    }

    /// Whether it was estimated from any text at all.
    pub fn has_text(&self) -> bool {
        self.bigrams > 0
    }

    /// How many words the user added or changed.
    pub fn user_word_count(&self) -> usize {
        self.user_words.words.len()
    }

    /// Whether the user added or changed a word; it may be of the base vocabulary too.
    #[inline]
    pub fn is_user_word(&self, word: WordId) -> bool {
        self.user_words.contains(word)
    }

    /// ln of a user word's share: how much of the probability of user words it gets beside those whose share is 1.
    #[inline]
    pub fn user_share(&self, word: WordId) -> Option<f32> {
        if self.user_words.contains(word) { self.user_words.share(word) } else { None }
    }

    /// Sum of the shares of all user words.
    pub fn user_shares(&self) -> f64 {
        self.user_words.total
    }

    /// Size of the file.
    pub fn size_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// ln p(`word`) without history; [`NEVER`] for a word that is not of the vocabulary.
    #[inline(always)]
    pub fn unigram(&self, word: WordId) -> f32 {
        if word < self.words { value(&self.bytes, HEADER + word as usize * UNIGRAM) } else { NEVER }
    }

    /// ln of the weight with which unigrams are used after `word`.
    #[inline(always)]
    pub fn backoff(&self, word: WordId) -> f32 {
        if word < self.words { value(&self.bytes, HEADER + word as usize * UNIGRAM + 4) } else { 0.0 }
    }

    /// Calls `visit(w, ln p(w | v))` for every explicit bigram (v, w), in ascending order of w.
    pub fn bigrams_after(&self, v: WordId, visit: &mut dyn FnMut(WordId, f32)) {
        for bigram in self.bigrams_of(v) {
            visit(self.bigram_word(bigram), self.bigram_probability(bigram));
        }
    }

    #[inline(always)]
    fn bigrams_of(&self, word: WordId) -> Range<u32> {
        if word >= self.words {
            return 0..0;
        }
        let at = HEADER + word as usize * UNIGRAM + 8;
        let end = number(&self.bytes, at + UNIGRAM).min(self.bigrams);
        number(&self.bytes, at).min(end)..end
    }

    #[inline(always)]
    fn bigram_word(&self, bigram: u32) -> WordId {
        number(&self.bytes, self.bigrams_at + bigram as usize * BIGRAM)
    }

    #[inline(always)]
    fn bigram_probability(&self, bigram: u32) -> f32 {
        value(&self.bytes, self.bigrams_at + bigram as usize * BIGRAM + 4)
    }

    #[inline(always)]
    fn bigram_backoff(&self, bigram: u32) -> f32 {
        value(&self.bytes, self.bigrams_at + bigram as usize * BIGRAM + 8)
    }

    #[inline(always)]
    fn trigrams_of(&self, bigram: u32) -> Range<u32> {
        let at = self.bigrams_at + bigram as usize * BIGRAM + 12;
        let end = number(&self.bytes, at + BIGRAM).min(self.trigrams);
        number(&self.bytes, at).min(end)..end
    }

    #[inline(always)]
    fn trigram_word(&self, trigram: u32) -> WordId {
        number(&self.bytes, self.trigrams_at + trigram as usize * TRIGRAM)
    }

    #[inline(always)]
    fn trigram_probability(&self, trigram: u32) -> f32 {
        value(&self.bytes, self.trigrams_at + trigram as usize * TRIGRAM + 4)
    }

    /// The state after `word`, and ln p(`word` | `state`).
    #[inline(always)]
    pub(super) fn walk(&self, state: LmState, word: WordId) -> (LmState, f32) {
        let unigram = self.unigram(word);
        let Some(last) = state.last_word() else { return (LmState::after(word), unigram) };
        let context = state.context().filter(|&bigram| bigram < self.bigrams);
        let context_backoff = context.map_or(0.0, |bigram| self.bigram_backoff(bigram));
        let bigrams = self.bigrams_of(last);
        let Some(bigram) = find(bigrams.start, bigrams.end, word, |bigram| self.bigram_word(bigram)) else {
            return (LmState::after(word), unigram + self.backoff(last) + context_backoff);
        };
        // Any other history of two words has the same continuations as its last word.
        let distinct = !self.trigrams_of(bigram).is_empty() || self.bigram_backoff(bigram) != 0.0;
        let next = if distinct { LmState::with_context(word, bigram) } else { LmState::after(word) };
        let Some(context) = context else { return (next, self.bigram_probability(bigram)) };
        let trigrams = self.trigrams_of(context);
        match find(trigrams.start, trigrams.end, word, |trigram| self.trigram_word(trigram)) {
            Some(trigram) => (next, self.trigram_probability(trigram)),
            None => (next, self.bigram_probability(bigram) + context_backoff),
        }
    }
}

impl LanguageModel for Snapshot {
    fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    fn start(&self) -> LmState {
        self.start
    }

    fn step(&self, state: LmState, word: WordId) -> (LmState, f32) {
        self.walk(state, word)
    }

    /// 0 (certain) when the base vocabulary has no `</s>`.
    fn end(&self, state: LmState) -> f32 {
        self.end.map_or(0.0, |end| self.walk(state, end).1)
    }
}

impl Bigrams for Snapshot {
    fn unigram(&self, word: WordId) -> f32 {
        Snapshot::unigram(self, word)
    }

    fn backoff(&self, word: WordId) -> f32 {
        Snapshot::backoff(self, word)
    }

    fn bigrams_after(&self, v: WordId, visit: &mut dyn FnMut(WordId, f32)) {
        Snapshot::bigrams_after(self, v, visit);
    }
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot")
            .field("new_words", &(self.words - self.base_words))
            .field("user_words", &self.user_words.words.len())
            .field("bigrams", &self.bigrams)
            .field("trigrams", &self.trigrams)
            .finish_non_exhaustive()
    }
}

/// The little-endian number at `at`; 0 past the end, which a file that changes underneath could ask for.
#[inline(always)]
fn number(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(<[u8]>::first_chunk::<4>).map_or(0, |chunk| u32::from_le_bytes(*chunk))
}

#[inline(always)]
fn value(bytes: &[u8], at: usize) -> f32 {
    f32::from_bits(number(bytes, at))
}

struct Header {
    base_words: u32,
    new_words: u32,
    user_words: u32,
    bigrams: u32,
    trigrams: u32,
}

impl Header {
    fn read(bytes: &[u8], base: &Vocabulary) -> Result<Header, Fault> {
        if !bytes.starts_with(MAGIC) {
            return Err(Fault::Unsupported("is not a snapshot of a custom language model".to_owned()));
        }
        if bytes.len() < HEADER {
            return Err(Fault::byte(bytes.len() as u64, "the file ends within its header"));
        }
        let version = u16::from_le_bytes([bytes[10], bytes[11]]);
        if version != VERSION {
            let what = format!("is of version {version}; this program reads version {VERSION}: train the model again");
            return Err(Fault::Unsupported(what));
        }
        let field = |at| number(bytes, at);
        let fingerprint = u64::from(field(16)) | u64::from(field(20)) << 32;
        let header = Header {
            base_words: field(12),
            new_words: field(24),
            user_words: field(28),
            bigrams: field(32),
            trigrams: field(36),
        };
        if header.base_words as usize != base.len() || fingerprint != base.fingerprint() {
            let what = "was trained over another version of the base model; upgrade or train it again";
            return Err(Fault::Unsupported(what.to_owned()));
        }
        let words = u64::from(header.base_words) + u64::from(header.new_words);
        let size = HEADER as u64
            + (words + 1) * UNIGRAM as u64
            + (u64::from(header.bigrams) + 1) * BIGRAM as u64
            + u64::from(header.trigrams) * TRIGRAM as u64
            + u64::from(header.user_words) * USER_WORD as u64
            + u64::from(field(40));
        // Indices of n-grams and numbers of words plus one must be words of a state.
        let most = u64::from(u32::MAX) - 1;
        if words > most || u64::from(header.bigrams) > most || bytes.len() as u64 != size {
            let length = bytes.len();
            return Err(Fault::byte(24, format!("the counts ask for {size} bytes and the file has {length}")));
        }
        Ok(header)
    }
}

fn read_user_words(bytes: &[u8], range: Range<usize>, words: u32) -> Result<UserWords, Fault> {
    let mut user_words = UserWords { bits: Vec::new(), words: Vec::with_capacity(range.len() / USER_WORD), total: 0.0 };
    let mut least = 0;
    for at in range.step_by(USER_WORD) {
        let (word, share) = (number(bytes, at), value(bytes, at + 4));
        if word < least || word >= words || !(-100.0..=0.0).contains(&share) {
            return Err(Fault::byte(at as u64, format!("user word {word} of {words}, out of order or range")));
        }
        least = word + 1;
        let slot = word as usize / 64;
        if slot >= user_words.bits.len() {
            user_words.bits.resize(slot + 1, 0);
        }
        user_words.bits[slot] |= 1 << (word % 64);
        user_words.words.push((word, share));
        user_words.total += f64::from(share).exp();
    }
    Ok(user_words)
}

fn read_words(bytes: &[u8], at: usize, count: u32, base: &Arc<Vocabulary>) -> Result<Vocabulary, Fault> {
    let mut vocabulary = Vocabulary::extending(Arc::clone(base));
    let mut offset = at;
    for word in bytes[at..].split_inclusive(|&byte| byte == 0) {
        let text = word.strip_suffix(b"\0").and_then(|word| std::str::from_utf8(word).ok()).filter(|t| !t.is_empty());
        let text = text.ok_or_else(|| Fault::byte(offset as u64, "a word is empty, unended or not UTF-8"))?;
        if !vocabulary.add(text).1 {
            return Err(Fault::byte(offset as u64, format!("the word {text:?} is listed twice")));
        }
        offset += word.len();
    }
    let found = vocabulary.len() - base.len();
    if found != count as usize {
        return Err(Fault::byte(at as u64, format!("{found} words where {count} were counted")));
    }
    Ok(vocabulary)
}

/// Checks ranges `first(i)..first(i + 1)` of parents `i` over children with ascending keys below `words`. The parent where
/// that fails, and how.
fn check_ranges(
    parents: u32,
    children: u32,
    words: u32,
    first: impl Fn(u32) -> u32,
    key: impl Fn(u32) -> u32,
) -> Result<(), (u32, String)> {
    let mut begin = first(0);
    if begin != 0 {
        return Err((0, format!("begin at {begin}")));
    }
    for parent in 0..parents {
        let end = first(parent + 1);
        if end < begin || end > children {
            return Err((parent, format!("are {begin}..{end} of {children}")));
        }
        let mut least = 0;
        for child in begin..end {
            let word = key(child);
            if word < least || word >= words {
                return Err((parent, format!("hold word {word} of {words}, out of order or range")));
            }
            least = word + 1;
        }
        begin = end;
    }
    if begin != children { Err((parents, format!("end at {begin} of {children}"))) } else { Ok(()) }
}

#[cfg(test)]
#[path = "snapshot_tests.rs"]
mod tests;
