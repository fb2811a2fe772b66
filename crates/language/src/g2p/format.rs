//! The file of a grapheme-to-phoneme model.
//!
//! Numbers are varints (seven bits a byte, least significant first, high bit set on all but the last) unless said
//! otherwise.
//!
//! ```text
//! magic "DG2P", version (1 byte) 1
//! letters:   count, then each as UTF-8 text (length, bytes)
//! phones:    count, then each as text
//! graphones: count, then each as 4 bytes: letter, letter or 255, phone or 255, phone or 255
//! levels:    count, then for each level the number of its n-grams
//! n-grams:   level by level, sorted by their tokens: for each
//!              token less the one before it under the same history (at the first: token itself)
//!              -16 ln p rounded, as one byte
//!              but on the last level: number of n-grams that continue it, and where there are any
//!              16 ln(back-off weight) rounded, as one signed byte
//! ```
//!
//! Level 1 has every token, 0 to the number of graphones + 1, in order.

use super::model::{FIRST_GRAPHONE, Graphone, NONE, NgramTrie, Nodes};
use super::{G2p, G2pError, MOST_SYMBOLS};

const MAGIC: &[u8; 5] = b"DG2P\x01";
const STEPS: f32 = 16.0;

pub(super) fn write(model: &G2p) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    varint(&mut out, model.letters.len());
    for letter in &model.letters {
        text(&mut out, letter.encode_utf8(&mut [0; 4]));
    }
    varint(&mut out, model.phones.len());
    for phone in &model.phones {
        text(&mut out, phone);
    }
    varint(&mut out, model.graphones.len());
    for graphone in &model.graphones {
        out.extend(graphone.letters);
        out.extend(graphone.phones);
    }
    write_trie(&mut out, &model.trie);
    out
}

fn write_trie(out: &mut Vec<u8>, trie: &NgramTrie) {
    let mut levels = Vec::new();
    let mut level = trie.children(0);
    while !level.is_empty() {
        levels.push(level.clone());
        level = trie.children(level.start).start..trie.children(level.end - 1).end;
    }
    varint(out, levels.len());
    for level in &levels {
        varint(out, level.len());
    }
    for depth in 0..levels.len() {
        let parents = if depth == 0 { 0..1 } else { levels[depth - 1].clone() };
        for parent in parents {
            let mut before = 0;
            for node in trie.children(parent) {
                varint(out, usize::from(trie.token(node) - before));
                before = trie.token(node);
                out.push((-trie.probability(node) * STEPS).round().clamp(0.0, 255.0) as u8);
                if depth + 1 < levels.len() {
                    let children = trie.children(node).len();
                    varint(out, children);
                    if children > 0 {
                        out.push((trie.backoff(node) * STEPS).round().clamp(-128.0, 127.0) as i8 as u8);
                    }
                }
            }
        }
    }
}

