//! The XML form of SRGS 1.0 (W3C Recommendation of 16 March 2004, appendix C).
//!
//! The document is walked event by event. A document type declaration is stepped over, but one with declarations of its
//! own is refused: no entity is ever defined, so none can expand, and nothing outside the document is named.

use std::collections::HashMap;

use quick_xml::XmlVersion;
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::reader::Reader;

use super::document::{DEEPEST, Document, Expansion, Repeat, probability, repeat_bounds, sequence, weight};
use super::{GrammarError, GrammarPlace};

/// Most bytes of the attributes of an element; they are compared with each other.
const LONGEST_ATTRIBUTES: usize = 4096;

pub(super) fn parse(text: &str) -> Result<Document, GrammarError> {
    let mut parser = Parser { text, reader: Reader::from_str(text), document: Document::new(), started: 0 };
    parser.reader.config_mut().expand_empty_elements = true;
    parser.grammar()?;
    Ok(parser.document)
}

struct Parser<'a> {
    text: &'a str,
    reader: Reader<&'a [u8]>,
    document: Document,
    /// Where the event at hand begins.
    started: usize,
}

/// The attributes of an element, by their names.
type Attributes = HashMap<String, String>;

/// What a list of expansions is read from.
enum Node {
    Text(String),
    Start(String, Attributes),
    End,
}

impl<'a> Parser<'a> {
    fn place(&self) -> GrammarPlace {
        GrammarPlace::of(self.text, self.started)
    }

    fn error<T>(&self, what: impl Into<String>) -> Result<T, GrammarError> {
        Err(GrammarError::Syntax { place: self.place(), what: what.into() })
    }

    fn unsupported<T>(&self, what: impl Into<String>) -> Result<T, GrammarError> {
        Err(GrammarError::Unsupported { place: self.place(), what: what.into() })
    }

