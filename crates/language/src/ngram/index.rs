//! What is derived from a reverse trie when it is opened or first asked for: which histories matter, and bigrams by history.

use super::store::Store;
use crate::vocabulary::WordId;

/// A set of bigram indices: one bit each, 256 KB for two million bigrams.
#[derive(Debug)]
pub(super) struct Histories {
    bits: Vec<u64>,
}

/// A trigram (first, middle, ...) whose history is not a bigram of the model.
#[derive(Debug)]
pub(super) struct Orphan {
    pub first: WordId,
    pub middle: WordId,
}

impl Histories {
    /// Finds the bigrams (u, v) after which the model distinguishes more than v: some trigram (u, v, w) exists, or the
    /// back-off is not 1. Only these make states of their own; all others are merged with the state after v alone, which
    /// gives the same probabilities, and the search has fewer hypotheses to carry.
    ///
    /// Also checks that every trigram's history is a bigram of the model, as back-off models must.
    pub(super) fn of(store: &impl Store, words: u32) -> Result<Self, Orphan> {
        let mut histories = Histories { bits: vec![0; (store.bigram_count() as usize).div_ceil(64)] };
        let firsts = FirstWords::of(store, words);
        // All trigrams (u, v, *) of a word v at a time, looked up in an array indexed by u that holds v's bigrams. Stale
        // entries of other words are told by their index. Binary searches would take ten times as long.
        let mut bigram_of = vec![u32::MAX; words as usize];
        for middle in 0..words {
            let unigram = store.unigram(middle);
            for bigram in unigram.first..unigram.end {
                if let Some(slot) = bigram_of.get_mut(store.bigram_word(bigram) as usize) {
                    *slot = bigram;
                }
                if store.bigram_backoff(bigram) != 0.0 {
                    histories.insert(bigram);
                }
            }
            for &first in firsts.before(middle) {
                match bigram_of.get(first as usize) {
                    Some(&bigram) if (unigram.first..unigram.end).contains(&bigram) => histories.insert(bigram),
                    _ => return Err(Orphan { first, middle }),
                }
            }
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

/// The first words of all trigrams, by their middle word: a counting sort.
struct FirstWords {
    /// Those with middle word v end at `ends[v]`, where those of v + 1 begin.
    ends: Vec<u32>,
    firsts: Vec<WordId>,
}

impl FirstWords {
    fn of(store: &impl Store, words: u32) -> Self {
        let mut ends = vec![0u32; words as usize];
        for_each_trigram(store, words, |trigram| {
            if let Some(count) = ends.get_mut(trigram.words[1] as usize) {
                *count += 1;
            }
        });
        let mut total = 0;
        for end in &mut ends {
            // For now where each word's begin; filling moves them to where they end.
            (*end, total) = (total, total + *end);
        }
        let mut firsts = vec![0; total as usize];
        for_each_trigram(store, words, |trigram| {
            let [first, middle, _] = trigram.words;
            let Some(end) = ends.get_mut(middle as usize) else { return };
            if let Some(slot) = firsts.get_mut(*end as usize) {
                *slot = first;
                *end += 1;
            }
        });
        FirstWords { ends, firsts }
    }

    fn before(&self, middle: WordId) -> &[WordId] {
        let middle = middle as usize;
        let begin = if middle == 0 { 0 } else { self.ends[middle - 1] as usize };
        self.firsts.get(begin..self.ends[middle] as usize).unwrap_or_default()
    }
}

/// A trigram as [`for_each_trigram`] meets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Trigram {
    /// In reading order.
    pub words: [WordId; 3],
    pub index: u32,
}

/// Visits every trigram in the order of the store.
pub(super) fn for_each_trigram(store: &impl Store, words: u32, mut visit: impl FnMut(Trigram)) {
    if store.trigram_count() == 0 {
        return;
    }
    for last in 0..words {
        let unigram = store.unigram(last);
        for bigram in unigram.first..unigram.end {
            let middle = store.bigram_word(bigram);
            let (begin, end) = store.trigrams(bigram);
            for index in begin..end {
                visit(Trigram { words: [store.trigram_word(index), middle, last], index });
            }
        }
    }
}

/// Bigrams (v, w) by v: what a look-ahead needs, and a reverse trie cannot enumerate.
#[derive(Debug)]
pub(super) struct Followers<Code> {
    /// Those of word v are `starts[v]..starts[v + 1]`.
    starts: Vec<u32>,
    words: Vec<WordId>,
    /// Probabilities as the store codes them.
    codes: Vec<Code>,
}

impl<Code: Copy + Default> Followers<Code> {
    /// One counting sort over the bigrams: 12.6 MB for the two million of the US English model.
    pub(super) fn of<S: Store<Code = Code>>(store: &S, words: u32) -> Self {
        let mut starts = vec![0u32; words as usize + 2];
        for bigram in 0..store.bigram_count() {
            if let Some(slot) = starts.get_mut(store.bigram_word(bigram) as usize + 2) {
                *slot += 1;
            }
        }
        for i in 2..starts.len() {
            starts[i] += starts[i - 1];
        }
        // starts[v + 1] is now where v's bigrams begin; filling moves it to where they end, as is wanted.
        let count = store.bigram_count() as usize;
        let mut followers = Followers { starts, words: vec![0; count], codes: vec![Code::default(); count] };
        for word in 0..words {
            let unigram = store.unigram(word);
            for bigram in unigram.first..unigram.end {
                followers.place(store.bigram_word(bigram), word, store.bigram_code(bigram));
            }
        }
        followers.starts.pop();
        followers
    }

    fn place(&mut self, earlier: WordId, word: WordId, code: Code) {
        let Some(slot) = self.starts.get_mut(earlier as usize + 1) else { return };
        let position = *slot as usize;
        if position < self.words.len() {
            *slot += 1;
            self.words[position] = word;
            self.codes[position] = code;
        }
    }

    pub(super) fn for_each<S: Store<Code = Code>>(&self, store: &S, word: WordId, visit: &mut dyn FnMut(WordId, f32)) {
        let (Some(&begin), Some(&end)) = (self.starts.get(word as usize), self.starts.get(word as usize + 1)) else {
            return;
        };
        let range = begin as usize..end as usize;
        if let (Some(words), Some(codes)) = (self.words.get(range.clone()), self.codes.get(range)) {
            words.iter().zip(codes).for_each(|(&word, &code)| visit(word, store.decode(code)));
        }
    }
}
