//! `sendump`: mixture weights quantised to bytes, optionally clustered to 16 values and packed two to a byte.

use super::bytes::{ByteOrder, Cursor};
use crate::error::ParseError;

/// One step of a quantised weight in nats: the format keeps -log(w) divided by 1024, to the base 1.0001, which the tools
/// hold as a 32-bit number (1.0001000166).
pub const SENDUMP_STEP: f32 = 1024.0 * 1.000_115_9e-4;

/// Quantised weights of every senone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuantizedWeights {
    /// Number of feature streams.
    pub streams: usize,
    /// Number of densities of a codebook.
    pub densities: usize,
    /// Number of senones.
    pub senones: usize,
    /// \[stream\]\[density\]\[senone\], each -ln(w) in steps of 0.1024 (1024 units of the base 1.0001).
    pub values: Vec<u8>,
}

#[derive(Default)]
struct Header {
    streams: Option<usize>,
    densities: Option<usize>,
    senones: Option<usize>,
    clusters: usize,
    bits: Option<usize>,
}

const MANY: usize = 1 << 24;

/// Reads a sendump file for a model of `streams` x `densities` x `senones`.
///
/// # Errors
/// [`ParseError`] when it is truncated, malformed or made for other dimensions.
pub fn parse_sendump(
    bytes: &[u8],
    streams: usize,
    densities: usize,
    senones: usize,
) -> Result<QuantizedWeights, ParseError> {
    let mut cursor = Cursor::new(bytes);
    let header = parse_header(&mut cursor)?;
    let header_end = cursor.offset();
    for (name, stated, wanted) in [
        ("feature_count", header.streams, streams),
        ("mixture_count", header.densities, densities),
        ("model_count", header.senones, senones),
    ] {
        if stated.is_some_and(|stated| stated != wanted) {
            let reason = format!("{name} is {}, but the rest of the model has {wanted}", stated.unwrap_or(0));
            return Err(cursor.error_at(header_end, reason));
        }
    }
    let bits = header.bits.unwrap_or(8);
    if !matches!(header.clusters, 0 | 15 | 16) || !matches!(bits, 4 | 8) || (bits == 4 && header.clusters == 0) {
        let reason =
            format!("{} clusters of {bits} bits: 0, 15 or 16 of 8, or 15 or 16 of 4 expected", header.clusters);
        return Err(cursor.error_at(header_end, reason));
    }
    // Unclustered files state rows and columns, and may pad the columns.
    let columns = if header.clusters == 0 {
        cursor.count(densities, densities, "number of densities")?;
        cursor.count(senones, MANY.max(senones), "number of columns")?
    } else {
        senones
    };
    // Fifteen clusters still take sixteen entries: the last is never used.
    let codebook = match header.clusters {
        0 => None,
        _ => Some(cursor.take(16, "the cluster codebook")?),
    };
    let row_bytes = if bits == 4 { columns.div_ceil(2) } else { columns };
    let rows = streams * densities;
    cursor.require(rows, row_bytes, "the weights")?;
    let mut values = Vec::with_capacity(rows * senones);
    for _ in 0..rows {
        let at = cursor.offset();
        let row = cursor.take(row_bytes, "a row of weights")?;
        for senone in 0..senones {
            let code = match bits {
                4 => row[senone / 2] >> (4 * (senone & 1)) & 0x0f,
                _ => row[senone],
            };
            values.push(match codebook {
                None => code,
                Some(codebook) => *codebook
                    .get(usize::from(code))
                    .ok_or_else(|| cursor.error_at(at + senone, format!("weight cluster {code} of 16")))?,
            });
        }
    }
    cursor.finish()?;
    Ok(QuantizedWeights { streams, densities, senones, values })
}

/// Length-prefixed strings up to an empty one. The first length also tells the byte order, by being plausible.
fn parse_header(cursor: &mut Cursor) -> Result<Header, ParseError> {
    let mut header = Header::default();
    let first = cursor.clone().u32("the length of the title")?;
    if !(1..1000).contains(&first) {
        cursor.order = ByteOrder::Big;
    }
    let mut count = 0;
    loop {
        // Title and format version are required, whatever they say.
        let length = cursor.count(usize::from(count < 2), 999, "length of a header string")?;
        count += 1;
        if length == 0 {
            return Ok(header);
        }
        let at = cursor.offset();
        let string = cursor.take(length, "a header string")?;
        // Only the first two strings are required to end in NUL; some writers leave it out of the others.
        let string = match string.split_last() {
            Some((0, string)) => string,
            _ if count <= 2 => return Err(cursor.error_at(at, "the title does not end in NUL")),
            _ => string,
        };
        let Ok(string) = std::str::from_utf8(string) else { continue };
        let Some((key, value)) = string.split_once(' ') else { continue };
        let number = || {
            value
                .trim()
                .parse::<usize>()
                .map_err(|_| cursor.error_at(at, format!("{key} is {value:?}; a number expected")))
        };
        match key {
            "feature_count" => header.streams = Some(number()?),
            "mixture_count" => header.densities = Some(number()?),
            "model_count" => header.senones = Some(number()?),
            "cluster_count" => header.clusters = number()?,
            "cluster_bits" => header.bits = Some(number()?),
            _ => {}
        }
    }
}
