//! `dictum-experiments`: what teaching does to recognition, on real speech.

mod clips;
mod rare_words;
mod teacher;

use std::path::PathBuf;

use clap::Parser;
use dictum_models::tuning::Tuning;

use crate::clips::Clip;
use crate::teacher::Teacher;

/// Errors end the program with a sentence.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Measures what custom words and texts do to recognition.
#[derive(Parser)]
struct Arguments {
    /// Recordings of speech: tab-separated, with a header and the columns `path` and `transcript`.
    manifest: PathBuf,
    /// Only every so many-th clip.
    #[arg(long, default_value_t = 1)]
    every: usize,
    /// Customization weight.
    #[arg(long, default_value_t = 0.3)]
    weight: f32,
    /// Words beside those that occur.
    #[arg(long, value_delimiter = ',', default_value = "100,1000,10000")]
    distractors: Vec<usize>,
    #[arg(long)]
    word_probability: Option<f32>,
    #[arg(long)]
    word_mass: Option<f32>,
}

fn main() -> Result<(), Failure> {
    let arguments = Arguments::parse();
    let mut tuning = Tuning::default();
    tuning.mixture.word_probability = arguments.word_probability.unwrap_or(tuning.mixture.word_probability);
    tuning.mixture.word_mass = arguments.word_mass.unwrap_or(tuning.mixture.word_mass);
    let teacher = Teacher::new(tuning)?;
    let clips: Vec<Clip> = Clip::all(&arguments.manifest)?.into_iter().step_by(arguments.every).collect();
    let found = rare_words::run(&teacher, &clips, &arguments.distractors, arguments.weight)?;
    for ((kind, distractors), [base, taught]) in &found {
        let fewer = |before: usize, after: usize| 100.0 * (1.0 - after as f64 / before.max(1) as f64);
        println!(
            "{kind:14} {distractors:6} rare {}/{} -> {} ({:.1} % fewer)  other {}/{} -> {} ({:+.1} %)",
            base.rare,
            base.all_rare,
            taught.rare,
            fewer(base.rare, taught.rare),
            base.other,
            base.all_other,
            taught.other,
            -fewer(base.other, taught.other)
        );
    }
    Ok(())
}
