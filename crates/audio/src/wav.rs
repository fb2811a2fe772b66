//! WAV: RIFF (little-endian), RIFX (big-endian) and RF64 files, read front to back as they arrive.
//!
//! A `data` size of 0 or 0xFFFFFFFF is that of a stream whose length was not known when the header
//! was written (REC-F6): it lasts until the bytes end. A file that ends before its size says so is
//! decoded as far as it goes. Chunks other than `fmt `, `ds64` and `data` are skipped unread.

use crate::adpcm::Adpcm;
use crate::container::{self, Container};
use crate::content_type::{ContentType, Endianness, MAX_SAMPLE_RATE, MAX_WAV_CHANNELS};
use crate::error::AudioError;
use crate::pcm::{PcmReader, SampleFormat, mix_interleaved};
use crate::source::{Sink, Source, SourceInfo, unable};

/// A `fmt ` chunk longer than this is none.
const LONGEST_FORMAT_CHUNK: usize = 4096;

const FORMAT_PCM: u16 = 0x0001;
const FORMAT_MS_ADPCM: u16 = 0x0002;
const FORMAT_FLOAT: u16 = 0x0003;
const FORMAT_ALAW: u16 = 0x0006;
const FORMAT_MULAW: u16 = 0x0007;
const FORMAT_IMA_ADPCM: u16 = 0x0011;
const FORMAT_MPEG: u16 = 0x0050;
const FORMAT_MP3: u16 = 0x0055;
const FORMAT_EXTENSIBLE: u16 = 0xfffe;

/// The end of every sub-format GUID that stands for a format tag.
const GUID_TAIL: [u8; 14] = [0x00, 0x00, 0x00, 0x00, 0x10, 0x00, 0x80, 0x00, 0x00, 0xaa, 0x00, 0x38, 0x9b, 0x71];

/// What the bytes that come next belong to.
#[derive(Clone, Copy)]
enum State {
    /// The twelve bytes at the front.
    Riff,
    /// Eight bytes of chunk name and size.
    ChunkHeader,
    /// A chunk to be kept: `fmt ` or `ds64`, its name and padded length.
    Keep([u8; 4], usize),
    /// A chunk of no interest: bytes left of it.
    Skip(u64),
    /// The sound: bytes left of it, if known.
    Data(Option<u64>),
    /// After the sound.
    End,
}

/// How the sound is encoded.
enum Body {
    Pcm(PcmReader),
    Adpcm { kind: Adpcm, block_align: usize, channels: usize, block: Vec<u8> },
    Mpeg(Box<dyn Source>),
}

pub(crate) struct WavSource {
    declared: ContentType,
    state: State,
    /// The part of a header that has arrived so far.
    held: Vec<u8>,
    order: Endianness,
    /// Size of the data chunk as an RF64 `ds64` chunk gives it.
    long_size: Option<u64>,
    format: Option<(SourceInfo, Body)>,
}

impl WavSource {
    pub(crate) fn new(declared: ContentType) -> WavSource {
        WavSource {
            declared,
            state: State::Riff,
            held: Vec::new(),
            order: Endianness::Little,
            long_size: None,
            format: None,
        }
    }

    /// Moves bytes from the front of `bytes` until `self.held` has `wanted`; true when it has.
    fn hold(&mut self, bytes: &mut &[u8], wanted: usize) -> bool {
        let missing = wanted.saturating_sub(self.held.len()).min(bytes.len());
        let (now, later) = bytes.split_at(missing);
        self.held.extend_from_slice(now);
        *bytes = later;
        self.held.len() >= wanted
    }

    fn u32_at(&self, at: usize) -> u32 {
        let four = [self.held[at], self.held[at + 1], self.held[at + 2], self.held[at + 3]];
        match self.order {
            Endianness::Big => u32::from_be_bytes(four),
            Endianness::Little => u32::from_le_bytes(four),
        }
    }

    fn u16_at(&self, at: usize) -> u16 {
        let two = [self.held[at], self.held[at + 1]];
        match self.order {
            Endianness::Big => u16::from_be_bytes(two),
            Endianness::Little => u16::from_le_bytes(two),
        }
    }

    /// Reads the twelve bytes at the front.
    fn riff(&mut self) -> Result<State, AudioError> {
        self.order = match &self.held[..4] {
            b"RIFF" | b"RF64" | b"BW64" => Endianness::Little,
            b"RIFX" => Endianness::Big,
            _ => return Err(unable(&self.declared, "no RIFF header")),
        };
        if &self.held[8..12] != b"WAVE" {
            return Err(unable(&self.declared, "a RIFF file, but not of sound"));
        }
        Ok(State::ChunkHeader)
    }

