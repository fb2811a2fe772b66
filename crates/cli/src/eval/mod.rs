//! `dictum eval`: word error rate, speed and memory on recordings with known transcripts.

mod manifest;
mod report;
mod score;

use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use dictum_audio::ContentType;
use dictum_decoder::result::Word;
use dictum_models::calibration::Calibration;
use dictum_models::recogniser::Band;
use dictum_models::{Registry, RegistryConfig};

use crate::args::EvalArgs;
use crate::clip::{self, ClipError};
use crate::config::Settings;
use crate::failure::Failure;
use crate::formats::best_words;
use crate::{output, parallel, progress, taught, telephone, usage};
use manifest::{Manifest, Row};
use report::{Customized, Report};
use score::{ClipScore, Hypothesis, Score};

/// What was recognised in one clip.
struct Recognised {
    hypothesis: Hypothesis,
    seconds: f64,
}

/// Carries out the evaluation.
pub fn run(args: &EvalArgs, settings: &Settings) -> Result<(), Failure> {
    let mut manifest = Manifest::open(&args.manifest)?;
    manifest.rows.truncate(args.first.unwrap_or(usize::MAX));
    let columns =
        args.by.iter().map(|name| Ok((name.clone(), manifest.column(name)?))).collect::<Result<Vec<_>, Failure>>()?;
    let mut details = args.details.as_deref().map(Details::create).transpose()?;

    let began = Instant::now();
    let outcome = match &args.hypotheses {
        Some(file) => given(&manifest, &manifest::hypotheses(file)?)?,
        None => recognise(args, &manifest, settings)?,
    };
    let wall_seconds = outcome.wall_seconds.unwrap_or_else(|| began.elapsed().as_secs_f64());

    let scores: Vec<ClipScore> = manifest
        .rows
        .iter()
        .zip(&outcome.heard)
        .map(|(row, heard)| ClipScore::new(&row.transcript, &heard.hypothesis))
        .collect();
    if let Some(details) = &mut details {
        for ((row, heard), score) in manifest.rows.iter().zip(&outcome.heard).zip(&scores) {
            details.write(row, heard, score)?;
        }
    }
    let audio_seconds = outcome.heard.iter().map(|heard| heard.seconds).sum::<f64>();
    let report = Report {
        model: outcome.model,
        customization: outcome.customization,
        telephone: args.telephone,
        total: Score::over(scores.iter()),
        calibration: calibration(args, &scores)?,
        failed: outcome.failed,
        audio_seconds,
        cpu_seconds: outcome.cpu_seconds,
        wall_seconds,
        real_time_factor: wall_seconds / audio_seconds.max(1e-9),
        load_cpu_seconds: outcome.load_cpu_seconds,
        peak_rss_bytes: usage::peak_rss_bytes(),
        jobs: parallel::threads(args.jobs),
        by: columns.iter().map(|(name, column)| (name.clone(), by_value(&manifest, &scores, *column))).collect(),
    };
    match args.json {
        true => output::print(&format!("{}\n", serde_json::to_string_pretty(&report)?))?,
        false => output::print(&report.text())?,
    }
    match outcome.failed {
        0 => Ok(()),
        failed => Err(Failure::new(format!("{failed} of {} clips could not be recognised", manifest.rows.len()))),
    }
}

/// What `--calibrate` asks for.
fn calibration(args: &EvalArgs, scores: &[ClipScore]) -> Result<Option<Vec<(f32, f32)>>, Failure> {
    if !args.calibrate {
        return Ok(None);
    }
    let words: Vec<(f32, bool)> = scores.iter().flat_map(|score| &score.confidences).copied().collect();
    let estimated = Calibration::estimated(&words).ok_or_else(|| {
        Failure::new(format!("--calibrate: {} words are too few to tell how sure to be of them", words.len()))
    })?;
    Ok(Some(estimated.points().to_vec()))
}

fn by_value(manifest: &Manifest, scores: &[ClipScore], column: usize) -> BTreeMap<String, Score> {
    let mut groups: BTreeMap<String, Vec<&ClipScore>> = BTreeMap::new();
    for (row, score) in manifest.rows.iter().zip(scores) {
        groups.entry(row.value(column).to_owned()).or_default().push(score);
    }
    groups.into_iter().map(|(value, scores)| (value, Score::over(scores.into_iter()))).collect()
}

