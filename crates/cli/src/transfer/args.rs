//! The command lines of `dictum export` and `dictum import`.

use std::path::PathBuf;

use clap::Args;

use crate::customize::args::{PlaceArgs, TrainingArgs};

#[derive(Debug, Args)]
pub struct ExportArgs {
    /// Directory to write into; made when it is missing, and empty otherwise.
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
    #[command(flatten)]
    pub place: PlaceArgs,
    /// Only this custom model, by its id or its name; may be repeated.
    #[arg(long, value_name = "MODEL")]
    pub model: Vec<String>,
    /// Directory with the texts of corpora and grammars, for servers that do not give them back.
    #[arg(long, value_name = "DIR")]
    pub sources: Option<PathBuf>,
    /// Also save the results of recognition jobs (the latest hundred; they cannot be imported anywhere).
    #[arg(long)]
    pub jobs: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct ImportArgs {
    /// Directory that "dictum export" has written.
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
    #[command(flatten)]
    pub place: PlaceArgs,
    /// Only this custom model, by its former id or its name; may be repeated.
    #[arg(long, value_name = "MODEL")]
    pub model: Vec<String>,
    /// Directory with texts of corpora and grammars that are not in the export.
    #[arg(long, value_name = "DIR")]
    pub sources: Option<PathBuf>,
    /// Base model to use instead, for all models or for those over OLD; may be repeated.
    #[arg(long, value_name = "[OLD=]NEW")]
    pub base_model: Vec<String>,
    /// Make all models anew, also those that an earlier import has begun.
    #[arg(long)]
    pub anew: bool,
    /// Do not train.
    #[arg(long, conflicts_with_all = ["weight", "word_type", "no_strict", "force"])]
    pub no_train: bool,
    #[command(flatten)]
    pub training: TrainingArgs,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}
