//! The words a network recognises, as strings of units.

use std::ops::Range;
use std::sync::Arc;

use dictum_acoustic::Units;
use dictum_language::{Dictionary, Vocabulary, WordId};

use crate::topology::UnitId;

/// Index of a pronunciation in a [`Lexicon`].
pub type PronunciationId = u32;

/// Pronunciations of the words of a language model, and of the fillers that may stand between words.
///
/// Pronunciations are kept in one arena: a vocabulary of 70 000 words costs about a megabyte. A lexicon may stand on another
/// one, whose pronunciations keep their ids: that of a custom model holds only what it adds to the base vocabulary.
#[derive(Debug, Default)]
pub struct Lexicon {
    base: Option<Arc<Lexicon>>,
    /// Pronunciations of `base`: the id of the first own one.
    first: u32,
    words: Vec<WordId>,
    offsets: Vec<u32>,
    units: Vec<UnitId>,
    fillers: Vec<UnitId>,
}

impl Lexicon {
    /// An empty lexicon with the given filler phones (silence among them); the tokens of a CTC model need none.
    pub fn new(fillers: Vec<UnitId>) -> Self {
        Lexicon { base: None, first: 0, words: Vec::new(), offsets: vec![0], units: Vec::new(), fillers }
    }

    /// A lexicon with everything that `base` has, to which more is to be added.
    pub fn over(base: Arc<Lexicon>) -> Self {
        let (first, fillers) = (base.len() as u32, base.fillers.clone());
        Lexicon { base: Some(base), first, ..Lexicon::new(fillers) }
    }

    /// The words that the vocabulary and the dictionary share, with all their pronunciations in the unit inventory.
    ///
    /// Words of the dictionary that the language model does not know cannot be scored and stay out, and so do
    /// pronunciations with phones that the acoustic model lacks.
    ///
    /// Fillers are the one-phone words of the `fillers` dictionary (Sphinx: `noisedict`), and silence in any case.
    pub fn from_dictionary(
        units: &Units,
        dictionary: &Dictionary,
        fillers: &Dictionary,
        vocabulary: &Vocabulary,
    ) -> Self {
        let mut filler_phones = vec![UnitId::from(units.silence())];
        for pronunciation in fillers.iter().flat_map(|(_, pronunciations)| pronunciations) {
            if let [phone] = pronunciation[..]
                && let Some(phone) = units.phone_id(&fillers.phones()[phone as usize]).map(UnitId::from)
                && !filler_phones.contains(&phone)
            {
                filler_phones.push(phone);
            }
        }
        let mut lexicon = Lexicon::new(filler_phones);
        let phone_ids: Vec<Option<u8>> = dictionary.phones().iter().map(|name| units.phone_id(name)).collect();
        let mut phones = Vec::new();
        for word in 0..vocabulary.len() as WordId {
            for pronunciation in dictionary.pronunciations(vocabulary.word(word)) {
                phones.clear();
                let spoken = |&phone: &u8| phone_ids[phone as usize].filter(|&phone| !units.is_filler(phone));
                phones.extend(pronunciation.iter().map_while(spoken).map(UnitId::from));
                if phones.len() == pronunciation.len() {
                    lexicon.add(word, &phones);
                }
            }
        }
        lexicon
    }

    /// Adds a pronunciation; empty ones are ignored.
    pub fn add(&mut self, word: WordId, units: &[UnitId]) {
        if units.is_empty() {
            return;
        }
        self.words.push(word);
        self.units.extend_from_slice(units);
        self.offsets.push(self.units.len() as u32);
    }

    /// Number of pronunciations, those of the base included.
    pub fn len(&self) -> usize {
        self.first as usize + self.words.len()
    }

    /// Whether there is nothing to recognise.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The ids that are not of the base.
    pub fn own(&self) -> Range<PronunciationId> {
        self.first..self.len() as PronunciationId
    }

    /// The word that is pronounced so.
    #[inline]
    pub fn word(&self, pronunciation: PronunciationId) -> WordId {
        match &self.base {
            Some(base) if pronunciation < self.first => base.word(pronunciation),
            _ => self.words[(pronunciation - self.first) as usize],
        }
    }

    /// What a pronunciation consists of.
    pub fn units(&self, pronunciation: PronunciationId) -> &[UnitId] {
        match &self.base {
            Some(base) if pronunciation < self.first => base.units(pronunciation),
            _ => {
                let index = (pronunciation - self.first) as usize;
                &self.units[self.offsets[index] as usize..self.offsets[index + 1] as usize]
            }
        }
    }

    /// Phones that may stand alone between words: silence and noises.
    pub fn fillers(&self) -> &[UnitId] {
        &self.fillers
    }
}
