//! Features and acoustic models: samples in, frame scores out.
//!
//! [`SphinxModel`] reads a CMU Sphinx acoustic model as it is published. It says which units there are ([`Units`]: phones,
//! triphones, their three-state HMMs), how samples become cepstra ([`FrontEnd`], a stream) and cepstra become feature
//! vectors ([`cepstral_mean`], [`features`]), and how likely each HMM state (senone) is in each frame ([`Scorer`]). What is
//! searched with those scores, and what a word is, other crates know.
//!
//! ```no_run
//! use dictum_acoustic::{FrontEnd, SphinxModel, cepstral_mean, features};
//!
//! let model = SphinxModel::load("/usr/share/pocketsphinx/model/en-us/en-us".as_ref())?;
//! let samples = vec![0.0f32; 16_000]; // one second, mono, full scale ±1
//! let mut cepstra = Vec::new();
//! let mut front_end = FrontEnd::new(model.front_end());
//! front_end.push(&samples, &mut cepstra);
//! front_end.finish(&mut cepstra);
//! let features = features(&cepstra, &cepstral_mean(&cepstra));
//! let mut scores = Vec::new();
//! model.scorer().score(&features, &mut scores);
//! assert_eq!(scores.len(), features.len() * model.senone_count());
//! # Ok::<(), dictum_acoustic::ModelError>(())
//! ```
//!
//! All logarithms are natural. Frequencies are in Hz, times in seconds.

#![deny(unsafe_code)]

mod error;
mod features;
mod format;
mod frontend;
mod model;
mod narrowband;
mod scoring;
mod units;

pub use error::{ModelError, ParseError};
pub use features::{FEATURE_CONTEXT, FEATURES, cepstral_mean, features, features_of};
pub use format::{
    BasePhone, FeatParams, ModelDefinition, ParameterFile, ParameterKind, QuantizedWeights, Transform, Triphone,
    WordPosition, parse_feat_params, parse_mdef, parse_parameters, parse_sendump,
};
pub use frontend::{FrontEnd, FrontEndConfig};
pub use model::SphinxModel;
pub use narrowband::{NarrowbandMap, NarrowbandRow, PhoneMap};
pub use scoring::{Pruning, Scorer, Tying};
pub use units::{PhoneId, SequenceId, Transitions, Units};
