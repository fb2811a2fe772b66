//! Gaussians and mixture weights, in the layout that scoring reads.

use std::sync::Arc;

use super::kernels::{LANES, Lanes, Weight};
use crate::format::{ParameterFile, QuantizedWeights, SENDUMP_STEP};

/// Least variance of a Gaussian; training data that hardly varies must not make a density infinitely sharp.
pub(crate) const VARIANCE_FLOOR: f32 = 1e-4;
/// Least mixture weight when weights come as counts.
const WEIGHT_FLOOR: f32 = 1e-7;

/// How senones share Gaussians.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tying {
    /// All senones share one codebook ("semi-continuous").
    SemiContinuous,
    /// Senones of one phone share a codebook ("phonetically tied mixtures").
    PhoneticallyTied,
    /// Each senone has its own Gaussians.
    Continuous,
}

/// Means and variances of all densities.
#[derive(Debug, Clone)]
pub(crate) struct Gaussians {
    pub(crate) codebooks: usize,
    pub(crate) densities: usize,
    pub(crate) stream_lengths: Vec<usize>,
    /// \[codebook\]\[stream\]\[density\]\[dimension\].
    pub(crate) means: Vec<f32>,
    pub(crate) variances: Vec<f32>,
}

impl Gaussians {
    pub(crate) fn new(means: ParameterFile, variances: ParameterFile) -> Result<Gaussians, String> {
        if means.shape != variances.shape || means.stream_lengths != variances.stream_lengths {
            return Err(format!(
                "means are {:?} of {:?} dimensions, variances are {:?} of {:?}",
                means.shape, means.stream_lengths, variances.shape, variances.stream_lengths
            ));
        }
        let mut variances = variances.values;
        variances.iter_mut().for_each(|variance| *variance = variance.max(VARIANCE_FLOOR));
        Ok(Gaussians {
            codebooks: means.shape[0],
            densities: means.shape[2],
            stream_lengths: means.stream_lengths,
            means: means.values,
            variances,
        })
    }

    /// Mean and variance of a density.
    pub(crate) fn density(&self, codebook: usize, stream: usize, density: usize) -> (&[f32], &[f32]) {
        let range = self.range(codebook, stream, density);
        (&self.means[range.clone()], &self.variances[range])
    }

    /// Mean and variance of a density, to be changed.
    pub(crate) fn density_mut(&mut self, codebook: usize, stream: usize, density: usize) -> (&mut [f32], &mut [f32]) {
        let range = self.range(codebook, stream, density);
        (&mut self.means[range.clone()], &mut self.variances[range])
    }

    fn range(&self, codebook: usize, stream: usize, density: usize) -> std::ops::Range<usize> {
        let dimensions: usize = self.stream_lengths.iter().sum();
        let before: usize = self.stream_lengths[..stream].iter().sum();
        let length = self.stream_lengths[stream];
        let start = (codebook * dimensions + before) * self.densities + density * length;
        start..start + length
    }
}

/// Linear mixture weights, \[stream\]\[density\]\[senone\].
#[derive(Debug, Clone)]
pub(crate) struct Weights {
    pub(crate) senones: usize,
    pub(crate) streams: usize,
    pub(crate) densities: usize,
    pub(crate) values: Vec<f32>,
}

impl Weights {
    pub(crate) fn from_quantized(quantized: QuantizedWeights) -> Weights {
        let table: Vec<f32> = (0..=255u8).map(|step| (-f32::from(step) * SENDUMP_STEP).exp()).collect();
        Weights {
            senones: quantized.senones,
            streams: quantized.streams,
            densities: quantized.densities,
            values: quantized.values.iter().map(|&step| table[usize::from(step)]).collect(),
        }
    }

    /// From a `mixture_weights` file, whose rows are counts: normalised, floored, normalised again.
    pub(crate) fn from_counts(file: ParameterFile) -> Result<Weights, String> {
        let [senones, streams, densities] = file.shape;
        let mut values = vec![0.0; file.values.len()];
        for (row, counts) in file.values.chunks_exact(densities).enumerate() {
            if counts.iter().any(|&count| count < 0.0) {
                return Err(format!("senone {} has a negative weight", row / streams));
            }
            let total: f32 = counts.iter().sum();
            // A senone never seen in training has no counts: all densities weigh the same.
            let floored = counts.iter().map(|&count| (count / total.max(f32::MIN_POSITIVE)).max(WEIGHT_FLOOR));
            let floored_total: f32 = floored.clone().sum();
            let (senone, stream) = (row / streams, row % streams);
            for (density, weight) in floored.enumerate() {
                values[(stream * densities + density) * senones + senone] = weight / floored_total;
            }
        }
        Ok(Weights { senones, streams, densities, values })
    }
}

/// Everything about one codebook, contiguous.
#[derive(Debug)]
pub(crate) struct Codebook {
    /// For each stream the parameters that the density kernel reads.
    pub(crate) streams: Vec<Vec<Lanes>>,
    /// \[stream\]\[density\]\[senone of this codebook, padded\].
    pub(crate) weights: Arc<[Weight]>,
    /// Length of a row of `weights`.
    pub(crate) row: usize,
    /// Where the scores of consecutive senones go: (first in the row, first senone, count).
    pub(crate) runs: Arc<[(usize, usize, usize)]>,
}

