//! A loaded model and the sessions that recognise with it.

use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;

use dictum_acoustic::{FrontEnd, FrontEndConfig, NarrowbandMap, SphinxModel};
use dictum_decoder::endpoint::{Activity, Boundary, EndpointConfig, Endpointer, FRAME_SECONDS, SpeechDetector};
use dictum_decoder::lexicon::Lexicon;
use dictum_decoder::look_ahead::LookAheadCache;
use dictum_decoder::network::Network;
use dictum_decoder::result::{EndOfUtterance, Interim, Utterance};
use dictum_decoder::search::{SearchGraph, Statistics};
use dictum_language::{Dictionary, LanguageModel, NgramModel, WordId};

use crate::error::ModelsError;
use crate::package::PackageFiles;
use crate::tuning::Tuning;
use crate::utterance::{Segment, UtteranceDecoder, WorkSpace};

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
    /// Whether to report what is heard while an utterance lasts, before its final result.
    pub interim_results: bool,
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
            interim_results: false,
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
    /// What has been understood of the utterance that is open; may change until its final result. Reported when it changes,
    /// and at least once before each [`Event::Utterance`], if asked for.
    Interim(Interim),
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

type BoxedError = Box<dyn std::error::Error + Send + Sync>;

/// A loaded model package: immutable, shared by all sessions.
pub struct Recogniser {
    acoustic: SphinxModel,
    broadband: FrontEndConfig,
    narrowband: FrontEndConfig,
    graph: SearchGraph,
    lm: Arc<NgramModel>,
    tuning: Tuning,
    /// Work spaces that no session uses at the moment.
    idle: Mutex<Vec<WorkSpace>>,
}

/// Memory for look-ahead tables, which all sessions share.
const LOOK_AHEAD_BYTES: usize = 48 << 20;

impl Recogniser {
    /// Loads a package. Takes well under a second with the default package, so nothing compiled is kept on disk.
    pub fn load(package: &str, files: &PackageFiles) -> Result<Recogniser, ModelsError> {
        Recogniser::load_tuned(package, files, Tuning::default())
    }

    /// Loads a package with other than the default beams and weights.
    pub fn load_tuned(package: &str, files: &PackageFiles, tuning: Tuning) -> Result<Recogniser, ModelsError> {
        let failed = |source: BoxedError| ModelsError::Load { package: package.to_owned(), source };
        let acoustic = SphinxModel::load(&files.acoustic).map_err(|error| failed(error.into()))?;
        let dictionary = Dictionary::open(&files.dictionary).map_err(|error| failed(error.into()))?;
        let fillers = Dictionary::open(&files.noise_dictionary).map_err(|error| failed(error.into()))?;
        let lm = Arc::new(NgramModel::open(&files.language_model).map_err(|error| failed(error.into()))?);
        let map = narrowband_map(files.narrowband_map.as_deref()).map_err(failed)?;

        let units = acoustic.units();
        let lexicon = Arc::new(Lexicon::from_dictionary(units, &dictionary, &fillers, lm.vocabulary()));
        if lexicon.is_empty() {
            let problem = "the dictionary and the language model have no word in common";
            return Err(ModelsError::Damaged { package: package.to_owned(), problem: problem.to_owned() });
        }
        let network = Arc::new(Network::compile(units, &lexicon, &|word| lm.unigram(word)));
        let look_ahead =
            LookAheadCache::new(Arc::clone(&network), Arc::clone(&lexicon), Arc::clone(&lm), LOOK_AHEAD_BYTES);
        let start_word = lm.vocabulary().sentence_start().unwrap_or(WordId::MAX);
        let graph = SearchGraph {
            network,
            lexicon,
            lm: Arc::clone(&lm) as Arc<dyn LanguageModel>,
            start_word,
            look_ahead: Arc::new(look_ahead),
            transitions: SearchGraph::transitions_of(units),
        };
        let broadband = acoustic.front_end().clone();
        let narrowband = broadband.clone().with_narrowband(map).map_err(|problem| failed(problem.into()))?;
        Ok(Recogniser { acoustic, broadband, narrowband, graph, lm, tuning, idle: Mutex::default() })
    }

    /// Starts a session.
    pub fn session(self: &Arc<Self>, band: Band, options: Options) -> Session {
        Session::new(Arc::clone(self), band, options)
    }

    /// The acoustic model.
    pub fn acoustic(&self) -> &SphinxModel {
        &self.acoustic
    }

    /// What a search runs on.
    pub fn graph(&self) -> &SearchGraph {
        &self.graph
    }

    /// The language model.
    pub fn language_model(&self) -> &NgramModel {
        &self.lm
    }

    /// Work space for one utterance. There are as many as utterances are decoded at the same time, not as sessions.
    pub(crate) fn take_work_space(&self) -> WorkSpace {
        let idle = self.idle.lock().pop();
        idle.unwrap_or_else(|| WorkSpace::new(self))
    }

    /// Gives work space back.
    pub(crate) fn put_back(&self, work: WorkSpace) {
        self.idle.lock().push(work);
    }

    /// Beams, weights and calibration.
    pub fn tuning(&self) -> &Tuning {
        &self.tuning
    }
}

fn narrowband_map(path: Option<&Path>) -> Result<NarrowbandMap, BoxedError> {
    Ok(match path {
        Some(path) => NarrowbandMap::parse(&std::fs::read(path)?)?,
        None => NarrowbandMap::us_english(),
    })
}

