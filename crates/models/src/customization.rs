//! Custom language models as recognisers use them: words beside the base vocabulary, and a language model beside the base one.
//!
//! A [`Customization`] is what was trained, loaded: made once, shared by all requests that name it. Nothing of the base model
//! is copied or changed. [`Recogniser::customized`] puts both together at the weight that a request wants.

use std::sync::Arc;

use dictum_decoder::graph::{Overlay, SearchGraph, Weights};
use dictum_decoder::lexicon::Lexicon;
use dictum_decoder::look_ahead::LookAheadCache;
use dictum_decoder::network::Network;
use dictum_language::custom::{Interpolated, Mixture, NEVER, Snapshot};
use dictum_language::{Bigrams, LanguageModel, LmError, WordId};
use serde::{Deserialize, Serialize};

use crate::recogniser::Recogniser;
pub use crate::wording::Mapping;
use crate::wording::Writing;

/// A word that a custom model teaches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomWord {
    /// As it stands in the custom model's vocabulary.
    pub word: String,
    /// How transcripts write it, if not so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_as: Option<String>,
    /// How it is said: names of the acoustic model's units.
    pub pronunciations: Vec<Vec<String>>,
}

impl CustomWord {
    /// ln of its share of the probability of a user's words ([`Interpolated`]), at most 0: half a unit less for each phone that
    /// its shortest pronunciation lacks of eight, since the shorter a word, the more sounds like it by accident.
    pub fn share(&self) -> f32 {
        let shortest = self.pronunciations.iter().map(Vec::len).min().unwrap_or(0);
        -0.5 * 8_usize.saturating_sub(shortest) as f32
    }
}

/// A trained language customization, loaded.
pub struct Customization {
    lm: Arc<Snapshot>,
    lexicon: Arc<Lexicon>,
    overlay: Arc<Network>,
    look_ahead: Arc<LookAheadCache>,
    writing: Option<Arc<Writing>>,
}

/// Memory for look-ahead tables of one custom model.
const LOOK_AHEAD_BYTES: usize = 16 << 20;

impl Customization {
    /// Compiles the words of a snapshot that was trained over the base model of `recogniser`. Words that the snapshot does not
    /// know, and pronunciations with units that the acoustic model lacks or that the base vocabulary has already, stay out.
    /// `mappings` are what transcripts have in the place of words in a row.
    pub fn new(
        recogniser: &Recogniser,
        lm: Arc<Snapshot>,
        words: &[CustomWord],
        mappings: Vec<Mapping>,
    ) -> Customization {
        let (base, acoustic) = (recogniser.graph(), recogniser.model().acoustic());
        let vocabulary = lm.shared_vocabulary();
        let mut lexicon = Lexicon::over(Arc::clone(&base.lexicon));
        let mut writing = Writing { mappings, ..Writing::default() };
        for entry in words {
            let Some(word) = vocabulary.id(&entry.word) else { continue };
            if let Some(form) = &entry.display_as {
                writing.forms.insert(word, form.clone());
            }
            let known = base.look_ahead.pronunciations(word);
            for units in entry.pronunciations.iter().filter_map(|names| acoustic.units(names)) {
                if !known.iter().any(|&known| base.lexicon.units(known) == units) {
                    lexicon.add(word, &units);
                }
            }
        }
        let unigram = |word: WordId| Bigrams::unigram(&**recogniser.model().language_model(), word);
        let overlay = Arc::new(acoustic.overlay(&lexicon, &unigram));
        let bigrams = Arc::new(Taught(Arc::clone(&lm)));
        let share = |word: WordId| lm.user_share(word).unwrap_or(f32::NEG_INFINITY);
        let look_ahead =
            LookAheadCache::custom(&base.look_ahead, Arc::clone(&overlay), &lexicon, bigrams, &share, LOOK_AHEAD_BYTES);
        let (lexicon, look_ahead) = (Arc::new(lexicon), Arc::new(look_ahead));
        Customization { lm, lexicon, overlay, look_ahead, writing: writing.shared() }
    }

    /// Bytes held, look-ahead tables left out.
    pub fn size_bytes(&self) -> usize {
        self.lm.size_bytes() + self.overlay.size_bytes() + self.look_ahead.size_bytes()
    }

    /// Pronunciations beside those of the base vocabulary.
    pub fn pronunciation_count(&self) -> usize {
        self.lexicon.own().len()
    }
}

impl Recogniser {
    /// This model with a customization at a weight, 0 to 1; at 0 it is the base model and nothing else.
    ///
    /// # Errors
    /// When the customization was trained over another model.
    pub fn customized(
        self: &Arc<Self>,
        customization: &Customization,
        weight: f32,
    ) -> Result<Arc<Recogniser>, LmError> {
        if weight <= 0.0 {
            return Ok(Arc::clone(self));
        }
        let mixture = Mixture { weight, ..self.tuning().mixture };
        let base = Arc::clone(self.model().language_model());
        let lm = Interpolated::new(base, Arc::clone(&customization.lm), mixture)?;
        let [base, custom] = lm.shares();
        let user = lm.user_word() - Interpolated::TYPICAL;
        let weights = Weights { base, custom, user };
        let overlay = Overlay {
            network: Arc::clone(&customization.overlay),
            look_ahead: Arc::clone(&customization.look_ahead),
            weights,
        };
        let graph = SearchGraph {
            overlay: Some(overlay),
            lexicon: Arc::clone(&customization.lexicon),
            lm: self.model().open(Arc::new(lm) as Arc<dyn LanguageModel>),
            ..SearchGraph::clone(self.graph())
        };
        Ok(Arc::new(self.on(graph, customization.writing.clone())))
    }
}

/// A snapshot as look-ahead asks it: words that it gives no probability are not there.
struct Taught(Arc<Snapshot>);

impl Bigrams for Taught {
    fn unigram(&self, word: WordId) -> f32 {
        let probability = self.0.unigram(word);
        if probability > NEVER { probability } else { f32::NEG_INFINITY }
    }

    fn backoff(&self, word: WordId) -> f32 {
        self.0.backoff(word)
    }

    fn bigrams_after(&self, v: WordId, visit: &mut dyn FnMut(WordId, f32)) {
        self.0.bigrams_after(v, visit);
    }
}
