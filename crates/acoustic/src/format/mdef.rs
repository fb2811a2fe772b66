//! Model definition (`mdef`): phones, triphones and the senones they are made of. Binary form; the text form is next door.

use super::bytes::{ByteOrder, Cursor};
use super::mdef_text;
use crate::error::ParseError;

/// Where in its word a phone stands. The numbers are those of the binary format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum WordPosition {
    /// Neither first nor last.
    Internal = 0,
    /// First of several.
    Begin = 1,
    /// Last of several.
    End = 2,
    /// The only one.
    Single = 3,
}

impl WordPosition {
    /// All positions in the order in which Sphinx tries them when a triphone is missing.
    pub const ALL: [WordPosition; 4] =
        [WordPosition::Internal, WordPosition::Begin, WordPosition::End, WordPosition::Single];
}

/// A context-independent phone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BasePhone {
    /// Its name, e.g. `AA` or `+NSN+`.
    pub name: String,
    /// Silence or noise: as a context it counts as silence.
    pub filler: bool,
    /// Index into [`ModelDefinition::sequences`].
    pub sequence: u32,
    /// Index of its transition matrix.
    pub transition: u32,
}

/// A phone in context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Triphone {
    /// The phone itself, an index into [`ModelDefinition::phones`].
    pub center: u8,
    /// The phone before.
    pub left: u8,
    /// The phone after.
    pub right: u8,
    /// Where in the word.
    pub position: WordPosition,
    /// Index into [`ModelDefinition::sequences`].
    pub sequence: u32,
}

/// A model definition file, checked: every index in it is in range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelDefinition {
    /// Context-independent phones; a phone's id is its index.
    pub phones: Vec<BasePhone>,
    /// Phones in context, in file order.
    pub triphones: Vec<Triphone>,
    /// Senones of each three-state HMM.
    pub sequences: Vec<[u16; 3]>,
    /// Number of senones.
    pub senones: usize,
    /// Number of senones that belong to context-independent phones; they come first.
    pub base_senones: usize,
    /// Number of transition matrices.
    pub transitions: usize,
}

/// Most phones a Sphinx model can have: ids are bytes and 255 is reserved.
pub(super) const MAX_PHONES: usize = 255;
/// Most senones: ids are 16 bits and 0xffff is reserved.
pub(super) const MAX_SENONES: usize = 0xfffe;
/// Emitting states per phone. Every published model has three.
pub(super) const STATES: usize = 3;

const MAGIC: u32 = 0x4644_4d42;
const VERSION: usize = 1;
/// Ten counters of the binary header are limited to this before anything is multiplied.
const MANY: usize = 1 << 27;

/// Reads a model definition, binary (either byte order) or text (version 0.3).
///
/// # Errors
/// [`ParseError`] when the bytes are neither, are truncated, or hold an index out of range.
pub fn parse_mdef(bytes: &[u8]) -> Result<ModelDefinition, ParseError> {
    match bytes.get(..4) {
        Some(b"BMDF") => parse_binary(bytes, ByteOrder::Little),
        Some(b"FDMB") => parse_binary(bytes, ByteOrder::Big),
        _ => mdef_text::parse(bytes),
    }
}

struct Header {
    phones: usize,
    all_phones: usize,
    base_senones: usize,
    senones: usize,
    transitions: usize,
    sequences: usize,
    tree_nodes: usize,
}

fn parse_binary(bytes: &[u8], order: ByteOrder) -> Result<ModelDefinition, ParseError> {
    let mut cursor = Cursor::new(bytes);
    cursor.order = order;
    let magic = cursor.u32("the magic number")?;
    debug_assert_eq!(magic, MAGIC);
    cursor.count(VERSION, VERSION, "format version")?;
    let description = cursor.count(0, MANY, "length of the format description")?;
    cursor.take(description, "the format description")?;
    let header = parse_header(&mut cursor)?;
    let names = parse_names(&mut cursor, header.phones)?;
    // The tree is an index over the triphones that follow; ours is built from those (`Units`), so this is skipped.
    cursor.require(header.tree_nodes, 8, "the triphone tree")?;
    cursor.take(header.tree_nodes * 8, "the triphone tree")?;
    let (phones, triphones) = parse_phones(&mut cursor, &header, names)?;
    let sequences = parse_sequences(&mut cursor, &header)?;
    cursor.finish()?;
    Ok(ModelDefinition {
        phones,
        triphones,
        sequences,
        senones: header.senones,
        base_senones: header.base_senones,
        transitions: header.transitions,
    })
}

