//! A cursor over foreign bytes that never reads past the end and never allocates more than the file holds.

use crate::error::ParseError;

/// Which end of a word comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ByteOrder {
    Little,
    Big,
}

/// Reads numbers from a slice, remembering where it is for error messages.
#[derive(Debug, Clone)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    pub(crate) order: ByteOrder,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Cursor { bytes, at: 0, order: ByteOrder::Little }
    }

    pub(crate) fn offset(&self) -> usize {
        self.at
    }

    pub(crate) fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// An error at the cursor.
    pub(crate) fn error(&self, reason: impl Into<String>) -> ParseError {
        self.error_at(self.at, reason)
    }

    pub(crate) fn error_at(&self, offset: usize, reason: impl Into<String>) -> ParseError {
        ParseError { offset: offset as u64, reason: reason.into() }
    }

    /// The next `count` bytes; `what` names them if the file ends first.
    pub(crate) fn take(&mut self, count: usize, what: &str) -> Result<&'a [u8], ParseError> {
        if count > self.remaining() {
            return Err(
                self.error(format!("the file ends before {what}: {count} bytes wanted, {} left", self.remaining()))
            );
        }
        let taken = &self.bytes[self.at..self.at + count];
        self.at += count;
        Ok(taken)
    }

    /// The bytes up to `end` (which is consumed too), at most `limit` of them.
    pub(crate) fn take_until(&mut self, end: u8, limit: usize, what: &str) -> Result<&'a [u8], ParseError> {
        let rest = &self.bytes[self.at..];
        let window = &rest[..rest.len().min(limit)];
        match window.iter().position(|&byte| byte == end) {
            Some(length) => {
                self.at += length + 1;
                Ok(&rest[..length])
            }
            None => Err(self.error(format!("{what} does not end within {limit} bytes"))),
        }
    }

    fn word<const N: usize>(&mut self, what: &str) -> Result<[u8; N], ParseError> {
        let mut word = [0; N];
        word.copy_from_slice(self.take(N, what)?);
        if self.order == ByteOrder::Big {
            word.reverse();
        }
        Ok(word)
    }

    pub(crate) fn u16(&mut self, what: &str) -> Result<u16, ParseError> {
        Ok(u16::from_le_bytes(self.word(what)?))
    }

    pub(crate) fn u32(&mut self, what: &str) -> Result<u32, ParseError> {
        Ok(u32::from_le_bytes(self.word(what)?))
    }

    pub(crate) fn i32(&mut self, what: &str) -> Result<i32, ParseError> {
        Ok(i32::from_le_bytes(self.word(what)?))
    }

    /// A count that must lie within `least..=most`.
    pub(crate) fn count(&mut self, least: usize, most: usize, what: &str) -> Result<usize, ParseError> {
        let at = self.at;
        let value = self.i32(what)?;
        usize::try_from(value)
            .ok()
            .filter(|value| (least..=most).contains(value))
            .ok_or_else(|| self.error_at(at, format!("{what} is {value}; {least} to {most} expected")))
    }

    /// Checks that `count` items of `size` bytes are left before anybody allocates room for them.
    pub(crate) fn require(&self, count: usize, size: usize, what: &str) -> Result<(), ParseError> {
        match count.checked_mul(size) {
            Some(bytes) if bytes <= self.remaining() => Ok(()),
            _ => Err(self.error(format!(
                "the file ends before {what}: {count} of {size} bytes wanted, {} bytes left",
                self.remaining()
            ))),
        }
    }

    /// `count` floats, all of them finite.
    pub(crate) fn floats(&mut self, count: usize, what: &str) -> Result<Vec<f32>, ParseError> {
        self.require(count, 4, what)?;
        let start = self.at;
        let raw = self.take(count * 4, what)?;
        let order = self.order;
        let values: Vec<f32> = raw
            .chunks_exact(4)
            .map(|word| {
                let word = [word[0], word[1], word[2], word[3]];
                match order {
                    ByteOrder::Little => f32::from_le_bytes(word),
                    ByteOrder::Big => f32::from_be_bytes(word),
                }
            })
            .collect();
        match values.iter().position(|value| !value.is_finite()) {
            Some(index) => Err(self.error_at(start + 4 * index, format!("{what} {index} is not a finite number"))),
            None => Ok(values),
        }
    }

    /// Everything must have been read by now.
    pub(crate) fn finish(&self) -> Result<(), ParseError> {
        match self.remaining() {
            0 => Ok(()),
            left => Err(self.error(format!("{left} bytes more than the format has"))),
        }
    }
}