/// One stream of audio being recognised. CPU-bound; never call from an async task.
pub struct Session {
    recogniser: Arc<Recogniser>,
    front_end: FrontEnd,
    detector: SpeechDetector,
    endpointer: Endpointer,
    decoder: UtteranceDecoder,
    /// Cepstra that an utterance may still need; the first has the number `cepstra_from`.
    cepstra: Vec<[f32; 13]>,
    cepstra_from: u64,
    /// Whether each detector frame held speech; the first has the number `speech_from`.
    speech: Vec<bool>,
    speech_from: u64,
    /// First detector frame of the utterance that is open.
    began: Option<u64>,
    activities: Vec<Activity>,
    samples: u64,
    speech_frames: u64,
    rate: u32,
    frame_rate: f64,
    split_reason: EndOfUtterance,
}

impl Session {
    fn new(recogniser: Arc<Recogniser>, band: Band, options: Options) -> Session {
        let front_end = match band {
            Band::Broadband => &recogniser.broadband,
            Band::Narrowband => &recogniser.narrowband,
        };
        let endpoint = EndpointConfig {
            end_silence: options.end_of_phrase_silence_time,
            sensitivity: options.speech_detector_sensitivity,
            suppression: options.background_audio_suppression,
            longest: options.longest_utterance,
            ..EndpointConfig::default()
        };
        Session {
            front_end: FrontEnd::new(front_end),
            frame_rate: front_end.frame_rate(),
            detector: SpeechDetector::new(band.sample_rate()),
            endpointer: Endpointer::new(endpoint),
            decoder: UtteranceDecoder::new(Arc::clone(&recogniser), band, options),
            cepstra: Vec::new(),
            cepstra_from: 0,
            speech: Vec::new(),
            speech_from: 0,
            began: None,
            activities: Vec::new(),
            samples: 0,
            speech_frames: 0,
            rate: band.sample_rate(),
            split_reason: EndOfUtterance::Silence,
            recogniser,
        }
    }

    /// The model it recognises with.
    pub fn recogniser(&self) -> &Arc<Recogniser> {
        &self.recogniser
    }

    /// Work done by the search so far.
    pub fn statistics(&self) -> Statistics {
        self.decoder.statistics()
    }

    /// Takes mono samples (full scale ±1.0) at the band's rate and reports what they completed.
    pub fn push(&mut self, samples: &[f32]) -> Vec<Event> {
        let mut events = Vec::new();
        // In pieces of a tenth of a second, so that utterances end where they end however audio is pushed.
        for piece in samples.chunks(self.rate as usize / 10) {
            self.samples += piece.len() as u64;
            self.front_end.push(piece, &mut self.cepstra);
            self.activities.clear();
            self.detector.push(piece, &mut self.activities);
            for index in 0..self.activities.len() {
                let (speech, boundary) = self.endpointer.push(self.activities[index]);
                self.speech.push(speech);
                self.speech_frames += u64::from(speech);
                if let Some(boundary) = boundary {
                    self.cross(boundary, &mut events);
                }
            }
            self.forget();
        }
        events
    }

    /// Ends the audio and reports what is left.
    pub fn finish(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        self.front_end.finish(&mut self.cepstra);
        self.split_reason = EndOfUtterance::EndOfData;
        if let Some(boundary) = self.endpointer.finish() {
            self.cross(boundary, &mut events);
        }
        events
    }

    /// Seconds of audio pushed, and of it seconds judged to be speech so far.
    pub fn heard(&self) -> (f64, f64) {
        (self.samples as f64 / f64::from(self.rate), self.speech_frames as f64 * FRAME_SECONDS)
    }

    /// Seconds since speech was last heard (for the inactivity timeout).
    pub fn silent_for(&self) -> f64 {
        self.endpointer.silent_for()
    }

    fn cross(&mut self, boundary: Boundary, events: &mut Vec<Event>) {
        match boundary {
            Boundary::Begin { from, at } => {
                self.began = Some(from);
                events.push(Event::SpeechBegin { at: at as f64 * FRAME_SECONDS });
            }
            Boundary::End { to, too_long } => {
                let Some(began) = self.began.take() else { return };
                let ended_by = if too_long { EndOfUtterance::Reset } else { self.split_reason };
                let (first, end) = (self.frame_of(began).max(self.cepstra_from), self.frame_of(to));
                let begin = (first - self.cepstra_from) as usize;
                let end = ((end.max(first) - self.cepstra_from) as usize).min(self.cepstra.len());
                let cepstra = &self.cepstra[begin.min(end)..end];
                let speech: Vec<bool> = (0..cepstra.len() as u64).map(|frame| self.is_speech(first + frame)).collect();
                let start = first as f64 / self.frame_rate;
                let segment = Segment { cepstra, speech: &speech, start, ended_by };
                events.extend(self.decoder.decode(&segment).into_iter().map(Event::Utterance));
            }
        }
    }

    /// Number of the cepstral frame at the beginning of a detector frame.
    fn frame_of(&self, detector_frame: u64) -> u64 {
        (detector_frame as f64 * FRAME_SECONDS * self.frame_rate).round() as u64
    }

    fn is_speech(&self, frame: u64) -> bool {
        let at = (frame as f64 / self.frame_rate / FRAME_SECONDS) as u64;
        at.checked_sub(self.speech_from).and_then(|index| self.speech.get(index as usize)).copied().unwrap_or(false)
    }

    /// Drops what no coming utterance can take in.
    fn forget(&mut self) {
        let needed = self.endpointer.needed_from();
        let (cepstra, speech) = (self.frame_of(needed), needed);
        let dropped = (cepstra.saturating_sub(self.cepstra_from) as usize).min(self.cepstra.len());
        // Moving what stays costs more than keeping it, until there is much to drop.
        if dropped >= 1024 {
            self.cepstra.drain(..dropped);
            self.cepstra_from += dropped as u64;
            let dropped = (speech.saturating_sub(self.speech_from) as usize).min(self.speech.len());
            self.speech.drain(..dropped);
            self.speech_from += dropped as u64;
        }
    }
}
