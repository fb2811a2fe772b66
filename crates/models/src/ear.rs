//! Phrases that end by what the network hears, beside the speech detector.
//!
//! The detector decides by the sound of 16 ms whether somebody speaks. Noise may sound like speech to it, so that nothing ends; and
//! speech may not, so that it is cut. A network of tokens knows better: of noise it says blank, of speech tokens. One that streams has heard
//! what lasts anyway ([`crate::hearing`]). For one that hears whole utterances it is work beside them, a hundred times that of the
//! detector, so it is asked about the last seconds only ([`Look`]), and only where the detector may be wrong ([`Doubt`]):
//!
//! - when what seems to be speech is as even as noise, and now and then when no pause has been heard for long ([`Watch`]): the phrase ends
//!   where the network has heard nothing but blanks for as long as a pause that ends one;
//! - when a pause ends a phrase that was not all silence to the detector: it goes on if the network has heard tokens in it.

use std::collections::VecDeque;

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

/// What is to be found out.
#[derive(Debug, Clone, Copy)]
pub struct Question {
    /// Why.
    pub doubt: Doubt,
    /// Number of the frame of the tape from which on the network is to hear.
    pub first: u64,
    /// The same in seconds.
    pub from: f64,
}

/// What a network has heard of a stretch of audio.
#[derive(Debug, Default)]
pub struct Heard {
    /// When tokens were: the middle of each frame of one, seconds.
    pub tokens: Vec<f64>,
    /// From when, and until when it heard enough to be sure, seconds.
    pub span: (f64, f64),
}

impl Heard {
    /// By its scores of frames that begin at `start` seconds.
    pub fn of(spelt: &Spelt, scores: &[f32], start: f64) -> Heard {
        let (width, seconds) = (spelt.model.tokens().len(), spelt.model.frame_seconds());
        let tokens = scores.chunks_exact(width).enumerate().filter(|(_, frame)| spelt.silence(frame) < BLANK);
        let tokens = tokens.map(|(at, _)| start + (at as f64 + 0.5) * seconds).collect();
        let end = start + (scores.len() / width) as f64 * seconds;
        Heard { tokens, span: (start, (end - CONTEXT).max(start)) }
    }
}

/// A look at the last seconds of audio, by a network that hears whole utterances.
pub struct Look {
    /// What is to be found out.
    pub question: Question,
    stream: Box<CtcStream>,
    samples: Vec<f32>,
    done: usize,
    scores: Vec<f32>,
}

impl Look {
    /// At the samples that a question is about.
    pub fn new(spelt: &Spelt, question: Question, samples: Vec<f32>) -> Look {
        Look { question, stream: Box::new(spelt.model.stream(Mode::Final)), samples, done: 0, scores: Vec::new() }
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

    /// What was heard.
    pub fn heard(&self, spelt: &Spelt) -> Heard {
        Heard::of(spelt, &self.scores, self.question.from)
    }
}

/// What a network wants to hear after a sound before it is sure of it, seconds.
const CONTEXT: f64 = 0.24;

/// What is left before a phrase that begins after a blank, and behind one that ends with one, seconds: tokens may be told in the middle of
/// their sounds.
const MARGIN: f64 = 0.5;

/// When the network is asked about what lasts.
///
/// Of 5 500 windows of 0.8 s in two hundred recordings of speech, read and by people on their own devices, the level spreads over less
/// than [`EVEN`] in one of sixty; of four in five recordings of noise, in most.
#[derive(Debug)]
pub struct Watch {
    /// Levels of the last detector frames, dB.
    levels: VecDeque<f32>,
    /// For how many frames they have been even.
    even_for: u64,
    /// For how long speech had lasted when the network was asked, frames.
    asked_at: u64,
    /// Until it is asked again, frames.
    interval: u64,
    /// Whether asking costs nothing.
    free: bool,
}

/// Detector frames over which a level spreads: 0.8 s, some three syllables.
const SPREAD: usize = 50;

/// Spread from the tenth to the ninetieth percentile of what is even, dB.
const EVEN: f32 = 8.0;

/// Detector frames of speech before which nothing is asked: 1.5 s.
pub const SHORT: u64 = 94;

/// Detector frames for which what is even goes on before it is asked about: 0.4 s.
const SETTLED: u64 = 25;

/// Detector frames from one time to the next: 2 s where something may have ended; for speech that does not sound like noise
/// 6 s, and twice as long each time that the network heard it, too.
const AGAIN: u64 = 125;
const AT_FIRST: u64 = 375;
const AT_LAST: u64 = 1_500;

/// The same where asking costs nothing: half a second.
const FREE: u64 = 31;

impl Watch {
    /// For a network that hears everything anyway, or for one that must be asked.
    pub fn new(free: bool) -> Watch {
        let interval = if free { FREE } else { AT_FIRST };
        Watch { levels: VecDeque::with_capacity(SPREAD), even_for: 0, asked_at: 0, interval, free }
    }