fn varint(out: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn text(out: &mut Vec<u8>, text: &str) {
    varint(out, text.len());
    out.extend_from_slice(text.as_bytes());
}

pub(super) fn read(bytes: &[u8]) -> Result<G2p, G2pError> {
    let mut reader = Reader { bytes, at: 0 };
    if reader.take(MAGIC.len())? != MAGIC {
        reader.at = 0;
        return Err(reader.fault("does not begin like a model of version 1"));
    }
    let letters = reader.letters()?;
    let phones = reader.phones()?;
    let graphones = reader.graphones(letters.len(), phones.len())?;
    let trie = reader.trie(graphones.len())?;
    if reader.at != bytes.len() {
        return Err(reader.fault("goes on after its end"));
    }
    Ok(G2p::assemble(letters, phones, graphones, trie))
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn fault(&self, what: &'static str) -> G2pError {
        G2pError::Malformed { offset: self.at, what }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], G2pError> {
        let rest = &self.bytes[self.at..];
        let taken = rest.get(..count).ok_or_else(|| self.fault("ends too early"))?;
        self.at += count;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, G2pError> {
        Ok(self.take(1)?[0])
    }

    fn varint(&mut self) -> Result<usize, G2pError> {
        let mut value = 0u32;
        for shift in [0, 7, 14, 21] {
            let byte = self.byte()?;
            value |= u32::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                return Ok(value as usize);
            }
        }
        Err(self.fault("has a number that is too large"))
    }

    /// A number of things that take at least `size` bytes each: no more than can follow.
    fn count(&mut self, size: usize) -> Result<usize, G2pError> {
        let count = self.varint()?;
        if count > (self.bytes.len() - self.at) / size {
            return Err(self.fault("counts more than it holds"));
        }
        Ok(count)
    }

    fn text(&mut self) -> Result<&'a str, G2pError> {
        let length = self.varint()?;
        let bytes = self.take(length)?;
        std::str::from_utf8(bytes).map_err(|_| self.fault("has a text that is not UTF-8"))
    }

    fn letters(&mut self) -> Result<Vec<char>, G2pError> {
        let count = self.count(2)?;
        let mut letters: Vec<char> = Vec::new();
        for _ in 0..count {
            let text = self.text()?;
            let mut chars = text.chars();
            match (chars.next(), chars.next()) {
                (Some(letter), None) if letters.last().is_none_or(|&last| last < letter) => letters.push(letter),
                _ => return Err(self.fault("has letters that are not single characters in order")),
            }
        }
        if letters.is_empty() || letters.len() > MOST_SYMBOLS {
            return Err(self.fault("has no letters or too many"));
        }
        Ok(letters)
    }

    fn phones(&mut self) -> Result<Vec<String>, G2pError> {
        let count = self.count(1)?;
        if count == 0 || count > MOST_SYMBOLS {
            return Err(self.fault("has no phones or too many"));
        }
        (0..count).map(|_| self.text().map(str::to_owned)).collect()
    }

    fn graphones(&mut self, letters: usize, phones: usize) -> Result<Vec<Graphone>, G2pError> {
        let count = self.count(4)?;
        if count > usize::from(u16::MAX - FIRST_GRAPHONE) {
            return Err(self.fault("has too many graphones"));
        }
        let mut graphones: Vec<Graphone> = Vec::with_capacity(count);
        for _ in 0..count {
            let bytes = self.take(4)?;
            let graphone = Graphone { letters: [bytes[0], bytes[1]], phones: [bytes[2], bytes[3]] };
            let known = |symbol: u8, count: usize| usize::from(symbol) < count;
            let optional = |symbol: u8, count: usize| symbol == NONE || known(symbol, count);
            let valid = known(graphone.letters[0], letters)
                && optional(graphone.letters[1], letters)
                && optional(graphone.phones[0], phones)
                && optional(graphone.phones[1], phones);
            if !valid || graphones.last().is_some_and(|last| last.letters[0] > graphone.letters[0]) {
                return Err(self.fault("has a graphone of unknown symbols or out of order"));
            }
            graphones.push(graphone);
        }
        Ok(graphones)
    }

    fn trie(&mut self, graphones: usize) -> Result<NgramTrie, G2pError> {
        let unigrams = graphones + usize::from(FIRST_GRAPHONE);
        let level_count = self.varint()?;
        if !(1..=super::estimate::LONGEST_NGRAM).contains(&level_count) {
            return Err(self.fault("has an order that is not supported"));
        }
        let levels = (0..level_count).map(|_| self.count(2)).collect::<Result<Vec<usize>, _>>()?;
        if levels[0] != unigrams || levels.iter().sum::<usize>() > (self.bytes.len() - self.at) / 2 {
            return Err(self.fault("counts other n-grams than it holds"));
        }
        let mut nodes =
            Nodes { tokens: vec![0], probability: vec![0.0], backoff: vec![0.0], child_counts: vec![unigrams as u32] };
        let mut parent = 0;
        for (depth, &expected) in levels.iter().enumerate() {
            let parents = parent..nodes.tokens.len();
            parent = nodes.tokens.len();
            let mut read = 0;
            for history in parents {
                let children = nodes.child_counts[history];
                let mut before = None;
                for _ in 0..children {
                    before = Some(self.ngram(&mut nodes, before, unigrams, depth + 1 < level_count)?);
                    read += 1;
                }
            }
            if read != expected {
                return Err(self.fault("ends a level early or late"));
            }
            if depth == 0 && !nodes.tokens[1..].iter().enumerate().all(|(at, &token)| at == usize::from(token)) {
                return Err(self.fault("lacks the unigram of some graphone"));
            }
        }
        Ok(NgramTrie::new(nodes))
    }

    fn ngram(&mut self, nodes: &mut Nodes, before: Option<u16>, tokens: usize, inner: bool) -> Result<u16, G2pError> {
        let step = self.varint()?;
        let token = usize::from(before.unwrap_or(0)) + step;
        if token >= tokens || (before.is_some() && step == 0) {
            return Err(self.fault("has tokens out of range or out of order"));
        }
        nodes.tokens.push(token as u16);
        nodes.probability.push(-f32::from(self.byte()?) / STEPS);
        let children = if inner { self.count(2)? } else { 0 };
        nodes.child_counts.push(children as u32);
        nodes.backoff.push(if children > 0 { f32::from(self.byte()? as i8) / STEPS } else { 0.0 });
        Ok(token as u16)
    }
}
