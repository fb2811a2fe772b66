//! The two inner loops of scoring, written once for any instruction set.
//!
//! The bodies work on arrays of lanes that the compiler keeps in vector registers. [`Kernels::portable`] compiles them for
//! the baseline of the target; `dispatch` compiles the same bodies for wider instruction sets and picks one at run time.
//! Tests compare every one that the machine has with the portable twin.

/// Densities (and senones) are laid out in groups of so many, padded.
pub(crate) const LANES: usize = 16;

/// A density that counts for a frame.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kept {
    pub(crate) density: u32,
    /// Likelihood relative to the best density of the codebook and stream, 0 to 1.
    pub(crate) factor: f32,
}

/// Log-likelihoods of the densities of one codebook and stream, for some consecutive frames.
///
/// `parameters`: for each group of [`LANES`] densities, their constants, then for each dimension their scales and their
/// offsets. `inputs`: \[frame\]\[dimension\], rows of `stride`. `out`: \[frame\]\[density\], rows of all groups.
/// Score of a density: constant - sum over dimensions of (x * scale - offset)^2.
pub(crate) type Densities = fn(parameters: &[f32], dimensions: usize, inputs: &[f32], stride: usize, out: &mut [f32]);

/// Log-likelihoods of the senones of one codebook for one frame.
///
/// `weights`: \[stream\]\[density\]\[senone\], rows of `out.len()`, a multiple of [`LANES`]; `kept`: for each stream what
/// counts. Score of a senone: `bias` + sum over streams of ln sum over kept densities of weight * factor.
pub(crate) type Mixtures = fn(weights: &[f32], densities: usize, kept: &[Vec<Kept>], bias: f32, out: &mut [f32]);

/// The inner loops for one instruction set.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kernels {
    /// For logs and benchmarks.
    pub(crate) name: &'static str,
    pub(crate) densities: Densities,
    pub(crate) mixtures: Mixtures,
}

impl Kernels {
    /// What every machine can run.
    pub(crate) fn portable() -> Kernels {
        // Fused multiply-add is part of the AArch64 baseline, but a library call on baseline x86-64.
        const FUSED: bool = cfg!(target_arch = "aarch64");
        Kernels {
            name: "portable",
            densities: |parameters, dimensions, inputs, stride, out| {
                densities::<4, FUSED>(parameters, dimensions, inputs, stride, out);
            },
            mixtures: |weights, count, kept, bias, out| mixtures::<32, FUSED>(weights, count, kept, bias, out),
        }
    }
}

#[inline(always)]
fn multiply_add<const FUSED: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FUSED { a.mul_add(b, c) } else { a * b + c }
}

/// [`Densities`], `FRAMES` frames at a time so that each parameter is loaded once for all of them.
#[inline(always)]
pub(super) fn densities<const FRAMES: usize, const FUSED: bool>(
    parameters: &[f32],
    dimensions: usize,
    inputs: &[f32],
    stride: usize,
    out: &mut [f32],
) {
    let group_length = LANES * (1 + 2 * dimensions);
    let row = parameters.len() / group_length * LANES;
    let mut inputs = inputs.chunks(stride * FRAMES);
    for out in out.chunks_mut(row * FRAMES) {
        let Some(inputs) = inputs.next() else { return };
        let frames = out.len() / row;
        if frames == FRAMES {
            densities_of_frames::<FRAMES, FUSED>(parameters, dimensions, inputs, stride, out);
        } else {
            for (inputs, out) in inputs.chunks(stride).zip(out.chunks_mut(row)) {
                densities_of_frames::<1, FUSED>(parameters, dimensions, inputs, stride, out);
            }
        }
    }
}

#[inline(always)]
fn densities_of_frames<const FRAMES: usize, const FUSED: bool>(
    parameters: &[f32],
    dimensions: usize,
    inputs: &[f32],
    stride: usize,
    out: &mut [f32],
) {
    let group_length = LANES * (1 + 2 * dimensions);
    let row = parameters.len() / group_length * LANES;
    let inputs: [&[f32]; FRAMES] = std::array::from_fn(|frame| &inputs[frame * stride..][..dimensions]);
    for (group, parameters) in parameters.chunks_exact(group_length).enumerate() {
        let (constants, pairs) = parameters.split_at(LANES);
        let mut sums = [[0.0f32; LANES]; FRAMES];
        for sums in &mut sums {
            sums.copy_from_slice(constants);
        }
        for (dimension, pair) in pairs.chunks_exact(2 * LANES).enumerate() {
            let (scales, offsets) = pair.split_at(LANES);
            for frame in 0..FRAMES {
                let x = inputs[frame][dimension];
                for lane in 0..LANES {
                    let distance = multiply_add::<FUSED>(x, scales[lane], -offsets[lane]);
                    sums[frame][lane] = multiply_add::<FUSED>(-distance, distance, sums[frame][lane]);
                }
            }
        }
        for (frame, sums) in sums.iter().enumerate() {
            out[frame * row + group * LANES..][..LANES].copy_from_slice(sums);
        }
    }
}

