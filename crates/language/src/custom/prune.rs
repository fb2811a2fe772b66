//! Keeping a model within a size: what changes it least goes.
//!
//! Relative entropy between the model with and without an n-gram (Stolcke, "Entropy-based pruning of backoff language
//! models", 1998), with histories weighted by how often the texts hold them: the shorter n-grams of a Kneser-Ney model tell that
//! wrongly (Chelba et al., "Study on interaction between entropy pruning and Kneser-Ney smoothing", 2010). Trigrams go first, then
//! bigrams that no trigram begins or ends with.

use super::counts::Ngram;
use super::writer::{Bigram, Model, Trigram};
use crate::vocabulary::WordId;

/// Most n-grams of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SizeBound {
    /// Most bigrams: 16 bytes each.
    pub bigrams: usize,
    /// Most trigrams: 8 bytes each.
    pub trigrams: usize,
}

impl Default for SizeBound {
    /// 128 MB at most, which hold all of ten million words of ordinary text.
    fn default() -> Self {
        SizeBound { bigrams: 4_000_000, trigrams: 8_000_000 }
    }
}

/// Takes from a model what is too much. `counts` are those it was estimated from.
pub(super) fn prune(model: &mut Model, counts: &[(Ngram, u32)], bound: SizeBound) {
    let too_many = model.trigrams.len() > bound.trigrams;
    if too_many {
        let scores = trigram_scores(model, counts);
        let keep = best(&scores, bound.trigrams);
        retain(&mut model.trigrams, &keep);
    }
    if model.bigrams.len() > bound.bigrams {
        let scores = bigram_scores(model, counts);
        let keep = best(&scores, bound.bigrams);
        retain(&mut model.bigrams, &keep);
    } else if !too_many {
        return;
    }
    renormalise(model);
}

fn p(logarithm: f32) -> f64 {
    f64::from(logarithm).exp()
}

/// What a model loses with each n-gram of one history: `explicit` are their probabilities and the shorter n-grams', `weight` is
/// the history's probability.
fn losses(explicit: &[[f64; 2]], weight: f64, scores: &mut Vec<f64>) {
    let [sum, lower_sum] = explicit.iter().fold([0.0, 0.0], |[a, b], [p, lower]| [a + p, b + lower]);
    let (left, lower_left) = ((1.0 - sum).max(1e-12), (1.0 - lower_sum).max(1e-12));
    let backoff = (left / lower_left).ln();
    scores.extend(explicit.iter().map(|[p, lower]| {
        let without = ((left + p) / (lower_left + lower)).ln();
        weight * (p * (p.ln() - lower.ln() - without) - left * (without - backoff))
    }));
}

fn trigram_scores(model: &Model, counts: &[(Ngram, u32)]) -> Vec<f64> {
    let mut scores = Vec::with_capacity(model.trigrams.len());
    let mut explicit = Vec::new();
    let mut groups = counts.chunk_by(|a, b| a.0.words()[..2] == b.0.words()[..2]);
    let lookup = Lookup::new(model);
    for of_uv in model.trigrams.chunk_by(|a, b| a.words[..2] == b.words[..2]) {
        let [u, v, _] = of_uv[0].words;
        let group = groups.by_ref().find(|group| group[0].0.words()[..2] == [Some(u), Some(v)]);
        let weight: f64 = group.unwrap_or_default().iter().map(|&(_, count)| f64::from(count)).sum();
        explicit.clear();
        explicit.extend(of_uv.iter().map(|trigram| [p(trigram.probability), p(lookup.bigram(v, trigram.words[2]))]));
        losses(&explicit, weight, &mut scores);
    }
    scores
}

/// Infinite for bigrams that trigrams need.
fn bigram_scores(model: &Model, counts: &[(Ngram, u32)]) -> Vec<f64> {
    let mut weights = vec![0.0; model.unigrams.len()];
    for &(ngram, count) in counts {
        if let [_, Some(v), _] = ngram.words() {
            weights[v as usize] += f64::from(count);
        }
    }
    let mut scores = Vec::with_capacity(model.bigrams.len());
    let mut explicit = Vec::new();
    for of_v in model.bigrams.chunk_by(|a, b| a.words[0] == b.words[0]) {
        explicit.clear();
        explicit.extend(of_v.iter().map(|b| [p(b.probability), p(model.unigrams[b.words[1] as usize][0])]));
        losses(&explicit, weights[of_v[0].words[0] as usize], &mut scores);
    }
    let lookup = Lookup::new(model);
    for trigram in &model.trigrams {
        let [u, v, w] = trigram.words;
        for needed in [lookup.find(u, v), lookup.find(v, w)].into_iter().flatten() {
            scores[needed] = f64::INFINITY;
        }
    }
    scores
}

