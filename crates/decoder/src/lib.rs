//! Pronunciation network, beam search, lattice, and what is read from a lattice.
//!
//! The way of an utterance through this crate:
//!
//! ```text
//! Lexicon ──▶ Network ─┐                                       ┌▶ consensus: reading, confidences, confusion network
//!                      ├▶ Search::push(scores) ──▶ Lattice ────┼▶ n_best: alternatives
//! LanguageModel ───────┘     one call a frame                  └▶ keywords: posteriors of phrases
//! ```
//!
//! A [`Network`](network::Network) is compiled once from a [`Lexicon`](lexicon::Lexicon) and the acoustic model's units;
//! a [`Search`](search::Search) takes one frame of senone scores at a time and keeps records of word ends; the
//! [`Lattice`](lattice::Lattice) built from them carries exact language model scores. [`endpoint`] decides, before all
//! this, which stretch of audio is an utterance.
//!
//! All scores are natural logs in `f32`. Times are frames here (10 ms with the default model), seconds in [`result`].
//! Nothing in this crate reads files or knows of requests.

#![forbid(unsafe_code)]

pub mod consensus;
pub mod ctc;
pub mod endpoint;
pub mod graph;
pub mod instances;
pub mod keywords;
pub mod lattice;
pub mod lexicon;
pub mod look_ahead;
pub mod n_best;
pub mod network;
mod node_best;
pub mod phone_look_ahead;
pub mod phone_loop;
#[cfg(test)]
mod random_lattice;
pub mod result;
pub mod search;
pub mod topology;