    /// Takes the level of a detector frame, dB.
    pub fn push(&mut self, level: f32) {
        if self.levels.len() == SPREAD {
            self.levels.pop_front();
        }
        self.levels.push_back(level);
        self.even_for = if self.is_even() { self.even_for + 1 } else { 0 };
    }

    fn is_even(&self) -> bool {
        if self.levels.len() < SPREAD {
            return false;
        }
        let mut levels: [f32; SPREAD] = std::array::from_fn(|index| self.levels[index]);
        levels.sort_unstable_by(f32::total_cmp);
        levels[SPREAD - SPREAD / 10] - levels[SPREAD / 10] < EVEN
    }

    /// Whether to ask now, when speech has lasted for so many frames and `pause` would have ended it.
    pub fn is_due(&mut self, lasts: u64, pause: u64) -> bool {
        if lasts < SHORT {
            (self.asked_at, self.interval) = (0, if self.free { FREE } else { AT_FIRST });
            return false;
        }
        let even = self.even_for >= SETTLED + pause.saturating_sub(SPREAD as u64);
        let wait = match (even, self.asked_at) {
            (true, 0) => 0,
            (true, _) => AGAIN.min(self.interval),
            (false, _) => self.interval,
        };
        let due = lasts >= self.asked_at + wait;
        if due {
            self.asked_at = lasts;
        }
        due
    }

    /// Says whether the network heard somebody speak until now.
    pub fn told(&mut self, speaks: bool) {
        self.interval = match speaks {
            _ if self.free => FREE,
            true => (self.interval * 2).clamp(AT_FIRST, AT_LAST),
            false => AGAIN,
        };
    }
}

/// What the network has heard of an utterance that seems to last.
#[derive(Debug, Default)]
pub struct Lasting {
    /// Since when nothing but blanks, and until when that is known, seconds; unknown before the first look.
    blank: Option<(f64, f64)>,
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
        // What was said before the first look, and between two that do not meet, is not known.
        let known = self.blank.filter(|&(_, known)| from <= known);
        let unknown = known.is_none() && from > began;
        let mut since = known.map_or(from, |(since, _)| since).max(began);
        let mut any = self.any || unknown;
        for &token in tokens.iter().filter(|&&token| token <= until) {
            if token <= since {
                continue;
            }
            if any && token - since >= pause {
                self.any = true;
                self.blank = Some((token, until));
                return Verdict::Ended(since + MARGIN, Some((token - MARGIN).max(since + MARGIN)));
            }
            since = token;
            any = true;
        }
        self.blank = Some((since, until));
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
    use std::ops::RangeInclusive;

    use super::*;

    /// When the network is asked in these frames of what seems to be speech.
    fn asked(watch: &mut Watch, frames: RangeInclusive<u64>, level: impl Fn(u64) -> f32) -> Vec<u64> {
        let mut due = |lasts: &u64| {
            watch.push(level(*lasts));
            watch.is_due(*lasts, 50)
        };
        frames.filter(|lasts| due(lasts)).collect()
    }

    #[test]
    fn what_is_even_is_doubted_and_speech_hardly() {
        let hum = |at: u64| -30.0 + (at % 3) as f32;
        let speech = |at: u64| if at % 16 < 8 { -20.0 } else { -35.0 };
        let mut watch = Watch::new(false);
        assert_eq!(asked(&mut watch, 1..=400, hum), [SHORT, SHORT + AGAIN, SHORT + 2 * AGAIN]);
        assert_eq!(asked(&mut watch, 1..=500, speech), [AT_FIRST]);
        watch.told(true);
        assert_eq!(asked(&mut watch, 501..=1_200, speech), [3 * AT_FIRST]);
        watch.told(false);
        assert_eq!(asked(&mut watch, 1_201..=1_300, speech), [3 * AT_FIRST + AGAIN]);
        assert_eq!(asked(&mut Watch::new(true), 1..=160, speech), [SHORT, SHORT + FREE, SHORT + 2 * FREE]);
    }
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
        // Between 3 and 4 something may have been said.
        let mut apart = Lasting::default();
        assert_eq!(apart.take(&[1.0], (0.5, 3.0), 0.5, 2.5), Verdict::None);
        assert_eq!(apart.take(&[], (4.0, 6.0), 0.5, 2.5), Verdict::None);
        assert_eq!(apart.take(&[], (5.0, 7.0), 0.5, 2.5), Verdict::Ended(4.5, None));
        assert_eq!(lasting.take(&[], (1.5, 5.0), 0.5, 2.5), Verdict::Ended(1.5, None));
    }
}
