//! Measurements of the signal: level, noise, clipping, offset, bandwidth (results.md section 7.2).

/// Length of the segments that are counted, seconds.
pub const SAMPLING_INTERVAL: f64 = 0.1;

const OFFSET_EDGES: [f64; 12] = [-1.0, -0.9, -0.7, -0.5, -0.3, -0.1, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0];
const CLIPPING_EDGES: [f64; 7] = [0.0, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0];
const LEVEL_EDGES: [f64; 11] = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0];

/// A sample at or beyond this is taken to be clipped: full scale less what dithering and 16 bits may take away.
const FULL_SCALE: f32 = 0.999;

/// One bar of a histogram: `begin <= x < end`. The first also takes what is below, the last what is above.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bin {
    /// Lower edge.
    pub begin: f64,
    /// Upper edge.
    pub end: f64,
    /// Segments in it.
    pub count: u64,
}

/// What was measured of a recording.
#[derive(Debug, Clone, PartialEq)]
pub struct AudioMetrics {
    /// Length of a segment, seconds.
    pub sampling_interval: f64,
    /// Length of the audio, seconds.
    pub end_time: f64,
    /// Power of speech over that of the background, dB in `0.0..=100.0`; `None` without both.
    pub signal_to_noise_ratio: Option<f64>,
    /// Share of the segments that are speech.
    pub speech_ratio: f64,
    /// 0.0: speech reaches over the whole band; 1.0: its upper half is missing; 0.5: too little speech to tell.
    pub high_frequency_loss: f64,
    /// Segments by their mean value, ±1.0 being full scale.
    pub direct_current_offset: Vec<Bin>,
    /// Segments by the share of their samples that are at full scale.
    pub clipping_rate: Vec<Bin>,
    /// Speech segments by root mean square, 1.0 being full scale.
    pub speech_level: Vec<Bin>,
    /// The other segments by root mean square.
    pub non_speech_level: Vec<Bin>,
}

/// Measures a stream of samples.
///
/// How much of it is speech is the recogniser's judgement, which [`Meter::finish`] is told; *which* segments are, is
/// decided by level: the loudest ones. Memory is 8 bytes a segment.
pub(crate) struct Meter {
    rate: u32,
    samples: u64,
    segment: Segment,
    /// Mean power, and of it that in the upper half of the band, for every segment.
    powers: Vec<(f32, f32)>,
    offset: Histogram<12>,
    clipping: Histogram<7>,
    upper_half: UpperHalf,
}

#[derive(Default)]
struct Segment {
    samples: usize,
    sum: f64,
    power: f64,
    upper: f64,
    clipped: usize,
}

impl Meter {
    /// For mono samples at `rate` Hz.
    pub(crate) fn new(rate: u32) -> Meter {
        Meter {
            rate,
            samples: 0,
            segment: Segment::default(),
            powers: Vec::new(),
            offset: Histogram::new(OFFSET_EDGES),
            clipping: Histogram::new(CLIPPING_EDGES),
            upper_half: UpperHalf::new(),
        }
    }

    fn segment_length(&self) -> usize {
        (f64::from(self.rate) * SAMPLING_INTERVAL) as usize
    }

    /// Takes samples, full scale ±1.0.
    pub(crate) fn push(&mut self, samples: &[f32]) {
        for &sample in samples {
            let upper = f64::from(self.upper_half.next(sample));
            let segment = &mut self.segment;
            segment.samples += 1;
            segment.sum += f64::from(sample);
            segment.power += f64::from(sample) * f64::from(sample);
            segment.upper += upper * upper;
            segment.clipped += usize::from(sample.abs() >= FULL_SCALE);
            if segment.samples == self.segment_length() {
                self.close_segment();
            }
        }
        self.samples += samples.len() as u64;
    }

