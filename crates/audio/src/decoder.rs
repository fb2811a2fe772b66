//! The decoder that callers use: finds out what the stream is, decodes, resamples, keeps limits.

use std::path::PathBuf;

use crate::container::{self, Container};
use crate::content_type::{ContentType, Endianness};
use crate::endian::DetectingSource;
use crate::error::AudioError;
use crate::ffmpeg;
use crate::pcm::{RawSource, SampleFormat, tame};
use crate::resample::Resampler;
use crate::sniff::{Kind, Sniffed, sniff};
use crate::source::{Sink, Source, SourceInfo, unable};
use crate::wav::WavSource;

/// Limit on the length of the audio in seconds unless [`Decoder::limit_seconds`] says otherwise:
/// two days, more than 1 GB of Opus at 48 kbit/s.
pub const DEFAULT_LIMIT_SECONDS: u64 = 48 * 3600;

/// Largest ratio of wanted to given rate with [`Decoder::allow_upsampling`]. Below it there is no speech left in
/// the audio, and a header that says 1 Hz would turn a byte into thousands of samples.
pub const MAX_UPSAMPLING: u32 = 4;

/// Most samples in one piece that [`Decoder::push_to`] hands on.
pub const MAX_PIECE: usize = 16 * 1024;

/// Bytes up to which every new one is worth another look when the kind is not clear yet.
const LOOK_CLOSELY: usize = 4096;

/// Receives decoded samples: mono, ±1.0, at the wanted rate.
pub type OnSamples<'a> = dyn FnMut(&[f32]) -> std::ops::ControlFlow<()> + 'a;

/// Decodes one stream of audio as its bytes arrive.
///
/// Output: mono `f32` samples, ±1.0, at the wanted rate (Hz); channels are averaged (REC-L9). The
/// bytes may be cut anywhere: the samples are the same. After an error every further call gives
/// the same error.
///
/// [`push`](Decoder::push) and [`finish`](Decoder::finish) collect the samples. A hostile 64 KiB
/// of FLAC can hold hours of silence, so those who decode for strangers use
/// [`push_to`](Decoder::push_to) and [`finish_to`](Decoder::finish_to), whose memory is bounded
/// (about 1 MiB) whatever is pushed, and which can be stopped between two pieces.
///
/// FLAC, Ogg, WebM, MPEG and G.729 are decoded on a thread of their own, which exists from the
/// first bytes until the decoder is dropped and is idle between calls.
///
/// ```
/// use dictum_audio::{ContentType, Decoder};
///
/// let ty = ContentType::parse(Some("audio/l16;rate=8000;endianness=little-endian"))?;
/// let mut decoder = Decoder::new(&ty, 8000);
/// let mut samples = decoder.push(&[0, 0x40, 0])?;
/// samples.extend(decoder.push(&[0xc0])?);
/// samples.extend(decoder.finish()?);
/// assert_eq!(samples, [0.5, -0.5]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Decoder {
    declared: ContentType,
    stage: Stage,
    out: Stream,
    ffmpeg: Option<PathBuf>,
}

enum Stage {
    /// Finding out the kind of stream.
    Sniffing {
        held: Vec<u8>,
        to_drop: u64,
        look_again: usize,
    },
    Decoding(Box<dyn Source>),
    Failed(AudioError),
}

/// What happens to decoded samples: resampling and limits.
struct Stream {
    wanted: u32,
    /// Says what is wanted once the rate of the audio is known; taken when it has.
    choose: Option<Box<dyn FnOnce(u32) -> u32 + Send>>,
    upsample: bool,
    limit_seconds: u64,
    info: Option<SourceInfo>,
    resampler: Option<Resampler>,
    /// Samples decoded at the rate of `info`, and seconds before that.
    at_rate: u64,
    seconds_before: f64,
}

impl Decoder {
    /// A decoder for audio declared as `ty`, giving samples at `wanted_rate` Hz (1 and up).
    pub fn new(ty: &ContentType, wanted_rate: u32) -> Decoder {
        Decoder {
            declared: ty.clone(),
            stage: Stage::Sniffing { held: Vec::new(), to_drop: 0, look_again: 0 },
            out: Stream {
                wanted: wanted_rate.max(1),
                choose: None,
                upsample: false,
                limit_seconds: DEFAULT_LIMIT_SECONDS,
                info: None,
                resampler: None,
                at_rate: 0,
                seconds_before: 0.0,
            },
            ffmpeg: ffmpeg::find_ffmpeg(),
        }
    }