/// Streams whose likelihoods are multiplied before the logarithm is taken. A weight is at least 4e-12 and the best density
/// counts 1, so three streams stay above the least normal number.
const STREAMS_PER_LOGARITHM: usize = 3;

/// [`Mixtures`], `TILE` senones at a time so that their sums stay in registers.
#[inline(always)]
pub(super) fn mixtures<const TILE: usize, const FUSED: bool>(
    weights: &[f32],
    densities: usize,
    kept: &[Vec<Kept>],
    bias: f32,
    out: &mut [f32],
) {
    let row = out.len();
    let mut start = 0;
    while start + TILE <= row {
        mixtures_of_tile::<TILE, FUSED>(weights, densities, row, start, kept, bias, &mut out[start..start + TILE]);
        start += TILE;
    }
    while start + LANES <= row {
        mixtures_of_tile::<LANES, FUSED>(weights, densities, row, start, kept, bias, &mut out[start..start + LANES]);
        start += LANES;
    }
}

#[inline(always)]
fn mixtures_of_tile<const TILE: usize, const FUSED: bool>(
    weights: &[f32],
    densities: usize,
    row: usize,
    start: usize,
    kept: &[Vec<Kept>],
    bias: f32,
    out: &mut [f32],
) {
    let mut logs = [bias; TILE];
    for (group, streams) in kept.chunks(STREAMS_PER_LOGARITHM).enumerate() {
        let mut products = [1.0f32; TILE];
        for (stream, kept) in streams.iter().enumerate() {
            let weights = &weights[(group * STREAMS_PER_LOGARITHM + stream) * densities * row..][..densities * row];
            let mut sums = [0.0f32; TILE];
            for &Kept { density, factor } in kept {
                let weights = &weights[density as usize * row + start..][..TILE];
                for lane in 0..TILE {
                    sums[lane] = multiply_add::<FUSED>(weights[lane], factor, sums[lane]);
                }
            }
            for lane in 0..TILE {
                products[lane] *= sums[lane];
            }
        }
        for lane in 0..TILE {
            logs[lane] += ln::<FUSED>(products[lane]);
        }
    }
    out.copy_from_slice(&logs);
}

/// Natural logarithm of a positive normal number, to about 2e-7 of 1 (or of the result, where that is larger).
///
/// x = 2^e m with m in [sqrt(1/2), sqrt(2)); ln m = 2 artanh(s) with s = (m - 1) / (m + 1), whose series is cut after s^9.
#[inline(always)]
fn ln<const FUSED: bool>(x: f32) -> f32 {
    const SQRT_HALF: i32 = 0x3f35_04f3;
    let bits = x.to_bits() as i32;
    let exponent = (bits.wrapping_sub(SQRT_HALF)) >> 23;
    let m = f32::from_bits(bits.wrapping_sub(exponent << 23) as u32);
    let s = (m - 1.0) / (m + 1.0);
    let z = s * s;
    let series = multiply_add::<FUSED>(z, 1.0 / 9.0, 1.0 / 7.0);
    let series = multiply_add::<FUSED>(z, series, 1.0 / 5.0);
    let series = multiply_add::<FUSED>(z, series, 1.0 / 3.0);
    let series = multiply_add::<FUSED>(z, series, 1.0);
    multiply_add::<FUSED>(exponent as f32, std::f32::consts::LN_2, 2.0 * s * series)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithm_is_exact_to_a_millionth() {
        let mut x = 1.2e-38f32;
        let mut worst = 0.0f64;
        while x < 1e30 {
            let exact = f64::from(x).ln();
            for approximate in [ln::<false>(x), ln::<true>(x)] {
                worst = worst.max((f64::from(approximate) - exact).abs() / exact.abs().max(1.0));
            }
            x *= 1.001_37;
        }
        assert!(worst < 1e-6, "worst error {worst:e}");
    }
}
