//! Time-synchronous beam search over (network state, language-model state) pairs.
//!
//! Inside the shared prefixes of the tree, hypotheses are kept apart by the last word of their history (word-
//! conditioned tree copies: Ney & Ortmanns, "Progress in dynamic programming search for LVCSR", 2000); the language
//! model is asked with the full history of the best of them. Behind a label the word itself is the history and the
//! copies recombine. Word ends become [`Record`]s; everything that is read from the search afterwards
//! (lattice, posteriors, times) is built from them, under the word-pair approximation (Schwartz & Austin 1991).
//!
//! The work of a frame:
//! 1. evaluate every active HMM, find the best score;
//! 2. derive the beam threshold, narrowed when more than `max_active` HMMs would survive;
//! 3. drop what lies below, pass what leaves an HMM on to its successors;
//! 4. turn word ends into records and enter the roots of their tree copies.

mod config;
mod heard;
mod lm_cache;
mod paths;
mod roots;
mod statistics;

use std::sync::Arc;

use rustc_hash::FxHashMap;

use dictum_acoustic::PhoneId;
use dictum_language::LmState;

use crate::graph::{Histories, SearchGraph, TreeCopy};
use crate::instances::{ANY_TAIL, DEAD, Hmm, Instances, TAIL};
use crate::lexicon::PronunciationId;
use crate::network::{FanClass, MAX_PHONES, NO_LABEL, NOTHING_BARRED, Network};
use crate::node_best::NodeBest;
use crate::topology::Shape;
pub use config::{SearchConfig, begins_word};
use heard::Heard;
use lm_cache::LmCache;
pub use statistics::Statistics;

/// What a record is the end of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Token {
    /// Nothing: the beginning of the utterance.
    Begin,
    /// A word, by its pronunciation.
    Word(PronunciationId),
    /// A filler phone.
    Filler(PhoneId),
}

/// A word or filler that ended.
#[derive(Debug, Clone, Copy)]
pub struct Record {
    /// What ended.
    pub token: Token,
    /// The record before it: what it was entered from.
    pub previous: u32,
    /// Frames consumed: the successor starts with frame `end`.
    pub end: u32,
    /// Score of the best path to here, over all right contexts.
    pub score: f32,
    /// Language model state after it.
    pub state: LmState,
    /// The tree copy entered from here.
    pub copy: u32,
    /// Range of its right-context exits.
    exits: (u32, u16),
}

/// A word end seen in the current frame.
#[derive(Debug, Clone, Copy)]
struct Exit {
    token: Token,
    history: u32,
    right: u64,
    score: f32,
}

/// What evaluating an HMM gave.
#[derive(Debug, Clone, Copy)]
struct Evaluated {
    /// Best score of its states.
    top: f32,
    /// Score of leaving it.
    exit: f32,
    /// Record of the word before, on the path that leaves.
    exit_history: u32,
}

