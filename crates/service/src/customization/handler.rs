//! The worker that analyses, trains and upgrades.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dictum_models::ModelEntry;
use dictum_store::{
    Analysis, Blob, Customization, Queue, Resource, ResourceKind, ResourceStatus, Store, StoreError, Task, Ticket,
};
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};

use super::words::all_words;
use super::work::{Analysed, Trained, WorkError, analyse_resource, train};
use super::{Customizations, Language};
use crate::jobs::{Handler, Trouble};

/// Bytes that are read of a file at a time.
const PIECE: usize = 1 << 20;
/// Most bytes of a compiled grammar.
const LARGEST_GRAMMAR: u64 = 256 << 20;
/// When to try again what the machine was in the way of.
const PAUSE: Duration = Duration::from_secs(5);

/// Works on [`Queue::LanguageTraining`].
pub struct LanguageHandler {
    customizations: Customizations,
    store: Store,
}

/// What ended work early.
enum Stop {
    /// It will not come to anything: why, for the client.
    Failed(String),
    /// It may the next time.
    Trouble(Trouble),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Stop {
        Stop::Trouble(error.into())
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Stop {
        Stop::Trouble(Trouble { why: error.to_string(), after: PAUSE })
    }
}

impl From<WorkError> for Stop {
    fn from(error: WorkError) -> Stop {
        match error {
            WorkError::Data(why) => Stop::Failed(why),
            WorkError::Machine(error) => error.into(),
        }
    }
}

impl LanguageHandler {
    /// A handler of what these custom models have to do.
    pub fn new(customizations: Customizations) -> LanguageHandler {
        LanguageHandler { store: customizations.store.clone(), customizations }
    }

    async fn work(&self, ticket: &Ticket) -> Result<(), Trouble> {
        let Some(model) = self.store.begin_customizing(ticket).await? else { return Ok(()) };
        let held = match model.busy.clone() {
            Some(Task::Analysis { resource }) => self.analyse(ticket, &model, &resource).await,
            Some(Task::Training { user_words_only }) => self.train(ticket, &model, user_words_only).await,
            Some(Task::Upgrade) => self.upgrade(ticket, &model).await,
            None => return Ok(()),
        };
        let held = match held {
            Ok(held) => held,
            Err(Stop::Failed(why)) => self.fail(ticket, &model, &why).await?,
            Err(Stop::Trouble(trouble)) => return Err(trouble),
        };
        match held {
            true => tracing::info!("done"),
            false => tracing::warn!("the claim was lost before the end"),
        }
        Ok(())
    }

    async fn fail(&self, ticket: &Ticket, model: &Customization, why: &str) -> Result<bool, StoreError> {
        match &model.busy {
            Some(Task::Analysis { resource }) => {
                let resources = self.store.resources(&model.id, None, false).await?;
                let kind = resources.iter().find(|it| it.name == *resource).map(|it| it.kind);
                let (text, of_model) = failure(kind.unwrap_or(ResourceKind::Corpus), resource, why);
                self.store.end_analysis(ticket, resource, &Err(text), of_model.as_deref()).await
            }
            _ => self.store.fail_task(ticket, why).await,
        }
    }

    /// The base model of a custom one, as it is installed now.
    async fn language(&self, model: &Customization) -> Result<(ModelEntry, Arc<Language>), Stop> {
        // errors.md section 4
        let missing = || {
            let version = model.versions.last().map(String::as_str).unwrap_or_default();
            let name = &model.base_model;
            let error = format!("Model {name} (version: {version}) not found");
            Stop::Failed(serde_json::json!({"code": 404, "error": error, "code_description": "Not Found"}).to_string())
        };
        let entry = self.customizations.base(&model.base_model).ok_or_else(missing)?;
        let language = self.customizations.language(&entry).await;
        let language = language.map_err(|error| Stop::Trouble(Trouble { why: error.to_string(), after: PAUSE }))?;
        Ok((entry, language))
    }

    async fn analyse(&self, ticket: &Ticket, model: &Customization, name: &str) -> Result<bool, Stop> {
        let resources = self.store.resources(&model.id, None, false).await?;
        let Some(resource) = resources.iter().find(|resource| resource.name == name) else {
            return Ok(self.store.end_analysis(ticket, name, &Err(String::new()), None).await?);
        };
        let (_, language) = self.language(model).await?;
        let found = self.analysis(model, &language, resource).await?;
        Ok(self.store.end_analysis(ticket, name, &Ok(found), None).await?)
    }

    /// Analyses a resource and stores what comes of it.
    async fn analysis(
        &self,
        model: &Customization,
        language: &Arc<Language>,
        resource: &Resource,
    ) -> Result<Analysis, Stop> {
        let text = self.download(&resource.text).await?;
        let (language, tag) = (Arc::clone(language), model.language.clone());
        let (kind, media) = (resource.kind, resource.media.clone());
        let Analysed { file, total_words, new_words } =
            blocking(move || analyse_resource(&language, &tag, kind, media.as_deref(), text)).await?;
        let blob = self.upload(file).await?;
        let new_word_count = new_words.len() as u64;
        // Strings and numbers always serialise.
        let new_words = serde_json::to_string(&new_words).unwrap_or_default();
        Ok(Analysis { blob, total_words, new_word_count, new_words })
    }

