//! Protocol buffers, as far as ONNX files need them: fields one after the other, nothing copied.
//!
//! <https://protobuf.dev/programming-guides/encoding/>

use crate::error::ParseError;

/// The fields of a message, in the order in which they stand.
#[derive(Debug, Clone)]
pub(crate) struct Message<'a> {
    bytes: &'a [u8],
    /// Of the first byte, in the file.
    offset: u64,
    at: usize,
}

/// A field's value.
#[derive(Debug, Clone)]
pub(crate) enum Value<'a> {
    /// A whole number (also a truth value or an enumeration).
    Number(u64),
    /// A number of eight or of four bytes, which nothing here needs.
    Fixed,
    /// Text, bytes, a message or packed numbers.
    Bytes(Message<'a>),
}

impl<'a> Message<'a> {
    /// A message that is a whole file.
    pub fn new(bytes: &'a [u8]) -> Message<'a> {
        Message { bytes, offset: 0, at: 0 }
    }

    /// All of it, whatever has been read of it.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// How much of it has been read, bytes.
    #[cfg(feature = "rten")]
    pub fn position(&self) -> usize {
        self.at
    }

    /// As text.
    pub fn text(&self) -> Result<&'a str, ParseError> {
        std::str::from_utf8(self.bytes).map_err(|_| self.error("text that is not UTF-8"))
    }

    /// An error at what is read next.
    pub fn error(&self, reason: impl Into<String>) -> ParseError {
        ParseError { offset: self.offset + self.at as u64, reason: reason.into() }
    }

    /// The next field and its number, `None` at the end.
    pub fn next(&mut self) -> Result<Option<(u32, Value<'a>)>, ParseError> {
        if self.at == self.bytes.len() {
            return Ok(None);
        }
        let key = self.varint()?;
        let field = u32::try_from(key >> 3).ok().filter(|&field| field > 0);
        let field = field.ok_or_else(|| self.error("not an ONNX file: a field without a number"))?;
        let value = match key & 7 {
            0 => Value::Number(self.varint()?),
            1 => {
                self.take(8)?;
                Value::Fixed
            }
            2 => {
                let length = self.varint()?;
                let offset = self.offset + self.at as u64;
                Value::Bytes(Message { bytes: self.take(length)?, offset, at: 0 })
            }
            5 => {
                self.take(4)?;
                Value::Fixed
            }
            other => return Err(self.error(format!("not an ONNX file: a field of wire type {other}"))),
        };
        Ok(Some((field, value)))
    }

    /// The whole message as numbers one after the other.
    pub fn packed(mut self) -> Result<Vec<u64>, ParseError> {
        let mut numbers = Vec::new();
        while self.at < self.bytes.len() {
            numbers.push(self.varint()?);
        }
        Ok(numbers)
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8], ParseError> {
        let left = self.bytes.len() - self.at;
        let length = usize::try_from(length).ok().filter(|&length| length <= left).ok_or_else(|| {
            self.error(format!(
                "the file is truncated or no ONNX file: a field of {length} bytes where {left} are left"
            ))
        })?;
        let taken = &self.bytes[self.at..self.at + length];
        self.at += length;
        Ok(taken)
    }

    fn varint(&mut self) -> Result<u64, ParseError> {
        let mut number = 0u64;
        for shift in (0..70).step_by(7) {
            let Some(&byte) = self.bytes.get(self.at) else {
                return Err(self.error("the file is truncated or no ONNX file: a number without an end"));
            };
            self.at += 1;
            // Of the tenth byte, one bit fits; writers leave the others at what the sign makes them.
            number |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(self.error("not an ONNX file: a number of more than ten bytes"))
    }
}

/// Writes messages.
#[cfg(any(test, feature = "rten"))]
#[derive(Debug, Default, Clone)]
pub(crate) struct Writer(pub Vec<u8>);

#[cfg(any(test, feature = "rten"))]
impl Writer {
    /// A whole number.
    pub fn number(mut self, field: u64, value: u64) -> Self {
        self.varint(field << 3);
        self.varint(value);
        self
    }

    /// Text or bytes.
    pub fn bytes(mut self, field: u64, value: &[u8]) -> Self {
        self.varint(field << 3 | 2);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
        self
    }

    /// A message.
    pub fn message(self, field: u64, value: Writer) -> Self {
        self.bytes(field, &value.0)
    }

    /// Fields as another message has them.
    pub fn raw(mut self, fields: &[u8]) -> Self {
        self.0.extend_from_slice(fields);
        self
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_all_kinds() {
        // 1: varint 300; 2: "hi"; 3: fixed 32; 4: fixed 64; 5: packed 1, 300.
        let bytes = [8, 0xac, 2, 18, 2, b'h', b'i', 29, 1, 2, 3, 4, 33, 1, 2, 3, 4, 5, 6, 7, 8, 42, 3, 1, 0xac, 2];
        let mut message = Message::new(&bytes);
        assert!(matches!(message.next().unwrap(), Some((1, Value::Number(300)))));
        let Some((2, Value::Bytes(text))) = message.next().unwrap() else { panic!() };
        assert_eq!(text.text().unwrap(), "hi");
        assert!(matches!(message.next().unwrap(), Some((3, Value::Fixed))));
        assert!(matches!(message.next().unwrap(), Some((4, Value::Fixed))));
        let Some((5, Value::Bytes(packed))) = message.next().unwrap() else { panic!() };
        assert_eq!(packed.packed().unwrap(), [1, 300]);
        assert!(message.next().unwrap().is_none());
    }

    #[test]
    fn lengths_are_not_believed() {
        let mut message = Message::new(&[10, 0xff, 0xff, 0xff, 0xff, 0x0f, 1]);
        assert!(message.next().unwrap_err().reason.contains("truncated"));
        assert!(Message::new(&[0xff; 12]).next().unwrap_err().reason.contains("ten bytes"));
        assert!(Message::new(&[0x80]).next().unwrap_err().reason.contains("without an end"));
        assert!(Message::new(&[11]).next().unwrap_err().reason.contains("wire type"));
    }
}
