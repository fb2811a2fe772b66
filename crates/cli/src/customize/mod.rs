//! `dictum customize`: custom language models, on a server or in the local store, by the same requests.

pub mod args;
pub mod connection;
pub mod models;
mod show;
mod words;

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Instant;

use dictum_models::{ModelsError, Registry};
use indicatif::ProgressBar;
use serde_json::{Value, json};

use crate::args::ConfigArgs;
use crate::config::Settings;
use crate::failure::Failure;
use crate::output::print;
use crate::progress;
use args::{AdditionArgs, CustomizeArgs, CustomizeCommand, PlaceArgs, TrainingArgs};
use connection::Connection;
pub use models::is_guid;
use models::{Kind, Models, Text};
use words::Word;

/// The model that IBM's service takes where none is named.
const USUAL_BASE: &str = "en-US_BroadbandModel";

/// Carries out the command; `registry` is opened for the local store alone.
pub fn run(
    args: &CustomizeArgs,
    config: &ConfigArgs,
    settings: &Settings,
    registry: impl Fn() -> Result<Registry, ModelsError>,
) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let outcome = runtime.block_on(async {
        // What is wrong with files is told before anything is asked of anybody.
        let additions = Additions::of(&args.command)?;
        let make = matches!(args.command, CustomizeCommand::Create { .. });
        let (models, base) = open(&args.place, make, config, settings, registry).await?;
        let task = Task { models, json: args.json };
        task.run(&args.command, additions, &base).await
    });
    runtime.shutdown_background();
    outcome
}

/// The custom models of a place, and the base model of new ones. A local store is made if `make` is set.
pub async fn open(
    place: &PlaceArgs,
    make: bool,
    config: &ConfigArgs,
    settings: &Settings,
    registry: impl Fn() -> Result<Registry, ModelsError>,
) -> Result<(Models, String), Failure> {
    if place.url.is_some() && [&config.data, &config.database, &config.blobs].iter().any(|flag| flag.is_some()) {
        return Err(Failure::usage(
            "--data, --database and --blobs say where the local store is, and --url (or DICTUM_URL in the environment) names a \
             server; leave out one of them",
        ));
    }
    if let Some(url) = &place.url {
        return Ok((Models(Connection::server(url, place)?), USUAL_BASE.to_owned()));
    }
    // A mistyped directory should be told, not created, unless something is to be.
    let store = settings.store();
    if !store.exists() && !make {
        return Err(Failure::new(format!(
            "there are no custom models in {}; name the server's data directory with --data DIR, a server with --url URL, or make \
             a first model with \"dictum customize create\"",
            store.database
        )));
    }
    let registry = registry()?;
    let base = registry.default_model().to_owned();
    Ok((Models(Connection::local(settings, registry, &place.instance).await?), base))
}

/// What is to be put into a model.
#[derive(Debug, Default)]
struct Additions {
    words: Vec<Word>,
    texts: Vec<Text>,
    overwrite: bool,
}

impl Additions {
    fn of(command: &CustomizeCommand) -> Result<Additions, Failure> {
        match command {
            CustomizeCommand::Create { additions, .. } => Additions::read(additions),
            CustomizeCommand::Add { additions, train, .. } => {
                let found = Additions::read(additions)?;
                if found.words.is_empty() && found.texts.is_empty() && !train {
                    return Err(Failure::usage("there is nothing to add: --word, --words, --corpus or --grammar"));
                }
                Ok(found)
            }
            _ => Ok(Additions::default()),
        }
    }

    fn read(args: &AdditionArgs) -> Result<Additions, Failure> {
        let mut words = args.word.iter().map(|word| Word::of_argument(word)).collect::<Result<Vec<_>, _>>()?;
        for file in &args.words {
            words.extend(words::read(file)?);
        }
        let corpora = args.corpus.iter().map(|given| text(Kind::Corpus, given));
        let grammars = args.grammar.iter().map(|given| text(Kind::Grammar, given));
        let texts: Vec<Text> = corpora.chain(grammars).collect::<Result<_, _>>()?;
        if let Some(twice) = (1..texts.len()).find(|&at| texts[..at].iter().any(|text| text.name == texts[at].name)) {
            return Err(Failure::usage(format!(
                "two of the files would be called {:?}; give one another name, as in --corpus NAME=FILE",
                texts[twice].name
            )));
        }
        Ok(Additions { words, texts, overwrite: args.overwrite })
    }
}

