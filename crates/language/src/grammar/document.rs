//! A grammar as its rules, whichever form it was written in.

use std::collections::HashMap;

use crate::vocabulary::{Vocabulary, WordId};

use super::GrammarError;

/// Deepest nesting of groups within a rule.
pub(super) const DEEPEST: usize = 64;
/// Most characters of a word.
const LONGEST_WORD: usize = 128;
/// Most words, references and groups of a document.
const MOST_PARTS: usize = 2_000_000;
/// Most times that something is repeated, and least of it.
const MOST_REPEATS: u32 = 1_000_000;

/// What a rule, or a part of one, generates.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Expansion {
    /// A word.
    Word(WordId),
    /// One after the other; of nothing: the empty phrase.
    Sequence(Vec<Expansion>),
    /// One of several, by their weights.
    Alternatives(Vec<(f32, Expansion)>),
    /// The same again.
    Repeat(Box<Repeat>),
    /// What another rule generates, by its number.
    Rule(u32),
    /// Nothing, not even the empty phrase.
    Void,
}

/// A repeated expansion.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Repeat {
    pub(super) what: Expansion,
    pub(super) least: u32,
    /// None: without end.
    pub(super) most: Option<u32>,
    /// Probability of each repetition beyond the least.
    pub(super) probability: Option<f32>,
}

/// A rule, by its name.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) name: String,
    /// None: referred to, but not defined.
    pub(super) expansion: Option<Expansion>,
}

/// A parsed grammar.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) language: Option<String>,
    pub(super) root: Option<u32>,
    pub(super) rules: Vec<Rule>,
    pub(super) vocabulary: Vocabulary,
    /// How often each word stands in the document.
    pub(super) counts: Vec<u32>,
    by_name: HashMap<String, u32>,
    parts: usize,
}

impl Document {
    pub(super) fn new() -> Self {
        let mut document = Document {
            language: None,
            root: None,
            rules: Vec::new(),
            vocabulary: Vocabulary::new(),
            counts: Vec::new(),
            by_name: HashMap::new(),
            parts: 0,
        };
        document.vocabulary.add(super::automaton::START_WORD);
        document.counts.push(0);
        document
    }

    /// The number of a rule.
    pub(super) fn rule(&mut self, name: &str) -> u32 {
        if let Some(&number) = self.by_name.get(name) {
            return number;
        }
        let number = self.rules.len() as u32;
        self.rules.push(Rule { name: name.to_owned(), expansion: None });
        self.by_name.insert(name.to_owned(), number);
        number
    }

    /// Defines a rule; false when it has been defined before.
    pub(super) fn define(&mut self, name: &str, expansion: Expansion) -> bool {
        let number = self.rule(name) as usize;
        let new = self.rules[number].expansion.is_none();
        self.rules[number].expansion = Some(expansion);
        new
    }

    /// Counts a word, reference or group. Each takes memory before it is known whether the grammar can be compiled.
    pub(super) fn count_part(&mut self) -> Result<(), GrammarError> {
        self.parts += 1;
        if self.parts > MOST_PARTS {
            return Err(GrammarError::TooLarge {
                what: format!("it has more than {MOST_PARTS} words, references and groups"),
            });
        }
        Ok(())
    }

    /// Whether a language named within the document is the document's: only one is supported.
    pub(super) fn is_language(&self, tag: &str) -> bool {
        self.language.as_ref().is_some_and(|language| language.eq_ignore_ascii_case(tag.trim()))
    }

    /// A word, or, for the text of a quoted token, the words in it one after the other.
    pub(super) fn words(&mut self, text: &str, into: &mut Vec<Expansion>) -> Result<(), String> {
        for word in text.split_whitespace() {
            if word.chars().nth(LONGEST_WORD).is_some() {
                let beginning: String = word.chars().take(32).collect();
                return Err(format!("the word '{beginning}...' is longer than {LONGEST_WORD} characters"));
            }
            if matches!(word, "<s>" | "</s>") || word.contains(char::is_control) {
                return Err(format!("{word:?} is not a word"));
            }
            let (id, new) = self.vocabulary.add(word);
            if new {
                self.counts.push(0);
            }
            self.counts[id as usize] = self.counts[id as usize].saturating_add(1);
            into.push(Expansion::Word(id));
        }
        Ok(())
    }
}

/// A sequence, which of one expansion is that expansion.
pub(super) fn sequence(mut parts: Vec<Expansion>) -> Expansion {
    if parts.len() == 1 { parts.swap_remove(0) } else { Expansion::Sequence(parts) }
}

/// `3`, `0-1`, `2-`: bounds of a repeat.
pub(super) fn repeat_bounds(text: &str) -> Result<(u32, Option<u32>), String> {
    let number = |digits: &str| match digits.trim().parse::<u32>() {
        Ok(number) if number <= MOST_REPEATS && digits.trim().bytes().all(|byte| byte.is_ascii_digit()) => Ok(number),
        Ok(_) => Err(format!("a repeat of more than {MOST_REPEATS} times")),
        Err(_) => Err(format!("'{text}' is no repeat; write a number, or two with a dash, as in 2, 0-1 or 1-")),
    };
    let Some((least, most)) = text.split_once('-') else {
        let times = number(text)?;
        return Ok((times, Some(times)));
    };
    let least = number(least)?;
    if most.trim().is_empty() {
        return Ok((least, None));
    }
    let most = number(most)?;
    if most < least {
        return Err(format!("the repeat '{text}' ends before it begins"));
    }
    Ok((least, Some(most)))
}

/// A weight of an alternative: 0 or more.
pub(super) fn weight(text: &str) -> Result<f32, String> {
    match text.trim().parse::<f32>() {
        Ok(weight) if weight.is_finite() && weight >= 0.0 && plain_number(text) => Ok(weight),
        _ => Err(format!("'{text}' is no weight; write a number of 0 or more")),
    }
}

/// A probability of a repeat: 0 to 1.
pub(super) fn probability(text: &str) -> Result<f32, String> {
    match text.trim().parse::<f32>() {
        Ok(probability) if (0.0..=1.0).contains(&probability) && plain_number(text) => Ok(probability),
        _ => Err(format!("'{text}' is no probability; write a number from 0 to 1")),
    }
}

/// Digits with at most one point: not `inf`, `1e9` or `-0`.
fn plain_number(text: &str) -> bool {
    text.trim().bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
}
