//! The bytes of a model file: mapped, or in memory.
#![allow(unsafe_code)]

use std::fs::File;
use std::ops::Deref;

use memmap2::Mmap;

/// Bytes that a model is read from in place.
#[derive(Debug)]
pub(crate) enum Bytes {
    Mapped(Mmap),
    Owned(Vec<u8>),
}

impl Bytes {
    /// Maps a file read-only. The kernel shares the pages among processes and brings them in as they are touched.
    pub(crate) fn map(file: &File) -> std::io::Result<Self> {
        // SAFETY: the mapping is private to this value and only read. If another process rewrites the file the bytes
        // change under us; every read of them is bounds-checked and any bit pattern is a valid value, so the worst is
        // wrong scores. Shortening a mapped file raises SIGBUS on access, as with every program that maps files:
        // models are replaced by renaming a new file over the old one, never by writing into it.
        unsafe { Mmap::map(file) }.map(Bytes::Mapped)
    }
}

impl Deref for Bytes {
    type Target = [u8];

    #[inline(always)]
    fn deref(&self) -> &[u8] {
        match self {
            Bytes::Mapped(map) => map,
            Bytes::Owned(bytes) => bytes,
        }
    }
}
