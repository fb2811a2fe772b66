//! Where the utterances of a stream begin and end, and the frames they consist of.

use dictum_decoder::endpoint::{Activity, Boundary, EndpointConfig, Endpointer, FRAME_SECONDS, SpeechDetector};

use crate::acoustic::Acoustic;
use crate::ear::{Doubt, Heard, Lasting, Question, SHORT, Verdict, Watch};
use crate::recogniser::{Band, Options};
use crate::tape::Tape;
use crate::utterance::Segment;

/// What the segmenter reports.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cut {
    /// Speech began, at this many seconds.
    Begin {
        /// Seconds from the first sample.
        at: f64,
    },
    /// The open utterance has been silent for so long that it probably ends: [`Segmenter::candidate`] is what it would be.
    Pause,
    /// The open utterance ended.
    End {
        /// What it consists of.
        span: Span,
        /// Whether it was cut for its length instead of by a pause.
        too_long: bool,
    },
    /// Nothing was said since the open utterance began, so it begins later.
    Later,
}

/// A range of frames of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    first: u64,
    end: u64,
}

/// The frames so far of an utterance that is open.
pub struct OpenUtterance<'a> {
    segmenter: &'a Segmenter,
    first: u64,
}

impl OpenUtterance<'_> {
    /// Their cepstra, of models of phones.
    pub fn cepstra(&self) -> &[[f32; 13]] {
        self.segmenter.tape.cepstra(self.first)
    }

    /// Their samples, of models of tokens.
    pub fn samples(&self) -> &[f32] {
        self.segmenter.tape.samples(self.first)
    }

    /// Number of the first.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// Whether a frame, counted from the first, holds speech.
    pub fn is_speech(&self, frame: usize) -> bool {
        self.segmenter.is_speech(self.first + frame as u64)
    }

    /// When the first began, seconds from the start of the stream.
    pub fn start(&self) -> f64 {
        self.first as f64 / self.segmenter.tape.frame_rate()
    }
}

/// The front end and the speech detector, side by side over one stream of samples.
pub struct Segmenter {
    /// Frames that an utterance may still need.
    tape: Tape,
    detector: SpeechDetector,
    endpointer: Endpointer,
    /// Whether each detector frame held speech; the first has the number `speech_from`.
    speech: Vec<bool>,
    speech_from: u64,
    /// First detector frame of the utterance that is open, and of the last that ended.
    began: Option<u64>,
    ended: Option<u64>,
    activities: Vec<Activity>,
    samples: u64,
    speech_frames: u64,
    rate: u32,
    /// What a network has heard of an utterance that lasts.
    lasting: Lasting,
    /// When it is asked about one.
    watch: Watch,
    /// An end that is in doubt: where the utterance began, and what was to be reported.
    held: Option<(u64, Cut)>,
}

/// Seconds of what lasts that a network hears beside a pause that would end it.
const HEARD: f64 = 2.0;

/// Seconds before a doubtful pause that the network hears as well, and how much later than the speech a token of it may be told.
const BEFORE: f64 = 1.0;
const LATE: f64 = 0.2;

impl Segmenter {
    /// A segmenter at the beginning of a stream.
    pub fn new(acoustic: &Acoustic, band: Band, options: &Options) -> Segmenter {
        let endpoint = EndpointConfig {
            end_silence: options.end_of_phrase_silence_time,
            sensitivity: options.speech_detector_sensitivity,
            suppression: options.background_audio_suppression,
            longest: options.longest_utterance,
            ..EndpointConfig::default()
        };
        Segmenter {
            tape: Tape::new(acoustic, band),
            detector: SpeechDetector::new(band.sample_rate()),
            endpointer: Endpointer::new(endpoint),
            speech: Vec::new(),
            speech_from: 0,
            began: None,
            ended: None,
            activities: Vec::new(),
            samples: 0,
            speech_frames: 0,
            rate: band.sample_rate(),
            lasting: Lasting::default(),
            watch: Watch::new(matches!(acoustic, Acoustic::Tokens(spelt) if spelt.model.is_streaming())),
            held: None,
        }
    }

    /// Takes samples and reports what they began or ended. A segment must be taken before more samples are pushed.
    pub fn push(&mut self, samples: &[f32], cuts: &mut Vec<Cut>) {
        self.forget();
        self.samples += samples.len() as u64;
        self.tape.push(samples);
        self.activities.clear();
        self.detector.push(samples, &mut self.activities);
        for index in 0..self.activities.len() {
            let (speech, boundary) = self.endpointer.push(self.activities[index]);
            self.speech.push(speech);
            self.speech_frames += u64::from(speech);
            self.watch.push(self.activities[index].level);
            match boundary {
                Some(boundary) => cuts.extend(self.cross(boundary)),
                None if self.endpointer.pauses() => cuts.push(Cut::Pause),
                None => {}
            }
        }
    }

    /// Ends the stream and reports the end of an utterance that was open.
    pub fn finish(&mut self) -> Option<Cut> {
        self.tape.finish();
        let boundary = self.endpointer.finish()?;
        self.cross(boundary)
    }

    fn cross(&mut self, boundary: Boundary) -> Option<Cut> {
        match boundary {
            Boundary::Begin { from, at } => {
                self.began = Some(from);
                Some(Cut::Begin { at: at as f64 * FRAME_SECONDS })
            }
            Boundary::End { to, too_long } => {
                let began = self.began.take()?;
                self.ended = Some(began);
                Some(Cut::End { span: self.span(began, to), too_long })
            }
        }
    }

