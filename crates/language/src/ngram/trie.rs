//! The `.lm.bin` format of CMU Sphinx: a quantised, bit-packed reverse trie, read in place.
//!
//! Layout (little-endian): the text `Trie Language Model`, order (u8), that many counts (u32); a constant (i32) and the
//! quantiser's tables of 65 536 f32 (probabilities and back-offs of each middle order, probabilities of the highest), both
//! absent for order 1; one unigram more than counted {f32 probability, f32 back-off, u32 first bigram}; the bit-packed
//! n-grams of each higher order, 8 bytes of padding after each; the length of the words (u32) and the words, each ended by
//! a NUL. Values are logarithms to the base 1.0001.

use super::bits;
use super::store::{Store, Unigram};
use crate::error::Fault;
use crate::mapped::Bytes;
use crate::vocabulary::{Vocabulary, WordId};

/// First bytes of a file in this format.
pub(super) const MAGIC: &[u8] = b"Trie Language Model";

/// ln 1.0001: converts the file's logarithms to natural ones.
pub(super) const LN_BASE: f32 = 9.999_5e-5;

/// Entries of a quantiser table.
pub(super) const CODES: u64 = 1 << 16;

/// The format packs word ids and indices into 25 bits at most.
const COUNT_LIMIT: u32 = 1 << 25;

/// Bytes of a unigram.
const UNIGRAM: u64 = 12;

/// One bit-packed array of n-grams.
#[derive(Debug, Clone, Copy, Default)]
struct Packed {
    /// Byte offset in the file.
    offset: u64,
    count: u32,
    /// Bits of an entry.
    width: u64,
    word_bits: u64,
    word_mask: u32,
    /// Whether an entry holds a back-off before its probability.
    has_backoff: bool,
    /// Mask of the index of the first extension; 0 when entries have none.
    next_mask: u32,
    /// Byte offsets of the quantiser tables.
    probabilities: u64,
    backoffs: u64,
}

impl Packed {
    #[inline(always)]
    fn bit(&self, index: u32) -> u64 {
        self.offset * 8 + u64::from(index) * self.width
    }

    #[inline(always)]
    fn word(&self, bytes: &[u8], index: u32) -> WordId {
        bits::read(bytes, self.bit(index), self.word_mask)
    }

    #[inline(always)]
    fn code(&self, bytes: &[u8], index: u32) -> u16 {
        let skip = if self.has_backoff { 16 } else { 0 };
        bits::read(bytes, self.bit(index) + self.word_bits + skip, 0xffff) as u16
    }

    #[inline(always)]
    fn backoff_code(&self, bytes: &[u8], index: u32) -> u16 {
        bits::read(bytes, self.bit(index) + self.word_bits, 0xffff) as u16
    }

    #[inline(always)]
    fn next(&self, bytes: &[u8], index: u32) -> u32 {
        bits::read(bytes, self.bit(index) + self.word_bits + 32, self.next_mask)
    }
}

/// A trie and the bytes it lies in.
#[derive(Debug)]
pub(super) struct Trie {
    bytes: Bytes,
    unigrams: u64,
    words: u32,
    /// The bigrams; without back-off and extensions in a model of order 2.
    bigrams: Packed,
    trigrams: Packed,
}

/// Natural logarithm that the four bytes at `offset` stand for.
#[inline(always)]
fn value(bytes: &[u8], offset: u64) -> f32 {
    match bytes.get(offset as usize..).and_then(<[u8]>::first_chunk::<4>) {
        Some(chunk) => f32::from_le_bytes(*chunk) * LN_BASE,
        None => 0.0,
    }
}

fn number(bytes: &[u8], offset: u64) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(offset as usize..)?.first_chunk::<4>()?))
}

