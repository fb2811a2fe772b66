//! Writing what [`Snapshot`](super::Snapshot) reads.

use std::io::{self, Write};

use super::snapshot::{MAGIC, VERSION};
use crate::vocabulary::{Vocabulary, WordId};

/// A trigram model as sorted arrays, the way it is estimated. Values are natural logarithms.
#[derive(Debug, Default, Clone)]
pub(super) struct Model {
    /// ln p and ln back-off of each word.
    pub unigrams: Vec<[f32; 2]>,
    /// Ascending in (v, w).
    pub bigrams: Vec<Bigram>,
    /// Ascending in (u, v, w); each (u, v) is a bigram.
    pub trigrams: Vec<Trigram>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Bigram {
    /// v, w.
    pub words: [WordId; 2],
    pub probability: f32,
    pub backoff: f32,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Trigram {
    /// u, v, w.
    pub words: [WordId; 3],
    pub probability: f32,
}

/// Writes a snapshot; many small writes. `vocabulary` extends one of `base_words` words whose fingerprint is given;
/// `user_words` ascend; with ln of their shares.
pub(super) fn write(
    model: &Model,
    vocabulary: &Vocabulary,
    (base_words, fingerprint): (u32, u64),
    user_words: &[(WordId, f32)],
    mut out: impl Write,
) -> io::Result<()> {
    let words = vocabulary.len() as u32;
    let text: Vec<u8> = (base_words..words).flat_map(|word| vocabulary.word(word).bytes().chain([0])).collect();
    out.write_all(MAGIC)?;
    out.write_all(&VERSION.to_le_bytes())?;
    let number = |out: &mut dyn Write, value: u32| out.write_all(&value.to_le_bytes());
    number(&mut out, base_words)?;
    out.write_all(&fingerprint.to_le_bytes())?;
    let counts =
        [(words - base_words) as usize, user_words.len(), model.bigrams.len(), model.trigrams.len(), text.len()];
    for count in counts {
        let count = u32::try_from(count).map_err(|_| io::Error::other("more than 2^32 entries in a snapshot"))?;
        number(&mut out, count)?;
    }
    let mut first = 0;
    for (word, values) in model.unigrams.iter().enumerate() {
        values.iter().try_for_each(|value| out.write_all(&value.to_le_bytes()))?;
        number(&mut out, first as u32)?;
        first += model.bigrams[first..].iter().take_while(|bigram| bigram.words[0] as usize == word).count();
    }
    out.write_all(&[0; 8])?;
    number(&mut out, first as u32)?;
    let mut first = 0;
    for bigram in &model.bigrams {
        number(&mut out, bigram.words[1])?;
        out.write_all(&bigram.probability.to_le_bytes())?;
        out.write_all(&bigram.backoff.to_le_bytes())?;
        number(&mut out, first as u32)?;
        first += model.trigrams[first..].iter().take_while(|trigram| trigram.words[..2] == bigram.words).count();
    }
    out.write_all(&[0; 12])?;
    number(&mut out, first as u32)?;
    for trigram in &model.trigrams {
        number(&mut out, trigram.words[2])?;
        out.write_all(&trigram.probability.to_le_bytes())?;
    }
    for &(word, share) in user_words {
        number(&mut out, word)?;
        out.write_all(&share.to_le_bytes())?;
    }
    out.write_all(&text)
}