    /// What a network should be asked, after samples were pushed, about what they ended or did not: `cuts` is what they did; the end
    /// that is doubted is taken out of it until [`judge`](Self::judge) knows.
    pub fn doubt(&mut self, cuts: &mut Vec<Cut>) -> Option<Question> {
        let now = self.speech_from + self.speech.len() as u64;
        if let Some(&Cut::End { too_long: false, .. }) = cuts.last()
            && let Some(began) = self.ended
            && self.endpointer.is_in_doubt()
        {
            self.held = cuts.pop().map(|cut| (began, cut));
            let from = self.endpointer.last_speech().saturating_sub(frames(BEFORE)).max(began);
            return Some(self.question(Doubt::End, from));
        }
        let (lasts, pause) = (self.endpointer.lasts(), self.endpointer.pause());
        if lasts < SHORT {
            self.lasting = Lasting::default();
        }
        let began = self.began?;
        if !self.watch.is_due(lasts, pause) {
            return None;
        }
        let from = now.saturating_sub(pause + frames(HEARD)).max(began);
        Some(self.question(Doubt::Noise, from))
    }

    fn question(&self, doubt: Doubt, from: u64) -> Question {
        let first = self.frame_of(from).clamp(self.tape.first(), self.tape.end());
        Question { doubt, first, from: first as f64 / self.tape.frame_rate() }
    }

    /// The samples from a frame of the tape on, of models of tokens.
    pub fn samples(&self, first: u64) -> &[f32] {
        self.tape.samples(first)
    }

    /// The samples of the open utterance that belong to it wherever it ends, unless a network says that it ended before.
    pub fn certain_samples(&self, first: u64) -> &[f32] {
        let end = self.frame_of(self.endpointer.end_if_silent()).min(self.tape.end());
        let samples = self.tape.samples(first);
        &samples[..samples.len().min(self.tape.samples_in(end.saturating_sub(first)))]
    }

    /// Reports what follows from what the network has heard.
    pub fn judge(&mut self, doubt: Doubt, heard: &Heard, cuts: &mut Vec<Cut>) {
        let tokens = &heard.tokens;
        if doubt == Doubt::End {
            let Some((began, cut)) = self.held.take() else { return };
            let spoken = self.endpointer.last_speech() as f64 * FRAME_SECONDS;
            match tokens.last().filter(|&&token| token > spoken + LATE) {
                Some(&token) => {
                    self.endpointer.go_on(began, frames(token));
                    self.began = Some(began);
                }
                None => cuts.push(cut),
            }
            return;
        }
        let Some(began) = self.began else { return };
        let pause = self.endpointer.pause() as f64 * FRAME_SECONDS;
        self.watch.told(tokens.last().is_some_and(|&token| heard.span.1 - token < pause));
        match self.lasting.take(tokens, heard.span, began as f64 * FRAME_SECONDS, pause) {
            Verdict::None => {}
            Verdict::Nothing(from) => {
                self.endpointer.begin_at(frames(from));
                self.began = Some(began.max(frames(from)));
                cuts.push(Cut::Later);
            }
            Verdict::Ended(to, next) => {
                let next = next.map(frames);
                let boundary = self.endpointer.end_at(frames(to), next);
                cuts.extend(boundary.and_then(|boundary| self.cross(boundary)));
                if let Some(next) = next {
                    cuts.extend(self.cross(Boundary::Begin { from: next, at: next }));
                } else {
                    self.lasting.begin();
                }
            }
        }
    }

    /// What the open utterance consists of if it ends with this pause.
    pub fn candidate(&self) -> Option<Span> {
        Some(self.span(self.began?, self.endpointer.end_if_silent()))
    }

    fn span(&self, began: u64, to: u64) -> Span {
        let first = self.frame_of(began).max(self.tape.first());
        Span { first, end: self.frame_of(to).min(self.tape.end()).max(first) }
    }

    /// Copies the frames of an utterance.
    pub fn segment(&self, span: Span) -> Segment {
        Segment {
            audio: self.tape.cut(span.first..span.end),
            speech: (span.first..span.end).map(|frame| self.is_speech(frame)).collect(),
            start: span.first as f64 / self.tape.frame_rate(),
        }
    }

    /// The utterance that is open, as far as it is known.
    pub fn open(&self) -> Option<OpenUtterance<'_>> {
        let first = self.frame_of(self.began?).max(self.tape.first());
        Some(OpenUtterance { segmenter: self, first })
    }

    /// Seconds of audio pushed, and of it seconds judged to be speech so far.
    pub fn heard(&self) -> (f64, f64) {
        (self.samples as f64 / f64::from(self.rate), self.speech_frames as f64 * FRAME_SECONDS)
    }

    /// Seconds since speech was last heard.
    pub fn silent_for(&self) -> f64 {
        self.endpointer.silent_for()
    }

    /// Number of the frame of the tape at the beginning of a detector frame.
    fn frame_of(&self, detector_frame: u64) -> u64 {
        (detector_frame as f64 * FRAME_SECONDS * self.tape.frame_rate()).round() as u64
    }

    fn is_speech(&self, frame: u64) -> bool {
        let at = (frame as f64 / self.tape.frame_rate() / FRAME_SECONDS) as u64;
        at.checked_sub(self.speech_from).and_then(|index| self.speech.get(index as usize)).copied().unwrap_or(false)
    }

    /// Drops what no coming utterance can take in.
    fn forget(&mut self) {
        let needed = self.endpointer.needed_from();
        // Moving what stays costs more than keeping it, until there is much to drop.
        if self.frame_of(needed).min(self.tape.end()) >= self.tape.first() + 1024 {
            self.tape.forget(self.frame_of(needed));
            let dropped = (needed.saturating_sub(self.speech_from) as usize).min(self.speech.len());
            self.speech.drain(..dropped);
            self.speech_from += dropped as u64;
        }
    }
}

/// Detector frames in so many seconds.
fn frames(seconds: f64) -> u64 {
    (seconds / FRAME_SECONDS).round() as u64
}
