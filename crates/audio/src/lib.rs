//! Audio in: bytes of any accepted format become mono `f32` samples at the rate a model wants, as
//! they arrive.
//!
//! * [`ContentType`] says what a client declares and parses it from a header.
//! * [`Decoder`] takes bytes by [`push`](Decoder::push) or [`push_to`](Decoder::push_to) and gives
//!   samples; the first come out long before the last bytes are in.
//! * [`decode_all`] does the same for a whole file.
//!
//! The rules are those of the Watson interface for `POST /v1/recognize`, sections 2 and 4 (REC-L9
//! to L11, REC-F1 to F6). What lies behind: raw samples and WAV are read here, directly; FLAC,
//! Ogg, WebM and MPEG audio by `symphonia` and libopus on a thread; G.729 by an `ffmpeg` program;
//! resampling by `rubato`.
//!
//! Bytes come from strangers: whatever they say, the answer is samples or an [`AudioError`], never
//! a panic, in memory that does not grow with what a header claims.
//!
//! ```no_run
//! use dictum_audio::{ContentType, decode_all};
//!
//! let bytes = std::fs::read("speech.ogg")?;
//! let samples = decode_all(&ContentType::Auto, 16_000, &bytes)?;
//! println!("{:.1} s", samples.len() as f64 / 16_000.0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

mod adpcm;
mod container;
mod content_type;
mod decoder;
mod endian;
mod error;
mod ffmpeg;
mod pcm;
mod resample;
mod sniff;
mod source;
mod wav;
mod worker;

pub use content_type::{
    Codec, ContentType, ContentTypeError, Endianness, MAX_L16_CHANNELS, MAX_SAMPLE_RATE, MAX_WAV_CHANNELS,
};
pub use decoder::{DEFAULT_LIMIT_SECONDS, Decoder, MAX_PIECE, MAX_UPSAMPLING, OnSamples, decode_all};
pub use error::AudioError;
pub use ffmpeg::find_ffmpeg;
pub use source::SourceInfo;
