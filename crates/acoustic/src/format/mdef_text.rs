//! The text form of the model definition, version 0.3, which the training tools read and write.
//!
//! Counters first (`42 n_base` and so on), then one line a phone:
//! `base left right position attribute transitions senone senone senone N`, with `-` for what a base phone lacks.

use std::collections::HashMap;

use super::mdef::{BasePhone, MAX_PHONES, MAX_SENONES, ModelDefinition, STATES, Triphone, WordPosition};
use crate::error::ParseError;

struct Lines<'a> {
    rest: &'a str,
    offset: usize,
}

/// A line that is neither empty nor a comment.
struct Line<'a> {
    offset: usize,
    fields: Vec<&'a str>,
}

impl Line<'_> {
    fn error(&self, reason: impl Into<String>) -> ParseError {
        ParseError { offset: self.offset as u64, reason: reason.into() }
    }

    fn number(&self, field: usize, most: usize, what: &str) -> Result<usize, ParseError> {
        let text = self.fields.get(field).copied().unwrap_or("");
        text.parse()
            .ok()
            .filter(|&value| value <= most)
            .ok_or_else(|| self.error(format!("{what} is {text:?}; a number up to {most} expected")))
    }
}

impl<'a> Lines<'a> {
    fn next(&mut self) -> Option<Line<'a>> {
        while !self.rest.is_empty() {
            let offset = self.offset;
            let length = self.rest.find('\n').map_or(self.rest.len(), |end| end + 1);
            let (line, rest) = self.rest.split_at(length);
            self.rest = rest;
            self.offset += length;
            let fields: Vec<&str> = line.split_whitespace().collect();
            if fields.first().is_some_and(|first| !first.starts_with('#')) {
                return Some(Line { offset, fields });
            }
        }
        None
    }

    fn expect(&mut self, what: &str) -> Result<Line<'a>, ParseError> {
        let end = self.offset + self.rest.len();
        self.next().ok_or_else(|| ParseError { offset: end as u64, reason: format!("the file ends before {what}") })
    }

    fn counter(&mut self, name: &str, most: usize) -> Result<usize, ParseError> {
        let line = self.expect(name)?;
        if line.fields.get(1) != Some(&name) {
            return Err(line.error(format!("the counter {name} expected")));
        }
        line.number(0, most, name)
    }
}

pub(super) fn parse(bytes: &[u8]) -> Result<ModelDefinition, ParseError> {
    let text = std::str::from_utf8(bytes).map_err(|error| ParseError {
        offset: error.valid_up_to() as u64,
        reason: "neither a binary model definition (BMDF) nor text".into(),
    })?;
    let mut lines = Lines { rest: text, offset: 0 };
    let version = lines.expect("the version")?;
    if version.fields != ["0.3"] {
        return Err(version.error("a model definition begins with BMDF (binary) or 0.3 (text)"));
    }
    // A line has at least one byte for each number it stands for, so these limits keep allocation below the file's size.
    let base = lines.counter("n_base", MAX_PHONES)?;
    let triphones = lines.counter("n_tri", bytes.len())?;
    let states = lines.counter("n_state_map", usize::MAX)?;
    let senones = lines.counter("n_tied_state", MAX_SENONES)?;
    let base_senones = lines.counter("n_tied_ci_state", senones)?;
    let transitions = lines.counter("n_tied_tmat", bytes.len())?;
    if states != (base + triphones) * (STATES + 1) {
        return Err(ParseError {
            offset: lines.offset as u64,
            reason: format!("{states} states for {base} + {triphones} phones: only three-state phones are supported"),
        });
    }
    let mut definition = ModelDefinition {
        phones: Vec::with_capacity(base),
        triphones: Vec::with_capacity(triphones),
        sequences: Vec::new(),
        senones,
        base_senones,
        transitions,
    };
    let mut known = HashMap::new();
    for _ in 0..base {
        let line = lines.expect("a phone")?;
        let phone = parse_base(&line, &mut definition, &mut known)?;
        definition.phones.push(phone);
    }
    if definition.phones.is_empty() {
        return Err(version.error("the model has no phones"));
    }
    let ids: HashMap<String, u8> =
        definition.phones.iter().enumerate().map(|(id, phone)| (phone.name.clone(), id as u8)).collect();
    for _ in 0..triphones {
        let line = lines.expect("a triphone")?;
        let triphone = parse_triphone(&line, &ids, &mut definition, &mut known)?;
        definition.triphones.push(triphone);
    }
    match lines.next() {
        Some(line) => Err(line.error("more lines than the counters say")),
        None => Ok(definition),
    }
}

fn parse_base(
    line: &Line,
    definition: &mut ModelDefinition,
    known: &mut HashMap<[u16; 3], u32>,
) -> Result<BasePhone, ParseError> {
    if line.fields.get(1..4) != Some(&["-", "-", "-"]) {
        return Err(line.error("a phone without context expected"));
    }
    Ok(BasePhone {
        name: line.fields[0].to_string(),
        filler: line.fields.get(4) == Some(&"filler"),
        transition: line.number(5, definition.transitions.saturating_sub(1), "transition matrix")? as u32,
        sequence: parse_senones(line, definition, known)?,
    })
}

fn parse_triphone(
    line: &Line,
    ids: &HashMap<String, u8>,
    definition: &mut ModelDefinition,
    known: &mut HashMap<[u16; 3], u32>,
) -> Result<Triphone, ParseError> {
    let phone = |field: usize| {
        let name = line.fields.get(field).copied().unwrap_or("");
        ids.get(name).copied().ok_or_else(|| line.error(format!("{name:?} is not a phone of this model")))
    };
    let (center, left, right) = (phone(0)?, phone(1)?, phone(2)?);
    let position = match line.fields.get(3).copied() {
        Some("i") => WordPosition::Internal,
        Some("b") => WordPosition::Begin,
        Some("e") => WordPosition::End,
        Some("s") => WordPosition::Single,
        other => {
            return Err(line.error(format!("word position {:?}; i, b, e or s expected", other.unwrap_or(""))));
        }
    };
    let transition = line.number(5, definition.transitions.saturating_sub(1), "transition matrix")?;
    if transition as u32 != definition.phones[usize::from(center)].transition {
        return Err(line.error("a triphone has other transitions than its phone"));
    }
    Ok(Triphone { center, left, right, position, sequence: parse_senones(line, definition, known)? })
}

/// The senones of a line, as an index into the sequences (equal sequences are kept once).
fn parse_senones(
    line: &Line,
    definition: &mut ModelDefinition,
    known: &mut HashMap<[u16; 3], u32>,
) -> Result<u32, ParseError> {
    if line.fields.len() != 6 + STATES + 1 || line.fields.last() != Some(&"N") {
        return Err(line.error("three senones and N expected"));
    }
    let mut sequence = [0; STATES];
    for (state, senone) in sequence.iter_mut().enumerate() {
        *senone = line.number(6 + state, definition.senones.saturating_sub(1), "senone")? as u16;
    }
    let next = definition.sequences.len() as u32;
    Ok(*known.entry(sequence).or_insert_with(|| {
        definition.sequences.push(sequence);
        next
    }))
}