/// A corpus or grammar as given on the command line: `FILE` or `NAME=FILE`.
fn text(kind: Kind, given: &str) -> Result<Text, Failure> {
    let (name, path) = match given.split_once('=') {
        // A file may well have this sign in its name.
        Some((name, path)) if !Path::new(given).exists() => (Some(name.to_owned()), PathBuf::from(path)),
        _ => (None, PathBuf::from(given)),
    };
    let stem = || path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let name = name.or_else(stem).filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| Failure::usage(format!("--{} {given}: there is no name in it", kind.name())))?;
    let unreadable = |error: std::io::Error| Failure::new(format!("cannot read {}: {error}", path.display()));
    let file = std::fs::File::open(&path).map_err(unreadable)?;
    if !file.metadata().map_err(unreadable)?.is_file() {
        return Err(Failure::new(format!("{} is not a file", path.display())));
    }
    let media = match kind {
        Kind::Corpus => "text/plain",
        Kind::Grammar => {
            let mut beginning = Vec::new();
            file.take(256).read_to_end(&mut beginning).map_err(unreadable)?;
            if is_xml(&beginning) { "application/srgs+xml" } else { "application/srgs" }
        }
    };
    Ok(Text { kind, name, path, media })
}

/// Whether a document begins as XML does.
pub fn is_xml(beginning: &[u8]) -> bool {
    let beginning = beginning.strip_prefix(b"\xef\xbb\xbf").unwrap_or(beginning);
    beginning.trim_ascii_start().starts_with(b"<")
}

/// A command under way.
struct Task {
    models: Models,
    json: bool,
}

impl Task {
    async fn run(&self, command: &CustomizeCommand, additions: Additions, base: &str) -> Result<(), Failure> {
        let models = &self.models;
        match command {
            CustomizeCommand::Create { name, base_model, description, dialect, train, training, .. } => {
                let mut new = json!({ "name": name, "base_model_name": base_model.as_deref().unwrap_or(base) });
                for (member, value) in [("description", description), ("dialect", dialect)] {
                    if let Some(value) = value {
                        new[member] = json!(value);
                    }
                }
                let id = models.create(&new).await?;
                if !self.json {
                    print(&format!("{id}\n"))?;
                }
                let filled = self.fill(&id, additions, train.then_some(training)).await;
                filled.map_err(|failure| {
                    let way_on = "is there all the same: go on with \"dictum customize add\", or delete it";
                    Failure::new(format!("{failure}\nThe model {id} {way_on}."))
                })
            }
            CustomizeCommand::Add { model, train, training, .. } => {
                self.fill(&models.find(&model.model).await?, additions, train.then_some(training)).await
            }
            CustomizeCommand::Train { model, training } => {
                self.fill(&models.find(&model.model).await?, additions, Some(training)).await
            }
            CustomizeCommand::Show { model, words } => {
                show::model(models, &models.find(&model.model).await?, *words, self.json).await
            }
            CustomizeCommand::List { language } => show::list(&models.list(language.as_deref()).await?, self.json),
            CustomizeCommand::Remove { model, word, corpus, grammar } => {
                let id = models.find(&model.model).await?;
                let lists = [("words", word), ("corpora", corpus), ("grammars", grammar)];
                if lists.iter().all(|(_, names)| names.is_empty()) {
                    return Err(Failure::usage("there is nothing to remove: --word, --corpus or --grammar"));
                }
                for (what, names) in lists {
                    for name in names {
                        models.remove(&id, what, name).await?;
                    }
                }
                self.done(&id, "changed; train it for that to have an effect").await
            }
            CustomizeCommand::Upgrade { model } => {
                let id = models.find(&model.model).await?;
                let bar = progress::task("upgrading");
                models.upgrade(&id).await?;
                bar.finish_and_clear();
                self.done(&id, "upgraded").await
            }
            CustomizeCommand::Reset { model } => {
                let id = models.find(&model.model).await?;
                models.reset(&id).await?;
                self.done(&id, "empty").await
            }
            CustomizeCommand::Delete { model } => {
                let id = models.find(&model.model).await?;
                models.delete(&id).await?;
                if self.json {
                    return print(&format!("{:#}\n", json!({ "deleted": id })));
                }
                eprintln!("{id} deleted");
                Ok(())
            }
        }
    }

