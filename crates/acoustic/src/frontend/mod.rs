//! From samples to cepstra, as a stream.

mod mel;
mod noise;

use std::sync::Arc;

use realfft::num_complex::Complex;
use realfft::{RealFftPlanner, RealToComplex};

use crate::format::FeatParams;
pub(crate) use mel::CEPSTRA;
use mel::{CepstralTransform, MelBank};
use noise::NoiseRemoval;

/// How samples become cepstra: the model's `feat.params` and what a session may choose.
#[derive(Debug, Clone, PartialEq)]
pub struct FrontEndConfig {
    params: FeatParams,
    /// Whether stationary noise is removed from the mel energies. Sphinx has it on, and the default model wants it.
    pub remove_noise: bool,
    /// How much higher the speaker's resonances lie than those of the training speakers' average (vocal tract length
    /// normalisation): 1.0 for no correction, about 0.85 to 1.2 for adults. Clamped to 0.7 to 1.4.
    pub warp: f32,
    narrowband: Option<Narrowband>,
}

/// What differs for samples at half the model's rate.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Narrowband {
    /// Leading mel bands of the model's bank that are used.
    bands: usize,
    /// Energy added to every band.
    floor: f64,
}

impl FrontEndConfig {
    /// The front end that `params` describes, without warping, for wideband samples.
    pub fn new(params: FeatParams) -> FrontEndConfig {
        FrontEndConfig { remove_noise: params.remove_noise, params, warp: 1.0, narrowband: None }
    }

    /// The model's settings.
    pub fn params(&self) -> &FeatParams {
        &self.params
    }

    /// The same front end for samples at half the model's rate (8 kHz for a 16 kHz model): cepstra of the lowest `bands`
    /// mel bands, to each of which `floor` (a natural log) is added as energy. `mean` is the cepstral mean to begin with,
    /// in place of the model's own.
    ///
    /// Quantisation hides what is quiet on a telephone line, at times leaving nothing: without the floor, the logarithm
    /// would make much of what was never heard.
    ///
    /// # Errors
    /// A message when this model has fewer bands within half the bandwidth, or none are asked for.
    pub fn with_narrowband(
        mut self,
        bands: usize,
        floor: f32,
        mean: &[f32; CEPSTRA],
    ) -> Result<FrontEndConfig, String> {
        let available = self.narrowband_bands();
        if !(1..=available).contains(&bands) {
            return Err(format!(
                "the narrowband map was estimated for another filterbank: it needs {bands} bands, the model has {available}"
            ));
        }
        self.params.initial_mean = *mean;
        self.narrowband = Some(Narrowband { bands, floor: f64::from(floor).exp() });
        Ok(self)
    }

    /// Rate of the samples that [`FrontEnd::push`] takes, Hz.
    pub fn sample_rate(&self) -> f64 {
        match self.narrowband {
            None => self.params.sample_rate,
            Some(_) => self.params.sample_rate / 2.0,
        }
    }

    /// Frames a second.
    pub fn frame_rate(&self) -> f64 {
        self.params.frame_rate
    }

    /// Number of leading mel bands that fit the band of half-rate samples.
    pub fn narrowband_bands(&self) -> usize {
        // The same bins as at the full rate, but only half of them, and the last one is left out as there.
        MelBank::new(&self.params, 1.0).filters_below(self.params.fft_size / 4)
    }
}

/// Least energy of a mel band of wideband speech, on the scale of 16-bit samples: what digital silence is taken for.
const LEAST_ENERGY: f64 = 1e-4;

/// Samples beyond this are clipped: full scale is ±1, and a wild value must not spoil the noise estimate for good.
const GREATEST_SAMPLE: f32 = 2.0;

/// Turns a stream of samples into cepstra, one vector per frame.
///
/// Frames overlap: with the default model each covers 25.6 ms and the next begins 10 ms later. What comes out does not
/// depend on how the samples are cut into pushes.
pub struct FrontEnd {
    spectrum: Spectrum,
    /// Samples (16-bit scale) not yet past; the next frame begins at the first.
    pending: Vec<f64>,
    /// The sample before `pending`.
    previous: f64,
    /// Whether a whole window has been seen in this stream.
    begun: bool,
    shift: usize,
    remove_noise: bool,
    noise: NoiseRemoval,
    energies: Vec<f64>,
    /// Energy added to every band.
    floor: f64,
    transform: CepstralTransform,
}

impl std::fmt::Debug for FrontEnd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FrontEnd")
            .field("window", &self.spectrum.window.len())
            .field("shift", &self.shift)
            .field("pending", &self.pending.len())
            .finish_non_exhaustive()
    }
}

