//! Trained models in recognition: loaded when first asked for, kept as long as there is room.

use std::collections::HashMap;
use std::io::Write;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use dictum_language::Grammar;
use dictum_language::custom::Snapshot;
use dictum_models::ModelEntry;
use dictum_models::customization::{CustomWord, Customization};
use dictum_models::grammar::{GrammarNetwork, GrammarWord};
use dictum_models::recogniser::Recogniser;
use dictum_store::{ResourceKind, TrainedModel};
use futures::StreamExt;
use parking_lot::Mutex;
use tokio::sync::OnceCell;

use super::work::{Vocabulary, WorkError, pronounced};
use super::{CustomizationError, Customizations, Invalid, Language};

/// Bytes of loaded models that are kept; one that is in use stays whatever its size.
const MOST_BYTES: usize = 512 << 20;
/// Most bytes of the words and grammars of a model.
const LARGEST_VOCABULARY: u64 = 1 << 30;
/// Weight where neither request nor training nor base model name one.
const USUAL_WEIGHT: f32 = 0.3;

/// What a request is told whose custom model was trained over a version of the base model that is no longer there.
pub const OUTDATED: &str = "Using non-customized default base model, because your custom language model has been built with a \
                            version of the base model that is no longer supported.";

/// A custom model that can be recognised with.
#[derive(Clone)]
pub struct Taught {
    loaded: Arc<Loaded>,
    weight: f32,
}

/// A trained model, ready for any request.
struct Loaded {
    model: Customization,
    grammars: HashMap<String, GrammarNetwork>,
}

impl Loaded {
    fn size_bytes(&self) -> usize {
        self.model.size_bytes() + self.grammars.values().map(GrammarNetwork::size_bytes).sum::<usize>()
    }
}

impl Taught {
    /// The base model with this one at a weight; without one, at that of its training or the usual one. With the name of a
    /// grammar: what that generates and nothing else.
    ///
    /// # Errors
    /// When there is no such grammar, or the model was trained over another one.
    pub fn recogniser(
        &self,
        base: &Arc<Recogniser>,
        weight: Option<f64>,
        grammar: Option<&str>,
    ) -> Result<Arc<Recogniser>, CustomizationError> {
        if let Some(name) = grammar {
            let unknown = || Invalid::ResourceName { kind: ResourceKind::Grammar, name: name.to_owned() };
            return Ok(base.with_grammar(self.loaded.grammars.get(name).ok_or_else(unknown)?));
        }
        let weight = weight.map_or(self.weight, |weight| weight as f32);
        let customized = base.customized(&self.loaded.model, weight);
        customized.map_err(|error| CustomizationError::Loading(error.to_string()))
    }
}

type Place = Arc<OnceCell<Arc<Loaded>>>;

/// Loaded models by the blob they came from, the last used last.
#[derive(Default)]
pub(super) struct Cache {
    places: Mutex<Vec<(String, Place)>>,
}

impl Cache {
    /// The place of a model, loaded or not. Whoever asks first loads it, and the others wait.
    fn place(&self, blob: &str) -> Place {
        let mut places = self.places.lock();
        let at = places.iter().position(|(known, _)| known == blob);
        let entry = at.map(|at| places.remove(at)).unwrap_or_else(|| (blob.to_owned(), Place::default()));
        let place = Arc::clone(&entry.1);
        places.push(entry);
        place
    }

    /// Lets go of models that were not used for long, until the rest has room.
    fn tidy(&self) {
        let mut places = self.places.lock();
        let size = |place: &Place| place.get().map_or(0, |loaded| loaded.size_bytes());
        let mut total: usize = places.iter().map(|(_, place)| size(place)).sum();
        while total > MOST_BYTES && places.len() > 1 {
            total -= size(&places.remove(0).1);
        }
    }
}

impl Customizations {
    /// A custom model of an instance, to recognise with over `base`. `None`: see [`OUTDATED`].
    ///
    /// # Errors
    /// When it is not there, not trained, or based on another model.
    pub async fn taught(
        &self,
        instance: &str,
        id: &str,
        base: &ModelEntry,
    ) -> Result<Option<Taught>, CustomizationError> {
        let model = self.model(instance, id).await?;
        if model.base_model != base.info.name {
            let (wanted, based) = (base.info.name.clone(), model.base_model);
            return Err(Invalid::OtherBase { id: model.id, based, wanted }.into());
        }
        let trained = model.trained.ok_or(Invalid::NotTrained)?;
        if trained.version != base.version() {
            return Ok(None);
        }
        let place = self.cache.place(&trained.snapshot);
        let loaded = place.get_or_try_init(|| self.load(base, &trained)).await.map(Arc::clone);
        self.cache.tidy();
        let usual = base.info.customization_weight.unwrap_or(USUAL_WEIGHT);
        let weight = model.weight.map_or(usual, |weight| weight as f32);
        loaded.map(|loaded| Some(Taught { loaded, weight }))
    }

    async fn load(&self, base: &ModelEntry, trained: &TrainedModel) -> Result<Arc<Loaded>, CustomizationError> {
        let language = self.language(base).await?;
        let vocabulary = self.store.blobs().bytes(&trained.words, LARGEST_VOCABULARY).await?;
        let mut file = tempfile::NamedTempFile::new().map_err(WorkError::Machine)?;
        let mut pieces = self.store.blobs().read(&trained.snapshot).await?;
        while let Some(piece) = pieces.next().await {
            // Into the system's cache: no wait worth a thread.
            file.write_all(&piece?).map_err(WorkError::Machine)?;
        }
        let load = move || -> Result<Arc<Loaded>, WorkError> {
            let unreadable = |error: &dyn std::fmt::Display| WorkError::Data(error.to_string());
            let vocabulary: Vocabulary = serde_json::from_slice(&vocabulary).map_err(|error| unreadable(&error))?;
            let recogniser = &language.recogniser;
            // The name goes when this ends; the mapping keeps what is behind it.
            let snapshot = Snapshot::open(file.path(), recogniser.model().language_model().shared_vocabulary())?;
            let model =
                Customization::new(recogniser, Arc::new(snapshot), &vocabulary.words, vocabulary.mappings.clone());
            let taught: HashMap<&str, &CustomWord> =
                vocabulary.words.iter().map(|word| (word.word.as_str(), word)).collect();
            let mut grammars = HashMap::new();
            for (name, text) in &vocabulary.grammars {
                let bytes = STANDARD.decode(text).map_err(|error| unreadable(&error))?;
                let grammar = Grammar::from_bytes(&bytes).map_err(|error| unreadable(&error))?;
                let word = |text: &str| said(&language, &taught, text);
                grammars.insert(name.clone(), GrammarNetwork::new(recogniser, Arc::new(grammar), &word));
            }
            Ok(Arc::new(Loaded { model, grammars }))
        };
        match tokio::task::spawn_blocking(load).await {
            Ok(loaded) => Ok(loaded?),
            Err(failure) => std::panic::resume_unwind(failure.into_panic()),
        }
    }
}

/// How a word of a grammar is said: as the model was taught, or as its spelling.
fn said(language: &Language, taught: &HashMap<&str, &CustomWord>, text: &str) -> GrammarWord {
    match taught.get(text) {
        Some(word) => GrammarWord { pronunciations: word.pronunciations.clone(), display_as: word.display_as.clone() },
        None => GrammarWord { pronunciations: pronounced(language, text), display_as: None },
    }
}
