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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names<'a>(dictionary: &'a Dictionary, pronunciation: &[u8]) -> Vec<&'a str> {
        pronunciation.iter().map(|&phone| dictionary.phones()[usize::from(phone)].as_str()).collect()
    }

    fn all<'a>(dictionary: &'a Dictionary, word: &str) -> Vec<Vec<&'a str>> {
        dictionary.pronunciations(word).iter().map(|pronunciation| names(dictionary, pronunciation)).collect()
    }

    #[test]
    fn words_comments_and_alternates_are_read() {
        let text = "\u{feff}## a comment\n;; another\n\nread  R EH D\t\r\ncat K AE T # an animal\nread(2) R IY D\n\
            Read(past) R EH D\n(paren P AH\n(2) T UW\nlast L AE S T";
        let dictionary = Dictionary::parse(text.as_bytes()).unwrap();
        assert_eq!((dictionary.len(), dictionary.pronunciation_count()), (5, 7));
        assert_eq!(all(&dictionary, "read"), [["R", "EH", "D"], ["R", "IY", "D"], ["R", "EH", "D"]]);
        assert_eq!(all(&dictionary, "CAT"), [["K", "AE", "T"]]);
        assert_eq!(all(&dictionary, "(paren"), [["P", "AH"]]);
        assert_eq!(all(&dictionary, "(2)"), [["T", "UW"]]);
        assert_eq!(all(&dictionary, "last"), [["L", "AE", "S", "T"]]);
        assert!(dictionary.pronunciations("read(2)").is_empty() && !dictionary.contains("dog"));
        let words: Vec<&str> = dictionary.iter().map(|(word, _)| word).collect();
        assert_eq!(words, ["read", "cat", "(paren", "(2)", "last"]);
        assert_eq!(dictionary.phones()[..3], ["R", "EH", "D"]);
    }

    #[test]
    fn faults_are_named_with_their_line() {
        let error = |text: &[u8]| Dictionary::parse(text).unwrap_err().to_string();
        assert!(
            error(b"a AH\nlonely\n")
                .starts_with("dictionary dictionary, line 2: the word \"lonely\" has no pronunciation")
        );
        assert!(error(b"a # AH\n").contains("line 1: the word \"a\" has no pronunciation"));
        assert!(error(b"caf\xe9 K AE\n").contains("line 1: is not UTF-8 from column 4"));
        let many: String = (0..300).map(|i| format!("w{i} P{i}\n")).collect();
        assert!(error(many.as_bytes()).contains("line 257: \"P256\" would be the 257th phone"));
        let missing = Dictionary::open("no/such/dictionary").unwrap_err().to_string();
        assert!(missing.contains("no/such/dictionary"), "{missing}");
    }

    #[test]
    fn long_pronunciations_are_kept_whole() {
        for length in [1, INLINE - 1, INLINE, INLINE + 1, 1000] {
            let phones: Vec<u8> = (0..length).map(|i| (i % 7) as u8).collect();
            assert_eq!(*Pronunciation::new(&phones), phones);
        }
        assert_eq!(size_of::<Pronunciation>(), 24);
    }

    #[test]
    fn us_english_dictionary_and_fillers_are_read() {
        let acoustic =
            std::env::var("DICTUM_MODEL_DIR").unwrap_or_else(|_| "/usr/share/pocketsphinx/model/en-us".to_owned());
        let folder = Path::new(&acoustic);
        if !folder.join("cmudict-en-us.dict").exists() {
            println!("skipped: us_english_dictionary: cmudict-en-us.dict is not installed (pocketsphinx-en-us)");
            return;
        }
        let dictionary = Dictionary::open(folder.join("cmudict-en-us.dict")).unwrap();
        assert_eq!(dictionary.pronunciation_count(), 134_723);
        assert_eq!(dictionary.phones().len(), 39);
        assert_eq!(all(&dictionary, "hello"), [["HH", "AH", "L", "OW"], ["HH", "EH", "L", "OW"]]);
        let fillers = Dictionary::open(folder.join("en-us/noisedict")).unwrap();
        assert_eq!(all(&fillers, "<sil>"), [["SIL"]]);
        assert_eq!(all(&fillers, "[NOISE]"), [["+NSN+"]]);
        assert_eq!(fillers.len(), 5);
    }

    proptest! {
        #[test]
        fn foreign_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(dictionary) = Dictionary::parse(&bytes) {
                for (word, pronunciations) in dictionary.iter() {
                    prop_assert!(!pronunciations.is_empty());
                    prop_assert_eq!(dictionary.pronunciations(word), pronunciations);
                }
            }
        }

        /// What is written in any order is found, in file order for each word.
        #[test]
        fn entries_are_found_under_their_words(entries in proptest::collection::vec((0u8..20, 0u8..5, 0u8..40), 0..60)) {
            let text: String = entries.iter().map(|(word, n, phone)| format!("w{word}({n}) P{phone} X\n")).collect();
            let dictionary = Dictionary::parse(text.as_bytes()).unwrap();
            for word in 0..20 {
                let expected: Vec<String> =
                    entries.iter().filter(|entry| entry.0 == word).map(|entry| format!("P{} X", entry.2)).collect();
                let found: Vec<String> =
                    all(&dictionary, &format!("W{word}")).iter().map(|phones| phones.join(" ")).collect();
                prop_assert_eq!(found, expected);
            }
        }
    }
}
