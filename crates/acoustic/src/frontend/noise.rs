//! Removal of stationary noise from mel energies, as in the Sphinx front end that the default model was tuned with.
//!
//! Each band's power is smoothed over time; its lower envelope, which sinks fast and rises slowly, is taken for the noise
//! (G. Doblinger, "Computationally efficient speech enhancement by spectral minima tracking in subbands", 1995). What
//! exceeds it is the signal, masked in time below decaying peaks and floored by the signal's own lower envelope (after
//! C. Kim and R. Stern, "Power-normalized cepstral coefficients", 2012). The ratio of signal to power is the band's gain,
//! limited and then averaged over neighbouring bands.

const SMOOTHING: f64 = 0.7;
const RISE: f64 = 0.995;
const SINK: f64 = 0.5;
const PEAK_DECAY: f64 = 0.85;
const MASKED_SHARE: f64 = 0.2;
const GREATEST_GAIN: f64 = 20.0;
/// Bands averaged on either side.
const NEIGHBOURS: usize = 4;
/// Least power of the signal, on the scale of 16-bit samples.
const LEAST_SIGNAL: f64 = 1.0;

#[derive(Debug, Clone, Copy)]
struct Band {
    power: f64,
    noise: f64,
    floor: f64,
    peak: f64,
}

/// State of noise removal over the frames of one stream.
#[derive(Debug, Clone, Default)]
pub(crate) struct NoiseRemoval {
    bands: Vec<Band>,
    gains: Vec<f64>,
}

fn lower_envelope(envelope: f64, value: f64) -> f64 {
    let memory = if value >= envelope { RISE } else { SINK };
    memory * envelope + (1.0 - memory) * value
}

impl Band {
    fn new(energy: f64) -> Band {
        let quiet = energy / GREATEST_GAIN;
        Band { power: energy, noise: quiet, floor: quiet, peak: 0.0 }
    }

    /// Takes the next frame's energy and returns the gain to apply to it.
    fn update(&mut self, energy: f64) -> f64 {
        self.power = SMOOTHING * self.power + (1.0 - SMOOTHING) * energy;
        self.noise = lower_envelope(self.noise, self.power);
        let unmasked = (self.power - self.noise).max(LEAST_SIGNAL);
        self.floor = lower_envelope(self.floor, unmasked);
        self.peak *= PEAK_DECAY;
        let masked = if unmasked < PEAK_DECAY * self.peak { self.peak * MASKED_SHARE } else { unmasked };
        self.peak = self.peak.max(unmasked);
        let signal = masked.max(self.floor);
        if signal < GREATEST_GAIN * self.power { (signal / self.power).max(1.0 / GREATEST_GAIN) } else { GREATEST_GAIN }
    }
}

impl NoiseRemoval {
    /// Forgets the stream.
    pub(crate) fn reset(&mut self) {
        self.bands.clear();
    }

    /// Scales the energies of the next frame. The first frame of a stream tells the number of bands.
    pub(crate) fn apply(&mut self, energies: &mut [f64]) {
        if self.bands.is_empty() {
            self.bands.extend(energies.iter().map(|&energy| Band::new(energy)));
        }
        self.gains.clear();
        self.gains.extend(self.bands.iter_mut().zip(energies.iter()).map(|(band, &energy)| band.update(energy)));
        for (index, energy) in energies.iter_mut().enumerate() {
            let first = index.saturating_sub(NEIGHBOURS);
            let last = (index + NEIGHBOURS).min(self.gains.len() - 1);
            let window = &self.gains[first..=last];
            *energy *= window.iter().sum::<f64>() / window.len() as f64;
        }
    }
}
