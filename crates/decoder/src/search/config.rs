//! What may be chosen about a search.

use dictum_language::{PieceRole, WordId, as_piece};

/// Beams and weights. Beams are natural logs of acoustic likelihood ratios.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchConfig {
    /// HMMs worse than the best by more than this are dropped.
    pub beam: f32,
    /// HMM exits worse than the best by more than this enter no successor.
    pub phone_beam: f32,
    /// Entries of last phones worse than the best by more than this are not made.
    pub last_phone_beam: f32,
    /// Word ends worse than the best by more than this are not made.
    pub word_beam: f32,
    /// Instances of a tree node worse than the best instance of the same node, in whatever copy, by more than this are
    /// dropped: what follows acoustically is the same for both, and the language model seldom makes up for more.
    pub copy_beam: f32,
    /// Most HMMs that survive a frame.
    pub max_active: usize,
    /// Frames of acoustic look-ahead; 0 for none.
    pub phone_look_ahead: usize,
    /// Factor of the acoustic look-ahead.
    pub phone_look_ahead_weight: f32,
    /// Factor of language model log-probabilities against acoustic ones.
    pub lm_weight: f32,
    /// Log-score of every word.
    pub word_penalty: f32,
    /// Log-score of a silence.
    pub silence_penalty: f32,
    /// Log-score of another filler.
    pub filler_penalty: f32,
    /// Whether a lattice is to be built of the search. Towards which right contexts words ended is most of what a search
    /// remembers, and only a lattice asks for it afterwards.
    pub lattice: bool,
}

impl SearchConfig {
    /// Weighted score of a word of the language model: what is spelt in pieces is one word.
    #[inline]
    pub fn word_score(&self, word: WordId, log_probability: f32) -> f32 {
        self.lm_weight * log_probability + if begins_word(word) { self.word_penalty } else { 0.0 }
    }
}

/// Whether an id stands for a word, rather than for what goes on with one.
pub fn begins_word(word: WordId) -> bool {
    !matches!(as_piece(word), Some((_, PieceRole::Later | PieceRole::Mark)))
}

impl Default for SearchConfig {
    fn default() -> Self {
        SearchConfig {
            beam: 110.0,
            phone_beam: 80.0,
            last_phone_beam: 70.0,
            word_beam: 50.0,
            copy_beam: 10.0,
            max_active: 8_000,
            phone_look_ahead: 4,
            phone_look_ahead_weight: 1.0,
            lm_weight: 6.5,
            word_penalty: -5.0,
            silence_penalty: -5.7,
            filler_penalty: -18.8,
            lattice: true,
        }
    }
}
