//! The documents of custom language models (language-models.md section 4, corpora-words-grammars.md sections 2.2, 3.2 and 4).

use std::time::SystemTime;

use dictum_service::customization::{Warning, Word as TaughtWord};
use dictum_store::{Customization, CustomizationStatus, Resource};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

/// An answer that says nothing but that it is done.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Empty {}

/// The answer to the creation of a model.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CreatedModel {
    /// GUID of the model.
    pub(super) customization_id: String,
}

/// `LanguageModels`: the models of an instance, oldest first.
#[derive(Debug, Serialize, JsonSchema)]
pub struct LanguageModels {
    pub(super) customizations: Vec<LanguageModel>,
}

/// `LanguageModel`: a custom language model.
#[derive(Debug, Serialize, JsonSchema)]
pub struct LanguageModel {
    /// GUID.
    customization_id: String,
    /// `YYYY-MM-DDThh:mm:ss.sssZ`
    created: String,
    /// When it was last changed.
    updated: String,
    /// Language of the base model.
    language: String,
    dialect: String,
    /// Versions of the base model, oldest first.
    versions: Vec<String>,
    /// GUID of the instance it belongs to.
    owner: String,
    name: String,
    /// Empty where none was given.
    description: String,
    base_model_name: String,
    /// `pending`, `ready`, `training`, `available`, `upgrading` or `failed`.
    status: &'static str,
    /// 100 when it is available, 0 otherwise.
    progress: u8,
    /// What went wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// What was odd about the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    warnings: Option<String>,
}

impl LanguageModel {
    pub(super) fn new(model: Customization, warnings: Option<String>) -> LanguageModel {
        LanguageModel {
            customization_id: model.id,
            created: timestamp(model.created),
            updated: timestamp(model.updated),
            language: model.language,
            dialect: model.dialect,
            versions: model.versions,
            owner: model.instance,
            name: model.name,
            description: model.description.unwrap_or_default(),
            base_model_name: model.base_model,
            status: model.status.name(),
            progress: if model.status == CustomizationStatus::Available { 100 } else { 0 },
            error: model.error,
            warnings,
        }
    }
}

fn timestamp(time: SystemTime) -> String {
    humantime::format_rfc3339_millis(time).to_string()
}

/// `TrainingResponse`: what a training leaves out.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Training {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<TrainingWarning>,
}

/// `TrainingWarning`: something that a training leaves out.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TrainingWarning {
    /// `invalid_corpus_files`, `invalid_grammar_files` or `invalid_words`.
    code: &'static str,
    message: String,
}

impl Training {
    pub(super) fn new(warnings: Vec<Warning>) -> Training {
        let of = |Warning { code, message }| TrainingWarning { code, message };
        Training { warnings: warnings.into_iter().map(of).collect() }
    }
}

/// `Corpora`: the corpora of a model, by name.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Corpora {
    pub(super) corpora: Vec<Corpus>,
}

/// `Corpus`: a text.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Corpus {
    name: String,
    /// With repetitions; 0 while it is being processed.
    total_words: u64,
    /// Different words that the base vocabulary lacks.
    out_of_vocabulary_words: u64,
    /// `analyzed`, `being_processed` or `undetermined`.
    status: &'static str,
    /// Why it could not be analysed.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl Corpus {
    pub(super) fn new(resource: Resource) -> Corpus {
        Corpus {
            name: resource.name,
            total_words: resource.total_words,
            out_of_vocabulary_words: resource.new_word_count,
            status: resource.status.name(),
            error: resource.error,
        }
    }
}

/// `Grammars`: the grammars of a model, by name.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Grammars {
    pub(super) grammars: Vec<GrammarDocument>,
}

/// `Grammar`: what may be said, as rules.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Grammar")]
pub struct GrammarDocument {
    name: String,
    /// Different words that the base vocabulary lacks.
    out_of_vocabulary_words: u64,
    /// `analyzed`, `being_processed` or `undetermined`.
    status: &'static str,
    /// Why it could not be analysed.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl GrammarDocument {
    pub(super) fn new(resource: Resource) -> GrammarDocument {
        GrammarDocument {
            name: resource.name,
            out_of_vocabulary_words: resource.new_word_count,
            status: resource.status.name(),
            error: resource.error,
        }
    }
}

/// `Words`: the words of a model.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Words {
    pub(super) words: Vec<Word>,
}

/// `Word`: a word of a model.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Word {
    word: String,
    sounds_like: Vec<String>,
    /// Empty for a word of the base vocabulary of which nothing was said.
    display_as: String,
    /// How often it is in corpora and grammars; 1 where it is in none.
    count: u64,
    /// Names of corpora and grammars, `user`.
    source: Vec<String>,
    /// As given.
    #[serde(skip_serializing_if = "Option::is_none")]
    mapping_only: Option<Value>,
    /// Objects with one member: a `sounds_like` and what is wrong with it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    error: Vec<Value>,
}

impl Word {
    pub(super) fn new(word: TaughtWord) -> Word {
        Word {
            word: word.word,
            sounds_like: word.sounds_like,
            display_as: word.display_as,
            count: word.count,
            source: word.source,
            mapping_only: word.mapping_only,
            error: word.errors.into_iter().map(|(item, why)| json!({ item: why })).collect(),
        }
    }
}
