//! What is asked of custom models, in the words of the interface (language-models.md, corpora-words-grammars.md).

use std::path::PathBuf;
use std::time::{Duration, Instant};

use axum::http::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::args::{TrainingArgs, WordType};
use super::connection::{Call, Connection, Payload, RequestError};
use super::words::Word;
use crate::failure::Failure;

/// Words of one request.
pub const BATCH: usize = 5_000;
/// How long to wait before asking for the first time how it stands, and at most.
const LOOKS: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));
/// How long a server may take to begin a training that it has accepted.
const BEGINS_WITHIN: Duration = Duration::from_secs(60);

/// How long a failure is taken for a busy model that only may be one.
const MAY_BE_BUSY: Duration = Duration::from_secs(600);

/// Corpora and grammars.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Corpus,
    Grammar,
}

impl Kind {
    /// The segment of the path.
    pub fn plural(self) -> &'static str {
        match self {
            Kind::Corpus => "corpora",
            Kind::Grammar => "grammars",
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Kind::Corpus => "corpus",
            Kind::Grammar => "grammar",
        }
    }
}

/// A corpus or grammar that is to be added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    pub kind: Kind,
    pub name: String,
    pub path: PathBuf,
    /// Its media type.
    pub media: &'static str,
}

/// Waits longer each time.
struct Looks(Duration);

impl Looks {
    fn new() -> Looks {
        Looks(LOOKS.0)
    }

    async fn wait(&mut self) {
        sleep(self.0).await;
        self.0 = (self.0 * 3 / 2).min(LOOKS.1);
    }
}

/// The custom models of a server.
pub struct Models(pub Connection);

impl Models {
    /// All of them, or those of a language.
    pub async fn list(&self, language: Option<&str>) -> Result<Vec<Value>, RequestError> {
        let query: Vec<(&str, &str)> = language.iter().map(|language| ("language", *language)).collect();
        let call = Call { query: &query, ..Call::new(Method::GET, &["customizations"]) };
        Ok(items(self.0.call(&call).await?, "customizations"))
    }

    /// The id of the model that a person means by an id or a name.
    pub async fn find(&self, given: &str) -> Result<String, Failure> {
        if is_guid(given) {
            return Ok(given.to_ascii_lowercase());
        }
        let models = self.list(None).await?;
        let named: Vec<&str> = models
            .iter()
            .filter(|model| model["name"] == given)
            .filter_map(|model| model["customization_id"].as_str())
            .collect();
        match named[..] {
            [one] => Ok(one.to_owned()),
            [] => Err(Failure::new(format!(
                "there is no custom model called {given:?}; \"dictum customize list\" shows those that are"
            ))),
            _ => Err(Failure::new(format!(
                "{} custom models are called {given:?}: {}; say which by its id",
                named.len(),
                named.join(", ")
            ))),
        }
    }

    /// Makes a model. Its id.
    pub async fn create(&self, new: &Value) -> Result<String, Failure> {
        let call = Call { payload: Payload::Document(new), ..Call::new(Method::POST, &["customizations"]) };
        let made = self.0.call(&call).await?;
        let id = made["customization_id"].as_str().filter(|id| !id.is_empty());
        id.map(str::to_owned).ok_or_else(|| Failure::new("the server made a model and did not say which"))
    }

    /// A model.
    pub async fn model(&self, id: &str) -> Result<Value, RequestError> {
        self.0.call(&Call::new(Method::GET, &["customizations", id])).await
    }

    /// The corpora or grammars of a model.
    pub async fn texts(&self, id: &str, kind: Kind) -> Result<Vec<Value>, RequestError> {
        let answer = self.0.call(&Call::new(Method::GET, &["customizations", id, kind.plural()])).await?;
        Ok(items(answer, kind.plural()))
    }

    /// The words of a model: `all`, `user`, `corpora` or `grammars`.
    pub async fn words(&self, id: &str, which: &str) -> Result<Vec<Value>, RequestError> {
        let path = ["customizations", id, "words"];
        let call = Call { query: &[("word_type", which)], ..Call::new(Method::GET, &path) };
        Ok(items(self.0.call(&call).await?, "words"))
    }

    /// Adds words, and waits until they are in the model.
    pub async fn add_words(&self, id: &str, words: &[Word]) -> Result<(), RequestError> {
        for batch in words.chunks(BATCH) {
            self.add_documents(id, &batch.iter().map(Word::document).collect::<Vec<_>>()).await?;
        }
        Ok(())
    }

    /// Adds the words of one request as the interface writes them, and waits until they are in the model.
    pub async fn add_documents(&self, id: &str, words: &[Value]) -> Result<(), RequestError> {
        let (document, path) = (json!({ "words": words }), ["customizations", id, "words"]);
        self.patiently(&Call { payload: Payload::Document(&document), ..Call::new(Method::POST, &path) }).await?;
        let mut looks = Looks::new();
        while self.model(id).await?["status"] == "pending" {
            looks.wait().await;
        }
        Ok(())
    }

