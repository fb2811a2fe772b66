//! Pronunciation network, beam search, lattice.
pub mod instances;
pub mod lexicon;
pub mod look_ahead;
pub mod network;
pub mod phone_look_ahead;
pub mod result;
pub mod search;
pub mod consensus;
pub mod lattice;
pub mod endpoint;
pub mod keywords;
pub mod n_best;
#[cfg(test)]
mod random_lattice;
