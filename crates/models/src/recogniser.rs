//! A loaded model and the sessions that recognise with it.

use std::sync::Arc;

use dictum_decoder::result::Utterance;

/// What one session wants of the recogniser. `Default` is what a request without parameters gets.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Most readings per utterance, at least 1.
    pub max_alternatives: usize,
    /// Whether to return the confusion network.
    pub confusion_network: bool,
    /// Keywords or phrases to spot, as the client wrote them (matched without case).
    pub keywords: Vec<String>,
    /// Least posterior of a keyword hit; `None`: no spotting.
    pub keywords_threshold: Option<f32>,
    /// Pause that ends an utterance, seconds.
    pub end_of_phrase_silence_time: f64,
    /// Whether utterances may also end where a phrase ends.
    pub split_transcript_at_phrase_end: bool,
    /// 0.0 (everything is suppressed) to 1.0 (detector off).
    pub speech_detector_sensitivity: f32,
    /// 0.0 (off) to 1.0 (everything is suppressed).
    pub background_audio_suppression: f32,
    /// Longest utterance, seconds.
    pub longest_utterance: f64,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            max_alternatives: 1,
            confusion_network: false,
            keywords: Vec::new(),
            keywords_threshold: None,
            end_of_phrase_silence_time: 0.8,
            split_transcript_at_phrase_end: false,
            speech_detector_sensitivity: 0.5,
            background_audio_suppression: 0.0,
            longest_utterance: 120.0,
        }
    }
}

/// What a session reports while audio is pushed.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Speech began, at this many seconds: at first, and again after every utterance-ending pause.
    SpeechBegin {
        /// Seconds from the first sample.
        at: f64,
    },
    /// A final result. Utterances in which nothing was recognised are not reported.
    Utterance(Utterance),
}

/// The band a session hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Band {
    /// 16 kHz samples.
    Broadband,
    /// 8 kHz samples (telephone), scored through the model's narrowband mapping.
    Narrowband,
}

impl Band {
    /// Sampling rate of the samples a session of this band takes, Hz.
    pub fn sample_rate(self) -> u32 {
        match self {
            Band::Broadband => 16_000,
            Band::Narrowband => 8_000,
        }
    }
}

/// A loaded model package: immutable, shared by all sessions.
pub struct Recogniser {}

impl Recogniser {
    /// Starts a session.
    pub fn session(self: &Arc<Self>, _band: Band, _options: Options) -> Session {
        Session { _recogniser: Arc::clone(self) }
    }
}

/// One stream of audio being recognised. CPU-bound; never call from an async task.
pub struct Session {
    _recogniser: Arc<Recogniser>,
}

impl Session {
    /// Takes mono samples (full scale ±1.0) at the band's rate and reports what they completed.
    pub fn push(&mut self, _samples: &[f32]) -> Vec<Event> {
        Vec::new()
    }

    /// Ends the audio and reports what is left.
    pub fn finish(self) -> Vec<Event> {
        Vec::new()
    }

    /// Seconds of audio pushed, and of it seconds judged to be speech so far.
    pub fn heard(&self) -> (f64, f64) {
        (0.0, 0.0)
    }

    /// Whether speech was heard in the last `seconds` of the audio pushed (for the inactivity timeout).
    pub fn silent_for(&self) -> f64 {
        0.0
    }
}
