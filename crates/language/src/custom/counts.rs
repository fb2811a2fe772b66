//! How often which words follow which, in a file: a text is analysed once, and training does not read it again.
//!
//! Little-endian: the text `Dictum NC` and a NUL; version, u16 = 1; words of the base vocabulary, u32, and its
//! [fingerprint](Vocabulary::fingerprint), u64; words of the text, u64; new words, u32, and n-grams, u64; for each new word its
//! count, u32, the length of its text, u16, and the text; for each n-gram the difference of its key to the one before and
//! its count, both seven bits a byte, lowest first, the last byte below 128. The key is that of [`Ngram`].

use std::io::{self, BufRead, Write};

use crate::error::{Fault, LmError};
use crate::vocabulary::{Vocabulary, WordId};

const MAGIC: &[u8; 10] = b"Dictum NC\0";
const VERSION: u16 = 1;

/// Bits of a word in a key.
const BITS: u32 = 21;

/// Most words that n-grams can tell apart, those of the base vocabulary included.
pub(super) const MOST_WORDS: u32 = (1 << BITS) - 1;

/// A word and the two before it, in a number that sorts by the first of them, then the second, then the third: 21 bits each,
/// word id + 1, or 0 where nothing is known of the word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ngram(pub u64);

impl Ngram {
    pub(super) fn new(words: [Option<WordId>; 3]) -> Self {
        Ngram(words.iter().fold(0, |key, word| key << BITS | word.map_or(0, |word| u64::from(word) + 1)))
    }

    pub(super) fn words(self) -> [Option<WordId>; 3] {
        [2, 1, 0].map(|place| ((self.0 >> (BITS * place)) as u32 & MOST_WORDS).checked_sub(1))
    }
}

/// A word of a text that the base vocabulary lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewWord {
    /// The word, as the text writes it.
    pub word: String,
    /// How often.
    pub count: u32,
}

/// What a text holds, without its n-grams.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TextSummary {
    /// Words in all, with repetitions.
    pub words: u64,
    /// Words that the base vocabulary lacks, in order of their first appearance.
    pub new_words: Vec<NewWord>,
}

/// Writes counts. N-grams must come in ascending order, as many as said.
pub(super) struct CountsWriter<W> {
    out: W,
    last: u64,
}

impl<W: Write> CountsWriter<W> {
    pub(super) fn new(mut out: W, base: &Vocabulary, summary: &TextSummary, ngrams: u64) -> io::Result<Self> {
        out.write_all(MAGIC)?;
        out.write_all(&VERSION.to_le_bytes())?;
        out.write_all(&(base.len() as u32).to_le_bytes())?;
        out.write_all(&base.fingerprint().to_le_bytes())?;
        out.write_all(&summary.words.to_le_bytes())?;
        out.write_all(&(summary.new_words.len() as u32).to_le_bytes())?;
        out.write_all(&ngrams.to_le_bytes())?;
        for NewWord { word, count } in &summary.new_words {
            out.write_all(&count.to_le_bytes())?;
            let length = u16::try_from(word.len()).map_err(|_| io::Error::other("a word of more than 65 535 bytes"))?;
            out.write_all(&length.to_le_bytes())?;
            out.write_all(word.as_bytes())?;
        }
        Ok(CountsWriter { out, last: 0 })
    }

    pub(super) fn ngram(&mut self, ngram: Ngram, count: u64) -> io::Result<()> {
        self.number(ngram.0 - self.last)?;
        self.last = ngram.0;
        self.number(count)
    }

    fn number(&mut self, mut value: u64) -> io::Result<()> {
        let mut bytes = [0; 10];
        let mut length = 0;
        loop {
            bytes[length] = value as u8 & 127;
            value >>= 7;
            length += 1;
            if value == 0 {
                return self.out.write_all(&bytes[..length]);
            }
            bytes[length - 1] |= 128;
        }
    }