    /// A decoder whose wanted rate depends on that of the audio: `choose` is given the sampling rate of the audio in Hz,
    /// once, when it is known (and before the first sample comes out), and returns the wanted one.
    pub fn adaptive(ty: &ContentType, choose: impl FnOnce(u32) -> u32 + Send + 'static) -> Decoder {
        let mut decoder = Decoder::new(ty, 1);
        decoder.out.choose = Some(Box::new(choose));
        decoder
    }

    /// Whether audio of a lower rate than wanted is resampled too, instead of being refused with
    /// [`AudioError::RateTooLow`] (REC-L10), up to [`MAX_UPSAMPLING`] times. Off unless set.
    #[must_use]
    pub fn allow_upsampling(mut self, allow: bool) -> Decoder {
        self.out.upsample = allow;
        self
    }

    /// Refuses audio beyond this length, in seconds, with [`AudioError::TooLong`].
    #[must_use]
    pub fn limit_seconds(mut self, seconds: u64) -> Decoder {
        self.out.limit_seconds = seconds;
        self
    }

    /// The program that decodes `audio/g729`, instead of the `ffmpeg` found on the search path;
    /// `None`: there is none.
    #[must_use]
    pub fn ffmpeg(mut self, program: Option<PathBuf>) -> Decoder {
        self.ffmpeg = program;
        self
    }

    /// What the audio is, once its header has been read.
    pub fn source(&self) -> Option<SourceInfo> {
        self.out.info.clone()
    }

    /// Length of the audio decoded so far in seconds of its own time.
    pub fn seconds(&self) -> f64 {
        self.out.seconds()
    }

