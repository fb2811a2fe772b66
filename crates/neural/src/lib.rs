//! ONNX CTC acoustic models: packages, features, streams; samples in, log-probabilities of tokens out.
//!
//! A package is a folder as the sherpa-onnx project publishes them: a network (`model.onnx`, `model.int8.onnx`) whose metadata say
//! what it is, and `tokens.txt`. [`CtcModel::open`] recognises NeMo's CTC models (Conformer, FastConformer, Parakeet, with
//! or without caches), Zipformer (whole utterances or streaming), WeNet (likewise) and networks over samples (wav2vec2,
//! Omnilingual ASR). A [`CtcStream`] turns audio into frames of scores; what words they make is no business of this crate.
//!
//! ```no_run
//! # fn main() -> Result<(), dictum_neural::NeuralError> {
//! use std::sync::Arc;
//! use dictum_neural::{CtcModel, Mode, greedy};
//!
//! let model = Arc::new(CtcModel::open("models/parakeet".as_ref())?); // immutable; share it
//! let mut stream = model.stream(Mode::Final); // one per utterance
//! let mut scores = Vec::new();
//! stream.push(&[0.0; 16_000], &mut scores)?; // any number of samples, ±1.0
//! stream.finish(&mut scores)?;
//! println!("{}", model.tokens().spell(&greedy(&scores, model.tokens())));
//! # Ok(())
//! # }
//! ```

#![deny(unsafe_code)]

mod alphabet;
mod error;
pub mod frontend;
mod greedy;
mod mapped;
mod model;
pub mod onnx;
mod package;
mod runtime;
mod stream;
mod tokens;

pub use error::{NeuralError, ParseError, RuntimeError};
pub use greedy::greedy;
pub use model::{CtcModel, Options};
pub use package::{Precision, describe};
pub use runtime::{Provider, Runtime, load_onnx_runtime};
pub use stream::{CtcStream, Mode};
pub use tokens::{Boundary, Tokens, WORD_BEGIN};
