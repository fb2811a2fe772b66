//! Interim results: a second, quick search that runs while an utterance lasts.
//!
//! It differs from the search of the final result in two things. Its beams are narrow, for every second of live audio is searched
//! twice; and not all is known yet. With models of phones that is the mean of the utterance: it begins with
//! that of what the session heard before (or the model's own for the first utterance) and follows the speech. With networks that
//! see whole utterances it is what comes: they score short windows, which overlap. What networks that stream say is the same for both searches
//! ([`crate::hearing`]).

use std::sync::Arc;

use dictum_acoustic::{FEATURE_CONTEXT, features_of};
use dictum_decoder::result::Interim;
use dictum_language::WordId;
use dictum_neural::{CtcStream, Mode};

use crate::acoustic::Acoustic;
use crate::hearing::Hearing;
use crate::recogniser::{Band, Recogniser};
use crate::segmenter::OpenUtterance;
use crate::wording::{self, Found};
use crate::work_space::{Lent, Purpose};

/// Frames taken at a time: after each the text may change.
const BLOCK: usize = 10;

/// Frames of speech that are waited for before the search begins, for the mean's sake. The first word is not over yet.
const FIRST: usize = 30;

/// Samples given to a network at a time: as much as such a block.
const PIECE: usize = 1_600;

/// Blocks in a row that must agree on a word before it is told: readers mind words that are taken back more than they mind
/// a tenth of a second.
const AGREEING: usize = 3;

/// The same as long as nothing is told: that anything appears at all matters more.
const AGREEING_AT_FIRST: usize = 2;

/// The interim search of one utterance.
pub struct Live {
    work: Lent,
    way: Way,
    /// The words after each of the last blocks, the newest first.
    recent: [Vec<WordId>; AGREEING - 1],
    /// The words last told.
    told: Vec<WordId>,
    frame_seconds: f64,
}

enum Way {
    Cepstra {
        mean: RunningMean,
        /// Frames that have been searched.
        done: usize,
        /// Frames of which the mean knows.
        averaged: usize,
    },
    Samples {
        /// Samples that the network was given.
        done: usize,
        /// The network's stream, until it fails.
        stream: Option<Box<CtcStream>>,
        /// Scores that came of the last samples.
        scores: Vec<f32>,
    },
    /// Others give the network what it hears.
    Heard {
        /// Scores that have been searched.
        done: usize,
    },
}

impl Live {
    /// A search for an utterance that has just begun. `mean` is what the session heard before.
    pub fn new(recogniser: &Arc<Recogniser>, band: Band, mean: RunningMean) -> Live {
        let acoustic = recogniser.model().acoustic();
        let way = match acoustic {
            Acoustic::Phones(_) => Way::Cepstra { mean, done: 0, averaged: 0 },
            Acoustic::Tokens(spelt) if spelt.model.is_streaming() => Way::Heard { done: 0 },
            Acoustic::Tokens(spelt) => {
                let stream = Some(Box::new(spelt.model.stream(Mode::Live)));
                Way::Samples { done: 0, stream, scores: Vec::new() }
            }
        };
        let work = Recogniser::work_space(recogniser, band, Purpose::Interim);
        let frame_seconds = acoustic.frame_seconds();
        Live { work, way, recent: Default::default(), told: Vec::new(), frame_seconds }
    }

    /// Takes the next block of frames, if it is complete: `None` if not, else whether the text changed, and to what. What a network that
    /// streams has heard of them is in `hearing`.
    pub fn advance(
        &mut self,
        recogniser: &Recogniser,
        open: &OpenUtterance<'_>,
        hearing: Option<&Hearing>,
    ) -> Option<Option<Interim>> {
        let searched = match &mut self.way {
            Way::Cepstra { mean, done, averaged } => {
                let cepstra = open.cepstra();
                while *averaged < cepstra.len() {
                    if open.is_speech(*averaged) {
                        mean.add(&cepstra[*averaged]);
                    }
                    *averaged += 1;
                }
                let end = *done + BLOCK;
                let known = cepstra.len().saturating_sub(FEATURE_CONTEXT);
                if known < end || known < FIRST {
                    return None;
                }
                self.work.push_features(&features_of(cepstra, *done..end, &mean.mean()), false);
                *done = end;
                true
            }
            Way::Samples { done, stream, scores } => {
                let samples = open.samples();
                let end = *done + PIECE;
                if samples.len() < end {
                    return None;
                }
                let running = stream.as_mut()?;
                scores.clear();
                if let Err(error) = running.push(&samples[*done..end], scores) {
                    tracing::error!(%error, "no more interim results of an utterance");
                    *stream = None;
                    return None;
                }
                *done = end;
                self.work.push_scores(scores, false);
                !scores.is_empty()
            }
            Way::Heard { done } => {
                let scores = hearing?.scores().get(*done..).filter(|scores| !scores.is_empty())?;
                *done += scores.len();
                self.work.push_scores(scores, false);
                true
            }
        };
        Some(if searched { self.changed(recogniser, open.start()) } else { None })
    }

    fn changed(&mut self, recogniser: &Recogniser, start: f64) -> Option<Interim> {
        let search = &self.work.search;
        let words = search.words_so_far();
        let ids: Vec<WordId> = words.iter().map(|word| word.0).collect();
        let agreeing = if self.told.is_empty() { AGREEING_AT_FIRST } else { AGREEING };
        let settled = self.recent[..agreeing - 1].iter().map(|recent| common(&ids, recent)).min().unwrap_or(ids.len());
        self.recent.rotate_right(1);
        self.recent[0] = ids;
        let settled = &self.recent[0][..settled];
        // That a word has become uncertain is no reason to take it back; that it is another one now is.
        if self.told.starts_with(settled) {
            return None;
        }
        self.told = settled.to_vec();
        let seconds = |frame: u32| start + f64::from(frame) * self.frame_seconds;
        let found = words.into_iter().take(self.told.len()).map(|(word, begin, end)| Found {
            word,
            start: seconds(begin),
            end: seconds(end),
            confidence: 0.0,
        });
        let words = wording::words(recogniser, found);
        (!words.is_empty()).then_some(Interim { words })
    }

    /// Whether anything was told.
    pub fn has_told(&self) -> bool {
        !self.told.is_empty()
    }
}

/// Length of the beginning that two readings have in common.
fn common(a: &[WordId], b: &[WordId]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// A cepstral mean that begins somewhere and follows what it is given.
#[derive(Debug, Clone)]
pub struct RunningMean {
    sums: [f64; 13],
    weight: f64,
}

impl RunningMean {
    /// Begins with a mean that counts as much as so many frames.
    pub fn new(mean: &[f32; 13], frames: f64) -> RunningMean {
        RunningMean { sums: mean.map(|value| f64::from(value) * frames), weight: frames }
    }

    fn add(&mut self, frame: &[f32; 13]) {
        for (sum, &value) in self.sums.iter_mut().zip(frame) {
            *sum += f64::from(value);
        }
        self.weight += 1.0;
    }

    fn mean(&self) -> [f32; 13] {
        self.sums.map(|sum| (sum / self.weight) as f32)
    }
}
