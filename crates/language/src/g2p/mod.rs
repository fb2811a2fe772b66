//! Grapheme-to-phoneme conversion: how a word that no dictionary has is likely to be said.
//!
//! A joint-sequence model (Bisani & Ney, "Joint-sequence models for grapheme-to-phoneme conversion", Speech Communication
//! 2008). Spelling and pronunciation are generated together, by a sequence of *graphones*: one or two letters with the
//! phones they stand for (`ph` with F, `x` with K S, a silent `e` with nothing). Training finds the graphones of every
//! dictionary entry by expectation-maximisation ([`align`]) and counts them into an n-gram model with modified
//! Kneser-Ney smoothing, pruned by relative entropy ([`estimate`]). Conversion searches the sequences that spell the word
//! ([`decode`]); probabilities of sequences with the same phones add up.
//!
//! Conversion of one word is bounded by its length, and a word's length by [`LONGEST`].

mod align;
mod decode;
mod estimate;
mod format;
mod model;

use std::collections::HashSet;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use crate::dictionary::{Dictionary, Pronunciation};
use crate::fold::fold_letter;
use model::{Graphone, NgramTrie};

/// Most letters of a word; longer ones have no pronunciation.
pub const LONGEST: usize = 64;

/// Most different letters and most different phones of a model.
const MOST_SYMBOLS: usize = 200;

/// Why a grapheme-to-phoneme model could not be read or trained.
#[derive(Debug, thiserror::Error)]
pub enum G2pError {
    /// The file cannot be read.
    #[error("cannot read the grapheme-to-phoneme model {file}: {source}")]
    Io {
        /// The file.
        file: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The contents contradict the format.
    #[error("grapheme-to-phoneme model, byte {offset}: {what}; train it again with the example train_g2p")]
    Malformed {
        /// Where, from 0.
        offset: usize,
        /// What is wrong there.
        what: &'static str,
    },
    /// The dictionary has nothing to learn from.
    #[error("cannot train a grapheme-to-phoneme model: {0}")]
    Untrainable(String),
}

/// How a model is trained.
#[derive(Debug, Clone, PartialEq)]
pub struct G2pTraining {
    /// Longest n-gram of graphones, 1 to 8.
    pub order: usize,
    /// Rounds of expectation-maximisation.
    pub iterations: usize,
    /// Least loss of log-likelihood, in nats a graphone of the training set, that keeps an n-gram. 0 keeps all.
    pub pruning: f64,
}

impl Default for G2pTraining {
    fn default() -> Self {
        G2pTraining { order: 8, iterations: 10, pruning: 5e-7 }
    }
}

/// A trained model.
#[derive(Debug, Clone)]
pub struct G2p {
    /// The letters it knows, in lower case; graphones index them.
    letters: Vec<char>,
    phones: Vec<String>,
    graphones: Vec<Graphone>,
    /// Graphones that begin with a letter: tokens `by_letter[letter]..by_letter[letter + 1]`.
    by_letter: Vec<u16>,
    trie: NgramTrie,
}

impl G2p {
    /// Learns from a dictionary: entries of letters and apostrophes, of which all that can be aligned count, alternates
    /// included. Five seconds for the 134 000 entries of the US English dictionary.
    ///
    /// # Errors
    /// When no entry can be aligned, or the dictionary has more than 200 different letters or phones.
    pub fn train(dictionary: &Dictionary, training: &G2pTraining) -> Result<Self, G2pError> {
        let (letters, entries) = align::entries(dictionary)?;
        let aligned = align::align(letters.len(), dictionary.phones().len(), &entries, training.iterations);
        if aligned.sequences.is_empty() {
            return Err(G2pError::Untrainable("no entry is spelt with letters alone and has a phone for some".into()));
        }
        let trie = estimate::estimate(&aligned.sequences, aligned.graphones.len(), training);
        Ok(Self::assemble(letters, dictionary.phones().to_vec(), aligned.graphones, trie))
    }

    /// The model of US English that is part of the program, trained from the dictionary of the default model package
    /// (CMUdict without stress, 39 phones) by the example `train_g2p`; read at the first call.
    pub fn en_us() -> Arc<G2p> {
        static MODEL: OnceLock<Arc<G2p>> = OnceLock::new();
        let read = || G2p::parse(include_bytes!("../../data/en-us.g2p")).expect("the model is part of the program");
        Arc::clone(MODEL.get_or_init(|| Arc::new(read())))
    }

    /// Reads a model that [`to_bytes`](Self::to_bytes) wrote.
    ///
    /// # Errors
    /// When the file cannot be read or contradicts the format.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, G2pError> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(|source| G2pError::Io { file: path.display().to_string(), source })?;
        Self::parse(&bytes)
    }

    /// Reads a model from memory.
    ///
    /// # Errors
    /// When the bytes contradict the format: wrong magic or version, lengths beyond the end, numbers out of range.
    pub fn parse(bytes: &[u8]) -> Result<Self, G2pError> {
        format::read(bytes)
    }

    /// The model as a file; the format is in `g2p/format.rs`.
    pub fn to_bytes(&self) -> Vec<u8> {
        format::write(self)
    }

    /// The names of the phones; pronunciations index this table.
    pub fn phones(&self) -> &[String] {
        &self.phones
    }

    /// Number of n-grams, of all orders.
    pub fn ngram_count(&self) -> usize {
        self.trie.len()
    }

