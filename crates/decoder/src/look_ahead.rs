//! Language model look-ahead: the best bigram probability that can still be reached below a place in the tree.
//!
//! A hypothesis inside the tree does not know its word yet; adding the probability of the likeliest word that it can
//! still become lets the beam be narrow (Ortmanns, Ney & Eiden, "Language-model look-ahead for large vocabulary
//! speech recognition", 1996). With a back-off model nearly all values after a word *v* are `backoff(v)` plus the
//! unigram look-ahead that the network holds; only the few places above words with an explicit bigram differ. Those
//! are kept in a small table per *v* (Nolden, Ney & Schlüter, "Exploiting sparseness of backing-off language models
//! for efficient look-ahead in LVCSR", 2011), built when *v* is first reached and shared by all sessions.
//!
//! A custom model has tables of its own, over the base vocabulary's network and its own overlay. The probability that a
//! search uses is a sum of parts: both models' with weights, and for the words that the user added one that is the same after
//! every history. What it looks ahead with is the largest part, at most ln 3 too low. So tables need no weights and serve
//! requests with any.

use std::sync::Arc;

use parking_lot::RwLock;
use rustc_hash::FxHashMap;

use dictum_acoustic::PhoneId;
use dictum_language::{Bigrams, WordId, as_piece};

use crate::lexicon::{Lexicon, PronunciationId};
use crate::network::{Network, OVERLAY, ROOT};

const EMPTY: u32 = u32::MAX;

/// Look-ahead after one word: natural logs, not scaled by the language model weight.
#[derive(Debug)]
pub struct LookAhead {
    backoff: f32,
    /// Place (node id, or [`ROOT`] plus root index; [`OVERLAY`] added in an overlay) and value, open addressing.
    table: Vec<(u32, f32)>,
    /// Places of roots with an explicit value, most probable first.
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

    /// Places of the roots whose value is above the backed-off one, with their values, most probable first.
    pub fn explicit_roots(&self) -> &[(u32, f32)] {
        &self.roots
    }

    /// An upper bound of the value at any root.
    pub fn best_root(&self) -> f32 {
        self.best_root
    }

