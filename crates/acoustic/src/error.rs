//! What can be wrong with a model.

use std::path::{Path, PathBuf};

/// Bytes that are not what the format says they must be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("byte {offset}: {reason}")]
pub struct ParseError {
    /// Where in the file, bytes from its start.
    pub offset: u64,
    /// What was expected there and what was found.
    pub reason: String,
}

/// A model that cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// A file of the model is missing or cannot be read.
    #[error(
        "cannot read {path}: {source}; a Sphinx model folder needs mdef, means, variances, transition_matrices, feat.params and either sendump or mixture_weights"
    )]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file is truncated, corrupt or of another format.
    #[error("{path}, byte {offset}: {reason}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where in it, bytes from its start.
        offset: u64,
        /// What was expected there and what was found.
        reason: String,
    },
    /// Each file is well formed, but they do not belong together or ask for what is not supported.
    #[error("{path}: {reason}")]
    Unusable {
        /// The model's folder, or the file whose content cannot be used.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
}

impl ModelError {
    pub(crate) fn malformed(path: &Path, error: ParseError) -> ModelError {
        ModelError::Malformed { path: path.to_path_buf(), offset: error.offset, reason: error.reason }
    }

    pub(crate) fn unusable(path: &Path, reason: impl Into<String>) -> ModelError {
        ModelError::Unusable { path: path.to_path_buf(), reason: reason.into() }
    }

    /// The file (or folder) that is at fault.
    pub fn path(&self) -> &Path {
        match self {
            ModelError::Read { path, .. } | ModelError::Malformed { path, .. } | ModelError::Unusable { path, .. } => {
                path
            }
        }
    }

    /// Where in that file, when the fault lies at a certain byte.
    pub fn offset(&self) -> Option<u64> {
        match self {
            ModelError::Malformed { offset, .. } => Some(*offset),
            _ => None,
        }
    }
}