    fn close_segment(&mut self) {
        let segment = std::mem::take(&mut self.segment);
        let count = segment.samples as f64;
        self.offset.add(segment.sum / count);
        self.clipping.add(segment.clipped as f64 / count);
        self.powers.push(((segment.power / count) as f32, (segment.upper / count) as f32));
    }

    /// The measurements, given how many seconds the recogniser judged to be speech.
    pub(crate) fn finish(mut self, speech_seconds: f64) -> Measurements {
        // What is left over counts as a segment when it is more half than not.
        if self.segment.samples * 2 >= self.segment_length() {
            self.close_segment();
        }
        let speech_segments = (speech_seconds / SAMPLING_INTERVAL).round() as usize;
        self.powers.sort_by(|a, b| b.0.total_cmp(&a.0));
        let background = self.powers.split_off(speech_segments.min(self.powers.len()));
        Measurements {
            seconds: self.samples as f64 / f64::from(self.rate),
            speech: self.powers,
            background,
            offset: self.offset,
            clipping: self.clipping,
        }
    }
}

/// What was measured of one recording or, merged, of several.
#[derive(Debug, Clone, PartialEq)]
pub struct Measurements {
    seconds: f64,
    speech: Vec<(f32, f32)>,
    background: Vec<(f32, f32)>,
    offset: Histogram<12>,
    clipping: Histogram<7>,
}

impl Default for Measurements {
    /// Of no audio at all.
    fn default() -> Self {
        Measurements {
            seconds: 0.0,
            speech: Vec::new(),
            background: Vec::new(),
            offset: Histogram::new(OFFSET_EDGES),
            clipping: Histogram::new(CLIPPING_EDGES),
        }
    }
}

impl Measurements {
    /// Adds what was measured of another recording.
    pub fn merge(&mut self, other: Measurements) {
        self.seconds += other.seconds;
        self.speech.extend(other.speech);
        self.background.extend(other.background);
        self.offset.merge(&other.offset);
        self.clipping.merge(&other.clipping);
    }

    /// The figures.
    pub fn metrics(&self) -> AudioMetrics {
        let segments = self.speech.len() + self.background.len();
        AudioMetrics {
            sampling_interval: SAMPLING_INTERVAL,
            end_time: self.seconds,
            signal_to_noise_ratio: signal_to_noise_ratio(&self.speech, &self.background),
            speech_ratio: if segments == 0 { 0.0 } else { self.speech.len() as f64 / segments as f64 },
            high_frequency_loss: high_frequency_loss(&self.speech),
            direct_current_offset: self.offset.bins(),
            clipping_rate: self.clipping.bins(),
            speech_level: levels(&self.speech),
            non_speech_level: levels(&self.background),
        }
    }
}

fn mean_power(segments: &[(f32, f32)]) -> f64 {
    segments.iter().map(|(power, _)| f64::from(*power)).sum::<f64>() / segments.len() as f64
}

fn signal_to_noise_ratio(speech: &[(f32, f32)], background: &[(f32, f32)]) -> Option<f64> {
    if speech.is_empty() || background.is_empty() {
        return None;
    }
    // The background goes on under the speech.
    let noise = mean_power(background);
    let signal = mean_power(speech) - noise;
    (noise > 0.0 && signal > 0.0).then(|| (10.0 * (signal / noise).log10()).clamp(0.0, 100.0))
}

/// Speech has less power in the upper half of the band, by 10 to 30 dB; where it is missing, only what a codec or a
/// converter leaves is found, more than 55 dB below.
fn high_frequency_loss(speech: &[(f32, f32)]) -> f64 {
    const PRESENT: f64 = -30.0;
    const MISSING: f64 = -55.0;
    const ENOUGH_SEGMENTS: usize = 5;
    let power: f64 = speech.iter().map(|(power, _)| f64::from(*power)).sum();
    let upper: f64 = speech.iter().map(|(_, upper)| f64::from(*upper)).sum();
    if speech.len() < ENOUGH_SEGMENTS || power <= 0.0 {
        return 0.5;
    }
    let ratio = 10.0 * (upper / power).max(1e-12).log10();
    ((PRESENT - ratio) / (PRESENT - MISSING)).clamp(0.0, 1.0)
}

