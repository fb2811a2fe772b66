//! What can be wrong with a package, and with running it.

use std::path::{Path, PathBuf};

/// Bytes that are not what their format says they must be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("byte {offset}: {reason}")]
pub struct ParseError {
    /// Where in the file, bytes from its start.
    pub offset: u64,
    /// What was expected there and what was found.
    pub reason: String,
}

/// A package that cannot be used, or a network that failed.
#[derive(Debug, thiserror::Error)]
pub enum NeuralError {
    /// A file of the package is missing or cannot be read.
    #[error(
        "cannot read {path}: {source}; a CTC model folder needs tokens.txt and model.onnx or model.int8.onnx, as the sherpa-onnx project publishes them"
    )]
    Read {
        /// The file, or the folder in which one is missing.
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
    /// Each file is well formed, but they do not belong together or are a kind of model that is not supported.
    #[error("{path}: {reason}")]
    Unusable {
        /// The package's folder, or the file whose content cannot be used.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// The network was loaded but failed while running.
    #[error("{path}: the network failed: {reason}")]
    Run {
        /// The network's file.
        path: PathBuf,
        /// What the runtime said.
        reason: String,
    },
}

impl NeuralError {
    pub(crate) fn read(path: &Path, source: std::io::Error) -> NeuralError {
        NeuralError::Read { path: path.to_path_buf(), source }
    }

    pub(crate) fn malformed(path: &Path, error: ParseError) -> NeuralError {
        NeuralError::Malformed { path: path.to_path_buf(), offset: error.offset, reason: error.reason }
    }

    pub(crate) fn unusable(path: &Path, reason: impl Into<String>) -> NeuralError {
        NeuralError::Unusable { path: path.to_path_buf(), reason: reason.into() }
    }

    pub(crate) fn run(path: &Path, reason: impl Into<String>) -> NeuralError {
        NeuralError::Run { path: path.to_path_buf(), reason: reason.into() }
    }

    /// The file (or folder) that is at fault.
    pub fn path(&self) -> &Path {
        match self {
            NeuralError::Read { path, .. }
            | NeuralError::Malformed { path, .. }
            | NeuralError::Unusable { path, .. }
            | NeuralError::Run { path, .. } => path,
        }
    }
}

/// A runtime cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuntimeError {
    /// The shared library is missing, is no such library, or is too old.
    #[error("the shared library of ONNX Runtime, 1.17 or later, cannot be loaded from {library}: {reason}", library = library.display())]
    Library {
        /// Where it was looked for; a bare name is looked for where the system looks.
        library: PathBuf,
        /// What the system or the library said.
        reason: String,
    },
    /// A process can have one of it.
    #[error("ONNX Runtime cannot be loaded from {library}: it was loaded from {loaded} already", library = library.display(), loaded = loaded.display())]
    Another {
        /// What was asked for.
        library: PathBuf,
        /// What there is.
        loaded: PathBuf,
    },
    /// The program has been built without it.
    #[error("this program was built without ONNX Runtime (the feature `ort`)")]
    NotBuilt,
}
