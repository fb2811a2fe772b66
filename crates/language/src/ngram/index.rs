//! What is derived from a reverse trie when it is opened or first asked for: which histories matter, and bigrams by history.

use super::store::Store;
use crate::vocabulary::WordId;

/// A set of bigram indices: one bit each, 256 KB for two million bigrams.
#[derive(Debug)]
pub(super) struct Histories {
    bits: Vec<u64>,
}

impl Histories {
    /// Finds the bigrams (u, v) after which the model distinguishes more than v: some trigram (u, v, w) exists, or the
    /// back-off is not 1. Only these make states of their own; all others are merged with the state after v alone, which
    /// gives the same probabilities, and the search has fewer hypotheses to carry.
    ///
    /// Also checks that every trigram's history is a bigram of the model, as back-off models must: the first trigram (u,
    /// v, w) without one is the error.
    pub(super) fn of(store: &impl Store, words: u32) -> Result<Self, Orphan> {
        let mut histories = Histories { bits: vec![0; (store.bigram_count() as usize).div_ceil(64)] };
        // Trigrams by their middle word: a counting sort of (first word, bigram), so that one pass over the bigrams of
        // each word v can look up all its trigrams (u, v, *) in an array indexed by u. Binary searches would take ten
        // times as long.
        let mut ends = vec![0u32; words as usize + 1];
        for_each_trigram(store, words, |_, middle, _, _| ends[middle as usize] += 1);
        let mut total = 0;
        for end in &mut ends {
            (*end, total) = (total, total + *end);
        }
        let mut firsts = vec![(0u32, 0u32); total as usize];
        for_each_trigram(store, words, |trigram, middle, first, _| {
            if let Some(slot) = firsts.get_mut(ends[middle as usize] as usize) {
                *slot = (first, trigram);
                ends[middle as usize] += 1;
            }
        });
        let mut bigram_of = vec![u32::MAX; words as usize];
        let mut begin = 0;
        for word in 0..words {
            let unigram = store.unigram(word);
            for bigram in unigram.first..unigram.end {
                if let Some(slot) = bigram_of.get_mut(store.bigram_word(bigram) as usize) {
                    *slot = bigram;
                }
                if store.bigram_backoff(bigram) != 0.0 {
                    histories.insert(bigram);
                }
            }
            let end = ends[word as usize] as usize;
            for &(first, trigram) in firsts.get(begin..end).unwrap_or_default() {
                match bigram_of.get(first as usize) {
                    Some(&bigram) if (unigram.first..unigram.end).contains(&bigram) => histories.insert(bigram),
                    _ => return Err(Orphan { trigram, first, middle: word }),
                }
            }
            begin = end;
        }
        Ok(histories)
    }

    fn insert(&mut self, bigram: u32) {
        self.bits[(bigram / 64) as usize] |= 1 << (bigram % 64);
    }

    #[inline(always)]
    pub(super) fn contains(&self, bigram: u32) -> bool {
        self.bits[(bigram / 64) as usize] >> (bigram % 64) & 1 != 0
    }

    /// How many histories of two words are states of their own.
    pub(super) fn len(&self) -> usize {
        self.bits.iter().map(|word| word.count_ones() as usize).sum()
    }
}

/// A trigram whose history is not a bigram of the model.
#[derive(Debug)]
pub(super) struct Orphan {
    pub trigram: u32,
    pub first: WordId,
    pub middle: WordId,
}

/// Calls `visit(index, middle word, first word, last word)` for every trigram, in file order.
pub(super) fn for_each_trigram(store: &impl Store, words: u32, mut visit: impl FnMut(u32, WordId, WordId, WordId)) {
    if store.trigram_count() == 0 {
        return;
    }
    for last in 0..words {
        let unigram = store.unigram(last);
        for bigram in unigram.first..unigram.end {
            let middle = store.bigram_word(bigram);
            let (begin, end) = store.trigrams(bigram);
            for trigram in begin..end {
                visit(trigram, middle, store.trigram_word(trigram), last);
            }
        }
    }
}

/// Bigrams (v, w) by v: what a look-ahead needs, and a reverse trie cannot enumerate.
#[derive(Debug)]
pub(super) struct Followers {
    /// Those of word v are `starts[v]..starts[v + 1]`.
    starts: Vec<u32>,
    words: Vec<WordId>,
    probabilities: Probabilities,
}

#[derive(Debug)]
enum Probabilities {
    /// Codes of the model's own quantiser.
    Codes(Vec<u16>),
    Values(Vec<f32>),
}

impl Followers {
    /// One counting sort over the bigrams: 12.6 MB for the two million of the US English model.
    pub(super) fn of(store: &impl Store, words: u32) -> Self {
        let count = store.bigram_count() as usize;
        let mut starts = vec![0u32; words as usize + 2];
        for bigram in 0..store.bigram_count() {
            if let Some(slot) = starts.get_mut(store.bigram_word(bigram) as usize + 2) {
                *slot += 1;
            }
        }
        for i in 2..starts.len() {
            starts[i] += starts[i - 1];
        }
        // starts[v + 1] is now where v's bigrams begin, and after the second pass where they end, as is wanted.
        let mut followers = vec![0; count];
        let quantised = count > 0 && store.bigram_code(0).is_some();
        let mut codes = vec![0u16; if quantised { count } else { 0 }];
        let mut values = vec![0f32; if quantised { 0 } else { count }];
        for word in 0..words {
            let unigram = store.unigram(word);
            for bigram in unigram.first..unigram.end {
                let Some(slot) = starts.get_mut(store.bigram_word(bigram) as usize + 1) else { continue };
                let position = *slot as usize;
                if position >= count {
                    continue;
                }
                *slot += 1;
                followers[position] = word;
                match store.bigram_code(bigram) {
                    Some(code) => codes[position] = code,
                    None => values[position] = store.bigram_probability(bigram),
                }
            }
        }
        starts.pop();
        let probabilities = if quantised { Probabilities::Codes(codes) } else { Probabilities::Values(values) };
        Followers { starts, words: followers, probabilities }
    }

    pub(super) fn for_each(&self, store: &impl Store, word: WordId, visit: &mut dyn FnMut(WordId, f32)) {
        let (Some(&begin), Some(&end)) = (self.starts.get(word as usize), self.starts.get(word as usize + 1)) else {
            return;
        };
        let range = begin as usize..end as usize;
        let Some(words) = self.words.get(range.clone()) else { return };
        match &self.probabilities {
            Probabilities::Codes(codes) => {
                words.iter().zip(&codes[range]).for_each(|(&word, &code)| visit(word, store.decode(code)));
            }
            Probabilities::Values(values) => {
                words.iter().zip(&values[range]).for_each(|(&word, &value)| visit(word, value))
            }
        }
    }
}