    /// Reads the name and size of a chunk.
    fn chunk(&mut self, sink: &mut dyn Sink) -> Result<State, AudioError> {
        let name = [self.held[0], self.held[1], self.held[2], self.held[3]];
        let size = self.u32_at(4);
        match &name {
            b"data" => {
                let Some((info, body)) = &self.format else {
                    return Err(unable(&self.declared, "WAV data before the fmt chunk"));
                };
                // MPEG frames say more exactly what they are, so that is left to their decoder.
                if !matches!(body, Body::Mpeg(_)) {
                    sink.format(info.clone())?;
                }
                Ok(State::Data(match (size, self.long_size) {
                    (0, _) => None,
                    (u32::MAX, long) => long.filter(|&n| n != 0 && n != u64::MAX),
                    (n, _) => Some(u64::from(n)),
                }))
            }
            b"fmt " | b"ds64" if size as usize > LONGEST_FORMAT_CHUNK => {
                Err(unable(&self.declared, format!("WAV header chunk of {size} bytes")))
            }
            b"fmt " | b"ds64" => Ok(State::Keep(name, size as usize + (size & 1) as usize)),
            _ => Ok(State::Skip(u64::from(size) + u64::from(size & 1))),
        }
    }

    /// Reads the contents of a kept chunk.
    fn kept(&mut self, name: [u8; 4]) -> Result<(), AudioError> {
        if &name == b"ds64" {
            if self.held.len() >= 16 {
                let low = u64::from(self.u32_at(8));
                self.long_size = Some(low | u64::from(self.u32_at(12)) << 32);
            }
            return Ok(());
        }
        if self.held.len() < 16 {
            return Err(unable(&self.declared, "WAV fmt chunk is too short"));
        }
        let channels = self.u16_at(2);
        let sample_rate = self.u32_at(4);
        let block_align = usize::from(self.u16_at(12));
        let bits = self.u16_at(14);
        let mut tag = self.u16_at(0);
        if tag == FORMAT_EXTENSIBLE {
            if self.held.len() < 40 || self.held[26..40] != GUID_TAIL {
                return Err(unable(&self.declared, "WAV with a sub-format that is not known"));
            }
            tag = self.u16_at(24);
        }
        if channels == 0 {
            return Err(unable(&self.declared, "WAV file with 0 channels"));
        }
        if channels > MAX_WAV_CHANNELS {
            return Err(AudioError::TooManyChannels { channels, max: MAX_WAV_CHANNELS });
        }
        if !(1..=MAX_SAMPLE_RATE).contains(&sample_rate) {
            return Err(unable(&self.declared, format!("WAV file of {sample_rate} Hz")));
        }
        let (encoding, body) = self.body(tag, channels, bits, block_align)?;
        let info = SourceInfo { content_type: ContentType::Wav, encoding, sample_rate, channels };
        self.format = Some((info, body));
        Ok(())
    }

    /// The decoder for a format tag.
    fn body(&self, tag: u16, channels: u16, bits: u16, block_align: usize) -> Result<(&'static str, Body), AudioError> {
        let bad = |what: &str| Err(unable(&self.declared, format!("WAV file with {what}")));
        // A sample is stored in as many bytes as the block alignment gives each channel, of which
        // it may use only the upper bits (20 in 24, say).
        let stored = block_align / usize::from(channels);
        let even = block_align.is_multiple_of(usize::from(channels));
        let bytes =
            if even && stored >= usize::from(bits).div_ceil(8) { stored } else { usize::from(bits).div_ceil(8) };
        let format = match (tag, bytes) {
            (FORMAT_PCM, 1) => SampleFormat::U8,
            (FORMAT_PCM, 2) => SampleFormat::S16,
            (FORMAT_PCM, 3) => SampleFormat::S24,
            (FORMAT_PCM, 4) => SampleFormat::S32,
            (FORMAT_FLOAT, 4) => SampleFormat::F32,
            (FORMAT_FLOAT, 8) => SampleFormat::F64,
            (FORMAT_PCM | FORMAT_FLOAT, _) => return bad(&format!("{bits}-bit samples")),
            (FORMAT_ALAW, _) => SampleFormat::Alaw,
            (FORMAT_MULAW, _) => SampleFormat::Mulaw,
            (FORMAT_MS_ADPCM, _) | (FORMAT_IMA_ADPCM, _) => {
                let (kind, name) = match tag {
                    FORMAT_MS_ADPCM => (Adpcm::Microsoft, "adpcm_ms"),
                    _ => (Adpcm::Ima, "adpcm_ima_wav"),
                };
                let channels = usize::from(channels);
                if bits != 4 || channels > 2 || block_align <= kind.header_len(channels) {
                    return bad("an ADPCM layout that does not exist");
                }
                let block = Vec::new();
                return Ok((name, Body::Adpcm { kind, block_align, channels, block }));
            }
            (FORMAT_MPEG | FORMAT_MP3, _) => {
                let declared = self.declared.clone();
                let source = container::source(Container::Mpeg, declared, Some(ContentType::Wav))?;
                return Ok(("mp3", Body::Mpeg(source)));
            }
            _ => return bad(&format!("encoding 0x{tag:04x}, which is not known")),
        };
        let reader = PcmReader::new(format, self.order, channels);
        Ok((format.name(self.order), Body::Pcm(reader)))
    }

