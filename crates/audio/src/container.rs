//! FLAC, Ogg, WebM and MPEG audio, by `symphonia` (Opus by libopus).

use std::sync::OnceLock;

use symphonia::core::codecs::CodecParameters;
use symphonia::core::codecs::audio::well_known::{
    CODEC_ID_FLAC, CODEC_ID_MP1, CODEC_ID_MP2, CODEC_ID_MP3, CODEC_ID_OPUS, CODEC_ID_VORBIS,
};
use symphonia::core::codecs::audio::{AudioCodecId, AudioCodecParameters, AudioDecoder, AudioDecoderOptions};
use symphonia::core::codecs::registry::CodecRegistry;
use symphonia::core::errors::Error;
use symphonia::core::formats::{FormatOptions, FormatReader, Track, TrackType};
use symphonia::core::io::{MediaSourceStream, MediaSourceStreamOptions, ReadOnlySource};
use symphonia::default::codecs::{FlacDecoder, MpaDecoder, VorbisDecoder};
use symphonia::default::formats::{FlacReader, MkvReader, MpaReader, OggReader};
use symphonia_adapter_libopus::OpusDecoder;

use crate::content_type::{Codec, ContentType, MAX_SAMPLE_RATE};
use crate::error::AudioError;
use crate::pcm::mix_interleaved;
use crate::source::{Source, SourceInfo};
use crate::worker::{Failure, Input, Output, Worker};

/// The containers that are read here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Container {
    Flac,
    Ogg,
    Webm,
    Mpeg,
}

/// A decoder for a container. `outside`: the type of the file around it, which is then the one to
/// be told.
pub(crate) fn source(
    container: Container,
    declared: ContentType,
    outside: Option<ContentType>,
) -> Result<Box<dyn Source>, AudioError> {
    let wanted = match declared {
        ContentType::Ogg { codec } | ContentType::Webm { codec } => codec,
        _ => None,
    };
    let decode = move |input: Input, output: &Output| {
        Decoding { container, wanted, outside, told: None, decoded: 0, refused: None }.run(input, output)
    };
    Ok(Box::new(Worker::start(declared, decode)?))
}

fn codecs() -> &'static CodecRegistry {
    static CODECS: OnceLock<CodecRegistry> = OnceLock::new();
    CODECS.get_or_init(|| {
        let mut codecs = CodecRegistry::new();
        codecs.register_audio_decoder::<FlacDecoder>();
        codecs.register_audio_decoder::<MpaDecoder>();
        codecs.register_audio_decoder::<VorbisDecoder>();
        codecs.register_audio_decoder::<OpusDecoder>();
        codecs
    })
}

/// The track that is decoded.
struct Playing {
    id: u32,
    encoding: &'static str,
    codec: Option<Codec>,
    decoder: Box<dyn AudioDecoder>,
    /// Frames still to drop at the start: Opus pre-skip.
    skip: usize,
}

struct Decoding {
    container: Container,
    wanted: Option<Codec>,
    outside: Option<ContentType>,
    told: Option<SourceInfo>,
    /// Packets decoded.
    decoded: u64,
    /// What the codec said about the first packet it refused.
    refused: Option<String>,
}

fn data(reason: impl ToString) -> Failure {
    Failure::Data(reason.to_string())
}

