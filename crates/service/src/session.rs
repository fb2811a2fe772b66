//! One recording being recognised: the way in, the way out, and the job between them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use dictum_audio::ContentType;
use dictum_models::ModelEntry;
use dictum_models::recogniser::{Event, Options, Recogniser};
use parking_lot::Mutex;
use tokio::sync::{Notify, OwnedSemaphorePermit};
use tokio::time::Instant;

use crate::clock::Progress;
use crate::decoding::{Decoding, Input, Position, Step};
use crate::error::SessionError;
use crate::metrics::Measurements;
use crate::pool::{Job, PoolHandle, Turn, Work};
use crate::telemetry::Telemetry;

/// Fewest bytes a recording has (REC-L1).
pub const MINIMUM_BYTES: u64 = 100;

/// Updates that may wait for the client before the session stops decoding.
const WAITING_UPDATES: usize = 64;

/// What a client asks for.
pub struct SessionRequest {
    /// The model, as the registry resolved it; it chooses the band once the sampling rate is known.
    pub model: ModelEntry,
    /// Its recogniser.
    pub recogniser: Arc<Recogniser>,
    /// What the bytes are declared to be.
    pub content_type: ContentType,
    /// What to recognise and report.
    pub options: Options,
    /// Seconds of audio without speech after which the session fails (REC-L5); `None`: never.
    pub inactivity_timeout: Option<f64>,
    /// Whether to measure the signal.
    pub audio_metrics: bool,
    /// Whether nobody waits for it, so that it can give way to all others for some seconds at a time.
    pub background: bool,
}

impl SessionRequest {
    /// A request without inactivity timeout or audio metrics, of somebody who waits.
    pub fn new(model: ModelEntry, recogniser: Arc<Recogniser>, content_type: ContentType, options: Options) -> Self {
        SessionRequest {
            model,
            recogniser,
            content_type,
            options,
            inactivity_timeout: None,
            audio_metrics: false,
            background: false,
        }
    }
}

/// What a session has to tell.
#[derive(Debug, Clone, PartialEq)]
pub enum Update {
    /// Something was recognised. Times are seconds from the start of the recording.
    Event(Event),
    /// The recording has been recognised to its end; nothing follows.
    Finished(Box<Summary>),
}

/// What a session was.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// Bytes received.
    pub bytes: u64,
    /// Audio decoded, seconds.
    pub audio_seconds: f64,
    /// Of it judged to be speech, seconds.
    pub speech_seconds: f64,
    /// Time a decoding thread was busy with it, seconds.
    pub decode_seconds: f64,
    /// What was measured of the signal, if asked for.
    pub measurements: Option<Measurements>,
}

/// What client and decoding thread share.
#[derive(Default)]
struct Pipe {
    inbox: VecDeque<Bytes>,
    inbox_bytes: usize,
    /// No more bytes will come, since then.
    complete: Option<Instant>,
    /// The client went away.
    abandoned: bool,
    outbox: VecDeque<Result<Update, SessionError>>,
    /// The decoding thread is done; `outbox` has its last word.
    closed: bool,
    position: Position,
    /// Since when there has been work in hand without a break.
    behind_since: Option<Instant>,
}

impl Pipe {
    /// At most `most` bytes.
    fn next_input(&mut self, most: usize) -> Input {
        let Some(front) = self.inbox.front_mut() else {
            return if self.complete.is_some() { Input::End } else { Input::Nothing };
        };
        let bytes = if front.len() > most { front.split_to(most) } else { self.inbox.pop_front().unwrap_or_default() };
        self.inbox_bytes -= bytes.len();
        Input::Bytes(bytes)
    }

    fn progress(&self) -> Progress {
        let Position { bytes, decoded, heard, recognised } = self.position;
        let seconds_per_byte = if bytes == 0 { 0.0 } else { decoded / bytes as f64 };
        Progress {
            received_seconds: decoded + self.inbox_bytes as f64 * seconds_per_byte,
            audio_seconds: decoded,
            heard_seconds: heard,
            recognised_seconds: recognised,
            behind: self.behind_since.map_or(Duration::ZERO, |since| since.elapsed()),
        }
    }

    fn close(&mut self, last: Option<SessionError>) {
        self.inbox.clear();
        self.inbox_bytes = 0;
        self.behind_since = None;
        self.closed = true;
        self.outbox.extend(last.map(Err));
    }
}

/// The job of a session.
pub(crate) struct Task {
    pipe: Mutex<Pipe>,
    /// Room in the inbox, or the session closed.
    room: Notify,
    /// Something in the outbox, or the session closed.
    news: Notify,
    /// Only the decoding thread whose turn it is looks in here. Empty once closed, so that a session that has ended holds
    /// neither its recogniser nor its permit while the client reads the rest of the updates.
    decoding: Mutex<Option<(Decoding, Arc<OwnedSemaphorePermit>)>>,
    telemetry: Arc<Telemetry>,
    /// Milliseconds for which the next turn may be put off.
    patience: AtomicU64,
}

impl Task {
    fn close(&self, last: Option<SessionError>) {
        self.pipe.lock().close(last);
        self.room.notify_one();
        self.news.notify_one();
    }
}