impl Trie {
    /// Reads the header and the words and checks everything that lookups rely on.
    pub(super) fn parse(bytes: Bytes) -> Result<(Trie, Vocabulary, usize), Fault> {
        let data: &[u8] = &bytes;
        if !data.starts_with(MAGIC) {
            return Err(Fault::byte(0, "does not begin with \"Trie Language Model\""));
        }
        let mut at = MAGIC.len() as u64;
        let order = usize::from(*data.get(at as usize).ok_or_else(|| ends_early(data, at, 1, "the order"))?);
        if !(1..=3).contains(&order) {
            return Err(Fault::Unsupported(format!("is of order {order}; orders 1 to 3 are supported")));
        }
        at += 1;
        let mut counts = [0u32; 3];
        for (index, count) in counts.iter_mut().enumerate().take(order) {
            *count = number(data, at).ok_or_else(|| ends_early(data, at, 4, "the n-gram counts"))?;
            if *count >= COUNT_LIMIT {
                return Err(Fault::byte(
                    at,
                    format!("{count} {}-grams; the format allows {}", index + 1, COUNT_LIMIT - 1),
                ));
            }
            at += 4;
        }
        let tables = at + 4;
        if order > 1 {
            at = tables + CODES * 4 * (2 * order as u64 - 3);
        }
        let [words, ..] = counts;
        let unigrams = at;
        at += (u64::from(words) + 1) * UNIGRAM;
        let mut bigrams = Packed::default();
        let mut trigrams = Packed::default();
        if order == 3 {
            bigrams = middle(at, tables, counts);
            at += size(&bigrams);
        }
        if order > 1 {
            let longest = longest(at, tables + CODES * 8 * (order as u64 - 2), counts[0], counts[order - 1]);
            at += size(&longest);
            *(if order == 3 { &mut trigrams } else { &mut bigrams }) = longest;
        }
        let text_size =
            number(data, at).ok_or_else(|| ends_early(data, at, 4, "the n-grams that its header counts"))?;
        at += 4;
        let text = data
            .get(at as usize..(at + u64::from(text_size)) as usize)
            .ok_or_else(|| ends_early(data, at, u64::from(text_size), "the words"))?;
        let vocabulary = read_words(text, at, words)?;
        let mut trie = Trie { bytes, unigrams, words, bigrams, trigrams };
        trie.validate_values(tables, if order > 1 { 2 * order as u64 - 3 } else { 0 })?;
        trie.validate_ranges()?;
        Ok((trie, vocabulary, order))
    }

    /// Quantiser tables and unigrams hold finite numbers.
    fn validate_values(&self, tables: u64, table_count: u64) -> Result<(), Fault> {
        let tables = (0..table_count * CODES).map(|i| tables + i * 4);
        let unigrams = (0..u64::from(self.words)).flat_map(|w| {
            let at = self.unigrams + w * UNIGRAM;
            [at, at + 4]
        });
        for offset in tables.chain(unigrams) {
            if !value(&self.bytes, offset).is_finite() {
                return Err(Fault::byte(offset, "a probability or back-off that is not a finite number"));
            }
        }
        Ok(())
    }

    /// Ranges follow each other within the arrays, and words are of the vocabulary.
    ///
    /// That words ascend within a range is not required: two trigrams of the US English model stand in the wrong order.
    /// Binary search may miss such an n-gram, and then the model backs off.
    ///
    /// The writer's header may count more n-grams than the ranges cover, with zeros in the surplus (six bigrams in the US
    /// English model); from here on only those that are covered count.
    fn validate_ranges(&mut self) -> Result<(), Fault> {
        let starts = |w: u32| number(&self.bytes, self.unigrams + u64::from(w) * UNIGRAM + 8).unwrap_or(0);
        let place = |w| self.unigrams + u64::from(w) * UNIGRAM + 8;
        self.bigrams.count = self.validate_array(&self.bigrams, self.words, starts, place)?;
        let starts = |i: u32| self.bigrams.next(&self.bytes, i);
        let place = |i| self.bigrams.bit(i) / 8;
        self.trigrams.count = self.validate_array(&self.trigrams, self.bigrams.count, starts, place)?;
        Ok(())
    }

    /// Checks the ranges `start(i)..start(i + 1)` of parents `i`; how many n-grams they cover.
    fn validate_array(
        &self,
        array: &Packed,
        parents: u32,
        start: impl Fn(u32) -> u32,
        place: impl Fn(u32) -> u64,
    ) -> Result<u32, Fault> {
        if array.width == 0 {
            return Ok(0);
        }
        let mut begin = start(0);
        if begin != 0 {
            return Err(Fault::byte(place(0), format!("the first range begins at {begin} instead of 0")));
        }
        for parent in 0..parents {
            let end = start(parent + 1);
            if end < begin || end > array.count {
                let what = format!("a range of n-grams {begin}..{end} of {}", array.count);
                return Err(Fault::byte(place(parent + 1), what));
            }
            for index in begin..end {
                let word = array.word(&self.bytes, index);
                if word >= self.words {
                    let what = format!("word {word} of a vocabulary of {}", self.words);
                    return Err(Fault::byte(array.bit(index) / 8, what));
                }
            }
            begin = end;
        }
        Ok(begin)
    }
}

fn ends_early(data: &[u8], at: u64, wanted: u64, what: &str) -> Fault {
    let length = data.len();
    Fault::byte(
        at,
        format!("the file ends at byte {length}, within {what} ({wanted} bytes from here); it is truncated or corrupt"),
    )
}

