//! Confusion networks and the reading with the least expected word errors.
//!
//! Xu, Povey, Mangu & Zhu, "Minimum Bayes risk decoding and system combination based on a recursion for edit
//! distance" (2011): given a word sequence *R* with an empty slot before, between and after its words, every lattice
//! path is aligned with it (in expectation, node by node) and each slot collects the posteriors of the words aligned
//! with it. Replacing each slot's word by the likeliest one lowers the expected edit distance; repeating until
//! nothing changes gives the reading. The slots are the confusion network: the posteriors of a slot sum to one.

use dictum_language::WordId;

use crate::lattice::Lattice;

/// A slot of the confusion network.
#[derive(Debug, Clone, PartialEq)]
pub struct ConsensusSlot {
    /// Words and their posteriors, best first; `None` is "no word here". They sum to one.
    pub words: Vec<(Option<WordId>, f64)>,
    /// Expected first frame of the words here.
    pub start: f64,
    /// Expected end of the words here, in frames.
    pub end: f64,
}

impl ConsensusSlot {
    /// The likeliest word, `None` if it is likeliest that none was said here.
    pub fn best(&self) -> Option<(WordId, f64)> {
        let &(word, posterior) = self.words.first()?;
        word.map(|word| (word, posterior))
    }
}

/// A lattice prepared for repeated alignment: posteriors instead of scores, and an explicit final node.
struct Graph {
    /// Time of each node, frames. The last node is the end.
    times: Vec<u32>,
    /// Arcs into each node: ranges of `arcs`.
    into: Vec<(u32, u32)>,
    arcs: Vec<Arc>,
}

struct Arc {
    from: u32,
    word: Option<WordId>,
    /// Probability of having come by this arc, given its end node.
    share: f64,
}

/// Cost of passing over a lattice word without a slot; a hair above one breaks ties as in the paper's recipe.
const DELETION: f64 = 1.0 + 1e-5;

/// Rounds after which a reading is taken as it is; it settles in two or three.
const MOST_ROUNDS: usize = 8;

/// Most cells of an alignment table: 16 MB. A minute of speech needs less.
const MOST_CELLS: usize = 2_000_000;

/// Beam at which pruning for size starts, natural log at acoustic scale.
const WIDEST_BEAM: f32 = 60.0;

/// Computes the confusion network of a lattice at a posterior scale.
///
/// `initial` is the reading to start from, usually the words of the best path.
pub fn consensus(lattice: &Lattice, scale: f32, initial: &[WordId]) -> Vec<ConsensusSlot> {
    if lattice.is_empty() {
        return Vec::new();
    }
    // The tables grow with the square of the duration. Where they would not fit, less likely paths are left out.
    let mut beam = WIDEST_BEAM;
    let mut pruned = None;
    while pruned.as_ref().unwrap_or(lattice).nodes.len() * (2 * initial.len() + 2) > MOST_CELLS && beam > 1.0 {
        beam *= 0.8;
        pruned.get_or_insert_with(|| lattice.clone()).prune(beam);
    }
    let graph = Graph::new(pruned.as_ref().unwrap_or(lattice), scale);
    let mut reading = with_gaps(initial.iter().copied());
    let mut slots = graph.align(&reading);
    for _ in 1..MOST_ROUNDS {
        let better = with_gaps(slots.iter().filter_map(|slot| slot.best().map(|best| best.0)));
        if better == reading {
            break;
        }
        reading = better;
        slots = graph.align(&reading);
    }
    slots
}

/// An empty slot before, between and after the words, where words that the reading lacks can gather.
fn with_gaps(words: impl Iterator<Item = WordId>) -> Vec<Option<WordId>> {
    let mut reading = vec![None];
    for word in words {
        reading.extend([Some(word), None]);
    }
    reading
}

fn substitution(word: Option<WordId>, slot: Option<WordId>) -> f64 {
    f64::from(u8::from(word != slot))
}

fn deletion(word: Option<WordId>) -> f64 {
    if word.is_some() { DELETION } else { 0.0 }
}

#[derive(Clone, Copy)]
enum Move {
    /// The arc's word fills the slot.
    Fill,
    /// The arc's word fills none.
    Pass,
    /// The slot stays empty.
    Skip,
}

