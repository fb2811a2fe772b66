//! How words are said, in the units of an acoustic model: phones, or the tokens it writes with.
//!
//! Users say the same to both kinds of model: a word, and what it sounds like in the notation of [`SoundsLike`]. For a model of phones
//! that is read by dictionary and spelling ([`PhonePronouncer`]); a model of tokens hears words as it would write them
//! ([`TokenPronouncer`]). What differs between languages is in [`SoundsLike`] and [`spell_out`]; today that is English, in the
//! notations of the previous-generation models.

mod phones;
mod sounds_like;
mod spell_out;
mod tokens;

pub use phones::{MOST_PHONES, PhonePronouncer};
pub use sounds_like::{
    LONGEST_SOUNDS_LIKE, LONGEST_WORD, MOST_SOUNDS_LIKE, SoundsLike, SoundsLikeError, WordError, check_word,
};
pub use tokens::TokenPronouncer;

/// Most pronunciations of a word, and of one `sounds_like`.
pub const MOST_PRONUNCIATIONS: usize = 8;

/// A pronunciation by the names of its units, which every acoustic model looks up in its own inventory.
pub type UnitNames = Vec<String>;

/// Finds pronunciations for an acoustic model.
#[derive(Debug, Clone)]
pub enum Pronouncer {
    /// For a model of phones.
    Phones(PhonePronouncer),
    /// For a model of tokens.
    Tokens(TokenPronouncer),
}

impl Pronouncer {
    /// How a word is said that comes without `sounds_like`: up to [`MOST_PRONUNCIATIONS`], the likeliest first, all different.
    /// None when its spelling tells nothing.
    pub fn pronounce(&self, word: &str) -> Vec<UnitNames> {
        match self {
            Pronouncer::Phones(phones) => phones.pronounce(word).iter().map(|said| names(phones, said)).collect(),
            Pronouncer::Tokens(tokens) => tokens.pronounce(word),
        }
    }

    /// What a `sounds_like` text says: up to [`MOST_PRONUNCIATIONS`], the likeliest first, all different.
    ///
    /// # Errors
    /// When the text breaks the rules of the language, or nothing of it can be said.
    pub fn sounds_like(&self, text: &str) -> Result<Vec<UnitNames>, SoundsLikeError> {
        match self {
            Pronouncer::Phones(phones) => {
                Ok(phones.sounds_like(text)?.iter().map(|said| names(phones, said)).collect())
            }
            Pronouncer::Tokens(tokens) => tokens.sounds_like(text),
        }
    }

    /// Checks the characters of a `sounds_like`.
    ///
    /// # Errors
    /// When it breaks the rules of the language; nothing is known to break those of a language without any here.
    pub fn check(&self, text: &str) -> Result<(), SoundsLikeError> {
        self.rules().map_or(Ok(()), |rules| rules.check(text))
    }

    /// The `sounds_like` that says a word as [`pronounce`](Self::pronounce) does first where nobody has listed it: `IEEE` is
    /// "I. E. E. E.", `mp3` is "M. P. three". Empty when there is none.
    pub fn spell_out(&self, word: &str) -> String {
        let Some(rules) = self.rules() else { return String::new() };
        spell_out::readings(word, rules).into_iter().next().unwrap_or_default()
    }

    fn rules(&self) -> Option<SoundsLike> {
        match self {
            Pronouncer::Phones(phones) => Some(phones.rules()),
            Pronouncer::Tokens(tokens) => tokens.rules(),
        }
    }
}

fn names(phones: &PhonePronouncer, said: &crate::dictionary::Pronunciation) -> UnitNames {
    phones.names(said).into_iter().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests;