/// Gaussians and weights of a whole model.
#[derive(Debug)]
pub(crate) struct Mixtures {
    pub(crate) tying: Tying,
    pub(crate) senones: usize,
    pub(crate) densities: usize,
    /// Which features each stream takes.
    pub(crate) stream_dimensions: Vec<Vec<usize>>,
    pub(crate) codebooks: Vec<Codebook>,
}

impl Mixtures {
    /// `codebook_of`: for each senone; `stream_dimensions`: for each stream the features it takes.
    pub(crate) fn new(
        tying: Tying,
        gaussians: &Gaussians,
        weights: &Weights,
        codebook_of: &[usize],
        stream_dimensions: Vec<Vec<usize>>,
    ) -> Mixtures {
        let mut members = vec![Vec::new(); gaussians.codebooks];
        for (senone, &codebook) in codebook_of.iter().enumerate() {
            members[codebook].push(senone);
        }
        let codebooks = members
            .iter()
            .enumerate()
            .map(|(codebook, members)| Codebook::new(gaussians, weights, codebook, members))
            .collect();
        Mixtures { tying, senones: weights.senones, densities: gaussians.densities, stream_dimensions, codebooks }
    }

    /// The same mixtures of other Gaussians of the same shape; the weights are shared.
    pub(crate) fn with_gaussians(&self, gaussians: &Gaussians) -> Mixtures {
        let codebooks = self.codebooks.iter().enumerate().map(|(codebook, own)| Codebook {
            streams: all_density_parameters(gaussians, codebook),
            weights: Arc::clone(&own.weights),
            row: own.row,
            runs: Arc::clone(&own.runs),
        });
        Mixtures {
            tying: self.tying,
            senones: self.senones,
            densities: self.densities,
            stream_dimensions: self.stream_dimensions.clone(),
            codebooks: codebooks.collect(),
        }
    }

    /// Groups of [`LANES`] densities in a codebook and stream, the last one padded.
    pub(crate) fn density_groups(&self) -> usize {
        self.densities.div_ceil(LANES)
    }
}

impl Codebook {
    fn new(gaussians: &Gaussians, weights: &Weights, codebook: usize, members: &[usize]) -> Codebook {
        let streams = all_density_parameters(gaussians, codebook);
        let row = members.len().next_multiple_of(LANES);
        // Padding is scored too; a weight keeps its logarithm finite.
        let mut linear = vec![Weight::new(1.0); weights.streams * weights.densities * row];
        for (from, to) in weights.values.chunks_exact(weights.senones).zip(linear.chunks_exact_mut(row.max(1))) {
            for (&senone, to) in members.iter().zip(to.iter_mut()) {
                *to = Weight::new(from[senone]);
            }
        }
        let mut runs: Vec<(usize, usize, usize)> = Vec::new();
        for (position, &senone) in members.iter().enumerate() {
            match runs.last_mut() {
                Some((_, first, count)) if *first + *count == senone => *count += 1,
                _ => runs.push((position, senone, 1)),
            }
        }
        Codebook { streams, weights: linear.into(), row, runs: runs.into() }
    }
}

/// What the density kernel reads of a codebook, for each stream.
fn all_density_parameters(gaussians: &Gaussians, codebook: usize) -> Vec<Vec<Lanes>> {
    (0..gaussians.stream_lengths.len()).map(|stream| density_parameters(gaussians, codebook, stream)).collect()
}

/// Interleaves a codebook's densities of one stream in groups of [`LANES`]: constants, then scales and offsets of each
/// dimension, such that ln N(x) = constant - sum (x * scale - offset)^2.
fn density_parameters(gaussians: &Gaussians, codebook: usize, stream: usize) -> Vec<Lanes> {
    let dimensions = gaussians.stream_lengths[stream];
    let group_length = 1 + 2 * dimensions;
    let mut parameters = vec![[0.0; LANES]; gaussians.densities.div_ceil(LANES) * group_length];
    // Padding never wins.
    for group in parameters.chunks_exact_mut(group_length) {
        group[0] = [f32::MIN; LANES];
    }
    for density in 0..gaussians.densities {
        let (group, lane) = (density / LANES, density % LANES);
        let group = &mut parameters[group * group_length..][..group_length];
        let (mean, variance) = gaussians.density(codebook, stream, density);
        let mut constant = 0.0f64;
        for (dimension, (&mean, &variance)) in mean.iter().zip(variance).enumerate() {
            let (mean, variance) = (f64::from(mean), f64::from(variance));
            constant -= 0.5 * (2.0 * std::f64::consts::PI * variance).ln();
            let scale = (0.5 / variance).sqrt();
            group[1 + 2 * dimension][lane] = scale as f32;
            group[2 + 2 * dimension][lane] = (mean * scale) as f32;
        }
        group[0][lane] = constant as f32;
    }
    parameters
}