fn levels(segments: &[(f32, f32)]) -> Vec<Bin> {
    let mut histogram = Histogram::new(LEVEL_EDGES);
    for (power, _) in segments {
        histogram.add(f64::from(*power).sqrt());
    }
    histogram.bins()
}

/// Counts between `N` edges.
#[derive(Debug, Clone, PartialEq)]
struct Histogram<const N: usize> {
    edges: [f64; N],
    counts: [u64; N],
}

impl<const N: usize> Histogram<N> {
    fn new(edges: [f64; N]) -> Self {
        Histogram { edges, counts: [0; N] }
    }

    fn add(&mut self, value: f64) {
        let above = self.edges.partition_point(|edge| *edge <= value);
        self.counts[above.clamp(1, N - 1) - 1] += 1;
    }

    fn merge(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count += more;
        }
    }

    fn bins(&self) -> Vec<Bin> {
        self.edges
            .windows(2)
            .zip(self.counts)
            .map(|(edge, count)| Bin { begin: edge[0], end: edge[1], count })
            .collect()
    }
}

/// High-pass at a quarter of the sampling rate: a windowed-sinc half-band filter, 74 dB down in the lower half but for the
/// transition of about a tenth of the rate (Blackman window).
struct UpperHalf {
    /// Taps at odd distances from the middle; those at even distances are zero, the middle one is one half.
    taps: [f32; Self::PAIRS],
    /// The last samples, twice in a row so that any run of them is contiguous.
    history: [f32; 2 * Self::LENGTH],
    at: usize,
}

impl UpperHalf {
    const PAIRS: usize = 16;
    const MIDDLE: usize = 2 * Self::PAIRS - 1;
    const LENGTH: usize = 2 * Self::MIDDLE + 1;

    fn new() -> Self {
        use std::f64::consts::PI;
        let mut taps = [0.0; Self::PAIRS];
        for (index, tap) in taps.iter_mut().enumerate() {
            let distance = (2 * index + 1) as f64;
            let position = distance / (Self::MIDDLE + 1) as f64;
            let window = 0.42 + 0.5 * (PI * position).cos() + 0.08 * (2.0 * PI * position).cos();
            *tap = (window * (PI * distance / 2.0).sin() / (PI * distance)) as f32;
        }
        UpperHalf { taps, history: [0.0; 2 * Self::LENGTH], at: 0 }
    }