impl Work for Task {
    fn turn(&self) -> Turn {
        let mut held = self.decoding.lock();
        let Some((decoding, _)) = held.as_mut() else { return Turn::Wait };
        let (abandoned, unread) = {
            let pipe = self.pipe.lock();
            (pipe.abandoned, pipe.outbox.len())
        };
        if abandoned {
            *held = None;
            self.close(None);
            return Turn::Wait;
        }
        if unread >= WAITING_UPDATES {
            return Turn::Wait; // reading an update wakes the job
        }
        let decoded = decoding.audio_seconds();
        let mut updates = Vec::new();
        let step = decoding.step(|most| self.pipe.lock().next_input(most), &mut updates);
        self.room.notify_one();
        self.patience.store(decoding.patience().as_millis() as u64, Ordering::Relaxed);
        self.telemetry.decoded(decoding.audio_seconds() - decoded);
        let mut pipe = self.pipe.lock();
        if let Ok(Step::Finished) = step {
            self.telemetry.finished(&updates, pipe.complete.map(|at| at.elapsed()));
        }
        if !updates.is_empty() {
            pipe.outbox.extend(updates.into_iter().map(Ok));
            self.news.notify_one();
        }
        pipe.position = decoding.position();
        let last = match step {
            Ok(Step::Busy) => return Turn::Again,
            Ok(Step::Idle) => {
                if pipe.inbox.is_empty() {
                    pipe.behind_since = None;
                }
                return Turn::Wait;
            }
            Ok(Step::Finished) => None,
            Err(error) => Some(error),
        };
        drop(pipe);
        *held = None;
        self.close(last);
        Turn::Wait
    }

    fn patience(&self) -> Duration {
        Duration::from_millis(self.patience.load(Ordering::Relaxed))
    }

    fn panicked(&self) {
        *self.decoding.lock() = None;
        self.close(Some(SessionError::Defect));
    }
}

/// Queues nothing yet: the first push does.
pub(crate) fn start(
    pool: PoolHandle,
    request: SessionRequest,
    buffered_bytes: usize,
    permit: Arc<OwnedSemaphorePermit>,
) -> (AudioInput, Updates) {
    start_decoding(pool, Decoding::new(request), buffered_bytes, permit)
}

pub(crate) fn start_decoding(
    pool: PoolHandle,
    decoding: Decoding,
    buffered_bytes: usize,
    permit: Arc<OwnedSemaphorePermit>,
) -> (AudioInput, Updates) {
    let job = Job::new(Task {
        pipe: Mutex::default(),
        room: Notify::new(),
        news: Notify::new(),
        patience: AtomicU64::new(decoding.patience().as_millis() as u64),
        decoding: Mutex::new(Some((decoding, permit))),
        telemetry: Arc::clone(pool.telemetry()),
    });
    let line = Line { pool, job };
    (AudioInput { line: line.clone(), buffered_bytes }, Updates { line })
}

#[derive(Clone)]
struct Line {
    pool: PoolHandle,
    job: Arc<Job<Task>>,
}

impl Line {
    fn pipe(&self) -> parking_lot::MutexGuard<'_, Pipe> {
        self.job.work.pipe.lock()
    }

    fn wake(&self) {
        self.pool.wake(&self.job);
    }

    fn abandon(&self) {
        self.pipe().abandoned = true;
        self.wake();
    }
}

/// The session takes no more bytes; its updates say why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed;

/// The way in.
pub struct AudioInput {
    line: Line,
    buffered_bytes: usize,
}

impl AudioInput {
    /// Adds bytes of the recording, waiting for room first.
    ///
    /// A push may overfill the room once, by the length of `bytes`: pass pieces as they come off the network.
    pub async fn push(&mut self, bytes: Bytes) -> Result<(), Closed> {
        self.room().await;
        self.add(bytes)
    }

    /// Waits until a push would not have to wait, or the session is closed. May be given up at any time.
    pub async fn room(&mut self) {
        loop {
            {
                let pipe = self.line.pipe();
                if pipe.closed || pipe.inbox_bytes < self.buffered_bytes {
                    return;
                }
            }
            self.line.job.work.room.notified().await;
        }
    }

    fn add(&mut self, bytes: Bytes) -> Result<(), Closed> {
        {
            let mut pipe = self.line.pipe();
            if pipe.closed {
                return Err(Closed);
            }
            if !bytes.is_empty() {
                pipe.inbox_bytes += bytes.len();
                pipe.inbox.push_back(bytes);
                pipe.behind_since.get_or_insert_with(Instant::now);
            }
        }
        self.line.wake();
        Ok(())
    }

    /// Says that the recording is complete. An input that is dropped without ends the session without a result.
    pub fn finish(self) {
        self.line.pipe().complete = Some(Instant::now());
        self.line.wake();
    }

    /// How far the session has come.
    pub fn progress(&self) -> Progress {
        self.line.pipe().progress()
    }
}

impl Drop for AudioInput {
    fn drop(&mut self) {
        let complete = self.line.pipe().complete;
        if complete.is_none() {
            self.line.abandon();
        }
    }
}

/// The way out.
pub struct Updates {
    line: Line,
}

impl Updates {
    /// How far the session has come, also when its input is complete.
    pub fn progress(&self) -> Progress {
        self.line.pipe().progress()
    }

    /// The next update, or `None` after the last. An error is the last.
    pub async fn next(&mut self) -> Option<Result<Update, SessionError>> {
        loop {
            {
                let mut pipe = self.line.pipe();
                let was_full = pipe.outbox.len() >= WAITING_UPDATES;
                if let Some(update) = pipe.outbox.pop_front() {
                    drop(pipe);
                    if was_full {
                        self.line.wake();
                    }
                    return Some(update);
                }
                if pipe.closed {
                    return None;
                }
            }
            self.line.job.work.news.notified().await;
        }
    }
}

impl Drop for Updates {
    fn drop(&mut self) {
        let closed = self.line.pipe().closed;
        if !closed {
            self.line.abandon();
        }
    }
}
