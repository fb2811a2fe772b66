//! What can go wrong between bytes and samples.

use thiserror::Error;

/// Why audio could not be decoded. Everything here is the fault of the input, except
/// [`AudioError::NeedsFfmpeg`] and [`AudioError::Resources`], which are about this machine, and
/// [`AudioError::Stopped`], which the caller asked for.
///
/// `Display` of the variants that the Watson interface documents prints exactly its text.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AudioError {
    /// The data are not what they were declared to be, or nothing that can be decoded (REC-F3).
    #[error("Unable to transcode data stream {from} -> {to}")]
    UnableToTranscode {
        /// The type as declared, in canonical form.
        from: String,
        /// What it should have become: always `audio/l16`.
        to: String,
        /// What exactly was wrong, for logs and for people at a terminal.
        reason: String,
    },
    /// `audio/l16` without `endianness`, and too little in it to tell (section 4, `audio/l16`).
    #[error(
        "could not detect endianness after looking at the tail 0 non-zero byte string in a data \
         stream of {bytes} bytes. Is the bytestream really PCM data?"
    )]
    Endianness {
        /// Length of the stream.
        bytes: usize,
    },
    /// The audio has a lower sampling rate than the model wants (REC-L10).
    #[error(
        "This {rate}hz audio input requires a narrow band model. See /v1/models for a list of \
         available models."
    )]
    RateTooLow {
        /// Sampling rate of the audio in Hz.
        rate: u32,
    },
    /// More channels than the format may have.
    #[error("audio has {channels} channels, at most {max} are accepted: send fewer")]
    TooManyChannels {
        /// Channels in the audio.
        channels: u16,
        /// Channels accepted.
        max: u16,
    },
    /// `audio/g729` is decoded by ffmpeg, and none was found.
    #[error(
        "audio/g729 is decoded by the ffmpeg program, which was not found: install ffmpeg on the \
         server, or send another format"
    )]
    NeedsFfmpeg,
    /// The audio is longer than the caller allows.
    #[error("audio is longer than the {seconds} seconds that are accepted")]
    TooLong {
        /// Limit in seconds.
        seconds: u64,
    },
    /// The operating system refused a thread or a process.
    #[error("cannot start an audio decoder: {0}")]
    Resources(String),
    /// The receiver of the samples asked to stop.
    #[error("decoding was stopped")]
    Stopped,
}

impl AudioError {
    /// For logs: the exact cause where the wire text hides it.
    pub fn reason(&self) -> Option<&str> {
        match self {
            AudioError::UnableToTranscode { reason, .. } => Some(reason),
            _ => None,
        }
    }
}
