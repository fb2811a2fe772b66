//! From words and counted texts to a snapshot.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Write};

use super::counts::{Counts, MOST_WORDS, Ngram};
use super::estimate::{Smoothing, estimate};
use super::prune::{SizeBound, prune};
use super::writer;
use crate::error::{Fault, LmError};
use crate::ngram::NgramModel;
use crate::vocabulary::{Vocabulary, WordId};

/// Collects what a customization consists of, then estimates and writes its [`Snapshot`](super::Snapshot).
///
/// Words come first, then the counts of texts: those of their words that are neither in the base vocabulary nor among the words
/// given are gaps, so that words which the user deleted stay away.
///
/// Memory: 16 bytes for each different n-gram of the texts, and three times that while they are estimated; 700 MB for the
/// most that Watson's limit of ten million words can hold, half of it for ordinary text.
pub struct Training<'a> {
    base: &'a NgramModel,
    vocabulary: Vocabulary,
    /// With ln of their shares.
    user_words: BTreeMap<WordId, f32>,
    trigrams: Vec<(Ngram, u32)>,
    words: u64,
}

/// What a training made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trained {
    /// Words of all texts, with repetitions.
    pub words: u64,
    /// Words that the base vocabulary lacks.
    pub new_words: usize,
    /// Words that the user wants recognised whatever the texts say.
    pub user_words: usize,
    /// N-grams of the snapshot.
    pub bigrams: usize,
    /// N-grams of the snapshot.
    pub trigrams: usize,
}

impl<'a> Training<'a> {
    /// A customization of `base` with nothing in it.
    pub fn new(base: &'a NgramModel) -> Self {
        let vocabulary = Vocabulary::extending(base.shared_vocabulary().clone());
        Training { base, vocabulary, user_words: BTreeMap::new(), trigrams: Vec::new(), words: 0 }
    }

    /// Adds a word that the user wants recognised whatever the texts say; of the base vocabulary (written exactly so) or new.
    pub fn user_word(&mut self, word: &str) -> WordId {
        self.user_word_with(word, 0.0)
    }

    /// The same with ln of the word's share, at most 0 (see [`Interpolated`](super::Interpolated)).
    pub fn user_word_with(&mut self, word: &str, share: f32) -> WordId {
        let id = self.vocabulary.add(word).0;
        self.user_words.insert(id, share.clamp(-100.0, 0.0));
        id
    }

    /// Adds a word of the texts that the base vocabulary lacks, to be recognised as the texts say.
    pub fn text_word(&mut self, word: &str) -> WordId {
        self.vocabulary.add(word).0
    }

    /// Adds the counts of a text.
    ///
    /// # Errors
    /// When they cannot be read, contradict their format or belong to another base vocabulary.
    pub fn text<R: BufRead>(&mut self, counts: &mut Counts<R>) -> Result<(), LmError> {
        let name = counts.name().to_owned();
        self.add(counts).map_err(|fault| fault.in_file(&name))
    }

    fn add<R: BufRead>(&mut self, counts: &mut Counts<R>) -> Result<(), Fault> {
        let base = self.base.shared_vocabulary();
        counts.check_base(base)?;
        if self.vocabulary.len() > MOST_WORDS as usize {
            let what = format!("together with the words of the model there are more than {MOST_WORDS}");
            return Err(Fault::Unsupported(what));
        }
        self.words += counts.summary().words;
        let base_words = base.len() as WordId;
        let new = counts.summary().new_words.iter().map(|new| self.vocabulary.id(&new.word));
        let new: Vec<Option<WordId>> = new.collect();
        let here = |word: WordId| match word.checked_sub(base_words) {
            None => Some(word),
            Some(index) => new[index as usize],
        };
        while let Some((ngram, count)) = counts.ngram()? {
            let [first, middle, last] = ngram.words().map(|word| word.and_then(here));
            let first = middle.and(first);
            if last.is_some() {
                self.trigrams.push((Ngram::new([first, middle, last]), count));
            }
        }
        Ok(())
    }

    /// Estimates the model and writes it; many small writes.
    ///
    /// # Errors
    /// When writing fails.
    pub fn write(self, out: impl Write) -> io::Result<Trained> {
        self.write_with(Smoothing::default(), SizeBound::default(), out)
    }

    /// As [`write`](Self::write), with another method or within another size.
    ///
    /// # Errors
    /// When writing fails.
    pub fn write_with(mut self, smoothing: Smoothing, bound: SizeBound, out: impl Write) -> io::Result<Trained> {
        self.trigrams.sort_unstable();
        self.trigrams.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            if same {
                kept.1 = kept.1.saturating_add(next.1);
            }
            same
        });
        let base = self.base.shared_vocabulary();
        let mut model = estimate(&self.trigrams, &self.prior(), base.sentence_start(), smoothing);
        prune(&mut model, &self.trigrams, bound);
        let user_words: Vec<(WordId, f32)> = self.user_words.into_iter().collect();
        writer::write(&model, &self.vocabulary, (base.len() as u32, base.fingerprint()), &user_words, out)?;
        Ok(Trained {
            words: self.words,
            new_words: self.vocabulary.len() - base.len(),
            user_words: user_words.len(),
            bigrams: model.bigrams.len(),
            trigrams: model.trigrams.len(),
        })
    }

    /// What is known of words before any text is: the base model's opinion for its words, the same for each new word of
    /// the texts, in proportion to how many of the texts' different words are new.
    fn prior(&self) -> Vec<f64> {
        let base = self.base.shared_vocabulary();
        let predicted = |word: WordId| Some(word) != base.sentence_start() && Some(word) != base.unknown();
        let mut seen = vec![false; self.vocabulary.len()];
        for word in self.trigrams.iter().filter_map(|(ngram, _)| ngram.words()[2]) {
            seen[word as usize] = true;
        }
        let of_text = |range: std::ops::Range<usize>| seen[range].iter().filter(|&&seen| seen).count() as f64;
        let (old, new) = (of_text(0..base.len()), of_text(base.len()..seen.len()));
        let share_of_new = if new > 0.0 { new / (old + new) } else { 0.0 };
        let mut prior: Vec<f64> = (0..base.len() as WordId)
            .map(|word| if predicted(word) { f64::from(self.base.unigram(word)).exp() } else { 0.0 })
            .collect();
        let total: f64 = prior.iter().sum();
        prior.iter_mut().for_each(|p| *p *= (1.0 - share_of_new) / total.max(f64::MIN_POSITIVE));
        prior.extend(seen[base.len()..].iter().map(|&seen| if seen { share_of_new / new } else { 0.0 }));
        prior
    }
}

#[cfg(test)]
#[path = "training_tests.rs"]
mod tests;
