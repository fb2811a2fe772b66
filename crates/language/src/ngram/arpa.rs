//! The ARPA text format of n-gram models, as MIT, SRI, CMU and KenLM tools write it.
//!
//! Anything up to a line `\data\`; `ngram N=COUNT` lines; for each N a section `\N-grams:` of lines `LOG10P WORD...
//! [LOG10BACKOFF]`; `\end\`. Blank lines may stand anywhere, fields are separated by blanks or tabs.

use std::io::{self, BufRead, Read, Write};

use super::arrays::{Arrays, Builder, Duplicate};
use super::index::for_each_trigram;
use super::store::Store;
use crate::error::Fault;
use crate::vocabulary::{Vocabulary, WordId};

/// Longest line read. Real lines are a few dozen bytes; the limit keeps a file without line ends from filling memory.
const LINE_LIMIT: u64 = 1 << 16;

/// What -infinity becomes: log10 of the probability that toolkits give to words that are never predicted.
const LOG10_ZERO: f64 = -99.0;

/// Reads a model line by line.
pub(super) fn read(input: impl BufRead) -> Result<(Arrays, Vocabulary, usize), Fault> {
    let mut lines = Lines { input, number: 0, buffer: Vec::new() };
    while lines.expect("\\data\\")? != "\\data\\" {}
    let (counts, mut line) = read_counts(&mut lines)?;
    let order = counts.iter().rposition(|&count| count > 0).map_or(1, |index| index + 1);
    let mut reader = Reader { vocabulary: Vocabulary::new(), builder: Builder::default(), order };
    let mut found = vec![0u64; counts.len()];
    while line != "\\end\\" {
        let length = section_length(&line).filter(|&length| length <= counts.len()).ok_or_else(|| {
            lines.fault(format!(
                "{line:?} where a section that \\data\\ announces, like \\1-grams:, or \\end\\ should begin"
            ))
        })?;
        loop {
            let text = lines.expect("\\end\\")?;
            if text.starts_with('\\') {
                line = text.to_owned();
                break;
            }
            reader.entry(length, text).map_err(|what| Fault::line(lines.number, what))?;
            found[length - 1] += 1;
        }
    }
    if let Some(index) = (0..counts.len()).find(|&index| found[index] != counts[index]) {
        let (found, announced, length) = (found[index], counts[index], index + 1);
        return Err(lines.fault(format!("{found} {length}-grams in the file where \\data\\ announced {announced}")));
    }
    reader.finish()
}

struct Lines<R> {
    input: R,
    number: u64,
    buffer: Vec<u8>,
}

impl<R: BufRead> Lines<R> {
    /// The next line that is not blank, trimmed; `wanted` says what is missing if there is none.
    fn expect(&mut self, wanted: &str) -> Result<&str, Fault> {
        loop {
            self.buffer.clear();
            let read = self.input.by_ref().take(LINE_LIMIT).read_until(b'\n', &mut self.buffer).map_err(Fault::Io)?;
            self.number += 1;
            if read == 0 {
                return Err(
                    self.fault(format!("the file ends without {wanted}; it is truncated or not a language model"))
                );
            }
            if read as u64 == LINE_LIMIT && !self.buffer.ends_with(b"\n") {
                return Err(self.fault(format!("is longer than {LINE_LIMIT} bytes; this is not an ARPA file")));
            }
            if !self.buffer.trim_ascii().is_empty() {
                break;
            }
        }
        let number = self.number;
        std::str::from_utf8(self.buffer.trim_ascii())
            .map_err(|_| Fault::line(number, "is not UTF-8; convert the file to UTF-8"))
    }

    fn fault(&self, what: String) -> Fault {
        Fault::line(self.number, what)
    }
}

/// N of `\N-grams:`.
fn section_length(line: &str) -> Option<usize> {
    let length = line.strip_prefix('\\')?.strip_suffix("-grams:")?.parse().ok()?;
    (length > 0).then_some(length)
}

/// The counts of each length, and the first line that is not one of them.
fn read_counts<R: BufRead>(lines: &mut Lines<R>) -> Result<(Vec<u64>, String), Fault> {
    let mut counts = Vec::new();
    loop {
        let line = lines.expect("\\1-grams:")?.to_owned();
        let Some(rest) = line.strip_prefix("ngram") else {
            if counts.is_empty() {
                return Err(lines.fault(format!("{line:?} where \"ngram 1=COUNT\" should stand")));
            }
            return Ok((counts, line));
        };
        let count = rest.split_once('=').and_then(|(length, count)| {
            let length: usize = length.trim().parse().ok()?;
            Some((length, count.trim().parse::<u64>().ok()?))
        });
        let Some((length, count)) = count else {
            return Err(lines.fault(format!("{line:?} is not of the form \"ngram N=COUNT\"")));
        };
        if length != counts.len() + 1 {
            return Err(lines.fault(format!("the count of {length}-grams follows that of {}-grams", counts.len())));
        }
        if length > 3 && count > 0 {
            return Err(Fault::Unsupported(format!("has {length}-grams; models up to trigrams are supported")));
        }
        if count > u64::from(u32::MAX) / 2 {
            return Err(lines.fault(format!("{count} {length}-grams; at most {} are supported", u32::MAX / 2)));
        }
        counts.push(count);
    }
}

struct Reader {
    vocabulary: Vocabulary,
    builder: Builder,
    order: usize,
}