/// Which of the scores are among the `most` greatest; those needed stay even if they are more.
fn best(scores: &[f64], most: usize) -> Vec<bool> {
    let mut order: Vec<u32> = (0..scores.len() as u32).collect();
    if most < order.len() {
        order.select_nth_unstable_by(most, |&a, &b| scores[b as usize].total_cmp(&scores[a as usize]).then(a.cmp(&b)));
    }
    let mut keep: Vec<bool> = scores.iter().map(|score| score.is_infinite()).collect();
    order.iter().take(most).for_each(|&index| keep[index as usize] = true);
    keep
}

fn retain<T>(all: &mut Vec<T>, keep: &[bool]) {
    let mut keep = keep.iter();
    all.retain(|_| keep.next().copied().unwrap_or(true));
}

/// Back-offs once more, so that probabilities sum to 1 after every history.
fn renormalise(model: &mut Model) {
    for of_v in model.bigrams.chunk_by(|a: &Bigram, b: &Bigram| a.words[0] == b.words[0]) {
        let sums = of_v.iter().fold([0.0, 0.0], |[a, b], bigram| {
            [a + p(bigram.probability), b + p(model.unigrams[bigram.words[1] as usize][0])]
        });
        model.unigrams[of_v[0].words[0] as usize][1] = weight(sums);
    }
    let mut with_bigrams = vec![false; model.unigrams.len()];
    model.bigrams.iter().for_each(|bigram| with_bigrams[bigram.words[0] as usize] = true);
    for (unigram, with) in model.unigrams.iter_mut().zip(with_bigrams) {
        unigram[1] = if with { unigram[1] } else { 0.0 };
    }
    let mut backoffs = vec![0.0; model.bigrams.len()];
    let lookup = Lookup::new(model);
    for of_uv in model.trigrams.chunk_by(|a: &Trigram, b: &Trigram| a.words[..2] == b.words[..2]) {
        let [u, v, _] = of_uv[0].words;
        let sums = of_uv.iter().fold([0.0, 0.0], |[a, b], trigram| {
            [a + p(trigram.probability), b + p(lookup.bigram(v, trigram.words[2]))]
        });
        if let Some(history) = lookup.find(u, v) {
            backoffs[history] = weight(sums);
        }
    }
    model.bigrams.iter_mut().zip(backoffs).for_each(|(bigram, backoff)| bigram.backoff = backoff);
}

fn weight([explicit, lower]: [f64; 2]) -> f32 {
    ((1.0 - explicit).max(1e-9) / (1.0 - lower).max(1e-9)).ln() as f32
}

/// Bigrams by their words.
struct Lookup<'a> {
    model: &'a Model,
    first: Vec<usize>,
}

impl<'a> Lookup<'a> {
    fn new(model: &'a Model) -> Self {
        let mut first = vec![0; model.unigrams.len() + 1];
        model.bigrams.iter().for_each(|bigram| first[bigram.words[0] as usize + 1] += 1);
        (1..first.len()).for_each(|index| first[index] += first[index - 1]);
        Lookup { model, first }
    }

    fn find(&self, v: WordId, w: WordId) -> Option<usize> {
        let place = self.first[v as usize]..self.first[v as usize + 1];
        let start = place.start;
        self.model.bigrams[place].binary_search_by_key(&w, |bigram| bigram.words[1]).ok().map(|at| start + at)
    }

    /// ln p(w | v).
    fn bigram(&self, v: WordId, w: WordId) -> f32 {
        match self.find(v, w) {
            Some(at) => self.model.bigrams[at].probability,
            None => self.model.unigrams[v as usize][1] + self.model.unigrams[w as usize][0],
        }
    }
}
