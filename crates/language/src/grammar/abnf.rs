//! The ABNF form of SRGS 1.0 (W3C Recommendation of 16 March 2004, appendix D).
//!
//! By precedence, from the tightest: words, references, groups; repeats and languages behind them; sequences and tags;
//! alternatives.

use super::document::{DEEPEST, Document, Expansion, Repeat, probability, repeat_bounds, sequence, weight};
use super::{GrammarError, GrammarPlace};

pub(super) fn parse(text: &str) -> Result<Document, GrammarError> {
    let mut parser = Parser { text, at: 0, document: Document::new(), root: None };
    parser.header()?;
    parser.declarations()?;
    while !parser.ended()? {
        parser.rule()?;
    }
    let Parser { mut document, root, .. } = parser;
    document.root = root.map(|root| document.rule(&root));
    Ok(document)
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    document: Document,
    root: Option<String>,
}

/// Characters that end an unquoted word.
fn ends_word(c: char) -> bool {
    c.is_whitespace() || ";=|*+<>()[]{}/$\\!\"".contains(c)
}

/// Characters of the name of a rule: those of an XML name without colon and period. SRGS (2.2) has no dash either; many
/// grammars do, and `$yes-no` is never meant as `$yes` followed by a word.
fn in_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-')
}

impl<'a> Parser<'a> {
    fn place(&self) -> GrammarPlace {
        GrammarPlace::of(self.text, self.at)
    }

    fn error<T>(&self, what: impl Into<String>) -> Result<T, GrammarError> {
        Err(GrammarError::Syntax { place: self.place(), what: what.into() })
    }