impl Graph {
    fn new(lattice: &Lattice, scale: f32) -> Graph {
        let (forward, _) = lattice.log_sums(scale);
        let mut graph = Graph { times: Vec::new(), into: vec![(0, 0)], arcs: Vec::new() };
        graph.times.extend(lattice.nodes.iter().map(|node| node.frame));
        let mut next = 0;
        for node in 1..lattice.nodes.len() {
            let begin = graph.arcs.len() as u32;
            while next < lattice.arcs.len() && lattice.arcs[next].to as usize == node {
                let arc = &lattice.arcs[next];
                let score = forward[arc.from as usize] + f64::from(scale * arc.score());
                graph.arcs.push(Arc { from: arc.from, word: arc.word, share: (score - forward[node]).exp() });
                next += 1;
            }
            graph.into.push((begin, graph.arcs.len() as u32));
        }
        let begin = graph.arcs.len() as u32;
        let ends = |node: usize| forward[node] + f64::from(scale * lattice.nodes[node].end_score);
        let best = (0..lattice.nodes.len()).map(ends).fold(f64::NEG_INFINITY, f64::max);
        let total: f64 = (0..lattice.nodes.len()).map(|node| (ends(node) - best).exp()).sum();
        for node in 0..lattice.nodes.len() {
            let share = (ends(node) - best).exp() / total;
            if share > 0.0 {
                graph.arcs.push(Arc { from: node as u32, word: None, share });
            }
        }
        graph.into.push((begin, graph.arcs.len() as u32));
        graph.times.push(lattice.nodes.iter().map(|node| node.frame).max().unwrap_or(0));
        graph
    }

    fn arcs_into(&self, node: usize) -> &[Arc] {
        let (begin, end) = self.into[node];
        &self.arcs[begin as usize..end as usize]
    }

    /// Expected edit distances from the beginning to every node, by number of slots passed.
    fn distances(&self, reading: &[Option<WordId>]) -> Vec<f64> {
        let width = reading.len() + 1;
        let mut distances = vec![0.0; self.times.len() * width];
        for slot in 1..width {
            distances[slot] = distances[slot - 1] + substitution(None, reading[slot - 1]);
        }
        let mut along = vec![0.0; width];
        for node in 1..self.times.len() {
            for arc in self.arcs_into(node) {
                step(&distances[arc.from as usize * width..][..width], arc.word, reading, &mut along, None);
                let row = &mut distances[node * width..][..width];
                row.iter_mut().zip(&along).for_each(|(distance, along)| *distance += arc.share * along);
            }
        }
        distances
    }

    /// Aligns all paths with a reading and collects what falls into each slot.
    fn align(&self, reading: &[Option<WordId>]) -> Vec<ConsensusSlot> {
        let width = reading.len() + 1;
        let distances = self.distances(reading);
        let mut slots: Vec<Gathering> = vec![Gathering::default(); reading.len()];
        let mut mass = vec![0.0; self.times.len() * width];
        let (mut along, mut moves, mut flow) = (vec![0.0; width], vec![Move::Pass; width], vec![0.0; width]);
        mass[(self.times.len() - 1) * width + reading.len()] = 1.0;
        for node in (1..self.times.len()).rev() {
            if mass[node * width..][..width].iter().all(|&mass| mass == 0.0) {
                continue;
            }
            for arc in self.arcs_into(node) {
                let from = arc.from as usize;
                step(&distances[from * width..][..width], arc.word, reading, &mut along, Some(&mut moves));
                for slot in 0..width {
                    flow[slot] = arc.share * mass[node * width + slot];
                }
                let (start, end) = (f64::from(self.times[from]), f64::from(self.times[node]));
                for slot in (1..width).rev() {
                    let amount = flow[slot];
                    if amount == 0.0 {
                        continue;
                    }
                    match moves[slot] {
                        Move::Fill => {
                            mass[from * width + slot - 1] += amount;
                            slots[slot - 1].add(arc.word, amount, start, end);
                        }
                        Move::Pass => mass[from * width + slot] += amount,
                        Move::Skip => {
                            flow[slot - 1] += amount;
                            slots[slot - 1].add(None, amount, end, end);
                        }
                    }
                }
                mass[from * width] += flow[0];
            }
        }
        // What is left at the beginning fills no slot.
        let mut left = 0.0;
        for slot in (1..width).rev() {
            left += mass[slot];
            slots[slot - 1].add(None, left, 0.0, 0.0);
        }
        slots.into_iter().map(Gathering::finish).collect()
    }
}

