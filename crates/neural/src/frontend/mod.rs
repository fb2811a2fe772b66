//! From samples to what the networks take, as a stream.
//!
//! Filterbanks are those of Kaldi (`compute-fbank-feats`) as the `kaldi-native-fbank` library computes them, without dither, with
//! frames centred on multiples of the shift and the signal mirrored at its ends (`snip_edges = false`). With another window
//! and mel scale the same frames are the front end of NeMo's models, as the sherpa-onnx project feeds them.

mod mel;

use std::sync::Arc;

use realfft::num_complex::Complex;
use realfft::{RealFftPlanner, RealToComplex};

use mel::MelBank;
pub use mel::MelScale;

/// The window by which a frame is weighted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    /// Kaldi's: a raised cosine to the power of 0.85.
    Povey,
    /// A raised cosine, periodic, as PyTorch has it.
    Hann,
}

/// How samples become log mel energies.
#[derive(Debug, Clone, PartialEq)]
pub struct FilterbankConfig {
    /// Rate of the samples, Hz.
    pub sample_rate: u32,
    /// Number of mel bands, the values of a frame.
    pub bands: usize,
    /// Lower end of the first band, Hz.
    pub low: f64,
    /// Upper end of the last band, Hz; zero and below are counted from half the rate.
    pub high: f64,
    /// The mel scale and the shape of the bands.
    pub scale: MelScale,
    /// The window of a frame.
    pub window: Window,
    /// Whether each frame's mean is taken off its samples.
    pub remove_mean: bool,
    /// How much of the sample before is taken off each sample.
    pub pre_emphasis: f64,
    /// What samples of full scale ±1 are multiplied by.
    pub gain: f64,
    /// Whether a frame is filled up with zeros to a power of two before its Fourier transform.
    pub padded: bool,
    /// What is added to the energy of each band before its logarithm is taken.
    pub added: f64,
    /// What that is at least.
    pub least: f64,
}

impl FilterbankConfig {
    /// Kaldi's filterbank as icefall trains with it (80 bands from 20 Hz to 400 Hz below half the rate).
    pub fn kaldi(sample_rate: u32, bands: usize) -> FilterbankConfig {
        FilterbankConfig {
            sample_rate,
            bands,
            low: 20.0,
            high: -400.0,
            scale: MelScale::Kaldi,
            window: Window::Povey,
            remove_mean: true,
            pre_emphasis: 0.97,
            gain: 1.0,
            padded: true,
            added: 0.0,
            least: f64::from(f32::EPSILON),
        }
    }

    /// NeMo's mel spectrogram, for networks that take it as it is.
    pub fn nemo(sample_rate: u32, bands: usize) -> FilterbankConfig {
        FilterbankConfig {
            low: 0.0,
            high: 0.0,
            scale: MelScale::Slaney,
            window: Window::Hann,
            remove_mean: false,
            ..FilterbankConfig::kaldi(sample_rate, bands)
        }
    }

    /// NeMo's mel spectrogram, for networks that want it normalised: 2⁻²⁴ guards its logarithm instead of a floor.
    pub fn nemo_normalised(sample_rate: u32, bands: usize) -> FilterbankConfig {
        FilterbankConfig { added: 2f64.powi(-24), least: 0.0, ..FilterbankConfig::nemo(sample_rate, bands) }
    }

    /// The filterbank of GigaAM's models: 64 bands on Kaldi's scale.
    pub fn giga(sample_rate: u32) -> FilterbankConfig {
        FilterbankConfig {
            scale: MelScale::Kaldi,
            pre_emphasis: 0.0,
            padded: false,
            ..FilterbankConfig::nemo(sample_rate, 64)
        }
    }

    /// What a band of digital silence is.
    pub fn silence(&self) -> f32 {
        self.logarithm(0.0)
    }

    fn logarithm(&self, energy: f64) -> f32 {
        (energy + self.added).max(self.least).ln() as f32
    }

    /// Samples of a frame: 25 ms.
    fn length(&self) -> usize {
        self.sample_rate as usize / 40
    }

    /// Samples from a frame to the next: 10 ms.
    fn shift(&self) -> usize {
        self.sample_rate as usize / 100
    }
}

/// Samples that are no numbers count as silence, and none is beyond this: full scale is ±1.
const GREATEST_SAMPLE: f32 = 4.0;

/// Log mel energies of a stream of samples. What comes out does not depend on how the samples are cut into pushes.
#[derive(Clone)]
pub struct Filterbank {
    config: FilterbankConfig,
    spectrum: Spectrum,
    /// Samples that frames to come need, the first of them at `base` of the stream.
    pending: Vec<f32>,
    base: usize,
    /// Frames given.
    frames: usize,
}

