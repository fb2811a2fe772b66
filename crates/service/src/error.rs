//! Why a client was not admitted, and why a session failed.

use std::time::Duration;

use dictum_audio::AudioError;

/// Every permit is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the server is recognising for {max_sessions} clients, as many as it may; try again in {} s", retry_after.as_secs())]
pub struct Busy {
    /// How many permits there are.
    pub max_sessions: usize,
    /// When to try again.
    pub retry_after: Duration,
}

/// Why a session ended without its last result.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The bytes could not be decoded.
    #[error(transparent)]
    Audio(#[from] AudioError),
    /// The recording is too short to be one (REC-L1).
    #[error("Stream was {bytes} bytes but needs to be at least {minimum} bytes.")]
    TooShort {
        /// Bytes received.
        bytes: u64,
        /// Bytes needed.
        minimum: u64,
    },
    /// The sampling rate is below what the model hears (REC-L10).
    #[error("audio sampled at {rate} Hz is below the {needed} Hz that the model needs")]
    RateTooLow {
        /// Rate of the audio, Hz.
        rate: u32,
        /// Least rate of the model, Hz.
        needed: u32,
    },
    /// Nothing was said for longer than the inactivity timeout (REC-L5).
    #[error("No speech detected for {seconds}s")]
    NoSpeech {
        /// The timeout, seconds.
        seconds: f64,
    },
    /// A defect: the recogniser panicked. The log has the message.
    #[error("the recogniser failed on this audio")]
    Defect,
}
