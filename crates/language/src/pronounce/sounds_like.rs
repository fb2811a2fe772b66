//! The notation in which users write what a word sounds like, and what a word may be (CustomWord of the API).

use crate::fold::fold_letter;
use crate::spoken::spoken_form;

/// Most characters of a `sounds_like`, white space at its ends aside.
pub const LONGEST_SOUNDS_LIKE: usize = 40;
/// Most `sounds_like` of a word.
pub const MOST_SOUNDS_LIKE: usize = 5;
/// Most characters of a word.
pub const LONGEST_WORD: usize = 128;

/// Why a word cannot be added. The texts are those of the API.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WordError {
    /// White space, control characters, or what must be encoded in an address.
    #[error("Word '{word}' contains invalid character character")]
    InvalidCharacter {
        /// The word.
        word: String,
    },
    /// More than [`LONGEST_WORD`] characters.
    #[error("Word '{beginning}...' is longer than {LONGEST_WORD} characters")]
    TooLong {
        /// Its first characters.
        beginning: String,
    },
    /// No characters at all.
    #[error("A word cannot be empty")]
    Empty,
    /// More than [`MOST_SOUNDS_LIKE`].
    #[error("Maximum number of sounds-like for a word exceeded")]
    TooManySoundsLike,
    /// A `sounds_like` of more than [`LONGEST_SOUNDS_LIKE`] characters.
    #[error("Maximum number of allowed phones of one item of sounds_like for word '{word}' exceeded")]
    SoundsLikeTooLong {
        /// The word.
        word: String,
    },
}

/// Why a `sounds_like` cannot be said. A word with such an item is stored with the text as its `error`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SoundsLikeError {
    /// Digits, or symbols with them.
    #[error("Numbers are not allowed in sounds_like. You can try for example '{suggestion}'.")]
    Numbers {
        /// The text with its numbers as words.
        suggestion: String,
    },
    /// Periods elsewhere than after single letters, or without a space behind them.
    #[error(
        "Periods are allowed only after single letters, each followed by a space. You can try for example '{suggestion}'."
    )]
    Periods {
        /// The text with its letters one by one.
        suggestion: String,
    },
    /// Periods in a language that writes letters without.
    #[error("Periods are not allowed in sounds_like. You can try for example '{suggestion}'.")]
    NoPeriods {
        /// The text without them.
        suggestion: String,
    },
    /// Dashes in a language that writes compounds without.
    #[error("Dashes are not allowed in sounds_like. You can try for example '{suggestion}'.")]
    NoDashes {
        /// The text without them.
        suggestion: String,
    },
    /// A letter that the language does not have.
    #[error("Character '{character}' is not allowed in sounds_like. You can try for example '{suggestion}'.")]
    ForeignLetter {
        /// The first of them.
        character: char,
        /// The text with plain letters.
        suggestion: String,
    },
    /// Any other character.
    #[error("Character '{character}' is not allowed in sounds_like. Use letters and spaces only.")]
    InvalidCharacter {
        /// The first of them.
        character: char,
    },
    /// Nothing but spaces.
    #[error("A sounds_like cannot be empty.")]
    Empty,
    /// Every character is allowed, but together they say nothing, or too much.
    #[error("The sounds_like '{text}' has no pronunciation. Use words or syllables that can be said.")]
    Unpronounceable {
        /// The text.
        text: String,
    },
}

/// The rules of `sounds_like` of a language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SoundsLike {
    /// English of previous-generation models, US and Australian: letters one by one as `N. C. A. A.`, hyphens allowed.
    English,
    /// British English of previous-generation models, and all English of later ones: letters one by one as `N C A A`, neither
    /// periods nor dashes.
    BritishEnglish,
}

impl SoundsLike {
    /// The rules of a language by its tag, where they are known: `en-US`, `en-AU`, `en-GB` and other English.
    pub fn of_language(tag: &str) -> Option<Self> {
        match tag.to_ascii_lowercase().as_str() {
            "en-gb" => Some(SoundsLike::BritishEnglish),
            "en" => Some(SoundsLike::English),
            tag if tag.starts_with("en-") => Some(SoundsLike::English),
            _ => None,
        }
    }

