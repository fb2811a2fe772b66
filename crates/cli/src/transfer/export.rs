//! `dictum export`.

use std::path::Path;
use std::time::SystemTime;

use axum::http::Method;
use serde_json::{Value, json};

use super::args::ExportArgs;
use super::format::{
    Export, Listed, Manifest, SavedModel, SavedText, SavedWords, below, file_name, find_source, make_directory,
    unusable, write,
};
use super::{check_wanted, is_wanted};
use crate::customize::Step;
use crate::customize::connection::{Call, RequestError};
use crate::customize::models::{Kind, Models};
use crate::failure::Failure;
use crate::output::print;

pub async fn run(args: &ExportArgs, models: &Models) -> Result<(), Failure> {
    let all = models.list(None).await?;
    let known = all.iter().map(|model| (text(model, "customization_id"), text(model, "name")));
    check_wanted(&args.model, known.clone())?;
    let export = Export::create(&args.directory)?;
    let mut under_way = Exporting { args, models, export, gives_texts: true, not_saved: Vec::new() };
    let mut listed = Vec::new();
    for (id, name) in known.filter(|(id, name)| is_wanted(&args.model, id, name)) {
        listed.push(under_way.model(listed.len() + 1, id, name).await?);
    }
    if args.model.is_empty() {
        under_way.acoustic().await?;
    }
    if args.jobs {
        under_way.jobs().await?;
    }
    let Exporting { export, not_saved, .. } = under_way;
    let created = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let manifest = Manifest::new(created, models.0.url().to_owned(), listed, not_saved);
    export.write_manifest(&manifest)?;
    if args.json {
        return print(&format!("{:#}\n", json!({ "models": manifest.models, "not_saved": manifest.not_saved })));
    }
    manifest.not_saved.iter().for_each(|what| eprintln!("not saved: {what}"));
    eprintln!(
        "not saved: callback URLs (the interface does not list them; register them anew), and the weights of trainings (it does \
         not tell them)"
    );
    let count = manifest.models.len();
    print(&format!("saved {count} custom language model{}\n", if count == 1 { "" } else { "s" }))
}

/// A member of a document, as text.
fn text<'a>(document: &'a Value, member: &str) -> &'a str {
    document[member].as_str().unwrap_or_default()
}

struct Exporting<'a> {
    args: &'a ExportArgs,
    models: &'a Models,
    export: Export,
    /// Whether the server may give texts back: until it turns out not to.
    gives_texts: bool,
    not_saved: Vec<String>,
}

impl Exporting<'_> {
    async fn model(&mut self, number: usize, id: &str, name: &str) -> Result<Listed, Failure> {
        let step = Step::new(&format!("saving {name}"));
        let listed = Listed {
            customization_id: id.to_owned(),
            name: name.to_owned(),
            directory: format!("models/{}", file_name(number, name, "")),
        };
        let directory = self.export.model(&listed)?;
        make_directory(&directory)?;
        let definition = self.models.model(id).await?;
        let words = SavedWords { words: self.models.words(id, "all").await? };
        let mut texts = Vec::new();
        for kind in [Kind::Corpus, Kind::Grammar] {
            for (at, description) in self.models.texts(id, kind).await?.into_iter().enumerate() {
                texts.push(self.text(&directory, (id, name), kind, at + 1, description).await?);
            }
        }
        let done = format!("{name} saved: {} words, {} corpora and grammars", words.words.len(), texts.len());
        self.export.write_model(&directory, &SavedModel { definition, texts }, &words)?;
        step.done(&done);
        Ok(listed)
    }

    async fn text(
        &mut self,
        directory: &Path,
        (id, model): (&str, &str),
        kind: Kind,
        number: usize,
        description: Value,
    ) -> Result<SavedText, Failure> {
        let name = text(&description, "name").to_owned();
        let ending = if kind == Kind::Corpus { ".txt" } else { ".gram" };
        let file = format!("{}/{}", kind.plural(), file_name(number, &name, ending));
        let path = below(directory, &file)?;
        if description["status"] == "being_processed" {
            self.not_saved.push(format!(
                "the words of {} {name:?} of {model:?}, which is still being analysed; export again when it is done",
                kind.name()
            ));
        }
        make_directory(&directory.join(kind.plural()))?;
        if !self.download(id, kind, &name, &path).await? {
            match self.args.sources.as_deref().and_then(|sources| find_source(sources, model, kind, &name)) {
                Some(source) => {
                    std::fs::copy(&source, &path).map_err(|error| unusable(&source, &error))?;
                }
                None => self.not_saved.push(format!(
                    "the text of {} {name:?} of {model:?}, which the server does not give back; put it at {} or name a directory \
                     that has it with --sources",
                    kind.name(),
                    path.display()
                )),
            }
        }
        Ok(SavedText { kind, name, file, description })
    }

    /// Fetches a text from a server that gives it. `false`: it does not.
    async fn download(&mut self, id: &str, kind: Kind, name: &str, path: &Path) -> Result<bool, Failure> {
        if !self.gives_texts {
            return Ok(false);
        }
        let segments = ["customizations", id, kind.plural(), name, "text"];
        let found = self.models.0.download(&Call::new(Method::GET, &segments), path).await?;
        self.gives_texts = found.is_some();
        Ok(self.gives_texts)
    }

    /// Custom acoustic models are described; their recordings cannot be had.
    async fn acoustic(&mut self) -> Result<(), Failure> {
        let mut all = match self.models.0.call(&Call::new(Method::GET, &["acoustic_customizations"])).await {
            Ok(answer) => answer["customizations"].as_array().cloned().unwrap_or_default(),
            // A server without them, or one that does not let this key see them.
            Err(RequestError::Refused { .. } | RequestError::NotOurs { .. }) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        for model in &mut all {
            let id = text(model, "customization_id").to_owned();
            let path = ["acoustic_customizations", id.as_str(), "audio"];
            model["audio"] = self.models.0.call(&Call::new(Method::GET, &path)).await?["audio"].take();
            self.not_saved.push(format!(
                "the recordings of the custom acoustic model {:?}; acoustic.json has its description",
                text(model, "name")
            ));
        }
        if all.is_empty() {
            Ok(())
        } else {
            write(&self.export.0.join("acoustic.json"), &json!({ "customizations": all }))
        }
    }

    /// Jobs, with their results where there are any.
    async fn jobs(&mut self) -> Result<(), Failure> {
        let list = self.models.0.call(&Call::new(Method::GET, &["recognitions"])).await?;
        let mut jobs = Vec::new();
        for job in list["recognitions"].as_array().into_iter().flatten() {
            jobs.push(self.models.0.call(&Call::new(Method::GET, &["recognitions", text(job, "id")])).await?);
        }
        let open = jobs.iter().filter(|job| !matches!(text(job, "status"), "completed" | "failed")).count();
        if open > 0 {
            self.not_saved.push(format!("the results of {open} recognition jobs that have not ended"));
        }
        write(&self.export.0.join("jobs.json"), &json!({ "recognitions": jobs }))
    }
}
