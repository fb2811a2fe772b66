//! The acoustic model of a package, of either kind, as the rest of the recogniser sees it.

use std::sync::Arc;

use dictum_acoustic::SphinxModel;
use dictum_decoder::ctc::{self, Ctc, MAX_TOKENS};
use dictum_decoder::lexicon::Lexicon;
use dictum_decoder::network::Network;
use dictum_decoder::topology::{Topology, Triphones, UnitId};
use dictum_language::{
    Dictionary, G2p, LanguageModel, PhonePronouncer, PieceRole, Pronouncer, SoundsLike, TokenPronouncer, Tokenizer,
    WORD_BEGIN, WordBoundary, WordId, piece,
};
use dictum_neural::{Boundary, CtcModel, Tokens};

use crate::recogniser::Band;

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
    tokenizer: Arc<Tokenizer>,
    /// Texts of all tokens, as the table has them.
    names: Arc<[String]>,
    /// What transcripts get of a token.
    written: Vec<String>,
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
        let boundary = match tokens.boundary() {
            Boundary::Prefix => WordBoundary::Prefix,
            Boundary::Separator(id) => WordBoundary::Separator(id),
            Boundary::None => WordBoundary::None,
        };
        let words = ids(tokens).filter(|&id| !is_mark(tokens.text(id)) && boundary != WordBoundary::Separator(id));
        let tokenizer = Tokenizer::new(words.map(|id| (tokens.text(id), id)), boundary);
        let names: Arc<[String]> = (0..tokens.len() as u16).map(|id| tokens.text(id).to_owned()).collect();
        let shouts = !names.iter().any(|name| name.contains(char::is_lowercase));
        let written = |name: &String| {
            let text = name.trim_start_matches(WORD_BEGIN);
            if shouts { text.to_lowercase() } else { text.to_owned() }
        };
        let mut written: Vec<String> = names.iter().map(written).collect();
        if let WordBoundary::Separator(id) = boundary {
            written[usize::from(id)].clear();
        }
        Ok(Spelt { tokenizer: Arc::new(tokenizer), names, written, model: Arc::new(model) })
    }

    fn topology(&self) -> Ctc {
        let separator = match self.tokenizer.boundary() {
            WordBoundary::Separator(id) => Some(id),
            WordBoundary::Prefix | WordBoundary::None => None,
        };
        Ctc { blank: self.model.tokens().blank(), separator }
    }

    /// What transcripts get of a token.
    pub fn written(&self, token: u16) -> &str {
        &self.written[usize::from(token)]
    }

    /// What a chain of tokens spells, where they may be pieces of characters.
    pub fn read(&self, written: &str) -> String {
        self.model.tokens().read(written)
    }

    /// Ends the scores of an utterance: with tokens that stand behind words, one frame more, in which the last word may end.
    pub fn end(&self, scores: &mut Vec<f32>) {
        let Ctc { blank, separator } = self.topology();
        let Some(separator) = separator else { return };
        let frame = scores.len();
        scores.resize(frame + self.names.len(), NEVER);
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
            for units in self.tokenizer.segment(&self.model.tokens().written(word), WAYS) {
                lexicon.add(id, &units);
            }
        }
        let tokens = self.model.tokens();
        for (token, role) in ids(tokens).flat_map(|id| self.roles(id).map(move |role| (id, role))) {
            lexicon.add(piece(token, role), &[ctc::piece(token, role)]);
        }
        lexicon
    }

    /// What a token may be to a word that is spelt.
    fn roles(&self, token: u16) -> impl Iterator<Item = PieceRole> + use<> {
        let text = &self.names[usize::from(token)];
        let (first, later) = match self.tokenizer.boundary() {
            _ if is_mark(text) => (false, false),
            WordBoundary::Prefix => (text.starts_with(WORD_BEGIN), !text.starts_with(WORD_BEGIN)),
            WordBoundary::Separator(separator) => (token != separator, true),
            // Without a sign of where words begin, each character is one.
            WordBoundary::None => (true, false),
        };
        let roles = [(PieceRole::First, first), (PieceRole::Later, later), (PieceRole::Mark, is_mark(text))];
        roles.into_iter().filter_map(|(role, is)| is.then_some(role))
    }
}

/// Tokens that are written.
fn ids(tokens: &Tokens) -> impl Iterator<Item = u16> {
    (0..tokens.len() as u16).filter(|&id| !tokens.is_special(id))
}

/// Whether a token is punctuation that stands behind a word.
fn is_mark(text: &str) -> bool {
    const MARKS: &str = ".,?!;:…。、，？！；：؟،";
    !text.is_empty() && text.chars().all(|c| MARKS.contains(c))
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
            Acoustic::Tokens(spelt) => {
                let tokens = spelt.model.tokens();
                let token = |name: &String| tokens.find(name).filter(|&id| !tokens.is_special(id));
                names.iter().map(token).collect()
            }
        }
    }

    /// How words of a language are said to this model. `None` if it wants phones and they are not known for the language.
    pub fn pronouncer(&self, rules: Option<SoundsLike>) -> Option<Pronouncer> {
        match self {
            Acoustic::Phones(phones) => {
                let dictionary = Arc::clone(&phones.dictionary);
                Some(Pronouncer::Phones(PhonePronouncer::new(dictionary, G2p::en_us(), rules?)))
            }
            Acoustic::Tokens(spelt) => {
                let (tokenizer, names) = (Arc::clone(&spelt.tokenizer), Arc::clone(&spelt.names));
                Some(Pronouncer::Tokens(TokenPronouncer::new(tokenizer, names, rules)))
            }
        }
    }
}
