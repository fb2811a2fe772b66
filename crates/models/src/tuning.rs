//! Beams, weights and calibration: the numbers that were found by measuring on development audio.

use dictum_decoder::search::SearchConfig;

/// Everything about recognition that is neither model nor request.
#[derive(Debug, Clone, PartialEq)]
pub struct Tuning {
    /// Beams and weights of the search.
    pub search: SearchConfig,
    /// Lattice beam, natural log at acoustic scale.
    pub lattice_beam: f32,
    /// Language model weight with which lattices are read; the search uses its own.
    pub lattice_lm_weight: f32,
    /// Word penalty with which lattices are read.
    pub lattice_word_penalty: f32,
    /// Scale of lattice scores for posteriors.
    pub posterior_scale: f32,
    /// Whether the reading is the one with least expected word errors, rather than the likeliest path.
    pub minimum_bayes_risk: bool,
}

impl Default for Tuning {
    fn default() -> Self {
        Tuning {
            search: SearchConfig::default(),
            lattice_beam: 60.0,
            lattice_lm_weight: 9.5,
            lattice_word_penalty: -8.0,
            posterior_scale: 0.09,
            minimum_bayes_risk: true,
        }
    }
}