    fn event(&mut self) -> Result<Event<'a>, GrammarError> {
        self.started = self.reader.buffer_position() as usize;
        match self.reader.read_event() {
            Ok(event) => Ok(event),
            Err(error) => {
                self.started = self.reader.error_position() as usize;
                self.error(format!("not well-formed XML: {error}"))
            }
        }
    }

    /// The next thing that counts.
    fn node(&mut self) -> Result<Node, GrammarError> {
        loop {
            match self.event()? {
                Event::Start(element) | Event::Empty(element) => {
                    let name = String::from_utf8_lossy(element.local_name().as_ref()).into_owned();
                    let attributes = self.attributes(&element)?;
                    return Ok(Node::Start(name, attributes));
                }
                Event::End(_) => return Ok(Node::End),
                Event::Text(text) => return Ok(Node::Text(String::from_utf8_lossy(&text).into_owned())),
                Event::CData(text) => return Ok(Node::Text(String::from_utf8_lossy(&text).into_owned())),
                Event::GeneralRef(reference) => return self.entity(&reference).map(Node::Text),
                Event::DocType(doctype) => {
                    if doctype.contains(&b'[') {
                        return self.unsupported("a document type with declarations of its own is");
                    }
                }
                Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
                Event::Eof => return self.error("the document ends before its elements do"),
            }
        }
    }

    /// XML's five entities, and characters by number.
    fn entity(&self, reference: &BytesRef<'_>) -> Result<String, GrammarError> {
        let name = String::from_utf8_lossy(reference).into_owned();
        match name.as_str() {
            "amp" => Ok("&".into()),
            "lt" => Ok("<".into()),
            "gt" => Ok(">".into()),
            "quot" => Ok("\"".into()),
            "apos" => Ok("'".into()),
            _ => match reference.resolve_char_ref() {
                Ok(Some(c)) => Ok(c.into()),
                _ => self.unsupported(format!("the entity '&{};' is", name.chars().take(32).collect::<String>())),
            },
        }
    }

    fn attributes(&self, element: &BytesStart<'_>) -> Result<Attributes, GrammarError> {
        if element.attributes_raw().len() > LONGEST_ATTRIBUTES {
            return self.error(format!("attributes of more than {LONGEST_ATTRIBUTES} bytes"));
        }
        let mut attributes = HashMap::new();
        for attribute in element.attributes() {
            let attribute = match attribute {
                Ok(attribute) => attribute,
                Err(error) => return self.error(format!("not well-formed XML: {error}")),
            };
            let name = String::from_utf8_lossy(attribute.key.as_ref()).into_owned();
            match attribute.normalized_value(XmlVersion::Implicit1_0) {
                Ok(value) => attributes.insert(name, value.into_owned()),
                Err(error) => return self.error(format!("the attribute '{name}': {error}")),
            };
        }
        Ok(attributes)
    }

    fn grammar(&mut self) -> Result<(), GrammarError> {
        let attributes = loop {
            match self.node()? {
                Node::Text(text) if text.trim().is_empty() => {}
                Node::Start(name, attributes) if name == "grammar" => break attributes,
                _ => return self.error("an XML grammar is a 'grammar' element"),
            }
        };
        if attributes.get("version").is_none_or(|version| version.trim() != "1.0") {
            return self.error("the version of the grammar is 1.0: write version=\"1.0\"");
        }
        match attributes.get("mode").map(String::as_str) {
            None | Some("voice") => {}
            Some("dtmf") => return self.unsupported("mode dtmf (keys of a telephone) is"),
            Some(_) => return self.error("the mode is 'voice'"),
        }
        self.document.language = attributes.get("xml:lang").map(|tag| tag.trim().to_owned());
        loop {
            match self.node()? {
                Node::Text(text) if text.trim().is_empty() => {}
                Node::Text(_) => return self.error("text outside of a rule"),
                Node::Start(name, attributes) => match name.as_str() {
                    "rule" => self.rule(&attributes)?,
                    "tag" | "meta" | "metadata" | "lexicon" => self.skip()?,
                    _ => return self.error(format!("the element '{name}' does not belong into a grammar")),
                },
                Node::End => break,
            }
        }
        loop {
            match self.event()? {
                Event::Eof => break,
                Event::Comment(_) | Event::PI(_) => {}
                Event::Text(text) if text.trim_ascii().is_empty() => {}
                _ => return self.error("something follows the grammar"),
            }
        }
        if let Some(root) = attributes.get("root") {
            let root = self.document.rule(root.trim());
            self.document.root = Some(root);
        }
        Ok(())
    }

    fn rule(&mut self, attributes: &Attributes) -> Result<(), GrammarError> {
        let started = self.started;
        let name = attributes.get("id").map(|id| id.trim()).unwrap_or_default();
        if name.is_empty() {
            return self.error("a rule has a name: write id=\"...\"");
        }
        if matches!(name, "NULL" | "VOID" | "GARBAGE") {
            return self.error(format!("the name '{name}' is reserved"));
        }
        if !matches!(attributes.get("scope").map(String::as_str), None | Some("public" | "private")) {
            return self.error("the scope of a rule is 'public' or 'private'");
        }
        let expansion = self.expansion(0)?;
        if !self.document.define(name, expansion) {
            self.started = started;
            return self.error(format!("rule '{name}' is defined twice"));
        }
        Ok(())
    }

    /// The contents of a rule or item, up to its end.
    fn expansion(&mut self, depth: usize) -> Result<Expansion, GrammarError> {
        if depth > DEEPEST {
            return self.error(format!("elements are nested deeper than {DEEPEST}"));
        }
        let mut parts = Vec::new();
        // Pieces of text that belong together: entities come one by one.
        let mut text = String::new();
        loop {
            let node = self.node()?;
            if let Node::Text(piece) = &node {
                text.push_str(piece);
                continue;
            }
            self.tokens(&std::mem::take(&mut text), &mut parts)?;
            match node {
                Node::Start(name, attributes) => {
                    if let Some(part) = self.element(&name, &attributes, depth)? {
                        parts.push(part);
                    }
                }
                Node::End | Node::Text(_) => return Ok(sequence(parts)),
            }
        }
    }

    /// Text outside of `token` elements: words, and tokens in quotes, which here are words as well.
    fn tokens(&mut self, text: &str, parts: &mut Vec<Expansion>) -> Result<(), GrammarError> {
        if text.matches('"').count() % 2 == 1 {
            return self.error("a quoted token that has no end");
        }
        for piece in text.split('"') {
            let before = parts.len();
            self.document.words(piece, parts).or_else(|what| self.error(what))?;
            for _ in before..parts.len() {
                self.document.count_part()?;
            }
        }
        Ok(())
    }

    fn element(
        &mut self,
        name: &str,
        attributes: &Attributes,
        depth: usize,
    ) -> Result<Option<Expansion>, GrammarError> {
        self.check_language(attributes)?;
        self.document.count_part()?;
        match name {
            "item" => self.item(attributes, depth).map(|(_, item)| Some(item)),
            "one-of" => self.one_of(depth).map(Some),
            "ruleref" => {
                let reference = self.reference(attributes)?;
                self.skip()?;
                Ok(Some(reference))
            }
            "token" => {
                let token = self.token()?;
                Ok(Some(token))
            }
            "tag" | "example" => self.skip().map(|()| None),
            _ => self.error(format!("the element '{name}' does not belong into a rule")),
        }
    }

    fn check_language(&self, attributes: &Attributes) -> Result<(), GrammarError> {
        match attributes.get("xml:lang") {
            Some(tag) if !self.document.is_language(tag) => {
                self.unsupported("switching the language within a grammar is")
            }
            _ => Ok(()),
        }
    }

    fn item(&mut self, attributes: &Attributes, depth: usize) -> Result<(f32, Expansion), GrammarError> {
        let read = |text: Option<&String>, read: fn(&str) -> Result<f32, String>| {
            text.map(|text| read(text).or_else(|what| self.error(what))).transpose()
        };
        let weight = read(attributes.get("weight"), weight)?.unwrap_or(1.0);
        let probability = read(attributes.get("repeat-prob"), probability)?;
        let bounds = match attributes.get("repeat") {
            Some(text) => Some(repeat_bounds(text.trim()).or_else(|what| self.error(what))?),
            None => None,
        };
        let what = self.expansion(depth + 1)?;
        Ok(match bounds {
            Some((least, most)) => (weight, Expansion::Repeat(Box::new(Repeat { what, least, most, probability }))),
            None => (weight, what),
        })
    }

    fn one_of(&mut self, depth: usize) -> Result<Expansion, GrammarError> {
        let mut alternatives = Vec::new();
        loop {
            match self.node()? {
                Node::Text(text) if text.trim().is_empty() => {}
                Node::Start(name, attributes) if name == "item" => {
                    self.document.count_part()?;
                    self.check_language(&attributes)?;
                    alternatives.push(self.item(&attributes, depth)?);
                }
                Node::End if alternatives.is_empty() => return self.error("a 'one-of' without items"),
                Node::End => return Ok(Expansion::Alternatives(alternatives)),
                _ => return self.error("a 'one-of' holds items only"),
            }
        }
    }

    fn reference(&mut self, attributes: &Attributes) -> Result<Expansion, GrammarError> {
        match (attributes.get("uri"), attributes.get("special").map(String::as_str)) {
            (Some(uri), None) => match uri.trim().strip_prefix('#') {
                Some("") => self.error("a reference has the name of a rule behind its '#'"),
                Some(name) => Ok(Expansion::Rule(self.document.rule(name))),
                None => self.unsupported("a reference to another document (a uri that does not begin with '#') is"),
            },
            (None, Some("NULL")) => Ok(Expansion::Sequence(Vec::new())),
            (None, Some("VOID")) => Ok(Expansion::Void),
            (None, Some("GARBAGE")) => self.unsupported("the special rule GARBAGE is"),
            _ => self.error("a 'ruleref' has either a uri, as in uri=\"#rule\", or is special"),
        }
    }

    /// The words of a `token` element.
    fn token(&mut self) -> Result<Expansion, GrammarError> {
        let mut text = String::new();
        loop {
            match self.node()? {
                Node::Text(piece) => text.push_str(&piece),
                Node::End => break,
                Node::Start(..) => return self.error("a 'token' holds text only"),
            }
        }
        let mut words = Vec::new();
        self.document.words(&text.replace('"', " "), &mut words).or_else(|what| self.error(what))?;
        if words.is_empty() { self.error("a 'token' without words") } else { Ok(sequence(words)) }
    }

    /// Steps over the rest of an element.
    fn skip(&mut self) -> Result<(), GrammarError> {
        let mut open = 1;
        while open > 0 {
            match self.node()? {
                Node::Start(..) => open += 1,
                Node::End => open -= 1,
                Node::Text(_) => {}
            }
        }
        Ok(())
    }
}
