//! Uncompressed and companded samples, piece by piece, mixed down to mono.

use audio_codec_algorithms::{decode_alaw, decode_ulaw};

use crate::content_type::{ContentType, Endianness};
use crate::error::AudioError;
use crate::source::{Sink, Source, SourceInfo};

/// Frames decoded at a time: bounds the scratch memory whatever is pushed.
const FRAMES_AT_A_TIME: usize = 4096;

/// How one sample is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SampleFormat {
    U8,
    S16,
    S24,
    S32,
    F32,
    F64,
    Alaw,
    Mulaw,
}

impl SampleFormat {
    /// Bytes of one sample.
    pub(crate) fn width(self) -> usize {
        match self {
            SampleFormat::U8 | SampleFormat::Alaw | SampleFormat::Mulaw => 1,
            SampleFormat::S16 => 2,
            SampleFormat::S24 => 3,
            SampleFormat::S32 | SampleFormat::F32 => 4,
            SampleFormat::F64 => 8,
        }
    }

    /// Name in the manner of the field.
    pub(crate) fn name(self, order: Endianness) -> &'static str {
        let big = order == Endianness::Big;
        match self {
            SampleFormat::U8 => "pcm_u8",
            SampleFormat::S16 => ["pcm_s16le", "pcm_s16be"][usize::from(big)],
            SampleFormat::S24 => ["pcm_s24le", "pcm_s24be"][usize::from(big)],
            SampleFormat::S32 => ["pcm_s32le", "pcm_s32be"][usize::from(big)],
            SampleFormat::F32 => ["pcm_f32le", "pcm_f32be"][usize::from(big)],
            SampleFormat::F64 => ["pcm_f64le", "pcm_f64be"][usize::from(big)],
            SampleFormat::Alaw => "pcm_alaw",
            SampleFormat::Mulaw => "pcm_mulaw",
        }
    }
}

/// Turns interleaved sample bytes into mono samples. Keeps at most one incomplete frame.
pub(crate) struct PcmReader {
    format: SampleFormat,
    order: Endianness,
    channels: usize,
    /// Bytes of a frame of which the rest has not come yet.
    rest: Vec<u8>,
    mono: Vec<f32>,
}

impl PcmReader {
    /// `channels` must not be 0.
    pub(crate) fn new(format: SampleFormat, order: Endianness, channels: u16) -> PcmReader {
        let channels = usize::from(channels.max(1));
        PcmReader { format, order, channels, rest: Vec::new(), mono: Vec::new() }
    }

    /// Decodes all frames that `bytes` completes.
    pub(crate) fn push(&mut self, mut bytes: &[u8], sink: &mut dyn Sink) -> Result<(), AudioError> {
        let frame = self.format.width() * self.channels;
        if !self.rest.is_empty() {
            let missing = (frame - self.rest.len()).min(bytes.len());
            self.rest.extend_from_slice(&bytes[..missing]);
            bytes = &bytes[missing..];
            if self.rest.len() < frame {
                return Ok(());
            }
            let whole = std::mem::take(&mut self.rest);
            self.decode(&whole);
            sink.samples(&self.mono)?;
        }
        let whole = bytes.len() - bytes.len() % frame;
        for piece in bytes[..whole].chunks(frame * FRAMES_AT_A_TIME) {
            self.decode(piece);
            sink.samples(&self.mono)?;
        }
        self.rest.extend_from_slice(&bytes[whole..]);
        Ok(())
    }