    /// Adds a corpus or a grammar, and waits until it is analysed. What became of it.
    pub async fn add_text(&self, id: &str, text: &Text, overwrite: bool) -> Result<Value, RequestError> {
        let path = ["customizations", id, text.kind.plural(), &text.name];
        let query: &[(&str, &str)] = if overwrite { &[("allow_overwrite", "true")] } else { &[] };
        let payload = Payload::File(&text.path, text.media);
        self.patiently(&Call { query, payload, ..Call::new(Method::POST, &path) }).await?;
        let mut looks = Looks::new();
        loop {
            let text = self.0.call(&Call::new(Method::GET, &path)).await?;
            if text["status"] != "being_processed" {
                return Ok(text);
            }
            looks.wait().await;
        }
    }

    /// Trains a model to the end. What the training leaves out.
    pub async fn train(&self, id: &str, options: &TrainingArgs) -> Result<Vec<Value>, Failure> {
        let weight = options.weight.map(|weight| weight.to_string());
        let mut query: Vec<(&str, &str)> = Vec::new();
        query.extend(weight.as_deref().map(|weight| ("customization_weight", weight)));
        query.extend(options.word_type.map(|which| match which {
            WordType::All => ("word_type_to_add", "all"),
            WordType::User => ("word_type_to_add", "user"),
        }));
        query.extend(options.no_strict.then_some(("strict", "false")));
        query.extend(options.force.then_some(("force", "true")));
        let path = ["customizations", id, "train"];
        let answer = self.patiently(&Call { query: &query, ..Call::new(Method::POST, &path) }).await?;
        self.becomes_available(id).await?;
        Ok(items(answer, "warnings"))
    }

    async fn becomes_available(&self, id: &str) -> Result<(), Failure> {
        let (mut looks, asked) = (Looks::new(), Instant::now());
        let mut begun = false;
        loop {
            let model = self.model(id).await?;
            let status = model["status"].as_str().unwrap_or_default();
            match status {
                "available" => return Ok(()),
                "failed" => {
                    let why = model["error"].as_str().map(|why| format!(": {why}")).unwrap_or_default();
                    return Err(Failure::new(format!("the training failed{why}")));
                }
                "training" | "upgrading" => begun = true,
                // Somebody else has added something meanwhile, or the server is still to begin.
                _ if begun => return Ok(()),
                _ if asked.elapsed() > BEGINS_WITHIN => {
                    return Err(Failure::new(format!("the training does not begin: the model is {status}")));
                }
                _ => {}
            }
            looks.wait().await;
        }
    }

    /// Carries a model over to the present version of its base model.
    pub async fn upgrade(&self, id: &str) -> Result<(), RequestError> {
        self.patiently(&Call::new(Method::POST, &["customizations", id, "upgrade_model"])).await?;
        let mut looks = Looks::new();
        while self.model(id).await?["status"] == "upgrading" {
            looks.wait().await;
        }
        Ok(())
    }

    /// Removes a word, a corpus or a grammar: `what` is the segment of the path.
    pub async fn remove(&self, id: &str, what: &str, name: &str) -> Result<(), RequestError> {
        self.patiently(&Call::new(Method::DELETE, &["customizations", id, what, name])).await.map(drop)
    }

    /// Removes everything in a model.
    pub async fn reset(&self, id: &str) -> Result<(), RequestError> {
        self.patiently(&Call::new(Method::POST, &["customizations", id, "reset"])).await.map(drop)
    }

    /// Removes a model.
    pub async fn delete(&self, id: &str) -> Result<(), RequestError> {
        self.patiently(&Call::new(Method::DELETE, &["customizations", id])).await.map(drop)
    }

    /// Asks again while the model is being worked on.
    async fn patiently(&self, call: &Call<'_>) -> Result<Value, RequestError> {
        let (mut looks, asked) = (Looks::new(), Instant::now());
        loop {
            match self.0.call(call).await {
                Err(error) if error.is_busy() || error.may_be_busy() && asked.elapsed() < MAY_BE_BUSY => {
                    looks.wait().await;
                }
                outcome => return outcome,
            }
        }
    }
}

/// Whether this is an id of a model (language-models.md section 11).
pub fn is_guid(text: &str) -> bool {
    let hyphens = [8, 13, 18, 23];
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match hyphens.contains(&at) {
            true => byte == b'-',
            false => byte.is_ascii_hexdigit(),
        })
}

/// The list that is the member `name` of a document.
fn items(mut document: Value, name: &str) -> Vec<Value> {
    match document.get_mut(name).map(Value::take) {
        Some(Value::Array(items)) => items,
        _ => Vec::new(),
    }
}