    fn next(&mut self, sample: f32) -> f32 {
        self.history[self.at] = sample;
        self.history[self.at + Self::LENGTH] = sample;
        self.at = (self.at + 1) % Self::LENGTH;
        let window = &self.history[self.at..self.at + Self::LENGTH];
        let mut lower = 0.5 * window[Self::MIDDLE];
        for (index, tap) in self.taps.iter().enumerate() {
            let distance = 2 * index + 1;
            lower += tap * (window[Self::MIDDLE - distance] + window[Self::MIDDLE + distance]);
        }
        window[Self::MIDDLE] - lower
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: u32 = 16_000;

    fn tone(frequency: f64, amplitude: f64, seconds: f64) -> Vec<f32> {
        let samples = (seconds * f64::from(RATE)) as usize;
        (0..samples)
            .map(|n| (amplitude * (std::f64::consts::TAU * frequency * n as f64 / f64::from(RATE)).sin()) as f32)
            .collect()
    }

    fn count(bins: &[Bin]) -> u64 {
        bins.iter().map(|bin| bin.count).sum()
    }

    fn measure(pieces: &[Vec<f32>], speech_seconds: f64) -> AudioMetrics {
        let mut meter = Meter::new(RATE);
        for piece in pieces {
            meter.push(piece);
        }
        meter.finish(speech_seconds).metrics()
    }

    /// results.md 7.2: 7.0 s are 70 segments; offset and clipping count all, speech and non-speech share them.
    #[test]
    fn every_segment_is_counted_once() {
        let metrics = measure(&[tone(440.0, 0.3, 3.7), tone(440.0, 0.003, 3.3)], 3.7);
        assert!((metrics.end_time - 7.0).abs() < 1e-9);
        assert_eq!((metrics.direct_current_offset.len(), count(&metrics.direct_current_offset)), (11, 70));
        assert_eq!((metrics.clipping_rate.len(), count(&metrics.clipping_rate)), (6, 70));
        assert_eq!((metrics.speech_level.len(), count(&metrics.speech_level)), (10, 37));
        assert_eq!((metrics.non_speech_level.len(), count(&metrics.non_speech_level)), (10, 33));
        assert!((metrics.speech_ratio - 37.0 / 70.0).abs() < 1e-9);
        let ratio = metrics.signal_to_noise_ratio.expect("both classes are there");
        assert!((ratio - 40.0).abs() < 0.5, "{ratio}");
    }

    #[test]
    fn levels_offset_and_clipping_fall_into_their_bins() {
        let square: Vec<f32> = (0..16_000).map(|n| if n % 100 < 50 { 1.0 } else { 0.1 }).collect();
        let metrics = measure(&[square], 1.0);
        let only = |bins: &[Bin]| bins.iter().find(|bin| bin.count > 0).map(|bin| (bin.begin, bin.count));
        assert_eq!(only(&metrics.direct_current_offset), Some((0.5, 10)));
        assert_eq!(only(&metrics.clipping_rate), Some((0.1, 10)));
        assert_eq!(only(&metrics.speech_level), Some((0.7, 10)));
        assert_eq!(metrics.signal_to_noise_ratio, None, "no background to compare with");
    }

    #[test]
    fn out_of_range_values_fall_into_the_outer_bins() {
        let mut histogram = Histogram::new(LEVEL_EDGES);
        for value in [-3.0, 0.0, 1.0, 7.0] {
            histogram.add(value);
        }
        let bins = histogram.bins();
        assert_eq!((bins[0].count, bins[9].count), (2, 2));
    }

    #[test]
    fn a_missing_upper_half_is_noticed() {
        let low = tone(1_000.0, 0.3, 2.0);
        let both: Vec<f32> = low.iter().zip(tone(6_000.0, 0.03, 2.0)).map(|(a, b)| a + b).collect();
        assert_eq!(measure(&[low], 2.0).high_frequency_loss, 1.0);
        assert_eq!(measure(&[both], 2.0).high_frequency_loss, 0.0);
        assert_eq!(measure(&[tone(1_000.0, 0.3, 2.0)], 0.2).high_frequency_loss, 0.5, "too little speech to tell");
    }

    #[test]
    fn recordings_add_up() {
        let meter = |level, speech_seconds| {
            let mut meter = Meter::new(RATE);
            meter.push(&tone(440.0, level, 2.0));
            meter.finish(speech_seconds)
        };
        let mut both = meter(0.3, 2.0);
        both.merge(meter(0.003, 0.0));
        let metrics = both.metrics();
        assert_eq!((metrics.end_time, metrics.speech_ratio), (4.0, 0.5));
        assert_eq!((count(&metrics.clipping_rate), count(&metrics.speech_level)), (40, 20));
        assert!((metrics.signal_to_noise_ratio.unwrap() - 40.0).abs() < 0.5);
    }

    #[test]
    fn silence_and_nothing_are_measured_too() {
        let silent = measure(&[vec![0.0; 16_000]], 0.0);
        assert_eq!((silent.speech_ratio, silent.signal_to_noise_ratio), (0.0, None));
        assert_eq!(silent.non_speech_level[0].count, 10);
        let nothing = measure(&[], 0.0);
        assert_eq!((nothing.end_time, nothing.speech_ratio, count(&nothing.clipping_rate)), (0.0, 0.0, 0));
    }
}
