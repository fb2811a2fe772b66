//! A loaded model and the sessions that recognise with it.

use std::path::Path;
use std::sync::Arc;

use dictum_acoustic::{NarrowbandMap, SphinxModel};
use dictum_decoder::lexicon::Lexicon;
use dictum_decoder::look_ahead::LookAheadCache;
use dictum_decoder::network::Network;
use dictum_decoder::result::{Interim, Utterance};
use dictum_decoder::search::SearchGraph;
use dictum_language::{Dictionary, LanguageModel, NgramModel, WordId};

use crate::error::ModelsError;
use crate::package::PackageFiles;
pub use crate::session::Session;
use crate::tuning::Tuning;
use crate::work_space::{Idle, Lent, Purpose};

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
    /// 8 kHz samples (telephone), scored with the model's Gaussians carried over to it.
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
    /// The same for half the sampling rate.
    narrowband: SphinxModel,
    graph: SearchGraph,
    lm: Arc<NgramModel>,
    tuning: Tuning,
    idle: Idle,
}

/// Memory for look-ahead tables, which all sessions share. Those of all words of the default model take about as much; with
/// less, many sessions at once keep building what others have just let go of.
const LOOK_AHEAD_BYTES: usize = 96 << 20;

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
        let narrowband = acoustic.narrowband(&map).map_err(|problem| failed(problem.into()))?;
        Ok(Recogniser { acoustic, narrowband, graph, lm, tuning, idle: Idle::default() })
    }

    /// Starts a session.
    pub fn session(self: &Arc<Self>, band: Band, options: Options) -> Session {
        Session::new(Arc::clone(self), band, options)
    }

    /// The acoustic model of wideband speech.
    pub fn acoustic(&self) -> &SphinxModel {
        &self.acoustic
    }

    /// The acoustic model for a band. Phones, HMMs and frame rate are those of [`acoustic`](Self::acoustic).
    pub fn acoustic_for(&self, band: Band) -> &SphinxModel {
        match band {
            Band::Broadband => &self.acoustic,
            Band::Narrowband => &self.narrowband,
        }
    }

    /// What a search runs on.
    pub fn graph(&self) -> &SearchGraph {
        &self.graph
    }

    /// The language model.
    pub fn language_model(&self) -> &NgramModel {
        &self.lm
    }

    /// Work space for one utterance.
    pub(crate) fn work_space(recogniser: &Arc<Recogniser>, band: Band, purpose: Purpose) -> Lent {
        Lent::new(recogniser, band, purpose)
    }

    /// Work spaces that no session uses at the moment.
    pub(crate) fn idle(&self) -> &Idle {
        &self.idle
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