    fn unsupported<T>(&self, what: impl Into<String>) -> Result<T, GrammarError> {
        Err(GrammarError::Unsupported { place: self.place(), what: what.into() })
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// Steps over white space and comments, and tells the next character.
    fn peek(&mut self) -> Result<Option<char>, GrammarError> {
        loop {
            let rest = self.rest();
            let trimmed = rest.trim_start();
            self.at += rest.len() - trimmed.len();
            if trimmed.starts_with("//") {
                self.at += trimmed.find('\n').unwrap_or(trimmed.len());
            } else if let Some(comment) = trimmed.strip_prefix("/*") {
                match comment.find("*/") {
                    Some(length) => self.at += length + 4,
                    None => return self.error("a comment that has no end; write */"),
                }
            } else {
                return Ok(trimmed.chars().next());
            }
        }
    }

    fn ended(&mut self) -> Result<bool, GrammarError> {
        Ok(self.peek()?.is_none())
    }

    fn take(&mut self, expected: char) -> Result<bool, GrammarError> {
        let found = self.peek()? == Some(expected);
        if found {
            self.at += expected.len_utf8();
        }
        Ok(found)
    }

    fn expect(&mut self, expected: char) -> Result<(), GrammarError> {
        if self.take(expected)? {
            return Ok(());
        }
        match self.peek()? {
            Some('\\') => self.error(format!("a backslash, where '{expected}' is expected")),
            Some(c) => self.error(format!("'{c}', where '{expected}' is expected")),
            None => self.error(format!("the end, where '{expected}' is expected")),
        }
    }

    fn while_true(&mut self, in_it: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let length = rest.find(|c: char| !in_it(c)).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    /// `#ABNF 1.0 ISO-8859-1;`. The encoding does not count: grammars are UTF-8 (GRM-2).
    fn header(&mut self) -> Result<(), GrammarError> {
        let Some(rest) = self.text.trim_start().strip_prefix("#ABNF") else {
            return self.error("an ABNF grammar begins with '#ABNF 1.0;'");
        };
        self.at = self.text.len() - rest.len();
        let header = self.while_true(|c| c != ';' && c != '\n');
        if header.split_whitespace().next() != Some("1.0") {
            return self.error("the version of the grammar is 1.0: write '#ABNF 1.0;'");
        }
        self.expect(';')
    }

    fn declarations(&mut self) -> Result<(), GrammarError> {
        loop {
            self.peek()?;
            let start = self.at;
            let keyword = self.while_true(|c| c.is_ascii_alphabetic() || c == '-');
            match keyword {
                "language" => {
                    self.peek()?;
                    let tag = self.while_true(|c| c.is_ascii_alphanumeric() || c == '-');
                    if tag.is_empty() || self.document.language.is_some() {
                        return self.error("one language is declared, as in 'language en-US;'");
                    }
                    self.document.language = Some(tag.to_owned());
                }
                "mode" => {
                    self.peek()?;
                    match self.while_true(|c| c.is_ascii_alphabetic()) {
                        "voice" => {}
                        "dtmf" => return self.unsupported("mode dtmf (keys of a telephone) is"),
                        _ => return self.error("the mode is 'voice'"),
                    }
                }
                "root" => {
                    self.expect('$')?;
                    let name = self.while_true(in_name);
                    if name.is_empty() || self.root.is_some() {
                        return self.error("one root rule is declared, as in 'root $rule;'");
                    }
                    self.root = Some(name.to_owned());
                }
                "tag-format" | "base" | "lexicon" | "meta" | "http-equiv" => self.skip_declaration()?,
                "public" | "private" | "" => {
                    self.at = start;
                    return Ok(());
                }
                _ => {
                    self.at = start;
                    return self.error(format!("'{keyword}' is no declaration, and rules begin with '$'"));
                }
            }
            self.expect(';')?;
        }
    }

    /// Steps over what says nothing about words: up to the semicolon that is not within quotes or an address.
    fn skip_declaration(&mut self) -> Result<(), GrammarError> {
        while let Some(c) = self.peek()? {
            let close = match c {
                ';' => return Ok(()),
                '"' => '"',
                '\'' => '\'',
                '<' => '>',
                _ => {
                    self.at += c.len_utf8();
                    continue;
                }
            };
            self.at += 1;
            self.while_true(|c| c != close);
            if !self.rest().starts_with(close) {
                return self.error(format!("a declaration that lacks its {close}"));
            }
            self.at += 1;
        }
        Ok(())
    }

    fn rule(&mut self) -> Result<(), GrammarError> {
        if self.peek()? != Some('$') {
            let scope = self.while_true(|c| c.is_ascii_alphabetic());
            if !matches!(scope, "public" | "private") {
                self.at -= scope.len();
                return self.error("a rule begins with '$', 'public $' or 'private $'");
            }
        }
        self.expect('$')?;
        let name = self.while_true(in_name);
        if name.is_empty() {
            return self.error("a rule has a name of letters, digits and '_'");
        }
        if matches!(name, "NULL" | "VOID" | "GARBAGE") {
            return self.error(format!("the name '{name}' is reserved"));
        }
        let start = self.at;
        self.expect('=')?;
        let expansion = self.alternatives(0)?;
        self.expect(';')?;
        if !self.document.define(name, expansion) {
            self.at = start;
            return self.error(format!("rule '{name}' is defined twice"));
        }
        Ok(())
    }

    fn alternatives(&mut self, depth: usize) -> Result<Expansion, GrammarError> {
        if depth > DEEPEST {
            return self.error(format!("groups are nested deeper than {DEEPEST}"));
        }
        let mut alternatives = Vec::new();
        loop {
            let weight = if self.take('/')? { self.between_slashes(weight)? } else { 1.0 };
            alternatives.push((weight, self.sequence(depth)?));
            if !self.take('|')? {
                break;
            }
        }
        if alternatives.len() == 1 && alternatives[0].0 > 0.0 {
            return Ok(alternatives.swap_remove(0).1);
        }
        Ok(Expansion::Alternatives(alternatives))
    }

    /// A number and the slash behind it.
    fn between_slashes(&mut self, read: fn(&str) -> Result<f32, String>) -> Result<f32, GrammarError> {
        let text = self.while_true(|c| c != '/' && c != ';');
        let number = read(text.trim()).or_else(|what| self.error(what))?;
        self.expect('/')?;
        Ok(number)
    }

    fn sequence(&mut self, depth: usize) -> Result<Expansion, GrammarError> {
        let mut parts = Vec::new();
        let mut empty = true;
        while let Some(c) = self.peek()? {
            if matches!(c, ';' | '|' | ')' | ']') {
                break;
            }
            empty = false;
            if c == '{' {
                self.tag()?;
                continue;
            }
            self.document.count_part()?;
            let part = self.part(c, depth)?;
            let part = self.repeats(part)?;
            parts.push(part);
        }
        if empty {
            return self.error("an empty alternative; write $NULL for the empty phrase");
        }
        Ok(sequence(parts))
    }

    fn part(&mut self, first: char, depth: usize) -> Result<Expansion, GrammarError> {
        match first {
            '(' | '[' => {
                self.at += 1;
                let inner = self.alternatives(depth + 1)?;
                self.expect(if first == '(' { ')' } else { ']' })?;
                if first == '(' {
                    return Ok(inner);
                }
                Ok(Expansion::Repeat(Box::new(Repeat { what: inner, least: 0, most: Some(1), probability: None })))
            }
            '$' => self.reference(),
            '"' => {
                self.at += 1;
                let quoted = self.while_true(|c| c != '"' && c != '\\');
                if !self.rest().starts_with('"') {
                    return self.error("a quoted token that has no end, or a backslash in it");
                }
                self.at += 1;
                self.token(quoted)
            }
            '\\' => self.error("a backslash is not allowed in an ABNF grammar"),
            '*' | '+' => self.error(format!("'{first}' is reserved; write repeats as <0-> or <1->")),
            _ if ends_word(first) => self.error(format!("'{first}' is not expected here")),
            _ => {
                let word = self.while_true(|c| !ends_word(c));
                self.token(word)
            }
        }
    }

    fn token(&mut self, text: &str) -> Result<Expansion, GrammarError> {
        let mut words = Vec::new();
        self.document.words(text, &mut words).or_else(|what| self.error(what))?;
        if words.is_empty() {
            return self.error("a quoted token without words");
        }
        Ok(sequence(words))
    }

    fn reference(&mut self) -> Result<Expansion, GrammarError> {
        self.at += 1;
        if self.rest().starts_with('<') {
            return self.unsupported("a reference to another document ($<...>) is");
        }
        match self.while_true(in_name) {
            "" => self.error("a reference has the name of a rule behind its '$'"),
            "NULL" => Ok(Expansion::Sequence(Vec::new())),
            "VOID" => Ok(Expansion::Void),
            "GARBAGE" => self.unsupported("the special rule GARBAGE is"),
            name => Ok(Expansion::Rule(self.document.rule(name))),
        }
    }

    /// What may stand behind a part: its language, and how often it is repeated.
    fn repeats(&mut self, mut part: Expansion) -> Result<Expansion, GrammarError> {
        let mut repeated = false;
        loop {
            match self.peek()? {
                Some('!') => {
                    self.at += 1;
                    let tag = self.while_true(|c| c.is_ascii_alphanumeric() || c == '-');
                    if !self.document.is_language(tag) {
                        return self.unsupported("switching the language within a grammar is");
                    }
                }
                Some('<') if repeated => return self.error("one repeat follows another; put the first in parentheses"),
                Some('<') => {
                    self.at += 1;
                    let text = self.while_true(|c| c != '>' && c != '/' && c != ';');
                    let (least, most) = repeat_bounds(text.trim()).or_else(|what| self.error(what))?;
                    let probability = if self.take('/')? { Some(self.between_slashes(probability)?) } else { None };
                    self.expect('>')?;
                    part = Expansion::Repeat(Box::new(Repeat { what: part, least, most, probability }));
                    repeated = true;
                }
                _ => return Ok(part),
            }
        }
    }

    /// `{...}` or `{!{...}!}`: for the application that reads the result, not for recognition.
    fn tag(&mut self) -> Result<(), GrammarError> {
        let rest = self.rest();
        let (open, close) = if rest.starts_with("{!{") { (3, "}!}") } else { (1, "}") };
        match rest[open..].find(close) {
            Some(length) => {
                self.at += open + length + close.len();
                Ok(())
            }
            None => self.error(format!("a tag that has no end; write {close}")),
        }
    }
}
