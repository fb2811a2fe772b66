//! Texts of a domain, taught for recordings of it; and the same at every weight.

use std::path::Path;
use std::sync::Arc;

use dictum_language::scoring::align;
use dictum_models::recogniser::Recogniser;

use crate::Failure;
use crate::clips::Clip;
use crate::rare_words::rare_words;
use crate::teacher::{Teacher, hear};

/// Folders of recordings (by how their names begin), and the text of their domain.
const DOMAINS: [(&str, &str); 3] =
    [("ljspeech", "ljspeech.txt"), ("arctic", "arctic.txt"), ("common_voice", "common_voice.txt")];

/// Word errors and words of recordings.
fn errors(recogniser: &Arc<Recogniser>, clips: &[&Clip]) -> Result<(usize, usize), Failure> {
    let mut errors = (0, 0);
    for clip in clips {
        errors.0 += align(&clip.reference, &hear(recogniser, &clip.samples()?)).errors().total();
        errors.1 += clip.reference.len();
    }
    Ok(errors)
}

/// What is taught.
pub struct Lesson<'a> {
    /// Folder of the texts.
    pub texts: &'a Path,
    /// Customization weights; 0 to 1.
    pub weights: &'a [f32],
    /// Whether the rare words of all recordings of the domain are taught beside its text.
    pub words: bool,
}

/// Recognises the recordings of each domain with the base model and with a model of the domain's text at each weight.
pub fn run(teacher: &Teacher, clips: &[Clip], lesson: &Lesson<'_>, every: usize) -> Result<String, Failure> {
    let mut table =
        "| recordings | clips | words | weight | word error rate | change |\n|---|---|---|---|---|---|\n".to_owned();
    for (set, text) in DOMAINS {
        let clips: Vec<&Clip> = clips.iter().filter(|clip| clip.set.starts_with(set)).step_by(every).collect();
        if clips.is_empty() {
            continue;
        }
        let mut rare: Vec<&str> =
            clips.iter().filter(|_| lesson.words).flat_map(|clip| rare_words(teacher, clip)).collect();
        rare.sort_unstable();
        rare.dedup();
        let custom = teacher.teach(&rare, &[&lesson.texts.join(text)])?;
        let (base, words) = errors(&teacher.base, &clips)?;
        let percent = |errors: usize| 100.0 * errors as f64 / words.max(1) as f64;
        table += &format!("| {set} | {} | {words} | base | {:.1} % | |\n", clips.len(), percent(base));
        for &weight in lesson.weights {
            let (taught, _) = errors(&teacher.base.customized(&custom, weight)?, &clips)?;
            let change = 100.0 * (taught as f64 / base.max(1) as f64 - 1.0);
            table += &format!("| {set} | | | {weight} | {:.1} % | {change:+.1} % |\n", percent(taught));
        }
    }
    Ok(table)
}
