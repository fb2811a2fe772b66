//! What the two representations of an n-gram model have in common: a reverse trie of order at most 3.
//!
//! The trie is indexed by the predicted word first, then by the word before it, then by the word before that: the bigrams
//! (v, w) of a word w are consecutive and ascending in v, and the trigrams (u, v, w) of such a bigram are consecutive and
//! ascending in u. One walk for p(w | u, v) therefore finds the shorter n-grams it may have to back off to on its way.

use crate::vocabulary::WordId;

/// Unigram of a word: natural logarithms, and the range of its bigrams.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Unigram {
    pub probability: f32,
    pub backoff: f32,
    pub first: u32,
    pub end: u32,
}

/// A reverse trie. Indices must be below the counts; ranges are clamped to them by the implementation, so that bytes that
/// change underneath can make a model wrong but not make it panic.
pub(super) trait Store {
    /// How a bigram's probability is stored: itself, or its number in a quantiser's table.
    type Code: Copy + Default + std::fmt::Debug;

    fn bigram_count(&self) -> u32;
    fn trigram_count(&self) -> u32;
    fn unigram(&self, word: WordId) -> Unigram;
    /// The earlier word of a bigram.
    fn bigram_word(&self, bigram: u32) -> WordId;
    fn bigram_backoff(&self, bigram: u32) -> f32;
    /// The range of trigrams that extend a bigram to the left.
    fn trigrams(&self, bigram: u32) -> (u32, u32);
    /// The earliest word of a trigram.
    fn trigram_word(&self, trigram: u32) -> WordId;
    fn trigram_probability(&self, trigram: u32) -> f32;
    fn bigram_code(&self, bigram: u32) -> Self::Code;
    /// The probability that a code stands for.
    fn decode(&self, code: Self::Code) -> f32;

    #[inline(always)]
    fn bigram_probability(&self, bigram: u32) -> f32 {
        self.decode(self.bigram_code(bigram))
    }

    #[inline(always)]
    fn find_bigram(&self, unigram: Unigram, earlier: WordId) -> Option<u32> {
        find(unigram.first, unigram.end, earlier, |i| self.bigram_word(i))
    }

    #[inline(always)]
    fn find_trigram(&self, bigram: u32, earliest: WordId) -> Option<u32> {
        let (first, end) = self.trigrams(bigram);
        find(first, end, earliest, |i| self.trigram_word(i))
    }
}

/// Position of `key` among the ascending keys of `first..end`.
#[inline(always)]
pub(crate) fn find(first: u32, end: u32, key: WordId, key_at: impl Fn(u32) -> WordId) -> Option<u32> {
    let mut base = first;
    let mut size = end.saturating_sub(first);
    if size == 0 {
        return None;
    }
    // Without an early exit: the halving compiles to a conditional move, which beats mispredicted branches.
    while size > 1 {
        let half = size / 2;
        let middle = base + half;
        base = if key_at(middle) <= key { middle } else { base };
        size -= half;
    }
    (key_at(base) == key).then_some(base)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn search_agrees_with_a_linear_scan() {
        for size in 0..40u32 {
            let keys: Vec<u32> = (0..size).map(|i| i * i / 3 + 2 * i + 1).collect();
            for key in 0..700 {
                let expected = keys.iter().position(|&k| k == key).map(|i| i as u32 + 5);
                assert_eq!(find(5, 5 + size, key, |i| keys[i as usize - 5]), expected, "{size} {key}");
            }
        }
    }
}
