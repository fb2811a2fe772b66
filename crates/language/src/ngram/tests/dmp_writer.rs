//! A writer of the DMP format, for tests only: nobody should make new files of it.

use super::super::index::{self, Trigram};
use super::*;

/// A DMP file of the model, written from the description of the format and in either byte order.
pub(super) fn dmp_of(model: &NgramModel, big_endian: bool) -> Vec<u8> {
    let mut out = Vec::new();
    let int = |out: &mut Vec<u8>, value: u32| {
        out.extend(if big_endian { value.to_be_bytes() } else { value.to_le_bytes() });
    };
    let short = |out: &mut Vec<u8>, value: usize| {
        out.extend(if big_endian { (value as u16).to_be_bytes() } else { (value as u16).to_le_bytes() });
    };
    let float = |out: &mut Vec<u8>, natural: f32| int(out, (natural / std::f32::consts::LN_10).to_bits());
    let words = model.vocabulary().len() as u32;
    let mut bigrams = Vec::new();
    let mut trigrams = Vec::new();
    with!(model, model => {
        let store = &model.store;
        for w in 0..words {
            let unigram = store.unigram(w);
            for i in unigram.first..unigram.end {
                bigrams.push((store.bigram_word(i), w, store.bigram_probability(i), store.bigram_backoff(i)));
            }
        }
        index::for_each_trigram(store, words, |Trigram { words: [u, v, w], index }| {
            trigrams.push((u, v, w, store.trigram_probability(index)));
        });
    });
    bigrams.sort_by_key(|bigram| (bigram.0, bigram.1));
    trigrams.sort_by_key(|trigram| (trigram.0, trigram.1, trigram.2));

    for text in ["Darpa Trigram LM\0", "small.arpa\0"] {
        int(&mut out, text.len() as u32);
        out.extend(text.bytes());
    }
    int(&mut out, -1i32 as u32);
    int(&mut out, 1_234_567);
    int(&mut out, 4);
    out.extend(b"abc\0");
    int(&mut out, 0);
    for count in [words, bigrams.len() as u32, trigrams.len() as u32] {
        int(&mut out, count);
    }
    for word in 0..=words {
        int(&mut out, word);
        float(&mut out, if word < words { model.unigram(word) } else { 0.0 });
        float(&mut out, if word < words { model.backoff(word) } else { 0.0 });
        int(&mut out, bigrams.partition_point(|bigram| bigram.0 < word) as u32);
    }
    let start = |i: usize| match bigrams.get(i) {
        Some(bigram) => trigrams.partition_point(|trigram| (trigram.0, trigram.1) < (bigram.0, bigram.1)),
        None => trigrams.len(),
    };
    if !bigrams.is_empty() {
        for i in 0..=bigrams.len() {
            short(&mut out, bigrams.get(i).map_or(0, |bigram| bigram.1 as usize));
            short(&mut out, i);
            short(&mut out, i);
            short(&mut out, start(i) - start(i / 512 * 512));
        }
    }
    for (i, trigram) in trigrams.iter().enumerate() {
        short(&mut out, trigram.2 as usize);
        short(&mut out, i);
    }
    let table = |out: &mut Vec<u8>, values: Vec<f32>| {
        int(out, values.len() as u32);
        values.iter().for_each(|&value| float(out, value));
    };
    if !bigrams.is_empty() {
        table(&mut out, bigrams.iter().map(|bigram| bigram.2).collect());
    }
    if !trigrams.is_empty() {
        table(&mut out, bigrams.iter().map(|bigram| bigram.3).collect());
        table(&mut out, trigrams.iter().map(|trigram| trigram.3).collect());
        let segments = bigrams.len() / 512 + 1;
        int(&mut out, segments as u32);
        (0..segments).for_each(|segment| int(&mut out, start(segment * 512) as u32));
    }
    let text: Vec<u8> = model.vocabulary().iter().flat_map(|(_, word)| word.bytes().chain([0])).collect();
    int(&mut out, text.len() as u32);
    out.extend(text);
    out
}
