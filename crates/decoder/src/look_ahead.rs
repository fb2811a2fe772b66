//! Language model look-ahead: the best bigram probability that can still be reached below a place in the tree.
//!
//! A hypothesis inside the tree does not know its word yet; adding the probability of the likeliest word that it can
//! still become lets the beam be narrow (Ortmanns, Ney & Eiden, "Language-model look-ahead for large vocabulary
//! speech recognition", 1996). With a back-off model nearly all values after a word *v* are `backoff(v)` plus the
//! unigram look-ahead that the network holds; only the few places above words with an explicit bigram differ. Those
//! are kept in a small table per *v* (Nolden, Ney & Schlüter, "Exploiting sparseness of backing-off language models
//! for efficient look-ahead in LVCSR", 2011), built when *v* is first reached and shared by all sessions.

use std::sync::Arc;

use parking_lot::RwLock;
use rustc_hash::FxHashMap;

use dictum_language::{NgramModel, WordId};

use crate::lexicon::{Lexicon, PronunciationId};
use crate::network::{Network, ROOT};

const EMPTY: u32 = u32::MAX;

/// Look-ahead after one word: natural logs, not scaled by the language model weight.
#[derive(Debug)]
pub struct LookAhead {
    backoff: f32,
    /// Place (node id, or [`ROOT`] plus root index) and value, open addressing.
    table: Vec<(u32, f32)>,
    /// Roots with an explicit value, most probable first.
    roots: Vec<(u32, f32)>,
    /// Largest value at any root.
    best_root: f32,
}

impl LookAhead {
    /// The value at a node, given the unigram look-ahead there.
    #[inline]
    pub fn at(&self, place: u32, unigram: f32) -> f32 {
        let backed_off = self.backoff + unigram;
        let mut slot = home(place, self.table.len());
        loop {
            let (found, value) = self.table[slot];
            if found == place {
                return value;
            }
            if found == EMPTY {
                return backed_off;
            }
            slot = next(slot, self.table.len());
        }
    }

    /// Back-off weight of the word, natural log.
    pub fn backoff(&self) -> f32 {
        self.backoff
    }

    /// Indexes of the roots whose value is above the backed-off one, with their values, most probable first.
    pub fn explicit_roots(&self) -> &[(u32, f32)] {
        &self.roots
    }

    /// An upper bound of the value at any root.
    pub fn best_root(&self) -> f32 {
        self.best_root
    }

    fn build(network: &Network, words: &WordIndex, lexicon: &Lexicon, lm: &NgramModel, word: WordId) -> Self {
        let backoff = lm.backoff(word);
        let mut values: FxHashMap<u32, f32> = FxHashMap::default();
        lm.bigrams_after(word, &mut |next, probability| {
            for &pronunciation in words.pronunciations(next) {
                debug_assert_eq!(lexicon.word(pronunciation), next);
                network.climb(pronunciation, |place| {
                    let value = values.entry(place).or_insert(f32::NEG_INFINITY);
                    let better = *value < probability;
                    *value = value.max(probability);
                    better
                });
            }
        });
        values.retain(|&place, value| *value > backoff + unigram(network, place));
        // Two thirds full: tables are many, and most of what a server holds beside its models.
        let slots = (values.len() + values.len() / 2 + 1).next_multiple_of(8);
        let mut table = vec![(EMPTY, 0.0); slots];
        for (&place, &value) in &values {
            let mut slot = home(place, slots);
            while table[slot].0 != EMPTY {
                slot = next(slot, slots);
            }
            table[slot] = (place, value);
        }
        let mut roots: Vec<(u32, f32)> =
            values.iter().filter(|(place, _)| **place >= ROOT).map(|(&place, &value)| (place - ROOT, value)).collect();
        roots.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let backed_off =
            network.all_roots().iter().map(|root| backoff + root.look_ahead).fold(f32::NEG_INFINITY, f32::max);
        let best_root = roots.first().map_or(backed_off, |&(_, value)| value.max(backed_off));
        LookAhead { backoff, table, roots, best_root }
    }

