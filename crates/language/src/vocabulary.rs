//! The words of a language model.

use std::sync::Arc;

use crate::words::{Case, WordTable};

/// Number of a word in a [`Vocabulary`]: its position in the language model file.
pub type WordId = u32;

/// The words of a language model: id <-> text, exactly as the file writes them (case included).
///
/// ```
/// # let arpa = b"\\data\\\nngram 1=3\n\n\\1-grams:\n-1 <s>\n-1 </s>\n-1 hello\n\n\\end\\\n";
/// let model = dictum_language::parse_arpa(arpa)?;
/// let hello = model.vocabulary().id("hello").unwrap();
/// assert_eq!(model.vocabulary().word(hello), "hello");
/// # use dictum_language::LanguageModel;
/// # Ok::<(), dictum_language::LmError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Vocabulary {
    /// The words that this one begins with, if it extends another.
    base: Option<Arc<Vocabulary>>,
    /// How many they are.
    first: WordId,
    /// The words of its own.
    table: WordTable,
}

impl Vocabulary {
    /// An empty vocabulary.
    pub fn new() -> Self {
        Vocabulary { base: None, first: 0, table: WordTable::new(Case::Kept) }
    }

    pub(crate) fn with_capacity(words: usize, bytes: usize) -> Self {
        Vocabulary { base: None, first: 0, table: WordTable::with_capacity(Case::Kept, words, bytes) }
    }

    /// The words of `base` with the ids that they have there, and room for others behind them. Nothing is copied.
    pub fn extending(base: Arc<Vocabulary>) -> Self {
        let first = base.len() as WordId;
        Vocabulary { base: Some(base), first, table: WordTable::new(Case::Kept) }
    }

    /// Adds a word if it is not there yet; its id, and whether it is new.
    pub fn add(&mut self, word: &str) -> (WordId, bool) {
        if let Some(id) = self.base.as_ref().and_then(|base| base.id(word)) {
            return (id, false);
        }
        let (id, new) = self.table.intern(word);
        (self.first + id, new)
    }

    /// A number that two vocabularies share only if they have the same words with the same ids, but for a chance of one
    /// in 2^64: FNV-1a of the words, each ended by a line feed. No protection against intent.
    pub fn fingerprint(&self) -> u64 {
        let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3);
        self.iter().fold(0xCBF2_9CE4_8422_2325, |hash, (_, word)| step(word.bytes().fold(hash, step), b'\n'))
    }

    /// Number of words; ids are `0..len`.
    pub fn len(&self) -> usize {
        self.first as usize + self.table.len()
    }

    /// Whether there are no words.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The id of a word written exactly so.
    pub fn id(&self, word: &str) -> Option<WordId> {
        let own = || self.table.id(word).map(|id| self.first + id);
        self.base.as_ref().and_then(|base| base.id(word)).or_else(own)
    }

    /// The text of a word.
    ///
    /// # Panics
    /// When `id` is not of this vocabulary.
    pub fn word(&self, id: WordId) -> &str {
        match (&self.base, id.checked_sub(self.first)) {
            (_, Some(own)) => self.table.get(own).expect("a word id of another vocabulary"),
            (Some(base), None) => base.word(id),
            (None, None) => unreachable!("a vocabulary of its own begins with word 0"),
        }
    }

    /// Ids with their texts, in order of id.
    pub fn iter(&self) -> impl Iterator<Item = (WordId, &str)> {
        (0..self.len() as WordId).map(|id| (id, self.word(id)))
    }

    /// The sentence start `<s>`, if the model has one.
    pub fn sentence_start(&self) -> Option<WordId> {
        self.id("<s>")
    }

    /// The sentence end `</s>`, if the model has one.
    pub fn sentence_end(&self) -> Option<WordId> {
        self.id("</s>")
    }

    /// The word that stands for all others, `<UNK>` or `<unk>`, if the model has one.
    pub fn unknown(&self) -> Option<WordId> {
        self.id("<UNK>").or_else(|| self.id("<unk>"))
    }
}

impl Default for Vocabulary {
    fn default() -> Self {
        Self::new()
    }
}