struct Outcome {
    model: Option<String>,
    customization: Option<Customized>,
    heard: Vec<Recognised>,
    failed: usize,
    cpu_seconds: f64,
    load_cpu_seconds: f64,
    wall_seconds: Option<f64>,
}

fn recognise(args: &EvalArgs, manifest: &Manifest, settings: &Settings) -> Result<Outcome, Failure> {
    let registry = Registry::open(&RegistryConfig { uncalibrated: args.calibrate, ..settings.registry() })?;
    let cpu_before_loading = usage::cpu_seconds();
    let spinner = progress::spinner("loading the model");
    let model = taught::load(registry, settings, &args.model)?;
    spinner.finish_and_clear();
    if args.telephone && !model.entry.package.bands.contains(&Band::Narrowband) {
        return Err(Failure::new(format!(
            "the package {} does not hear narrowband audio, which --telephone makes",
            model.entry.package.name
        )));
    }
    let cpu_before = usage::cpu_seconds();
    let began = Instant::now();
    let bar = progress::bar(manifest.rows.len());
    let work = |row: &Row| -> Result<Recognised, ClipError> {
        let heard = match args.telephone {
            true => {
                let sent = clip::samples(&row.path, &ContentType::Auto, telephone::RATE)?;
                model.recognise_samples(&telephone::line(&sent), Band::Narrowband)
            }
            false => model.recognise(&row.path, &ContentType::Auto)?,
        };
        let words: Vec<Word> = heard.utterances.iter().flat_map(best_words).cloned().collect();
        Ok(Recognised { hypothesis: Hypothesis::recognised(&words), seconds: heard.seconds })
    };
    let mut heard = Vec::new();
    let mut failed = 0;
    parallel::in_order(&manifest.rows, parallel::threads(args.jobs), work, |_, result| {
        bar.inc(1);
        heard.push(result.unwrap_or_else(|error| {
            failed += 1;
            bar.suspend(|| eprintln!("dictum: {error}"));
            Recognised { hypothesis: Hypothesis::recognised(&[]), seconds: 0.0 }
        }));
        true
    });
    bar.finish_and_clear();
    let customization = model.customization.clone().map(|id| Customized {
        id,
        weight: args.model.customization_weight,
        grammar: args.model.grammar.clone(),
    });
    Ok(Outcome {
        model: Some(model.entry.info.name.clone()),
        customization,
        heard,
        failed,
        cpu_seconds: usage::cpu_seconds() - cpu_before,
        load_cpu_seconds: cpu_before - cpu_before_loading,
        wall_seconds: Some(began.elapsed().as_secs_f64()),
    })
}

/// Transcripts that were made elsewhere, in place of our own. They have no times and no confidences.
fn given(manifest: &Manifest, transcripts: &HashMap<String, String>) -> Result<Outcome, Failure> {
    let duration = manifest.column("duration_s").ok();
    let mut heard = Vec::new();
    for row in &manifest.rows {
        let transcript = transcripts
            .get(&row.name)
            .ok_or_else(|| Failure::new(format!("--hypotheses: there is no transcript of {}", row.name)))?;
        heard.push(Recognised {
            hypothesis: Hypothesis::given(transcript),
            seconds: duration.and_then(|column| row.value(column).parse().ok()).unwrap_or(0.0),
        });
    }
    Ok(Outcome {
        model: None,
        customization: None,
        heard,
        failed: 0,
        cpu_seconds: 0.0,
        load_cpu_seconds: 0.0,
        wall_seconds: None,
    })
}

/// The `--details` file.
struct Details(std::io::BufWriter<std::fs::File>);

impl Details {
    fn create(path: &Path) -> Result<Details, Failure> {
        let file = std::fs::File::create(path)
            .map_err(|error| Failure::new(format!("cannot write {}: {error}", path.display())))?;
        let mut details = Details(std::io::BufWriter::new(file));
        writeln!(details.0, "path\terrors\twords\treference\trecognised")?;
        Ok(details)
    }

    fn write(&mut self, row: &Row, heard: &Recognised, score: &ClipScore) -> Result<(), Failure> {
        let (errors, words) = (score.errors.total(), score.errors.words);
        let recognised = heard.hypothesis.text();
        Ok(writeln!(self.0, "{}\t{errors}\t{words}\t{}\t{recognised}", row.name, row.transcript)?)
    }
}
