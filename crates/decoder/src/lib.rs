//! Pronunciation network, beam search, lattice.
pub mod result;
