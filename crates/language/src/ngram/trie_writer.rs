//! Writing the `.lm.bin` format that [`trie`](super::trie) reads.

use std::io::{self, Write};

use super::bits;
use super::store::Store;
use super::trie::{CODES, LN_BASE, MAGIC};
use crate::vocabulary::Vocabulary;

/// A table of representative values, ascending, and the nearest one's code for any value.
struct Quantiser {
    /// In the file's logarithms.
    table: Vec<f32>,
}

impl Quantiser {
    /// Every value itself where there are few enough; otherwise the means of equally many values each.
    fn train(values: impl Iterator<Item = f32>) -> Self {
        let codes = CODES as usize;
        let mut values: Vec<f32> = values.map(file_logarithm).collect();
        values.sort_unstable_by(f32::total_cmp);
        let mut distinct = values.clone();
        distinct.dedup();
        let mut table = distinct;
        if table.len() > codes {
            let bin = |i: usize| i * values.len() / codes;
            let mean = |values: &[f32]| values.iter().map(|&v| f64::from(v)).sum::<f64>() / values.len() as f64;
            table = (0..codes).map(|i| mean(&values[bin(i)..bin(i + 1)]) as f32).collect();
        }
        let last = table.last().copied().unwrap_or(0.0);
        table.resize(codes, last);
        Quantiser { table }
    }

    fn code(&self, natural: f32) -> u32 {
        let value = file_logarithm(natural);
        let above = self.table.partition_point(|&entry| entry < value).min(self.table.len() - 1);
        let nearer_below = above > 0 && value - self.table[above - 1] < self.table[above] - value;
        (if nearer_below { above - 1 } else { above }) as u32
    }

    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let bytes: Vec<u8> = self.table.iter().flat_map(|value| value.to_le_bytes()).collect();
        out.write_all(&bytes)
    }
}

fn file_logarithm(natural: f32) -> f32 {
    (f64::from(natural) / f64::from(LN_BASE)) as f32
}

/// Bit fields one after the other.
struct Fields {
    bytes: Vec<u8>,
    bit: u64,
}

impl Fields {
    /// Room for `entries` and one more, and the 8 bytes of padding that readers rely on.
    fn new(entries: u32, width: u32) -> Self {
        let size = ((1 + u64::from(entries)) * u64::from(width)).div_ceil(8) + 8;
        Fields { bytes: vec![0; size as usize], bit: 0 }
    }

    fn put(&mut self, value: u32, width: u32) {
        let at = (self.bit / 8) as usize;
        let shifted = u64::from(value) << (self.bit % 8);
        for (byte, new) in self.bytes[at..].iter_mut().zip(shifted.to_le_bytes()) {
            *byte |= new;
        }
        self.bit += u64::from(width);
    }
}

pub(super) fn write(store: &impl Store, vocabulary: &Vocabulary, order: usize, mut out: impl Write) -> io::Result<()> {
    let words = vocabulary.len() as u32;
    let counts = [words, store.bigram_count(), store.trigram_count()];
    if counts.iter().any(|&count| count >= 1 << 25) {
        let what = format!("{counts:?} n-grams; the trie format holds less than {} of each length", 1 << 25);
        return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    }
    out.write_all(MAGIC)?;
    out.write_all(&[order as u8])?;
    for count in &counts[..order] {
        out.write_all(&count.to_le_bytes())?;
    }
    let bigrams = || 0..counts[1];
    let trigrams = || 0..counts[2];
    let probabilities2 = Quantiser::train(bigrams().map(|i| store.bigram_probability(i)));
    let backoffs2 = Quantiser::train(bigrams().map(|i| store.bigram_backoff(i)));
    let probabilities3 = Quantiser::train(trigrams().map(|i| store.trigram_probability(i)));
    if order > 1 {
        out.write_all(&1i32.to_le_bytes())?;
        probabilities2.write(&mut out)?;
    }
    if order > 2 {
        backoffs2.write(&mut out)?;
        probabilities3.write(&mut out)?;
    }
    for word in 0..words {
        let unigram = store.unigram(word);
        out.write_all(&file_logarithm(unigram.probability).to_le_bytes())?;
        out.write_all(&file_logarithm(unigram.backoff).to_le_bytes())?;
        out.write_all(&unigram.first.to_le_bytes())?;
    }
    out.write_all(&[0; 8])?;
    out.write_all(&counts[1].to_le_bytes())?;

    let word_bits = bits::bits_for(words);
    let next_bits = bits::bits_for(counts[2]);
    if order > 1 {
        let middle = order > 2;
        let mut fields = Fields::new(counts[1], if middle { word_bits + 32 + next_bits } else { word_bits + 16 });
        for bigram in bigrams() {
            fields.put(store.bigram_word(bigram), word_bits);
            if middle {
                fields.put(backoffs2.code(store.bigram_backoff(bigram)), 16);
            }
            fields.put(probabilities2.code(store.bigram_probability(bigram)), 16);
            if middle {
                fields.put(store.trigrams(bigram).0, next_bits);
            }
        }
        if middle {
            fields.put(0, word_bits + 32);
            fields.put(counts[2], next_bits);
        }
        out.write_all(&fields.bytes)?;
    }
    if order > 2 {
        let mut fields = Fields::new(counts[2], word_bits + 16);
        for trigram in trigrams() {
            fields.put(store.trigram_word(trigram), word_bits);
            fields.put(probabilities3.code(store.trigram_probability(trigram)), 16);
        }
        out.write_all(&fields.bytes)?;
    }
    let text: Vec<u8> = vocabulary.iter().flat_map(|(_, word)| word.bytes().chain([0])).collect();
    out.write_all(&(text.len() as u32).to_le_bytes())?;
    out.write_all(&text)
}
