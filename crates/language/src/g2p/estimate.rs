//! Estimation of the graphone n-grams: modified Kneser-Ney smoothing, interpolated (Chen & Goodman, "An empirical study of
//! smoothing techniques for language modeling", 1999), then pruning of the n-grams whose loss costs little likelihood
//! (after Stolcke, "Entropy-based pruning of backoff language models", 1998).

use super::G2pTraining;
use super::model::{BEGIN, END, FIRST_GRAPHONE, NgramTrie, Nodes};

/// Longest n-gram: eight tokens of 16 bits fill a key.
pub(super) const LONGEST_NGRAM: usize = 8;

/// Tokens from the most significant bits down, so that keys of one length sort like their sequences.
type Key = u128;

fn key(tokens: &[u16]) -> Key {
    tokens.iter().fold(0, |key, &token| key << 16 | Key::from(token))
}

/// The n-grams of one length.
struct Level {
    length: usize,
    keys: Vec<Key>,
    /// How often each occurs.
    raw: Vec<u32>,
    /// How many different tokens come before it; at the highest order and at the beginning of a word, how often it occurs.
    counts: Vec<u32>,
    probability: Vec<f64>,
    /// Weight of the shorter history in each n-gram's context, by position of the first n-gram of the context.
    interpolation: Vec<f64>,
    kept: Vec<bool>,
}

impl Level {
    fn suffix(&self, index: usize) -> Key {
        self.keys[index] & ((1 << (16 * (self.length - 1))) - 1)
    }

    fn history(&self, index: usize) -> Key {
        self.keys[index] >> 16
    }

    /// Ranges of n-grams that share their history.
    fn contexts(&self) -> Vec<std::ops::Range<usize>> {
        let mut ranges = Vec::new();
        let mut start = 0;
        for end in 1..=self.keys.len() {
            if end == self.keys.len() || self.history(end) != self.history(start) {
                ranges.push(start..end);
                start = end;
            }
        }
        ranges
    }

    fn find(&self, key: Key) -> Option<usize> {
        self.keys.binary_search(&key).ok()
    }
}

/// Estimates the model of sequences of tokens; `graphones` is how many graphones there are.
pub(super) fn estimate(sequences: &[Vec<u16>], graphones: usize, training: &G2pTraining) -> NgramTrie {
    let order = training.order.clamp(1, LONGEST_NGRAM);
    let mut levels: Vec<Level> = (1..=order).map(|length| count(sequences, length, graphones)).collect();
    for length in 1..order {
        let (lower, higher) = levels.split_at_mut(length);
        continuations(&mut lower[length - 1], &higher[0]);
    }
    for length in 1..=order {
        let (lower, higher) = levels.split_at_mut(length - 1);
        smooth(&mut higher[0], lower.last(), graphones + 1);
    }
    let total: u64 = levels[0].raw.iter().map(|&count| u64::from(count)).sum();
    for length in (2..=order).rev() {
        prune(&mut levels, length, training.pruning * total as f64);
    }
    build(&levels, graphones)
}

fn count(sequences: &[Vec<u16>], length: usize, graphones: usize) -> Level {
    let mut all: Vec<Key> = Vec::new();
    let mut padded = Vec::new();
    for sequence in sequences {
        padded.clear();
        padded.push(BEGIN);
        padded.extend_from_slice(sequence);
        padded.push(END);
        all.extend(padded.windows(length).map(key));
    }
    if length == 1 {
        // Every token has a unigram, whether it occurs or not.
        all.extend((0..graphones as u16 + FIRST_GRAPHONE).map(Key::from));
    }
    all.sort_unstable();
    let mut level = Level {
        length,
        keys: Vec::new(),
        raw: Vec::new(),
        counts: Vec::new(),
        probability: Vec::new(),
        interpolation: Vec::new(),
        kept: Vec::new(),
    };
    for run in all.chunk_by(|a, b| a == b) {
        level.keys.push(run[0]);
        level.raw.push((run.len() - usize::from(length == 1)) as u32);
    }
    level.counts = level.raw.clone();
    level.kept = vec![true; level.keys.len()];
    level
}

/// Replaces counts by numbers of different predecessors.
fn continuations(lower: &mut Level, higher: &Level) {
    let first = |key: Key| (key >> (16 * (lower.length - 1))) as u16;
    let mut counts = vec![0u32; lower.keys.len()];
    for index in 0..higher.keys.len() {
        if let Some(at) = lower.find(higher.suffix(index)) {
            counts[at] += 1;
        }
    }
    for (at, count) in counts.into_iter().enumerate() {
        if first(lower.keys[at]) != BEGIN {
            lower.counts[at] = count;
        }
    }
    if lower.length == 1 {
        lower.counts[usize::from(BEGIN)] = 0;
    }
}

/// Discounts of counts of one, two, and three or more.
fn discounts(counts: &[u32]) -> [f64; 3] {
    let of = |n: u32| counts.iter().filter(|&&count| count == n).count() as f64;
    let n = [of(1), of(2), of(3), of(4)];
    if n.contains(&0.0) {
        return [0.5, 0.75, 1.0];
    }
    let y = n[0] / (n[0] + 2.0 * n[1]);
    [1.0 - 2.0 * y * n[1] / n[0], 2.0 - 3.0 * y * n[2] / n[1], 3.0 - 4.0 * y * n[3] / n[2]]
        .map(|discount| discount.clamp(0.05, 2.9))
}

