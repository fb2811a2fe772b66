//! Custom language models as a wire format asks for them (language-models.md, corpora-words-grammars.md), without the wire format.
//!
//! [`Customizations`] checks what is asked for and writes it down; what takes its time is done by [`LanguageHandler`], a worker on
//! [`Queue::LanguageTraining`](dictum_store::Queue). The texts of errors are those of the API.

mod error;
mod handler;
mod models;
mod taught;
mod train;
mod words;
mod work;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dictum_language::{Pronouncer, SoundsLike};
use dictum_models::catalogue::Generation;
use dictum_models::recogniser::Recogniser;
use dictum_models::{ModelEntry, ModelsError};
use dictum_store::{
    Blob, Change, Customization, Exceeded, NewResource, Quota, Resource, ResourceKind, Store, StoreError,
};
use futures::{Stream, StreamExt};
use parking_lot::Mutex;
use tokio::time::timeout;

use crate::limits::{Limits, Room};
use crate::{Service, UploadError};
pub use error::{CustomizationError, Invalid};
pub use handler::LanguageHandler;
pub use models::NewModel;
pub use taught::{OUTDATED, Taught};
pub use train::{TrainOptions, Warning};
pub use words::{NewWord, Order, Word, WordType};

/// Most custom language models of an instance.
pub const MOST_MODELS: u64 = 1024;
/// Most words of all corpora of a model, with repetitions.
pub const MOST_WORDS: u64 = 10_000_000;
/// Most words of a model that the base vocabulary lacks.
pub const MOST_NEW_WORDS: u64 = 90_000;
/// Most bytes of a corpus: ten million words of ordinary length many times over.
pub const LARGEST_CORPUS: u64 = 1 << 30;
/// Names that corpora and grammars cannot have.
const RESERVED: [&str; 3] = ["user", "base_lm", "default_lm"];
/// Longest name of a corpus or a grammar, characters.
const LONGEST_NAME: usize = 128;
/// How long a client may send nothing.
const PATIENCE: Duration = Duration::from_secs(30);

/// The custom language models of all instances.
#[derive(Clone)]
pub struct Customizations {
    service: Arc<Service>,
    store: Store,
    limits: Limits,
    languages: Arc<Mutex<HashMap<String, Arc<Language>>>>,
    cache: Arc<taught::Cache>,
}

/// What is known of the words of a base model.
pub(crate) struct Language {
    pub(crate) recogniser: Arc<Recogniser>,
    pub(crate) pronouncer: Option<Pronouncer>,
    /// Whether words of corpora are listed (corpora-words-grammars.md section 2.2).
    pub(crate) lists_words: bool,
    /// Whether words may be there to be written only (section 3.4).
    pub(crate) maps: bool,
}

impl Language {
    /// Whether the base vocabulary has a word, in whatever case.
    pub(crate) fn knows(&self, word: &str) -> bool {
        let vocabulary = self.recogniser.model().language_model().shared_vocabulary();
        vocabulary.id(word).is_some() || vocabulary.id(&word.to_lowercase()).is_some()
    }
}

impl Customizations {
    /// Those in a store, over the models of a service.
    pub fn new(service: Arc<Service>, store: Store) -> Customizations {
        let limits = Limits::new(store.clone(), Quota::default());
        Customizations { service, store, limits, languages: Arc::default(), cache: Arc::default() }
    }

    /// The same with limits to what instances may keep.
    pub fn with_limits(self, limits: Limits) -> Customizations {
        Customizations { limits, ..self }
    }

    /// The base model of a custom one.
    pub(crate) fn base(&self, name: &str) -> Option<ModelEntry> {
        self.service.registry().resolve(name).ok()
    }

    /// The words of a base model; loads it when it is not loaded yet.
    pub(crate) async fn language(&self, entry: &ModelEntry) -> Result<Arc<Language>, ModelsError> {
        let name = entry.info.name.clone();
        if let Some(language) = self.languages.lock().get(&name) {
            return Ok(Arc::clone(language));
        }
        let recogniser = self.service.recogniser(entry).await?;
        let pronouncer = recogniser.model().pronouncer(SoundsLike::of_language(&entry.info.language));
        let lists_words = entry.info.generation == Generation::Previous;
        let maps = entry.info.generation == Generation::Large;
        let language = Arc::new(Language { recogniser, pronouncer, lists_words, maps });
        self.languages.lock().insert(name, Arc::clone(&language));
        Ok(language)
    }

    /// A custom model of an instance.
    pub async fn model(&self, instance: &str, id: &str) -> Result<Customization, CustomizationError> {
        let id = id.to_ascii_lowercase();
        let hyphens = [8, 13, 18, 23];
        let guid = id.len() == 36
            && id.bytes().enumerate().all(|(at, byte)| match hyphens.contains(&at) {
                true => byte == b'-',
                false => byte.is_ascii_hexdigit(),
            });
        if !guid {
            return Err(Invalid::MalformedGuid(id).into());
        }
        self.store.customization(instance, &id).await?.ok_or(CustomizationError::Unknown(id))
    }

    /// How much an instance may still keep.
    pub async fn room(&self, instance: &str) -> Result<Room, StoreError> {
        self.limits.room(instance).await
    }

