//! Recordings for tests: made here, spoken by a synthesiser, or real ones.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// 16-bit samples as bytes.
pub fn linear(samples: &[i16]) -> Vec<u8> {
    samples.iter().flat_map(|sample| sample.to_le_bytes()).collect()
}

/// A WAV file of 16-bit samples, with the header's fields as given.
pub fn wav(rate: u32, channels: u16, samples: &[i16]) -> Vec<u8> {
    let data = linear(samples);
    let frame = channels * 2;
    let mut file = b"RIFF".to_vec();
    file.extend((36 + data.len() as u32).to_le_bytes());
    file.extend(b"WAVEfmt \x10\0\0\0\x01\0");
    file.extend(channels.to_le_bytes());
    file.extend(rate.to_le_bytes());
    file.extend((rate * u32::from(frame)).to_le_bytes());
    file.extend(frame.to_le_bytes());
    file.extend(16_u16.to_le_bytes());
    file.extend(b"data");
    file.extend((data.len() as u32).to_le_bytes());
    file.extend(data);
    file
}

/// Nearly silent samples: no two alike in a row, as from a microphone in a quiet room.
pub fn quiet(count: usize) -> Vec<i16> {
    noise(count * 2).chunks_exact(2).map(|pair| i16::from(pair[0] & 3) - 2).collect()
}

/// Bytes that mean nothing, always the same ones.
pub fn noise(count: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..count).map(|_| next()).collect()
}

/// The samples of a WAV file as `espeak-ng` writes it, and their rate.
fn samples_of(wav: &[u8]) -> (u32, Vec<i16>) {
    let rate = u32::from_le_bytes(wav[24..28].try_into().unwrap());
    let data = wav.windows(4).position(|window| window == b"data").unwrap() + 8;
    (rate, wav[data..].chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect())
}

/// Sentences that `espeak-ng` speaks, 22050 Hz, with half a second of room after each. `None`: there is no `espeak-ng`.
pub fn spoken() -> Option<&'static (u32, Vec<i16>)> {
    static SPOKEN: OnceLock<Option<(u32, Vec<i16>)>> = OnceLock::new();
    let speak = || {
        let text = "go forward ten meters";
        let output = Command::new("espeak-ng").args(["-v", "en-us", "-s", "140", "--stdout", text]).output().ok()?;
        let (rate, mut samples) = samples_of(&output.stdout);
        let room = quiet(rate as usize / 2);
        samples.extend(&room);
        samples.splice(0..0, room);
        Some((rate, samples))
    };
    SPOKEN.get_or_init(speak).as_ref()
}

/// The same, or a line that says that `test` is skipped.
pub fn spoken_for(test: &str) -> Option<&'static (u32, Vec<i16>)> {
    let spoken = spoken();
    if spoken.is_none() {
        super::skipped(test, "espeak-ng is not installed");
    }
    spoken
}

/// A recording that is not part of the project, by its path among the shared ones.
pub fn shared(test: &str, path: &str) -> Option<Vec<u8>> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/audio");
    let directory = std::env::var_os("DICTUM_SHARED_AUDIO").map_or(beside, PathBuf::from);
    let bytes = std::fs::read(directory.join(path)).ok();
    if bytes.is_none() {
        super::skipped(test, "the shared recordings are not there; say where with DICTUM_SHARED_AUDIO");
    }
    bytes
}
