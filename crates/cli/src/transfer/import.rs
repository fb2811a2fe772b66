//! `dictum import`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use axum::http::StatusCode;
use serde_json::{Map, Value, json};

use super::args::ImportArgs;
use super::format::{Export, Listed, Manifest, SavedModel, SavedText, below, find_source, media};
use super::{check_wanted, is_wanted};
use crate::customize::Step;
use crate::customize::connection::RequestError;
use crate::customize::models::{BATCH, Kind, Models, Text};
use crate::failure::Failure;
use crate::output::{Table, print};

/// Members of a word that a request may have (corpora-words-grammars.md section 3.1).
const WORD_MEMBERS: [&str; 4] = ["word", "sounds_like", "display_as", "mapping_only"];
/// What says that a word was defined by its user, among the names of corpora and grammars.
const USER: &str = "user";

pub async fn run(
    args: &ImportArgs,
    (export, manifest): (Export, Manifest),
    models: &Models,
    target: &str,
) -> Result<(), Failure> {
    let Manifest { models: saved, not_saved, .. } = manifest;
    let known = saved.iter().map(|model| (model.customization_id.as_str(), model.name.as_str()));
    check_wanted(&args.model, known)?;
    let bases = args.base_model.iter().map(|given| base_model(given)).collect::<Result<Vec<_>, _>>()?;
    let earlier = if args.anew { BTreeMap::new() } else { export.imported(target)? };
    let mut moved = Vec::new();
    for listed in saved.iter().filter(|model| is_wanted(&args.model, &model.customization_id, &model.name)) {
        let import = Importing { args, export: &export, models, target, bases: &bases, notes: Vec::new() };
        moved.push(import.model(listed, earlier.get(&listed.customization_id)).await);
    }
    report(&moved, &not_saved, args.json)
}

/// `NEW`, or `OLD=NEW`.
fn base_model(given: &str) -> Result<(Option<&str>, &str), Failure> {
    let (old, new) = given.split_once('=').map_or((None, given), |(old, new)| (Some(old), new));
    match new.is_empty() || old == Some("") {
        false => Ok((old, new)),
        true => Err(Failure::usage(format!("--base-model {given}: it is NEW or OLD=NEW"))),
    }
}

/// What became of a model.
struct Moved {
    from: String,
    name: String,
    /// Its new id, if it was made.
    to: Option<String>,
    /// How far it is.
    status: String,
    /// What is not as it was, in sentences.
    notes: Vec<String>,
    /// Why it went no further.
    failure: Option<String>,
}

fn report(moved: &[Moved], not_saved: &[String], json: bool) -> Result<(), Failure> {
    if json {
        let documents: Vec<Value> = moved
            .iter()
            .map(|Moved { from, name, to, status, notes, failure }| {
                json!({ "former_id": from, "id": to, "name": name, "status": status, "notes": notes, "error": failure })
            })
            .collect();
        print(&format!("{:#}\n", json!({ "models": documents, "not_saved": not_saved })))?;
    } else {
        for Moved { name, notes, failure, .. } in moved {
            notes.iter().for_each(|note| eprintln!("{name}: {note}"));
            failure.iter().for_each(|failure| eprintln!("{name}: error: {failure}"));
        }
        let mut table = Table::new(&["FORMER ID", "ID", "STATUS", "NAME"]);
        for Moved { from, name, to, status, .. } in moved {
            table.row([from.clone(), to.clone().unwrap_or_else(|| "none".to_owned()), status.clone(), name.clone()]);
        }
        print(&table.to_string())?;
    }
    match moved.iter().filter(|model| model.failure.is_some()).count() {
        0 => Ok(()),
        failed => Err(Failure::new(format!(
            "{failed} of {} models could not be moved as a whole; the same command again goes on where it stopped",
            moved.len()
        ))),
    }
}

struct Importing<'a> {
    args: &'a ImportArgs,
    export: &'a Export,
    models: &'a Models,
    target: &'a str,
    bases: &'a [(Option<&'a str>, &'a str)],
    notes: Vec<String>,
}