impl std::fmt::Debug for Filterbank {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Filterbank").field("config", &self.config).field("frames", &self.frames).finish_non_exhaustive()
    }
}

impl Filterbank {
    /// At the start of a stream.
    pub fn new(config: FilterbankConfig) -> Filterbank {
        Filterbank { spectrum: Spectrum::new(&config), config, pending: Vec::new(), base: 0, frames: 0 }
    }

    /// Takes samples (mono, full scale ±1) and appends the frames that they complete, [`FilterbankConfig::bands`] natural
    /// logarithms each.
    pub fn push(&mut self, samples: &[f32], out: &mut Vec<f32>) {
        self.pending.extend_from_slice(samples);
        let (length, shift) = (self.config.length(), self.config.shift());
        while self.start() + length as isize <= (self.base + self.pending.len()) as isize {
            self.frame(out);
        }
        let past = usize::try_from(self.start()).unwrap_or(0).saturating_sub(self.base).min(self.pending.len());
        // Moving what is kept costs more than it saves when little is past.
        if past >= 16 * shift {
            self.pending.drain(..past);
            self.base += past;
        }
    }

    /// Ends the stream: appends the frames that are centred within it, and is ready for another stream.
    pub fn finish(&mut self, out: &mut Vec<f32>) {
        let shift = self.config.shift();
        let total = (self.base + self.pending.len() + shift / 2) / shift;
        while self.frames < total {
            self.frame(out);
        }
        self.reset();
    }

    /// Forgets the stream.
    pub fn reset(&mut self) {
        self.pending.clear();
        self.base = 0;
        self.frames = 0;
    }

    /// Where in the stream the next frame begins; before its start, at first.
    fn start(&self) -> isize {
        let (length, shift) = (self.config.length(), self.config.shift());
        (self.frames * shift + shift / 2) as isize - (length / 2) as isize
    }

    fn frame(&mut self, out: &mut Vec<f32>) {
        let start = self.start() - self.base as isize;
        let samples = (0..self.config.length() as isize).map(|at| self.pending[mirror(start + at, self.pending.len())]);
        self.spectrum.energies(samples);
        out.extend(self.spectrum.bank.apply(&self.spectrum.power).map(|energy| self.config.logarithm(energy)));
        self.frames += 1;
    }
}

/// The index at which a signal that is mirrored at both its ends is read.
fn mirror(mut index: isize, length: usize) -> usize {
    let length = length as isize;
    loop {
        if index < 0 {
            index = -index - 1;
        } else if index >= length {
            index = 2 * length - 1 - index;
        } else {
            return index as usize;
        }
    }
}

/// Window, Fourier transform and mel bands of single frames.
#[derive(Clone)]
struct Spectrum {
    remove_mean: bool,
    pre_emphasis: f64,
    gain: f64,
    window: Vec<f64>,
    fourier: Arc<dyn RealToComplex<f64>>,
    input: Vec<f64>,
    output: Vec<Complex<f64>>,
    scratch: Vec<Complex<f64>>,
    power: Vec<f64>,
    bank: MelBank,
}

impl Spectrum {
    fn new(config: &FilterbankConfig) -> Spectrum {
        let length = config.length();
        let fft_size = if config.padded { length.next_power_of_two() } else { length };
        let rate = f64::from(config.sample_rate);
        let high = if config.high > 0.0 { config.high } else { rate / 2.0 + config.high };
        let fourier = RealFftPlanner::new().plan_fft_forward(fft_size);
        Spectrum {
            remove_mean: config.remove_mean,
            pre_emphasis: config.pre_emphasis,
            gain: config.gain,
            window: (0..length).map(|at| weight(config.window, at, length)).collect(),
            input: fourier.make_input_vec(),
            output: fourier.make_output_vec(),
            scratch: fourier.make_scratch_vec(),
            power: vec![0.0; fft_size / 2 + 1],
            bank: MelBank::new(config.scale, config.bands, config.low, high, fft_size, rate),
            fourier,
        }
    }

    /// The power of a frame's frequencies.
    fn energies(&mut self, samples: impl Iterator<Item = f32>) {
        self.input.fill(0.0);
        let frame = &mut self.input[..self.window.len()];
        for (input, sample) in frame.iter_mut().zip(samples) {
            let sample = if sample.is_finite() { sample.clamp(-GREATEST_SAMPLE, GREATEST_SAMPLE) } else { 0.0 };
            *input = f64::from(sample) * self.gain;
        }
        if self.remove_mean {
            let mean = frame.iter().sum::<f64>() / frame.len() as f64;
            frame.iter_mut().for_each(|value| *value -= mean);
        }
        for at in (1..frame.len()).rev() {
            frame[at] -= self.pre_emphasis * frame[at - 1];
        }
        frame[0] -= self.pre_emphasis * frame[0];
        for (value, weight) in frame.iter_mut().zip(&self.window) {
            *value *= weight;
        }
        self.fourier
            .process_with_scratch(&mut self.input, &mut self.output, &mut self.scratch)
            .expect("buffers made by the plan itself");
        for (power, value) in self.power.iter_mut().zip(&self.output) {
            *power = value.norm_sqr();
        }
    }
}

