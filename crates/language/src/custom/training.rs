//! From words and counted texts to a snapshot.

use std::collections::BTreeSet;
use std::io::{self, Write};

use super::NEVER;
use super::writer::{self, Model};
use crate::ngram::NgramModel;
use crate::vocabulary::{Vocabulary, WordId};

/// Collects what a customization consists of, then estimates and writes its [`Snapshot`](super::Snapshot).
pub struct Training<'a> {
    base: &'a NgramModel,
    vocabulary: Vocabulary,
    user_words: BTreeSet<WordId>,
}

impl<'a> Training<'a> {
    /// A customization of `base` with nothing in it.
    pub fn new(base: &'a NgramModel) -> Self {
        let vocabulary = Vocabulary::extending(base.shared_vocabulary().clone());
        Training { base, vocabulary, user_words: BTreeSet::new() }
    }

    /// Adds a word that the user wants recognised whatever the texts say; of the base vocabulary (written exactly so) or new.
    pub fn user_word(&mut self, word: &str) -> WordId {
        let id = self.vocabulary.add(word).0;
        self.user_words.insert(id);
        id
    }

    /// Estimates the model and writes it; many small writes.
    ///
    /// # Errors
    /// When writing fails.
    pub fn write(self, out: impl Write) -> io::Result<()> {
        let base = self.base.shared_vocabulary();
        let model = Model { unigrams: vec![[NEVER, 0.0]; self.vocabulary.len()], ..Model::default() };
        let user_words: Vec<WordId> = self.user_words.into_iter().collect();
        writer::write(&model, &self.vocabulary, (base.len() as u32, base.fingerprint()), &user_words, out)
    }
}