/// What is known of the frames to come, so that entries which would die at once are not made.
#[derive(Debug, Clone, Copy)]
pub enum Ahead<'a> {
    /// Nothing.
    Unknown,
    /// How much each phone loses over them, at least ([`crate::phone_look_ahead`]).
    Phones(&'a [f32; MAX_PHONES]),
    /// The scores of the next frame: a CTC model tells a token in a frame or two, so that one is enough.
    Tokens(&'a [f32]),
}

/// One utterance being searched.
pub struct Search {
    graph: Arc<SearchGraph>,
    config: SearchConfig,
    instances: Instances,
    active: Vec<u32>,
    next: Vec<u32>,
    /// By position in `active`.
    evaluated: Vec<Evaluated>,
    exits: Vec<Exit>,
    records: Vec<Record>,
    /// Right-context mask and score, see `Record::exits`.
    record_exits: Vec<(u64, f32)>,
    /// Best score of each tree node over all copies.
    node_best: NodeBest,
    copies: Vec<TreeCopy>,
    /// Stands where a copy has been given up.
    unused: TreeCopy,
    copy_of: FxHashMap<u32, u32>,
    lm_cache: LmCache,
    frame: u32,
    best: f32,
    threshold: f32,
    /// What entering each phone will lose at least, see [`Ahead`].
    ahead: [f32; MAX_PHONES],
    /// Scores of the next frame, with tokens.
    upcoming: Vec<f32>,
    /// What of it can be entered behind the words that end now.
    heard: Heard,
    statistics: Statistics,
}

impl Search {
    /// A search at the beginning of an utterance.
    pub fn new(graph: Arc<SearchGraph>, config: SearchConfig) -> Self {
        let lm_cache = LmCache::new(config.max_active);
        let unused = graph.copy_after(graph.start);
        let mut search = Search {
            node_best: NodeBest::default(),
            graph,
            config,
            instances: Instances::new(8192),
            active: Vec::new(),
            next: Vec::new(),
            evaluated: Vec::new(),
            exits: Vec::new(),
            records: Vec::new(),
            record_exits: Vec::new(),
            copies: Vec::new(),
            copy_of: FxHashMap::default(),
            lm_cache,
            unused,
            frame: 0,
            best: 0.0,
            threshold: DEAD,
            ahead: [0.0; MAX_PHONES],
            upcoming: Vec::new(),
            heard: Heard::default(),
            statistics: Statistics::default(),
        };
        search.begin();
        search
    }

    /// Forgets the utterance and begins a new one on a graph of the same acoustic model, keeping allocations.
    pub fn reset_on(&mut self, graph: &Arc<SearchGraph>) {
        if !Arc::ptr_eq(&self.graph, graph) {
            self.lm_cache.clear();
            self.unused = graph.copy_after(graph.start);
        }
        self.graph = Arc::clone(graph);
        self.reset();
    }

    /// Forgets the utterance and begins a new one, keeping allocations.
    pub fn reset(&mut self) {
        self.instances.clear();
        self.active.clear();
        self.records.clear();
        self.records.shrink_to(KEPT_RECORDS);
        self.record_exits.clear();
        self.record_exits.shrink_to(KEPT_RECORDS);
        self.copies.clear();
        self.copy_of.clear();
        self.begin();
    }

    /// Frames searched so far.
    pub fn frame_count(&self) -> u32 {
        self.frame
    }

    /// All records so far; the first is the beginning of the utterance.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// What the search runs on.
    pub fn graph(&self) -> &SearchGraph {
        &self.graph
    }

    /// The beams and weights.
    pub fn config(&self) -> &SearchConfig {
        &self.config
    }

    /// Work done since the search was made.
    pub fn statistics(&self) -> Statistics {
        self.statistics
    }

    /// Score with which a record leaves towards a right phone, if it did; known only of searches that keep what a lattice
    /// needs ([`SearchConfig::lattice`]).
    pub fn exit_score(&self, record: u32, right: PhoneId) -> Option<f32> {
        let (begin, count) = self.records[record as usize].exits;
        let exits = &self.record_exits[begin as usize..begin as usize + count as usize];
        exits.iter().find(|exit| exit.0 >> right & 1 == 1).map(|exit| exit.1)
    }

    /// Bytes held by the session.
    pub fn size_bytes(&self) -> usize {
        self.instances.size_bytes()
            + self.records.capacity() * size_of::<Record>()
            + self.record_exits.capacity() * 16
            + self.lm_cache.size_bytes()
            + self.node_best.size_bytes()
    }

    /// Searches one frame. `scores` are natural-log likelihoods of all senones, the best of them zero.
    pub fn push(&mut self, scores: &[f32], ahead: Ahead<'_>) {
        self.look_ahead(ahead);
        self.evaluate(scores);
        self.set_threshold();
        self.frame += 1;
        self.statistics.frames += 1;
        self.statistics.hmms += self.active.len() as u64;
        self.propagate();
        self.end_words();
        if self.frame.is_multiple_of(SWEEP) {
            self.give_up_copies();
        }
    }

    fn look_ahead(&mut self, ahead: Ahead<'_>) {
        self.upcoming.clear();
        match ahead {
            Ahead::Unknown => self.ahead = [0.0; MAX_PHONES],
            Ahead::Phones(losses) => self.ahead = losses.map(|loss| loss * self.config.phone_look_ahead_weight),
            Ahead::Tokens(scores) => self.upcoming.extend_from_slice(scores),
        }
    }

    /// What entering an HMM loses at least.
    #[inline]
    fn loss(&self, shape: &Shape) -> f32 {
        match self.upcoming.get(usize::from(shape.senones[0])) {
            Some(&score) => score,
            None => self.ahead[usize::from(shape.phone)],
        }
    }

    fn begin(&mut self) {
        self.frame = 0;
        self.best = 0.0;
        self.threshold = DEAD;
        self.look_ahead(Ahead::Unknown);
        let state = self.graph.lm.start();
        let copy = self.copy(self.graph.start);
        self.record_exits.push((self.graph.network.outside(), 0.0));
        self.records.push(Record { token: Token::Begin, previous: 0, end: 0, score: 0.0, state, copy, exits: (0, 1) });
        // Everything may begin; the first frames prune it.
        self.threshold = -self.config.beam;
        self.enter_roots(0, None);
        std::mem::swap(&mut self.active, &mut self.next);
    }

    fn copy(&mut self, history: u32) -> u32 {
        if let Some(&copy) = self.copy_of.get(&history) {
            return copy;
        }
        let copy = self.copies.len() as u32;
        self.copies.push(self.graph.copy_after(history));
        self.copy_of.insert(history, copy);
        copy
    }

    /// The copy of what follows the label in a copy.
    fn tail(&self, copy: u32) -> u32 {
        match self.graph.histories {
            Histories::LastWord => ANY_TAIL,
            Histories::States => copy | TAIL,
        }
    }

    /// Lets go of the look-ahead of tree copies in which nothing is active any more: an utterance passes through thousands.
    fn give_up_copies(&mut self) {
        let mut used = vec![false; self.copies.len()];
        for &index in &self.active {
            let hmm = self.instances.get(index);
            if !hmm.is_tail() {
                used[hmm.copy as usize] = true;
            }
        }
        self.copy_of.retain(|_, copy| {
            let keep = used[*copy as usize];
            if !keep {
                self.copies[*copy as usize] = self.unused.clone();
            }
            keep
        });
    }

    fn evaluate(&mut self, scores: &[f32]) {
        self.evaluated.clear();
        self.node_best.clear(self.active.len());
        let mut best = DEAD;
        let transitions = self.graph.network.transitions();
        for &index in &self.active {
            let hmm = self.instances.get_mut(index);
            let transitions = &transitions[hmm.phone as usize];
            let leave: [f32; 3] = std::array::from_fn(|state| hmm.score[state] + scores[hmm.senones[state] as usize]);
            let (mut last, mut last_history) = (leave[2] + transitions[2][2], hmm.history[2]);
            if leave[1] + transitions[1][2] > last {
                (last, last_history) = (leave[1] + transitions[1][2], hmm.history[1]);
            }
            if leave[0] + transitions[0][2] > last {
                (last, last_history) = (leave[0] + transitions[0][2], hmm.history[0]);
            }
            let (mut exit, mut exit_history) = (leave[2] + transitions[2][3], hmm.history[2]);
            if leave[1] + transitions[1][3] > exit {
                (exit, exit_history) = (leave[1] + transitions[1][3], hmm.history[1]);
            }
            if leave[0] + transitions[0][3] > exit {
                (exit, exit_history) = (leave[0] + transitions[0][3], hmm.history[0]);
            }
            if leave[0] + transitions[0][1] > leave[1] + transitions[1][1] {
                hmm.score[1] = leave[0] + transitions[0][1];
                hmm.history[1] = hmm.history[0];
            } else {
                hmm.score[1] = leave[1] + transitions[1][1];
            }
            hmm.score[2] = last;
            hmm.history[2] = last_history;
            hmm.score[0] = leave[0] + transitions[0][0];
            let top = hmm.score[0].max(hmm.score[1]).max(last);
            best = best.max(top);
            if !hmm.is_tail() {
                self.node_best.offer(hmm.instance, top);
            }
            self.evaluated.push(Evaluated { top, exit, exit_history });
        }
        self.best = best;
    }

    /// The beam threshold of this frame, narrowed so that about `max_active` HMMs survive.
    fn set_threshold(&mut self) {
        const BUCKETS: usize = 128;
        self.threshold = self.best - self.config.beam;
        if self.active.len() <= self.config.max_active {
            return;
        }
        let mut histogram = [0usize; BUCKETS];
        let scale = BUCKETS as f32 / self.config.beam;
        for evaluated in &self.evaluated {
            let bucket = ((self.best - evaluated.top) * scale) as usize;
            if let Some(count) = histogram.get_mut(bucket) {
                *count += 1;
            }
        }
        let mut survivors = 0;
        for (bucket, count) in histogram.iter().enumerate() {
            survivors += count;
            if survivors > self.config.max_active {
                self.threshold = self.best - (bucket as f32 + 1.0) / scale;
                return;
            }
        }
    }

    /// Drops HMMs below the threshold and passes exits on to successors.
    fn propagate(&mut self) {
        self.next.clear();
        self.exits.clear();
        let graph = Arc::clone(&self.graph);
        let phone_threshold = self.threshold.max(self.best - self.config.phone_beam);
        let word_threshold = self.threshold.max(self.best - self.config.word_beam);
        let mut active = std::mem::take(&mut self.active);
        for (position, &index) in active.iter().enumerate() {
            let Evaluated { top, exit, exit_history } = self.evaluated[position];
            let hmm = *self.instances.get(index);
            if !hmm.is_tail() && top.max(hmm.score[0]) < self.node_best.at(hmm.instance) - self.config.copy_beam {
                self.instances.remove(index);
                continue;
            }
            // An earlier HMM of this frame may have entered it since it was evaluated.
            if top < self.threshold && hmm.score[0] < self.threshold {
                self.instances.remove(index);
            } else {
                self.next.push(index);
            }
            if exit < phone_threshold {
                continue;
            }
            let network = &**graph.tree(hmm.instance);
            if let Some((last, class)) = network.as_final(hmm.instance) {
                if exit > word_threshold {
                    let last = network.last(last);
                    let right = network.fan(last.fan)[class].right;
                    let token = Token::Word(last.pronunciation);
                    self.exits.push(Exit { token, history: exit_history, right, score: exit });
                }
            } else if network.is_filler(hmm.instance) {
                if exit > word_threshold {
                    let token = Token::Filler(hmm.phone);
                    self.exits.push(Exit { token, history: exit_history, right: network.outside(), score: exit });
                }
            } else {
                self.enter_successors(network, &hmm, exit, exit_history);
            }
        }
        active.clear();
        self.active = active;
    }

    /// Enters the nodes and finals that follow a tree node.
    fn enter_successors(&mut self, network: &Network, hmm: &Hmm, exit: f32, history: u32) {
        let node = *network.node_of(hmm.instance);
        let tail = self.tail(hmm.copy);
        let weight = self.config.lm_weight;
        let bare = exit - hmm.look_ahead;
        for id in node.first_child..node.first_child + u32::from(node.child_count) {
            let child = network.node(id);
            // The language look-ahead can only fall from here on, so this bound spares looking it up.
            if exit + self.loss(&child.shape) <= self.threshold {
                continue;
            }
            let id = network.instance(id);
            if hmm.is_tail() {
                self.enter(hmm.copy, id, child.shape, exit, history, 0.0);
                continue;
            }
            let look_ahead = weight * self.copies[hmm.copy as usize].at(&self.graph, id, child.look_ahead);
            if child.label == NO_LABEL {
                if bare + look_ahead > self.threshold {
                    self.enter(hmm.copy, id, child.shape, bare + look_ahead, history, look_ahead);
                }
            } else if bare + look_ahead + TRIGRAM_SLACK * weight + self.loss(&child.shape) > self.threshold {
                let score = bare + self.word_score(history, child.label);
                if score > self.threshold {
                    self.enter(tail, id, child.shape, score, history, 0.0);
                }
            }
        }
        for index in node.first_final..node.first_final + u32::from(node.final_count) {
            let last = network.last(index);
            // With tokens the next frame tells most words apart, before the language model is asked.
            let most = exit + TRIGRAM_SLACK * weight;
            let heard = |class: &FanClass| most + self.loss(&class.shape) > self.threshold;
            if !self.upcoming.is_empty() && !network.fan(last.fan).iter().any(heard) {
                continue;
            }
            let score = if last.labelled { bare + self.word_score(history, last.pronunciation) } else { exit };
            self.enter_final(network, index, tail, score, history, NOTHING_BARRED);
        }
    }

    /// Weighted log-probability of a word after a record, with the word penalty.
    fn word_score(&mut self, history: u32, pronunciation: PronunciationId) -> f32 {
        let state = self.records[history as usize].state;
        let word = self.graph.lexicon.word(pronunciation);
        let log_probability = self.lm_cache.log_probability(&*self.graph.lm, state, word);
        self.config.word_score(word, log_probability)
    }

    /// `barred` is what the first state must not read ([`Network::barred_after`]).
    fn enter_final(&mut self, network: &Network, index: u32, copy: u32, score: f32, history: u32, barred: u16) {
        let fan = network.fan(network.last(index).fan);
        // The classes of a fan are of one phone; of one token they need not begin alike.
        let survives = score + self.loss(&fan[0].shape) > self.threshold || self.graph.network.has_tokens();
        if !survives || score <= self.best - self.config.last_phone_beam {
            return;
        }
        for (class, fan) in fan.iter().enumerate().filter(|(_, fan)| fan.shape.senones[0] != barred) {
            let instance = network.final_instance(index, class);
            self.enter(copy, instance, fan.shape, score, history, 0.0);
        }
    }

    /// Offers a path to the first state of an HMM, creating the instance if need be.
    #[inline]
    fn enter(&mut self, copy: u32, instance: u32, shape: Shape, score: f32, history: u32, look_ahead: f32) {
        if score + self.loss(&shape) <= self.threshold {
            return;
        }
        match self.instances.find(copy, instance) {
            Some(index) => {
                let hmm = self.instances.get_mut(index);
                if score > hmm.score[0] {
                    hmm.score[0] = score;
                    hmm.history[0] = history;
                    hmm.look_ahead = look_ahead;
                }
            }
            None => {
                let score = [score, DEAD, DEAD];
                let Shape { senones, phone } = shape;
                let hmm = Hmm { score, history: [history; 3], senones, phone, instance, copy, look_ahead };
                let index = self.instances.insert(hmm);
                self.next.push(index);
            }
        }
    }

    /// Turns the exits of this frame into records and enters the roots behind them.
    fn end_words(&mut self) {
        let first = self.records.len();
        let mut exits = std::mem::take(&mut self.exits);
        exits
            .sort_unstable_by(|a, b| (a.token, a.history).cmp(&(b.token, b.history)).then(b.score.total_cmp(&a.score)));
        for group in exits.chunk_by(|a, b| (a.token, a.history) == (b.token, b.history)) {
            self.record(group);
        }
        self.exits = exits;
        self.statistics.records += (self.records.len() - first) as u64;
        let mut heard = std::mem::take(&mut self.heard);
        let known = first < self.records.len() && self.listen(&mut heard);
        for index in first..self.records.len() {
            self.enter_roots(index as u32, known.then_some(&heard));
        }
        self.heard = heard;
        if !self.config.lattice {
            self.record_exits.clear();
        }
        std::mem::swap(&mut self.active, &mut self.next);
    }

    /// Makes the record of the exits of one token with one history; they differ in right context.
    fn record(&mut self, group: &[Exit]) {
        let Exit { token, history, score, .. } = group[0];
        let previous = self.records[history as usize];
        let (state, copy) = match token {
            Token::Word(pronunciation) => {
                let word = self.graph.lexicon.word(pronunciation);
                let state = self.graph.lm.step(previous.state, word).0;
                (state, self.copy(self.graph.history(word, state)))
            }
            Token::Filler(_) | Token::Begin => (previous.state, previous.copy),
        };
        let exits = (self.record_exits.len() as u32, group.len() as u16);
        self.record_exits.extend(group.iter().map(|exit| (exit.right, exit.score)));
        self.records.push(Record { token, previous: history, end: self.frame, score, state, copy, exits });
    }
}

/// Frames after which unused tree copies are looked for.
const SWEEP: u32 = 64;

/// Records for which memory is kept between utterances: about ten seconds of speech.
const KEPT_RECORDS: usize = 32_768;

/// By how much (natural log) a trigram may exceed the bigram look-ahead before a word is given up unasked.
const TRIGRAM_SLACK: f32 = 2.5;
