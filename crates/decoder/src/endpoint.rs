//! Speech detection and the cutting of audio into utterances.
//!
//! Speech activity comes from [earshot](https://docs.rs/earshot), a small recurrent network over 16 ms frames of 16 kHz
//! audio. The [`Endpointer`] turns its probabilities into utterances: one begins when speech is heard for
//! a moment, and ends when none has been heard for the `end_of_phrase_silence_time` of the request.

/// Samples per detector frame.
pub const FRAME_SAMPLES: usize = 256;

/// Duration of a detector frame, seconds.
pub const FRAME_SECONDS: f64 = FRAME_SAMPLES as f64 / 16_000.0;

/// What the detector says of 16 ms of audio.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Activity {
    /// Probability of speech.
    pub probability: f32,
    /// Root mean square, dB relative to full scale.
    pub level: f32,
}

/// Runs the speech detector over a stream of samples.
pub struct SpeechDetector {
    detector: Box<earshot::Detector>,
    pending: Vec<f32>,
    /// Whether samples come at 8 kHz and are doubled for the detector.
    double: bool,
    previous: f32,
}

impl SpeechDetector {
    /// A detector for samples at 16 000 Hz or 8 000 Hz.
    ///
    /// # Panics
    /// For any other rate.
    pub fn new(sample_rate: u32) -> Self {
        assert!(matches!(sample_rate, 8_000 | 16_000), "the speech detector hears 8 or 16 kHz, not {sample_rate} Hz");
        let detector = earshot::Detector::default_boxed();
        SpeechDetector { detector, pending: Vec::new(), double: sample_rate == 8_000, previous: 0.0 }
    }

    /// Takes samples (full scale ±1.0) and appends what is heard in each completed frame.
    pub fn push(&mut self, samples: &[f32], out: &mut Vec<Activity>) {
        if self.double {
            // Linear interpolation: its images lie above 4 kHz and 13 dB or more down, which the detector tolerates.
            for &sample in samples {
                self.pending.extend([(self.previous + sample) * 0.5, sample]);
                self.previous = sample;
            }
        } else {
            self.pending.extend_from_slice(samples);
        }
        let whole = self.pending.len() / FRAME_SAMPLES * FRAME_SAMPLES;
        for frame in self.pending[..whole].chunks_exact(FRAME_SAMPLES) {
            let power = frame.iter().map(|sample| sample * sample).sum::<f32>() / FRAME_SAMPLES as f32;
            let probability = self.detector.predict_f32(frame);
            out.push(Activity { probability, level: 10.0 * (power + 1e-10).log10() });
        }
        self.pending.drain(..whole);
    }
}

/// How utterances are cut.
#[derive(Debug, Clone, PartialEq)]
pub struct EndpointConfig {
    /// Silence that ends an utterance, seconds.
    pub end_silence: f64,
    /// Watson's `speech_detector_sensitivity`: 0.0 hears nothing, 1.0 takes everything for speech.
    pub sensitivity: f32,
    /// Watson's `background_audio_suppression`: 0.0 is off, 1.0 suppresses everything.
    pub suppression: f32,
    /// Longest utterance, seconds.
    pub longest: f64,
    /// Audio kept before the first and behind the last speech of an utterance, seconds.
    pub margin: f64,
}

impl Default for EndpointConfig {
    fn default() -> Self {
        EndpointConfig { end_silence: 0.8, sensitivity: 0.5, suppression: 0.0, longest: 120.0, margin: 0.3 }
    }
}

/// What the endpointer reports, in detector frames from the beginning of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Boundary {
    /// Speech began at `at`; the utterance takes in the audio from `from`.
    Begin {
        /// First frame of the utterance.
        from: u64,
        /// First frame with speech.
        at: u64,
    },
    /// The utterance ended before frame `to`.
    End {
        /// First frame that is not part of it.
        to: u64,
        /// Whether it was cut for its length instead of by a pause.
        too_long: bool,
    },
}

/// Cuts a stream of speech probabilities into utterances.
pub struct Endpointer {
    config: EndpointConfig,
    frame: u64,
    /// Where the current utterance began.
    began: Option<u64>,
    /// First frame that may belong to the next utterance.
    free: u64,
    /// Consecutive frames with speech.
    run: u64,
    last_speech: u64,
    /// Level of the loudest speech lately, dB: what is far below is background.
    foreground: f32,
    /// Frames since the last speech that were nearly speech.
    murmurs: u64,
    /// Where speech began that no pause has parted since.
    lasting: u64,
}

/// Frames in a row without speech that part what lasts: 0.4 s.
const PARTING: u64 = 25;

