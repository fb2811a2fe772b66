//! Pronunciation dictionaries in the format of CMU Sphinx.

use std::ops::Deref;
use std::path::{Path, PathBuf};

use crate::words::{Case, WordTable};

/// Why a dictionary could not be read.
#[derive(Debug, thiserror::Error)]
pub enum DictionaryError {
    /// The file cannot be opened or read.
    #[error("cannot read the dictionary {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A line is not `word PHONE PHONE ...`.
    #[error("dictionary {file}, line {line}: {what}")]
    Line {
        /// The file, or `dictionary` when parsed from memory.
        file: String,
        /// Counted from 1.
        line: usize,
        /// What is wrong, and what to do.
        what: String,
    },
}

/// The phones of one pronunciation, as indices into [`Dictionary::phones`]. Dereferences to `[u8]`.
///
/// 24 bytes, and no allocation up to 22 phones: nearly all of a general English dictionary.
#[derive(Clone)]
pub struct Pronunciation(Phones);

#[derive(Clone)]
enum Phones {
    Inline { len: u8, phones: [u8; INLINE] },
    Boxed(Box<[u8]>),
}

const INLINE: usize = 22;

impl Pronunciation {
    /// A pronunciation of the given phone indices.
    pub fn new(phones: &[u8]) -> Self {
        if phones.len() > INLINE {
            return Pronunciation(Phones::Boxed(phones.into()));
        }
        let mut inline = [0; INLINE];
        inline[..phones.len()].copy_from_slice(phones);
        Pronunciation(Phones::Inline { len: phones.len() as u8, phones: inline })
    }
}

impl Deref for Pronunciation {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Phones::Inline { len, phones } => &phones[..usize::from(*len)],
            Phones::Boxed(phones) => phones,
        }
    }
}

impl PartialEq for Pronunciation {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Pronunciation {}

impl std::fmt::Debug for Pronunciation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Words and how they are said: `cmudict-en-us.dict`, and the filler dictionary `noisedict` (a second value of this type).
///
/// The format: one `word PHONE PHONE ...` a line, separated by white space; further pronunciations of a word as
/// `word(2)`; lines that begin with `##` or `;;` are comments, and so is what follows a lone `#`. Words are found without
/// regard to the case of ASCII letters, as in Sphinx; entries that differ only in case are pronunciations of one word.
///
/// ```
/// let dictionary = dictum_language::Dictionary::parse(b"read R EH D\nread(2) R IY D\n")?;
/// let second = &dictionary.pronunciations("Read")[1];
/// let phones: Vec<&str> = second.iter().map(|&phone| dictionary.phones()[usize::from(phone)].as_str()).collect();
/// assert_eq!(phones, ["R", "IY", "D"]);
/// # Ok::<(), dictum_language::DictionaryError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Dictionary {
    words: WordTable,
    phones: Vec<String>,
    pronunciations: Vec<Pronunciation>,
    /// `pronunciations[first[w]..first[w + 1]]` are those of word `w`.
    first: Vec<u32>,
}

