//! Mel filterbanks: triangles on two mel scales.

/// Which mel scale, and on which axis its triangles are straight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MelScale {
    /// Kaldi's: 1127 ln (1 + f / 700), triangles straight in mel.
    Kaldi,
    /// Slaney's, as librosa has it: linear to 1 kHz, logarithmic above, triangles straight in Hz and of equal area.
    Slaney,
}

impl MelScale {
    fn mel(self, hertz: f64) -> f64 {
        match self {
            MelScale::Kaldi => 1127.0 * (1.0 + hertz / 700.0).ln(),
            MelScale::Slaney if hertz < 1000.0 => hertz * 3.0 / 200.0,
            MelScale::Slaney => 15.0 + 27.0 * (hertz / 1000.0).ln() / 6.4f64.ln(),
        }
    }

    fn hertz(self, mel: f64) -> f64 {
        match self {
            MelScale::Kaldi => 700.0 * ((mel / 1127.0).exp() - 1.0),
            MelScale::Slaney if mel < 15.0 => mel * 200.0 / 3.0,
            MelScale::Slaney => 1000.0 * ((mel - 15.0) * 6.4f64.ln() / 27.0).exp(),
        }
    }
}

/// Weights of the bins of a power spectrum, for each band.
#[derive(Debug, Clone)]
pub(super) struct MelBank {
    /// First bin and weights of it and those that follow.
    bands: Vec<(usize, Vec<f64>)>,
}

impl MelBank {
    /// `bands` triangles between `low` and `high` Hz over the spectrum of `fft_size` samples at `rate` Hz.
    pub fn new(scale: MelScale, bands: usize, low: f64, high: f64, fft_size: usize, rate: f64) -> MelBank {
        let (bottom, top) = (scale.mel(low), scale.mel(high));
        let step = (top - bottom) / (bands + 1) as f64;
        let bin_width = rate / fft_size as f64;
        // Kaldi leaves the bin at half the rate out.
        let bins = fft_size / 2 + usize::from(scale == MelScale::Slaney);
        let corner = |band: usize| {
            let mel = bottom + band as f64 * step;
            if scale == MelScale::Kaldi { mel } else { scale.hertz(mel) }
        };
        let band = |band: usize| {
            let (left, centre, right) = (corner(band), corner(band + 1), corner(band + 2));
            let area = if scale == MelScale::Kaldi { 1.0 } else { 2.0 / (right - left) };
            let weight = |bin: usize| {
                let hertz = bin as f64 * bin_width;
                let at = if scale == MelScale::Kaldi { scale.mel(hertz) } else { hertz };
                area * ((at - left) / (centre - left)).min((right - at) / (right - centre)).max(0.0)
            };
            let first = (0..bins).find(|&bin| weight(bin) > 0.0).unwrap_or(0);
            (first, (first..bins).map(weight).take_while(|&weight| weight > 0.0).collect())
        };
        MelBank { bands: (0..bands).map(band).collect() }
    }

    /// Energy of each band.
    pub fn apply<'b>(&'b self, power: &'b [f64]) -> impl Iterator<Item = f64> + 'b {
        self.bands
            .iter()
            .map(|(first, weights)| weights.iter().zip(&power[*first..]).map(|(weight, power)| weight * power).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_are_inverted() {
        for scale in [MelScale::Kaldi, MelScale::Slaney] {
            for hertz in [0.0, 20.0, 999.0, 1000.0, 1001.0, 7600.0] {
                assert!((scale.hertz(scale.mel(hertz)) - hertz).abs() < 1e-9);
            }
        }
    }

    #[test]
    fn a_band_hears_its_own_frequency() {
        for scale in [MelScale::Kaldi, MelScale::Slaney] {
            let bank = MelBank::new(scale, 80, 20.0, 7600.0, 512, 16_000.0);
            let peak = |bin: usize| {
                let mut power = vec![0.0; 257];
                power[bin] = 1.0;
                let energies: Vec<f64> = bank.apply(&power).collect();
                (0..80).max_by(|&a, &b| energies[a].total_cmp(&energies[b])).unwrap()
            };
            let peaks: Vec<usize> = [20, 50, 100, 150, 200].into_iter().map(peak).collect();
            assert!(peaks.is_sorted() && peaks[0] > 5 && peaks[4] > 60, "{peaks:?}");
        }
    }
}
