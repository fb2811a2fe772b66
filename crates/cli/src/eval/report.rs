//! What an evaluation found, for people and for programs.

use std::collections::BTreeMap;

use serde::Serialize;

use super::score::Score;
use crate::output::Table;

/// A custom language model as it was recognised with.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Customized {
    /// Its id.
    pub id: String,
    /// The weight that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<f64>,
    /// The grammar that said what could be recognised.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grammar: Option<String>,
}

impl Customized {
    fn text(&self) -> String {
        let weight = self.weight.map(|weight| format!(" at {weight}")).unwrap_or_default();
        let grammar = self.grammar.as_ref().map(|name| format!(", grammar {name}")).unwrap_or_default();
        format!(" with {}{weight}{grammar}", self.id)
    }
}

/// Everything an evaluation found. Rates are fractions: 0.25 is 25 %.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The model, or `None` when given transcripts were scored.
    pub model: Option<String>,
    /// The custom model beside it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customization: Option<Customized>,
    /// Whether the audio went through a telephone line first.
    pub telephone: bool,
    /// The scores over all clips.
    #[serde(flatten)]
    pub total: Score,
    /// What `--calibrate` found: points of posterior and confidence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Vec<(f32, f32)>>,
    /// Clips that could not be read or decoded; they count as if nothing had been recognised.
    pub failed: usize,
    /// Seconds of audio.
    pub audio_seconds: f64,
    /// CPU time of reading, decoding and recognising, seconds; without loading the model.
    pub cpu_seconds: f64,
    /// The same by the clock on the wall, seconds.
    pub wall_seconds: f64,
    /// `wall_seconds` / `audio_seconds`.
    pub real_time_factor: f64,
    /// CPU time of loading the model, seconds.
    pub load_cpu_seconds: f64,
    /// Most memory that was resident at a time, bytes.
    pub peak_rss_bytes: u64,
    /// Clips worked on at the same time.
    pub jobs: usize,
    /// Scores by the values of the columns asked for.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub by: BTreeMap<String, BTreeMap<String, Score>>,
}

impl Report {
    /// The report as text.
    pub fn text(&self) -> String {
        let Score { clips, words, .. } = self.total;
        let minutes = self.audio_seconds / 60.0;
        let mut text = match &self.model {
            Some(model) => {
                let line =
                    if self.telephone { ", through a telephone line (300 to 3400 Hz, 8 kHz, mu-law)" } else { "" };
                let custom = self.customization.as_ref().map(Customized::text).unwrap_or_default();
                format!("{model}{custom}: {clips} clips, {minutes:.1} min, {words} words{line}\n\n")
            }
            None => format!("given transcripts: {clips} clips, {words} words\n\n"),
        };
        let total = &self.total;
        let [low, high] = total.word_error_rate_interval;
        text += &format!(
            "word error rate    {:.2} %, 95 % interval {:.2} to {:.2} %\n",
            100.0 * total.word_error_rate,
            100.0 * low,
            100.0 * high
        );
        text += &format!(
            "errors             {}: {} substitutions, {} insertions, {} deletions\n",
            total.errors, total.substitutions, total.insertions, total.deletions
        );
        if let Some(points) = &self.calibration {
            let points: Vec<_> =
                points.iter().map(|(posterior, right)| format!("[{posterior:?}, {right:?}]")).collect();
            text += &format!("for package.toml   calibration = [{}]\n", points.join(", "));
        }
        if let Some(error) = total.confidence_calibration_error {
            text += &format!("confidence         {error:.3} expected calibration error\n");
        }
        if self.model.is_some() {
            text += &format!(
                "CPU time           {:.1} s, {:.4} s for each second of audio ({:.1} s more to load the model)\n",
                self.cpu_seconds,
                self.cpu_seconds / self.audio_seconds.max(1e-9),
                self.load_cpu_seconds
            );
            text += &format!("real-time factor   {:.4} with {}\n", self.real_time_factor, plural(self.jobs, "thread"));
            text += &format!("peak memory        {:.0} MB\n", self.peak_rss_bytes as f64 / 1e6);
        }
        if self.failed > 0 {
            text += &format!(
                "failed             {}; counted as if nothing had been recognised\n",
                plural(self.failed, "clip")
            );
        }
        for (column, scores) in &self.by {
            let heading = column.to_uppercase();
            let mut table = Table::new(&[&heading, "CLIPS", "WORDS", "WER %", "95 % INTERVAL", "SUB", "INS", "DEL"]);
            for (value, score) in scores {
                let [low, high] = score.word_error_rate_interval;
                table.row([
                    value.clone(),
                    score.clips.to_string(),
                    score.words.to_string(),
                    format!("{:.1}", 100.0 * score.word_error_rate),
                    format!("{:.1} - {:.1}", 100.0 * low, 100.0 * high),
                    score.substitutions.to_string(),
                    score.insertions.to_string(),
                    score.deletions.to_string(),
                ]);
            }
            text += &format!("\n{table}");
        }
        text
    }
}

fn plural(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