    /// Decodes whole frames into `self.mono`.
    fn decode(&mut self, bytes: &[u8]) {
        let little = self.order == Endianness::Little;
        let (mono, channels) = (&mut self.mono, self.channels);
        mono.clear();
        match self.format {
            SampleFormat::U8 => mix(bytes, channels, mono, |[b]| (f32::from(b) - 128.0) / 128.0),
            SampleFormat::Alaw => mix(bytes, channels, mono, |[b]| from_i16(decode_alaw(b))),
            SampleFormat::Mulaw => mix(bytes, channels, mono, |[b]| from_i16(decode_ulaw(b))),
            SampleFormat::S16 if little => {
                mix(bytes, channels, mono, |b| from_i16(i16::from_le_bytes(b)));
            }
            SampleFormat::S16 => mix(bytes, channels, mono, |b| from_i16(i16::from_be_bytes(b))),
            SampleFormat::S24 if little => {
                mix(bytes, channels, mono, |[a, b, c]| from_i32(i32::from_le_bytes([0, a, b, c])));
            }
            SampleFormat::S24 => {
                mix(bytes, channels, mono, |[a, b, c]| from_i32(i32::from_be_bytes([a, b, c, 0])));
            }
            SampleFormat::S32 if little => {
                mix(bytes, channels, mono, |b| from_i32(i32::from_le_bytes(b)));
            }
            SampleFormat::S32 => mix(bytes, channels, mono, |b| from_i32(i32::from_be_bytes(b))),
            SampleFormat::F32 if little => {
                mix(bytes, channels, mono, |b| tame(f32::from_le_bytes(b)));
            }
            SampleFormat::F32 => mix(bytes, channels, mono, |b| tame(f32::from_be_bytes(b))),
            SampleFormat::F64 if little => {
                mix(bytes, channels, mono, |b| tame(f64::from_le_bytes(b) as f32));
            }
            SampleFormat::F64 => mix(bytes, channels, mono, |b| tame(f64::from_be_bytes(b) as f32)),
        }
    }
}

/// Appends the mean over the channels of each frame.
fn mix<const WIDTH: usize>(bytes: &[u8], channels: usize, mono: &mut Vec<f32>, sample: impl Fn([u8; WIDTH]) -> f32) {
    let (samples, _) = bytes.as_chunks::<WIDTH>();
    if channels == 1 {
        mono.extend(samples.iter().map(|&b| sample(b)));
    } else {
        let scale = 1.0 / channels as f32;
        mono.extend(samples.chunks_exact(channels).map(|frame| frame.iter().map(|&b| sample(b)).sum::<f32>() * scale));
    }
}

/// The mean over channels of interleaved samples, appended to `mono`.
pub(crate) fn mix_interleaved(samples: &[f32], channels: usize, mono: &mut Vec<f32>) {
    let scale = 1.0 / channels.max(1) as f32;
    mono.extend(samples.chunks_exact(channels.max(1)).map(|frame| frame.iter().map(|&s| tame(s)).sum::<f32>() * scale));
}

fn from_i16(sample: i16) -> f32 {
    f32::from(sample) / 32_768.0
}

fn from_i32(sample: i32) -> f32 {
    sample as f32 / 2_147_483_648.0
}

/// Floating-point audio may say anything: what is no number becomes silence, what is too loud is
/// clipped as a sound card would.
pub(crate) fn tame(sample: f32) -> f32 {
    if sample.is_finite() { sample.clamp(-1.0, 1.0) } else { 0.0 }
}

/// `audio/l16` of known byte order, `audio/mulaw`, `audio/alaw` and `audio/basic`.
pub(crate) struct RawSource {
    info: Option<SourceInfo>,
    reader: PcmReader,
}

impl RawSource {
    pub(crate) fn new(
        content_type: ContentType,
        format: SampleFormat,
        order: Endianness,
        sample_rate: u32,
        channels: u16,
    ) -> RawSource {
        let encoding = format.name(order);
        RawSource {
            info: Some(SourceInfo { content_type, encoding, sample_rate, channels }),
            reader: PcmReader::new(format, order, channels),
        }
    }
}

impl Source for RawSource {
    fn push(&mut self, bytes: &[u8], sink: &mut dyn Sink) -> Result<(), AudioError> {
        if let Some(info) = self.info.take() {
            sink.format(info)?;
        }
        self.reader.push(bytes, sink)
    }

