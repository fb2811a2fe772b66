//! Errors of single clips, and of sets of clips.

use dictum_decoder::result::Word;
use dictum_language::scoring::{Edit, Errors, align, bootstrap_interval, normalise};
use serde::Serialize;

/// Repetitions of the bootstrap.
const BOOTSTRAP_SAMPLES: usize = 1_000;
/// Fixed, so that the same results give the same interval.
const BOOTSTRAP_SEED: u64 = 1;

/// Classes of confidence over which the calibration error is taken.
const CLASSES: usize = 10;

/// The words of a clip as they are compared, with their confidences where these are known.
pub struct Hypothesis {
    words: Vec<String>,
    confidences: Vec<Option<f32>>,
}

impl Hypothesis {
    /// Words as recognised. Each is normalised by itself, so that what becomes of it keeps its confidence.
    pub fn recognised(words: &[Word]) -> Hypothesis {
        let parts =
            words.iter().flat_map(|word| normalise(&word.text).into_iter().map(|part| (part, Some(word.confidence))));
        let (words, confidences) = parts.unzip();
        Hypothesis { words, confidences }
    }

    /// A transcript made elsewhere.
    pub fn given(transcript: &str) -> Hypothesis {
        let words = normalise(transcript);
        Hypothesis { confidences: vec![None; words.len()], words }
    }

    /// The words, joined by spaces.
    pub fn text(&self) -> String {
        self.words.join(" ")
    }
}

/// How well one clip was recognised.
pub struct ClipScore {
    /// Its errors and reference words.
    pub errors: Errors,
    /// Of every recognised word with a known confidence: the confidence, and whether the word is right.
    pub confidences: Vec<(f32, bool)>,
}

impl ClipScore {
    /// Compares what was recognised with what was said.
    pub fn new(reference: &str, hypothesis: &Hypothesis) -> ClipScore {
        let alignment = align(&normalise(reference), &hypothesis.words);
        let judged = alignment.edits.iter().filter_map(|edit| match edit {
            Edit::Match { hypothesis: word, .. } => Some((hypothesis.confidences[*word]?, true)),
            Edit::Substitution { hypothesis: word, .. } | Edit::Insertion { hypothesis: word } => {
                Some((hypothesis.confidences[*word]?, false))
            }
            Edit::Deletion { .. } => None,
        });
        ClipScore { confidences: judged.collect(), errors: alignment.errors() }
    }
}

/// How well a set of clips was recognised. Rates are fractions: 0.25 is 25 %.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Score {
    /// Clips.
    pub clips: usize,
    /// Errors for each word of the references.
    pub word_error_rate: f64,
    /// Its 95 % interval, by resampling clips.
    pub word_error_rate_interval: [f64; 2],
    /// Words of the references.
    pub words: usize,
    /// Substitutions, insertions and deletions together.
    pub errors: usize,
    /// Words recognised as another word.
    pub substitutions: usize,
    /// Words recognised where none was said.
    pub insertions: usize,
    /// Words that were not recognised.
    pub deletions: usize,
    /// How far confidences are from the fraction of words that are right, on average over the words (expected calibration
    /// error, ten classes of equal width). Absent where there are no confidences.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confidence_calibration_error: Option<f64>,
}

impl Score {
    /// The score over some clips.
    pub fn over<'a>(clips: impl Iterator<Item = &'a ClipScore>) -> Score {
        let clips: Vec<&ClipScore> = clips.collect();
        let mut errors = Errors::default();
        for clip in &clips {
            errors += clip.errors;
        }
        let counts: Vec<_> = clips.iter().map(|clip| (clip.errors.total(), clip.errors.words)).collect();
        let (low, high) = bootstrap_interval(&counts, BOOTSTRAP_SAMPLES, BOOTSTRAP_SEED);
        Score {
            clips: clips.len(),
            word_error_rate: errors.rate(),
            word_error_rate_interval: [low, high],
            words: errors.words,
            errors: errors.total(),
            substitutions: errors.substitutions,
            insertions: errors.insertions,
            deletions: errors.deletions,
            confidence_calibration_error: calibration_error(clips.iter().flat_map(|clip| &clip.confidences)),
        }
    }
}

/// Expected calibration error (Naeini, Cooper and Hauskrecht 2015).
fn calibration_error<'a>(judged: impl Iterator<Item = &'a (f32, bool)>) -> Option<f64> {
    #[derive(Default, Clone, Copy)]
    struct Class {
        words: f64,
        confidence: f64,
        right: f64,
    }
    let mut classes = [Class::default(); CLASSES];
    for (confidence, right) in judged {
        let class = &mut classes[((confidence * CLASSES as f32) as usize).min(CLASSES - 1)];
        class.words += 1.0;
        class.confidence += f64::from(*confidence);
        class.right += f64::from(u8::from(*right));
    }
    let words: f64 = classes.iter().map(|class| class.words).sum();
    let distance: f64 = classes.iter().map(|class| (class.confidence - class.right).abs()).sum();
    (words > 0.0).then(|| distance / words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(text: &str, confidence: f32) -> Word {
        Word { text: text.to_owned(), start: 0.0, end: 0.0, confidence }
    }

    #[test]
    fn errors_add_up_over_clips() {
        let first = ClipScore::new("Seven of clubs.", &Hypothesis::given("seven clubs"));
        let second = ClipScore::new("queen", &Hypothesis::given("a green queen"));
        let score = Score::over([&first, &second].into_iter());
        assert_eq!((score.clips, score.words, score.errors), (2, 4, 3));
        assert_eq!((score.substitutions, score.insertions, score.deletions), (0, 2, 1));
        assert!((score.word_error_rate - 0.75).abs() < 1e-12);
        let [low, high] = score.word_error_rate_interval;
        assert!(low < 0.75 && 0.75 < high, "{low} {high}");
        assert_eq!(score.confidence_calibration_error, None);
    }

    #[test]
    fn calibration_compares_confidence_with_truth() {
        // Ten words said with 0.75, of which eight are right: off by 0.05. Two said with 0.25, both wrong: off by 0.25.
        let reference = "a b c d e f g h x y";
        let mut words: Vec<Word> = "a b c d e f g h p q".split(' ').map(|text| word(text, 0.75)).collect();
        words.extend([word("r", 0.25), word("s", 0.25)]);
        let score = Score::over([&ClipScore::new(reference, &Hypothesis::recognised(&words))].into_iter());
        let expected = (10.0 * 0.05 + 2.0 * 0.25) / 12.0;
        assert!((score.confidence_calibration_error.unwrap() - expected).abs() < 1e-6, "{score:?}");
    }

    #[test]
    fn parts_of_a_word_keep_its_confidence() {
        let hypothesis = Hypothesis::recognised(&[word("well-known", 0.9), word("books", 0.5)]);
        assert_eq!(hypothesis.text(), "well known books");
        assert_eq!(hypothesis.confidences, [Some(0.9), Some(0.9), Some(0.5)]);
    }
}
