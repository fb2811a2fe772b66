//! The older binary format of CMU Sphinx, `.lm.DMP`.
//!
//! Layout, in the byte order of the machine that wrote it: length (i32, with its NUL) and text `Darpa Trigram LM`; length and
//! name of the source file; a version that is not positive, a timestamp, and strings of (length, text) ended by a length
//! of 0 (all three absent in the oldest files, where the number of words stands in place of the version); the counts of
//! unigrams, bigrams and trigrams; unigrams {i32 map, f32 log10 p, f32 log10 back-off, i32 first bigram} and bigrams {u16
//! word, u16 probability, u16 back-off, u16 first trigram}, one more than counted of either; trigrams {u16 word, u16
//! probability}; tables (i32 length, f32 log10 values) of bigram probabilities, back-offs and trigram probabilities; a
//! table of i32 to which the bigrams' trigram indices are relative, one for every 512 bigrams; length and text of the
//! words, each ended by a NUL. What belongs to lengths that the model does not have is absent.

use super::arpa::describe;
use super::arrays::{Arrays, Builder};
use super::trie::read_words;
use crate::error::Fault;
use crate::vocabulary::Vocabulary;

const MAGIC: &[u8] = b"Darpa Trigram LM\0";

/// Bigrams that share a base of trigram indices: 1 << 9.
const SEGMENT_BITS: u32 = 9;

/// Whether a file that begins so is in this format.
pub(super) fn is_dmp(bytes: &[u8]) -> bool {
    bytes.get(4..).is_some_and(|rest| rest.starts_with(MAGIC))
}

pub(super) fn parse(bytes: &[u8]) -> Result<(Arrays, Vocabulary, usize), Fault> {
    if !is_dmp(bytes) {
        return Err(Fault::byte(0, "does not begin with \"Darpa Trigram LM\""));
    }
    let length = MAGIC.len() as i32;
    let mut input = Input { bytes, at: 0, swapped: false };
    let found = input.i32("the header")?;
    input.swapped = found != length;
    if input.swapped && found.swap_bytes() != length {
        return Err(Fault::byte(0, format!("{found} where the length {length} of the header should stand")));
    }
    input.skip(MAGIC.len() as u64, "the header")?;
    let counts = read_counts(&mut input)?;
    let order = counts.iter().rposition(|&count| count > 0).map_or(1, |index| index + 1);
    let (builder, vocabulary) = read_body(&mut input, counts, order)?;
    match builder.finish() {
        Ok(arrays) => Ok((arrays, vocabulary, order)),
        Err(duplicate) => Err(Fault::Unsupported(describe(&duplicate, &vocabulary))),
    }
}

/// A cursor that knows the file's byte order.
struct Input<'a> {
    bytes: &'a [u8],
    at: u64,
    swapped: bool,
}

impl<'a> Input<'a> {
    fn take(&mut self, size: u64, what: &str) -> Result<&'a [u8], Fault> {
        let range = self.at as usize..self.at.saturating_add(size) as usize;
        let taken = self.bytes.get(range).ok_or_else(|| {
            let length = self.bytes.len();
            Fault::byte(self.at, format!("the file ends at byte {length}, within {what} ({size} bytes from here)"))
        })?;
        self.at += size;
        Ok(taken)
    }

    fn skip(&mut self, size: u64, what: &str) -> Result<(), Fault> {
        self.take(size, what).map(|_| ())
    }

    fn i32(&mut self, what: &str) -> Result<i32, Fault> {
        let bytes = self.take(4, what)?;
        Ok(i32::from_ne_bytes(four(bytes, 0, self.swapped)))
    }

    /// A length or count: not negative.
    fn count(&mut self, what: &str) -> Result<u32, Fault> {
        let at = self.at;
        let value = self.i32(what)?;
        u32::try_from(value).map_err(|_| Fault::byte(at, format!("{value} as the length of {what}")))
    }

    /// A table of values in log10, as natural logarithms.
    fn table(&mut self, what: &str) -> Result<Vec<f32>, Fault> {
        let count = self.count(what)?;
        let at = self.at;
        let bytes = self.take(u64::from(count) * 4, what)?;
        let values: Vec<f32> = bytes.chunks_exact(4).map(|chunk| natural(four(chunk, 0, self.swapped))).collect();
        match values.iter().position(|value| !value.is_finite()) {
            Some(bad) => {
                Err(Fault::byte(at + 4 * bad as u64, format!("{what} hold a value that is not a finite number")))
            }
            None => Ok(values),
        }
    }
}

