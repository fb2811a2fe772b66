//! A decoder that pulls its bytes, run so that bytes can be pushed into it.
//!
//! `symphonia` reads from a `Read`; here bytes arrive when they arrive. So it runs on a thread of
//! its own and the two take turns: [`Worker::push`] hands over bytes and returns when the thread
//! has used them all up and wants more. What comes out depends on the bytes alone, not on timing.
//!
//! Memory is bounded: one piece of input ([`PIECE`] bytes) and [`OUTPUT_SAMPLES`] samples (plus
//! one packet) wait at any time; the thread stands still until they have been taken away.
//!
//! Dropping the worker wakes the thread, makes its next read or write fail, and waits for its end.
//! A decoder that keeps reading in spite of that, or after the end of the stream, is unwound.

use std::io::{self, Read};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use crate::content_type::ContentType;
use crate::error::AudioError;
use crate::source::{Sink, Source, SourceInfo, unable};

/// Bytes handed to the thread at a time.
const PIECE: usize = 64 * 1024;

/// Decoded samples that may wait for being taken.
const OUTPUT_SAMPLES: usize = 32 * 1024;

/// Bytes a decoder may read without giving a single sample: no header is that long.
const LONGEST_SILENT_READ: usize = 32 * 1024 * 1024;

/// Reads at the end of the stream (or after being told to stop) that are put down to an endless
/// loop. Decoders usually give up after one.
const MOST_READS_AT_END: usize = 10_000;

/// Why a decoder gave up.
pub(crate) enum Failure {
    /// The data cannot be decoded, with the reason.
    Data(String),
    /// The worker is being dropped.
    Stopped,
}

/// What the thread hands over.
enum Item {
    Format(SourceInfo),
    Samples(Vec<f32>),
}

#[derive(Default)]
struct State {
    input: Vec<u8>,
    read: usize,
    /// No more input will come.
    end: bool,
    /// The thread waits for input.
    hungry: bool,
    output: Vec<Item>,
    output_samples: usize,
    /// Bytes read since samples last came out.
    without_output: usize,
    stop: bool,
    /// Set when the thread is done.
    outcome: Option<Result<(), String>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// Wakes the thread.
    for_decoder: Condvar,
    /// Wakes the owner of the worker.
    for_owner: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nobody panics while holding the lock; if it were so, the state is still meaningful.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The reading end, on the thread.
pub(crate) struct Input {
    shared: Arc<Shared>,
    reads_at_end: usize,
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let mut state = self.shared.lock();
        loop {
            if state.stop || state.input.len() == state.read && state.end {
                let stopped = state.stop;
                drop(state);
                self.reads_at_end += 1;
                if self.reads_at_end > MOST_READS_AT_END {
                    resume_unwind(Box::new("decoder does not stop at the end"));
                }
                return if stopped { Err(io::Error::other("stopped")) } else { Ok(0) };
            }
            if state.read < state.input.len() {
                break;
            }
            state.hungry = true;
            self.shared.for_owner.notify_one();
            state = self.shared.for_decoder.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let count = buffer.len().min(state.input.len() - state.read);
        state.without_output += count;
        if state.without_output > LONGEST_SILENT_READ {
            return Err(io::Error::other("nothing decoded in 32 MiB"));
        }
        let from = state.read;
        buffer[..count].copy_from_slice(&state.input[from..from + count]);
        state.read += count;
        Ok(count)
    }
}

/// The writing end, on the thread.
pub(crate) struct Output {
    shared: Arc<Shared>,
}

impl Output {
    /// Announces a format.
    pub(crate) fn format(&self, info: SourceInfo) -> Result<(), Failure> {
        self.put(Item::Format(info), 0)
    }

    /// Hands over mono samples; waits while enough others are waiting.
    pub(crate) fn samples(&self, mono: Vec<f32>) -> Result<(), Failure> {
        let count = mono.len();
        self.put(Item::Samples(mono), count)
    }

    fn put(&self, item: Item, samples: usize) -> Result<(), Failure> {
        let mut state = self.shared.lock();
        while state.output_samples >= OUTPUT_SAMPLES && !state.stop {
            self.shared.for_owner.notify_one();
            state = self.shared.for_decoder.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.stop {
            return Err(Failure::Stopped);
        }
        if samples > 0 {
            state.output_samples += samples;
            state.without_output = 0;
        }
        match (item, state.output.last_mut()) {
            (Item::Samples(mut more), Some(Item::Samples(waiting))) => waiting.append(&mut more),
            (item, _) => state.output.push(item),
        }
        Ok(())
    }
}

/// A decoder on a thread.
pub(crate) struct Worker {
    declared: ContentType,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Starts `decode` on a thread. `declared` is what error messages name.
    pub(crate) fn start(
        declared: ContentType,
        decode: impl FnOnce(Input, &Output) -> Result<(), Failure> + Send + 'static,
    ) -> Result<Worker, AudioError> {
        let shared = Arc::new(Shared::default());
        let output = Output { shared: shared.clone() };
        let input = Input { shared: shared.clone(), reads_at_end: 0 };
        let body = move || {
            let result = catch_unwind(AssertUnwindSafe(|| decode(input, &output)));
            let mut state = output.shared.lock();
            state.outcome = Some(match result {
                Ok(Ok(()) | Err(Failure::Stopped)) => Ok(()),
                Ok(Err(Failure::Data(reason))) => Err(reason),
                Err(_) => Err("the decoder failed on malformed data".to_owned()),
            });
            output.shared.for_owner.notify_one();
        };
        let thread = std::thread::Builder::new()
            .name("audio-decode".to_owned())
            .spawn(body)
            .map_err(|e| AudioError::Resources(e.to_string()))?;
        Ok(Worker { declared, shared, thread: Some(thread) })
    }

