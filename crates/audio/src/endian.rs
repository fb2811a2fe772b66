//! `audio/l16` of unknown byte order (REC-F5).
//!
//! RFC 2586 says big-endian, most clients send little-endian. Sound is smooth, so in the right
//! order the step from one sample of a channel to the next is small; swapping the bytes scatters
//! the values over the whole range. The order whose steps have the smaller variance wins. (The
//! variance of the samples themselves, the obvious measure, fails for loud audio: that of a
//! full-scale sine is larger than that of noise.)

use crate::content_type::{ContentType, Endianness};
use crate::error::AudioError;
use crate::pcm::{RawSource, SampleFormat};
use crate::source::{Sink, Source, SourceInfo};

/// Samples after the first non-zero one to look at before deciding: 0.26 s at 16 kHz.
const LOOK_AT: usize = 4096;

/// A stream of nothing but zeros is the same in either order, and is silence. Below this length
/// (seconds) it is not taken for a recording.
const SHORTEST_SILENCE: f64 = 0.1;

/// Holds back the audio, zeros excepted, until its byte order is known.
pub(crate) struct DetectingSource {
    rate: u32,
    channels: u16,
    /// Bytes seen.
    seen: usize,
    /// Bytes from the frame with the first non-zero sample on; empty before that.
    held: Vec<u8>,
    /// Whole frames of zeros before that, plus an incomplete frame, in bytes.
    zeros: usize,
    /// Bytes of `zeros` already handed on as silence.
    handed_on: usize,
    told: bool,
    decided: Option<RawSource>,
}

impl DetectingSource {
    pub(crate) fn new(rate: u32, channels: u16) -> DetectingSource {
        DetectingSource {
            rate,
            channels,
            seen: 0,
            held: Vec::new(),
            zeros: 0,
            handed_on: 0,
            told: false,
            decided: None,
        }
    }

    fn info(&self, order: Endianness) -> SourceInfo {
        SourceInfo {
            content_type: self.content_type(order),
            encoding: SampleFormat::S16.name(order),
            sample_rate: self.rate,
            channels: self.channels,
        }
    }

    fn content_type(&self, order: Endianness) -> ContentType {
        ContentType::L16 { rate: self.rate, channels: self.channels, endianness: Some(order) }
    }

    fn tell(&mut self, order: Endianness, sink: &mut dyn Sink) -> Result<(), AudioError> {
        if !self.told {
            self.told = true;
            sink.format(self.info(order))?;
        }
        Ok(())
    }

    /// Hands on whole frames of zeros, which need no byte order.
    fn silence(&mut self, sink: &mut dyn Sink) -> Result<(), AudioError> {
        const SILENCE: [f32; 1024] = [0.0; 1024];
        let frame = 2 * usize::from(self.channels);
        let mut frames = (self.zeros - self.handed_on) / frame;
        self.handed_on += frames * frame;
        if frames > 0 {
            self.tell(Endianness::Little, sink)?;
        }
        while frames > 0 {
            let now = frames.min(SILENCE.len());
            sink.samples(&SILENCE[..now])?;
            frames -= now;
        }
        Ok(())
    }

    fn decide(&mut self, order: Endianness, sink: &mut dyn Sink) -> Result<(), AudioError> {
        let mut source = RawSource::new(self.content_type(order), SampleFormat::S16, order, self.rate, self.channels);
        let held = std::mem::take(&mut self.held);
        // Tells the format, again when silence had to be handed on before the order was known.
        source.push(&held, sink)?;
        self.told = true;
        self.decided = Some(source);
        Ok(())
    }
}

/// The byte order in which the steps between successive 16-bit samples of a channel have the
/// smaller variance; little-endian when equal. Looks at no more than [`LOOK_AT`] samples.
fn smoother(bytes: &[u8], channels: usize) -> Endianness {
    let samples = bytes.as_chunks::<2>().0;
    let samples = &samples[..samples.len().min(LOOK_AT)];
    let variance = |read: fn([u8; 2]) -> i16| {
        let (mut sum, mut squares) = (0.0f64, 0.0f64);
        for (&now, &next) in samples.iter().zip(samples.iter().skip(channels)) {
            let step = f64::from(read(next)) - f64::from(read(now));
            sum += step;
            squares += step * step;
        }
        let count = samples.len().saturating_sub(channels).max(1) as f64;
        squares / count - (sum / count).powi(2)
    };
    if variance(i16::from_be_bytes) < variance(i16::from_le_bytes) { Endianness::Big } else { Endianness::Little }
}

