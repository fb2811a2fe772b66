//! Words as the tokens that a model would write for them.

use std::sync::Arc;

use crate::tokenizer::Tokenizer;

use super::sounds_like::{SoundsLike, SoundsLikeError, Token, tokens};
use super::{MOST_PRONUNCIATIONS, UnitNames, spell_out};

/// Ways to write one text that are tried.
const MOST_OF_TEXT: usize = 3;

/// Finds how a model of tokens would write what is said.
///
/// What a word sounds like is a text of words and letters; a model that hears it writes those words, or one word of their
/// letters. Both are tried, each in the few ways that take the fewest tokens.
#[derive(Debug, Clone)]
pub struct TokenPronouncer {
    tokenizer: Arc<Tokenizer>,
    /// By token.
    texts: Arc<[String]>,
    rules: Option<SoundsLike>,
}

impl TokenPronouncer {
    /// A pronouncer of a model whose tokens have these texts, in a language with these rules, where they are known.
    pub fn new(tokenizer: Arc<Tokenizer>, texts: Arc<[String]>, rules: Option<SoundsLike>) -> Self {
        TokenPronouncer { tokenizer, texts, rules }
    }

    /// The notation of `sounds_like`.
    pub fn rules(&self) -> Option<SoundsLike> {
        self.rules
    }

    /// See [`Pronouncer::sounds_like`](super::Pronouncer::sounds_like).
    ///
    /// # Errors
    /// As there.
    pub fn sounds_like(&self, text: &str) -> Result<Vec<UnitNames>, SoundsLikeError> {
        if let Some(rules) = self.rules {
            rules.check(text)?;
        }
        let plain = self.plain(text);
        let mut found = Vec::new();
        self.add(&plain, &mut found);
        self.add(&plain.replace(' ', ""), &mut found);
        if found.is_empty() { Err(SoundsLikeError::Unpronounceable { text: text.to_owned() }) } else { Ok(found) }
    }

    /// See [`Pronouncer::pronounce`](super::Pronouncer::pronounce).
    pub fn pronounce(&self, word: &str) -> Vec<UnitNames> {
        let mut found = Vec::new();
        self.add(word, &mut found);
        if self.tokenizer.has_case() {
            self.add(&word.to_lowercase(), &mut found);
            self.add(&capitalised(word), &mut found);
        }
        let readings = self.rules.map_or(Vec::new(), |rules| spell_out::readings(word, rules));
        readings.iter().for_each(|reading| self.add(&self.plain(reading), &mut found));
        found
    }

    /// A text in the notation of `sounds_like`, as it would be written.
    fn plain(&self, text: &str) -> String {
        let Some(rules) = self.rules else {
            return text.split_whitespace().map(|word| word.trim_end_matches('.')).collect::<Vec<_>>().join(" ");
        };
        let words = tokens(text, rules).map(|token| match token {
            Token::Letter(letter) => letter.to_ascii_lowercase().to_string(),
            Token::LetterPlural(letter) => format!("{}'s", letter.to_ascii_lowercase()),
            Token::Word(word) => word.to_owned(),
        });
        words.collect::<Vec<_>>().join(" ")
    }

    fn add(&self, text: &str, found: &mut Vec<UnitNames>) {
        for way in self.tokenizer.segment(text, MOST_OF_TEXT) {
            let names: UnitNames = way.iter().map(|&id| self.texts[usize::from(id)].clone()).collect();
            if found.len() < MOST_PRONUNCIATIONS && !found.contains(&names) {
                found.push(names);
            }
        }
    }
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokenizer::WordBoundary;

    fn pronouncer(pieces: &[&str]) -> TokenPronouncer {
        let tokenizer = Tokenizer::new(pieces.iter().copied().zip(0..), WordBoundary::Prefix);
        let texts = pieces.iter().map(|&piece| piece.to_owned()).collect();
        TokenPronouncer::new(Arc::new(tokenizer), texts, Some(SoundsLike::English))
    }

    #[test]
    fn letters_are_words_of_their_own_or_one_word() {
        let pronouncer = pronouncer(&["▁", "▁i", "▁tri", "ple", "▁e", "i", "e", "t", "r", "p", "l"]);
        let said = pronouncer.sounds_like("I. triple E.").unwrap();
        assert_eq!(said[0], ["▁i", "▁tri", "ple", "▁e"]);
        assert!(said.iter().any(|names| names.concat() == "▁itriplee"), "{said:?}");
        assert!(pronouncer.sounds_like("4 you").is_err());
        assert!(matches!(pronouncer.sounds_like("zoo"), Err(SoundsLikeError::Unpronounceable { .. })));
        let said = pronouncer.pronounce("IE");
        assert!(said.contains(&vec!["▁i".to_owned(), "e".to_owned()]), "{said:?}");
        assert!(said.contains(&vec!["▁i".to_owned(), "▁e".to_owned()]), "{said:?}");
    }
}
