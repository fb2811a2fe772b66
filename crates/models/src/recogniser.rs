//! A loaded model and the sessions that recognise with it.

use std::sync::Arc;

use dictum_decoder::graph::{Histories, SearchGraph};
use dictum_decoder::look_ahead::LookAheadCache;
use dictum_decoder::network::Network;
use dictum_decoder::result::{Interim, Utterance};
use dictum_language::{Bigrams, LanguageModel, NgramModel, OpenVocabulary, Pronouncer, SoundsLike, WordId, as_piece};
use dictum_neural::Runtime;

use crate::acoustic::{Acoustic, Phones};
use crate::error::ModelsError;
use crate::package::Package;
pub use crate::session::Session;
use crate::tuning::Tuning;
use crate::wording::{Mapping, Writing};
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

/// A loaded model package: immutable, shared by all sessions and custom models.
pub struct Model {
    acoustic: Acoustic,
    lm: Arc<NgramModel>,
    /// The network of the base vocabulary.
    network: Arc<Network>,
    tuning: Tuning,
    idle: Idle,
}

impl Model {
    /// The network of the base vocabulary.
    pub fn network(&self) -> &Arc<Network> {
        &self.network
    }

    /// The acoustic model, of either kind.
    pub fn acoustic(&self) -> &Acoustic {
        &self.acoustic
    }

    /// The acoustic model, if it is one of phones.
    pub fn phones(&self) -> Option<&Phones> {
        match &self.acoustic {
            Acoustic::Phones(phones) => Some(phones),
            Acoustic::Tokens(_) => None,
        }
    }

    /// The language model of the base vocabulary.
    pub fn language_model(&self) -> &Arc<NgramModel> {
        &self.lm
    }

    /// How words of a language are said to this model. `None` if it wants phones and they are not known for the language.
    pub fn pronouncer(&self, rules: Option<SoundsLike>) -> Option<Pronouncer> {
        self.acoustic.pronouncer(rules)
    }

    /// A language model as a search asks it: one of tokens spells what the language model does not know.
    pub(crate) fn open(&self, lm: Arc<dyn LanguageModel>) -> Arc<dyn LanguageModel> {
        open(&self.acoustic, &self.tuning, lm)
    }
}

fn open(acoustic: &Acoustic, tuning: &Tuning, lm: Arc<dyn LanguageModel>) -> Arc<dyn LanguageModel> {
    match acoustic {
        Acoustic::Phones(_) => lm,
        Acoustic::Tokens(_) => Arc::new(OpenVocabulary::new(lm, tuning.spelling)),
    }
}

/// What sessions recognise with: a model, as it is or customized. Cheap to make from a loaded model and a loaded
/// customization, so each request has its own.
pub struct Recogniser {
    model: Arc<Model>,
    graph: Arc<SearchGraph>,
    /// How words are written where they are not written as they are.
    writing: Option<Arc<Writing>>,
}

/// Memory for look-ahead tables, which all sessions share. Those of all words of the default model take about as much; with
/// less, many sessions at once keep building what others have just let go of.
const LOOK_AHEAD_BYTES: usize = 96 << 20;

impl Recogniser {
    /// Loads a package, with the beams and weights that suit it. Takes well under a second with the default package, so
    /// nothing compiled is kept on disk.
    ///
    /// # Errors
    /// When a file cannot be read or is not what it must be.
    pub fn load(package: &Package) -> Result<Recogniser, ModelsError> {
        Recogniser::load_tuned(package, Tuning::of(package))
    }

