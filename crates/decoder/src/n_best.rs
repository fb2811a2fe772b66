//! The best distinct readings of a lattice.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use rustc_hash::FxHashSet;

use dictum_language::WordId;

use crate::lattice::{Lattice, LatticeNodeId};

/// A reading.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// Words and the frames from which to which they were said, on the best path that reads so.
    pub words: Vec<(WordId, u32, u32)>,
    /// Score of that path.
    pub score: f32,
}

/// Partial readings looked at before the search gives up on finding more.
const MOST_EXPANSIONS: usize = 100_000;

/// The `count` best readings with distinct words, best first.
///
/// A* from the beginning, with the exact score to the end as the estimate, so the first time a (node, words) pair is
/// reached is by its best path and every later one is dropped (Soong & Huang, "A tree-trellis based fast search for
/// finding the N best sentence hypotheses", 1991).
pub fn n_best(lattice: &Lattice, count: usize) -> Vec<Reading> {
    let mut readings = Vec::new();
    if lattice.is_empty() || count == 0 {
        return readings;
    }
    let (_, to_end) = lattice.best_scores();
    let mut out_of = vec![Vec::new(); lattice.nodes.len()];
    for (index, arc) in lattice.arcs.iter().enumerate() {
        out_of[arc.from as usize].push(index as u32);
    }
    let mut partials = vec![Partial { node: 0, parent: u32::MAX, arc: u32::MAX, score: 0.0, hash: 0 }];
    let mut heap = BinaryHeap::from([Entry { estimate: to_end[0], partial: 0, complete: false }]);
    let (mut seen, mut found) = (FxHashSet::default(), FxHashSet::default());
    for _ in 0..MOST_EXPANSIONS {
        let Some(Entry { partial: index, complete, .. }) = heap.pop() else { break };
        let partial = partials[index as usize];
        if complete {
            if found.insert(partial.hash) {
                readings.push(reading(lattice, &partials, index));
                if readings.len() == count {
                    break;
                }
            }
            continue;
        }
        if !seen.insert((partial.node, partial.hash)) {
            continue;
        }
        let end_score = lattice.nodes[partial.node as usize].end_score;
        if end_score > f32::NEG_INFINITY {
            heap.push(Entry { estimate: partial.score + end_score, partial: index, complete: true });
        }
        for &arc_index in &out_of[partial.node as usize] {
            let arc = &lattice.arcs[arc_index as usize];
            let hash = match arc.word {
                Some(word) => (partial.hash.rotate_left(5) ^ u64::from(word + 1)).wrapping_mul(0x517c_c1b7_2722_0a95),
                None => partial.hash,
            };
            let score = partial.score + arc.score();
            heap.push(Entry {
                estimate: score + to_end[arc.to as usize],
                partial: partials.len() as u32,
                complete: false,
            });
            partials.push(Partial { node: arc.to, parent: index, arc: arc_index, score, hash });
        }
    }
    readings
}

fn reading(lattice: &Lattice, partials: &[Partial], end: u32) -> Reading {
    let mut words = Vec::new();
    let mut at = end;
    while partials[at as usize].parent != u32::MAX {
        let partial = &partials[at as usize];
        let arc = &lattice.arcs[partial.arc as usize];
        if let Some(word) = arc.word {
            words.push((word, lattice.nodes[arc.from as usize].frame, lattice.nodes[arc.to as usize].frame));
        }
        at = partial.parent;
    }
    words.reverse();
    let last = &partials[end as usize];
    Reading { words, score: last.score + lattice.nodes[last.node as usize].end_score }
}

#[derive(Clone, Copy)]
struct Partial {
    node: LatticeNodeId,
    parent: u32,
    arc: u32,
    score: f32,
    /// Of the words so far.
    hash: u64,
}

struct Entry {
    estimate: f32,
    partial: u32,
    complete: bool,
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        self.estimate.total_cmp(&other.estimate).then(other.partial.cmp(&self.partial))
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Entry {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random_lattice::{lattices, paths};
    use proptest::prelude::*;
    use std::collections::HashMap;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        /// The list is what sorting all distinct readings by their best path gives.
        #[test]
        fn equals_sorting_all_readings(lattice in lattices(), count in 1usize..12) {
            let mut best: HashMap<Vec<u32>, f32> = HashMap::new();
            for (words, score) in paths(&lattice) {
                let entry = best.entry(words).or_insert(score);
                *entry = entry.max(score);
            }
            let mut expected: Vec<f32> = best.values().copied().collect();
            expected.sort_by(|a, b| b.total_cmp(a));
            expected.truncate(count);
            let found = n_best(&lattice, count);
            prop_assert_eq!(found.len(), expected.len());
            for (reading, expected) in found.iter().zip(expected) {
                prop_assert!((reading.score - expected).abs() < 1e-2);
                let words: Vec<u32> = reading.words.iter().map(|word| word.0).collect();
                prop_assert!((best[&words] - reading.score).abs() < 1e-2);
            }
            prop_assert!(found.windows(2).all(|pair| pair[0].score >= pair[1].score - 1e-3));
        }
    }
}
