//! Tensors: what their headers say, held against what is there.

use crate::error::ParseError;

use super::wire::{Message, Value};
use super::{pair, product};

/// Constants of as many values are remembered: shapes are that short.
const FEW: usize = 8;

/// What is worth knowing of a tensor.
pub(super) struct Tensor {
    pub name: String,
    /// Its values, of a few whole numbers.
    pub numbers: Option<Vec<i64>>,
    /// The file in which its values are, when that is another one.
    pub beside: Option<String>,
}

/// The fields of a `TensorProto` that matter.
#[derive(Default)]
struct Header<'a> {
    name: String,
    shape: Vec<i64>,
    element: u64,
    raw: Option<&'a [u8]>,
    /// Bytes of typed values (`float_data` and its like).
    typed: usize,
    /// Values of `int64_data`.
    numbers: Vec<i64>,
    external: bool,
    location: Vec<(String, String)>,
}

pub(super) fn read(message: Message<'_>, size_of: &dyn Fn(&str) -> Option<u64>) -> Result<Tensor, ParseError> {
    let start = message.clone();
    let header = header(message)?;
    let error = |reason: String| start.error(format!("tensor {:?}: {reason}", shorten(&header.name)));
    let count = product(&header.shape).ok_or_else(|| error("its shape cannot be".to_string()))?;
    let bytes = bits(header.element).and_then(|bits| count.checked_mul(bits)).map(|bits| bits.div_ceil(8));
    let mut beside = None;
    if header.external {
        beside = Some(external(&header, bytes, size_of).map_err(error)?);
    } else if let Some(raw) = header.raw {
        // Of types without a fixed size (text) no raw bytes are defined.
        if bytes != Some(raw.len() as u64) {
            return Err(error(format!("its shape {:?} and {} bytes do not go together", header.shape, raw.len())));
        }
    } else if count > header.typed as u64 {
        return Err(error(format!("{count} values are promised, fewer are there")));
    }
    let numbers = numbers(&header, count);
    Ok(Tensor { name: header.name, numbers, beside })
}

fn header(mut message: Message<'_>) -> Result<Header<'_>, ParseError> {
    let mut header = Header::default();
    while let Some((field, value)) = message.next()? {
        match (field, value) {
            (1, Value::Number(size)) => header.shape.push(size as i64),
            (1, Value::Bytes(sizes)) => header.shape.extend(sizes.packed()?.into_iter().map(|size| size as i64)),
            (2, Value::Number(element)) => header.element = element,
            (7, Value::Number(number)) => {
                header.typed += 1;
                header.numbers.push(number as i64);
            }
            (7, Value::Bytes(numbers)) => {
                header.typed += numbers.bytes().len();
                if header.numbers.len() + numbers.bytes().len() <= 10 * FEW {
                    header.numbers.extend(numbers.packed()?.into_iter().map(|number| number as i64));
                }
            }
            (8, Value::Bytes(name)) => header.name = name.text()?.to_string(),
            (9, Value::Bytes(raw)) => header.raw = Some(raw.bytes()),
            (13, Value::Bytes(entry)) => header.location.push(pair(entry)?),
            (14, Value::Number(location)) => header.external = location == 1,
            (4 | 5 | 10 | 11, Value::Bytes(values)) => header.typed += values.bytes().len(),
            (4 | 5 | 6 | 10 | 11, _) => header.typed += 1,
            _ => {}
        }
    }
    Ok(header)
}

/// Checks where the values of a tensor are that lie in another file; the file's name.
fn external(header: &Header<'_>, bytes: Option<u64>, size_of: &dyn Fn(&str) -> Option<u64>) -> Result<String, String> {
    let entry = |key: &str| header.location.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str());
    let number = |key: &str| entry(key).map_or(Some(0), |value| value.parse::<u64>().ok());
    let file = entry("location").unwrap_or_default();
    if file.is_empty() || file.contains(['/', '\\', ':']) || matches!(file, "." | "..") {
        return Err("its values must be in a file of the same folder".to_string());
    }
    let size = size_of(file).ok_or_else(|| format!("its values are in {:?}, which is missing", shorten(file)))?;
    let (Some(offset), Some(length), Some(bytes)) = (number("offset"), number("length"), bytes) else {
        return Err("where its values are is not said in numbers".to_string());
    };
    let length = if entry("length").is_some() { length } else { bytes };
    if length != bytes || offset.checked_add(length).is_none_or(|end| end > size) {
        return Err(format!("{bytes} bytes of values are not in {:?}, which has {size}", shorten(file)));
    }
    Ok(file.to_string())
}

/// The values of a short tensor of whole numbers.
fn numbers(header: &Header<'_>, count: u64) -> Option<Vec<i64>> {
    if header.element != 7 || count > FEW as u64 || header.shape.len() > 1 {
        return None;
    }
    match header.raw {
        Some(raw) => Some(raw.as_chunks().0.iter().map(|bytes| i64::from_le_bytes(*bytes)).collect()),
        None => (header.numbers.len() as u64 == count).then(|| header.numbers.clone()),
    }
}

/// Bits of a value of a type of `TensorProto.DataType`.
fn bits(element: u64) -> Option<u64> {
    match element {
        21 | 22 => Some(4),
        2 | 3 | 9 | 17..=20 => Some(8),
        4 | 5 | 10 | 16 => Some(16),
        1 | 6 | 12 => Some(32),
        7 | 11 | 13 | 14 => Some(64),
        15 => Some(128),
        _ => None,
    }
}

/// A name as an error shows it.
fn shorten(name: &str) -> String {
    name.chars().take(60).collect()
}