/// What an error while reading means.
fn reading(error: Error) -> Failure {
    match error {
        Error::IoError(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => data("the data end too early"),
        e => data(e),
    }
}

impl Decoding {
    fn run(&mut self, input: Input, output: &Output) -> Result<(), Failure> {
        let stream = MediaSourceStream::new(Box::new(ReadOnlySource::new(input)), MediaSourceStreamOptions::default());
        let options = FormatOptions::default();
        let mut reader: Box<dyn FormatReader> = match self.container {
            Container::Flac => Box::new(FlacReader::try_new(stream, options).map_err(reading)?),
            Container::Ogg => Box::new(OggReader::try_new(stream, options).map_err(reading)?),
            Container::Webm => Box::new(MkvReader::try_new(stream, options).map_err(reading)?),
            Container::Mpeg => Box::new(MpaReader::try_new(stream, options).map_err(reading)?),
        };
        let mut playing = self.choose(reader.tracks())?;
        loop {
            match reader.next_packet() {
                Ok(Some(packet)) if packet.track_id == playing.id => {
                    self.packet(&mut playing, &packet, output)?;
                }
                Ok(Some(_)) => {}
                Ok(None) => break,
                // The stream was cut: what came before is decoded.
                Err(Error::IoError(e)) if e.kind() == std::io::ErrorKind::UnexpectedEof => break,
                // A chained Ogg stream begins.
                Err(Error::ResetRequired) => playing = self.choose(reader.tracks())?,
                Err(e) => return Err(reading(e)),
            }
        }
        match self.refused.take() {
            Some(reason) if self.decoded == 0 => Err(data(reason)),
            _ => Ok(()),
        }
    }

    /// Finds the sound, and makes a decoder for it. Video is refused (REC-L11).
    fn choose(&self, tracks: &[Track]) -> Result<Playing, Failure> {
        if tracks.iter().any(|t| t.track_type() == Some(TrackType::Video)) {
            return Err(data("video is not accepted"));
        }
        let (track, parameters) = tracks
            .iter()
            .find_map(|track| match &track.codec_params {
                Some(CodecParameters::Audio(parameters)) => Some((track, parameters)),
                _ => None,
            })
            .ok_or_else(|| data("no sound in the container"))?;
        let (encoding, codec) = encoding(parameters.codec);
        if self.wanted.is_some() && codec != self.wanted {
            return Err(data(format!("the codec is {encoding}, not the declared one")));
        }
        let mut parameters = parameters.clone();
        let skip = if parameters.codec == CODEC_ID_OPUS { opus(&mut parameters) } else { 0 };
        let decoder = codecs().make_audio_decoder(&parameters, &AudioDecoderOptions::default()).map_err(data)?;
        Ok(Playing { id: track.id, encoding, codec, decoder, skip })
    }

    fn packet(
        &mut self,
        playing: &mut Playing,
        packet: &symphonia::core::packet::Packet,
        output: &Output,
    ) -> Result<(), Failure> {
        let buffer = match playing.decoder.decode(packet) {
            Ok(buffer) => buffer,
            // One bad packet is a gap, as when listening.
            Err(e) => {
                self.refused.get_or_insert_with(|| e.to_string());
                return Ok(());
            }
        };
        self.decoded += 1;
        let (rate, channels) = (buffer.spec().rate(), buffer.spec().channels().count());
        if !(1..=MAX_SAMPLE_RATE).contains(&rate) || channels == 0 {
            return Err(data(format!("sound of {rate} Hz with {channels} channels")));
        }
        let mut samples: Vec<f32> = Vec::new();
        buffer.copy_to_vec_interleaved(&mut samples);
        let dropped = playing.skip.min(samples.len() / channels);
        playing.skip -= dropped;
        let mut mono = Vec::with_capacity(samples.len() / channels);
        mix_interleaved(&samples[dropped * channels..], channels, &mut mono);
        self.tell(playing, rate, channels, output)?;
        if mono.is_empty() { Ok(()) } else { output.samples(mono) }
    }

    /// Announces the format when it is new.
    fn tell(&mut self, playing: &Playing, sample_rate: u32, channels: usize, output: &Output) -> Result<(), Failure> {
        let codec = playing.codec;
        let info = SourceInfo {
            content_type: match (&self.outside, self.container) {
                (Some(outside), _) => outside.clone(),
                (None, Container::Flac) => ContentType::Flac,
                (None, Container::Ogg) => ContentType::Ogg { codec },
                (None, Container::Webm) => ContentType::Webm { codec },
                (None, Container::Mpeg) => ContentType::Mpeg,
            },
            encoding: playing.encoding,
            sample_rate,
            channels: u16::try_from(channels).unwrap_or(u16::MAX),
        };
        if self.told.as_ref() != Some(&info) {
            output.format(info.clone())?;
            self.told = Some(info);
        }
        Ok(())
    }
}

fn encoding(id: AudioCodecId) -> (&'static str, Option<Codec>) {
    match id {
        CODEC_ID_OPUS => ("opus", Some(Codec::Opus)),
        CODEC_ID_VORBIS => ("vorbis", Some(Codec::Vorbis)),
        CODEC_ID_FLAC => ("flac", None),
        CODEC_ID_MP3 => ("mp3", None),
        CODEC_ID_MP2 => ("mp2", None),
        CODEC_ID_MP1 => ("mp1", None),
        _ => ("another one", None),
    }
}

/// The pre-skip of an Opus stream (frames at 48 kHz, RFC 7845 section 5.1), taken out of the
/// parameters: the adapter would drop it from the first packet only, and it may be longer. Opus
/// decodes at 48 kHz whatever rate a WebM track names.
fn opus(parameters: &mut AudioCodecParameters) -> usize {
    parameters.with_sample_rate(48_000);
    match parameters.extra_data.take().as_deref() {
        Some(head) if head.starts_with(b"OpusHead") && head.len() >= 12 => {
            usize::from(u16::from_le_bytes([head[10], head[11]]))
        }
        _ => 0,
    }
}
