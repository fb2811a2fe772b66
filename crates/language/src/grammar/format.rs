//! The file of a compiled grammar. All numbers are little-endian.
//!
//! ```text
//! magic "DGRM", version u32 1
//! language:  length u32 (0: none declared), UTF-8
//! words:     count u32, then each: length u32, UTF-8, times in the document u32; the first is "<s>"
//! states:    count u32, number of all arcs u32, then each:
//!              ln p of the end f32 (negative infinity: a phrase cannot end here), number of arcs u32,
//!              then each, by ascending word: word u32, state u32, ln p f32
//! ```

use super::automaton::{Automaton, Grammar, START_WORD};
use super::{GrammarError, determinize};
use crate::vocabulary::Vocabulary;

const MAGIC: &[u8; 8] = b"DGRM\x01\0\0\0";

pub(super) fn write(grammar: &Grammar) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    text(&mut out, grammar.language.as_deref().unwrap_or_default());
    number(&mut out, grammar.vocabulary.len());
    for (id, word) in grammar.vocabulary.iter() {
        text(&mut out, word);
        number(&mut out, grammar.counts[id as usize] as usize);
    }
    let automaton = &grammar.automaton;
    number(&mut out, automaton.state_count());
    number(&mut out, automaton.arc_count());
    for state in 0..automaton.state_count() as u32 {
        out.extend(automaton.end(state).to_le_bytes());
        number(&mut out, automaton.arcs(state).len());
        for arc in automaton.arcs(state) {
            out.extend(arc.word.to_le_bytes());
            out.extend(arc.to.to_le_bytes());
            out.extend(arc.probability.to_le_bytes());
        }
    }
    out
}

fn number(out: &mut Vec<u8>, number: usize) {
    // Counts of grammars are bounded far below.
    out.extend((number as u32).to_le_bytes());
}

fn text(out: &mut Vec<u8>, text: &str) {
    number(out, text.len());
    out.extend_from_slice(text.as_bytes());
}

pub(super) fn read(bytes: &[u8]) -> Result<Grammar, GrammarError> {
    let mut reader = Reader { bytes, at: 0 };
    if reader.take(MAGIC.len())? != MAGIC {
        reader.at = 0;
        return Err(reader.fault("does not begin like a compiled grammar of version 1"));
    }
    let language = Some(reader.text()?.to_owned()).filter(|language| !language.is_empty());
    let (vocabulary, counts) = reader.words()?;
    let automaton = reader.automaton(vocabulary.len())?;
    if reader.at != bytes.len() {
        return Err(reader.fault("goes on after its end"));
    }
    Ok(Grammar::new(vocabulary, counts, language, automaton))
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn fault(&self, what: &'static str) -> GrammarError {
        GrammarError::Damaged { offset: self.at, what }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], GrammarError> {
        let taken = self.bytes[self.at..].get(..count).ok_or_else(|| self.fault("ends too early"))?;
        self.at += count;
        Ok(taken)
    }

    fn word(&mut self) -> Result<[u8; 4], GrammarError> {
        let bytes = self.take(4)?;
        Ok([bytes[0], bytes[1], bytes[2], bytes[3]])
    }

    fn number(&mut self) -> Result<u32, GrammarError> {
        self.word().map(u32::from_le_bytes)
    }

    fn probability(&mut self) -> Result<f32, GrammarError> {
        let probability = f32::from_le_bytes(self.word()?);
        // Rounding may leave a sum a little above one.
        if probability <= 1e-3 { Ok(probability) } else { Err(self.fault("has a probability above one")) }
    }

    /// A number of things that take at least `size` bytes each: no more than can follow.
    fn count(&mut self, size: usize) -> Result<usize, GrammarError> {
        let count = self.number()? as usize;
        if count > (self.bytes.len() - self.at) / size {
            return Err(self.fault("counts more than it holds"));
        }
        Ok(count)
    }

    fn text(&mut self) -> Result<&'a str, GrammarError> {
        let length = self.count(1)?;
        let bytes = self.take(length)?;
        std::str::from_utf8(bytes).map_err(|_| self.fault("has a text that is not UTF-8"))
    }

    fn words(&mut self) -> Result<(Vocabulary, Vec<u32>), GrammarError> {
        let count = self.count(8)?;
        let (mut vocabulary, mut counts) = (Vocabulary::new(), Vec::with_capacity(count));
        for index in 0..count {
            let word = self.text()?;
            if (index == 0) != (word == START_WORD) || !vocabulary.add(word).1 {
                return Err(self.fault("has a word twice, or not where it belongs"));
            }
            counts.push(self.number()?);
        }
        if count == 0 {
            return Err(self.fault("has no words"));
        }
        Ok((vocabulary, counts))
    }

    fn automaton(&mut self, words: usize) -> Result<Automaton, GrammarError> {
        let (states, arcs) = (self.count(8)?, self.number()? as usize);
        if states == 0 || states > determinize::MOST_STATES || arcs > determinize::MOST_ARCS {
            return Err(self.fault("has no states, or too many"));
        }
        let mut automaton = Automaton::default();
        let mut followers: Vec<(u32, f32, u32)> = Vec::new();
        for _ in 0..states {
            let end = self.probability()?;
            followers.clear();
            for _ in 0..self.count(12)? {
                let (word, to, probability) = (self.number()?, self.number()?, self.probability()?);
                let ascends = followers.last().is_none_or(|&(last, ..)| last < word);
                if word == 0 || word as usize >= words || to as usize >= states || !ascends || !probability.is_finite()
                {
                    return Err(self.fault("has an arc that leads nowhere, or out of order"));
                }
                followers.push((word, probability, to));
            }
            automaton.push_log(&followers, end);
        }
        if automaton.arc_count() != arcs {
            return Err(self.fault("counts other arcs than it holds"));
        }
        Ok(automaton)
    }
}
