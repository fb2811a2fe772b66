//! A reverse trie in plain arrays: what ARPA and DMP files are read into. Probabilities are exact.

use super::store::{Store, Unigram};
use crate::vocabulary::WordId;

/// An n-gram model as sorted arrays: 8 bytes a unigram and 4 for its range, 16 a bigram, 8 a trigram.
#[derive(Debug)]
pub(super) struct Arrays {
    /// ln p and ln back-off of each word.
    unigrams: Vec<[f32; 2]>,
    /// The bigrams of word w are `first[w]..first[w + 1]`.
    first: Vec<u32>,
    bigrams: Vec<Bigram>,
    trigrams: Vec<Trigram>,
}

#[derive(Debug, Clone, Copy)]
struct Bigram {
    word: WordId,
    probability: f32,
    backoff: f32,
    /// End of its trigrams, which begin where those of the bigram before it end.
    end: u32,
}

#[derive(Debug, Clone, Copy)]
struct Trigram {
    word: WordId,
    probability: f32,
}

/// Collects n-grams in any order. All values are natural logarithms.
#[derive(Debug, Default)]
pub(super) struct Builder {
    pub unigrams: Vec<[f32; 2]>,
    bigrams: Vec<RawBigram>,
    trigrams: Vec<RawTrigram>,
}

#[derive(Debug, Clone, Copy)]
struct RawBigram {
    /// The words, last first.
    key: [WordId; 2],
    probability: f32,
    backoff: f32,
}

#[derive(Debug, Clone, Copy)]
struct RawTrigram {
    /// The words, last first.
    key: [WordId; 3],
    probability: f32,
}

/// An n-gram that was given twice, in reading order.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Duplicate(pub Vec<WordId>);

impl Builder {
    /// Adds a bigram; words must be below the number of unigrams.
    pub(super) fn bigram(&mut self, words: [WordId; 2], probability: f32, backoff: f32) {
        let [v, w] = words;
        self.bigrams.push(RawBigram { key: [w, v], probability, backoff });
    }

    /// Adds a trigram; words must be below the number of unigrams.
    pub(super) fn trigram(&mut self, words: [WordId; 3], probability: f32) {
        let [u, v, w] = words;
        self.trigrams.push(RawTrigram { key: [w, v, u], probability });
    }

    /// Sorts everything into a model.
    ///
    /// Trigrams need their history (u, v) and their tail (v, w) as bigrams. Estimation toolkits write the first always
    /// and the second unless it was pruned; one that is missing is added with the probability that backing off gives it
    /// and a back-off of 1, which changes no probability.
    pub(super) fn finish(mut self) -> Result<Arrays, Duplicate> {
        self.trigrams.sort_unstable_by_key(|trigram| trigram.key);
        if let Some(pair) = self.trigrams.windows(2).find(|pair| pair[0].key == pair[1].key) {
            return Err(Duplicate(pair[0].key.iter().rev().copied().collect()));
        }
        self.bigrams.sort_unstable_by_key(|bigram| bigram.key);
        if let Some(pair) = self.bigrams.windows(2).find(|pair| pair[0].key == pair[1].key) {
            return Err(Duplicate(pair[0].key.iter().rev().copied().collect()));
        }
        self.add_missing_bigrams();
        Ok(self.lay_out())
    }

    fn add_missing_bigrams(&mut self) {
        let known = |key: [WordId; 2]| self.bigrams.binary_search_by_key(&key, |bigram| bigram.key).is_ok();
        let mut missing: Vec<[WordId; 2]> = Vec::new();
        for &RawTrigram { key: [w, v, u], .. } in &self.trigrams {
            for key in [[w, v], [v, u]] {
                if missing.last() != Some(&key) && !known(key) {
                    missing.push(key);
                }
            }
        }
        if missing.is_empty() {
            return;
        }
        missing.sort_unstable();
        missing.dedup();
        self.bigrams.extend(missing.into_iter().map(|key| {
            let probability = self.unigrams[key[0] as usize][0] + self.unigrams[key[1] as usize][1];
            RawBigram { key, probability, backoff: 0.0 }
        }));
        self.bigrams.sort_unstable_by_key(|bigram| bigram.key);
    }

    fn lay_out(self) -> Arrays {
        let mut first = vec![0u32; self.unigrams.len() + 1];
        for bigram in &self.bigrams {
            first[bigram.key[0] as usize + 1] += 1;
        }
        for i in 1..first.len() {
            first[i] += first[i - 1];
        }
        let mut end = 0;
        let bigrams = self.bigrams.iter().map(|bigram| {
            let rest = &self.trigrams[end..];
            end += rest.iter().take_while(|trigram| trigram.key[..2] == bigram.key).count();
            Bigram { word: bigram.key[1], probability: bigram.probability, backoff: bigram.backoff, end: end as u32 }
        });
        let bigrams = bigrams.collect();
        let trigrams = self.trigrams.iter().map(|t| Trigram { word: t.key[2], probability: t.probability }).collect();
        Arrays { unigrams: self.unigrams, first, bigrams, trigrams }
    }
}

impl Store for Arrays {
    type Code = f32;

    #[inline(always)]
    fn bigram_count(&self) -> u32 {
        self.bigrams.len() as u32
    }

    #[inline(always)]
    fn trigram_count(&self) -> u32 {
        self.trigrams.len() as u32
    }

    #[inline(always)]
    fn unigram(&self, word: WordId) -> Unigram {
        let word = word as usize;
        let [probability, backoff] = self.unigrams[word];
        Unigram { probability, backoff, first: self.first[word], end: self.first[word + 1] }
    }

    #[inline(always)]
    fn bigram_word(&self, bigram: u32) -> WordId {
        self.bigrams[bigram as usize].word
    }

    #[inline(always)]
    fn bigram_code(&self, bigram: u32) -> f32 {
        self.bigrams[bigram as usize].probability
    }

    #[inline(always)]
    fn bigram_backoff(&self, bigram: u32) -> f32 {
        self.bigrams[bigram as usize].backoff
    }

    #[inline(always)]
    fn trigrams(&self, bigram: u32) -> (u32, u32) {
        let begin = if bigram == 0 { 0 } else { self.bigrams[bigram as usize - 1].end };
        (begin, self.bigrams[bigram as usize].end)
    }

    #[inline(always)]
    fn trigram_word(&self, trigram: u32) -> WordId {
        self.trigrams[trigram as usize].word
    }

    #[inline(always)]
    fn trigram_probability(&self, trigram: u32) -> f32 {
        self.trigrams[trigram as usize].probability
    }

    #[inline(always)]
    fn decode(&self, code: f32) -> f32 {
        code
    }
}