fn parse_header(cursor: &mut Cursor) -> Result<Header, ParseError> {
    let phones = cursor.count(1, MAX_PHONES, "number of phones")?;
    let all_phones = cursor.count(phones, MANY, "number of phones and triphones")?;
    cursor.count(STATES, STATES, "number of emitting states")?;
    let base_senones = cursor.count(1, MAX_SENONES, "number of context-independent senones")?;
    let senones = cursor.count(base_senones, MAX_SENONES, "number of senones")?;
    let transitions = cursor.count(1, MANY, "number of transition matrices")?;
    let sequences = cursor.count(1, MANY, "number of senone sequences")?;
    cursor.count(3, 3, "number of context phones")?;
    let tree_nodes = cursor.count(0, MANY, "number of tree nodes")?;
    cursor.i32("the silence phone")?;
    Ok(Header { phones, all_phones, base_senones, senones, transitions, sequences, tree_nodes })
}

fn parse_names(cursor: &mut Cursor, count: usize) -> Result<Vec<String>, ParseError> {
    let start = cursor.offset();
    let mut names = Vec::with_capacity(count);
    for _ in 0..count {
        let at = cursor.offset();
        let name = cursor.take_until(0, 64, "a phone name")?;
        let name = std::str::from_utf8(name)
            .ok()
            .filter(|name| !name.is_empty() && !name.contains(char::is_whitespace))
            .ok_or_else(|| cursor.error_at(at, "a phone name is empty or not text"))?;
        names.push(name.to_string());
    }
    let length = cursor.offset() - start;
    cursor.take(length.next_multiple_of(4) - length, "padding after the phone names")?;
    Ok(names)
}

fn parse_phones(
    cursor: &mut Cursor,
    header: &Header,
    names: Vec<String>,
) -> Result<(Vec<BasePhone>, Vec<Triphone>), ParseError> {
    cursor.require(header.all_phones, 12, "the phone table")?;
    let mut phones = Vec::with_capacity(header.phones);
    for name in names {
        let (sequence, transition, attributes) = parse_entry(cursor, header)?;
        phones.push(BasePhone { name, filler: attributes[0] != 0, sequence, transition });
    }
    let mut triphones = Vec::with_capacity(header.all_phones - header.phones);
    for _ in header.phones..header.all_phones {
        let at = cursor.offset();
        let (sequence, transition, [position, center, left, right]) = parse_entry(cursor, header)?;
        if [center, left, right].iter().any(|&phone| usize::from(phone) >= header.phones) {
            return Err(cursor.error_at(at + 8, "a triphone is made of a phone that does not exist"));
        }
        let position = *WordPosition::ALL
            .get(usize::from(position))
            .ok_or_else(|| cursor.error_at(at + 8, format!("word position {position}; 0 to 3 expected")))?;
        // Sphinx training ties transitions to the phone; a table per triphone would be another topology.
        if transition != phones[usize::from(center)].transition {
            return Err(cursor.error_at(at + 4, "a triphone has other transitions than its phone"));
        }
        triphones.push(Triphone { center, left, right, position, sequence });
    }
    Ok((phones, triphones))
}

fn parse_entry(cursor: &mut Cursor, header: &Header) -> Result<(u32, u32, [u8; 4]), ParseError> {
    let sequence = cursor.count(0, header.sequences - 1, "senone sequence of a phone")?;
    let transition = cursor.count(0, header.transitions - 1, "transition matrix of a phone")?;
    let attributes = cursor.take(4, "attributes of a phone")?;
    Ok((sequence as u32, transition as u32, [attributes[0], attributes[1], attributes[2], attributes[3]]))
}

fn parse_sequences(cursor: &mut Cursor, header: &Header) -> Result<Vec<[u16; 3]>, ParseError> {
    let elements = header.sequences * STATES;
    cursor.count(elements, elements, "number of senone sequence elements")?;
    cursor.require(elements, 2, "the senone sequences")?;
    let mut sequences = Vec::with_capacity(header.sequences);
    for _ in 0..header.sequences {
        let mut sequence = [0; STATES];
        for senone in &mut sequence {
            let at = cursor.offset();
            *senone = cursor.u16("a senone")?;
            if usize::from(*senone) >= header.senones {
                return Err(cursor.error_at(at, format!("senone {senone} of {}", header.senones)));
            }
        }
        sequences.push(sequence);
    }
    Ok(sequences)
}