    fn size_bytes(&self) -> usize {
        (self.table.len() + self.roots.len()) * 8
    }
}

/// Where a place is looked for first among so many slots, a multiple of eight. Siblings have consecutive ids and are asked for
/// together, so eight of them share a cache line.
#[inline]
fn home(place: u32, slots: usize) -> usize {
    let hash = u64::from((place >> 3).wrapping_mul(0x9E37_79B9));
    let line = (hash * (slots as u64 / 8)) >> 32;
    (line as usize) << 3 | (place & 7) as usize
}

#[inline]
fn next(slot: usize, slots: usize) -> usize {
    if slot + 1 == slots { 0 } else { slot + 1 }
}

fn unigram(network: &Network, place: u32) -> f32 {
    match place.checked_sub(ROOT) {
        Some(root) => network.all_roots()[root as usize].look_ahead,
        None => network.node(place).look_ahead,
    }
}

/// Pronunciations by word.
#[derive(Debug)]
struct WordIndex {
    offsets: Vec<u32>,
    pronunciations: Vec<PronunciationId>,
}

impl WordIndex {
    fn new(lexicon: &Lexicon) -> Self {
        let ids = 0..lexicon.len() as PronunciationId;
        let words = ids.clone().map(|id| lexicon.word(id) as usize + 1).max().unwrap_or(0);
        let mut pronunciations: Vec<PronunciationId> = ids.collect();
        pronunciations.sort_by_key(|&id| lexicon.word(id));
        let mut offsets = vec![0u32; words + 1];
        for &id in &pronunciations {
            offsets[lexicon.word(id) as usize + 1] += 1;
        }
        for index in 0..words {
            offsets[index + 1] += offsets[index];
        }
        WordIndex { offsets, pronunciations }
    }

    fn pronunciations(&self, word: WordId) -> &[PronunciationId] {
        match self.offsets.get(word as usize..word as usize + 2) {
            Some(range) => &self.pronunciations[range[0] as usize..range[1] as usize],
            None => &[],
        }
    }
}

/// The look-ahead tables of a model, built on demand, bounded in memory.
pub struct LookAheadCache {
    network: Arc<Network>,
    lexicon: Arc<Lexicon>,
    lm: Arc<NgramModel>,
    words: WordIndex,
    tables: RwLock<Tables>,
    limit_bytes: usize,
}

/// Two generations: what is asked for moves to the young one, and when that is full the old one is let go. So tables that
/// are in use stay, and nothing has to be kept about their ages.
#[derive(Default)]
struct Tables {
    young: FxHashMap<WordId, Arc<LookAhead>>,
    old: FxHashMap<WordId, Arc<LookAhead>>,
    /// Size of the young ones.
    bytes: usize,
}

impl Tables {
    fn insert(&mut self, word: WordId, table: &Arc<LookAhead>, limit_bytes: usize) {
        if self.bytes > limit_bytes / 2 {
            self.old = std::mem::take(&mut self.young);
            self.bytes = 0;
        }
        if self.young.insert(word, Arc::clone(table)).is_none() {
            self.bytes += table.size_bytes();
        }
    }
}

impl LookAheadCache {
    /// An empty cache that holds at most about `limit_bytes` of tables.
    pub fn new(network: Arc<Network>, lexicon: Arc<Lexicon>, lm: Arc<NgramModel>, limit_bytes: usize) -> Self {
        let words = WordIndex::new(&lexicon);
        LookAheadCache { network, lexicon, lm, words, tables: RwLock::default(), limit_bytes }
    }

    /// The table after a word.
    pub fn after(&self, word: WordId) -> Arc<LookAhead> {
        let old = {
            let tables = self.tables.read();
            if let Some(table) = tables.young.get(&word) {
                return Arc::clone(table);
            }
            tables.old.get(&word).map(Arc::clone)
        };
        let build = || Arc::new(LookAhead::build(&self.network, &self.words, &self.lexicon, &self.lm, word));
        let table = old.unwrap_or_else(build);
        self.tables.write().insert(word, &table, self.limit_bytes);
        table
    }
}
