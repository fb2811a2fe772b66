//! The acoustic model of a package, of either kind, as the rest of the recogniser sees it.

use std::sync::Arc;

use dictum_acoustic::SphinxModel;
use dictum_decoder::ctc::{self, Ctc, MAX_TOKENS};
use dictum_decoder::lexicon::Lexicon;
use dictum_decoder::network::Network;
use dictum_decoder::topology::{Topology, Triphones, UnitId};
use dictum_language::{
    Dictionary, G2p, LanguageModel, PhonePronouncer, Pronouncer, SoundsLike, WordBoundary, WordId, piece,
};
use dictum_neural::CtcModel;

use crate::recogniser::Band;
use crate::script::Script;

/// An acoustic model, and how words are said to it.
pub enum Acoustic {
    /// Hidden Markov models of phones.
    Phones(Box<Phones>),
    /// A neural network that scores tokens.
    Tokens(Spelt),
}

/// A CMU Sphinx model and its dictionary.
pub struct Phones {
    /// For wideband speech.
    pub broadband: SphinxModel,
    /// The same for half the sampling rate. Phones, HMMs and frame rate are those of the other.
    pub narrowband: SphinxModel,
    /// The pronunciations of the package; more words than the language model has.
    pub dictionary: Arc<Dictionary>,
    /// Silence and noises, by names of phones.
    pub fillers: Dictionary,
}

impl Phones {
    /// The model for a band.
    pub fn of(&self, band: Band) -> &SphinxModel {
        match band {
            Band::Broadband => &self.broadband,
            Band::Narrowband => &self.narrowband,
        }
    }
}

/// A CTC model and what its tokens spell.
pub struct Spelt {
    /// The network.
    pub model: Arc<CtcModel>,
    script: Script,
}

/// Score of what cannot be.
const NEVER: f32 = -1e4;

/// Ways to write a word of the base vocabulary that are searched.
const WAYS: usize = 2;

impl Spelt {
    /// Reads what is to be known of the tokens.
    ///
    /// # Errors
    /// When there are more tokens than a network can tell apart.
    pub fn new(model: CtcModel) -> Result<Spelt, String> {
        let tokens = model.tokens();
        if tokens.len() > MAX_TOKENS {
            return Err(format!("has {} tokens; at most {MAX_TOKENS} are supported", tokens.len()));
        }
        if model.sample_rate() != Band::Broadband.sample_rate() {
            return Err(format!("hears audio at {} Hz; only 16000 Hz is supported", model.sample_rate()));
        }
        Ok(Spelt { script: Script::new(tokens), model: Arc::new(model) })
    }

    /// What its tokens spell.
    pub fn script(&self) -> &Script {
        &self.script
    }

    fn topology(&self) -> Ctc {
        let separator = match self.script.tokenizer().boundary() {
            WordBoundary::Separator(id) => Some(id),
            WordBoundary::Prefix | WordBoundary::None => None,
        };
        Ctc { blank: self.model.tokens().blank(), separator }
    }

    /// Probability of a frame of scores that nothing is said in it.
    pub(crate) fn silence(&self, frame: &[f32]) -> f32 {
        let Ctc { blank, separator } = self.topology();
        let probability = |token: u16| frame[usize::from(token)].exp();
        probability(blank) + separator.map_or(0.0, probability)
    }

    /// Ends the scores of an utterance: with tokens that stand behind words, one frame more, in which the last word may end.
    pub fn end(&self, scores: &mut Vec<f32>) {
        let Ctc { blank, separator } = self.topology();
        let Some(separator) = separator else { return };
        let frame = scores.len();
        scores.resize(frame + self.model.tokens().len(), NEVER);
        scores[frame + usize::from(blank)] = 0.0;
        scores[frame + usize::from(separator)] = 0.0;
    }

    /// The words of a language model, each in the ways it is written, and everything that spells other words.
    fn lexicon(&self, lm: &dyn LanguageModel) -> Lexicon {
        let mut lexicon = Lexicon::new(Vec::new());
        for (id, word) in lm.vocabulary().iter() {
            if word.starts_with('<') && word.ends_with('>') {
                continue;
            }
            for units in self.script.tokenizer().segment(word, WAYS) {
                lexicon.add(id, &units);
            }
        }
        for (token, role) in self.script.pieces() {
            lexicon.add(piece(token, role), &[ctc::piece(token, role)]);
        }
        lexicon
    }
}

impl Acoustic {
    /// Seconds from a frame of scores to the next.
    pub fn frame_seconds(&self) -> f64 {
        match self {
            Acoustic::Phones(phones) => 1.0 / phones.broadband.front_end().frame_rate(),
            Acoustic::Tokens(spelt) => spelt.model.frame_seconds(),
        }
    }

    /// The words of a language model that can be said, and how.
    pub(crate) fn lexicon(&self, lm: &dyn LanguageModel) -> Lexicon {
        match self {
            Acoustic::Phones(phones) => {
                let units = phones.broadband.units();
                Lexicon::from_dictionary(units, &phones.dictionary, &phones.fillers, lm.vocabulary())
            }
            Acoustic::Tokens(spelt) => spelt.lexicon(lm),
        }
    }

    /// Compiles a lexicon; `unigram` is asked for the natural-log probability of its words.
    pub(crate) fn network(&self, lexicon: &Lexicon, unigram: &dyn Fn(WordId) -> f32) -> Network {
        self.with_topology(|topology| Network::compile(topology, lexicon, unigram))
    }

    /// Compiles what a lexicon has beyond its base.
    pub(crate) fn overlay(&self, lexicon: &Lexicon, unigram: &dyn Fn(WordId) -> f32) -> Network {
        self.with_topology(|topology| Network::overlay(topology, lexicon, unigram))
    }

    fn with_topology<T>(&self, use_it: impl FnOnce(&dyn Topology) -> T) -> T {
        match self {
            Acoustic::Phones(phones) => use_it(&Triphones(phones.broadband.units())),
            Acoustic::Tokens(spelt) => use_it(&spelt.topology()),
        }
    }

    /// The units of a pronunciation by their names, if the model has all of them.
    pub(crate) fn units(&self, names: &[String]) -> Option<Vec<UnitId>> {
        match self {
            Acoustic::Phones(phones) => {
                let units = phones.broadband.units();
                let phone = |name: &String| units.phone_id(name).filter(|&phone| !units.is_filler(phone));
                names.iter().map(|name| phone(name).map(UnitId::from)).collect()
            }
            Acoustic::Tokens(spelt) => spelt.script.units(spelt.model.tokens(), names),
        }
    }

    /// How words of a language are said to this model. `None` if it wants phones and they are not known for the language.
    pub fn pronouncer(&self, rules: Option<SoundsLike>) -> Option<Pronouncer> {
        match self {
            Acoustic::Phones(phones) => {
                let dictionary = Arc::clone(&phones.dictionary);
                Some(Pronouncer::Phones(PhonePronouncer::new(dictionary, G2p::en_us(), rules?)))
            }
            Acoustic::Tokens(spelt) => Some(Pronouncer::Tokens(spelt.script.pronouncer(rules))),
        }
    }
}
