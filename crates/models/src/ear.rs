//! Phrases that end by what the network hears, beside the speech detector.
//!
//! The detector decides by the sound of 16 ms whether somebody speaks. Noise may sound like speech to it, so that nothing ends; and
//! speech may not, so that it is cut. A network of tokens knows better: of noise it says blank, of speech tokens. But it costs
//! a hundred times as much, so it is asked only where the detector may be wrong ([`Doubt`]), about the last seconds of audio:
//!
//! - when no pause has been heard for long: the phrase ends where the network has heard nothing but blanks for as long
//!   as a pause that ends one;
//! - when a pause ends a phrase that was not all silence to the detector: it goes on if the network has heard tokens in it.

use dictum_neural::{CtcStream, Mode};

use crate::acoustic::Spelt;

/// Why the network is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// Whether what lasts is speech.
    Noise,
    /// Whether what ends has ended.
    End,
}

/// Samples that the network is given at once: a second.
const PIECE: usize = 16_000;

/// Probability of blank from which on a frame is one. To miss that somebody speaks would be worse than to miss a pause.
const BLANK: f32 = 0.7;

/// A look at the last seconds of audio.
pub struct Look {
    /// Why.
    pub doubt: Doubt,
    stream: Box<CtcStream>,
    samples: Vec<f32>,
    done: usize,
    scores: Vec<f32>,
    /// When the first sample was heard, seconds.
    start: f64,
}

impl Look {
    /// Of samples that begin at `start` seconds.
    pub fn new(spelt: &Spelt, doubt: Doubt, samples: Vec<f32>, start: f64) -> Look {
        let stream = Box::new(spelt.model.stream(Mode::Final));
        Look { doubt, stream, samples, done: 0, scores: Vec::new(), start }
    }

    /// Does some milliseconds of work. Returns whether that was all. A network that fails has heard nothing.
    pub fn advance(&mut self) -> bool {
        let piece = &self.samples[self.done..self.samples.len().min(self.done + PIECE)];
        self.done += piece.len();
        let mut result = self.stream.push(piece, &mut self.scores);
        if self.done == self.samples.len() && result.is_ok() {
            result = self.stream.finish(&mut self.scores);
        }
        if let Err(error) = &result {
            tracing::error!(%error, "the end of a phrase is left to the speech detector");
            self.scores.clear();
        }
        result.is_err() || self.done == self.samples.len()
    }

    /// When tokens were heard: the middle of each frame of one, seconds.
    pub fn tokens(&self, spelt: &Spelt) -> Vec<f64> {
        let frames = self.scores.chunks_exact(spelt.model.tokens().len()).enumerate();
        let heard = frames.filter(|(_, frame)| spelt.silence(frame) < BLANK);
        heard.map(|(at, _)| self.start + (at as f64 + 0.5) * spelt.model.frame_seconds()).collect()
    }

    /// When it began and until when it heard enough to be sure, seconds.
    pub fn span(&self) -> (f64, f64) {
        let end = self.start + self.samples.len() as f64 / 16_000.0;
        (self.start, if self.scores.is_empty() { self.start } else { end - CONTEXT })
    }
}

/// What a network wants to hear after a sound before it is sure of it, seconds.
const CONTEXT: f64 = 0.24;

/// What is left before a phrase that begins after a blank, and behind one that ends with one, seconds: tokens may be told in the middle of
/// their sounds.
const MARGIN: f64 = 0.5;

/// What the network has heard of an utterance that seems to last.
#[derive(Debug, Default)]
pub struct Lasting {
    /// Since when nothing but blanks, seconds; unknown before the first look.
    blank_since: Option<f64>,
    /// Whether there was a token in the open utterance, as far as known.
    any: bool,
}

/// What follows from a look at what lasts, in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Verdict {
    /// Nothing.
    None,
    /// The utterance ended, and the next has begun if there is a second number.
    Ended(f64, Option<f64>),
    /// Nothing was said so far: the utterance begins here at the earliest.
    Nothing(f64),
}

impl Lasting {
    /// Takes the tokens of a look from `from` until `until` in an utterance that began at `began`, where a pause is at least so
    /// long.
    pub fn take(&mut self, tokens: &[f64], (from, until): (f64, f64), began: f64, pause: f64) -> Verdict {
        let mut since = self.blank_since.unwrap_or(from).max(began);
        // What was said before the first look is not known.
        let unknown = self.blank_since.is_none() && from > began;
        let mut any = self.any || unknown;
        for &token in tokens.iter().filter(|&&token| token <= until) {
            if token <= since {
                continue;
            }
            if any && token - since >= pause {
                self.any = true;
                self.blank_since = Some(token);
                return Verdict::Ended(since + MARGIN, Some((token - MARGIN).max(since + MARGIN)));
            }
            since = token;
            any = true;
        }
        self.blank_since = Some(since);
        self.any = any;
        if until - since < pause {
            return Verdict::None;
        }
        self.any = false;
        if any { Verdict::Ended(since + MARGIN, None) } else { Verdict::Nothing(until - MARGIN) }
    }

    /// Another utterance has begun.
    pub fn begin(&mut self) {
        self.any = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phrase_ends_where_blanks_last_as_long_as_a_pause() {
        let mut lasting = Lasting::default();
        assert_eq!(lasting.take(&[2.0, 2.5, 3.1], (1.5, 3.5), 0.0, 0.8), Verdict::None);
        // Nothing after 3.1 until 5.5, of which the second look is sure.
        assert_eq!(lasting.take(&[2.5, 3.1], (2.0, 5.5), 0.0, 0.8), Verdict::Ended(3.6, None));
        lasting.begin();
        assert_eq!(lasting.take(&[], (4.0, 7.5), 5.3, 0.8), Verdict::Nothing(7.0));
        assert_eq!(lasting.take(&[8.0, 8.4], (6.0, 8.5), 7.0, 0.8), Verdict::None);
        // Two phrases in one look.
        assert_eq!(lasting.take(&[8.4, 10.0, 10.3], (8.0, 10.5), 7.0, 0.8), Verdict::Ended(8.9, Some(9.5)));
        assert_eq!(lasting.take(&[10.0, 10.3], (9.0, 10.6), 9.5, 0.8), Verdict::None);
    }

    #[test]
    fn what_was_said_before_the_first_look_ends_too() {
        let mut lasting = Lasting::default();
        assert_eq!(lasting.take(&[], (3.0, 6.0), 0.5, 0.8), Verdict::Ended(3.5, None));
        let mut lasting = Lasting::default();
        assert_eq!(lasting.take(&[], (0.5, 3.0), 0.5, 0.8), Verdict::Nothing(2.5));
        // A pause that ends a phrase is as long as asked for.
        let mut lasting = Lasting::default();
        assert_eq!(lasting.take(&[1.0], (0.5, 3.0), 0.5, 2.5), Verdict::None);
        assert_eq!(lasting.take(&[], (1.5, 5.0), 0.5, 2.5), Verdict::Ended(1.5, None));
    }
}