    /// Says what became of a model.
    async fn done(&self, id: &str, what: &str) -> Result<(), Failure> {
        if self.json {
            return print(&format!("{:#}\n", json!({ "model": self.models.model(id).await? })));
        }
        eprintln!("{id} {what}");
        Ok(())
    }

    /// Puts into a model what is to be in it, and trains it if that is asked for.
    async fn fill(&self, id: &str, additions: Additions, training: Option<&TrainingArgs>) -> Result<(), Failure> {
        let Additions { words, texts, overwrite } = additions;
        let mut wrong_words = Vec::new();
        if !words.is_empty() {
            let count = if words.len() == 1 { "1 word".to_owned() } else { format!("{} words", words.len()) };
            let step = Step::new(&format!("adding {count}"));
            self.models.add_words(id, &words).await?;
            let all = self.models.words(id, "user").await?;
            wrong_words = all.into_iter().filter(show::is_wrong).collect();
            step.done(&format!("{count} added"));
            wrong_words.iter().for_each(|word| eprintln!("  {}", show::errors(word)));
        }
        let mut analysed = Vec::new();
        for text in &texts {
            let kind = text.kind.name();
            let step = Step::new(&format!("analysing the {kind} {}", text.name));
            let outcome = self.models.add_text(id, text, overwrite).await?;
            if outcome["status"] != "analyzed" {
                let why = outcome["error"].as_str().unwrap_or("the server does not say why");
                let of_model = match text.kind {
                    Kind::Grammar => self.models.model(id).await?["error"].as_str().map(show::grammar_error),
                    Kind::Corpus => None,
                };
                return Err(Failure::new(of_model.map_or(why.to_owned(), |more| format!("{why} {more}"))));
            }
            step.done(&format!("{kind} {} added: {}", text.name, show::counts(text.kind, &outcome)));
            analysed.push(json!({ "kind": kind, "outcome": outcome }));
        }
        let mut warnings = Vec::new();
        if let Some(options) = training {
            let step = Step::new("training");
            warnings = self.models.train(id, options).await?;
            step.done("trained");
            let texts = warnings.iter().filter_map(|warning| warning["message"].as_str());
            texts.for_each(|text| eprintln!("dictum: warning: {text}"));
        }
        if self.json {
            let model = self.models.model(id).await?;
            let of_kind = |kind: Kind| -> Vec<Value> {
                analysed.iter().filter(|it| it["kind"] == kind.name()).map(|it| it["outcome"].clone()).collect()
            };
            let document = json!({
                "model": model,
                "words_added": words.len(),
                "words_with_errors": wrong_words,
                "corpora": of_kind(Kind::Corpus),
                "grammars": of_kind(Kind::Grammar),
                "warnings": warnings,
            });
            return print(&format!("{document:#}\n"));
        }
        Ok(())
    }
}

/// Something that takes its time: a moving mark while it lasts, a line when it is over.
pub struct Step {
    bar: ProgressBar,
    began: Instant,
}

impl Step {
    pub fn new(what: &str) -> Step {
        Step { bar: progress::task(what), began: Instant::now() }
    }

    pub fn done(self, what: &str) {
        self.bar.finish_and_clear();
        eprintln!("{what} ({:.1} s)", self.began.elapsed().as_secs_f64());
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_have_the_names_of_their_files_or_others() {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = directory.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let (plain, xml) = (file("guests.txt", "a"), file("menu.abnf", "\u{feff} \n<?xml version=\"1.0\"?>"));
        let odd = file("a=b.abnf", "#ABNF 1.0;");
        assert_eq!(text(Kind::Corpus, &plain).unwrap().name, "guests");
        let named = text(Kind::Corpus, &format!("visitors={plain}")).unwrap();
        assert_eq!((named.name.as_str(), named.path.display().to_string()), ("visitors", plain.clone()));
        assert_eq!(text(Kind::Grammar, &xml).unwrap().media, "application/srgs+xml", "by what is in it");
        let odd = text(Kind::Grammar, &odd).unwrap();
        assert_eq!((odd.name.as_str(), odd.media), ("a=b", "application/srgs"));
        assert!(text(Kind::Corpus, "nothing-here.txt").unwrap_err().to_string().contains("nothing-here.txt"));
        assert!(text(Kind::Corpus, &directory.path().display().to_string()).is_err());
    }
}
