//! A compiled grammar: a deterministic automaton over words, and a language model.

use crate::model::{Bigrams, LanguageModel, LmState};
use crate::vocabulary::{Vocabulary, WordId};

/// Stands for the beginning of a phrase, as in n-gram models; word 0 of every grammar, and never said.
pub(super) const START_WORD: &str = "<s>";

/// Where a grammar is after words that it does not generate.
const DEAD: LmState = LmState(u32::MAX as u64);

/// A word that may follow.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct GrammarArc {
    pub(super) word: WordId,
    pub(super) to: u32,
    /// ln p.
    pub(super) probability: f32,
}

/// States with their arcs, sorted by word; state 0 is the start.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Automaton {
    /// Where the arcs of each state end.
    ends: Vec<u32>,
    arcs: Vec<GrammarArc>,
    /// ln p that the phrase ends here.
    finals: Vec<f32>,
}

impl Automaton {
    /// Adds a state with `(word, ln p, state)` for each word that may follow, sorted by word, and the probability of its end.
    pub(super) fn push(&mut self, arcs: &[(WordId, f32, u32)], end: f32) {
        self.push_log(arcs, end.ln());
    }

    /// The same, with ln p of its end.
    pub(super) fn push_log(&mut self, arcs: &[(WordId, f32, u32)], end: f32) {
        self.arcs.extend(arcs.iter().map(|&(word, probability, to)| GrammarArc { word, to, probability }));
        self.ends.push(self.arcs.len() as u32);
        self.finals.push(end);
    }

    pub(super) fn state_count(&self) -> usize {
        self.finals.len()
    }

    pub(super) fn arc_count(&self) -> usize {
        self.arcs.len()
    }

    pub(super) fn arcs(&self, state: u32) -> &[GrammarArc] {
        let state = state as usize;
        let start = if state == 0 { 0 } else { self.ends[state - 1] as usize };
        &self.arcs[start..self.ends[state] as usize]
    }

    pub(super) fn end(&self, state: u32) -> f32 {
        self.finals[state as usize]
    }
}

/// A compiled grammar.
///
/// As a [`LanguageModel`] it gives the words it does not generate, and the end of a phrase it has not finished, a
/// probability of zero (negative infinity). Its vocabulary holds its own words, exactly as the document writes them, behind
/// `<s>` (word 0). At every state the probabilities of the words that may follow and of the end sum to one.
#[derive(Debug, Clone)]
pub struct Grammar {
    pub(super) vocabulary: Vocabulary,
    pub(super) counts: Vec<u32>,
    pub(super) language: Option<String>,
    pub(super) automaton: Automaton,
    /// The best probability of each word at any state.
    best: Vec<f32>,
}

impl Grammar {
    pub(super) fn new(
        vocabulary: Vocabulary,
        counts: Vec<u32>,
        language: Option<String>,
        automaton: Automaton,
    ) -> Self {
        let mut best = vec![f32::NEG_INFINITY; vocabulary.len()];
        for arc in &automaton.arcs {
            let best = &mut best[arc.word as usize];
            *best = best.max(arc.probability);
        }
        Grammar { vocabulary, counts, language, automaton, best }
    }

    /// The words of the document, each with how often it stands there; in order of appearance. Words of rules that the root
    /// does not reach are among them.
    pub fn words(&self) -> impl Iterator<Item = (&str, u32)> {
        self.vocabulary.iter().skip(1).map(|(id, word)| (word, self.counts[id as usize]))
    }

    /// The language that the document declares.
    pub fn language(&self) -> Option<&str> {
        self.language.as_deref()
    }

    /// Number of states of the automaton.
    pub fn state_count(&self) -> usize {
        self.automaton.state_count()
    }

    /// Number of its arcs.
    pub fn arc_count(&self) -> usize {
        self.automaton.arc_count()
    }

    /// Whether the phrase, of words separated by white space, is one that the grammar generates.
    pub fn accepts(&self, phrase: &str) -> bool {
        let mut state = self.start();
        for word in phrase.split_whitespace() {
            let Some(id) = self.vocabulary.id(word) else { return false };
            state = self.step(state, id).0;
        }
        self.end(state) > f32::NEG_INFINITY
    }

    /// What may follow a state: words with ln p and the state behind each. None of a state that is not of this grammar.
    pub fn followers(&self, state: LmState) -> impl Iterator<Item = (WordId, f32, LmState)> {
        let arcs = match u32::try_from(state.0) {
            Ok(state) if (state as usize) < self.automaton.state_count() => self.automaton.arcs(state),
            _ => &[],
        };
        arcs.iter().map(|arc| (arc.word, arc.probability, LmState(u64::from(arc.to))))
    }
}

impl LanguageModel for Grammar {
    fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    fn start(&self) -> LmState {
        LmState(0)
    }

    fn step(&self, state: LmState, word: WordId) -> (LmState, f32) {
        if state == DEAD {
            return (DEAD, f32::NEG_INFINITY);
        }
        let arcs = self.automaton.arcs(state.0 as u32);
        match arcs.binary_search_by_key(&word, |arc| arc.word) {
            Ok(at) => (LmState(u64::from(arcs[at].to)), arcs[at].probability),
            Err(_) => (DEAD, f32::NEG_INFINITY),
        }
    }

    fn end(&self, state: LmState) -> f32 {
        if state == DEAD { f32::NEG_INFINITY } else { self.automaton.end(state.0 as u32) }
    }
}

/// Histories are states here, not words: `v` is the number of a state, exactly what the phrase so far leaves. The unigram of a
/// word is its best probability at any state, an upper bound.
impl Bigrams for Grammar {
    fn unigram(&self, word: WordId) -> f32 {
        self.best.get(word as usize).copied().unwrap_or(f32::NEG_INFINITY)
    }

    /// Nothing follows but what [`bigrams_after`](Self::bigrams_after) tells.
    fn backoff(&self, _: u32) -> f32 {
        crate::custom::NEVER
    }

    fn bigrams_after(&self, v: u32, visit: &mut dyn FnMut(WordId, f32)) {
        for (word, probability, _) in self.followers(LmState(u64::from(v))) {
            visit(word, probability);
        }
    }
}