fn middle(offset: u64, tables: u64, counts: [u32; 3]) -> Packed {
    let word_bits = bits::bits_for(counts[0]);
    let next_bits = bits::bits_for(counts[2]);
    Packed {
        offset,
        count: counts[1],
        width: u64::from(word_bits + 32 + next_bits),
        word_bits: u64::from(word_bits),
        word_mask: bits::mask(word_bits),
        has_backoff: true,
        next_mask: bits::mask(next_bits),
        probabilities: tables,
        backoffs: tables + CODES * 4,
    }
}

fn longest(offset: u64, table: u64, words: u32, count: u32) -> Packed {
    let word_bits = bits::bits_for(words);
    Packed {
        offset,
        count,
        width: u64::from(word_bits + 16),
        word_bits: u64::from(word_bits),
        word_mask: bits::mask(word_bits),
        probabilities: table,
        ..Packed::default()
    }
}

/// Bytes of an array: one entry more than counted, for the end of the last range, and 8 of padding.
fn size(array: &Packed) -> u64 {
    ((1 + u64::from(array.count)) * array.width).div_ceil(8) + 8
}

/// Splits the NUL-ended words at file offset `at`.
pub(super) fn read_words(text: &[u8], at: u64, count: u32) -> Result<Vocabulary, Fault> {
    // Each word takes a byte at least, so a hostile count cannot ask for more than the file is long.
    let mut vocabulary = Vocabulary::with_capacity((count as usize).min(text.len()), text.len());
    let mut offset = at;
    let body = text.strip_suffix(b"\0").ok_or_else(|| Fault::byte(at, "the list of words does not end in a NUL"))?;
    for word in body.split(|&byte| byte == 0) {
        let text = std::str::from_utf8(word)
            .map_err(|_| Fault::byte(offset, "a word is not UTF-8; convert the model from its older encoding"))?;
        if !vocabulary.add(text).1 {
            return Err(Fault::byte(offset, format!("the word {text:?} is listed twice")));
        }
        offset += word.len() as u64 + 1;
    }
    if vocabulary.len() != count as usize {
        return Err(Fault::byte(at, format!("{} words where {count} were counted", vocabulary.len())));
    }
    Ok(vocabulary)
}

impl Store for Trie {
    type Code = u16;

    #[inline(always)]
    fn bigram_count(&self) -> u32 {
        self.bigrams.count
    }

    #[inline(always)]
    fn trigram_count(&self) -> u32 {
        self.trigrams.count
    }

    #[inline(always)]
    fn unigram(&self, word: WordId) -> Unigram {
        let at = self.unigrams + u64::from(word) * UNIGRAM;
        let limit = self.bigrams.count;
        Unigram {
            probability: value(&self.bytes, at),
            backoff: value(&self.bytes, at + 4),
            first: number(&self.bytes, at + 8).unwrap_or(0).min(limit),
            end: number(&self.bytes, at + 8 + UNIGRAM).unwrap_or(0).min(limit),
        }
    }

    #[inline(always)]
    fn bigram_word(&self, bigram: u32) -> WordId {
        self.bigrams.word(&self.bytes, bigram)
    }

    #[inline(always)]
    fn bigram_backoff(&self, bigram: u32) -> f32 {
        if !self.bigrams.has_backoff {
            return 0.0;
        }
        let code = self.bigrams.backoff_code(&self.bytes, bigram);
        value(&self.bytes, self.bigrams.backoffs + u64::from(code) * 4)
    }

    #[inline(always)]
    fn trigrams(&self, bigram: u32) -> (u32, u32) {
        let limit = self.trigrams.count;
        let first = self.bigrams.next(&self.bytes, bigram);
        (first.min(limit), self.bigrams.next(&self.bytes, bigram + 1).min(limit))
    }

    #[inline(always)]
    fn trigram_word(&self, trigram: u32) -> WordId {
        self.trigrams.word(&self.bytes, trigram)
    }

    #[inline(always)]
    fn trigram_probability(&self, trigram: u32) -> f32 {
        let code = self.trigrams.code(&self.bytes, trigram);
        value(&self.bytes, self.trigrams.probabilities + u64::from(code) * 4)
    }

    #[inline(always)]
    fn bigram_code(&self, bigram: u32) -> u16 {
        self.bigrams.code(&self.bytes, bigram)
    }

    #[inline(always)]
    fn decode(&self, code: u16) -> f32 {
        value(&self.bytes, self.bigrams.probabilities + u64::from(code) * 4)
    }
}
