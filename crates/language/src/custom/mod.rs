//! Language models that users teach: what is estimated from their texts, and how it stands beside the base model.
//!
//! * [`Training`]: collects words and counted texts, estimates a snapshot and writes it.
//! * [`Snapshot`]: a trigram model over the base vocabulary and a customization's new words, in one memory-mapped file.
//! * [`Interpolated`]: the base model and a snapshot in one [`LanguageModel`](crate::LanguageModel), mixed at a weight
//!   that a request chooses.

mod interpolated;
#[cfg(test)]
mod samples;
mod snapshot;
mod training;
mod writer;

pub use interpolated::{Interpolated, Mixture};
pub use snapshot::Snapshot;
pub use training::Training;

/// ln of a probability that no search ever considers, yet finite: sums and differences of scores stay numbers.
pub const NEVER: f32 = -1000.0;