impl Source for DetectingSource {
    fn push(&mut self, bytes: &[u8], sink: &mut dyn Sink) -> Result<(), AudioError> {
        self.seen += bytes.len();
        if let Some(source) = &mut self.decided {
            return source.push(bytes, sink);
        }
        if self.held.is_empty() {
            let frame = 2 * usize::from(self.channels);
            let Some(first) = bytes.iter().position(|&b| b != 0) else {
                self.zeros += bytes.len();
                return self.silence(sink);
            };
            self.zeros += first;
            let into_frame = self.zeros % frame;
            self.zeros -= into_frame;
            self.silence(sink)?;
            self.held.resize(into_frame, 0);
            self.held.extend_from_slice(&bytes[first..]);
        } else {
            self.held.extend_from_slice(bytes);
        }
        if self.held.len() >= 2 * LOOK_AT {
            self.decide(smoother(&self.held, usize::from(self.channels)), sink)?;
        }
        Ok(())
    }

    fn finish(&mut self, sink: &mut dyn Sink) -> Result<(), AudioError> {
        if self.decided.is_some() {
            return Ok(());
        }
        if self.held.len() >= 2 {
            return self.decide(smoother(&self.held, usize::from(self.channels)), sink);
        }
        let seconds = self.seen as f64 / (2 * self.channels) as f64 / f64::from(self.rate);
        if self.seen > 0 && seconds < SHORTEST_SILENCE {
            return Err(AudioError::Endianness { bytes: self.seen });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::testing::Kept;

    fn tone(order: Endianness, level: f64, samples: usize) -> Vec<u8> {
        (0..samples)
            .flat_map(|n| {
                let sample = ((n as f64 * 0.1).sin() * level) as i16;
                match order {
                    Endianness::Big => sample.to_be_bytes(),
                    Endianness::Little => sample.to_le_bytes(),
                }
            })
            .collect()
    }

    fn run(bytes: &[u8], piece: usize) -> (Result<(), AudioError>, Kept) {
        let mut source = DetectingSource::new(16_000, 1);
        let mut kept = Kept::default();
        for piece in bytes.chunks(piece) {
            source.push(piece, &mut kept).unwrap();
        }
        let result = source.finish(&mut kept);
        (result, kept)
    }

    #[test]
    fn rec_f5_both_orders_are_told_apart_at_any_level() {
        for level in [40.0, 1000.0, 32_000.0] {
            for order in [Endianness::Big, Endianness::Little] {
                for samples in [60, 1000, 20_000] {
                    let bytes = tone(order, level, samples);
                    let (result, kept) = run(&bytes, 777);
                    result.unwrap();
                    let expected = ContentType::L16 { rate: 16_000, channels: 1, endianness: Some(order) };
                    assert_eq!(kept.formats.last().unwrap().content_type, expected, "{level}");
                    assert_eq!(kept.samples.len(), samples);
                    let loudest = kept.samples.iter().fold(0.0f32, |m, s| m.max(s.abs()));
                    assert!((f64::from(loudest) * 32_768.0 - level).abs() < 0.02 * level + 1.0);
                }
            }
        }
    }

    #[test]
    fn leading_silence_is_handed_on_at_once_and_nothing_shifts() {
        let mut bytes = vec![0u8; 2 * 50_001];
        bytes.extend(tone(Endianness::Big, 5000.0, 9000));
        for piece in [1, 1000, 4097, bytes.len()] {
            let (result, kept) = run(&bytes, piece);
            result.unwrap();
            assert_eq!(kept.samples.len(), bytes.len() / 2, "pieces of {piece}");
            let expected = f32::from((0.1f64.sin() * 5000.0) as i16) / 32_768.0;
            assert_eq!(kept.samples[50_002], expected);
        }
        let mut source = DetectingSource::new(16_000, 1);
        let mut kept = Kept::default();
        source.push(&[0; 32_000], &mut kept).unwrap();
        assert_eq!(kept.samples.len(), 16_000);
    }

    #[test]
    fn nothing_but_zeros_is_silence_unless_too_short_to_be_anything() {
        let (result, kept) = run(&[0; 64_000], 999);
        result.unwrap();
        assert_eq!(kept.samples.len(), 32_000);
        let (result, _) = run(&[0; 100], 33);
        assert_eq!(result, Err(AudioError::Endianness { bytes: 100 }));
        assert_eq!(run(&[], 1).0, Ok(()));
    }
}