    /// Takes in a text, at most `most` bytes of it and no more than there is room for, piece by piece into the store.
    ///
    /// # Errors
    /// When it is larger, does not come or cannot be stored.
    pub async fn receive<S, E>(&self, body: &mut S, most: u64, room: Room) -> Result<Blob, ReceiveError<E>>
    where
        S: Stream<Item = Result<Bytes, E>> + Unpin,
    {
        let mut writer = self.store.blobs().writer();
        loop {
            let piece = timeout(PATIENCE, body.next()).await;
            let Some(piece) = piece.map_err(|_| ReceiveError::Upload(UploadError::TimedOut))? else { break };
            let piece = piece.map_err(|error| ReceiveError::Upload(UploadError::Body(error)))?;
            if writer.size() + piece.len() as u64 > most {
                return Err(ReceiveError::Upload(UploadError::TooLarge { limit: most }));
            }
            room.admits_bytes(writer.size() + piece.len() as u64)?;
            writer.write(piece).await?;
        }
        Ok(writer.finish().await?)
    }

    /// Checks whether a corpus or a grammar may be added, before its text is read.
    ///
    /// # Errors
    /// When the model is not there or busy, or the name is none or taken.
    pub async fn check_resource(
        &self,
        instance: &str,
        id: &str,
        (kind, name): (ResourceKind, &str),
        replace: bool,
    ) -> Result<Customization, CustomizationError> {
        let model = self.model(instance, id).await?;
        if model.busy.is_some() {
            return Err(CustomizationError::Busy(model.id));
        }
        if name.is_empty() || name.chars().nth(LONGEST_NAME).is_some() || RESERVED.contains(&name) {
            return Err(Invalid::ResourceName { kind, name: name.to_owned() }.into());
        }
        let resources = self.store.resources(&model.id, None, false).await?;
        match resources.iter().find(|resource| resource.name == name) {
            Some(there) if there.kind != kind => Err(Invalid::OtherKind { kind, name: name.to_owned() }.into()),
            Some(_) if !replace => Err(Invalid::Exists { kind, name: name.to_owned() }.into()),
            _ => Ok(model),
        }
    }

    /// Adds a corpus or a grammar that was received, and begins its analysis.
    ///
    /// # Errors
    /// As [`check_resource`](Self::check_resource), and when it is empty.
    pub async fn add_resource(
        &self,
        instance: &str,
        id: &str,
        new: NewResource,
        replace: bool,
    ) -> Result<(), CustomizationError> {
        let (kind, name) = (new.kind, new.name.clone());
        if new.text.size == 0 {
            return Err(Invalid::EmptyResource(kind).into());
        }
        match self.store.put_resource(instance, id, &new, replace).await? {
            Change::Done(None) => Ok(()),
            Change::Done(Some(there)) if there == kind => Err(Invalid::Exists { kind, name }.into()),
            Change::Done(Some(_)) => Err(Invalid::OtherKind { kind, name }.into()),
            Change::Busy => Err(CustomizationError::Busy(id.to_owned())),
            Change::Unknown => Err(CustomizationError::Unknown(id.to_owned())),
        }
    }

    /// The corpora or the grammars of a model, by name. (Where words of corpora are not listed they are not counted either.)
    ///
    /// # Errors
    /// When the model is not there.
    pub async fn resources(
        &self,
        instance: &str,
        id: &str,
        kind: ResourceKind,
    ) -> Result<Vec<Resource>, CustomizationError> {
        let model = self.model(instance, id).await?;
        let mut resources = self.store.resources(&model.id, Some(kind), false).await?;
        let lists = self.base(&model.base_model).is_none_or(|base| base.info.generation == Generation::Previous);
        if !lists {
            resources.iter_mut().for_each(|resource| resource.new_word_count = 0);
        }
        Ok(resources)
    }

    /// One corpus or grammar of a model.
    ///
    /// # Errors
    /// When the model or the resource is not there.
    pub async fn resource(
        &self,
        instance: &str,
        id: &str,
        (kind, name): (ResourceKind, &str),
    ) -> Result<Resource, CustomizationError> {
        let found = self.resources(instance, id, kind).await?.into_iter().find(|resource| resource.name == name);
        Ok(found.ok_or_else(|| Invalid::ResourceName { kind, name: name.to_owned() })?)
    }

    /// A corpus or grammar as it was sent: its text, and the media type of a grammar.
    ///
    /// # Errors
    /// When the model or the resource is not there.
    pub async fn text(
        &self,
        instance: &str,
        id: &str,
        (kind, name): (ResourceKind, &str),
    ) -> Result<
        (Option<String>, impl Stream<Item = Result<Bytes, StoreError>> + Send + Unpin + use<>),
        CustomizationError,
    > {
        let resource = self.resource(instance, id, (kind, name)).await?;
        Ok((resource.media, self.store.blobs().read(&resource.text).await?))
    }

    /// Removes a corpus or a grammar.
    ///
    /// # Errors
    /// When the model or the resource is not there, or the model is busy.
    pub async fn delete_resource(
        &self,
        instance: &str,
        id: &str,
        (kind, name): (ResourceKind, &str),
    ) -> Result<(), CustomizationError> {
        let model = self.model(instance, id).await?;
        match done(&model.id, self.store.delete_resource(instance, &model.id, kind, name).await?)? {
            true => Ok(()),
            false => Err(Invalid::ResourceName { kind, name: name.to_owned() }.into()),
        }
    }
}

/// Why a text was not taken.
#[derive(Debug, thiserror::Error)]
pub enum ReceiveError<E> {
    /// It did not come, or there was too much of it.
    #[error(transparent)]
    Upload(UploadError<E>),
    /// The instance may not keep that much.
    #[error(transparent)]
    Exceeded(#[from] Exceeded),
    /// It could not be stored.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What was done, or why not.
fn done<T>(id: &str, change: Change<T>) -> Result<T, CustomizationError> {
    match change {
        Change::Done(what) => Ok(what),
        Change::Busy => Err(CustomizationError::Busy(id.to_owned())),
        Change::Unknown => Err(CustomizationError::Unknown(id.to_owned())),
    }
}
