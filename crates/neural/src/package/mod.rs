//! Packages: which files there are, what kind of network they hold, and how it wants to be fed.

mod files;
mod metadata;
mod recipe;

pub(crate) use files::find;
pub(crate) use recipe::{Kind, Layout, Normalise, Offline, Recipe, StateKind, Streaming, recognise};

use crate::onnx::Outline;

/// Which of two networks of a package is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// Weights in eight bits (`model.int8.onnx`): a third of the size, about half the time.
    Int8,
    /// Weights in 32 bits (`model.onnx`).
    Float,
}

/// What kind of network a file holds, in words.
///
/// # Errors
/// A sentence about why it cannot be used.
pub fn describe(outline: &Outline) -> Result<&'static str, String> {
    recognise(outline).map(|recipe| recipe.name)
}