    async fn train(&self, ticket: &Ticket, model: &Customization, user_words_only: bool) -> Result<bool, Stop> {
        let (entry, language) = self.language(model).await?;
        let resources = self.store.resources(&model.id, None, true).await?;
        let (snapshot, words) = self.trained(model, &language, &resources, user_words_only).await?;
        Ok(self.store.end_training(ticket, &snapshot, &words, &entry.version()).await?)
    }

    /// Trains a model and stores what comes of it: the language model and the words.
    async fn trained(
        &self,
        model: &Customization,
        language: &Arc<Language>,
        resources: &[Resource],
        user_words_only: bool,
    ) -> Result<(Blob, Blob), Stop> {
        let words = all_words(&self.store.words(&model.id).await?, resources);
        let (mut counts, mut grammars) = (Vec::new(), BTreeMap::new());
        for resource in resources.iter().filter(|resource| resource.status == ResourceStatus::Analyzed) {
            let Some(blob) = resource.analysis.as_deref() else { continue };
            match resource.kind {
                ResourceKind::Corpus => counts.push(self.download(blob).await?),
                ResourceKind::Grammar => {
                    let compiled = self.store.blobs().bytes(blob, LARGEST_GRAMMAR).await?;
                    grammars.insert(resource.name.clone(), compiled);
                }
            }
        }
        let language = Arc::clone(language);
        let work = move || train(&language, &words, user_words_only, counts, grammars);
        let Trained { snapshot, vocabulary } = blocking(work).await?;
        let snapshot = self.upload(snapshot).await?;
        let mut writer = self.store.blobs().writer();
        writer.write(Bytes::from(vocabulary)).await?;
        Ok((snapshot, writer.finish().await?))
    }

    /// language-models.md section 8: texts are analysed anew, and what was trained is trained anew.
    async fn upgrade(&self, ticket: &Ticket, model: &Customization) -> Result<bool, Stop> {
        let (entry, language) = self.language(model).await?;
        let mut resources = self.store.resources(&model.id, None, true).await?;
        let mut outcomes = Vec::new();
        for resource in resources.iter_mut().filter(|resource| resource.status == ResourceStatus::Analyzed) {
            let outcome = match self.analysis(model, &language, resource).await {
                Ok(found) => {
                    resource.analysis = Some(found.blob.id.clone());
                    resource.new_words = Some(found.new_words.clone());
                    Ok(found)
                }
                Err(Stop::Failed(why)) => {
                    resource.status = ResourceStatus::Undetermined;
                    Err(failure(resource.kind, &resource.name, &why).0)
                }
                Err(trouble) => return Err(trouble),
            };
            outcomes.push((resource.name.clone(), outcome));
        }
        let trained = match model.trained {
            Some(_) => Some(self.trained(model, &language, &resources, false).await?),
            None => None,
        };
        let trained = trained.as_ref().map(|(snapshot, words)| (snapshot, words));
        Ok(self.store.end_upgrade(ticket, &outcomes, trained, &entry.version()).await?)
    }

    /// A blob as a file without a name, to be read from its beginning by who rewinds it.
    async fn download(&self, id: &str) -> Result<File, Stop> {
        let mut file = tempfile::tempfile()?;
        let mut pieces = self.store.blobs().read(id).await?;
        while let Some(piece) = pieces.next().await {
            // Into the system's cache: no wait worth a thread.
            file.write_all(&piece?)?;
        }
        Ok(file)
    }

    async fn upload(&self, mut file: File) -> Result<Blob, Stop> {
        let mut writer = self.store.blobs().writer();
        loop {
            let mut piece = Vec::new();
            if (&mut file).take(PIECE as u64).read_to_end(&mut piece)? == 0 {
                return Ok(writer.finish().await?);
            }
            writer.write(Bytes::from(piece)).await?;
        }
    }
}

/// Runs work on a thread where it may take its time.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, WorkError> + Send + 'static,
) -> Result<T, WorkError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(failure) => Err(WorkError::Machine(io::Error::other(failure))),
    }
}

/// What a resource says that could not be analysed (CRP-4, GRM-4), and what its model says.
fn failure(kind: ResourceKind, name: &str, why: &str) -> (String, Option<String>) {
    let kind_name = kind.name();
    let text = format!(
        "Analysis of {kind_name} '{name}' failed due to {why}. Please fix the error then add the {kind_name} again by setting \
         the 'allow_overwrite' flag to 'true'."
    );
    let of_model = (kind == ResourceKind::Grammar).then(|| {
        let error = if why.contains("Cannot compile grammar") {
            why.to_owned()
        } else {
            format!("Cannot compile grammar: {why}")
        };
        serde_json::json!({"code": 500, "code_description": "Internal Server Error", "error": error}).to_string()
    });
    (text, of_model)
}

impl Handler for LanguageHandler {
    fn queue(&self) -> Queue {
        Queue::LanguageTraining
    }

    fn run<'a>(&'a self, ticket: &'a Ticket) -> BoxFuture<'a, Result<(), Trouble>> {
        self.work(ticket).boxed()
    }

    fn give_up<'a>(&'a self, ticket: &'a Ticket, why: &'a str) -> BoxFuture<'a, Result<(), StoreError>> {
        tracing::warn!(why, "given up");
        async move {
            if let Some(model) = self.store.begin_customizing(ticket).await? {
                // Why is for the operator; it may be about files and hosts.
                self.fail(ticket, &model, "the server failed at each attempt").await?;
            }
            Ok(())
        }
        .boxed()
    }
}