/// Share of the probability of speech from which on a frame is nearly speech.
const MURMUR: f32 = 0.3;

/// Frames of that in a pause by which it is in doubt.
const MURMURS: u64 = 4;

/// Frames of speech in a row that begin an utterance: shorter bursts are clicks.
const ONSET: u64 = 3;

/// Frames by which an utterance ends before the frame in which its end is noticed, at least: the cepstra of the latest
/// frames are not known yet, and what an utterance consists of must not depend on how audio is cut into pushes.
const LAG: u64 = 6;

/// How fast the foreground level is forgotten, dB per frame: 6 dB a second.
const FOREGROUND_DECAY: f32 = 0.1;

impl Endpointer {
    /// An endpointer at the beginning of a stream.
    pub fn new(config: EndpointConfig) -> Self {
        Endpointer {
            config,
            frame: 0,
            began: None,
            free: 0,
            run: 0,
            last_speech: 0,
            foreground: -60.0,
            murmurs: 0,
            lasting: 0,
        }
    }

    /// Whether an utterance has begun and not ended.
    pub fn in_utterance(&self) -> bool {
        self.began.is_some()
    }

    /// Seconds since speech was last heard; since the beginning if never.
    pub fn silent_for(&self) -> f64 {
        (self.frame - self.last_speech) as f64 * FRAME_SECONDS
    }

    /// Earliest frame that a coming utterance can take in: audio before it is not needed any more.
    pub fn needed_from(&self) -> u64 {
        let margin = frames(self.config.margin) + ONSET;
        self.began.unwrap_or_else(|| self.frame.saturating_sub(margin).max(self.free))
    }

    /// Takes the next frame; returns whether it counts as speech, and a boundary if one was found.
    pub fn push(&mut self, activity: Activity) -> (bool, Option<Boundary>) {
        let speech = self.is_speech(activity);
        self.frame += 1;
        self.run = if speech { self.run + 1 } else { 0 };
        if speech && (self.began.is_some() || self.run >= ONSET) {
            if self.frame - self.last_speech > PARTING {
                self.lasting = self.frame;
            }
            self.last_speech = self.frame;
            self.murmurs = 0;
        } else if activity.probability >= MURMUR * (1.0 - self.config.sensitivity) {
            self.murmurs += 1;
        }
        let boundary = match self.began {
            None if self.run >= ONSET => {
                let at = self.frame - ONSET;
                let from = at.saturating_sub(frames(self.config.margin)).max(self.free);
                self.began = Some(from);
                Some(Boundary::Begin { from, at })
            }
            Some(_) if self.frame - self.last_speech >= self.end_silence() => {
                Some(self.end(self.end_if_silent().min(self.frame - LAG), false))
            }
            Some(began) if self.frame - began >= frames(self.config.longest).max(ONSET + LAG) => {
                Some(self.end(self.frame - LAG, true))
            }
            _ => None,
        };
        (speech, boundary)
    }

    /// Pauses shorter than a tenth of a second lie within words, so they end nothing.
    fn end_silence(&self) -> u64 {
        frames(self.config.end_silence).max(LAG)
    }

    /// Whether the last frame was the one by which an open utterance has been silent for so long that nothing but its end
    /// can change what it consists of. So it can be decoded before the end is certain.
    pub fn pauses(&self) -> bool {
        let certain = frames(self.config.margin) + LAG;
        self.began.is_some() && self.frame - self.last_speech == certain && certain < self.end_silence()
    }

    /// Where the open utterance ends unless somebody goes on speaking.
    pub fn end_if_silent(&self) -> u64 {
        self.last_speech + frames(self.config.margin)
    }

    /// For how many frames speech has lasted, or did when it was last heard, without a pause to speak of.
    pub fn lasts(&self) -> u64 {
        self.last_speech.saturating_sub(self.lasting)
    }

    /// Whether the pause so far may hold speech that was not taken for it: not if less is to be taken for speech than usually.
    pub fn is_in_doubt(&self) -> bool {
        let EndpointConfig { sensitivity, suppression, .. } = self.config;
        self.murmurs >= MURMURS && sensitivity >= 0.5 && suppression <= 0.0
    }

    /// Pause that ends an utterance, frames.
    pub fn pause(&self) -> u64 {
        self.end_silence()
    }

    /// Last frame with speech.
    pub fn last_speech(&self) -> u64 {
        self.last_speech
    }

    /// The open utterance has ended before frame `to`, and another one has begun at `next`, if given: somebody else heard it.
    pub fn end_at(&mut self, to: u64, next: Option<u64>) -> Option<Boundary> {
        let began = self.began?;
        let to = to.clamp(began, self.frame);
        let boundary = self.end(to, false);
        self.began = next.map(|next| next.clamp(to, self.frame));
        Some(boundary)
    }