/// One arc of the edit-distance recursion: from the distances at its start to those along it.
fn step(
    from: &[f64],
    word: Option<WordId>,
    reading: &[Option<WordId>],
    along: &mut [f64],
    mut moves: Option<&mut [Move]>,
) {
    along[0] = from[0] + deletion(word);
    for slot in 1..along.len() {
        let fill = from[slot - 1] + substitution(word, reading[slot - 1]);
        let pass = from[slot] + deletion(word);
        let skip = along[slot - 1] + substitution(None, reading[slot - 1]);
        let (best, choice) = if fill <= pass && fill <= skip {
            (fill, Move::Fill)
        } else if pass <= skip {
            (pass, Move::Pass)
        } else {
            (skip, Move::Skip)
        };
        along[slot] = best;
        if let Some(moves) = moves.as_deref_mut() {
            moves[slot] = choice;
        }
    }
}

/// What falls into a slot while paths are aligned.
#[derive(Clone, Default)]
struct Gathering {
    words: Vec<(Option<WordId>, f64, f64, f64)>,
}

impl Gathering {
    fn add(&mut self, word: Option<WordId>, mass: f64, start: f64, end: f64) {
        if mass <= 0.0 {
            return;
        }
        let entry = match self.words.iter_mut().find(|entry| entry.0 == word) {
            Some(entry) => entry,
            None => {
                self.words.push((word, 0.0, 0.0, 0.0));
                self.words.last_mut().expect("just pushed")
            }
        };
        entry.1 += mass;
        entry.2 += mass * start;
        entry.3 += mass * end;
    }

    fn finish(mut self) -> ConsensusSlot {
        self.words.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let timed = self.words.iter().find(|entry| entry.0.is_some()).or(self.words.first());
        let (start, end) = timed.map_or((0.0, 0.0), |&(_, mass, start, end)| (start / mass, end / mass));
        let words = self.words.iter().map(|&(word, mass, _, _)| (word, mass)).collect();
        ConsensusSlot { words, start, end }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random_lattice::{lattices, paths};
    use proptest::prelude::*;
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;

    fn edit_distance(a: &[u32], b: &[u32]) -> usize {
        let mut row: Vec<usize> = (0..=b.len()).collect();
        for (i, x) in a.iter().enumerate() {
            let mut diagonal = std::mem::replace(&mut row[0], i + 1);
            for (j, y) in b.iter().enumerate() {
                let cost = diagonal + usize::from(x != y);
                diagonal = row[j + 1];
                row[j + 1] = cost.min(diagonal + 1).min(row[j] + 1);
            }
        }
        row[b.len()]
    }

    fn expected_errors(lattice: &Lattice, scale: f32, reading: &[u32]) -> f64 {
        let all = paths(lattice);
        let total: f64 = all.iter().map(|path| f64::from(scale * path.1).exp()).sum();
        all.iter().map(|path| f64::from(scale * path.1).exp() / total * edit_distance(&path.0, reading) as f64).sum()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(150))]

        #[test]
        fn posteriors_of_a_slot_sum_to_one(lattice in lattices(), scale in 0.02f32..0.5) {
            let best: Vec<WordId> = lattice.best_path().iter().filter_map(|arc| arc.word).collect();
            for slot in consensus(&lattice, scale, &best) {
                let sum: f64 = slot.words.iter().map(|(_, posterior)| posterior).sum();
                prop_assert!((sum - 1.0).abs() < 1e-6, "slot sums to {}", sum);
                prop_assert!(slot.words.windows(2).all(|pair| pair[0].1 >= pair[1].1));
                prop_assert!(slot.start <= slot.end);
            }
        }
    }

    /// The reading has fewer expected errors than the likeliest path it started from. Not always, for the recursion bounds the
    /// distance from above; but on average, and never many more.
    #[test]
    fn the_reading_lowers_the_expected_errors() {
        let mut runner = TestRunner::deterministic();
        let (mut gained, mut lost) = (0.0, 0.0f64);
        for scale in [0.02, 0.05, 0.1, 0.2, 0.5].repeat(60) {
            let lattice = lattices().new_tree(&mut runner).expect("the strategy rejects nothing").current();
            let best: Vec<WordId> = lattice.best_path().iter().filter_map(|arc| arc.word).collect();
            let slots = consensus(&lattice, scale, &best);
            let reading: Vec<WordId> = slots.iter().filter_map(|slot| slot.best().map(|best| best.0)).collect();
            let gain = expected_errors(&lattice, scale, &best) - expected_errors(&lattice, scale, &reading);
            gained += gain;
            lost = lost.max(-gain);
        }
        assert!(gained > 0.0 && lost < 0.5, "{gained} fewer expected errors in all, at most {lost} more in one");
    }
}