    /// Loads a package with other beams and weights.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_tuned(package: &Package, tuning: Tuning) -> Result<Recogniser, ModelsError> {
        Recogniser::load_with(package, tuning, Runtime::default())
    }

    /// Loads a package with other beams and weights, its network, if it has one, run by `runtime`.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_with(package: &Package, tuning: Tuning, runtime: Runtime) -> Result<Recogniser, ModelsError> {
        let name = || package.name.clone();
        let failed = |source: BoxedError| ModelsError::Load { package: name(), source };
        let (acoustic, lm) = crate::loading::load(&package.files, runtime).map_err(failed)?;
        let lm = Arc::new(lm);
        let lexicon = Arc::new(acoustic.lexicon(&*lm));
        if lexicon.is_empty() {
            let problem = "the dictionary and the language model have no word in common";
            return Err(ModelsError::Damaged { package: name(), problem: problem.to_owned() });
        }
        let unigram = |word| if as_piece(word).is_some() { tuning.spelling.first } else { lm.unigram(word) };
        let network = Arc::new(acoustic.network(&lexicon, &unigram));
        let bigrams = Arc::clone(&lm) as Arc<dyn Bigrams>;
        let graph = SearchGraph {
            look_ahead: Arc::new(LookAheadCache::new(Arc::clone(&network), &lexicon, bigrams, LOOK_AHEAD_BYTES)),
            network: Arc::clone(&network),
            overlay: None,
            lexicon,
            lm: open(&acoustic, &tuning, Arc::clone(&lm) as Arc<dyn LanguageModel>),
            start: lm.vocabulary().sentence_start().unwrap_or(WordId::MAX),
            histories: Histories::LastWord,
        };
        let model = Model { acoustic, lm, network, tuning, idle: Idle::default() };
        Ok(Recogniser { model: Arc::new(model), graph: Arc::new(graph), writing: None })
    }

    /// A recogniser on another graph of the same model.
    pub(crate) fn on(&self, graph: SearchGraph, writing: Option<Arc<Writing>>) -> Recogniser {
        Recogniser { model: Arc::clone(&self.model), graph: Arc::new(graph), writing }
    }

    /// Starts a session.
    pub fn session(self: &Arc<Self>, band: Band, options: Options) -> Session {
        Session::new(Arc::clone(self), band, options)
    }

    /// The loaded package.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// What a search runs on.
    pub fn graph(&self) -> &Arc<SearchGraph> {
        &self.graph
    }

    /// Whether only what a grammar generates is recognised.
    pub fn has_grammar(&self) -> bool {
        self.graph.histories == Histories::States
    }

    /// The language model.
    pub fn language_model(&self) -> &dyn LanguageModel {
        &*self.graph.lm
    }

    /// How a word of the vocabulary is written in transcripts.
    pub fn written(&self, word: WordId) -> &str {
        let form = self.writing.as_ref().and_then(|writing| writing.forms.get(&word));
        form.map_or_else(|| self.graph.lm.vocabulary().word(word), String::as_str)
    }

    /// The same of a word or a piece of one that was spelt: UTF-8, of pieces maybe a part of it.
    pub(crate) fn spelling(&self, word: WordId) -> &[u8] {
        match (as_piece(word), &self.model.acoustic) {
            (Some((token, _)), Acoustic::Tokens(spelt)) => spelt.script().written(token),
            _ => self.written(word).as_bytes(),
        }
    }

    /// The text of a word and what belongs to it, given their [spellings](Self::spelling); or of pieces, if it was `spelt`.
    pub(crate) fn read(&self, spelling: &[u8], spelt: bool) -> String {
        match &self.model.acoustic {
            Acoustic::Tokens(model) if spelt => model.script().read(spelling),
            _ => String::from_utf8_lossy(spelling).into_owned(),
        }
    }

    /// What is written for several words in a row.
    pub(crate) fn mappings(&self) -> &[Mapping] {
        self.writing.as_ref().map_or(&[], |writing| &writing.mappings)
    }

    /// Work space for one utterance.
    pub(crate) fn work_space(recogniser: &Arc<Recogniser>, band: Band, purpose: Purpose) -> Lent {
        Lent::new(recogniser, band, purpose)
    }

    /// Work spaces that no session uses at the moment.
    pub(crate) fn idle(&self) -> &Idle {
        &self.model.idle
    }

    /// Beams, weights and calibration.
    pub fn tuning(&self) -> &Tuning {
        &self.model.tuning
    }
}