impl Dictionary {
    /// Reads a dictionary file.
    ///
    /// # Errors
    /// When the file cannot be read, or a line is malformed (see [`Dictionary::parse`]).
    pub fn open(path: impl AsRef<Path>) -> Result<Self, DictionaryError> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(|source| DictionaryError::Io { path: path.to_owned(), source })?;
        Self::parse_named(&bytes, &path.display().to_string())
    }

    /// Reads a dictionary from memory.
    ///
    /// # Errors
    /// With the line number: text that is not UTF-8, a word without phones, or more than 256 different phones.
    pub fn parse(bytes: &[u8]) -> Result<Self, DictionaryError> {
        Self::parse_named(bytes, "dictionary")
    }

    fn parse_named(bytes: &[u8], file: &str) -> Result<Self, DictionaryError> {
        let mut builder = Builder::new(bytes.len());
        let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        for (index, line) in text.split(|&byte| byte == b'\n').enumerate() {
            builder.line(line).map_err(|what| DictionaryError::Line {
                file: file.to_owned(),
                line: index + 1,
                what,
            })?;
        }
        Ok(builder.finish())
    }

    /// Number of words (not of pronunciations).
    pub fn len(&self) -> usize {
        self.words.len()
    }

    /// Whether there are no words.
    pub fn is_empty(&self) -> bool {
        self.words.len() == 0
    }

    /// Number of pronunciations, alternates included.
    pub fn pronunciation_count(&self) -> usize {
        self.pronunciations.len()
    }

    /// The names of the phones, in order of first use; pronunciations index this table.
    pub fn phones(&self) -> &[String] {
        &self.phones
    }

    /// Whether the dictionary has the word.
    pub fn contains(&self, word: &str) -> bool {
        self.words.id(word).is_some()
    }

    /// The pronunciations of a word in file order; none when the dictionary does not have it.
    pub fn pronunciations(&self, word: &str) -> &[Pronunciation] {
        self.words.id(word).map_or(&[], |id| self.pronunciations_of(id))
    }

    /// Words with their pronunciations, in order of first appearance.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[Pronunciation])> {
        (0..self.len() as u32).map(|id| (self.words.get(id).unwrap_or_default(), self.pronunciations_of(id)))
    }

    fn pronunciations_of(&self, id: u32) -> &[Pronunciation] {
        let id = id as usize;
        &self.pronunciations[self.first[id] as usize..self.first[id + 1] as usize]
    }
}

/// The word that an entry gives a pronunciation of: `read(2)` is `read`.
pub(crate) fn base_word(entry: &str) -> &str {
    match entry.strip_suffix(')').and_then(|rest| rest.rfind('(')) {
        Some(at) if at > 0 => &entry[..at],
        _ => entry,
    }
}

struct Builder {
    words: WordTable,
    phone_table: WordTable,
    /// Word and pronunciation of each entry, in file order.
    entries: Vec<(u32, Pronunciation)>,
    scratch: Vec<u8>,
}

impl Builder {
    fn new(bytes: usize) -> Self {
        // About 24 bytes an entry in the English dictionary; an over-estimate costs memory only until finish().
        let words = bytes / 24;
        Builder {
            words: WordTable::with_capacity(Case::Folded, words, bytes / 2),
            phone_table: WordTable::new(Case::Kept),
            entries: Vec::with_capacity(words),
            scratch: Vec::new(),
        }
    }

    fn line(&mut self, line: &[u8]) -> Result<(), String> {
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with(b"##") || line.starts_with(b";;") {
            return Ok(());
        }
        let line = std::str::from_utf8(line).map_err(|error| {
            format!("is not UTF-8 from column {}; convert the file to UTF-8", error.valid_up_to() + 1)
        })?;
        let mut fields = line.split_ascii_whitespace();
        let entry = fields.next().unwrap_or_default();
        self.scratch.clear();
        for phone in fields.take_while(|&field| field != "#") {
            let (id, _) = self.phone_table.intern(phone);
            let id = u8::try_from(id).map_err(|_| format!("{phone:?} would be the 257th phone; 256 are supported"))?;
            self.scratch.push(id);
        }
        if self.scratch.is_empty() {
            return Err(format!(
                "the word {entry:?} has no pronunciation; write its phones after it or remove the line"
            ));
        }
        let (word, _) = self.words.intern(base_word(entry));
        self.entries.push((word, Pronunciation::new(&self.scratch)));
        Ok(())
    }

    fn finish(mut self) -> Dictionary {
        // Alternates normally follow their word; a stable sort gathers those that do not.
        if !self.entries.is_sorted_by_key(|entry| entry.0) {
            self.entries.sort_by_key(|entry| entry.0);
        }
        let mut first = vec![0u32; self.words.len() + 1];
        for (word, _) in &self.entries {
            first[*word as usize + 1] += 1;
        }
        for i in 1..first.len() {
            first[i] += first[i - 1];
        }
        let phones = (0..self.phone_table.len() as u32).filter_map(|id| self.phone_table.get(id)).map(str::to_owned);
        Dictionary {
            phones: phones.collect(),
            words: self.words,
            pronunciations: self.entries.into_iter().map(|entry| entry.1).collect(),
            first,
        }
    }
}