    /// Nothing was said in the open utterance before a frame.
    pub fn begin_at(&mut self, from: u64) {
        self.began = self.began.map(|began| began.max(from).min(self.frame));
    }

    /// The utterance that was said to have ended has not: somebody spoke until a frame.
    pub fn go_on(&mut self, began: u64, last_speech: u64) {
        self.began = Some(began);
        self.last_speech = self.last_speech.max(last_speech).min(self.frame);
        self.murmurs = 0;
    }

    /// The stream ended: reports the end of an utterance that was open.
    pub fn finish(&mut self) -> Option<Boundary> {
        self.began?;
        let to = self.frame.min(self.end_if_silent());
        Some(self.end(to, false))
    }

    fn end(&mut self, to: u64, too_long: bool) -> Boundary {
        self.began = None;
        self.free = to;
        self.run = 0;
        Boundary::End { to, too_long }
    }

    /// Sensitivity *s* asks for a probability of at least 1 - *s*, so that 0.5 is the detector's own decision; nothing
    /// passes at 0 and everything at 1. Suppression *b* asks for a level within (1 - *b*) * 40 dB of the foreground.
    fn is_speech(&mut self, activity: Activity) -> bool {
        let EndpointConfig { sensitivity, suppression, .. } = self.config;
        if sensitivity <= 0.0 || suppression >= 1.0 {
            return false;
        }
        let likely = sensitivity >= 1.0 || activity.probability >= 1.0 - sensitivity;
        if likely {
            self.foreground = activity.level.max(self.foreground - FOREGROUND_DECAY);
        }
        let loud = suppression <= 0.0 || activity.level >= self.foreground - (1.0 - suppression) * 40.0;
        likely && loud
    }
}

fn frames(seconds: f64) -> u64 {
    (seconds / FRAME_SECONDS).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Frames of speech, of silence, and of what is nearly speech.
    const SPEECH: Activity = Activity { probability: 0.9, level: -20.0 };
    const SILENCE: Activity = Activity { probability: 0.01, level: -60.0 };
    const MUTTER: Activity = Activity { probability: 0.3, level: -40.0 };

    fn push(endpointer: &mut Endpointer, activity: Activity, count: u64) -> Vec<Boundary> {
        (0..count).filter_map(|_| endpointer.push(activity).1).collect()
    }

    #[test]
    fn somebody_else_may_end_a_phrase_and_begin_the_next() {
        let mut endpointer = Endpointer::new(EndpointConfig::default());
        assert_eq!(push(&mut endpointer, SPEECH, 400), [Boundary::Begin { from: 0, at: 0 }]);
        assert!(endpointer.lasts() > 390);
        let end = |to: u64| Some(Boundary::End { to, too_long: false });
        assert_eq!(endpointer.end_at(200, Some(300)), end(200));
        assert_eq!(endpointer.needed_from(), 300);
        endpointer.begin_at(350);
        assert_eq!(endpointer.needed_from(), 350);
        assert_eq!(endpointer.end_at(390, None), end(390));
        assert_eq!(endpointer.end_at(390, None), None);
        // What goes on is another phrase, and takes in nothing of the one before.
        assert_eq!(push(&mut endpointer, SPEECH, 3), [Boundary::Begin { from: 390, at: 400 }]);
    }

    #[test]
    fn a_pause_with_murmurs_is_in_doubt_and_may_go_on() {
        let mut endpointer = Endpointer::new(EndpointConfig::default());
        push(&mut endpointer, SPEECH, 100);
        assert_eq!(push(&mut endpointer, SILENCE, 60).len(), 1);
        assert!(!endpointer.is_in_doubt());
        push(&mut endpointer, SPEECH, 100);
        push(&mut endpointer, MUTTER, 20);
        assert_eq!(push(&mut endpointer, SILENCE, 40).len(), 1);
        assert!(endpointer.is_in_doubt());
        endpointer.go_on(160, 280);
        assert!(!endpointer.is_in_doubt() && endpointer.in_utterance());
        assert_eq!(push(&mut endpointer, SILENCE, 9), []);
        assert_eq!(push(&mut endpointer, SILENCE, 1), [Boundary::End { to: 299, too_long: false }]);
        let deaf = EndpointConfig { suppression: 0.5, ..EndpointConfig::default() };
        let mut endpointer = Endpointer::new(deaf);
        push(&mut endpointer, SPEECH, 100);
        push(&mut endpointer, MUTTER, 40);
        assert!(!endpointer.is_in_doubt(), "who asks for background to be left out does not get it back");
    }
}