impl FrontEnd {
    /// A front end at the start of a stream.
    pub fn new(config: &FrontEndConfig) -> Self {
        let params = &config.params;
        let warp = if config.warp.is_finite() { f64::from(config.warp.clamp(0.7, 1.4)) } else { 1.0 };
        let mut bank = MelBank::new(params, warp);
        let (decimation, bands, floor) = match config.narrowband {
            None => (1, params.filters, LEAST_ENERGY),
            Some(narrowband) => (2, narrowband.bands, narrowband.floor),
        };
        bank.truncate(bands);
        let rate = params.sample_rate / decimation as f64;
        FrontEnd {
            spectrum: Spectrum::new(params, decimation, bank),
            pending: Vec::new(),
            previous: 0.0,
            begun: false,
            shift: (rate / params.frame_rate).round() as usize,
            remove_noise: config.remove_noise,
            noise: NoiseRemoval::default(),
            energies: Vec::new(),
            floor,
            transform: CepstralTransform::new(params, bands),
        }
    }

    /// Takes samples (mono, full scale ±1.0) and appends the cepstra of the frames they complete.
    ///
    /// Values that are not numbers count as silence; values beyond ±2 are clipped.
    pub fn push(&mut self, samples: &[f32], out: &mut Vec<[f32; CEPSTRA]>) {
        self.pending.extend(samples.iter().map(|&sample| {
            let sample = if sample.is_finite() { sample.clamp(-GREATEST_SAMPLE, GREATEST_SAMPLE) } else { 0.0 };
            f64::from(sample) * 32_768.0
        }));
        let window = self.spectrum.window.len();
        let mut start = 0;
        while start + window <= self.pending.len() {
            self.frame(start..start + window, out);
            self.previous = self.pending[start + self.shift - 1];
            start += self.shift;
            self.begun = true;
        }
        self.pending.drain(..start);
    }

    /// Ends the stream: appends the frame that the last samples begin, and is ready for another stream. A stream shorter
    /// than a window has no frame.
    pub fn finish(&mut self, out: &mut Vec<[f32; CEPSTRA]>) {
        if self.begun && !self.pending.is_empty() {
            self.frame(0..self.pending.len(), out);
        }
        self.pending.clear();
        self.previous = 0.0;
        self.begun = false;
        self.noise.reset();
    }

    fn frame(&mut self, range: std::ops::Range<usize>, out: &mut Vec<[f32; CEPSTRA]>) {
        self.spectrum.mel_energies(&self.pending[range], self.previous, &mut self.energies);
        if self.remove_noise {
            self.noise.apply(&mut self.energies);
        }
        for energy in &mut self.energies {
            *energy = (*energy + self.floor).ln();
        }
        out.push(self.transform.apply(&self.energies));
    }
}

/// Pre-emphasis, window, Fourier transform and mel bands of single frames.
struct Spectrum {
    pre_emphasis: f64,
    remove_dc: bool,
    window: Vec<f64>,
    fourier: Arc<dyn RealToComplex<f64>>,
    input: Vec<f64>,
    output: Vec<Complex<f64>>,
    scratch: Vec<Complex<f64>>,
    power: Vec<f64>,
    /// Brings the power of half-rate samples (half as many a window) to the scale of full-rate ones.
    scale: f64,
    bank: MelBank,
}

impl Spectrum {
    fn new(params: &FeatParams, decimation: usize, bank: MelBank) -> Spectrum {
        let fft_size = params.fft_size / decimation;
        let length = (params.window * params.sample_rate / decimation as f64).round() as usize;
        let window = (0..length)
            .map(|index| {
                let phase = 2.0 * std::f64::consts::PI * index as f64 / (length as f64 - 1.0);
                0.54 - 0.46 * phase.cos()
            })
            .collect();
        let fourier = RealFftPlanner::new().plan_fft_forward(fft_size);
        Spectrum {
            pre_emphasis: params.pre_emphasis,
            remove_dc: params.remove_dc,
            window,
            input: fourier.make_input_vec(),
            output: fourier.make_output_vec(),
            scratch: fourier.make_scratch_vec(),
            power: vec![0.0; fft_size / 2 + 1],
            scale: (decimation * decimation) as f64,
            fourier,
            bank,
        }
    }

    /// Mel energies of a frame; one that is shorter than the window is padded with zeros. `previous` is the sample before.
    fn mel_energies(&mut self, samples: &[f64], previous: f64, energies: &mut Vec<f64>) {
        self.input.fill(0.0);
        let before = std::iter::once(&previous).chain(samples);
        for ((input, &sample), &before) in self.input.iter_mut().zip(samples).zip(before) {
            *input = sample - self.pre_emphasis * before;
        }
        let frame = &mut self.input[..self.window.len()];
        if self.remove_dc {
            let mean = frame.iter().sum::<f64>() / frame.len() as f64;
            frame.iter_mut().for_each(|value| *value -= mean);
        }
        for (value, weight) in frame.iter_mut().zip(&self.window) {
            *value *= weight;
        }
        self.fourier
            .process_with_scratch(&mut self.input, &mut self.output, &mut self.scratch)
            .expect("buffers made by the plan itself");
        for (power, value) in self.power.iter_mut().zip(&self.output) {
            *power = value.norm_sqr() * self.scale;
        }
        self.bank.apply(&self.power, energies);
    }
}
