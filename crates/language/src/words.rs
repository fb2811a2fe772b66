//! An interning table: texts in one arena, numbered in order of arrival, found by hash.

use std::hash::{BuildHasher, Hasher, RandomState};

/// Whether lookups distinguish `A` from `a` (ASCII letters only, as Sphinx dictionaries are folded).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Case {
    Kept,
    Folded,
}

/// Texts numbered from 0. Three allocations however many texts there are: 72 547 words take about 1.3 MB.
#[derive(Debug, Clone)]
pub(crate) struct WordTable {
    text: String,
    /// Where each text ends in `text`.
    ends: Vec<u32>,
    /// Open addressing with linear probing; 0 is free, otherwise id + 1. Length is a power of two.
    slots: Vec<u32>,
    case: Case,
    /// Keyed at random, so that nobody can write a file whose words all collide.
    hashing: RandomState,
}

impl WordTable {
    pub(crate) fn new(case: Case) -> Self {
        Self::with_capacity(case, 0, 0)
    }

    pub(crate) fn with_capacity(case: Case, words: usize, bytes: usize) -> Self {
        let slots = (words + words / 2 + 8).next_power_of_two();
        WordTable {
            text: String::with_capacity(bytes),
            ends: Vec::with_capacity(words),
            slots: vec![0; slots],
            case,
            hashing: RandomState::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn get(&self, id: u32) -> Option<&str> {
        let end = *self.ends.get(id as usize)? as usize;
        let start = if id == 0 { 0 } else { self.ends[id as usize - 1] as usize };
        self.text.get(start..end)
    }

    pub(crate) fn id(&self, text: &str) -> Option<u32> {
        let slot = self.slot(text);
        self.slots[slot].checked_sub(1)
    }

    /// Id of `text`, and whether it is new.
    pub(crate) fn intern(&mut self, text: &str) -> (u32, bool) {
        if (self.ends.len() + 1) * 4 > self.slots.len() * 3 {
            self.grow();
        }
        let slot = self.slot(text);
        if let Some(id) = self.slots[slot].checked_sub(1) {
            return (id, false);
        }
        // Arena offsets are 32-bit: files are read whole by 32-bit offsets as well, so this holds for any model.
        let id = self.ends.len() as u32;
        self.text.push_str(text);
        self.ends.push(self.text.len() as u32);
        self.slots[slot] = id + 1;
        (id, true)
    }

    /// The slot that holds `text`, or the free one where it belongs.
    fn slot(&self, text: &str) -> usize {
        let mask = self.slots.len() - 1;
        let mut slot = self.hash(text) & mask;
        while let Some(id) = self.slots[slot].checked_sub(1) {
            let found = self.get(id).unwrap_or_default();
            let same = match self.case {
                Case::Kept => found == text,
                Case::Folded => found.eq_ignore_ascii_case(text),
            };
            if same {
                break;
            }
            slot = (slot + 1) & mask;
        }
        slot
    }

    fn grow(&mut self) {
        self.slots = vec![0; self.slots.len() * 2];
        let mask = self.slots.len() - 1;
        for id in 0..self.ends.len() as u32 {
            let mut slot = self.hash(self.get(id).unwrap_or_default()) & mask;
            while self.slots[slot] != 0 {
                slot = (slot + 1) & mask;
            }
            self.slots[slot] = id + 1;
        }
    }

    /// Hash of the text with ASCII letters in lower case, so that one function serves both kinds of table.
    fn hash(&self, text: &str) -> usize {
        let mut hasher = self.hashing.build_hasher();
        for chunk in text.as_bytes().chunks(16) {
            let mut folded = [0; 16];
            let folded = &mut folded[..chunk.len()];
            folded.copy_from_slice(chunk);
            folded.make_ascii_lowercase();
            hasher.write(folded);
        }
        hasher.finish() as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_numbered_in_order_and_found_again() {
        let mut table = WordTable::new(Case::Kept);
        let texts: Vec<String> = (0..5000).map(|i| format!("word{}", i * 7919 % 5000)).collect();
        for (i, text) in texts.iter().enumerate() {
            assert_eq!(table.intern(text), (i as u32, true));
        }
        for (i, text) in texts.iter().enumerate() {
            assert_eq!(table.intern(text), (i as u32, false));
            assert_eq!(table.id(text), Some(i as u32));
            assert_eq!(table.get(i as u32), Some(text.as_str()));
        }
        assert_eq!(table.len(), 5000);
        assert_eq!(table.id("word5000"), None);
        assert_eq!(table.id("WORD1"), None);
        assert_eq!(table.get(5000), None);
    }

    #[test]
    fn folded_tables_ignore_the_case_of_ascii_letters_only() {
        let mut table = WordTable::new(Case::Folded);
        table.intern("Éclair");
        assert_eq!(table.id("ÉCLAIR"), Some(0));
        assert_eq!(table.id("éclair"), None);
        assert_eq!(table.get(0), Some("Éclair"));
    }
}
