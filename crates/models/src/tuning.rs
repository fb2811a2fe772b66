//! Beams, weights and calibration: the numbers that were found by measuring on development audio.

use dictum_decoder::search::SearchConfig;
use dictum_language::Spelling;
use dictum_language::custom::Mixture;

use crate::calibration::Calibration;
use crate::package::{Package, PackageKind};

/// Everything about recognition that is neither model nor request.
#[derive(Debug, Clone, PartialEq)]
pub struct Tuning {
    /// Beams and weights of the search.
    pub search: SearchConfig,
    /// Beams and weights of the search for interim results.
    pub interim: SearchConfig,
    /// Beams and weights of the search where a grammar says what can be recognised.
    pub grammar: SearchConfig,
    /// What else is searched where several readings are asked for; none where the usual search leaves enough.
    pub several: Option<Several>,
    /// What a word costs that is spelt out of tokens, with models that have them.
    pub spelling: Spelling,
    /// How well a phrase of a grammar must fit, see [`Tuning::fit`].
    pub least_fit: f32,
    /// Share of an utterance's speech below which the words of a grammar's phrase are doubted for what else was said.
    pub least_coverage: f32,
    /// Steepness of [`Tuning::fit`].
    pub fit_slope: f32,
    /// Lattice beam, natural log at acoustic scale.
    pub lattice_beam: f32,
    /// The same where a grammar says what can be recognised: its phrases are few, and that which fits may be far from the best.
    pub grammar_lattice_beam: f32,
    /// Language model weight with which lattices are read; the search uses its own.
    pub lattice_lm_weight: f32,
    /// Word penalty with which lattices are read.
    pub lattice_word_penalty: f32,
    /// Scale of lattice scores for posteriors.
    pub posterior_scale: f32,
    /// Confidences by posteriors.
    pub calibration: Calibration,
    /// How many frames of speech the model's own cepstral mean counts for beside an utterance of none; ever fewer beside longer ones.
    pub short_mean: f32,
    /// How much the words of a custom model count; the weight is a request's.
    pub mixture: Mixture,
    /// Whether the reading is the one with least expected word errors, rather than the likeliest path.
    pub minimum_bayes_risk: bool,
}

/// A wider search for further readings.
#[derive(Debug, Clone, PartialEq)]
pub struct Several {
    /// Beams and weights of the search.
    pub search: SearchConfig,
    /// Lattice beam, for further readings only.
    pub lattice_beam: f32,
}

impl Default for Tuning {
    fn default() -> Self {
        Tuning {
            search: SearchConfig::default(),
            interim: interim(),
            grammar: grammar(),
            several: None,
            spelling: SPELLING,
            least_fit: -4.6,
            fit_slope: 1.5,
            least_coverage: 0.7,
            lattice_beam: 60.0,
            grammar_lattice_beam: 60.0,
            lattice_lm_weight: 10.0,
            lattice_word_penalty: -11.0,
            posterior_scale: 0.09,
            calibration: CALIBRATION,
            short_mean: 20.0,
            mixture: Mixture::default(),
            minimum_bayes_risk: true,
        }
    }
}

/// A word that is spelt is one of some ten thousand that a language model does not know, and its pieces are told by sound.
const SPELLING: Spelling = Spelling { first: -14.0, later: -2.0 };

/// Scores of a CTC model are probabilities of tokens, a few in a word, so beams are narrow and language counts as it is.
fn ctc() -> SearchConfig {
    SearchConfig {
        beam: 9.0,
        phone_beam: 9.0,
        last_phone_beam: 8.0,
        word_beam: 7.0,
        copy_beam: 3.5,
        max_active: 2_000,
        phone_look_ahead: 0,
        phone_look_ahead_weight: 1.0,
        lm_weight: 0.5,
        word_penalty: 0.5,
        silence_penalty: 0.0,
        filler_penalty: -2.0,
        lattice: true,
    }
}

/// Narrower beams: about a third of the work.
fn interim() -> SearchConfig {
    SearchConfig {
        beam: 80.0,
        phone_beam: 55.0,
        last_phone_beam: 45.0,
        word_beam: 35.0,
        max_active: 2_000,
        lattice: false,
        ..Default::default()
    }
}

/// What a grammar allows is told apart by sound alone, so its probabilities count little; and no copy of a node may be dropped
/// for another one, which may lead nowhere.
fn grammar() -> SearchConfig {
    SearchConfig { copy_beam: 110.0, lm_weight: 2.0, word_penalty: -20.0, ..Default::default() }
}

/// How often words with a posterior were right (`examples/tune`, `words=FILE`): 2373 words of 216 clips, two thirds of them by
/// many speakers on their own devices. None of the clips that `make bench` reports on is among them.
const CALIBRATION: Calibration = Calibration::fixed(&[
    (0.0, 0.0),
    (0.3115, 0.08),
    (0.4316, 0.177),
    (0.5291, 0.183),
    (0.6266, 0.352),
    (0.725, 0.4),
    (0.8087, 0.429),
    (0.885, 0.554),
    (0.9439, 0.574),
    (0.9757, 0.703),
    (0.9925, 0.783),
    (0.9988, 0.784),
    (1.0, 0.928),
]);

impl Tuning {
    /// What suits the kind of a package, with the package's own calibration.
    pub fn of(package: &Package) -> Tuning {
        let mut tuning = match package.kind {
            PackageKind::Sphinx => Tuning::default(),
            PackageKind::Ctc => Tuning::ctc(),
        };
        if let Some(calibration) = &package.calibration {
            tuning.calibration = calibration.clone();
        }
        tuning
    }

    /// For models of tokens.
    pub fn ctc() -> Tuning {
        Tuning {
            search: ctc(),
            interim: SearchConfig {
                beam: 7.0,
                phone_beam: 7.0,
                last_phone_beam: 6.0,
                word_beam: 5.0,
                max_active: 800,
                lattice: false,
                ..ctc()
            },
            grammar: SearchConfig {
                beam: 60.0,
                phone_beam: 60.0,
                last_phone_beam: 60.0,
                word_beam: 60.0,
                copy_beam: 60.0,
                word_penalty: 0.0,
                ..ctc()
            },
            // A network that is sure of itself leaves nothing else within the usual beams.
            several: Some(Several {
                search: SearchConfig {
                    beam: 16.0,
                    phone_beam: 16.0,
                    last_phone_beam: 15.0,
                    word_beam: 14.0,
                    copy_beam: 7.0,
                    ..ctc()
                },
                lattice_beam: 14.0,
            }),
            least_fit: -2.5,
            fit_slope: 2.0,
            // Tokens are heard in a frame or two of their sound.
            least_coverage: 0.1,
            lattice_beam: 6.0,
            grammar_lattice_beam: 30.0,
            lattice_lm_weight: 0.5,
            lattice_word_penalty: 0.5,
            posterior_scale: 0.7,
            calibration: Calibration::NONE,
            ..Tuning::default()
        }
    }

    /// Probability that what was said is what was recognised of it under a grammar, by its acoustic log-likelihood a frame
    /// (natural log) over that of the best sequence of phones: the best phrase of a grammar fits badly what is not of it.
    pub fn fit(&self, score: f32) -> f32 {
        1.0 / (1.0 + (-self.fit_slope * (score - self.least_fit)).exp())
    }
}
