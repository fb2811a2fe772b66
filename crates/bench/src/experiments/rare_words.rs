//! Words that the base model does not know, or hardly: taught one recording at a time, among words that do not occur.

use std::collections::{BTreeMap, HashSet};

use dictum_language::scoring::{Edit, align};
use dictum_models::customization::Customization;

use crate::Failure;
use crate::clips::Clip;
use crate::teacher::{Teacher, hear};

/// Words rarer than this in the base model are rare.
const RARE: f32 = 1e-6;

/// Errors of one way to recognise.
#[derive(Debug, Default, Clone, Copy)]
pub struct Errors {
    /// Rare words that were not recognised.
    pub rare: usize,
    pub all_rare: usize,
    /// Errors on everything else, insertions included.
    pub other: usize,
    pub all_other: usize,
}

impl Errors {
    fn count(reference: &[String], hypothesis: &[String], rare: &HashSet<&str>) -> Errors {
        let mut errors = Errors::default();
        for edit in align(reference, hypothesis).edits {
            let (word, wrong) = match edit {
                Edit::Match { reference: at, .. } => (Some(at), false),
                Edit::Substitution { reference: at, .. } | Edit::Deletion { reference: at, .. } => (Some(at), true),
                Edit::Insertion { .. } => (None, true),
            };
            let is_rare = word.is_some_and(|at| rare.contains(reference[at].as_str()));
            match is_rare {
                true => (errors.rare, errors.all_rare) = (errors.rare + usize::from(wrong), errors.all_rare + 1),
                false => {
                    errors.other += usize::from(wrong);
                    errors.all_other += usize::from(word.is_some());
                }
            }
        }
        errors
    }

    fn add(&mut self, more: Errors) {
        self.rare += more.rare;
        self.all_rare += more.all_rare;
        self.other += more.other;
        self.all_other += more.all_other;
    }
}

/// A deterministic sequence of numbers (SplitMix64).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % limit as u64) as usize
    }
}

/// Rare words of a recording.
pub fn rare_words<'a>(teacher: &Teacher, clip: &'a Clip) -> Vec<&'a str> {
    let rare = |word: &str| teacher.frequency(word).is_none_or(|probability| probability < RARE.ln());
    let mut words: Vec<&str> = clip.reference.iter().map(String::as_str).filter(|word| rare(word)).collect();
    words.sort_unstable();
    words.dedup();
    words
}

/// Runs the experiment: for each number of distractors, errors of the base model and of the custom ones by kind of source.
pub fn run(teacher: &Teacher, clips: &[Clip], distractors: &[usize], weight: f32) -> Result<String, Failure> {
    let spoken: HashSet<&str> = clips.iter().flat_map(|clip| clip.reference.iter().map(String::as_str)).collect();
    let pool: Vec<&str> = teacher
        .dictionary()
        .iter()
        .map(|(word, _)| word)
        .filter(|word| teacher.frequency(word).is_none() && !spoken.contains(word))
        .filter(|word| word.len() > 2 && word.chars().all(|letter| letter.is_ascii_lowercase()))
        .collect();
    let mut found: BTreeMap<(String, usize), [Errors; 2]> = BTreeMap::new();
    for (number, clip) in clips.iter().enumerate() {
        let rare = rare_words(teacher, clip);
        if rare.is_empty() {
            continue;
        }
        let samples = clip.samples()?;
        let base = hear(&teacher.base, &samples);
        let is_rare: HashSet<&str> = rare.iter().copied().collect();
        for &count in distractors {
            let mut random = Random(number as u64);
            let mut words = rare.clone();
            words.extend((0..count).map(|_| pool[random.below(pool.len())]));
            words.sort_unstable();
            words.dedup();
            let custom: Customization = teacher.teach(&words, &[])?;
            let recogniser = teacher.base.customized(&custom, weight)?;
            let taught = hear(&recogniser, &samples);
            let errors = [&base, &taught].map(|words| Errors::count(&clip.reference, words, &is_rare));
            let group = found.entry((kind(&clip.set).to_owned(), count)).or_default();
            group[0].add(errors[0]);
            group[1].add(errors[1]);
        }
    }
    Ok(table(&found))
}

/// A table as the documents have it.
fn table(found: &BTreeMap<(String, usize), [Errors; 2]>) -> String {
    let fewer = |before: usize, after: usize| 100.0 * (1.0 - after as f64 / before.max(1) as f64);
    let mut text = "| recordings | other words taught | rare words missed | fewer | errors on other words | change |\n\
                    |---|---|---|---|---|---|\n"
        .to_owned();
    for ((kind, distractors), [base, taught]) in found {
        text += &format!(
            "| {kind} | {distractors} | {} → {} of {} | {:.0} % | {} → {} of {} | {:+.1} % |\n",
            base.rare,
            taught.rare,
            base.all_rare,
            fewer(base.rare, taught.rare),
            base.other,
            taught.other,
            base.all_other,
            -fewer(base.other, taught.other)
        );
    }
    text
}

/// Read aloud in a quiet room, or by many people on their own devices.
fn kind(set: &str) -> &str {
    if set.starts_with("common_voice") { "Common Voice" } else { "read" }
}
