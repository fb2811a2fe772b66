//! `audio/g729`, by an `ffmpeg` program when there is one: no library that may be linked decodes it.
//!
//! The stream is headerless: frames of 10 ms, 10 bytes at 8 kbit/s (G.729, Annexes A and B without
//! comfort noise) or 8 bytes at 6.4 kbit/s (Annex D). Which one it is shows in the parity bit that
//! only the former has. ffmpeg gets the bytes on its standard input and nothing else: it may open
//! no file and no connection.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::content_type::ContentType;
use crate::error::AudioError;
use crate::source::{Source, SourceInfo};
use crate::worker::{Failure, Input, Output, Worker};

/// Sampling rate of G.729 in Hz.
const RATE: u32 = 8000;

/// Frames looked at to tell the bit rate.
const FRAMES_TO_JUDGE: usize = 50;

/// ffmpeg is given up when it says nothing for this long after the end of its input.
const PATIENCE: Duration = Duration::from_secs(30);

/// The `ffmpeg` program on the search path of this process, if any.
pub fn find_ffmpeg() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join("ffmpeg")).find(|file| runnable(file))
}

#[cfg(unix)]
fn runnable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata().is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn runnable(file: &Path) -> bool {
    file.is_file()
}

/// A decoder for raw G.729.
pub(crate) fn source(ffmpeg: PathBuf) -> Result<Box<dyn Source>, AudioError> {
    let decode = move |input: Input, output: &Output| decode(&ffmpeg, input, output);
    Ok(Box::new(Worker::start(ContentType::G729, decode)?))
}

/// An ffmpeg that does not outlive its owner.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself already; either way it must be waited for.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(ffmpeg: &Path, bit_rate: &str) -> std::io::Result<Process> {
    let child = Command::new(ffmpeg)
        .args(["-hide_banner", "-loglevel", "quiet", "-protocol_whitelist", "pipe"])
        .args(["-analyzeduration", "0", "-f", "g729", "-bit_rate", bit_rate, "-i", "pipe:0"])
        .args(["-f", "f32le", "-ar", "8000", "-ac", "1", "-flush_packets", "1", "pipe:1"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    Ok(Process(child))
}

fn decode(ffmpeg: &Path, mut input: Input, output: &Output) -> Result<(), Failure> {
    let mut front = Vec::new();
    let wanted = (FRAMES_TO_JUDGE * 10) as u64;
    (&mut input).take(wanted).read_to_end(&mut front).map_err(|_| Failure::Stopped)?;
    let bit_rate = if has_parity(&front) { "8000" } else { "6400" };
    let failed = |e: std::io::Error| Failure::Data(format!("ffmpeg does not start: {e}"));
    let mut process = start(ffmpeg, bit_rate).map_err(failed)?;
    let (Some(mut stdin), Some(mut stdout)) = (process.0.stdin.take(), process.0.stdout.take()) else {
        return Err(Failure::Data("ffmpeg has no pipes".to_owned()));
    };
    output.format(SourceInfo { content_type: ContentType::G729, encoding: "g729", sample_rate: RATE, channels: 1 })?;

    let received = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| receive(&mut stdout, output, &received));
        let written = stdin.write_all(&front).and_then(|()| {
            let mut buffer = [0; 4096];
            loop {
                match input.read(&mut buffer)? {
                    0 => return Ok(()),
                    count => stdin.write_all(&buffer[..count])?,
                }
            }
        });
        drop(stdin);
        if written.is_err() {
            // Told to stop, or ffmpeg has gone: its output ends here.
            drop(process);
        } else {
            await_end(&reader, &received, process);
        }
        reader.join().unwrap_or(Err(Failure::Stopped))
    })
}

/// Waits for the reader to see the end; kills ffmpeg when nothing comes any more.
fn await_end<T>(reader: &std::thread::ScopedJoinHandle<'_, T>, received: &AtomicUsize, process: Process) {
    let (mut before, mut since) = (received.load(Ordering::Relaxed), Instant::now());
    while !reader.is_finished() && since.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(2));
        let now = received.load(Ordering::Relaxed);
        if now != before {
            (before, since) = (now, Instant::now());
        }
    }
    drop(process);
}

/// Reads `f32` samples until the end.
fn receive(stdout: &mut impl Read, output: &Output, received: &AtomicUsize) -> Result<(), Failure> {
    let mut buffer = [0u8; 8192];
    let mut held = 0;
    loop {
        match stdout.read(&mut buffer[held..]) {
            Ok(0) | Err(_) => break,
            Ok(count) => held += count,
        }
        let (samples, rest) = buffer[..held].as_chunks::<4>();
        let samples: Vec<f32> = samples.iter().map(|&b| crate::pcm::tame(f32::from_le_bytes(b))).collect();
        let rest_len = rest.len();
        received.fetch_add(samples.len(), Ordering::Relaxed);
        output.samples(samples)?;
        buffer.copy_within(held - rest_len..held, 0);
        held = rest_len;
    }
    if received.load(Ordering::Relaxed) == 0 {
        return Err(Failure::Data("ffmpeg found no sound".to_owned()));
    }
    Ok(())
}

/// Whether frames of 10 bytes carry the parity of the pitch delay (ITU-T G.729, 3.7.2): bit 26 is
/// odd parity over bits 18 to 23. By chance half of the frames do; a stream of frames all do but
/// for transmission errors.
fn has_parity(bytes: &[u8]) -> bool {
    let frames = bytes.as_chunks::<10>().0;
    let right = frames
        .iter()
        .filter(|frame| {
            let word = u32::from_be_bytes([frame[0], frame[1], frame[2], frame[3]]);
            let delay = word >> 8 & 0x3f; // bits 18..=23
            let parity = word >> 5 & 1; // bit 26
            (delay.count_ones() + parity) & 1 == 1
        })
        .count();
    right * 5 >= frames.len() * 4
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bit_rate_shows_in_the_parity() {
        let mut seed = 1u32;
        let mut random = || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 24) as u8
        };
        let mut frames: Vec<u8> = (0..400).map(|_| random()).collect();
        assert!(!has_parity(&frames));
        for frame in frames.chunks_mut(10) {
            let delay = frame[2] & 0x3f;
            let parity = (delay.count_ones() + 1) as u8 & 1;
            frame[3] = frame[3] & !0x20 | parity << 5;
        }
        assert!(has_parity(&frames));
    }
}