fn four(bytes: &[u8], at: usize, swapped: bool) -> [u8; 4] {
    let mut four = [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
    if swapped {
        four.reverse();
    }
    four
}

fn two(bytes: &[u8], at: usize, swapped: bool) -> usize {
    let pair = [bytes[at], bytes[at + 1]];
    let value = u16::from_ne_bytes(pair);
    usize::from(if swapped { value.swap_bytes() } else { value })
}

fn natural(log10: [u8; 4]) -> f32 {
    (f64::from(f32::from_ne_bytes(log10)) * std::f64::consts::LN_10) as f32
}

fn read_counts(input: &mut Input) -> Result<[u32; 3], Fault> {
    let name = input.count("the name of the source file")?;
    input.skip(u64::from(name), "the name of the source file")?;
    let at = input.at;
    let version = input.i32("the version")?;
    let words = if version > 0 {
        version as u32
    } else {
        input.skip(4, "the timestamp")?;
        loop {
            match input.count("the description")? {
                0 => break,
                length => input.skip(u64::from(length), "the description")?,
            }
        }
        input.count("the words")?
    };
    if words == 0 || words > 1 << 16 {
        return Err(Fault::byte(at, format!("{words} words; the format has 1 to 65536")));
    }
    let bigrams = input.count("the bigrams")?;
    let trigrams = input.count("the trigrams")?;
    if bigrams == 0 && trigrams > 0 {
        return Err(Fault::byte(input.at, "trigrams without bigrams"));
    }
    Ok([words, bigrams, trigrams])
}

/// The parts of a file, sizes checked.
struct Sections<'a> {
    swapped: bool,
    words: usize,
    order: usize,
    unigrams: (u64, &'a [u8]),
    bigrams: (u64, &'a [u8]),
    trigrams: (u64, &'a [u8]),
    bigram_probabilities: Vec<f32>,
    bigram_backoffs: Vec<f32>,
    trigram_probabilities: Vec<f32>,
    bases: &'a [u8],
}

fn read_body(input: &mut Input, counts: [u32; 3], order: usize) -> Result<(Builder, Vocabulary), Fault> {
    let [words, bigrams, trigrams] = counts.map(u64::from);
    let mut section = |size: u64, what: &str| Ok::<_, Fault>((input.at, input.take(size, what)?));
    let unigrams = section((words + 1) * 16, "the unigrams")?;
    let bigrams = if order > 1 { section((bigrams + 1) * 8, "the bigrams")? } else { (0, &[][..]) };
    let trigrams = section(trigrams * 4, "the trigrams")?;
    let mut sections = Sections {
        swapped: input.swapped,
        words: words as usize,
        order,
        unigrams,
        bigrams,
        trigrams,
        bigram_probabilities: Vec::new(),
        bigram_backoffs: Vec::new(),
        trigram_probabilities: Vec::new(),
        bases: &[],
    };
    if order > 1 {
        sections.bigram_probabilities = input.table("the bigrams' probabilities")?;
    }
    if order > 2 {
        sections.bigram_backoffs = input.table("the bigrams' back-offs")?;
        sections.trigram_probabilities = input.table("the trigrams' probabilities")?;
        let count = input.count("the trigram segments")?;
        sections.bases = input.take(u64::from(count) * 4, "the trigram segments")?;
    }
    let text_size = input.count("the words")?;
    let text_at = input.at;
    let text = input.take(u64::from(text_size), "the words")?;
    let vocabulary = read_words(text, text_at, counts[0])?;

    let mut builder = Builder::default();
    sections.add_unigrams(&mut builder)?;
    if order > 1 {
        sections.add_ngrams(&mut builder)?;
    }
    Ok((builder, vocabulary))
}

impl Sections<'_> {
    fn add_unigrams(&self, builder: &mut Builder) -> Result<(), Fault> {
        let (offset, bytes) = self.unigrams;
        for (index, unigram) in bytes.chunks_exact(16).take(self.words).enumerate() {
            let values = [natural(four(unigram, 4, self.swapped)).min(0.0), natural(four(unigram, 8, self.swapped))];
            if !values.iter().all(|value| value.is_finite()) {
                return Err(Fault::byte(offset + 16 * index as u64, "a unigram's value is not a finite number"));
            }
            builder.unigrams.push(values);
        }
        Ok(())
    }

    /// Bigrams and, within them, trigrams.
    fn add_ngrams(&self, builder: &mut Builder) -> Result<(), Fault> {
        let (offset, bytes) = self.bigrams;
        let mut history = 0;
        let mut trigram = 0;
        for index in 0..bytes.len() / 8 - 1 {
            let fault = |what: &str| Fault::byte(offset + 8 * index as u64, format!("bigram {index} {what}"));
            // The history is the last word whose bigrams begin at or before this one.
            while history + 1 < self.words && self.first_bigram(history + 1) <= index {
                history += 1;
            }
            if self.first_bigram(history) > index || self.first_bigram(history + 1) <= index {
                return Err(fault("belongs to no word"));
            }
            let [word, probability, backoff, _] = std::array::from_fn(|i| two(bytes, index * 8 + i * 2, self.swapped));
            let probability = self.bigram_probabilities.get(probability);
            let backoff = if self.order > 2 { self.bigram_backoffs.get(backoff) } else { Some(&0.0) };
            let (Some(&probability), Some(&backoff), true) = (probability, backoff, word < self.words) else {
                return Err(fault("refers to a word or value that the file does not have"));
            };
            builder.bigram([history as u32, word as u32], probability.min(0.0), backoff);
            if self.order > 2 {
                let end =
                    self.first_trigram(index + 1).filter(|&end| trigram <= end && end <= self.trigrams.1.len() / 4);
                let end = end.ok_or_else(|| fault("has trigrams that lie outside the file's"))?;
                for index in trigram..end {
                    self.add_trigram(builder, [history, word], index)?;
                }
                trigram = end;
            }
        }
        let left = self.trigrams.1.len() / 4 - trigram;
        if left > 0 {
            return Err(Fault::byte(self.trigrams.0, format!("{left} trigrams belong to no bigram")));
        }
        Ok(())
    }

    fn add_trigram(&self, builder: &mut Builder, [u, v]: [usize; 2], index: usize) -> Result<(), Fault> {
        let (offset, bytes) = self.trigrams;
        let word = two(bytes, index * 4, self.swapped);
        let probability = self.trigram_probabilities.get(two(bytes, index * 4 + 2, self.swapped));
        let (Some(&probability), true) = (probability, word < self.words) else {
            let what = format!("trigram {index} refers to a word or value that the file does not have");
            return Err(Fault::byte(offset + 4 * index as u64, what));
        };
        builder.trigram([u as u32, v as u32, word as u32], probability.min(0.0));
        Ok(())
    }

    fn first_bigram(&self, word: usize) -> usize {
        u32::from_ne_bytes(four(self.unigrams.1, word * 16 + 12, self.swapped)) as usize
    }

    fn first_trigram(&self, bigram: usize) -> Option<usize> {
        let base = self.bases.get((bigram >> SEGMENT_BITS) * 4..)?.first_chunk::<4>()?;
        let base = i32::from_ne_bytes(four(base, 0, self.swapped));
        usize::try_from(base).ok()?.checked_add(two(self.bigrams.1, bigram * 8 + 6, self.swapped))
    }
}
