//! Arrays of bit fields as the Sphinx trie packs them: little-endian, least significant bit first, no padding.

/// Bits needed to write every number up to `max`.
pub(super) fn bits_for(max: u32) -> u32 {
    32 - max.leading_zeros()
}

/// Reads a field of at most 32 bits. Past the end of `bytes` every bit is 0: readers validate sizes when a file is
/// opened, and a file that changes underneath must not bring the process down.
#[inline(always)]
pub(super) fn read(bytes: &[u8], bit: u64, mask: u32) -> u32 {
    let at = (bit >> 3) as usize;
    match bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        Some(chunk) => (u64::from_le_bytes(*chunk) >> (bit & 7)) as u32 & mask,
        None => 0,
    }
}

/// An all-ones mask of `bits` bits (at most 32).
pub(super) fn mask(bits: u32) -> u32 {
    ((1u64 << bits) - 1) as u32
}