    /// Hands on output until the thread wants input or is done.
    fn drain(&mut self, sink: &mut dyn Sink) -> Result<(), AudioError> {
        loop {
            let mut state = self.shared.lock();
            while state.output_samples < OUTPUT_SAMPLES && !state.hungry && state.outcome.is_none() {
                state = self.shared.for_owner.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            let items = std::mem::take(&mut state.output);
            state.output_samples = 0;
            let finished = state.hungry || state.outcome.is_some();
            let failed = match &state.outcome {
                Some(Err(reason)) => Some(unable(&self.declared, reason.clone())),
                _ => None,
            };
            drop(state);
            self.shared.for_decoder.notify_one();
            for item in items {
                match item {
                    Item::Format(info) => sink.format(info)?,
                    Item::Samples(mono) => sink.samples(&mono)?,
                }
            }
            match failed {
                Some(error) => return Err(error),
                None if finished => return Ok(()),
                None => {}
            }
        }
    }
}

impl Source for Worker {
    fn push(&mut self, bytes: &[u8], sink: &mut dyn Sink) -> Result<(), AudioError> {
        for piece in bytes.chunks(PIECE) {
            let mut state = self.shared.lock();
            state.input.clear();
            state.input.extend_from_slice(piece);
            state.read = 0;
            state.hungry = false;
            drop(state);
            self.shared.for_decoder.notify_one();
            self.drain(sink)?;
        }
        Ok(())
    }

    fn finish(&mut self, sink: &mut dyn Sink) -> Result<(), AudioError> {
        let mut state = self.shared.lock();
        state.end = true;
        state.hungry = false;
        drop(state);
        self.shared.for_decoder.notify_one();
        self.drain(sink)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.shared.lock().stop = true;
        self.shared.for_decoder.notify_one();
        if let Some(thread) = self.thread.take() {
            // The thread catches what its decoder throws, so there is nothing in the result.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::testing::Kept;

    fn info() -> SourceInfo {
        SourceInfo { content_type: ContentType::Mp3, encoding: "test", sample_rate: 8000, channels: 1 }
    }

    /// Gives one sample for each byte.
    fn echo(mut input: Input, output: &Output) -> Result<(), Failure> {
        output.format(info())?;
        let mut buffer = [0; 100];
        loop {
            let count = input.read(&mut buffer).map_err(|_| Failure::Stopped)?;
            if count == 0 {
                return Ok(());
            }
            output.samples(buffer[..count].iter().map(|&b| f32::from(b)).collect())?;
        }
    }

    #[test]
    fn every_push_returns_what_it_causes() {
        let mut worker = Worker::start(ContentType::Mp3, echo).unwrap();
        let mut kept = Kept::default();
        for n in 1..=50 {
            worker.push(&[7; 10], &mut kept).unwrap();
            assert_eq!(kept.samples.len(), n * 10);
        }
        worker.push(&vec![1; 300_000], &mut kept).unwrap();
        assert_eq!(kept.samples.len(), 300_500);
        worker.finish(&mut kept).unwrap();
        assert_eq!(kept.formats, [info()]);
    }

    #[test]
    fn output_beyond_the_bound_waits_and_a_stop_reaches_the_decoder() {
        struct Stop(usize);
        impl Sink for Stop {
            fn format(&mut self, _: SourceInfo) -> Result<(), AudioError> {
                Ok(())
            }
            fn samples(&mut self, mono: &[f32]) -> Result<(), AudioError> {
                assert!(mono.len() <= OUTPUT_SAMPLES + 1000);
                self.0 += mono.len();
                if self.0 > 1_000_000 { Err(AudioError::Stopped) } else { Ok(()) }
            }
        }
        let endless = |_: Input, output: &Output| loop {
            output.samples(vec![0.0; 1000])?;
        };
        let mut worker = Worker::start(ContentType::Mp3, endless).unwrap();
        assert_eq!(worker.push(&[0], &mut Stop(0)), Err(AudioError::Stopped));
        drop(worker);
    }

    #[test]
    fn a_decoder_that_panics_or_never_stops_is_an_error() {
        let mut kept = Kept::default();
        let panics = |_: Input, _: &Output| resume_unwind(Box::new("bug"));
        let mut worker = Worker::start(ContentType::Flac, panics).unwrap();
        let result = worker.push(&[0], &mut kept);
        assert!(matches!(result, Err(AudioError::UnableToTranscode { .. })));

        let spins = |mut input: Input, _: &Output| loop {
            let _ = input.read(&mut [0; 8]);
        };
        let mut worker = Worker::start(ContentType::Flac, spins).unwrap();
        worker.push(&[0; 8], &mut kept).unwrap();
        assert!(worker.finish(&mut kept).is_err());
        let mut dropped = Worker::start(ContentType::Flac, spins).unwrap();
        dropped.push(&[0; 8], &mut kept).unwrap();
        drop(dropped);
    }

    #[test]
    fn a_header_without_end_is_given_up() {
        let swallows = |mut input: Input, _: &Output| {
            let mut buffer = vec![0; 1 << 16];
            loop {
                if input.read(&mut buffer).map_err(|e| Failure::Data(e.to_string()))? == 0 {
                    return Ok(());
                }
            }
        };
        let mut worker = Worker::start(ContentType::Flac, swallows).unwrap();
        let mut kept = Kept::default();
        let piece = vec![0; 1 << 20];
        let refused = (0..100).position(|_| worker.push(&piece, &mut kept).is_err());
        assert_eq!(refused, Some(32));
    }
}
