//! The command line of `dictum customize`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

#[derive(Debug, Args)]
pub struct CustomizeArgs {
    #[command(flatten)]
    pub place: PlaceArgs,
    /// Print JSON.
    #[arg(long, global = true)]
    pub json: bool,
    #[command(subcommand)]
    pub command: CustomizeCommand,
}

/// Where the custom models are. Without a URL: in the local store, of which --data, --database and --blobs say where it is.
#[derive(Debug, Args)]
#[command(next_help_heading = "Server")]
pub struct PlaceArgs {
    /// Server that speaks the Watson interface, up to and without /v1; without one, the local store.
    #[arg(long, value_name = "URL", env = "DICTUM_URL", global = true)]
    pub url: Option<String>,
    /// API key for the server. Better in the environment, where other users of the machine do not see it.
    #[arg(long, value_name = "KEY", env = "DICTUM_APIKEY", hide_env_values = true, global = true)]
    pub apikey: Option<String>,
    /// Certificates to trust beside those that the machine trusts (PEM), for example a server's self-signed one.
    #[arg(long, value_name = "FILE", global = true)]
    pub ca_cert: Option<PathBuf>,
    /// Service instance whose models are meant, in the local store.
    #[arg(long, value_name = "NAME", default_value = dictum_service::accounts::DEFAULT_INSTANCE, global = true)]
    pub instance: String,
}

#[derive(Debug, Subcommand)]
pub enum CustomizeCommand {
    /// Make a custom model, with everything that is to be in it, and print its id.
    Create {
        /// What to call it.
        name: String,
        /// Model that it adds to. [default: the default model]
        #[arg(long, short = 'm', value_name = "NAME")]
        base_model: Option<String>,
        /// What it is for.
        #[arg(long, value_name = "TEXT")]
        description: Option<String>,
        /// Dialect, where it is not that of the base model.
        #[arg(long, value_name = "NAME")]
        dialect: Option<String>,
        #[command(flatten)]
        additions: AdditionArgs,
        /// Train it when everything is in it.
        #[arg(long)]
        train: bool,
        #[command(flatten)]
        training: TrainingArgs,
    },
    /// Add words, corpora and grammars.
    Add {
        #[command(flatten)]
        model: ModelName,
        #[command(flatten)]
        additions: AdditionArgs,
        /// Train it when everything is in it.
        #[arg(long)]
        train: bool,
        #[command(flatten)]
        training: TrainingArgs,
    },
    /// Train a model with what is in it, so that recognition knows it.
    Train {
        #[command(flatten)]
        model: ModelName,
        #[command(flatten)]
        training: TrainingArgs,
    },
    /// Show a model: its state, its corpora and grammars, and which words are wrong.
    Show {
        #[command(flatten)]
        model: ModelName,
        /// Also list all its words.
        #[arg(long)]
        words: bool,
    },
    /// List the custom models.
    List {
        /// Only those of this language, for example en-US.
        #[arg(long, value_name = "TAG")]
        language: Option<String>,
    },
    /// Remove words, corpora and grammars from a model.
    Remove {
        #[command(flatten)]
        model: ModelName,
        /// Word to remove; may be repeated.
        #[arg(long, value_name = "WORD")]
        word: Vec<String>,
        /// Name of a corpus to remove; may be repeated.
        #[arg(long, value_name = "NAME")]
        corpus: Vec<String>,
        /// Name of a grammar to remove; may be repeated.
        #[arg(long, value_name = "NAME")]
        grammar: Vec<String>,
    },
    /// Carry a model over to the present version of its base model.
    Upgrade {
        #[command(flatten)]
        model: ModelName,
    },
    /// Remove everything that is in a model, but not the model.
    Reset {
        #[command(flatten)]
        model: ModelName,
    },
    /// Delete a model with everything in it.
    Delete {
        #[command(flatten)]
        model: ModelName,
    },
}

#[derive(Debug, Args)]
pub struct ModelName {
    /// Id of the model, or its name where no other has the same.
    #[arg(value_name = "MODEL")]
    pub model: String,
}

/// What is put into a model.
#[derive(Debug, Args)]
#[command(next_help_heading = "What to add")]
pub struct AdditionArgs {
    /// A word, and how it sounds where that is not how it is spelt; may be repeated.
    #[arg(long, value_name = "WORD[=SOUND|SOUND...]")]
    pub word: Vec<String>,
    /// File with a word on each line; after a tab how it sounds (several: a|b), after another how transcripts write it.
    #[arg(long, value_name = "FILE")]
    pub words: Vec<PathBuf>,
    /// Text of what people say, a sentence on each line; named after the file where it is given no name. May be repeated.
    #[arg(long, value_name = "[NAME=]FILE")]
    pub corpus: Vec<String>,
    /// Grammar (SRGS, ABNF or XML form), named like a corpus; may be repeated.
    #[arg(long, value_name = "[NAME=]FILE")]
    pub grammar: Vec<String>,
    /// Replace corpora and grammars that are there under the same names.
    #[arg(long)]
    pub overwrite: bool,
}

/// How a model is trained.
#[derive(Debug, Args)]
#[command(next_help_heading = "Training")]
pub struct TrainingArgs {
    /// How much the model weighs in recognitions that do not say so, 0.0 to 1.0.
    #[arg(long, value_name = "WEIGHT", value_parser = weight)]
    pub weight: Option<f64>,
    /// Which words to add to the base vocabulary: all, or those that were added one by one.
    #[arg(long, value_enum, value_name = "WHICH")]
    pub word_type: Option<WordType>,
    /// Leave out what is not right instead of refusing to train.
    #[arg(long)]
    pub no_strict: bool,
    /// Train although nothing has changed.
    #[arg(long)]
    pub force: bool,
}

/// Words that a training adds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum WordType {
    /// All words.
    All,
    /// Words that were added or changed by themselves, not those of corpora and grammars.
    User,
}

/// A weight on the command line.
pub fn weight(text: &str) -> Result<f64, String> {
    let weight: f64 = text.trim().parse().map_err(|_| "it is not a number".to_owned())?;
    if (0.0..=1.0).contains(&weight) { Ok(weight) } else { Err("it is not between 0.0 and 1.0".to_owned()) }
}
