//! Answers of the language model, remembered.

use dictum_language::{LanguageModel, LmState, WordId};

/// Log-probabilities of (state, word) pairs asked lately: label entries repeat from frame to frame.
pub struct LmCache {
    entries: Vec<(LmState, WordId, f32)>,
}

impl LmCache {
    /// A cache that fits a search of so many active HMMs.
    pub fn new(max_active: usize) -> Self {
        let size = (8 * max_active).next_power_of_two().clamp(1 << 10, 1 << 16);
        LmCache { entries: vec![(LmState(u64::MAX), WordId::MAX, 0.0); size] }
    }

    #[inline]
    pub fn log_probability(&mut self, lm: &dyn LanguageModel, state: LmState, word: WordId) -> f32 {
        let hash = (state.0 ^ u64::from(word) << 20).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mask = self.entries.len() - 1;
        let entry = &mut self.entries[(hash >> 48) as usize & mask];
        if entry.0 != state || entry.1 != word {
            *entry = (state, word, lm.step(state, word).1);
        }
        entry.2
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.entries.fill((LmState(u64::MAX), WordId::MAX, 0.0));
    }

    /// Bytes held.
    pub fn size_bytes(&self) -> usize {
        size_of_val(self.entries.as_slice())
    }
}
