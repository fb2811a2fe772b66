//! A telephone line: what is left of speech after 300 to 3400 Hz, 8 kHz and mu-law.

/// Sampling rate of the line, Hz.
pub const RATE: u32 = 8_000;

/// Edges of the pass band, Hz, where the filter halves the amplitude.
const PASS: (f64, f64) = (300.0, 3400.0);

/// Half the length of the filter, samples: with a Blackman window the edges are 5.5 / (2 * 150 + 1) * 8000 = 146 Hz wide.
const HALF: usize = 150;

/// Sends samples (±1.0, [`RATE`]) over the line. The filter is linear in phase and adds no delay.
pub fn line(samples: &[f32]) -> Vec<f32> {
    let filter = band_pass();
    let filtered = (0..samples.len()).map(|at| {
        let sum: f32 = filter
            .iter()
            .enumerate()
            .filter_map(|(tap, weight)| samples.get((at + tap).checked_sub(HALF)?).map(|sample| weight * sample))
            .sum();
        sum
    });
    filtered.map(|sample| expand(compress(sample))).collect()
}

/// Windowed-sinc band-pass filter.
fn band_pass() -> Vec<f32> {
    use std::f64::consts::PI;
    let (low, high) = (PASS.0 / f64::from(RATE), PASS.1 / f64::from(RATE));
    let low_pass = |cutoff: f64, n: f64| if n == 0.0 { 2.0 * cutoff } else { (2.0 * PI * cutoff * n).sin() / (PI * n) };
    let taps = (0..=2 * HALF).map(|tap| {
        let n = tap as f64 - HALF as f64;
        let phase = PI * tap as f64 / HALF as f64;
        let window = 0.42 - 0.5 * phase.cos() + 0.08 * (2.0 * phase).cos();
        ((low_pass(high, n) - low_pass(low, n)) * window) as f32
    });
    taps.collect()
}

/// Mu-law (ITU-T G.711) code of a sample.
fn compress(sample: f32) -> u8 {
    const BIAS: i32 = 0x84;
    const CLIP: i32 = 32_635;
    let linear = (sample * 32_768.0).round() as i32;
    let sign = if linear < 0 { 0x80 } else { 0 };
    let magnitude = linear.abs().min(CLIP) + BIAS;
    // The bias makes the leading one lie between bits 7 and 14.
    let exponent = (31 - magnitude.leading_zeros() as i32 - 7).clamp(0, 7);
    let mantissa = (magnitude >> (exponent + 3)) & 0x0f;
    !(sign | exponent << 4 | mantissa) as u8
}

/// Sample of a mu-law code.
fn expand(code: u8) -> f32 {
    let code = !code;
    let (exponent, mantissa) = (i32::from(code >> 4 & 7), i32::from(code & 0x0f));
    let magnitude = (((mantissa << 3) + 0x84) << exponent) - 0x84;
    let linear = if code & 0x80 == 0 { magnitude } else { -magnitude };
    linear as f32 / 32_768.0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Level of a tone after the line against before, dB.
    fn gain(frequency: f64) -> f64 {
        let tone = |at: usize| (std::f64::consts::TAU * frequency * at as f64 / f64::from(RATE)).sin() as f32 * 0.5;
        let sent: Vec<f32> = (0..16_000).map(tone).collect();
        let heard = line(&sent);
        let power =
            |samples: &[f32]| samples[4_000..12_000].iter().map(|sample| f64::from(sample * sample)).sum::<f64>();
        10.0 * (power(&heard).max(1e-12) / power(&sent)).log10()
    }

    #[test]
    fn passes_300_to_3400_hz() {
        for frequency in [400.0, 1_000.0, 2_500.0, 3_300.0] {
            assert!(gain(frequency).abs() < 0.2, "{frequency} Hz: {} dB", gain(frequency));
        }
        for frequency in [50.0, 180.0, 3_520.0, 3_900.0] {
            assert!(gain(frequency) < -45.0, "{frequency} Hz: {} dB", gain(frequency));
        }
        for edge in [300.0, 3_400.0] {
            assert!((gain(edge) + 6.0).abs() < 0.5, "{edge} Hz: {} dB", gain(edge));
        }
    }

    #[test]
    fn mu_law_matches_the_standard() {
        // From the tables of G.711: code words of the decoder, 14-bit values scaled to 16 bits.
        for (code, linear) in [
            (0xff, 0),
            (0x7f, 0),
            (0x80, 32_124),
            (0x00, -32_124),
            (0x8f, 16_764),
            (0xef, 132),
            (0x9f, 8_316),
            (0xa0, 7_932),
        ] {
            assert_eq!((expand(code) * 32_768.0) as i32, linear, "{code:#x}");
        }
        for code in (0..=255).filter(|code| *code != 0x7f) {
            assert_eq!(compress(expand(code)), code, "{code:#x}");
        }
        assert_eq!((compress(2.0), compress(-2.0)), (0x80, 0x00), "beyond full scale");
    }
}
