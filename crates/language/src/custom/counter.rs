//! Counting the n-grams of a text within a bounded memory: keys are collected, sorted and written away as a run when there
//! are too many, and the runs are merged at the end.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::sync::Arc;

use super::corpus::CorpusError;
use super::counts::{CountsWriter, MOST_WORDS, NewWord, Ngram, TextSummary};
use crate::vocabulary::{Vocabulary, WordId};

/// How much a text may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Words in all, with repetitions.
    pub words: u64,
    /// Different words that the base vocabulary lacks.
    pub new_words: usize,
    /// Bytes of keys held in memory at a time.
    pub memory: usize,
}

impl Default for Limits {
    /// Watson's ten million words; a million new ones, as the limit of 90 000 is a model's and is told at its training.
    fn default() -> Self {
        Limits { words: 10_000_000, new_words: 1_000_000, memory: 256 << 20 }
    }
}

/// Counts the words of one text, sentence by sentence.
pub struct Counter {
    base: Arc<Vocabulary>,
    vocabulary: Vocabulary,
    new_counts: Vec<u32>,
    limits: Limits,
    words: u64,
    keys: Vec<u64>,
    runs: Vec<File>,
    /// The two words before the next one.
    history: [Option<WordId>; 2],
    lower: String,
}

impl Counter {
    /// Nothing counted yet. `base` is the base model's vocabulary.
    pub fn new(base: &Arc<Vocabulary>, limits: Limits) -> Self {
        Counter {
            vocabulary: Vocabulary::extending(Arc::clone(base)),
            base: Arc::clone(base),
            new_counts: Vec::new(),
            limits,
            words: 0,
            keys: Vec::new(),
            runs: Vec::new(),
            history: [None; 2],
            lower: String::new(),
        }
    }

    /// Begins a sentence.
    pub fn begin(&mut self) {
        self.history = [None, self.base.sentence_start()];
    }

    /// Counts a word: of the base vocabulary whatever its case, or else new, as it is written.
    ///
    /// # Errors
    /// When there are too many words or new words, or sorting on disk fails.
    pub fn word(&mut self, word: &str) -> Result<(), CorpusError> {
        self.words += 1;
        if self.words > self.limits.words {
            return Err(CorpusError::TooManyWords { limit: self.limits.words });
        }
        let id = match self.known(word) {
            Some(id) => id,
            None => self.new_word(word)?,
        };
        self.push(id)
    }

    /// Ends the sentence.
    ///
    /// # Errors
    /// When sorting on disk fails.
    pub fn end(&mut self) -> Result<(), CorpusError> {
        if let Some(end) = self.base.sentence_end()
            && self.history[1] != self.base.sentence_start()
        {
            self.push(end)?;
        }
        self.history = [None; 2];
        Ok(())
    }

    /// A piece of text that is no word was there: what follows does not follow what came before.
    pub fn gap(&mut self) {
        self.history = [None; 2];
    }

    /// The word of the base vocabulary that a text's word is.
    fn known(&mut self, word: &str) -> Option<WordId> {
        let lower = word.bytes().all(|byte| !byte.is_ascii_uppercase() && byte.is_ascii());
        let id = self.base.id(word);
        if lower || id.is_some() {
            return id;
        }
        self.lower.clear();
        self.lower.extend(word.chars().flat_map(char::to_lowercase));
        self.base.id(&self.lower)
    }

    fn new_word(&mut self, word: &str) -> Result<WordId, CorpusError> {
        let (id, new) = self.vocabulary.add(word);
        if new {
            let limit = self.limits.new_words.min(MOST_WORDS as usize - self.base.len().min(MOST_WORDS as usize));
            if self.new_counts.len() >= limit {
                return Err(CorpusError::TooManyNewWords { limit });
            }
            self.new_counts.push(0);
        }
        self.new_counts[id as usize - self.base.len()] += 1;
        Ok(id)
    }

    fn push(&mut self, word: WordId) -> Result<(), CorpusError> {
        let [first, second] = self.history;
        self.keys.push(Ngram::new([first, second, Some(word)]).0);
        self.history = [second, Some(word)];
        if self.keys.len() * 8 >= self.limits.memory.max(1 << 10) {
            self.write_run().map_err(CorpusError::Sorting)?;
        }
        Ok(())
    }

    /// Sorts what is in memory and writes it to a file without a name.
    fn write_run(&mut self) -> io::Result<()> {
        self.keys.sort_unstable();
        let mut out = BufWriter::new(tempfile::tempfile()?);
        for group in self.keys.chunk_by(|a, b| a == b) {
            out.write_all(&group[0].to_le_bytes())?;
            out.write_all(&(group.len() as u64).to_le_bytes())?;
        }
        let mut file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.rewind()?;
        self.runs.push(file);
        self.keys.clear();
        Ok(())
    }

    /// Writes the counts; many small writes.
    ///
    /// # Errors
    /// When writing fails, or reading back what was sorted on disk.
    pub fn finish(mut self, out: impl Write) -> Result<TextSummary, CorpusError> {
        let first = self.base.len() as WordId;
        let new = |(index, &count): (usize, &u32)| {
            let word = self.vocabulary.word(first + index as WordId).to_owned();
            NewWord { word, count }
        };
        let summary =
            TextSummary { words: self.words, new_words: self.new_counts.iter().enumerate().map(new).collect() };
        self.write(out, &summary).map_err(CorpusError::Sorting)?;
        Ok(summary)
    }

    fn write(&mut self, out: impl Write, summary: &TextSummary) -> io::Result<()> {
        if self.runs.is_empty() {
            self.keys.sort_unstable();
            let groups = || self.keys.chunk_by(|a, b| a == b);
            let mut writer = CountsWriter::new(out, &self.base, summary, groups().count() as u64)?;
            for group in groups() {
                writer.ngram(Ngram(group[0]), group.len() as u64)?;
            }
            return writer.finish();
        }
        if !self.keys.is_empty() {
            self.write_run()?;
        }
        // How many n-grams differ is known once the runs are merged, so they are merged twice.
        let mut different = 0;
        merge(&mut self.runs, |_, _| {
            different += 1;
            Ok(())
        })?;
        let mut writer = CountsWriter::new(out, &self.base, summary, different)?;
        merge(&mut self.runs, |key, count| writer.ngram(Ngram(key), count))?;
        writer.finish()
    }
}

/// Visits the sums of several sorted runs, in order.
fn merge(runs: &mut [File], mut visit: impl FnMut(u64, u64) -> io::Result<()>) -> io::Result<()> {
    let mut readers = Vec::with_capacity(runs.len());
    for run in runs {
        run.rewind()?;
        readers.push(BufReader::new(run));
    }
    let mut heads = BinaryHeap::new();
    for (index, reader) in readers.iter_mut().enumerate() {
        heads.extend(entry(reader)?.map(|(key, count)| Reverse((key, index, count))));
    }
    let mut sum: Option<(u64, u64)> = None;
    while let Some(Reverse((key, index, count))) = heads.pop() {
        match &mut sum {
            Some((same, total)) if *same == key => *total += count,
            other => {
                if let Some((key, total)) = other.replace((key, count)) {
                    visit(key, total)?;
                }
            }
        }
        heads.extend(entry(&mut readers[index])?.map(|(key, count)| Reverse((key, index, count))));
    }
    sum.map_or(Ok(()), |(key, total)| visit(key, total))
}

fn entry(reader: &mut impl Read) -> io::Result<Option<(u64, u64)>> {
    let mut bytes = [0; 16];
    match reader.read_exact(&mut bytes) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let number = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| bytes[at + i]));
    Ok(Some((number(0), number(8))))
}