fn smooth(level: &mut Level, lower: Option<&Level>, predictable: usize) {
    let discounts = discounts(&level.counts);
    let discount = |count: u32| match count {
        0 => 0.0,
        n => discounts[(n as usize).min(3) - 1].min(f64::from(n)),
    };
    level.probability = vec![0.0; level.keys.len()];
    level.interpolation = vec![0.0; level.keys.len()];
    for context in level.contexts() {
        let counts = &level.counts[context.clone()];
        let sum: f64 = counts.iter().map(|&count| f64::from(count)).sum();
        let taken: f64 = counts.iter().map(|&count| discount(count)).sum();
        let weight = if sum > 0.0 { taken / sum } else { 1.0 };
        level.interpolation[context.start] = weight;
        for index in context {
            let below = match lower {
                Some(lower) => lower.find(level.suffix(index)).map_or(0.0, |at| lower.probability[at]),
                None if index == usize::from(BEGIN) => 0.0,
                None => 1.0 / predictable as f64,
            };
            let count = level.counts[index];
            let own = if sum > 0.0 { (f64::from(count) - discount(count)) / sum } else { 0.0 };
            level.probability[index] = own + weight * below;
        }
    }
}

/// Drops n-grams that no longer one needs and whose loss costs less than `least` nats over the training set.
fn prune(levels: &mut [Level], length: usize, least: f64) {
    let (lower, higher) = levels.split_at_mut(length - 1);
    let level = &higher[0];
    let mut kept: Vec<bool> = level
        .contexts()
        .into_iter()
        .flat_map(|context| {
            let weight = level.interpolation[context.start];
            context.map(move |index| (index, weight)).collect::<Vec<_>>()
        })
        .map(|(index, weight)| {
            let below = lower[length - 2].find(level.suffix(index)).map_or(0.0, |at| lower[length - 2].probability[at]);
            let gain = (level.probability[index] / (weight * below).max(1e-12)).ln();
            f64::from(level.raw[index]) * gain >= least
        })
        .collect();
    if let Some(longer) = higher.get(1) {
        for index in (0..longer.keys.len()).filter(|&index| longer.kept[index]) {
            if let Some(at) = level.find(longer.history(index)) {
                kept[at] = true;
            }
        }
    }
    higher[0].kept = kept;
}

/// Lays out the kept n-grams as a trie, and gives the histories the back-off weights that make it sum to one.
fn build(levels: &[Level], graphones: usize) -> NgramTrie {
    let unigrams = graphones + usize::from(FIRST_GRAPHONE);
    let mut nodes =
        Nodes { tokens: vec![0], probability: vec![0.0], backoff: vec![0.0], child_counts: vec![unigrams as u32] };
    let mut kept: Vec<Vec<usize>> = Vec::new();
    for level in levels {
        kept.push((0..level.keys.len()).filter(|&index| level.kept[index]).collect());
    }
    for (depth, level) in levels.iter().enumerate() {
        let mut children = levels.get(depth + 1).map(|longer| {
            let histories = kept[depth + 1].iter().map(|&index| longer.history(index));
            histories.collect::<Vec<Key>>().into_iter().peekable()
        });
        for &index in &kept[depth] {
            let mut count = 0;
            if let Some(children) = &mut children {
                while children.next_if_eq(&level.keys[index]).is_some() {
                    count += 1;
                }
            }
            nodes.tokens.push(level.keys[index] as u16);
            nodes.probability.push(level.probability[index].max(1e-30).ln() as f32);
            nodes.backoff.push(0.0);
            nodes.child_counts.push(count);
        }
    }
    // Shorter histories first: the weight of a longer one depends on what they predict.
    let trie = NgramTrie::new(nodes.clone());
    weigh(trie, nodes)
}

fn weigh(mut trie: NgramTrie, nodes: Nodes) -> NgramTrie {
    for node in 1..nodes.tokens.len() as u32 {
        if trie.children(node).is_empty() {
            continue;
        }
        let suffix = trie.suffix(node);
        let (mut own, mut below) = (0.0f64, 0.0f64);
        for child in trie.children(node) {
            own += f64::from(trie.probability(child)).exp();
            below += f64::from(trie.step(suffix, trie.token(child))).exp();
        }
        let weight = (1.0 - own).max(1e-9) / (1.0 - below).max(1e-9);
        trie.set_backoff(node, weight.ln() as f32);
    }
    trie
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After every history, what may follow sums to one.
    #[test]
    fn probabilities_sum_to_one() {
        let sequences: Vec<Vec<u16>> = (0..400u64)
            .map(|i| (0..1 + i % 7).map(|k| 2 + ((i * 7919 + k * k * 31 + i * k) % 9) as u16).collect())
            .collect();
        for pruning in [0.0, 1e-4] {
            let training = G2pTraining { order: 4, pruning, ..G2pTraining::default() };
            let trie = estimate(&sequences, 9, &training);
            for node in 0..=trie.len() as u32 {
                let sum: f64 = (END..11).map(|token| f64::from(trie.step(node, token)).exp()).sum();
                assert!((sum - 1.0).abs() < 1e-4, "{sum} after node {node} of {}, pruning {pruning}", trie.len());
            }
        }
    }
}