impl Importing<'_> {
    async fn model(mut self, listed: &Listed, earlier: Option<&String>) -> Moved {
        let mut to = None;
        let outcome = self.fill(listed, earlier, &mut to).await;
        let status = match &to {
            Some(id) => self.models.model(id).await.ok().and_then(|model| model["status"].as_str().map(str::to_owned)),
            None => Some("none".to_owned()),
        };
        Moved {
            from: listed.customization_id.clone(),
            name: listed.name.clone(),
            to,
            status: status.unwrap_or_else(|| "unknown".to_owned()),
            notes: self.notes,
            failure: outcome.err().map(|failure| failure.to_string()),
        }
    }

    /// Makes a model, or goes on with one that was begun, in the order of backup.md section 2.
    async fn fill(
        &mut self,
        listed: &Listed,
        earlier: Option<&String>,
        to: &mut Option<String>,
    ) -> Result<(), Failure> {
        let (saved, words) = self.export.read_model(listed)?;
        let directory = self.export.model(listed)?;
        let begun = match earlier {
            Some(id) => self.still_there(id).await?,
            None => None,
        };
        let id = match begun {
            Some(id) => id,
            None => self.create(&saved.definition).await?,
        };
        *to = Some(id.clone());
        self.export.note_imported(self.target, &listed.customization_id, &id)?;
        let missing = self.texts(&id, listed, &directory, &saved).await?;
        self.words(&id, &listed.name, &words.words, &missing).await?;
        self.deleted_words(&id, &saved, &words.words, &missing).await?;
        self.train(&id, listed, &saved.definition).await
    }

    /// The id of a model that an earlier import has begun, if it is there still.
    async fn still_there(&self, id: &str) -> Result<Option<String>, Failure> {
        match self.models.model(id).await {
            Ok(_) => Ok(Some(id.to_owned())),
            // What is not there, and what is somebody else's, is refused in the same words; a wrong key in others.
            Err(RequestError::Refused { status: StatusCode::UNAUTHORIZED, message, .. })
                if message.contains("customization_id") =>
            {
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn create(&mut self, definition: &Value) -> Result<String, Failure> {
        let former = definition["base_model_name"].as_str().unwrap_or_default();
        let chosen = self.bases.iter().find(|(old, _)| *old == Some(former));
        let chosen = chosen.or_else(|| self.bases.iter().find(|(old, _)| old.is_none()));
        let base = chosen.map_or(former, |(_, new)| new);
        let mut new = json!({ "name": definition["name"], "base_model_name": base });
        let own_dialect = definition["dialect"] != definition["language"];
        for member in ["description"].into_iter().chain(own_dialect.then_some("dialect")) {
            if definition[member].as_str().is_some_and(|text| !text.is_empty()) {
                new[member] = definition[member].clone();
            }
        }
        if base != former {
            self.notes.push(format!("it is over {base} now, and was over {former}"));
        }
        self.models.create(&new).await.map_err(|failure| {
            Failure::new(format!("{failure}; --base-model {former}=NAME chooses another base model where that is why"))
        })
    }

    /// Adds corpora, then grammars, one by one. Names of those whose texts are not there.
    async fn texts(
        &mut self,
        id: &str,
        listed: &Listed,
        directory: &Path,
        saved: &SavedModel,
    ) -> Result<BTreeSet<String>, Failure> {
        let mut missing = BTreeSet::new();
        for kind in [Kind::Corpus, Kind::Grammar] {
            let there: BTreeMap<String, bool> = self
                .models
                .texts(id, kind)
                .await?
                .iter()
                .map(|text| (text["name"].as_str().unwrap_or_default().to_owned(), text["status"] == "analyzed"))
                .collect();
            for text in saved.texts.iter().filter(|text| text.kind == kind) {
                // A model that was begun before has it.
                if there.get(&text.name) == Some(&true) {
                    continue;
                }
                match self.source(listed, directory, text)? {
                    Some(path) => self.text(id, text, path, there.contains_key(&text.name)).await?,
                    None => {
                        missing.insert(text.name.clone());
                        self.notes.push(format!(
                            "the text of {} {:?} is not in the export, so it was left out; put it at {} and import again",
                            kind.name(),
                            text.name,
                            directory.join(&text.file).display()
                        ));
                    }
                }
            }
        }
        Ok(missing)
    }

    /// Where a text is.
    fn source(&self, listed: &Listed, directory: &Path, text: &SavedText) -> Result<Option<PathBuf>, Failure> {
        let own = below(directory, &text.file)?;
        if own.is_file() {
            return Ok(Some(own));
        }
        let sources = self.args.sources.as_deref();
        Ok(sources.and_then(|sources| find_source(sources, &listed.name, text.kind, &text.name)))
    }

    async fn text(&mut self, id: &str, saved: &SavedText, path: PathBuf, overwrite: bool) -> Result<(), Failure> {
        let (kind, name) = (saved.kind, saved.name.clone());
        let step = Step::new(&format!("analysing the {} {name}", kind.name()));
        let text = Text { kind, name, media: media(kind, &path)?, path };
        let outcome = self.models.add_text(id, &text, overwrite).await;
        // What is wrong with one text is no reason to leave out the others.
        let why = match outcome {
            Ok(outcome) if outcome["status"] == "analyzed" => {
                step.done(&format!("{} {} added", kind.name(), text.name));
                return Ok(());
            }
            Ok(outcome) => outcome["error"].as_str().unwrap_or("the server does not say why").to_owned(),
            Err(RequestError::Refused { status: StatusCode::BAD_REQUEST, message, .. }) => message,
            Err(error) => return Err(error.into()),
        };
        let before = saved.description["status"] != "analyzed";
        let before = if before { " (nor was it where it comes from)" } else { "" };
        self.notes.push(format!("{} {:?} could not be analysed{before}: {why}", kind.name(), text.name));
        Ok(())
    }

    /// Adds the words that users have defined, and those of texts that are missing: they at least are not lost.
    async fn words(
        &mut self,
        id: &str,
        name: &str,
        words: &[Value],
        missing: &BTreeSet<String>,
    ) -> Result<(), Failure> {
        let there: BTreeMap<String, Value> = self
            .models
            .words(id, USER)
            .await?
            .iter()
            .map(|word| (word["word"].as_str().unwrap_or_default().to_owned(), document(word)))
            .collect();
        let mut of_missing = 0;
        let mut documents = Vec::new();
        for word in words {
            let sources: Vec<&str> =
                word["source"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            let by_user = sources.is_empty() || sources.contains(&USER);
            if !by_user && !sources.iter().all(|source| missing.contains(*source)) {
                continue;
            }
            of_missing += usize::from(!by_user);
            // Of a model that was begun before: words that are there already would only make it want another training.
            let document = document(word);
            if there.get(word["word"].as_str().unwrap_or_default()) != Some(&document) {
                documents.push(document);
            }
        }
        if of_missing > 0 {
            self.notes.push(format!("{of_missing} words of texts that are not in the export were added by themselves"));
        }
        if documents.is_empty() {
            return Ok(());
        }
        let step = Step::new(&format!("adding {} words to {name}", documents.len()));
        for batch in documents.chunks(BATCH) {
            self.batch(id, batch).await?;
        }
        step.done(&format!("{} words added to {name}", documents.len()));
        Ok(())
    }

    /// Adds words; those that are refused are found by halves and noted.
    async fn batch(&mut self, id: &str, words: &[Value]) -> Result<(), Failure> {
        let mut open = vec![words];
        while let Some(words) = open.pop() {
            match (self.models.add_documents(id, words).await, words) {
                (Ok(()), _) => {}
                (Err(RequestError::Refused { status: StatusCode::BAD_REQUEST, message, .. }), [one]) => {
                    self.notes.push(format!("the word {} was refused: {message}", one["word"]));
                }
                (Err(RequestError::Refused { status: StatusCode::BAD_REQUEST, .. }), words) => {
                    let (first, second) = words.split_at(words.len() / 2);
                    open.extend([second, first]);
                }
                (Err(error), _) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Deletes words of texts that were deleted where they come from. Over another version of the base model other words are new, so
    /// there is no telling.
    async fn deleted_words(
        &mut self,
        id: &str,
        saved: &SavedModel,
        words: &[Value],
        missing: &BTreeSet<String>,
    ) -> Result<(), Failure> {
        let version = |model: &Value| model["versions"].as_array().and_then(|versions| versions.last()).cloned();
        let same = version(&saved.definition) == version(&self.models.model(id).await?);
        if !same || !missing.is_empty() || saved.texts.is_empty() {
            return Ok(());
        }
        let before: BTreeSet<&str> = words.iter().filter_map(|word| word["word"].as_str()).collect();
        for word in self.models.words(id, "all").await? {
            if let Some(word) = word["word"].as_str().filter(|word| !before.contains(word)) {
                self.models.remove(id, "words", word).await?;
            }
        }
        Ok(())
    }

    /// Trains a model that was trained where it comes from, and waits until it is available.
    async fn train(&mut self, id: &str, listed: &Listed, definition: &Value) -> Result<(), Failure> {
        if self.args.no_train {
            return Ok(());
        }
        if !matches!(definition["status"].as_str(), Some("available" | "training" | "upgrading")) {
            self.notes.push("it was not trained where it comes from, so it is not trained here".to_owned());
            return Ok(());
        }
        // By an earlier import, and nothing has changed since.
        if self.models.model(id).await?["status"] == "available" && !self.args.training.force {
            return Ok(());
        }
        let step = Step::new(&format!("training {}", listed.name));
        let warnings = self.models.train(id, &self.args.training).await?;
        step.done(&format!("{} trained", listed.name));
        self.notes.extend(warnings.iter().filter_map(|warning| warning["message"].as_str().map(str::to_owned)));
        Ok(())
    }
}

/// A word as a request has it, of one as an answer has it: without what is found out by the server, and without what is empty.
fn document(word: &Value) -> Value {
    let is_empty = |value: &Value| match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    };
    let members = WORD_MEMBERS.into_iter().filter(|member| !is_empty(&word[*member]));
    members.map(|member| (member.to_owned(), word[member].clone())).collect::<Map<_, _>>().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_asked_for_as_they_were_answered() {
        let answered = json!({
            "word": "HHonors", "sounds_like": ["hilton honors"], "display_as": "HHonors", "count": 3, "source": ["a", "user"],
            "mapping_only": true, "error": [{"x": "y"}]
        });
        let expected =
            json!({"word": "HHonors", "sounds_like": ["hilton honors"], "display_as": "HHonors", "mapping_only": true});
        assert_eq!(document(&answered), expected);
        let bare = json!({"word": "monday", "sounds_like": [], "display_as": "", "count": 1, "source": ["user"]});
        assert_eq!(document(&bare), json!({"word": "monday"}));
    }

    #[test]
    fn base_models_are_given_for_all_or_for_one() {
        assert_eq!(base_model("en-US_Telephony").unwrap(), (None, "en-US_Telephony"));
        assert_eq!(base_model("a=b").unwrap(), (Some("a"), "b"));
        assert!(base_model("a=").is_err() && base_model("=b").is_err() && base_model("").is_err());
    }
}
