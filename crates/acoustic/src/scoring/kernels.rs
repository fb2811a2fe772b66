//! The two inner loops of scoring, written once for any instruction set.
//!
//! The bodies work on arrays of lanes that the compiler keeps in vector registers. [`Kernels::portable`] compiles them for
//! the baseline of the target; `dispatch` compiles the same bodies for wider instruction sets and picks one at run time.
//! Tests compare every one that the machine has with the portable twin.

/// Densities (and senones) are laid out in groups of so many, padded.
pub(crate) const LANES: usize = 16;

/// One number for each of [`LANES`] densities or senones.
pub(crate) type Lanes = [f32; LANES];

/// The densities of a codebook and stream that count for a frame.
#[derive(Debug, Clone, Default)]
pub(crate) struct Kept {
    pub(crate) densities: Vec<u32>,
    /// Likelihoods relative to the best density, 0 to 1.
    pub(crate) factors: Vec<f32>,
}

/// A mixture weight: the upper half of an `f32`. Scoring is limited by how fast weights come from memory, and 8 bits of
/// precision (0.2 %, 0.002 nats) are far more than the 0.1 nats steps that models keep weights in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Weight(u16);

impl Weight {
    /// The nearest weight.
    pub(crate) fn new(weight: f32) -> Weight {
        Weight((weight.to_bits().saturating_add(0x8000) >> 16) as u16)
    }

    #[inline(always)]
    pub(crate) fn get(self) -> f32 {
        f32::from_bits(u32::from(self.0) << 16)
    }
}

/// Frames whose densities are computed together, so that each parameter is loaded once for all of them.
pub(crate) const FRAMES: usize = 4;

/// Log-likelihoods of the densities of one codebook and stream, for [`FRAMES`] frames.
///
/// `parameters`: for each group of [`LANES`] densities, their constants, then for each dimension their scales and their
/// offsets. `inputs`: for each dimension the frames' values. `out`: for each group the frames' scores.
/// Score of a density: constant - sum over dimensions of (x * scale - offset)^2.
pub(crate) type Densities = fn(parameters: &[Lanes], inputs: &[[f32; FRAMES]], out: &mut [[Lanes; FRAMES]]);

/// Log-likelihoods of the senones of one codebook for one frame.
///
/// `weights`: \[stream\]\[density\]\[senone\], rows of `out.len()`, a multiple of [`LANES`]; `kept`: for each stream what
/// counts. Score of a senone: `bias` + sum over streams of ln sum over kept densities of weight * factor.
pub(crate) type Mixtures = fn(weights: &[Weight], densities: usize, kept: &[Kept], bias: f32, out: &mut [f32]);

/// Replaces numbers that are zero or negative by their exponentials.
pub(crate) type Exponentials = fn(numbers: &mut [f32]);

/// The inner loops for one instruction set.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kernels {
    /// For logs and benchmarks.
    pub(crate) name: &'static str,
    pub(crate) densities: Densities,
    pub(crate) mixtures: Mixtures,
    pub(crate) exponentials: Exponentials,
}

impl Kernels {
    /// What every machine can run.
    pub(crate) fn portable() -> Kernels {
        // Fused multiply-add is part of the AArch64 baseline, but a library call on baseline x86-64.
        const FUSED: bool = cfg!(target_arch = "aarch64");
        Kernels {
            name: "portable",
            densities: densities::<FUSED>,
            mixtures: mixtures::<32, FUSED>,
            exponentials: exponentials::<FUSED>,
        }
    }
}

#[inline(always)]
fn multiply_add<const FUSED: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FUSED { a.mul_add(b, c) } else { a * b + c }
}

/// [`Densities`] for any instruction set.
#[inline(always)]
pub(super) fn densities<const FUSED: bool>(
    parameters: &[Lanes],
    inputs: &[[f32; FRAMES]],
    out: &mut [[Lanes; FRAMES]],
) {
    for (parameters, out) in parameters.chunks_exact(1 + 2 * inputs.len()).zip(out) {
        let (pairs, _) = parameters[1..].as_chunks::<2>();
        // Four variables rather than an array of four: these the compiler keeps in registers.
        let [mut first, mut second, mut third, mut fourth] = [parameters[0]; FRAMES];
        for ([scales, offsets], input) in pairs.iter().zip(inputs) {
            subtract_squares::<FUSED>(&mut first, input[0], scales, offsets);
            subtract_squares::<FUSED>(&mut second, input[1], scales, offsets);
            subtract_squares::<FUSED>(&mut third, input[2], scales, offsets);
            subtract_squares::<FUSED>(&mut fourth, input[3], scales, offsets);
        }
        *out = [first, second, third, fourth];
    }
}

#[inline(always)]
fn subtract_squares<const FUSED: bool>(sums: &mut Lanes, x: f32, scales: &Lanes, offsets: &Lanes) {
    for lane in 0..LANES {
        let distance = multiply_add::<FUSED>(x, scales[lane], -offsets[lane]);
        sums[lane] = multiply_add::<FUSED>(-distance, distance, sums[lane]);
    }
}

/// Streams whose likelihoods are multiplied before the logarithm is taken. A weight is at least 4e-12 and the best density
/// counts 1, so three streams stay above the least normal number.
const STREAMS_PER_LOGARITHM: usize = 3;

