//! Likelihoods of senones given feature vectors.
//!
//! For a block of frames, one codebook after the other: all densities exactly, then for each stream those that count, then
//! the weighted sums over them for all senones of the codebook at once, then one logarithm a senone.

mod dispatch;
mod kernels;
mod mixtures;

use std::sync::Arc;

use crate::features::FEATURES;
use kernels::{Kept, Kernels};
pub use mixtures::Tying;
pub(crate) use mixtures::{Gaussians, Mixtures, Weights};

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
        Pruning::Within(12.0)
    }
}

/// Frames scored together, so that a codebook's parameters are fetched from memory once for all of them.
const BLOCK: usize = 8;

/// Scores senones. Holds the work space of one session; the parameters are shared.
#[derive(Debug, Clone)]
pub struct Scorer {
    mixtures: Arc<Mixtures>,
    kernels: Kernels,
    pruning: Pruning,
    /// \[frame\]\[dimension\] of one stream.
    inputs: Vec<f32>,
    /// For each stream \[frame\]\[density\].
    densities: Vec<Vec<f32>>,
    kept: Vec<Vec<Kept>>,
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
            kept: vec![Vec::new(); streams],
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
        for (codebook_index, codebook) in mixtures.codebooks.iter().enumerate() {
            if codebook.runs.is_empty() {
                continue;
            }
            self.score_densities(&mixtures, codebook_index, features);
            self.row.resize(codebook.row, 0.0);
            for (frame, out) in out.chunks_exact_mut(mixtures.senones).enumerate() {
                let bias = self.choose_densities(&mixtures, frame);
                (self.kernels.mixtures)(&codebook.weights, mixtures.densities, &self.kept, bias, &mut self.row);
                for &(position, senone, count) in &codebook.runs {
                    out[senone..senone + count].copy_from_slice(&self.row[position..position + count]);
                }
            }
        }
    }

    /// All densities of a codebook for a block of frames.
    fn score_densities(&mut self, mixtures: &Mixtures, codebook: usize, features: &[[f32; FEATURES]]) {
        let codebook = &mixtures.codebooks[codebook];
        let row = mixtures.density_row();
        for ((dimensions, parameters), scores) in
            mixtures.stream_dimensions.iter().zip(&codebook.streams).zip(&mut self.densities)
        {
            self.inputs.clear();
            for vector in features {
                self.inputs.extend(dimensions.iter().map(|&dimension| vector[dimension]));
            }
            scores.resize(row * features.len(), 0.0);
            (self.kernels.densities)(parameters, dimensions.len(), &self.inputs, dimensions.len(), scores);
        }
    }

    /// Fills `kept` for a frame of the block; returns the sum of the streams' best log-likelihoods.
    fn choose_densities(&mut self, mixtures: &Mixtures, frame: usize) -> f32 {
        let row = mixtures.density_row();
        let mut bias = 0.0;
        for (scores, kept) in self.densities.iter().zip(&mut self.kept) {
            let scores = &scores[frame * row..][..mixtures.densities];
            kept.clear();
            match self.pruning {
                Pruning::Within(nats) => bias += keep_within(scores, nats, kept),
                Pruning::Best(count) => bias += keep_best(scores, count.max(1), kept),
            }
        }
        bias
    }
}

/// Keeps the densities within `nats` of the best, whose score it returns.
fn keep_within(scores: &[f32], nats: f32, kept: &mut Vec<Kept>) -> f32 {
    const GROUP: usize = 8;
    // Maxima by position in the group: a form the compiler turns into vector code.
    let mut maxima = [f32::MIN; GROUP];
    let groups = scores.chunks_exact(GROUP);
    let mut best = groups.remainder().iter().copied().fold(f32::MIN, f32::max);
    for group in groups {
        for (maximum, &score) in maxima.iter_mut().zip(group) {
            *maximum = if score > *maximum { score } else { *maximum };
        }
    }
    best = maxima.into_iter().fold(best, f32::max);
    let threshold = best - nats.max(0.0);
    for (density, &score) in scores.iter().enumerate() {
        if score >= threshold {
            kept.push(Kept { density: density as u32, factor: (score - best).exp() });
        }
    }
    best
}

/// Keeps the `count` best densities; returns the score of the best.
fn keep_best(scores: &[f32], count: usize, kept: &mut Vec<Kept>) -> f32 {
    for (density, &score) in scores.iter().enumerate() {
        if kept.len() == count && score <= kept[count - 1].factor {
            continue;
        }
        let position = kept.partition_point(|other| other.factor >= score);
        kept.insert(position, Kept { density: density as u32, factor: score });
        kept.truncate(count);
    }
    let best = kept.first().map_or(f32::MIN, |kept| kept.factor);
    for kept in kept.iter_mut() {
        kept.factor = (kept.factor - best).exp();
    }
    best
}
