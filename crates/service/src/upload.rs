//! Moves the body of a request into a session, under the rules for size and time.

use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt};
use tokio::time::{Instant, sleep};

use crate::clock::SessionClock;
use crate::session::AudioInput;

/// How a recording is delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// Its length was told beforehand: it exists already, and only has to be sent.
    OneShot,
    /// In pieces as it comes about: the client must keep up, see [`SessionClock`].
    Streaming,
}

/// What an upload may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UploadLimits {
    /// How it is delivered.
    pub delivery: Delivery,
    /// Most bytes of it (REC-L2).
    pub max_bytes: u64,
}

/// Why an upload was cut off. `E` is the error of the body itself: as a rule the client went away.
#[derive(Debug, thiserror::Error)]
pub enum UploadError<E> {
    /// More bytes than allowed.
    #[error("the audio is larger than {limit} bytes")]
    TooLarge {
        /// The bytes allowed.
        limit: u64,
    },
    /// Too little arrived in time (REC-L4).
    #[error("Session timed out.")]
    TimedOut,
    /// The body could not be read.
    #[error("the request body could not be read: {0}")]
    Body(E),
}

/// Pushes a body into a session to its end, and finishes the session's input. Returns the number of bytes.
///
/// When the session closes by itself, the upload ends early and without error: the session's updates say what happened.
pub async fn upload<S, E>(body: &mut S, mut input: AudioInput, limits: UploadLimits) -> Result<u64, UploadError<E>>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
{
    let mut total = 0_u64;
    let mut clock = SessionClock::new(Instant::now());
    let mut last_arrival = Instant::now();
    let mut look_again = Duration::from_secs(1);
    loop {
        tokio::select! {
            piece = body.next() => {
                let Some(piece) = piece else { break };
                let piece = piece.map_err(UploadError::Body)?;
                total += piece.len() as u64;
                if total > limits.max_bytes {
                    return Err(UploadError::TooLarge { limit: limits.max_bytes });
                }
                if input.push(piece).await.is_err() {
                    return Ok(total);
                }
                last_arrival = Instant::now();
            }
            () = sleep(look_again) => {}
        }
        let now = Instant::now();
        let left = match limits.delivery {
            Delivery::Streaming => clock.observe(now, input.progress()),
            Delivery::OneShot => SessionClock::WINDOW.checked_sub(now - last_arrival).filter(|left| !left.is_zero()),
        };
        look_again = left.ok_or(UploadError::TimedOut)?;
    }
    input.finish();
    Ok(total)
}
