//! An utterance on the way through the search for its final result.

use std::sync::Arc;

use dictum_acoustic::{cepstral_mean, features_of};
use dictum_neural::{CtcStream, Mode};

use crate::acoustic::Acoustic;
use crate::hearing::{Head, frames_of};
use crate::recogniser::{Band, Recogniser};
use crate::tape::Audio;
use crate::utterance::Segment;
use crate::work_space::{Lent, Purpose};

/// Frames whose senones are scored at once: the Gaussians are read from memory once for all of them.
const BLOCK: usize = 32;

/// Shortest utterance worth decoding, frames of 10 ms: three states of one phone with its differences.
const SHORTEST: usize = 10;

/// Samples that a network is given at once: a second.
const PIECE: usize = 16_000;

/// An utterance on the way through the search. What comes out does not depend on how the way is cut into pieces.
pub struct Pursuit {
    recogniser: Arc<Recogniser>,
    band: Band,
    purpose: Purpose,
    start: f64,
    /// Whether each frame of 10 ms holds speech.
    speech: Vec<bool>,
    /// Lent when the search begins.
    work: Option<Lent>,
    way: Way,
}

enum Way {
    Cepstra {
        cepstra: Vec<[f32; 13]>,
        mean: [f32; 13],
        /// Frames that have been scored.
        done: usize,
    },
    Samples {
        samples: Vec<f32>,
        /// Samples that the network was given.
        done: usize,
        /// The network's stream, until it ends.
        stream: Option<Box<CtcStream>>,
        /// Scores that have not been searched.
        scores: Vec<f32>,
        /// How many frames of them are of the utterance, if the network was given more than that.
        limit: Option<usize>,
    },
}

impl Pursuit {
    /// Begins to search an utterance for a final result; nothing if it is too short to be one. `head` is what was scored of it before.
    pub fn new(
        recogniser: &Arc<Recogniser>,
        band: Band,
        purpose: Purpose,
        segment: Segment,
        head: Option<Head>,
    ) -> Option<Pursuit> {
        if segment.speech.len() < SHORTEST {
            return None;
        }
        let way = match (segment.audio, recogniser.model().acoustic()) {
            (Audio::Cepstra(cepstra), _) => {
                let own = recogniser.model().phones().map(|phones| phones.of(band).front_end().params().initial_mean);
                let prior = (own.unwrap_or_default(), recogniser.tuning().short_mean);
                Way::Cepstra { mean: mean(&cepstra, &segment.speech, prior), cepstra, done: 0 }
            }
            (Audio::Samples(samples), Acoustic::Tokens(spelt)) => {
                let nothing =
                    || Head { samples: 0, scores: Vec::new(), stream: Box::new(spelt.model.stream(Mode::Final)) };
                let Head { samples: given, scores, stream } = head.unwrap_or_else(nothing);
                let limit = (given > samples.len()).then(|| frames_of(spelt, samples.len()));
                Way::Samples { done: given.min(samples.len()), samples, stream: Some(stream), scores, limit }
            }
            (Audio::Samples(_), Acoustic::Phones(_)) => unreachable!("models of phones keep cepstra"),
        };
        let (recogniser, start, speech) = (Arc::clone(recogniser), segment.start, segment.speech);
        Some(Pursuit { recogniser, band, purpose, start, speech, work: None, way })
    }

    /// Scores and searches the next so many frames. Returns whether the end was reached.
    pub fn advance(&mut self, frames: usize) -> bool {
        let lend = || Recogniser::work_space(&self.recogniser, self.band, self.purpose);
        let work = self.work.get_or_insert_with(lend);
        match (&mut self.way, self.recogniser.model().acoustic()) {
            (Way::Cepstra { cepstra, mean, done }, _) => {
                let all = cepstra.len();
                let end = all.min(*done + frames);
                while *done < end {
                    let block = *done..all.min(*done + BLOCK);
                    *done = block.end;
                    work.push_features(&features_of(cepstra, block, mean), *done == all);
                }
                *done == all
            }
            (Way::Samples { samples, done, stream, scores, limit }, Acoustic::Tokens(spelt)) => {
                let width = spelt.model.tokens().len();
                if stream.is_some() {
                    let running = run(samples, done, stream, scores);
                    if !running {
                        limit.iter().for_each(|frames| scores.truncate(frames * width));
                        spelt.end(scores);
                    }
                    return false;
                }
                let now = scores.len().min(frames * width);
                let last = now == scores.len();
                work.push_scores(&scores[..now], last);
                scores.drain(..now);
                last
            }
            (Way::Samples { .. }, Acoustic::Phones(_)) => unreachable!("models of phones keep cepstra"),
        }
    }

    /// The cepstral mean that it searches with, of models of phones.
    pub fn mean(&self) -> Option<&[f32; 13]> {
        match &self.way {
            Way::Cepstra { mean, .. } => Some(mean),
            Way::Samples { .. } => None,
        }
    }

    /// What a search that has reached its end leaves.
    pub fn into_found(self) -> Option<Caught> {
        Some(Caught { start: self.start, speech: self.speech, work: self.work? })
    }
}

/// An utterance whose search is over.
pub struct Caught {
    /// When it began, seconds from the start of the stream.
    pub start: f64,
    /// Whether each of its frames of 10 ms holds speech.
    pub speech: Vec<bool>,
    /// The search.
    pub work: Lent,
}

/// Gives the network its next samples; returns whether there are more. A network that fails has heard nothing more of the utterance; what
/// it heard before counts.
fn run(samples: &[f32], done: &mut usize, stream: &mut Option<Box<CtcStream>>, scores: &mut Vec<f32>) -> bool {
    let Some(running) = stream else { return false };
    let piece = &samples[*done..samples.len().min(*done + PIECE)];
    *done += piece.len();
    let ended = *done == samples.len();
    let mut result = running.push(piece, scores);
    if ended && result.is_ok() {
        result = running.finish(scores);
    }
    if let Err(error) = &result {
        tracing::error!(%error, "an utterance was not recognised to its end");
    }
    if ended || result.is_err() {
        *stream = None;
    }
    stream.is_some()
}

/// Frames of speech beside which the mean that the model brings along counts for nothing.
const LONG: f32 = 100.0;

/// The cepstral mean of speech. That of a single word is nearly the word, so beside little speech the model's own counts for some
/// frames.
fn mean(cepstra: &[[f32; 13]], speech: &[bool], (own, weight): ([f32; 13], f32)) -> [f32; 13] {
    let frames = cepstra.iter().zip(speech);
    let spoken: Vec<[f32; 13]> = frames.filter(|(_, speech)| **speech).map(|(frame, _)| *frame).collect();
    let spoken = if spoken.len() >= SHORTEST { &spoken } else { cepstra };
    let heard = cepstral_mean(spoken);
    let count = spoken.len() as f32;
    let weight = weight * (1.0 - count / LONG).max(0.0);
    std::array::from_fn(|index| (heard[index] * count + own[index] * weight) / (count + weight))
}