    /// Up to `most` different pronunciations of a word, the likeliest first, each with its share of the probability of
    /// all that the search found. Letters are taken in lower case; accents that the model does not know fall away.
    /// None when the word is empty, longer than 64 letters, or has a character that the model does not know.
    ///
    /// ```no_run
    /// # use dictum_language::G2p;
    /// let model = G2p::open("en-us.g2p")?;
    /// for (pronunciation, share) in model.pronounce("dictum", 3) {
    ///     let phones: Vec<&str> = pronunciation.iter().map(|&phone| model.phones()[usize::from(phone)].as_str()).collect();
    ///     println!("{} {share:.2}", phones.join(" "));
    /// }
    /// # Ok::<(), dictum_language::G2pError>(())
    /// ```
    pub fn pronounce(&self, word: &str, most: usize) -> Vec<(Pronunciation, f32)> {
        match self.spell(word) {
            Some(letters) => decode::decode(self, &letters, most),
            None => Vec::new(),
        }
    }

    /// The word as indices of letters.
    fn spell(&self, word: &str) -> Option<Vec<u8>> {
        let mut letters = Vec::with_capacity(word.len().min(LONGEST));
        for c in word.chars().flat_map(char::to_lowercase) {
            let known = |c: char| self.letters.binary_search(&c).ok();
            let mut push = |letter: usize| {
                letters.push(letter as u8);
                (letters.len() <= LONGEST).then_some(())
            };
            match known(c) {
                Some(letter) => push(letter)?,
                None => {
                    for c in fold_letter(c)?.chars() {
                        push(known(c)?)?;
                    }
                }
            }
        }
        (!letters.is_empty()).then_some(letters)
    }

    fn assemble(letters: Vec<char>, phones: Vec<String>, graphones: Vec<Graphone>, trie: NgramTrie) -> Self {
        let mut by_letter = vec![0; letters.len() + 1];
        for graphone in &graphones {
            by_letter[usize::from(graphone.letters[0]) + 1] += 1;
        }
        by_letter[0] = model::FIRST_GRAPHONE;
        for letter in 1..by_letter.len() {
            by_letter[letter] += by_letter[letter - 1];
        }
        G2p { letters, phones, graphones, by_letter, trie }
    }

    fn graphone(&self, token: u16) -> &Graphone {
        &self.graphones[usize::from(token - model::FIRST_GRAPHONE)]
    }
}

/// How well a model converts words it has not seen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct G2pAccuracy {
    /// Words converted.
    pub words: usize,
    /// Words of which none of the pronunciations is one of the dictionary's.
    pub words_wrong: usize,
    /// Phones of the nearest pronunciation of each word.
    pub phones: usize,
    /// Phones inserted, deleted or substituted against it.
    pub phones_wrong: usize,
}

/// Splits a dictionary for a test: every `one_in`th word of letters and apostrophes, with all its alternates, is held
/// out; the rest is a dictionary of its own to train on.
pub fn hold_out(dictionary: &Dictionary, one_in: usize) -> (String, Vec<String>) {
    use std::fmt::Write;
    let (mut kept, mut held, mut eligible) = (String::new(), Vec::new(), 0);
    for (word, pronunciations) in dictionary.iter() {
        if align::is_plain(word) {
            eligible += 1;
            if eligible % one_in == 0 {
                held.push(word.to_owned());
                continue;
            }
        }
        for pronunciation in pronunciations {
            kept.push_str(word);
            for &phone in &**pronunciation {
                // Writing to a string cannot fail.
                let _ = write!(kept, " {}", dictionary.phones()[usize::from(phone)]);
            }
            kept.push('\n');
        }
    }
    (kept, held)
}

impl G2p {
    /// Compares pronunciations of words with those of a dictionary that has them, alternates merged: of the first `most`
    /// and the dictionary's, the nearest two count.
    pub fn accuracy<'a>(
        &self,
        dictionary: &Dictionary,
        words: impl Iterator<Item = &'a str>,
        most: usize,
    ) -> G2pAccuracy {
        let mut accuracy = G2pAccuracy { words: 0, words_wrong: 0, phones: 0, phones_wrong: 0 };
        for word in words {
            let mut said: Vec<Vec<&str>> =
                self.pronounce(word, most).iter().map(|(phones, _)| names(&self.phones, phones)).collect();
            if said.is_empty() {
                said.push(Vec::new());
            }
            let expected = dictionary.pronunciations(word).iter().map(|phones| names(dictionary.phones(), phones));
            let nearest = expected.flat_map(|expected| {
                said.iter().map(move |said| (edit_distance(said, &expected), expected.len())).collect::<Vec<_>>()
            });
            let Some((wrong, length)) = nearest.min() else { continue };
            accuracy.words += 1;
            accuracy.words_wrong += usize::from(wrong > 0);
            accuracy.phones += length;
            accuracy.phones_wrong += wrong;
        }
        accuracy
    }
}

fn names<'a>(names: &'a [String], phones: &[u8]) -> Vec<&'a str> {
    phones.iter().map(|&phone| names[usize::from(phone)].as_str()).collect()
}

/// Least number of insertions, deletions and substitutions between two sequences (Levenshtein).
fn edit_distance<T: PartialEq>(left: &[T], right: &[T]) -> usize {
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, l) in left.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, r) in right.iter().enumerate() {
            let substituted = diagonal + usize::from(l != r);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[right.len()]
}

/// The letters of the dictionary's plain words, sorted.
fn alphabet(dictionary: &Dictionary) -> Vec<char> {
    let found: HashSet<char> = dictionary
        .iter()
        .filter(|(word, _)| align::is_plain(word))
        .flat_map(|(word, _)| word.chars().flat_map(char::to_lowercase))
        .collect();
    let mut letters: Vec<char> = found.into_iter().collect();
    letters.sort_unstable();
    letters
}

#[cfg(test)]
mod tests;