    /// Checks the characters of a `sounds_like` (not its length, see [`check_word`]).
    ///
    /// # Errors
    /// With what is wrong, and a suggestion where one can be made.
    pub fn check(self, text: &str) -> Result<(), SoundsLikeError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(SoundsLikeError::Empty);
        }
        if text.contains(|c: char| c.is_numeric()) {
            return Err(SoundsLikeError::Numbers { suggestion: self.suggest(&spoken_form(text)) });
        }
        let allowed = |c: char| c.is_ascii_alphabetic() || matches!(c, ' ' | '\'' | '-' | '.');
        if let Some(character) = text.chars().find(|&c| !allowed(c)) {
            return Err(match fold_letter(character) {
                Some(_) => SoundsLikeError::ForeignLetter { character, suggestion: self.suggest(text) },
                None => SoundsLikeError::InvalidCharacter { character },
            });
        }
        match self {
            SoundsLike::BritishEnglish if text.contains('.') => {
                return Err(SoundsLikeError::NoPeriods { suggestion: self.suggest(text) });
            }
            SoundsLike::BritishEnglish if text.contains('-') => {
                return Err(SoundsLikeError::NoDashes { suggestion: self.suggest(text) });
            }
            _ if text.split([' ', '-']).any(has_stray_period) => {
                return Err(SoundsLikeError::Periods { suggestion: self.suggest(text) });
            }
            _ => {}
        }
        if text.contains(|c: char| c.is_ascii_alphabetic()) {
            Ok(())
        } else {
            Err(SoundsLikeError::Unpronounceable { text: text.to_owned() })
        }
    }

    /// A text made to keep the rules: foreign letters folded, letters with periods apart, other periods gone.
    fn suggest(self, text: &str) -> String {
        let mut words = Vec::new();
        let dash = |c: char| self == SoundsLike::BritishEnglish && c == '-';
        for word in text.split(|c: char| c.is_whitespace() || dash(c)) {
            let folded = fold(word);
            let mut parts = folded.split('.').filter(|part| !part.is_empty()).peekable();
            let lettered = folded.contains('.') && folded.split('.').all(|part| part.len() <= 1);
            while let Some(part) = parts.next() {
                let period =
                    lettered && self == SoundsLike::English && (parts.peek().is_some() || folded.ends_with('.'));
                words.push(format!("{part}{}", if period { "." } else { "" }));
            }
        }
        words.join(" ")
    }

    /// A single letter, said by its name, in this notation.
    pub(super) fn letter(self, letter: char) -> String {
        let letter = letter.to_ascii_uppercase();
        match self {
            SoundsLike::English => format!("{letter}."),
            SoundsLike::BritishEnglish => letter.to_string(),
        }
    }
}

/// A text with plain letters in the place of foreign ones, in its case; other characters than those of `sounds_like` go.
pub(super) fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii_alphabetic() || matches!(c, '\'' | '-' | '.' | ' ') {
            folded.push(c);
        } else if let Some(plain) = fold_letter(c) {
            if c.is_uppercase() { folded.push_str(&plain.to_uppercase()) } else { folded.push_str(plain) }
        }
    }
    folded
}

/// Whether a token has a period that does not follow a letter that stands alone (`N.`, `N.'s`).
fn has_stray_period(token: &str) -> bool {
    match token.split_once('.') {
        None => false,
        Some((before, after)) => before.len() != 1 || !matches!(after, "" | "s" | "'s"),
    }
}

/// One thing to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// A letter by its name.
    Letter(char),
    /// Letters by their name: `A.'s`.
    LetterPlural(char),
    /// A word.
    Word(&'a str),
}

/// The tokens of a text that [`SoundsLike::check`] approves of.
pub(super) fn tokens(text: &str, rules: SoundsLike) -> impl Iterator<Item = Token<'_>> {
    text.split([' ', '-']).filter(|token| token.contains(|c: char| c.is_ascii_alphabetic())).map(move |token| {
        let first = token.chars().next().unwrap_or_default();
        match token.split_once('.') {
            Some((_, "")) => Token::Letter(first),
            Some(_) => Token::LetterPlural(first),
            // "a" is a word before it is a letter, and the word "I" sounds like the letter.
            None if rules == SoundsLike::BritishEnglish && token.len() == 1 && token != "a" => Token::Letter(first),
            None => Token::Word(token),
        }
    })
}

/// Checks a word and the number and length of its `sounds_like`; their characters are [`SoundsLike::check`]'s to judge.
///
/// # Errors
/// As the API words them.
pub fn check_word<S: AsRef<str>>(word: &str, sounds_like: &[S]) -> Result<(), WordError> {
    if word.is_empty() {
        return Err(WordError::Empty);
    }
    if word.chars().nth(LONGEST_WORD).is_some() {
        return Err(WordError::TooLong { beginning: word.chars().take(32).collect() });
    }
    let invalid = |c: char| {
        c.is_whitespace()
            || c.is_control()
            || "/\\:&\"+=?#%<>".contains(c)
            || matches!(c, '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}' | '\u{FFFD}')
    };
    if word.contains(invalid) {
        return Err(WordError::InvalidCharacter { word: word.to_owned() });
    }
    if sounds_like.len() > MOST_SOUNDS_LIKE {
        return Err(WordError::TooManySoundsLike);
    }
    if sounds_like.iter().any(|text| text.as_ref().trim().chars().nth(LONGEST_SOUNDS_LIKE).is_some()) {
        return Err(WordError::SoundsLikeTooLong { word: word.to_owned() });
    }
    Ok(())
}