    pub(super) fn finish(mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Counts being read.
pub struct Counts<R> {
    input: R,
    name: String,
    base_words: u32,
    fingerprint: u64,
    summary: TextSummary,
    left: u64,
    last: u64,
    at: u64,
}

impl<R: BufRead> Counts<R> {
    /// Reads everything before the n-grams. `name` is what errors call the file.
    ///
    /// # Errors
    /// When reading fails or the bytes contradict the format.
    pub fn read(input: R, name: &str) -> Result<Self, LmError> {
        let mut counts = Counts {
            input,
            name: name.to_owned(),
            base_words: 0,
            fingerprint: 0,
            summary: TextSummary::default(),
            left: 0,
            last: 0,
            at: 0,
        };
        counts.header().map_err(|fault| fault.in_file(name))?;
        Ok(counts)
    }

    /// What the text holds.
    pub fn summary(&self) -> &TextSummary {
        &self.summary
    }

    /// The name that errors use.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Refuses counts over another vocabulary.
    pub(super) fn check_base(&self, base: &Vocabulary) -> Result<(), Fault> {
        if self.base_words as usize == base.len() && self.fingerprint == base.fingerprint() {
            return Ok(());
        }
        let what = "was counted over another version of the base model; upgrade the model or add the text again";
        Err(Fault::Unsupported(what.to_owned()))
    }

    fn header(&mut self) -> Result<(), Fault> {
        let magic: [u8; 10] = self.bytes()?;
        if magic != *MAGIC {
            return Err(Fault::Unsupported("does not hold the counts of a text".to_owned()));
        }
        let version = u16::from_le_bytes(self.bytes()?);
        if version != VERSION {
            let what = format!("is of version {version}; this program reads version {VERSION}: add the text again");
            return Err(Fault::Unsupported(what));
        }
        self.base_words = u32::from_le_bytes(self.bytes()?);
        self.fingerprint = u64::from_le_bytes(self.bytes()?);
        self.summary.words = u64::from_le_bytes(self.bytes()?);
        let new_words = u32::from_le_bytes(self.bytes()?);
        self.left = u64::from_le_bytes(self.bytes()?);
        if u64::from(self.base_words) + u64::from(new_words) > u64::from(MOST_WORDS) {
            return Err(Fault::byte(
                self.at,
                format!("{new_words} new words; at most {MOST_WORDS} in all are possible"),
            ));
        }
        for _ in 0..new_words {
            let count = u32::from_le_bytes(self.bytes()?);
            let length = u16::from_le_bytes(self.bytes()?);
            let mut text = vec![0; usize::from(length)];
            self.fill(&mut text)?;
            let word = String::from_utf8(text).map_err(|_| Fault::byte(self.at, "a word that is not UTF-8"))?;
            self.summary.new_words.push(NewWord { word, count });
        }
        Ok(())
    }

    /// The next n-gram and how often it occurs, in ascending order; `None` at the end.
    pub(super) fn ngram(&mut self) -> Result<Option<(Ngram, u32)>, Fault> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let step = self.number()?;
        let key = self.last.checked_add(step).filter(|&key| step > 0 && key >> (3 * BITS) == 0);
        let key = key.ok_or_else(|| Fault::byte(self.at, "n-grams out of order or range"))?;
        let words = self.base_words + self.summary.new_words.len() as u32;
        let ngram = Ngram(key);
        let [first, middle, last] = ngram.words();
        let inside = [first, middle, last].iter().all(|word| word.is_none_or(|word| word < words));
        if !inside || last.is_none() || first.is_some() && middle.is_none() {
            return Err(Fault::byte(self.at, "an n-gram of words that are not there"));
        }
        self.last = key;
        let count = self.number()?;
        let count = u32::try_from(count).ok().filter(|&count| count > 0);
        let count = count.ok_or_else(|| Fault::byte(self.at, "an n-gram's count is 0 or more than 2^32"))?;
        Ok(Some((ngram, count)))
    }

    fn number(&mut self) -> Result<u64, Fault> {
        let mut value = 0;
        for shift in (0..63).step_by(7) {
            let [byte] = self.bytes()?;
            value |= u64::from(byte & 127) << shift;
            if byte < 128 {
                return Ok(value);
            }
        }
        Err(Fault::byte(self.at, "a number of more than 63 bits"))
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), Fault> {
        self.input.read_exact(bytes).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => Fault::byte(self.at, "the file ends early; it is truncated or corrupt"),
            _ => Fault::Io(error),
        })?;
        self.at += bytes.len() as u64;
        Ok(())
    }
}
