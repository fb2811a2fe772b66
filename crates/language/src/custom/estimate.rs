//! From counts to probabilities.
//!
//! Modified Kneser-Ney smoothing, interpolated (Chen & Goodman, "An empirical study of smoothing techniques for language
//! modeling", 1999), by one pass over sorted counts for each length as in Heafield et al. ("Scalable modified Kneser-Ney
//! language model estimation", 2013). A shorter n-gram's count is the number of different words before it, but for those at the
//! beginning of a sentence, which nothing comes before. Where the words before are not known (see
//! [`gap`](super::counter::Counter::gap)) they count as one more different word.
//!
//! Unigrams are interpolated with a prior over all words, so that words that the texts lack have a probability too.

use super::NEVER;
use super::counts::Ngram;
use super::writer::{Bigram, Model, Trigram};
use crate::vocabulary::WordId;

/// How counts are made into probabilities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Smoothing {
    /// Modified Kneser-Ney.
    #[default]
    KneserNey,
    /// Witten & Bell (1991): the plain method to compare with, and the one for counts that other methods cannot use.
    WittenBell,
}

/// Estimates a model from trigrams, ascending and each once. `prior[w]` sums to 1 over all words; words with prior 0 that are
/// in no n-gram have the probability [`NEVER`].
pub(super) fn estimate(trigrams: &[(Ngram, u32)], prior: &[f64], start: Option<WordId>, smoothing: Smoothing) -> Model {
    let bigrams = shorter(trigrams, start, smoothing);
    let unigrams = words(&bigrams, trigrams, prior.len(), smoothing);
    let mut model = Model::default();

    let shares = Shares::of(unigrams.iter().copied(), smoothing);
    let group = shares.group(unigrams.iter().copied());
    let lower: Vec<f64> = if group.total == 0.0 {
        prior.to_vec()
    } else {
        let of = |(&count, &prior)| shares.explicit(&group, count) + group.left * prior;
        unigrams.iter().zip(prior).map(of).collect()
    };
    model.unigrams = lower.iter().map(|&p| [ln(p), 0.0]).collect();

    let mut places = vec![0..0usize; prior.len()];
    let shares = Shares::of(bigrams.iter().map(|&(_, count)| count), smoothing);
    for of_v in bigrams.chunk_by(|a, b| a.0[0] == b.0[0]) {
        let v = of_v[0].0[0];
        let group = shares.group(of_v.iter().map(|&(_, count)| count));
        let begin = model.bigrams.len();
        model.bigrams.extend(of_v.iter().map(|&([_, w], count)| {
            let p = shares.explicit(&group, count) + group.left * lower[w as usize];
            Bigram { words: [v, w], probability: ln(p), backoff: 0.0 }
        }));
        model.unigrams[v as usize][1] = ln(group.left);
        places[v as usize] = begin..model.bigrams.len();
    }
    drop(bigrams);

    let known = |&(ngram, count): &(Ngram, u32)| match ngram.words() {
        [Some(u), Some(v), Some(w)] => Some(([u, v, w], count)),
        _ => None,
    };
    let shares = Shares::of(trigrams.iter().filter_map(known).map(|(_, count)| count), smoothing);
    let find = |model: &Model, v: WordId, w: WordId| {
        let place = places[v as usize].clone();
        let at = model.bigrams[place.clone()].binary_search_by_key(&w, |bigram| bigram.words[1]).ok()?;
        Some(place.start + at)
    };
    for of_uv in trigrams.chunk_by(|a, b| a.0.words()[..2] == b.0.words()[..2]) {
        let Some(([u, v, _], _)) = known(&of_uv[0]) else { continue };
        // A history that is no bigram would stand behind a word that the texts do not reach.
        let Some(history) = find(&model, u, v) else { continue };
        let group = shares.group(of_uv.iter().map(|&(_, count)| count));
        for ([u, v, w], count) in of_uv.iter().filter_map(known) {
            let Some(bigram) = find(&model, v, w) else { continue };
            let lower = f64::from(model.bigrams[bigram].probability).exp();
            let p = shares.explicit(&group, count) + group.left * lower;
            model.trigrams.push(Trigram { words: [u, v, w], probability: ln(p) });
        }
        model.bigrams[history].backoff = ln(group.left);
    }
    model
}

