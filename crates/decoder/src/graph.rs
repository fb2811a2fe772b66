//! The parts of a model that a search reads, and how a custom model stands beside them.

use std::sync::Arc;

use dictum_language::{LanguageModel, LmState, WordId, as_piece};

use crate::lexicon::Lexicon;
use crate::look_ahead::{LookAhead, LookAheadCache};
use crate::network::{Network, OVERLAY};

/// What a search runs on. Everything in it is shared, so that one with other weights costs nothing.
#[derive(Clone)]
pub struct SearchGraph {
    /// The compiled network.
    pub network: Arc<Network>,
    /// What a custom model adds to it.
    pub overlay: Option<Overlay>,
    /// The words of both.
    pub lexicon: Arc<Lexicon>,
    /// The language model; with an overlay, that of both.
    pub lm: Arc<dyn LanguageModel>,
    /// What stands for the beginning of an utterance in histories.
    pub start: u32,
    /// Which histories are kept apart.
    pub histories: Histories,
    /// Its look-ahead.
    pub look_ahead: Arc<LookAheadCache>,
}

/// The words of a custom model, searched beside the base network.
#[derive(Clone)]
pub struct Overlay {
    /// Their network.
    pub network: Arc<Network>,
    /// Look-ahead of the custom model over both networks.
    pub look_ahead: Arc<LookAheadCache>,
    /// How the models are mixed.
    pub weights: Weights,
}

/// The parts of which the probability of a word is the sum, natural logs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weights {
    /// Weight of the base model.
    pub base: f32,
    /// Weight of the custom model.
    pub custom: f32,
    /// Probability that a word which the user added has besides if its share is 1, where the base model falls back on words by
    /// themselves with the weight 1.
    pub user: f32,
}

/// What a search keeps hypotheses apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Histories {
    /// The last word, as the word-pair approximation has it. It suits models in which no word is impossible.
    LastWord,
    /// The state of the language model, exactly: for grammars, where a history that looks worse may be the only one that can
    /// go on. States must be below 2^32; the look-ahead is asked by state.
    States,
}

/// Look-ahead of a tree copy.
#[derive(Clone)]
pub struct TreeCopy {
    /// Of the base model.
    pub base: Arc<LookAhead>,
    /// Of the custom model.
    pub custom: Option<Arc<LookAhead>>,
}

/// The history behind a word that is spelt; the id of no word.
const UNKNOWN: u32 = 1 << 31;

impl SearchGraph {
    /// The network of an instance.
    #[inline]
    pub fn tree(&self, instance: u32) -> &Arc<Network> {
        match &self.overlay {
            Some(overlay) if instance & OVERLAY != 0 => &overlay.network,
            _ => &self.network,
        }
    }

    /// Both networks.
    pub fn trees(&self) -> impl Iterator<Item = &Arc<Network>> {
        std::iter::once(&self.network).chain(self.overlay.as_ref().map(|overlay| &overlay.network))
    }

    /// What conditions the tree copy behind a word with the state after it.
    pub fn history(&self, word: WordId, state: LmState) -> u32 {
        match self.histories {
            // One for all words that no model knows.
            Histories::LastWord if as_piece(word).is_some() => UNKNOWN,
            Histories::LastWord => word,
            Histories::States => state.0 as u32,
        }
    }

    /// The look-ahead of a tree copy.
    pub fn copy_after(&self, history: u32) -> TreeCopy {
        let custom = self.overlay.as_ref().map(|overlay| overlay.look_ahead.after(history));
        TreeCopy { base: self.look_ahead.after(history), custom }
    }

    /// Natural log of the base model's weight.
    #[inline]
    pub fn base_weight(&self) -> f32 {
        self.overlay.as_ref().map_or(0.0, |overlay| overlay.weights.base)
    }
}

impl TreeCopy {
    /// The look-ahead at a node, by its instance; `unigram` is that of the base model there.
    #[inline]
    pub fn at(&self, graph: &SearchGraph, instance: u32, unigram: f32) -> f32 {
        let base = self.base.at(instance, unigram);
        match (&self.custom, &graph.overlay) {
            (Some(custom), Some(overlay)) => {
                let (beneath, weights) = (overlay.look_ahead.beneath(instance), &overlay.weights);
                let custom = weights.custom + custom.at(instance, beneath.unigram);
                (weights.base + base).max(custom).max(weights.user + self.base.backoff() + beneath.user)
            }
            _ => base,
        }
    }

    /// An upper bound of the value at any root.
    pub fn best_root(&self, graph: &SearchGraph) -> f32 {
        match (&self.custom, &graph.overlay) {
            (Some(custom), Some(overlay)) => {
                let weights = &overlay.weights;
                (weights.base + self.base.best_root())
                    .max(weights.custom + custom.best_root())
                    .max(weights.user + self.base.backoff())
            }
            _ => self.base.best_root(),
        }
    }
}
