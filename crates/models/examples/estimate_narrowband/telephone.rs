//! Telephone lines of several kinds.

/// What a line lets through at 8 kHz.
pub struct Channel {
    /// Edges of the pass band, Hz, and half the length of the filter, samples; `None`: everything.
    filter: Option<(f64, f64, usize)>,
}

/// Sharp as an exchange, gentle as a handset, and nothing but the lower rate.
pub const CHANNELS: [Channel; 3] = [
    Channel { filter: Some((300.0, 3400.0, 150)) },
    Channel { filter: Some((200.0, 3500.0, 30)) },
    Channel { filter: None },
];

/// Sends samples (8 kHz, ±1.0) over a line, without delay, and through mu-law.
pub fn line(samples: &[f32], channel: &Channel) -> Vec<f32> {
    let filtered = match channel.filter {
        None => samples.to_vec(),
        Some((low, high, half)) => {
            let taps = band_pass(low / 8_000.0, high / 8_000.0, half);
            let at = |position: usize| {
                let first = (position + half).saturating_sub(samples.len() - 1);
                let taps = taps.iter().enumerate().skip(first).take_while(|(tap, _)| *tap <= position + half);
                taps.map(|(tap, weight)| samples[position + half - tap] * weight).sum()
            };
            (0..samples.len()).map(at).collect()
        }
    };
    filtered.into_iter().map(through_mu_law).collect()
}

/// Windowed-sinc band-pass filter; edges as shares of the sampling rate.
fn band_pass(low: f64, high: f64, half: usize) -> Vec<f32> {
    use std::f64::consts::PI;
    let low_pass = |edge: f64, n: f64| if n == 0.0 { 2.0 * edge } else { (2.0 * PI * edge * n).sin() / (PI * n) };
    let tap = |tap: usize| {
        let (n, phase) = (tap as f64 - half as f64, PI * tap as f64 / half as f64);
        let window = 0.42 - 0.5 * phase.cos() + 0.08 * (2.0 * phase).cos();
        ((low_pass(high, n) - low_pass(low, n)) * window) as f32
    };
    (0..=2 * half).map(tap).collect()
}

/// What is left of a sample after G.711 mu-law: 16 steps an octave above a bias of 132.
fn through_mu_law(sample: f32) -> f32 {
    const BIAS: f32 = 132.0;
    let magnitude = (sample.abs() * 32_768.0).round().min(32_635.0) + BIAS;
    let octave = (magnitude.log2().floor() as i32).max(7);
    let step = 2f32.powi(octave - 4);
    let coded = ((magnitude / step).floor() + 0.5) * step - BIAS;
    coded.copysign(sample) / 32_768.0
}
