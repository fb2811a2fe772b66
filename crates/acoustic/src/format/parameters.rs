//! The "s3" container in which Sphinx keeps means, variances, mixture weights and transition matrices.
//!
//! `s3\n`, `key value` lines, `endhdr\n`, the word 0x11223344 in the writer's byte order, dimensions, floats, and a
//! checksum when the header has `chksum0`.

use super::bytes::{ByteOrder, Cursor};
use crate::error::ParseError;

/// Which array an s3 file holds; they differ in their dimensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParameterKind {
    /// `means` and `variances`: codebooks, streams, densities; then the length of each stream.
    Densities,
    /// `mixture_weights`: senones, streams, densities.
    MixtureWeights,
    /// `transition_matrices`: matrices, states from, states to.
    TransitionMatrices,
}

/// An s3 file: its dimensions and its numbers, row-major in the order of the dimensions.
#[derive(Debug, Clone, PartialEq)]
pub struct ParameterFile {
    /// The three counts that [`ParameterKind`] names.
    pub shape: [usize; 3],
    /// For [`ParameterKind::Densities`] the length of each stream, else empty.
    pub stream_lengths: Vec<usize>,
    /// The numbers, all finite.
    pub values: Vec<f32>,
}

const MANY: usize = 1 << 27;
const MAX_STREAMS: usize = 16;

/// Reads an s3 file.
///
/// # Errors
/// [`ParseError`] when it is no s3 file, truncated, its checksum is wrong, its dimensions do not multiply to its size, or
/// a number is not finite.
pub fn parse_parameters(bytes: &[u8], kind: ParameterKind) -> Result<ParameterFile, ParseError> {
    let mut cursor = Cursor::new(bytes);
    let checksummed = parse_header(&mut cursor)?;
    let data_start = cursor.offset();
    let (names, last) = match kind {
        ParameterKind::Densities => (["number of codebooks", "number of streams", "number of densities"], MANY),
        ParameterKind::MixtureWeights => (["number of senones", "number of streams", "number of densities"], MANY),
        ParameterKind::TransitionMatrices => {
            (["number of matrices", "number of source states", "number of states"], 64)
        }
    };
    let middle = match kind {
        ParameterKind::TransitionMatrices => 64,
        _ => MAX_STREAMS,
    };
    let shape =
        [cursor.count(1, MANY, names[0])?, cursor.count(1, middle, names[1])?, cursor.count(1, last, names[2])?];
    let mut stream_lengths = Vec::new();
    if kind == ParameterKind::Densities {
        for _ in 0..shape[1] {
            stream_lengths.push(cursor.count(1, 1024, "length of a stream")?);
        }
    }
    let expected = match kind {
        ParameterKind::Densities => [shape[0], shape[2], stream_lengths.iter().sum()],
        _ => shape,
    };
    let expected = expected.iter().try_fold(1usize, |product, &dimension| product.checked_mul(dimension));
    let at = cursor.offset();
    let total = cursor.i32("number of values")?;
    let total = usize::try_from(total)
        .ok()
        .filter(|&total| Some(total) == expected)
        .ok_or_else(|| cursor.error_at(at, format!("{total} values do not fill the dimensions {shape:?}")))?;
    let values = cursor.floats(total, "value")?;
    if checksummed {
        let data_end = cursor.offset();
        let actual = checksum(&bytes[data_start..data_end], cursor.order);
        let stated = cursor.u32("the checksum")?;
        if stated != actual {
            return Err(cursor.error_at(data_end, format!("checksum is {actual:08x}, the file says {stated:08x}")));
        }
    }
    cursor.finish()?;
    Ok(ParameterFile { shape, stream_lengths, values })
}

/// Reads the text header and the byte order word; tells whether a checksum follows the data.
fn parse_header(cursor: &mut Cursor) -> Result<bool, ParseError> {
    const LINE: usize = 4096;
    if cursor.take_until(b'\n', LINE, "the first line").ok() != Some(b"s3") {
        return Err(cursor.error_at(0, "not an s3 parameter file: the first line must be \"s3\""));
    }
    let mut checksummed = false;
    loop {
        let line = cursor.take_until(b'\n', LINE, "a header line")?;
        let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        match words.next() {
            Some(b"endhdr") => break,
            // Sphinx looks at the key only: whatever its value, a checksum follows.
            Some(b"chksum0") => checksummed = true,
            _ => {}
        }
    }
    let at = cursor.offset();
    match cursor.u32("the byte order word")? {
        0x1122_3344 => {}
        0x4433_2211 => cursor.order = ByteOrder::Big,
        other => return Err(cursor.error_at(at, format!("byte order word is {other:08x}; 11223344 expected"))),
    }
    Ok(checksummed)
}

/// Rotating sum over 32-bit words.
fn checksum(words: &[u8], order: ByteOrder) -> u32 {
    words.chunks_exact(4).fold(0u32, |sum, word| {
        let word = [word[0], word[1], word[2], word[3]];
        let word = match order {
            ByteOrder::Little => u32::from_le_bytes(word),
            ByteOrder::Big => u32::from_be_bytes(word),
        };
        sum.rotate_left(20).wrapping_add(word)
    })
}
