//! What can go wrong between a package on disk and a recogniser.

use std::path::PathBuf;

/// A package, the registry or a recogniser could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ModelsError {
    /// A file or directory could not be read.
    #[error("cannot read {path}: {source}", path = path.display())]
    Read {
        /// What was read.
        path: PathBuf,
        /// Why that failed.
        source: std::io::Error,
    },
    /// A manifest does not say what it must.
    #[error("{path}: {problem}", path = path.display())]
    Manifest {
        /// The `package.toml`.
        path: PathBuf,
        /// What is wrong and what would be right.
        problem: String,
    },
    /// Two packages have the same name.
    #[error("two model packages are named \"{name}\": {first} and {second}; remove one or rename it in its package.toml", first = first.display(), second = second.display())]
    SameName {
        /// The name.
        name: String,
        /// Directory of the package found first.
        first: PathBuf,
        /// Directory of the package found second.
        second: PathBuf,
    },
    /// The configuration maps a model name to a package that is not there.
    #[error(
        "the configuration maps model {model} to package \"{package}\", which is not installed (installed: {installed})"
    )]
    NoSuchPackage {
        /// The model name.
        model: String,
        /// The package it is mapped to.
        package: String,
        /// Names of the packages that are installed.
        installed: String,
    },
    /// The configuration maps a name that is neither in the catalogue nor follows its pattern.
    #[error(
        "the configuration maps the model name \"{model}\", which says neither language nor kind; names look like en-US_BroadbandModel, en-US_Telephony or en-US"
    )]
    OddName {
        /// The model name.
        model: String,
    },
    /// No package was found at all.
    #[error(
        "no speech model is installed: {looked} holds none; install the US English one with \"apt-get install pocketsphinx-en-us\", fetch one with \"dictum models pull\", or name the directory of another in the configuration"
    )]
    NothingInstalled {
        /// Where packages were looked for.
        looked: String,
    },
    /// A file of the package is missing, or is not the file the manifest describes.
    #[error("model package \"{package}\": {problem}")]
    Damaged {
        /// Name of the package.
        package: String,
        /// Which file, and what is wrong with it.
        problem: String,
    },
    /// A file of the package could not be understood.
    #[error("model package \"{package}\" cannot be loaded: {source}")]
    Load {
        /// Name of the package.
        package: String,
        /// What the reader of the file said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The configuration wants neural models run by what is not there.
    #[error(
        "{0}; install it (the releases at https://github.com/microsoft/onnxruntime and the package onnxruntime of PyPI hold it) and name the file by model.onnxruntime_library or ORT_DYLIB_PATH, or leave model.runtime at rten"
    )]
    Runtime(#[from] dictum_neural::RuntimeError),
}

/// A model name that cannot be served (MODEL-03).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nobody knows the name.
    #[error("Model '{0}' not found")]
    Unknown(String),
    /// The name is known, but no installed package serves it.
    #[error("Requested model is not available")]
    NotInstalled(String),
}
