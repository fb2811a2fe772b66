//! From what a search has found to what is written.

use dictum_decoder::result::Word;
use dictum_language::{PieceRole, WordId, as_piece};

use crate::recogniser::Recogniser;

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
    for Found { word, start, end, confidence } in found {
        match (as_piece(word), words.last_mut()) {
            (Some((_, PieceRole::Mark)), Some(last)) => last.text += recogniser.written(word),
            (Some((_, PieceRole::Later)), Some(last)) => {
                last.text += recogniser.written(word);
                last.end = end;
                last.confidence = last.confidence.min(confidence);
            }
            _ => words.push(Word { text: recogniser.written(word).to_owned(), start, end, confidence }),
        }
    }
    words.retain(|word| !word.text.is_empty());
    words
}
