//! The work itself: analysis of texts and grammars, training. Blocking, for a thread of its own.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use dictum_language::custom::corpus::{CorpusError, analyse, rules};
use dictum_language::custom::{Counts, Limits, Training};
use dictum_language::{Grammar, LmError, UnitNames};
use dictum_models::customization::{CustomWord, Mapping};
use dictum_store::ResourceKind;
use serde::{Deserialize, Serialize};

use super::words::Known;
use super::{Language, MOST_WORDS};

/// Why work came to nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum WorkError {
    /// It would come to nothing again: something about the data, in words for the client.
    #[error("{0}")]
    Data(String),
    /// The machine was in the way.
    #[error("{0}")]
    Machine(#[from] io::Error),
}

impl From<CorpusError> for WorkError {
    fn from(error: CorpusError) -> WorkError {
        match error {
            CorpusError::Reading(error) | CorpusError::Sorting(error) => WorkError::Machine(error),
            other => WorkError::Data(other.to_string()),
        }
    }
}

impl From<LmError> for WorkError {
    fn from(error: LmError) -> WorkError {
        match error {
            LmError::Io { source, .. } => WorkError::Machine(source),
            other => WorkError::Data(other.to_string()),
        }
    }
}

/// What an analysis has made.
pub(super) struct Analysed {
    /// From its beginning.
    pub(super) file: File,
    pub(super) total_words: u64,
    pub(super) new_words: Vec<(String, u64)>,
}

/// Analyses a corpus or a grammar. `media` is the form of a grammar.
pub(super) fn analyse_resource(
    language: &Language,
    tag: &str,
    kind: ResourceKind,
    media: Option<&str>,
    mut text: File,
) -> Result<Analysed, WorkError> {
    text.rewind()?;
    let mut out = BufWriter::new(tempfile::tempfile()?);
    let (total_words, new_words) = match kind {
        ResourceKind::Corpus => {
            let no_rules =
                || WorkError::Data(format!("texts in the language {tag} cannot be analysed by this version"));
            let rules = rules(tag).ok_or_else(no_rules)?;
            let limits = Limits { words: MOST_WORDS, ..Limits::default() };
            let base = language.recogniser.model().language_model().shared_vocabulary();
            let found = analyse(BufReader::with_capacity(1 << 16, text), rules, base, limits, &mut out)?;
            let new = found.new_words.into_iter().map(|new| (new.word, u64::from(new.count)));
            (found.words, new.collect())
        }
        ResourceKind::Grammar => {
            let mut document = Vec::new();
            text.read_to_end(&mut document)?;
            let compiled = match media {
                Some("application/srgs+xml") => Grammar::parse_xml(&document),
                _ => Grammar::parse_abnf(&document),
            };
            let grammar = compiled.map_err(|error| WorkError::Data(error.to_string()))?;
            out.write_all(&grammar.to_bytes())?;
            let words: Vec<(&str, u32)> = grammar.words().collect();
            let total = words.iter().map(|&(_, count)| u64::from(count)).sum();
            let new = words.into_iter().filter(|(word, _)| !language.knows(word));
            (total, new.map(|(word, count)| (word.to_owned(), u64::from(count))).collect())
        }
    };
    let mut file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.rewind()?;
    Ok(Analysed { file, total_words, new_words })
}

/// What a training has made beside the language model, as recognition reads it.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Vocabulary {
    pub(super) words: Vec<CustomWord>,
    /// What is only written otherwise.
    #[serde(default)]
    pub(super) mappings: Vec<Mapping>,
    /// Compiled grammars by name, in base64.
    pub(super) grammars: BTreeMap<String, String>,
}

/// What a training has made.
pub(super) struct Trained {
    /// The language model, from its beginning.
    pub(super) snapshot: File,
    /// The [`Vocabulary`], as JSON.
    pub(super) vocabulary: Vec<u8>,
}

/// Trains a model of words, the counts of corpora and grammars.
pub(super) fn train(
    language: &Language,
    words: &BTreeMap<String, Known>,
    user_words_only: bool,
    counts: Vec<File>,
    grammars: BTreeMap<String, Vec<u8>>,
) -> Result<Trained, WorkError> {
    let base = language.recogniser.model().language_model();
    let mut training = Training::new(base);
    let mut taught = Vec::new();
    let mut mappings = Vec::new();
    for (word, known) in words {
        let by_user = known.definition.is_some();
        let wrong = known.definition.as_ref().is_some_and(|definition| !definition.errors.is_empty());
        if wrong || !by_user && user_words_only {
            continue;
        }
        if let Some(definition) = known.definition.as_ref().filter(|definition| language.maps && definition.only_maps())
        {
            mappings.extend(definition.mappings(word));
            continue;
        }
        let said = pronunciations(language, word, known);
        // What cannot be said cannot be heard; in texts it is a gap.
        if said.is_empty() {
            continue;
        }
        let display_as = known.definition.as_ref().and_then(|definition| definition.display_as.clone());
        let entry = CustomWord { word: word.clone(), display_as, pronunciations: said };
        if by_user {
            training.user_word_with(word, entry.share());
        } else {
            training.text_word(word);
        }
        taught.push(entry);
    }
    for mut file in counts {
        file.rewind()?;
        training.text(&mut Counts::read(BufReader::with_capacity(1 << 16, file), "counts of a corpus")?)?;
    }
    let mut out = BufWriter::with_capacity(1 << 16, tempfile::tempfile()?);
    let trained = training.write(&mut out)?;
    tracing::info!(
        words = trained.words,
        new_words = trained.new_words,
        user_words = trained.user_words,
        bigrams = trained.bigrams,
        trigrams = trained.trigrams,
        "trained"
    );
    let mut snapshot = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    snapshot.rewind()?;
    // Strings and lists of them always serialise.
    let grammars = grammars.into_iter().map(|(name, bytes)| (name, STANDARD.encode(bytes))).collect();
    let vocabulary = Vocabulary { words: taught, mappings, grammars };
    Ok(Trained { snapshot, vocabulary: serde_json::to_vec(&vocabulary).unwrap_or_default() })
}

/// How a word is said as its spelling tells; names of the acoustic model's units.
pub(super) fn pronounced(language: &Language, word: &str) -> Vec<UnitNames> {
    language.pronouncer.as_ref().map_or(Vec::new(), |pronouncer| pronouncer.pronounce(word))
}

/// How a word is said: as its user says, or else as its spelling.
fn pronunciations(language: &Language, word: &str, known: &Known) -> Vec<UnitNames> {
    let Some(pronouncer) = &language.pronouncer else { return Vec::new() };
    let given = known.definition.as_ref().and_then(|definition| definition.sounds_like.as_deref()).unwrap_or_default();
    let mut found: Vec<UnitNames> = Vec::new();
    let mut add = |more: Vec<UnitNames>| {
        for pronunciation in more {
            if !found.contains(&pronunciation) {
                found.push(pronunciation);
            }
        }
    };
    for item in given {
        add(pronouncer.sounds_like(item).unwrap_or_default());
    }
    if given.is_empty() {
        add(pronouncer.pronounce(word));
    }
    found
}