/// [`Mixtures`], `TILE` senones at a time so that their sums stay in registers.
#[inline(always)]
pub(super) fn mixtures<const TILE: usize, const FUSED: bool>(
    weights: &[Weight],
    densities: usize,
    kept: &[Kept],
    bias: f32,
    out: &mut [f32],
) {
    let row = out.len();
    let mut start = 0;
    // Few sums at a time cannot hide the latency of an addition: take as many as are left.
    while start + TILE <= row {
        mixtures_of_tile::<TILE, FUSED>(weights, densities, row, start, kept, bias, &mut out[start..start + TILE]);
        start += TILE;
    }
    if TILE > 4 * LANES && start + 4 * LANES <= row {
        let out = &mut out[start..start + 4 * LANES];
        mixtures_of_tile::<{ 4 * LANES }, FUSED>(weights, densities, row, start, kept, bias, out);
        start += 4 * LANES;
    }
    if TILE > 2 * LANES && start + 2 * LANES <= row {
        let out = &mut out[start..start + 2 * LANES];
        mixtures_of_tile::<{ 2 * LANES }, FUSED>(weights, densities, row, start, kept, bias, out);
        start += 2 * LANES;
    }
    while start < row {
        mixtures_of_tile::<LANES, FUSED>(weights, densities, row, start, kept, bias, &mut out[start..start + LANES]);
        start += LANES;
    }
}

#[inline(always)]
fn mixtures_of_tile<const TILE: usize, const FUSED: bool>(
    weights: &[Weight],
    densities: usize,
    row: usize,
    start: usize,
    kept: &[Kept],
    bias: f32,
    out: &mut [f32],
) {
    let mut logs = [bias; TILE];
    for (group, streams) in kept.chunks(STREAMS_PER_LOGARITHM).enumerate() {
        let mut products = [1.0f32; TILE];
        for (stream, kept) in streams.iter().enumerate() {
            let weights = &weights[(group * STREAMS_PER_LOGARITHM + stream) * densities * row..][..densities * row];
            let mut sums = [0.0f32; TILE];
            for (&density, &factor) in kept.densities.iter().zip(&kept.factors) {
                let weights: &[Weight; TILE] = weights[density as usize * row + start..].first_chunk().expect("a tile");
                for lane in 0..TILE {
                    sums[lane] = multiply_add::<FUSED>(weights[lane].get(), factor, sums[lane]);
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

/// [`Exponentials`] for any instruction set.
#[inline(always)]
pub(super) fn exponentials<const FUSED: bool>(numbers: &mut [f32]) {
    for number in numbers {
        *number = exp::<FUSED>(*number);
    }
}

/// Exponential of a number that is zero or negative, to about 2e-7 of the result; below -87 zero.
///
/// e^x = 2^n e^r with n a whole number and |r| at most ln(2) / 2; e^r by its series up to r^7.
#[inline(always)]
fn exp<const FUSED: bool>(x: f32) -> f32 {
    // Adding and subtracting 1.5 * 2^23 rounds to a whole number.
    const ROUND: f32 = 12_582_912.0;
    // ln 2 in two parts, so that n times the first is exact.
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let bounded = if x < -87.0 { -87.0 } else { x };
    let n = multiply_add::<FUSED>(bounded, std::f32::consts::LOG2_E, ROUND) - ROUND;
    let r = multiply_add::<FUSED>(n, -LN_2_HIGH, bounded);
    let r = multiply_add::<FUSED>(n, -LN_2_LOW, r);
    let series = multiply_add::<FUSED>(r, 1.0 / 5040.0, 1.0 / 720.0);
    let series = multiply_add::<FUSED>(r, series, 1.0 / 120.0);
    let series = multiply_add::<FUSED>(r, series, 1.0 / 24.0);
    let series = multiply_add::<FUSED>(r, series, 1.0 / 6.0);
    let series = multiply_add::<FUSED>(r, series, 0.5);
    let series = multiply_add::<FUSED>(r, series, 1.0);
    let series = multiply_add::<FUSED>(r, series, 1.0);
    let power = f32::from_bits(((n as i32 + 127) << 23) as u32);
    if x < -87.0 { 0.0 } else { series * power }
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

    #[test]
    fn exponential_is_exact_to_a_millionth() {
        let mut worst = 0.0f64;
        for step in 0..87_000 {
            let x = -step as f32 * 1e-3;
            let exact = f64::from(x).exp();
            for approximate in [exp::<false>(x), exp::<true>(x)] {
                worst = worst.max((f64::from(approximate) - exact).abs() / exact);
            }
        }
        assert!(worst < 1e-6, "worst error {worst:e}");
        for x in [-87.1, -1e9, f32::MIN, f32::NEG_INFINITY] {
            assert_eq!(exp::<true>(x), 0.0, "{x}");
        }
    }

    #[test]
    fn weights_are_exact_to_their_eight_bits() {
        for step in 0..=255u8 {
            let weight = (-0.1024 * f32::from(step)).exp();
            let error = Weight::new(weight).get() / weight - 1.0;
            assert!(error.abs() <= 1.0 / 256.0, "{weight}: {error}");
        }
        assert_eq!(Weight::new(1.0).get(), 1.0);
    }
}
