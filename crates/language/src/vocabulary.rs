//! The words of a language model.

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
    table: WordTable,
}

impl Vocabulary {
    /// An empty vocabulary.
    pub fn new() -> Self {
        Vocabulary { table: WordTable::new(Case::Kept) }
    }

    pub(crate) fn with_capacity(words: usize, bytes: usize) -> Self {
        Vocabulary { table: WordTable::with_capacity(Case::Kept, words, bytes) }
    }

    /// Adds a word if it is not there yet; its id, and whether it is new.
    pub fn add(&mut self, word: &str) -> (WordId, bool) {
        self.table.intern(word)
    }

    /// Number of words; ids are `0..len`.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there are no words.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The id of a word written exactly so.
    pub fn id(&self, word: &str) -> Option<WordId> {
        self.table.id(word)
    }

    /// The text of a word.
    ///
    /// # Panics
    /// When `id` is not of this vocabulary.
    pub fn word(&self, id: WordId) -> &str {
        self.table.get(id).expect("a word id of another vocabulary")
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
