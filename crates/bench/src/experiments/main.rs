//! `dictum-experiments`: what teaching does to recognition, on real speech.

mod clips;
mod corpora;
mod cost;
mod grammars;
mod neural;
mod rare_words;
mod sounds_like;
mod teacher;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use dictum_models::tuning::Tuning;

use crate::clips::Clip;
use crate::teacher::Teacher;

/// Errors end the program with a sentence.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Measures what custom words, texts and grammars do to recognition.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    experiment: Experiment,
    #[command(flatten)]
    common: Common,
}

#[derive(Args)]
struct Common {
    /// Recordings of speech: tab-separated, with a header and the columns `path` and `transcript`.
    #[arg(long, global = true, default_value = "../shared/audio/en/manifest.tsv")]
    manifest: PathBuf,
    /// Only every so many-th clip.
    #[arg(long, global = true, default_value_t = 1)]
    every: usize,
    /// Sets a number of the tuning, for example `least_fit=-6`; may be repeated.
    #[arg(long, global = true, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

#[derive(Subcommand)]
enum Experiment {
    /// Words that the base model does not know or hardly, taught one recording at a time.
    RareWords {
        /// Customization weight.
        #[arg(long, default_value_t = 0.3)]
        weight: f32,
        /// Words beside those that occur.
        #[arg(long, value_delimiter = ',', default_value = "100,1000,10000")]
        distractors: Vec<usize>,
    },
    /// Texts of a domain, taught for recordings of it.
    Corpora {
        /// Folder of the texts `ljspeech.txt`, `arctic.txt` and `common_voice.txt`.
        #[arg(long, default_value = "../shared/text")]
        texts: PathBuf,
        /// Customization weights.
        #[arg(long, value_delimiter = ',', default_value = "0.3,0.5,0.8")]
        weights: Vec<f32>,
        /// Teach the rare words of the recordings as well.
        #[arg(long)]
        words: bool,
    },
    /// Words whose spelling misleads, with and without what they sound like.
    SoundsLike {
        /// Customization weight.
        #[arg(long, default_value_t = 0.3)]
        weight: f32,
    },
    /// What custom words cost in time, memory and CPU.
    Cost {
        /// Numbers of words.
        #[arg(long, value_delimiter = ',', default_value = "1000,10000,90000")]
        words: Vec<usize>,
    },
    /// Speech that a grammar generates, and speech that it does not.
    Grammars,
    /// What searching costs beside the network of a neural model, with many words.
    Neural {
        /// The model package.
        #[arg(long, default_value = "models/en-digits-commands-names")]
        package: PathBuf,
        /// Words of the lexicon, with the trigrams of the default model.
        #[arg(long, default_value_t = 200_000)]
        lexicon: usize,
        /// Custom words.
        #[arg(long, default_value_t = 10_000)]
        words: usize,
        /// Beam of the search, if not the usual one; the beams within it are narrowed alike.
        #[arg(long)]
        beam: Option<f32>,
    },
}

fn main() -> Result<(), Failure> {
    let arguments = Arguments::parse();
    let common = &arguments.common;
    let teacher = Teacher::new(tuning(&common.set)?)?;
    let clips = Clip::all(&common.manifest)?;
    let some = |clips: Vec<Clip>| clips.into_iter().step_by(common.every).collect::<Vec<_>>();
    match arguments.experiment {
        Experiment::RareWords { weight, distractors } => {
            print!("{}", rare_words::run(&teacher, &some(clips), &distractors, weight)?);
        }
        Experiment::Corpora { texts, weights, words } => {
            let lesson = corpora::Lesson { texts: &texts, weights: &weights, words };
            print!("{}", corpora::run(&teacher, &clips, &lesson, common.every)?);
        }
        Experiment::SoundsLike { weight } => print!("{}", sounds_like::run(&teacher, &some(clips), weight)?),
        Experiment::Cost { words } => print!("{}", cost::run(&teacher, &some(clips), &words)?),
        Experiment::Neural { package, lexicon, words, beam } => {
            let setting = neural::Setting { package: &package, lexicon, words, beam };
            print!("{}", neural::run(&teacher, &some(clips), &setting)?);
        }
        Experiment::Grammars => print!("{}", grammars::run(&teacher, &clips, common.every)?),
    }
    Ok(())
}

/// The usual beams and weights, with what was set.
fn tuning(set: &[String]) -> Result<Tuning, Failure> {
    let mut tuning = Tuning::default();
    for setting in set {
        let (key, value) = setting.split_once('=').ok_or("--set wants KEY=VALUE")?;
        let number: f32 = value.parse().map_err(|_| format!("{key}={value} is not a number"))?;
        match key {
            "word_probability" => tuning.mixture.word_probability = number,
            "word_mass" => tuning.mixture.word_mass = number,
            "least_fit" => tuning.least_fit = number,
            "least_coverage" => tuning.least_coverage = number,
            "fit_slope" => tuning.fit_slope = number,
            "grammar_lm_weight" => tuning.grammar.lm_weight = number,
            "grammar_word_penalty" => tuning.grammar.word_penalty = number,
            "short_mean" => tuning.short_mean = number,
            "grammar_beam" => tuning.grammar.beam = number,
            _ => return Err(format!("--set {key}: there is no such number").into()),
        }
    }
    Ok(tuning)
}
