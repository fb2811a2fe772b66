//! Models for tests: random ones whose probabilities sum to 1, as they must.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use super::Snapshot;
use super::writer::{Bigram, Model, Trigram, write};
use crate::ngram::{NgramModel, parse_arpa};
use crate::vocabulary::{Vocabulary, WordId};

/// Numbers from 0 to below 1 (xorshift).
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(super) fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    pub(super) fn below(&mut self, limit: u32) -> u32 {
        (self.next() * f64::from(limit)) as u32
    }
}

/// A base vocabulary `<s> </s> w2 w3 ...` of at least three words.
pub(super) fn vocabulary(words: u32) -> Vocabulary {
    let mut vocabulary = Vocabulary::new();
    vocabulary.add("<s>");
    vocabulary.add("</s>");
    (2..words).for_each(|word| assert!(vocabulary.add(&format!("w{word}")).1));
    vocabulary
}

/// A random model over `words` words: p(. | h) sums to 1 after every h. Word 0 is never predicted.
pub(super) fn model(words: u32, random: &mut Random) -> Model {
    let weights: Vec<f64> = (0..words).map(|word| if word == 0 { 0.0 } else { 0.05 + random.next() }).collect();
    let total: f64 = weights.iter().sum();
    let lower: Vec<f64> = weights.iter().map(|weight| weight / total).collect();
    let mut bigrams: BTreeMap<WordId, (BTreeMap<WordId, f64>, f64)> = BTreeMap::new();
    for v in 0..words {
        bigrams.insert(v, explicit(words, random, |w| lower[w as usize]));
    }
    let mut model = Model { unigrams: vec![[0.0; 2]; words as usize], ..Model::default() };
    for v in 0..words {
        let (after, backoff) = &bigrams[&v];
        let p = lower[v as usize];
        let never = f64::from(super::NEVER);
        model.unigrams[v as usize] = [if p > 0.0 { p.ln() } else { never } as f32, backoff.ln() as f32];
        for (&w, &p2) in after {
            let (of_w, w_backoff) = &bigrams[&w];
            let (third, backoff) = match random.below(2) {
                0 => (BTreeMap::new(), 1.0),
                _ => explicit(words, random, |x| of_w.get(&x).copied().unwrap_or(w_backoff * lower[x as usize])),
            };
            let backoff = backoff.ln() as f32;
            model.bigrams.push(Bigram { words: [v, w], probability: p2.ln() as f32, backoff });
            let trigram = |(&x, &p): (&u32, &f64)| Trigram { words: [v, w, x], probability: p.ln() as f32 };
            // The trie needs (w, x) to be a bigram wherever (v, w, x) is a trigram.
            model.trigrams.extend(third.iter().filter(|(x, _)| of_w.contains_key(x)).map(trigram));
        }
    }
    renormalise(&mut model, &lower);
    model
}

/// Explicit probabilities of some words, and the back-off that the others need.
fn explicit(words: u32, random: &mut Random, lower: impl Fn(u32) -> f64) -> (BTreeMap<WordId, f64>, f64) {
    let mut chosen = BTreeMap::new();
    for word in 1..words {
        if random.below(3) == 0 {
            chosen.insert(word, 0.02 + random.next());
        }
    }
    let scale = 0.7 / chosen.values().sum::<f64>().max(1.0);
    chosen.values_mut().for_each(|p| *p *= scale);
    let covered: f64 = chosen.keys().map(|&word| lower(word)).sum();
    let left = 1.0 - chosen.values().sum::<f64>();
    if 1.0 - covered < 1e-3 {
        return (BTreeMap::new(), 1.0);
    }
    (chosen, left / (1.0 - covered))
}

/// Back-offs of bigrams once more, from the trigrams that stayed.
fn renormalise(model: &mut Model, lower: &[f64]) {
    let p2: BTreeMap<[u32; 2], f64> = model.bigrams.iter().map(|b| (b.words, f64::from(b.probability).exp())).collect();
    for bigram in &mut model.bigrams {
        let [u, v] = bigram.words;
        let of: Vec<_> = model.trigrams.iter().filter(|t| t.words[..2] == [u, v]).collect();
        let explicit: f64 = of.iter().map(|t| f64::from(t.probability).exp()).sum();
        let backoff = f64::from(model.unigrams[v as usize][1]).exp();
        let lower = |w: u32| p2.get(&[v, w]).copied().unwrap_or(backoff * lower[w as usize]);
        let covered: f64 = of.iter().map(|t| lower(t.words[2])).sum();
        bigram.backoff = if of.is_empty() { 0.0 } else { ((1.0 - explicit) / (1.0 - covered)).ln() as f32 };
    }
}

/// The model as a base model.
pub(super) fn base(model: &Model, vocabulary: &Vocabulary) -> NgramModel {
    let mut text = format!(
        "\\data\\\nngram 1={}\nngram 2={}\nngram 3={}\n\n\\1-grams:\n",
        model.unigrams.len(),
        model.bigrams.len(),
        model.trigrams.len()
    );
    let log10 = |natural: f32| f64::from(natural) / std::f64::consts::LN_10;
    for (word, [p, backoff]) in model.unigrams.iter().enumerate() {
        writeln!(text, "{} {} {}", log10(*p), vocabulary.word(word as u32), log10(*backoff)).unwrap();
    }
    text += "\n\\2-grams:\n";
    for Bigram { words: [v, w], probability, backoff } in &model.bigrams {
        let (v, w) = (vocabulary.word(*v), vocabulary.word(*w));
        writeln!(text, "{} {v} {w} {}", log10(*probability), log10(*backoff)).unwrap();
    }
    text += "\n\\3-grams:\n";
    for Trigram { words, probability } in &model.trigrams {
        let [u, v, w] = words.map(|word| vocabulary.word(word));
        writeln!(text, "{} {u} {v} {w}", log10(*probability)).unwrap();
    }
    text += "\n\\end\\\n";
    parse_arpa(text.as_bytes()).unwrap()
}

/// The bytes of a snapshot over `base`, with new words `n0 n1 ...` as the model has more.
pub(super) fn bytes(model: &Model, base: &Arc<Vocabulary>, user_words: &[WordId]) -> Vec<u8> {
    let mut vocabulary = Vocabulary::extending(Arc::clone(base));
    (0..model.unigrams.len() - base.len()).for_each(|new| assert!(vocabulary.add(&format!("n{new}")).1));
    let mut bytes = Vec::new();
    let user_words: Vec<(WordId, f32)> = user_words.iter().map(|&word| (word, 0.0)).collect();
    write(model, &vocabulary, (base.len() as u32, base.fingerprint()), &user_words, &mut bytes).unwrap();
    bytes
}

/// A snapshot of the model.
pub(super) fn snapshot(model: &Model, base: &Arc<Vocabulary>, user_words: &[WordId]) -> Snapshot {
    Snapshot::parse(bytes(model, base, user_words), base).unwrap()
}