fn weight(window: Window, at: usize, length: usize) -> f64 {
    let turn = 2.0 * std::f64::consts::PI * at as f64;
    match window {
        Window::Povey => (0.5 - 0.5 * (turn / (length - 1) as f64).cos()).powf(0.85),
        Window::Hann => 0.5 - 0.5 * (turn / length as f64).cos(),
    }
}

/// What a network takes: filterbanks, or the samples themselves.
#[derive(Debug, Clone)]
pub(crate) enum FrontEnd {
    Filterbank(Box<Filterbank>),
    Samples,
}

impl FrontEnd {
    /// As [`Filterbank::push`]; samples are passed through.
    pub fn push(&mut self, samples: &[f32], out: &mut Vec<f32>) {
        match self {
            FrontEnd::Filterbank(bank) => bank.push(samples, out),
            FrontEnd::Samples => {
                out.extend(samples.iter().map(|&sample| {
                    if sample.is_finite() { sample.clamp(-GREATEST_SAMPLE, GREATEST_SAMPLE) } else { 0.0 }
                }))
            }
        }
    }

    /// As [`Filterbank::finish`].
    pub fn finish(&mut self, out: &mut Vec<f32>) {
        if let FrontEnd::Filterbank(bank) = self {
            bank.finish(out);
        }
    }

    /// Forgets the stream.
    pub fn reset(&mut self) {
        if let FrontEnd::Filterbank(bank) = self {
            bank.reset();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn whole(config: &FilterbankConfig, samples: &[f32]) -> Vec<f32> {
        let mut out = Vec::new();
        let mut bank = Filterbank::new(config.clone());
        bank.push(samples, &mut out);
        bank.finish(&mut out);
        out
    }

    #[test]
    fn silence_is_the_floor_and_there_are_a_hundred_frames_a_second() {
        for make in [FilterbankConfig::kaldi, FilterbankConfig::nemo, FilterbankConfig::nemo_normalised] {
            let config = make(16_000, 80);
            let out = whole(&config, &[0.0; 16_000]);
            assert_eq!(out.len(), 100 * 80);
            assert!(out.iter().all(|&value| value == config.silence()));
            assert_eq!([79, 80, 239, 240].map(|count| whole(&config, &vec![0.1; count]).len() / 80), [0, 1, 1, 2]);
        }
    }

    #[test]
    fn a_tone_is_loudest_in_its_band_and_gain_is_a_shift() {
        let tone: Vec<f32> = (0..8000).map(|at| 0.3 * (at as f32 * 0.5).sin()).collect();
        let config = FilterbankConfig::kaldi(16_000, 80);
        let louder = FilterbankConfig { gain: 32_768.0, ..config.clone() };
        let (quiet, loud) = (whole(&config, &tone), whole(&louder, &tone));
        let band = 20 * 80 + (0..80).max_by(|&a, &b| quiet[20 * 80 + a].total_cmp(&quiet[20 * 80 + b])).unwrap();
        assert!((loud[band] - quiet[band] - 2.0 * 32_768f32.ln()).abs() < 1e-3);
    }

    #[test]
    fn wild_samples_do_no_harm() {
        let out = whole(&FilterbankConfig::nemo(16_000, 80), &[f32::NAN, f32::INFINITY, f32::MAX, -1e30].repeat(400));
        assert!(out.iter().all(|value| value.is_finite()));
    }

    proptest! {
        #[test]
        fn pushes_may_be_cut_anywhere(cuts in proptest::collection::vec(0usize..4000, 0..6), length in 0usize..9000) {
            let samples: Vec<f32> = (0..length).map(|at| ((at * at) as f32 * 0.001).sin()).collect();
            let config = FilterbankConfig::kaldi(16_000, 80);
            let mut bank = Filterbank::new(config.clone());
            let mut out = Vec::new();
            let mut rest = &samples[..];
            for cut in cuts {
                let (piece, after) = rest.split_at(cut.min(rest.len()));
                bank.push(piece, &mut out);
                rest = after;
            }
            bank.push(rest, &mut out);
            bank.finish(&mut out);
            prop_assert_eq!(&out, &whole(&config, &samples));
            // And the same again on the same front end.
            let mut again = Vec::new();
            bank.push(&samples, &mut again);
            bank.finish(&mut again);
            prop_assert_eq!(out, again);
        }
    }
}