    /// Takes header bytes off the front of `bytes` until the sound begins or the bytes end.
    fn header(&mut self, bytes: &mut &[u8], sink: &mut dyn Sink) -> Result<(), AudioError> {
        loop {
            let state = self.state;
            let next = match state {
                State::Riff if self.hold(bytes, 12) => self.riff()?,
                State::ChunkHeader if self.hold(bytes, 8) => self.chunk(sink)?,
                State::Keep(name, size) if self.hold(bytes, size) => {
                    self.kept(name)?;
                    State::ChunkHeader
                }
                State::Skip(left) => {
                    let now = left.min(bytes.len() as u64);
                    *bytes = &bytes[now as usize..];
                    match left - now {
                        0 => State::ChunkHeader,
                        left => {
                            self.state = State::Skip(left);
                            return Ok(());
                        }
                    }
                }
                _ => return Ok(()),
            };
            self.held.clear();
            self.state = next;
        }
    }
}

impl Body {
    fn push(&mut self, mut bytes: &[u8], sink: &mut dyn Sink) -> Result<(), AudioError> {
        match self {
            Body::Pcm(reader) => reader.push(bytes, sink),
            Body::Mpeg(source) => source.push(bytes, sink),
            Body::Adpcm { kind, block_align, channels, block } => {
                while !bytes.is_empty() {
                    let missing = (*block_align - block.len()).min(bytes.len());
                    let (now, later) = bytes.split_at(missing);
                    block.extend_from_slice(now);
                    bytes = later;
                    if block.len() == *block_align {
                        adpcm_block(*kind, block, *channels, sink)?;
                        block.clear();
                    }
                }
                Ok(())
            }
        }
    }
}

fn adpcm_block(kind: Adpcm, block: &[u8], channels: usize, sink: &mut dyn Sink) -> Result<(), AudioError> {
    let mut samples = Vec::new();
    kind.decode(block, channels, &mut samples);
    let samples: Vec<f32> = samples.iter().map(|&s| f32::from(s) / 32_768.0).collect();
    let mut mono = Vec::with_capacity(samples.len() / channels);
    mix_interleaved(&samples, channels, &mut mono);
    sink.samples(&mono)
}

impl Source for WavSource {
    fn push(&mut self, mut bytes: &[u8], sink: &mut dyn Sink) -> Result<(), AudioError> {
        self.header(&mut bytes, sink)?;
        if let (State::Data(left), Some((_, body))) = (&mut self.state, &mut self.format) {
            let now = left.unwrap_or(u64::MAX).min(bytes.len() as u64);
            body.push(&bytes[..now as usize], sink)?;
            if let Some(left) = left {
                *left -= now;
                if *left == 0 {
                    self.state = State::End;
                }
            }
        }
        Ok(())
    }

    fn finish(&mut self, sink: &mut dyn Sink) -> Result<(), AudioError> {
        match (&self.state, &mut self.format) {
            (State::Data(_) | State::End, Some((_, body))) => match body {
                Body::Pcm(_) => Ok(()),
                Body::Mpeg(source) => source.finish(sink),
                Body::Adpcm { kind, channels, block, .. } => adpcm_block(*kind, block, *channels, sink),
            },
            _ => Err(unable(&self.declared, "the WAV file ends before its data chunk")),
        }
    }
}
