//! Likelihoods of senones given feature vectors.
//!
//! For a block of frames, one codebook after the other: all densities exactly, then for each stream those that count, then
//! the weighted sums over them for all senones of the codebook at once, then one logarithm a senone.

mod dispatch;
mod kernels;
mod mixtures;

use std::sync::Arc;

use crate::features::FEATURES;
use kernels::{FRAMES, Kept, Kernels, Lanes};
use mixtures::Codebook;
pub use mixtures::Tying;
pub(crate) use mixtures::{Gaussians, Mixtures, VARIANCE_FLOOR, Weights};

/// Which densities of a codebook and stream count for a frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pruning {
    /// Those whose log-likelihood is at most so many nats below the best; infinity for all.
    Within(f32),
    /// The best so many (at least one).
    Best(usize),
}

impl Default for Pruning {
    fn default() -> Self {
        Pruning::Within(10.0)
    }
}

/// Frames scored together, so that a codebook's parameters are fetched from memory once for all of them.
const BLOCK: usize = 16;

/// Scores senones. Holds the work space of one session; the parameters are shared.
#[derive(Debug, Clone)]
pub struct Scorer {
    mixtures: Arc<Mixtures>,
    kernels: Kernels,
    pruning: Pruning,
    /// \[dimension\]\[frame\] of one stream, for [`FRAMES`] frames.
    inputs: Vec<[f32; FRAMES]>,
    /// For each stream \[bundle of frames\]\[group of densities\]\[frame\].
    densities: Vec<Vec<[Lanes; FRAMES]>>,
    /// Scores of all densities of one stream in one frame.
    scores: Vec<Lanes>,
    kept: Vec<Kept>,
    row: Vec<f32>,
}

impl Scorer {
    pub(crate) fn new(mixtures: Arc<Mixtures>) -> Scorer {
        Scorer::with_kernels(mixtures, dispatch::best())
    }

    fn with_kernels(mixtures: Arc<Mixtures>, kernels: Kernels) -> Scorer {
        let streams = mixtures.stream_dimensions.len();
        Scorer {
            kernels,
            pruning: Pruning::default(),
            inputs: Vec::new(),
            densities: vec![Vec::new(); streams],
            kept: vec![Kept::default(); streams],
            scores: Vec::new(),
            row: Vec::new(),
            mixtures,
        }
    }

    /// The same scorer with another choice of densities.
    pub fn with_pruning(mut self, pruning: Pruning) -> Scorer {
        self.pruning = pruning;
        self
    }

    /// Number of senones, the length of a frame's scores.
    pub fn senone_count(&self) -> usize {
        self.mixtures.senones
    }

    /// Which instruction set the inner loops use.
    pub fn instruction_set(&self) -> &'static str {
        self.kernels.name
    }

    /// Appends natural-log likelihoods of all senones for each feature vector, frame by frame.
    pub fn score(&mut self, features: &[[f32; FEATURES]], out: &mut Vec<f32>) {
        let senones = self.mixtures.senones;
        for block in features.chunks(BLOCK) {
            let start = out.len();
            out.resize(start + block.len() * senones, 0.0);
            self.score_block(block, &mut out[start..]);
        }
    }

    fn score_block(&mut self, features: &[[f32; FEATURES]], out: &mut [f32]) {
        let mixtures = Arc::clone(&self.mixtures);
        for codebook in &mixtures.codebooks {
            if codebook.runs.is_empty() {
                continue;
            }
            self.score_densities(&mixtures, codebook, features);
            self.row.resize(codebook.row, 0.0);
            for (frame, out) in out.chunks_exact_mut(mixtures.senones).enumerate() {
                let bias = self.choose_densities(&mixtures, frame);
                (self.kernels.mixtures)(&codebook.weights, mixtures.densities, &self.kept, bias, &mut self.row);
                for &(position, senone, count) in codebook.runs.iter() {
                    out[senone..senone + count].copy_from_slice(&self.row[position..position + count]);
                }
            }
        }
    }

    /// All densities of a codebook for a block of frames.
    fn score_densities(&mut self, mixtures: &Mixtures, codebook: &Codebook, features: &[[f32; FEATURES]]) {
        let groups = mixtures.density_groups();
        for ((dimensions, parameters), densities) in
            mixtures.stream_dimensions.iter().zip(&codebook.streams).zip(&mut self.densities)
        {
            densities.resize(groups * features.len().div_ceil(FRAMES), Default::default());
            for (bundle, densities) in features.chunks(FRAMES).zip(densities.chunks_exact_mut(groups)) {
                self.inputs.clear();
                self.inputs.extend(dimensions.iter().map(|&dimension| {
                    let mut values = [0.0; FRAMES];
                    for (value, vector) in values.iter_mut().zip(bundle) {
                        *value = vector[dimension];
                    }
                    values
                }));
                (self.kernels.densities)(parameters, &self.inputs, densities);
            }
        }
    }

    /// Fills `kept` for a frame of the block; returns the sum of the streams' best log-likelihoods.
    fn choose_densities(&mut self, mixtures: &Mixtures, frame: usize) -> f32 {
        let groups = mixtures.density_groups();
        let mut bias = 0.0;
        for (densities, kept) in self.densities.iter().zip(&mut self.kept) {
            let bundle = &densities[frame / FRAMES * groups..][..groups];
            self.scores.clear();
            self.scores.extend(bundle.iter().map(|group| group[frame % FRAMES]));
            let scores = &self.scores.as_flattened()[..mixtures.densities];
            bias += match self.pruning {
                Pruning::Within(nats) => keep_within(scores, nats, kept),
                Pruning::Best(count) => keep_best(scores, count.max(1), kept),
            };
            (self.kernels.exponentials)(&mut kept.factors);
        }
        bias
    }
}

