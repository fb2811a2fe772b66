//! What a network that streams makes of an utterance while it lasts.
//!
//! Its scores are good for everything at once: the final result, the interim ones, and the question whether a phrase ends
//! ([`crate::ear`]). So the network runs once over what is said, and when somebody falls silent little is left to do.

use std::sync::Arc;

use dictum_neural::{CtcModel, CtcStream, Mode};

use crate::acoustic::Spelt;
use crate::ear::Heard;
use crate::recogniser::Band;

/// Samples given to a network at a time: a tenth of a second.
const PIECE: usize = 1_600;

/// The scores of an utterance so far.
pub struct Hearing {
    /// Number of the first frame of the tape that belongs to it, and when that began, seconds.
    first: u64,
    start: f64,
    /// Samples that the network was given.
    given: usize,
    /// The network's stream, until it fails.
    stream: Option<Box<CtcStream>>,
    scores: Vec<f32>,
}

/// The scores of an utterance's first samples, and the stream that made them.
pub struct Head {
    /// Samples that the network was given: more than the utterance has, if that turned out to have ended before.
    pub samples: usize,
    /// What came of them so far.
    pub scores: Vec<f32>,
    /// The network's stream after them.
    pub stream: Box<CtcStream>,
}

impl Hearing {
    /// Of an utterance that begins with a frame of the tape, at `start` seconds.
    pub fn new(model: &Arc<CtcModel>, first: u64, start: f64) -> Hearing {
        let stream = Some(Box::new(model.stream(Mode::Final)));
        Hearing { first, start, given: 0, stream, scores: Vec::new() }
    }

    /// Number of the first frame of the tape.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// Gives the network the next tenth of a second of an utterance that so far has these samples, or with `all` what there is of it.
    /// Returns whether there was one.
    pub fn advance(&mut self, samples: &[f32], all: bool) -> bool {
        let left = samples.get(self.given..).unwrap_or_default();
        if left.is_empty() || left.len() < PIECE && !all {
            return false;
        }
        let Some(stream) = &mut self.stream else { return false };
        let piece = &left[..left.len().min(PIECE)];
        if let Err(error) = stream.push(piece, &mut self.scores) {
            tracing::error!(%error, "an utterance is not heard to its end");
            self.stream = None;
        }
        self.given += piece.len();
        true
    }

    /// All scores so far, frame by frame.
    pub fn scores(&self) -> &[f32] {
        &self.scores
    }

    /// What was heard from `from` seconds on.
    pub fn heard(&self, spelt: &Spelt, from: f64) -> Heard {
        let frame = spelt.model.frame_seconds();
        let skipped =
            (((from - self.start) / frame).max(0.0) as usize * spelt.model.tokens().len()).min(self.scores.len());
        let start = self.start + (skipped / spelt.model.tokens().len()) as f64 * frame;
        Heard::of(spelt, &self.scores[skipped..], start)
    }

    /// What is known of an utterance that begins at `start`; `None` if that is another one, or the network failed.
    pub fn head(&self, start: f64) -> Option<Head> {
        let stream = self.stream.as_ref().filter(|_| self.start == start)?;
        Some(Head { samples: self.given, scores: self.scores.clone(), stream: stream.clone() })
    }
}

/// Frames of scores in so many samples.
pub fn frames_of(spelt: &Spelt, samples: usize) -> usize {
    (samples as f64 / f64::from(Band::Broadband.sample_rate()) / spelt.model.frame_seconds()).round() as usize
}
