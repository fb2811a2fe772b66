//! Mel filterbank and the transform of log energies to cepstra.

use crate::format::{FeatParams, Transform};

/// Number of cepstral coefficients, c0 included.
pub(crate) const CEPSTRA: usize = 13;

fn mel(hertz: f64) -> f64 {
    2595.0 * (1.0 + hertz / 700.0).log10()
}

fn hertz(mel: f64) -> f64 {
    700.0 * (10f64.powf(mel / 2595.0) - 1.0)
}

/// Frequency axis of one speaker: frequencies between the bank's edges are multiplied by `warp`, and what this would push
/// out of the bank is squeezed in along two straight lines, so that the edges stay where they are (piecewise linear vocal
/// tract length normalisation).
#[derive(Debug, Clone, Copy)]
struct Warp {
    factor: f64,
    lower: f64,
    upper: f64,
    low_knee: f64,
    high_knee: f64,
}

impl Warp {
    fn new(factor: f64, lower: f64, upper: f64) -> Self {
        // The knees lie where a tenth of the band is left for the lines that lead back to the edges.
        let low = lower + 0.02 * (upper - lower);
        let high = upper - 0.1 * (upper - lower);
        Warp {
            factor,
            lower,
            upper,
            low_knee: low * factor.recip().max(1.0),
            high_knee: high * factor.recip().min(1.0),
        }
    }

    fn apply(&self, frequency: f64) -> f64 {
        if self.factor == 1.0 || frequency <= self.lower || frequency >= self.upper {
            return frequency;
        }
        let line = |from: (f64, f64), to: (f64, f64)| from.1 + (frequency - from.0) * (to.1 - from.1) / (to.0 - from.0);
        let low = (self.low_knee, self.low_knee * self.factor);
        let high = (self.high_knee, self.high_knee * self.factor);
        if frequency < self.low_knee {
            line((self.lower, self.lower), low)
        } else if frequency > self.high_knee {
            line(high, (self.upper, self.upper))
        } else {
            frequency * self.factor
        }
    }
}

/// A triangular filter over consecutive Fourier bins.
#[derive(Debug, Clone)]
struct Filter {
    first_bin: usize,
    weights: Vec<f64>,
}

/// Triangular filters equally spaced on the mel scale.
#[derive(Debug, Clone)]
pub(crate) struct MelBank {
    filters: Vec<Filter>,
}

impl MelBank {
    /// The whole bank of `params`, for speakers whose spectrum is `warp` times as high as usual.
    pub(crate) fn new(params: &FeatParams, warp: f64) -> MelBank {
        let bin_width = params.sample_rate / params.fft_size as f64;
        let bins = params.fft_size / 2;
        let warp = Warp::new(warp, params.lower, params.upper);
        let (low, high) = (mel(params.lower), mel(params.upper));
        let step = (high - low) / (params.filters + 1) as f64;
        let edge = |index: usize| {
            let frequency = warp.apply(hertz(low + index as f64 * step));
            match params.round_filters {
                true => (frequency / bin_width).round() * bin_width,
                false => frequency,
            }
        };
        let filters = (0..params.filters)
            .map(|index| {
                let (left, center, right) = (edge(index), edge(index + 1), edge(index + 2));
                let area = if params.unit_area { 2.0 / (right - left) } else { 1.0 };
                let first_bin = (left / bin_width).ceil() as usize;
                // Sphinx leaves out the bin at half the sample rate.
                let weights = (first_bin..bins)
                    .map(|bin| bin as f64 * bin_width)
                    .take_while(|&frequency| frequency <= right)
                    .map(|frequency| {
                        let rise = (frequency - left) / (center - left);
                        let fall = (right - frequency) / (right - center);
                        // Edges that rounding has put on one bin give 0/0; no energy is taken from there.
                        let weight = rise.min(fall) * area;
                        if weight.is_finite() { weight.max(0.0) } else { 0.0 }
                    })
                    .collect();
                Filter { first_bin, weights }
            })
            .collect();
        MelBank { filters }
    }

    /// Keeps the first `count` filters: those that fit the lower bandwidth of a narrowband signal.
    pub(crate) fn truncate(&mut self, count: usize) {
        self.filters.truncate(count);
    }

    /// Number of filters that use no bin from `bin` on.
    pub(crate) fn filters_below(&self, bin: usize) -> usize {
        self.filters.iter().take_while(|filter| filter.first_bin + filter.weights.len() <= bin).count()
    }

    /// Energy in each band of a power spectrum.
    pub(crate) fn apply(&self, power: &[f64], energies: &mut Vec<f64>) {
        energies.clear();
        energies.extend(self.filters.iter().map(|filter| {
            filter.weights.iter().zip(&power[filter.first_bin..]).map(|(weight, power)| weight * power).sum::<f64>()
        }));
    }
}

/// Cosine transform and liftering of log energies, as one matrix.
#[derive(Debug, Clone)]
pub(crate) struct CepstralTransform {
    rows: Vec<[f64; CEPSTRA]>,
}

impl CepstralTransform {
    /// The transform of the first `bands` filters of the bank.
    pub(crate) fn new(params: &FeatParams, bands: usize) -> CepstralTransform {
        let filters = bands as f64;
        let lifter = |coefficient: usize| match params.lifter {
            0 => 1.0,
            length => {
                // Sphinx halves the length in whole numbers.
                let half = (length / 2) as f64;
                1.0 + half * (coefficient as f64 * std::f64::consts::PI / length as f64).sin()
            }
        };
        let rows = (0..bands)
            .map(|filter| {
                std::array::from_fn(|coefficient| {
                    let angle = std::f64::consts::PI * coefficient as f64 * (filter as f64 + 0.5) / filters;
                    let scale = match (params.transform, coefficient, filter) {
                        (Transform::Dct, 0, _) => (1.0 / filters).sqrt(),
                        (Transform::Dct | Transform::Htk, ..) => (2.0 / filters).sqrt(),
                        (Transform::Legacy, _, 0) => 0.5 / filters,
                        (Transform::Legacy, ..) => 1.0 / filters,
                    };
                    angle.cos() * scale * lifter(coefficient)
                })
            })
            .collect();
        CepstralTransform { rows }
    }

    pub(crate) fn apply(&self, log_energies: &[f64]) -> [f32; CEPSTRA] {
        let mut sums = [0.0f64; CEPSTRA];
        for (row, &energy) in self.rows.iter().zip(log_energies) {
            for (sum, weight) in sums.iter_mut().zip(row) {
                *sum += weight * energy;
            }
        }
        sums.map(|sum| sum as f32)
    }
}
