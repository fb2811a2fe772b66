//! Why a wish about custom models is not granted, in the words of the API (errors.md).

use dictum_language::{SoundsLikeError, WordError};
use dictum_models::ModelsError;
use dictum_store::{ResourceKind, StoreError};

use super::work::WorkError;

/// Why a call about custom models failed.
#[derive(Debug, thiserror::Error)]
pub enum CustomizationError {
    /// The instance has no such model.
    #[error("Invalid customization_id '{0}' for user")]
    Unknown(String),
    /// Something else is being done with it.
    #[error("Customization '{0}' is currently locked to process your last request.")]
    Busy(String),
    /// It cannot be done, whoever asks.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The base model cannot be loaded.
    #[error(transparent)]
    Models(#[from] ModelsError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What was trained cannot be loaded.
    #[error("a custom model cannot be loaded: {0}")]
    Loading(String),
}

impl From<WorkError> for CustomizationError {
    fn from(error: WorkError) -> CustomizationError {
        CustomizationError::Loading(error.to_string())
    }
}

/// Mistakes of clients.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// Not the form of an id.
    #[error("Malformed GUID: '{0}'")]
    MalformedGuid(String),
    /// No model of this name.
    #[error("The base model '{0}' is not recognized")]
    UnknownBase(String),
    /// A model that cannot be customized.
    #[error("Language customization is not supported for base model '{0}'")]
    NotCustomizable(String),
    /// Not a dialect of the language.
    #[error("Invalid dialect value '{dialect}' specified for language '{language}'")]
    Dialect {
        /// What was asked for.
        dialect: String,
        /// The language of the base model.
        language: String,
    },
    /// Not a language of custom models.
    #[error("Language '{0}' is not supported for customization")]
    Language(String),
    /// A text that is too long.
    #[error("The {what} is longer than {most} characters")]
    TooLong {
        /// Which.
        what: &'static str,
        /// As many are allowed.
        most: usize,
    },
    /// The instance has as many models as it may.
    #[error(
        "You exceeded the maximum '{most}' of allowed custom language models. You have '{have}' custom language models. Please \
         remove the models you do not need or contact the operator of this server to apply for an exception."
    )]
    TooManyModels {
        /// As many are allowed.
        most: u64,
        /// As many there are.
        have: u64,
    },
    /// A name that no resource of that kind has, or that none can have.
    #[error("Invalid value for {} name '{name}'", .kind.name())]
    ResourceName {
        /// Corpus or grammar.
        kind: ResourceKind,
        /// The name.
        name: String,
    },
    /// A resource of that name is there.
    #[error("{}", exists(*.kind, .name))]
    Exists {
        /// Corpus or grammar.
        kind: ResourceKind,
        /// Its name.
        name: String,
    },
    /// A resource of the other kind has that name.
    #[error("{} exists with {} name '{name}'. Please use different name.", capital(other(*.kind)), .kind.name())]
    OtherKind {
        /// What was to be added.
        kind: ResourceKind,
        /// Its name.
        name: String,
    },
    /// Nothing was sent.
    #[error("{} file not specified or empty", capital(*.0))]
    EmptyResource(ResourceKind),
    /// The model has no such word.
    #[error("Invalid value for word '{0}'")]
    UnknownWord(String),
    /// A word that cannot be one.
    #[error(transparent)]
    Word(#[from] WordError),
    /// A `sounds_like` that cannot be said.
    #[error(transparent)]
    SoundsLike(#[from] SoundsLikeError),
    /// More words than a model may have, found when they are added.
    #[error(
        "TOTAL_NUMBER_OF_OOV_WORDS_EXCEEDS_MAXIMUM_ALLOWED_FORMAT: \"Total number of OOV words {count} exceeds {most}\""
    )]
    TooManyAdded {
        /// As many there would be.
        count: u64,
        /// As many are allowed.
        most: u64,
    },
    /// Nothing to train with, or nothing new.
    #[error("No input data available for running training")]
    NoData,
    /// Words with errors, in a strict training.
    #[error("Fix errors in the following words: [{0}] before training")]
    WordErrors(String),
    /// Resources that could not be analysed, in a strict training.
    #[error("{0}")]
    InvalidResources(String),
    /// More text than a model may have.
    #[error("Total number of words {0} exceeds maximum allowed")]
    TooManyWords(u64),
    /// More words than a model may have.
    #[error("Total number of OOV words {count} exceeds {most}")]
    TooManyNewWords {
        /// As many there are.
        count: u64,
        /// As many are allowed.
        most: u64,
    },
    /// A model that was never trained, or emptied since.
    #[error("Requested custom language model is not available. Please make sure the custom model is trained.")]
    NotTrained,
    /// A model of another base model than the request's.
    #[error("Customization '{id}' is based on model '{based}', not on '{wanted}'")]
    OtherBase {
        /// Its id.
        id: String,
        /// Its base model.
        based: String,
        /// The model of the request.
        wanted: String,
    },
    /// There is no newer base model.
    #[error("Custom model is up-to-date")]
    UpToDate,
    /// There is nothing to carry over.
    #[error("No input data available to upgrade the model")]
    NothingToUpgrade,
    /// The model is in no state to be upgraded.
    #[error("Cannot upgrade failed custom model")]
    UpgradeFailed,
}

fn capital(kind: ResourceKind) -> &'static str {
    match kind {
        ResourceKind::Corpus => "Corpus",
        ResourceKind::Grammar => "Grammar",
    }
}

fn other(kind: ResourceKind) -> ResourceKind {
    match kind {
        ResourceKind::Corpus => ResourceKind::Grammar,
        ResourceKind::Grammar => ResourceKind::Corpus,
    }
}

/// CRP-2 and GRM-3, which differ in a word.
fn exists(kind: ResourceKind, name: &str) -> String {
    let (capital, thing) = match kind {
        ResourceKind::Corpus => ("Corpus", "file"),
        ResourceKind::Grammar => ("Grammar", "grammar"),
    };
    format!(
        "{capital} '{name}' already exists - change its name, remove existing {thing} before adding new one, or overwrite \
         existing {thing} by setting 'allow_overwrite' to 'true'"
    )
}