    /// Decodes the next bytes and returns the samples they complete.
    ///
    /// # Errors
    /// See [`AudioError`]. Samples of the same call that came before the error are lost;
    /// [`push_to`](Decoder::push_to) hands them on.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<f32>, AudioError> {
        let mut all = Vec::new();
        self.push_to(bytes, &mut collect(&mut all))?;
        Ok(all)
    }

    /// Decodes what is left after the last bytes.
    ///
    /// # Errors
    /// See [`AudioError`].
    pub fn finish(self) -> Result<Vec<f32>, AudioError> {
        let mut all = Vec::new();
        self.finish_to(&mut collect(&mut all))?;
        Ok(all)
    }

    /// Decodes the next bytes and hands on the samples they complete, in pieces of at most
    /// [`MAX_PIECE`], not empty. A `Break` from `on_samples` ends with [`AudioError::Stopped`].
    ///
    /// # Errors
    /// See [`AudioError`].
    pub fn push_to(&mut self, bytes: &[u8], on_samples: &mut OnSamples) -> Result<(), AudioError> {
        if bytes.is_empty() {
            return self.failure();
        }
        let result = self.try_push(bytes, on_samples);
        self.remember(result)
    }

    /// Decodes what is left after the last bytes, like [`push_to`](Decoder::push_to).
    ///
    /// # Errors
    /// See [`AudioError`].
    pub fn finish_to(mut self, on_samples: &mut OnSamples) -> Result<(), AudioError> {
        if let Stage::Sniffing { .. } = self.stage {
            self.sniff(&[], true, on_samples)?;
        }
        match &mut self.stage {
            Stage::Decoding(source) => {
                source.finish(&mut Outlet { stream: &mut self.out, on_samples })?;
                Outlet { stream: &mut self.out, on_samples }.flush()
            }
            Stage::Failed(error) => Err(error.clone()),
            Stage::Sniffing { .. } => Err(unable(&self.declared, "no data")),
        }
    }

    fn failure(&self) -> Result<(), AudioError> {
        match &self.stage {
            Stage::Failed(error) => Err(error.clone()),
            _ => Ok(()),
        }
    }

    fn remember(&mut self, result: Result<(), AudioError>) -> Result<(), AudioError> {
        if let Err(error) = &result {
            // Replacing the stage drops the source, and with it its thread.
            self.stage = Stage::Failed(error.clone());
        }
        result
    }

    fn try_push(&mut self, bytes: &[u8], on_samples: &mut OnSamples) -> Result<(), AudioError> {
        match &mut self.stage {
            Stage::Decoding(source) => source.push(bytes, &mut Outlet { stream: &mut self.out, on_samples }),
            Stage::Failed(error) => Err(error.clone()),
            Stage::Sniffing { .. } => self.sniff(bytes, false, on_samples),
        }
    }

    /// Adds bytes to those looked at; starts decoding when it is clear what they are.
    fn sniff(&mut self, mut bytes: &[u8], end: bool, on_samples: &mut OnSamples) -> Result<(), AudioError> {
        if let Some(source) = self.raw_source()? {
            return self.begin(source, bytes, on_samples);
        }
        let Stage::Sniffing { held, to_drop, look_again } = &mut self.stage else { return Ok(()) };
        let mpeg = matches!(self.declared, ContentType::Mp3 | ContentType::Mpeg);
        loop {
            let dropped = (*to_drop).min(bytes.len() as u64);
            *to_drop -= dropped;
            bytes = &bytes[dropped as usize..];
            held.extend_from_slice(bytes);
            bytes = &[];
            if *to_drop > 0 || held.len() < *look_again && !end {
                return Ok(());
            }
            match sniff(held, mpeg, end) {
                Sniffed::Found(kind, skip) => {
                    let held = std::mem::take(held);
                    let source = self.source_for(kind)?;
                    return self.begin(source, &held[skip..], on_samples);
                }
                Sniffed::More => {
                    // Looking anew at every byte of a long search would be quadratic.
                    let step = if held.len() < LOOK_CLOSELY { 1 } else { LOOK_CLOSELY };
                    *look_again = held.len() + step;
                    return Ok(());
                }
                Sniffed::Drop(count) => {
                    let now = count.min(held.len() as u64);
                    held.drain(..now as usize);
                    *to_drop = count - now;
                    *look_again = 0;
                }
                Sniffed::Unknown(reason) => return Err(unable(&self.declared, reason)),
            }
        }
    }

    fn begin(
        &mut self,
        mut source: Box<dyn Source>,
        bytes: &[u8],
        on_samples: &mut OnSamples,
    ) -> Result<(), AudioError> {
        let result = if bytes.is_empty() {
            Ok(())
        } else {
            source.push(bytes, &mut Outlet { stream: &mut self.out, on_samples })
        };
        self.stage = Stage::Decoding(source);
        result
    }

    /// The source of a type that cannot be told by its content, and need not.
    fn raw_source(&self) -> Result<Option<Box<dyn Source>>, AudioError> {
        let companded = |format, rate| {
            let ty = self.declared.clone();
            Box::new(RawSource::new(ty, format, Endianness::Little, rate, 1))
        };
        Ok(Some(match self.declared {
            ContentType::Alaw { rate } => companded(SampleFormat::Alaw, rate),
            ContentType::Mulaw { rate } => companded(SampleFormat::Mulaw, rate),
            ContentType::Basic => companded(SampleFormat::Mulaw, 8000),
            ContentType::L16 { rate, channels, endianness: Some(order) } => {
                let ty = self.declared.clone();
                Box::new(RawSource::new(ty, SampleFormat::S16, order, rate, channels))
            }
            ContentType::L16 { rate, channels, endianness: None } => Box::new(DetectingSource::new(rate, channels)),
            ContentType::G729 => {
                return match &self.ffmpeg {
                    Some(program) => ffmpeg::source(program.clone()).map(Some),
                    None => Err(AudioError::NeedsFfmpeg),
                };
            }
            _ => return Ok(None),
        }))
    }

    /// The source for what the content turned out to be, which must be what was declared.
    fn source_for(&self, kind: Kind) -> Result<Box<dyn Source>, AudioError> {
        let container = match (kind, &self.declared) {
            (Kind::Wav, ContentType::Wav | ContentType::Auto) => {
                return Ok(Box::new(WavSource::new(self.declared.clone())));
            }
            (Kind::Flac, ContentType::Flac | ContentType::Auto) => Container::Flac,
            (Kind::Ogg, ContentType::Ogg { .. } | ContentType::Auto) => Container::Ogg,
            (Kind::Webm, ContentType::Webm { .. } | ContentType::Auto) => Container::Webm,
            (Kind::Mpeg, ContentType::Mp3 | ContentType::Mpeg | ContentType::Auto) => Container::Mpeg,
            _ => {
                let is = format!("{kind:?}").to_ascii_lowercase();
                return Err(unable(&self.declared, format!("the content is {is}")));
            }
        };
        container::source(container, self.declared.clone(), None)
    }
}

