//! What recognition yields: utterances with their words, alternatives, confusion network and keyword hits.
//!
//! Times are seconds from the first sample pushed into the session. Confidences and posteriors are probabilities
//! in `0.0..=1.0`; word confidences are calibrated (of the words said with confidence *c* a fraction *c* is right).

use serde::Serialize;

/// One word of a transcript.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Word {
    /// The word as written in the vocabulary, lower case; hesitations appear as `%HESITATION`.
    pub text: String,
    /// Start, seconds.
    pub start: f64,
    /// End, seconds.
    pub end: f64,
    /// Calibrated probability that the word is right.
    pub confidence: f32,
}

/// One reading of an utterance.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Alternative {
    /// Words in order, silences and noises left out.
    pub words: Vec<Word>,
    /// Confidence of the whole reading.
    pub confidence: f32,
}

impl Alternative {
    /// The words joined by single spaces, without a trailing one.
    pub fn text(&self) -> String {
        self.words.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ")
    }
}

/// One slot of the confusion network: words that compete for a stretch of time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Slot {
    /// Start, seconds.
    pub start: f64,
    /// End, seconds.
    pub end: f64,
    /// Words with their posteriors, best first. Together with `skip` they sum to one.
    pub words: Vec<(String, f32)>,
    /// Posterior that no word was spoken here.
    pub skip: f32,
}

/// A place where a keyword was spoken.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KeywordHit {
    /// Index into the session's keyword list.
    pub keyword: usize,
    /// The phrase as found, in the vocabulary's spelling.
    pub normalized_text: String,
    /// Start, seconds.
    pub start: f64,
    /// End, seconds.
    pub end: f64,
    /// Posterior of the phrase, at least the session's threshold.
    pub confidence: f32,
}

/// Why an utterance ended, in the words of the Watson contract (results.md section 11).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EndOfUtterance {
    /// The audio ended.
    EndOfData,
    /// A phrase ended, by what was said rather than by a pause.
    FullStop,
    /// The utterance reached its longest permitted duration.
    Reset,
    /// A pause of `end_of_phrase_silence_time`.
    Silence,
}

/// What has been understood so far of an utterance that is still open.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Interim {
    /// Words in order, at least one; their confidences are zero, for nothing is known of them yet.
    pub words: Vec<Word>,
}

/// A final result.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Utterance {
    /// Start, seconds.
    pub start: f64,
    /// End, seconds.
    pub end: f64,
    /// Distinct readings, best first; at least one, at most `max_alternatives`.
    pub alternatives: Vec<Alternative>,
    /// The confusion network, in time order; empty unless asked for.
    pub slots: Vec<Slot>,
    /// Keyword hits in time order per keyword; empty unless keywords were given.
    pub keywords: Vec<KeywordHit>,
    /// Why it ended.
    pub ended_by: EndOfUtterance,
}