/// Keeps the densities within `nats` of the best, as logarithms; returns the score of the best.
fn keep_within(scores: &[f32], nats: f32, kept: &mut Kept) -> f32 {
    const GROUP: usize = 8;
    // Maxima by position in the group: a form the compiler turns into vector code.
    let (groups, rest) = scores.as_chunks::<GROUP>();
    let mut maxima = [f32::MIN; GROUP];
    for group in groups {
        for (maximum, &score) in maxima.iter_mut().zip(group) {
            *maximum = if score > *maximum { score } else { *maximum };
        }
    }
    let best = maxima.iter().chain(rest).copied().fold(f32::MIN, f32::max);
    let threshold = best - nats.max(0.0);
    // Every density is written where the next kept one goes: no branch that could be mispredicted.
    kept.densities.resize(scores.len(), 0);
    kept.factors.resize(scores.len(), 0.0);
    let mut count = 0;
    for (density, &score) in scores.iter().enumerate() {
        kept.densities[count] = density as u32;
        kept.factors[count] = score - best;
        count += usize::from(score >= threshold);
    }
    kept.densities.truncate(count);
    kept.factors.truncate(count);
    best
}

/// Keeps the `count` best densities, as logarithms; returns the score of the best.
fn keep_best(scores: &[f32], count: usize, kept: &mut Kept) -> f32 {
    kept.densities.clear();
    kept.factors.clear();
    for (density, &score) in scores.iter().enumerate() {
        if kept.factors.len() == count {
            if score <= kept.factors[count - 1] {
                continue;
            }
            kept.densities.pop();
            kept.factors.pop();
        }
        let position = kept.factors.partition_point(|&other| other >= score);
        kept.densities.insert(position, density as u32);
        kept.factors.insert(position, score);
    }
    let best = kept.factors.first().copied().unwrap_or(f32::MIN);
    kept.factors.iter_mut().for_each(|factor| *factor -= best);
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernels::{LANES, Weight};

    /// Numbers from -1 to 1.
    fn numbers(count: usize, seed: u32) -> Vec<f32> {
        let mut state = seed;
        let next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        std::iter::repeat_with(next).take(count).collect()
    }

    fn assert_close(ours: &[f32], theirs: &[f32], what: &str) {
        assert_eq!(ours.len(), theirs.len());
        for (index, (&ours, &theirs)) in ours.iter().zip(theirs).enumerate() {
            let allowed = 2e-5 * (1.0 + theirs.abs());
            assert!((ours - theirs).abs() <= allowed, "{what}, number {index}: {ours}, not {theirs}");
        }
    }

    #[test]
    fn every_instruction_set_computes_what_the_portable_one_does() {
        let portable = Kernels::portable();
        for kernels in dispatch::available() {
            println!("{}", kernels.name);
            for dimensions in [1, 12, 13, 39] {
                let groups = 8;
                let parameters: Vec<Lanes> = numbers(groups * (1 + 2 * dimensions) * LANES, 1).as_chunks().0.to_vec();
                let inputs: Vec<[f32; FRAMES]> = numbers(dimensions * FRAMES, 2).as_chunks().0.to_vec();
                let run = |kernels: &Kernels| {
                    let mut out = vec![[Lanes::default(); FRAMES]; groups];
                    (kernels.densities)(&parameters, &inputs, &mut out);
                    out.as_flattened().as_flattened().to_vec()
                };
                assert_close(&run(&kernels), &run(&portable), &format!("{} densities", kernels.name));
            }
            for (row, streams) in [(16, 1), (48, 3), (144, 3), (304, 4)] {
                let densities = 20;
                let weights: Vec<Weight> =
                    numbers(streams * densities * row, 3).iter().map(|&x| Weight::new(x.abs() + 1e-6)).collect();
                let kept: Vec<Kept> = (0..streams)
                    .map(|stream| Kept { densities: vec![0, 3 + stream as u32, 19], factors: vec![1.0, 0.5, 1e-4] })
                    .collect();
                let run = |kernels: &Kernels| {
                    let mut out = vec![0.0; row];
                    (kernels.mixtures)(&weights, densities, &kept, -50.0, &mut out);
                    out
                };
                assert_close(&run(&kernels), &run(&portable), &format!("{} mixtures", kernels.name));
            }
            let exponents: Vec<f32> = numbers(1001, 4).iter().map(|&x| -100.0 * x.abs()).collect();
            let run = |kernels: &Kernels| {
                let mut out = exponents.clone();
                (kernels.exponentials)(&mut out);
                out
            };
            assert_close(&run(&kernels), &run(&portable), &format!("{} exponentials", kernels.name));
        }
    }
}
