//! From what a search has found to what is written.

use std::sync::Arc;

use dictum_decoder::result::Word;
use dictum_language::{PieceRole, WordId, as_piece};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::recogniser::Recogniser;

/// How words are written where they are not written as they are in the vocabulary.
#[derive(Debug, Default)]
pub struct Writing {
    /// By word.
    pub forms: FxHashMap<WordId, String>,
    /// What is written for several words in a row.
    pub mappings: Vec<Mapping>,
}

impl Writing {
    /// Nothing if there is nothing to be written otherwise.
    pub fn shared(self) -> Option<Arc<Writing>> {
        (!self.forms.is_empty() || !self.mappings.is_empty()).then(|| Arc::new(self))
    }
}

/// What is written where some words were recognised one after the other (`mapping_only` of the API).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mapping {
    /// The words, in small letters; at least one.
    pub said: Vec<String>,
    /// What transcripts have in their place.
    pub display_as: String,
}

/// A word, or a piece of one, as a search found it.
#[derive(Debug, Clone, Copy)]
pub struct Found {
    /// The word or piece.
    pub word: WordId,
    /// Start, seconds.
    pub start: f64,
    /// End, seconds.
    pub end: f64,
    /// Probability that it is right.
    pub confidence: f32,
}

/// Words as transcripts have them. What is spelt in pieces is one word, as sure as its least sure piece; a punctuation mark is
/// written behind the word before it.
pub fn words(recogniser: &Recogniser, found: impl IntoIterator<Item = Found>) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    // What each is spelt like, for a piece may end in the middle of a character, and whether of pieces.
    let mut spellings: Vec<(Vec<u8>, bool)> = Vec::new();
    for Found { word, start, end, confidence } in found {
        let spelling = recogniser.spelling(word);
        match (as_piece(word), words.last_mut(), spellings.last_mut()) {
            (Some((_, PieceRole::Mark)), _, Some((so_far, _))) => so_far.extend_from_slice(spelling),
            (Some((_, PieceRole::Later)), Some(last), Some((so_far, _))) => {
                so_far.extend_from_slice(spelling);
                last.end = end;
                last.confidence = last.confidence.min(confidence);
            }
            (piece, ..) => {
                words.push(Word { text: String::new(), start, end, confidence });
                spellings.push((spelling.to_vec(), piece.is_some()));
            }
        }
    }
    for (word, (spelling, spelt)) in words.iter_mut().zip(spellings) {
        word.text = recogniser.read(&spelling, spelt);
    }
    words.retain(|word| !word.text.is_empty());
    map(recogniser.mappings(), &mut words);
    words
}

/// Writes what is mapped: the first mapping that fits at each place, from the left.
fn map(mappings: &[Mapping], words: &mut Vec<Word>) {
    if mappings.is_empty() {
        return;
    }
    let mut at = 0;
    while at < words.len() {
        let fits = |mapping: &&Mapping| {
            let here = words[at..].iter().map(|word| word.text.to_lowercase());
            words.len() - at >= mapping.said.len() && here.zip(&mapping.said).all(|(word, said)| word == *said)
        };
        if let Some(mapping) = mappings.iter().filter(|mapping| !mapping.said.is_empty()).find(fits) {
            let mapped = &words[at..at + mapping.said.len()];
            let word = Word {
                text: mapping.display_as.clone(),
                start: mapped[0].start,
                end: mapped[mapped.len() - 1].end,
                confidence: mapped.iter().map(|word| word.confidence).fold(1.0, f32::min),
            };
            words.splice(at..at + mapping.said.len(), [word]);
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_written_as_it_is_mapped() {
        let word = |(at, text): (usize, &str)| Word {
            text: text.to_owned(),
            start: at as f64,
            end: at as f64 + 0.5,
            confidence: 0.5 + 0.1 * at as f32,
        };
        let words = |text: &str| text.split(' ').enumerate().map(word).collect::<Vec<_>>();
        let mapping = |said: &str, display_as: &str| Mapping {
            said: said.split(' ').map(str::to_owned).collect(),
            display_as: display_as.to_owned(),
        };
        let mappings = [mapping("hilton honors", "HHonors"), mapping("hilton", "Hilton")];
        let mut said = words("my hilton honors or Hilton honor");
        map(&mappings, &mut said);
        let texts: Vec<&str> = said.iter().map(|word| word.text.as_str()).collect();
        assert_eq!(texts, ["my", "HHonors", "or", "Hilton", "honor"]);
        assert_eq!((said[1].start, said[1].end, said[1].confidence), (1.0, 2.5, 0.6));
    }
}