impl Reader {
    fn entry(&mut self, length: usize, line: &str) -> Result<(), String> {
        let mut fields = line.split_ascii_whitespace();
        if length > self.order {
            return Err(format!("a {length}-gram, of which \\data\\ announced none"));
        }
        // Rounding in the writer can leave a probability a hair above one.
        let probability = logarithm(fields.next().unwrap_or_default())?.min(0.0);
        let mut texts = [""; 3];
        for text in texts.iter_mut().take(length) {
            *text = fields.next().ok_or_else(|| format!("{line:?} has fewer than {length} words"))?;
        }
        let backoff = fields.next().map(logarithm).transpose()?.unwrap_or(0.0);
        if fields.next().is_some() {
            return Err(format!("{line:?} has more fields than a probability, {length} words and a back-off"));
        }
        if length == 1 {
            if !self.vocabulary.add(texts[0]).1 {
                return Err(format!("the word {:?} is defined for the second time", texts[0]));
            }
            self.builder.unigrams.push([probability, backoff]);
            return Ok(());
        }
        let mut words = [0; 3];
        for (word, text) in words.iter_mut().zip(&texts[..length]) {
            *word = self.vocabulary.id(text).ok_or_else(|| format!("the word {text:?} is not among the 1-grams"))?;
        }
        match length {
            // Back-offs of the longest n-grams mean nothing; some tools write them all the same.
            2 => self.builder.bigram([words[0], words[1]], probability, if self.order > 2 { backoff } else { 0.0 }),
            _ => self.builder.trigram(words, probability),
        }
        Ok(())
    }

    fn finish(self) -> Result<(Arrays, Vocabulary, usize), Fault> {
        if self.vocabulary.is_empty() {
            return Err(Fault::Unsupported("has no words".to_owned()));
        }
        match self.builder.finish() {
            Ok(arrays) => Ok((arrays, self.vocabulary, self.order)),
            Err(duplicate) => Err(Fault::Unsupported(describe(&duplicate, &self.vocabulary))),
        }
    }
}

/// "lists the n-gram ... twice".
pub(super) fn describe(Duplicate(words): &Duplicate, vocabulary: &Vocabulary) -> String {
    let words: Vec<&str> = words.iter().map(|&word| vocabulary.word(word)).collect();
    format!("lists the n-gram \"{}\" twice", words.join(" "))
}

/// Natural logarithm of a log10 field.
fn logarithm(field: &str) -> Result<f32, String> {
    let value: f64 = field.parse().map_err(|_| format!("{field:?} is not a number"))?;
    let value = if value == f64::NEG_INFINITY { LOG10_ZERO } else { value };
    let natural = (value * std::f64::consts::LN_10) as f32;
    if natural.is_finite() { Ok(natural) } else { Err(format!("{field:?} is not a finite number")) }
}

/// Writes a model; n-grams of each length are sorted by the ids of their words, from the first on.
pub(super) fn write(store: &impl Store, vocabulary: &Vocabulary, order: usize, mut out: impl Write) -> io::Result<()> {
    let words = vocabulary.len() as u32;
    writeln!(out, "\\data\\\nngram 1={words}")?;
    if order > 1 {
        writeln!(out, "ngram 2={}", store.bigram_count())?;
    }
    if order > 2 {
        writeln!(out, "ngram 3={}", store.trigram_count())?;
    }
    writeln!(out, "\n\\1-grams:")?;
    for (word, text) in vocabulary.iter() {
        let unigram = store.unigram(word);
        write!(out, "{}\t{text}", log10(unigram.probability))?;
        write_backoff(&mut out, order > 1, unigram.backoff)?;
    }
    if order > 1 {
        writeln!(out, "\n\\2-grams:")?;
        for (v, w, bigram) in bigrams(store, words) {
            let (v, w) = (vocabulary.word(v), vocabulary.word(w));
            write!(out, "{}\t{v} {w}", log10(store.bigram_probability(bigram)))?;
            write_backoff(&mut out, order > 2, store.bigram_backoff(bigram))?;
        }
    }
    if order > 2 {
        writeln!(out, "\n\\3-grams:")?;
        let mut trigrams = Vec::with_capacity(store.trigram_count() as usize);
        for_each_trigram(store, words, |trigram| trigrams.push(trigram));
        trigrams.sort_unstable();
        for trigram in trigrams {
            let [u, v, w] = trigram.words.map(|word| vocabulary.word(word));
            writeln!(out, "{}\t{u} {v} {w}", log10(store.trigram_probability(trigram.index)))?;
        }
    }
    writeln!(out, "\n\\end\\")
}

fn bigrams(store: &impl Store, words: u32) -> Vec<(WordId, WordId, u32)> {
    let mut bigrams = Vec::with_capacity(store.bigram_count() as usize);
    for w in 0..words {
        let unigram = store.unigram(w);
        bigrams.extend((unigram.first..unigram.end).map(|bigram| (store.bigram_word(bigram), w, bigram)));
    }
    bigrams.sort_unstable();
    bigrams
}

fn write_backoff(out: &mut impl Write, wanted: bool, backoff: f32) -> io::Result<()> {
    if wanted && backoff != 0.0 { writeln!(out, "\t{}", log10(backoff)) } else { writeln!(out) }
}

/// Seven digits, which an `f32` can hold.
fn log10(natural: f32) -> f32 {
    (f64::from(natural) / std::f64::consts::LN_10) as f32
}