/// Counts of bigrams, ascending.
fn shorter(trigrams: &[(Ngram, u32)], start: Option<WordId>, smoothing: Smoothing) -> Vec<([WordId; 2], u32)> {
    let mut bigrams: Vec<([WordId; 2], u32)> = Vec::with_capacity(trigrams.len());
    for &(ngram, count) in trigrams {
        let [_, Some(v), Some(w)] = ngram.words() else { continue };
        let raw = smoothing == Smoothing::WittenBell || Some(v) == start;
        bigrams.push(([v, w], if raw { count } else { 1 }));
    }
    bigrams.sort_unstable_by_key(|&(words, _)| words);
    bigrams.dedup_by(|next, kept| {
        let same = next.0 == kept.0;
        if same {
            kept.1 = kept.1.saturating_add(next.1);
        }
        same
    });
    bigrams
}

/// Counts of words, by id.
fn words(bigrams: &[([WordId; 2], u32)], trigrams: &[(Ngram, u32)], words: usize, smoothing: Smoothing) -> Vec<u32> {
    let mut counts = vec![0u32; words];
    let raw = |count| if smoothing == Smoothing::WittenBell { count } else { 1 };
    let mut add = |word: WordId, count| {
        let slot = &mut counts[word as usize];
        *slot = slot.saturating_add(raw(count));
    };
    bigrams.iter().for_each(|&([_, w], count)| add(w, count));
    for &(ngram, count) in trigrams.iter().take_while(|(ngram, _)| ngram.words()[..2] == [None, None]) {
        ngram.words()[2].into_iter().for_each(|w| add(w, count));
    }
    counts
}

/// What a count keeps of itself, by the counts of its length.
enum Shares {
    /// By how much counts of 1, 2 and more are lowered.
    Discounts([f64; 3]),
    WittenBell,
}

/// Sums over the n-grams of one history.
struct Group {
    total: f64,
    /// Share of the shorter n-gram's probability.
    left: f64,
}

impl Shares {
    fn of(counts: impl Iterator<Item = u32>, smoothing: Smoothing) -> Shares {
        if smoothing == Smoothing::WittenBell {
            return Shares::WittenBell;
        }
        let mut of = [0u64; 5];
        for count in counts.filter(|count| (1..5).contains(count)) {
            of[count as usize] += 1;
        }
        let n = of.map(|count| count as f64);
        let y = n[1] / (n[1] + 2.0 * n[2]);
        let discounts = [1, 2, 3].map(|i| i as f64 - (i + 1) as f64 * y * n[i + 1] / n[i]);
        // Little text has too few counts of a kind for the formula; any discounts serve there, and these are usual.
        let sensible = discounts.iter().zip([1.0, 2.0, 3.0]).all(|(d, most)| *d > 0.0 && *d < most);
        Shares::Discounts(if sensible { discounts } else { [0.5, 1.0, 1.5] })
    }

    fn discount(&self, count: u32) -> f64 {
        match (self, count) {
            (_, 0) | (Shares::WittenBell, _) => 0.0,
            (Shares::Discounts(discounts), _) => discounts[count.min(3) as usize - 1],
        }
    }

    fn group(&self, counts: impl Iterator<Item = u32>) -> Group {
        let (mut total, mut discounted, mut different) = (0.0, 0.0, 0.0);
        for count in counts.filter(|&count| count > 0) {
            total += f64::from(count);
            discounted += self.discount(count);
            different += 1.0;
        }
        match self {
            Shares::Discounts(_) => Group { total, left: if total > 0.0 { discounted / total } else { 1.0 } },
            Shares::WittenBell => Group { total: total + different, left: different / (total + different).max(1.0) },
        }
    }

    fn explicit(&self, group: &Group, count: u32) -> f64 {
        (f64::from(count) - self.discount(count)) / group.total
    }
}

fn ln(p: f64) -> f32 {
    if p > 0.0 { p.ln() as f32 } else { NEVER }
}
