//! Grammars as recognisers use them: a network of their own words, and the automaton as the language model.
//!
//! A [`GrammarNetwork`] is a compiled grammar with the pronunciations of its words, made once and shared.
//! [`Recogniser::with_grammar`] recognises what the grammar generates and nothing else. Whatever is said, the search finds the
//! phrase that fits best; how well it fits tells whether it was said at all ([`Tuning::fit`](crate::tuning::Tuning::fit)).

use std::sync::Arc;

use dictum_decoder::graph::{Histories, SearchGraph};
use dictum_decoder::lexicon::Lexicon;
use dictum_decoder::look_ahead::LookAheadCache;
use dictum_language::{Bigrams, Grammar, LanguageModel};

use crate::recogniser::Recogniser;
use crate::wording::Writing;

/// A grammar, ready to be searched.
pub struct GrammarNetwork {
    graph: SearchGraph,
    writing: Option<Arc<Writing>>,
}

/// Memory for look-ahead tables of one grammar.
const LOOK_AHEAD_BYTES: usize = 16 << 20;

/// How a word of a grammar is said and written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GrammarWord {
    /// Names of the acoustic model's units.
    pub pronunciations: Vec<Vec<String>>,
    /// How transcripts write it, if not as the grammar does.
    pub display_as: Option<String>,
}

impl GrammarNetwork {
    /// Compiles a grammar; `word` tells of each of its words. Words without pronunciation are never recognised.
    pub fn new(recogniser: &Recogniser, grammar: Arc<Grammar>, word: &dyn Fn(&str) -> GrammarWord) -> GrammarNetwork {
        let acoustic = recogniser.model().acoustic();
        let mut lexicon = Lexicon::new(recogniser.graph().lexicon.fillers().to_vec());
        let mut writing = Writing::default();
        for (id, text) in grammar.vocabulary().iter().skip(1) {
            let GrammarWord { pronunciations, display_as } = word(text);
            writing.forms.extend(display_as.map(|form| (id, form)));
            for units in pronunciations.iter().filter_map(|names| acoustic.units(names)) {
                lexicon.add(id, &units);
            }
        }
        let network = Arc::new(acoustic.network(&lexicon, &|word| grammar.unigram(word)));
        let followers = Arc::clone(&grammar) as Arc<dyn Bigrams>;
        let look_ahead = LookAheadCache::new(Arc::clone(&network), &lexicon, followers, LOOK_AHEAD_BYTES);
        let graph = SearchGraph {
            network,
            overlay: None,
            lexicon: Arc::new(lexicon),
            start: grammar.start().0 as u32,
            lm: grammar,
            histories: Histories::States,
            look_ahead: Arc::new(look_ahead),
        };
        GrammarNetwork { graph, writing: writing.shared() }
    }

    /// Bytes held, look-ahead tables left out.
    pub fn size_bytes(&self) -> usize {
        self.graph.network.size_bytes()
    }
}

impl Recogniser {
    /// This model, recognising what a grammar generates.
    pub fn with_grammar(&self, grammar: &GrammarNetwork) -> Arc<Recogniser> {
        Arc::new(self.on(grammar.graph.clone(), grammar.writing.clone()))
    }
}
