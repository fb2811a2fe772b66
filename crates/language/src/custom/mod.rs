//! Language models that users teach: what is estimated from their texts, and how it stands beside the base model.
//!
//! * [`corpus`]: texts as users send them; [`corpus::analyse`] writes their n-gram [`Counts`], so that training does not
//!   read them again.
//! * [`Training`]: collects words and counted texts, estimates a snapshot and writes it.
//! * [`Snapshot`]: a trigram model over the base vocabulary and a customization's new words, in one memory-mapped file.
//! * [`Interpolated`]: the base model and a snapshot in one [`LanguageModel`](crate::LanguageModel), mixed at a weight
//!   that a request chooses.

pub mod corpus;
mod counter;
mod counts;
mod estimate;
mod interpolated;
mod prune;
#[cfg(test)]
mod samples;
mod snapshot;
mod training;
mod writer;

pub use counter::Limits;
pub use counts::{Counts, NewWord, TextSummary};
pub use estimate::Smoothing;
pub use interpolated::{Interpolated, Mixture};
pub use prune::SizeBound;
pub use snapshot::Snapshot;
pub use training::{Trained, Training};

/// ln of a probability that no search ever considers, yet finite: sums and differences of scores stay numbers.
pub const NEVER: f32 = -1000.0;
