//! Errors of the language model readers.

use std::fmt;

/// Why a language model could not be read.
#[derive(Debug, thiserror::Error)]
pub enum LmError {
    /// The file cannot be opened or read.
    #[error("cannot read the language model {file}: {source}")]
    Io {
        /// The file.
        file: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The contents contradict the format.
    #[error("language model {file}, {place}: {what}")]
    Malformed {
        /// The file, or `(memory)`.
        file: String,
        /// Where in it.
        place: Place,
        /// What is wrong there.
        what: String,
    },
    /// A valid model of a kind that is not supported.
    #[error("language model {file}: {what}")]
    Unsupported {
        /// The file, or `(memory)`.
        file: String,
        /// What is not supported, and what is.
        what: String,
    },
}

/// A place in a model file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Byte offset, from 0.
    Byte(u64),
    /// Line number, from 1.
    Line(u64),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Byte(offset) => write!(f, "byte {offset}"),
            Place::Line(line) => write!(f, "line {line}"),
        }
    }
}

/// A fault found by a parser, which does not know the name of what it parses.
#[derive(Debug)]
pub(crate) enum Fault {
    Io(std::io::Error),
    At(Place, String),
    Unsupported(String),
}

impl Fault {
    pub(crate) fn byte(offset: u64, what: impl Into<String>) -> Self {
        Fault::At(Place::Byte(offset), what.into())
    }

    pub(crate) fn line(line: u64, what: impl Into<String>) -> Self {
        Fault::At(Place::Line(line), what.into())
    }

    pub(crate) fn in_file(self, file: &str) -> LmError {
        let file = file.to_owned();
        match self {
            Fault::Io(source) => LmError::Io { file, source },
            Fault::At(place, what) => LmError::Malformed { file, place, what },
            Fault::Unsupported(what) => LmError::Unsupported { file, what },
        }
    }
}