    fn build(trees: &[Tree], lm: &dyn Bigrams, word: WordId) -> Self {
        let backoff = lm.backoff(word);
        let mut values: FxHashMap<u32, f32> = FxHashMap::default();
        lm.bigrams_after(word, &mut |next, probability| {
            for tree in trees {
                for &pronunciation in tree.words.pronunciations(next) {
                    tree.network.climb(pronunciation, |place| {
                        let value = values.entry(place).or_insert(f32::NEG_INFINITY);
                        let better = *value < probability;
                        *value = value.max(probability);
                        better
                    });
                }
            }
        });
        let unigram = |place: u32| trees[(place >= OVERLAY) as usize].unigram(place);
        values.retain(|&place, value| *value > backoff + unigram(place));
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
        let is_root = |place: u32| place & !OVERLAY >= ROOT;
        let mut roots: Vec<(u32, f32)> =
            values.iter().filter(|(place, _)| is_root(**place)).map(|(&place, &value)| (place, value)).collect();
        roots.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let best = trees.iter().map(|tree| tree.best_root).fold(f32::NEG_INFINITY, f32::max) + backoff;
        let best_root = roots.first().map_or(best, |&(_, value)| value.max(best));
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

/// Pronunciations by word.
#[derive(Debug)]
struct WordIndex {
    offsets: Vec<u32>,
    pronunciations: Vec<PronunciationId>,
}

impl WordIndex {
    /// Of those that the lexicon has beyond its base. Pieces of words are no roots, and nothing is looked ahead for them.
    fn new(lexicon: &Lexicon) -> Self {
        let is_word = |&id: &PronunciationId| as_piece(lexicon.word(id)).is_none();
        let mut pronunciations: Vec<PronunciationId> = lexicon.own().filter(is_word).collect();
        let words = pronunciations.iter().map(|&id| lexicon.word(id) as usize + 1).max().unwrap_or(0);
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

/// A network with its words, and what a model says of them without history.
#[derive(Debug, Clone)]
struct Tree {
    network: Arc<Network>,
    words: Arc<WordIndex>,
    /// Of a model that the network was not compiled with.
    unigrams: Option<Unigrams>,
    /// The likeliest word.
    best_root: f32,
}

/// What a custom model says of the words below each place of a network.
#[derive(Debug, Clone)]
struct Unigrams {
    nodes: Vec<Beneath>,
    roots: Vec<Beneath>,
    /// Roots by first phone that have any word of the model, most probable first.
    by_phone: Vec<Vec<(u32, f32)>>,
    /// Roots by first phone with words that the user added, those of the largest shares first.
    users_by_phone: Vec<Vec<(u32, f32)>>,
}

/// What is beneath a place, natural logs.
#[derive(Debug, Clone, Copy)]
pub struct Beneath {
    /// The likeliest word without history.
    pub unigram: f32,
    /// The largest share of a word that the user added; negative infinity if there is none.
    pub user: f32,
}

/// Nothing.
const NOTHING: Beneath = Beneath { unigram: f32::NEG_INFINITY, user: f32::NEG_INFINITY };

impl Tree {
    /// Of the model that the network was compiled with.
    fn compiled(network: Arc<Network>, lexicon: &Lexicon) -> Tree {
        let best_root = network.all_roots().iter().map(|root| root.look_ahead).fold(f32::NEG_INFINITY, f32::max);
        Tree { network, words: Arc::new(WordIndex::new(lexicon)), unigrams: None, best_root }
    }

    /// Of another model, and the words that its user added.
    fn with_model(mut self, lm: &dyn Bigrams, share: &dyn Fn(WordId) -> f32) -> Tree {
        let network = &self.network;
        let (mut nodes, mut roots) = (vec![NOTHING; network.node_count()], vec![NOTHING; network.all_roots().len()]);
        for word in 0..self.words.offsets.len() as WordId {
            let beneath = Beneath { unigram: lm.unigram(word), user: share(word) };
            if beneath.unigram.max(beneath.user) == f32::NEG_INFINITY {
                continue;
            }
            for &pronunciation in self.words.pronunciations(word) {
                network.climb(pronunciation, |place| {
                    let place = place & !OVERLAY;
                    let known = match place.checked_sub(ROOT) {
                        Some(root) => &mut roots[root as usize],
                        None => &mut nodes[place as usize],
                    };
                    let better = known.unigram < beneath.unigram || known.user < beneath.user;
                    *known =
                        Beneath { unigram: known.unigram.max(beneath.unigram), user: known.user.max(beneath.user) };
                    better
                });
            }
        }
        let mut by_phone = vec![Vec::new(); network.phone_count()];
        let mut users_by_phone = vec![Vec::new(); network.phone_count()];
        for (root, beneath) in (0..).zip(&roots) {
            let phone = network.root_phone(root) as usize;
            if beneath.unigram.is_finite() {
                by_phone[phone].push((root, beneath.unigram));
            }
            if beneath.user.is_finite() {
                users_by_phone[phone].push((root, beneath.user));
            }
        }
        let both = by_phone.iter_mut().chain(&mut users_by_phone);
        both.for_each(|roots| roots.sort_by(|a, b| b.1.total_cmp(&a.1)));
        self.best_root = roots.iter().map(|beneath| beneath.unigram).fold(f32::NEG_INFINITY, f32::max);
        self.unigrams = Some(Unigrams { nodes, roots, by_phone, users_by_phone });
        self
    }

    fn unigram(&self, place: u32) -> f32 {
        let Some(unigrams) = &self.unigrams else { return self.network.unigram_at(place) };
        let place = place & !OVERLAY;
        match place.checked_sub(ROOT) {
            Some(root) => unigrams.roots[root as usize].unigram,
            None => unigrams.nodes[place as usize].unigram,
        }
    }
}

/// The look-ahead tables of a model, built on demand, bounded in memory.
pub struct LookAheadCache {
    /// The network of the base vocabulary, and that of a custom model.
    trees: Vec<Tree>,
    lm: Arc<dyn Bigrams>,
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
    /// An empty cache that holds at most about `limit_bytes` of tables of the model that a network was compiled with.
    pub fn new(network: Arc<Network>, lexicon: &Lexicon, lm: Arc<dyn Bigrams>, limit_bytes: usize) -> Self {
        let trees = vec![Tree::compiled(network, lexicon)];
        LookAheadCache { trees, lm, tables: RwLock::default(), limit_bytes }
    }

    /// The same for a custom model beside `base`: over the network of `base` and the overlay that was compiled from what
    /// `lexicon` has beyond its base. `share` is ln of the share of a word that
    /// the user added, negative infinity for others.
    pub fn custom(
        base: &LookAheadCache,
        overlay: Arc<Network>,
        lexicon: &Lexicon,
        lm: Arc<dyn Bigrams>,
        share: &dyn Fn(WordId) -> f32,
        limit_bytes: usize,
    ) -> Self {
        let trees = [base.trees[0].clone(), Tree::compiled(overlay, lexicon)];
        let trees = trees.into_iter().map(|tree| tree.with_model(&*lm, share)).collect();
        LookAheadCache { trees, lm, tables: RwLock::default(), limit_bytes }
    }

    /// The pronunciations that a word has in the base network.
    pub fn pronunciations(&self, word: WordId) -> &[PronunciationId] {
        self.trees[0].words.pronunciations(word)
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
        let table = old.unwrap_or_else(|| Arc::new(LookAhead::build(&self.trees, &*self.lm, word)));
        self.tables.write().insert(word, &table, self.limit_bytes);
        table
    }

    /// What a custom model says of the words below a node, by its instance.
    #[inline]
    pub fn beneath(&self, instance: u32) -> Beneath {
        let unigrams = self.trees[(instance >= OVERLAY) as usize].unigrams.as_ref();
        unigrams.map_or(NOTHING, |unigrams| unigrams.nodes[(instance & !OVERLAY) as usize])
    }

    /// The custom model's roots with a first phone, of the base network and of the overlay, most probable first.
    pub fn custom_roots(&self, first: PhoneId) -> [&[(u32, f32)]; 2] {
        self.of_both(|unigrams| &unigrams.by_phone[first as usize])
    }

    /// The roots with a first phone that lead to words which the user added, of both networks, the largest shares first.
    pub fn user_roots(&self, first: PhoneId) -> [&[(u32, f32)]; 2] {
        self.of_both(|unigrams| &unigrams.users_by_phone[first as usize])
    }

    fn of_both(&self, roots: impl Fn(&Unigrams) -> &[(u32, f32)]) -> [&[(u32, f32)]; 2] {
        [0, 1].map(|tree: usize| self.trees.get(tree).and_then(|tree| tree.unigrams.as_ref()).map_or(&[][..], &roots))
    }

    /// Bytes held beside the tables, for the bound of loaded custom models.
    pub fn size_bytes(&self) -> usize {
        let unigrams = self.trees.iter().filter_map(|tree| tree.unigrams.as_ref());
        unigrams.map(|unigrams| (unigrams.nodes.len() + 3 * unigrams.roots.len()) * size_of::<Beneath>()).sum()
    }
}