    fn finish(&mut self, _sink: &mut dyn Sink) -> Result<(), AudioError> {
        Ok(()) // An incomplete frame at the end is no sound.
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::testing::Kept;

    fn decode(format: SampleFormat, order: Endianness, channels: u16, bytes: &[u8]) -> Vec<f32> {
        let mut kept = Kept::default();
        PcmReader::new(format, order, channels).push(bytes, &mut kept).unwrap();
        kept.samples
    }

    #[test]
    fn integers_scale_to_one() {
        use Endianness::{Big, Little};
        let le = decode(SampleFormat::S16, Little, 1, &[0, 0x80, 0, 0x40, 0xff, 0x7f]);
        assert_eq!(le, [-1.0, 0.5, 32_767.0 / 32_768.0]);
        assert_eq!(decode(SampleFormat::S16, Big, 1, &[0x80, 0, 0x40, 0]), [-1.0, 0.5]);
        assert_eq!(decode(SampleFormat::U8, Little, 1, &[0, 128, 192]), [-1.0, 0.0, 0.5]);
        assert_eq!(decode(SampleFormat::S24, Little, 1, &[0, 0, 0x80, 0, 0, 0x20]), [-1.0, 0.25]);
        assert_eq!(decode(SampleFormat::S24, Big, 1, &[0x80, 0, 0]), [-1.0]);
        assert_eq!(decode(SampleFormat::S32, Little, 1, &[0, 0, 0, 0x40]), [0.5]);
        assert_eq!(decode(SampleFormat::S32, Big, 1, &[0xc0, 0, 0, 0]), [-0.5]);
    }

    #[test]
    fn floats_are_tamed() {
        let mut bytes = Vec::new();
        for sample in [0.25f32, f32::NAN, f32::INFINITY, -1e30, f32::MIN_POSITIVE] {
            bytes.extend(sample.to_le_bytes());
        }
        let out = decode(SampleFormat::F32, Endianness::Little, 1, &bytes);
        assert_eq!(out, [0.25, 0.0, 0.0, -1.0, f32::MIN_POSITIVE]);
        let out = decode(SampleFormat::F64, Endianness::Big, 1, &(-0.5f64).to_be_bytes());
        assert_eq!(out, [-0.5]);
    }

    #[test]
    fn g711_has_the_extremes_of_the_standard() {
        // ITU-T G.711: the loudest codes are ±32124 (mu-law) and ±32256 (A-law) of 32768.
        let mulaw = decode(SampleFormat::Mulaw, Endianness::Little, 1, &[0x00, 0x80, 0xff, 0x7f]);
        assert_eq!(mulaw, [-32_124.0 / 32_768.0, 32_124.0 / 32_768.0, 0.0, 0.0]);
        let alaw = decode(SampleFormat::Alaw, Endianness::Little, 1, &[0x2a, 0xaa]);
        assert_eq!(alaw, [-32_256.0 / 32_768.0, 32_256.0 / 32_768.0]);
    }

    #[test]
    fn rec_l9_channels_are_averaged() {
        let bytes = [0, 0x40, 0, 0x20, 0, 0xc0, 0, 0x40];
        assert_eq!(decode(SampleFormat::S16, Endianness::Little, 2, &bytes), [0.375, 0.0]);
        let mut mono = Vec::new();
        mix_interleaved(&[0.5, 0.25, -1.0, f32::NAN], 2, &mut mono);
        assert_eq!(mono, [0.375, -0.5]);
    }

    #[test]
    fn pieces_of_any_size_make_the_same_frames() {
        let bytes: Vec<u8> = (0..=255u8).cycle().take(6 * 1000 + 5).collect();
        let whole = decode(SampleFormat::S24, Endianness::Little, 2, &bytes);
        assert_eq!(whole.len(), 1000);
        for size in [1, 2, 5, 6, 7, 4096] {
            let mut reader = PcmReader::new(SampleFormat::S24, Endianness::Little, 2);
            let mut kept = Kept::default();
            for piece in bytes.chunks(size) {
                reader.push(piece, &mut kept).unwrap();
            }
            assert_eq!(kept.samples, whole, "pieces of {size}");
        }
    }
}