impl Stream {
    fn seconds(&self) -> f64 {
        let rate = self.info.as_ref().map_or(1, |i| i.sample_rate);
        self.seconds_before + self.at_rate as f64 / f64::from(rate)
    }
}

/// A [`Stream`] with the receiver of this call.
struct Outlet<'a, 'b> {
    stream: &'a mut Stream,
    on_samples: &'a mut OnSamples<'b>,
}

/// Gives samples to the receiver in pieces of bounded size. Resampling overshoots at clipped
/// peaks, so they are clipped again.
fn hand_on(samples: &[f32], on_samples: &mut OnSamples) -> Result<(), AudioError> {
    let mut clipped = [0.0; 1024];
    for piece in samples.chunks(MAX_PIECE) {
        let flow = if piece.len() <= clipped.len() {
            let clipped = &mut clipped[..piece.len()];
            clipped.iter_mut().zip(piece).for_each(|(c, &s)| *c = tame(s));
            on_samples(clipped)
        } else {
            let clipped: Vec<f32> = piece.iter().map(|&s| tame(s)).collect();
            on_samples(&clipped)
        };
        if flow.is_break() {
            return Err(AudioError::Stopped);
        }
    }
    Ok(())
}

impl Outlet<'_, '_> {
    /// Hands on what the resampler holds back.
    fn flush(&mut self) -> Result<(), AudioError> {
        let on_samples = &mut *self.on_samples;
        match &mut self.stream.resampler {
            Some(resampler) => resampler.finish(&mut |s: &[f32]| hand_on(s, on_samples)),
            None => Ok(()),
        }
    }
}

impl Sink for Outlet<'_, '_> {
    fn format(&mut self, info: SourceInfo) -> Result<(), AudioError> {
        let rate = info.sample_rate;
        if let Some(choose) = self.stream.choose.take() {
            self.stream.wanted = choose(rate).max(1);
        }
        let most = if self.stream.upsample { rate.saturating_mul(MAX_UPSAMPLING) } else { rate };
        if most < self.stream.wanted {
            self.stream.info = Some(info);
            return Err(AudioError::RateTooLow { rate });
        }
        let before = self.stream.info.as_ref().map(|i| i.sample_rate);
        if before != Some(rate) {
            self.flush()?;
            self.stream.seconds_before = self.stream.seconds();
            self.stream.at_rate = 0;
            let resampler = Resampler::new(rate, self.stream.wanted);
            self.stream.resampler = Some(resampler.map_err(AudioError::Resources)?);
        }
        self.stream.info = Some(info);
        Ok(())
    }

    fn samples(&mut self, mono: &[f32]) -> Result<(), AudioError> {
        self.stream.at_rate += mono.len() as u64;
        let seconds = self.stream.limit_seconds;
        if self.stream.seconds() > seconds as f64 {
            return Err(AudioError::TooLong { seconds });
        }
        let on_samples = &mut *self.on_samples;
        match &mut self.stream.resampler {
            Some(resampler) => resampler.push(mono, &mut |s: &[f32]| hand_on(s, on_samples)),
            None => Ok(()),
        }
    }
}

fn collect(all: &mut Vec<f32>) -> impl FnMut(&[f32]) -> std::ops::ControlFlow<()> {
    |samples| {
        all.extend_from_slice(samples);
        std::ops::ControlFlow::Continue(())
    }
}

/// Decodes a whole file: the samples that a [`Decoder`] gives for `bytes`, in one vector.
///
/// # Errors
/// See [`AudioError`].
pub fn decode_all(ty: &ContentType, wanted_rate: u32, bytes: &[u8]) -> Result<Vec<f32>, AudioError> {
    let mut all = Vec::new();
    let mut decoder = Decoder::new(ty, wanted_rate);
    decoder.push_to(bytes, &mut collect(&mut all))?;
    decoder.finish_to(&mut collect(&mut all))?;
    Ok(all)
}
