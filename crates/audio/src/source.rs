//! The two ends between which every decoder works.

use crate::content_type::ContentType;
use crate::error::AudioError;

/// What is known about the audio once its header has been read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceInfo {
    /// What the audio turned out to be, in the terms of a content type.
    pub content_type: ContentType,
    /// Name of the encoding inside, such as `pcm_s16le`, `opus`, `mp3`.
    pub encoding: &'static str,
    /// Sampling rate of the audio in Hz, before resampling. Opus is always 48 000.
    pub sample_rate: u32,
    /// Channels of the audio, before they were mixed down.
    pub channels: u16,
}

/// Receives what a [`Source`] decodes: first the format, then mono samples at the format's rate;
/// a further format when the stream changes (chained Ogg).
pub(crate) trait Sink {
    /// A new format holds from here on.
    fn format(&mut self, info: SourceInfo) -> Result<(), AudioError>;
    /// The next samples, mono, ±1.0.
    fn samples(&mut self, mono: &[f32]) -> Result<(), AudioError>;
}

/// Decodes one kind of stream, fed piece by piece.
pub(crate) trait Source: Send {
    /// Takes the next bytes, and hands on all samples they complete.
    fn push(&mut self, bytes: &[u8], sink: &mut dyn Sink) -> Result<(), AudioError>;
    /// There are no more bytes: hands on what is left.
    fn finish(&mut self, sink: &mut dyn Sink) -> Result<(), AudioError>;
}

/// The error REC-F3 for a stream declared as `from`.
pub(crate) fn unable(from: &ContentType, reason: impl Into<String>) -> AudioError {
    AudioError::UnableToTranscode { from: from.to_string(), to: "audio/l16".to_owned(), reason: reason.into() }
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    /// A sink that keeps everything.
    #[derive(Default)]
    pub(crate) struct Kept {
        pub(crate) formats: Vec<SourceInfo>,
        pub(crate) samples: Vec<f32>,
    }

    impl Sink for Kept {
        fn format(&mut self, info: SourceInfo) -> Result<(), AudioError> {
            self.formats.push(info);
            Ok(())
        }
        fn samples(&mut self, mono: &[f32]) -> Result<(), AudioError> {
            self.samples.extend_from_slice(mono);
            Ok(())
        }
    }
}
