//! What the tests of this crate share: the chirp of `data/README.md`, files, and measures.
#![allow(dead_code)] // each test binary uses its part

use std::path::{Path, PathBuf};
use std::process::Command;

use dictum_audio::{AudioError, ContentType, Decoder};

/// Seconds of the chirp.
pub const SECONDS: f64 = 1.2;

/// The chirp at a rate.
pub fn chirp(rate: u32) -> Vec<f32> {
    let count = (SECONDS * f64::from(rate)) as usize;
    (0..count)
        .map(|n| {
            let t = n as f64 / f64::from(rate);
            (0.4 * (std::f64::consts::TAU * (300.0 * t + 500.0 * t * t)).sin()) as f32
        })
        .collect()
}

/// The bytes of a file in `data`.
pub fn data(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

pub fn ty(text: &str) -> ContentType {
    ContentType::parse(Some(text)).unwrap()
}

/// Decodes `bytes` cut into pieces; upsampling allowed.
pub fn decode(ty: &ContentType, rate: u32, bytes: &[u8], piece: usize) -> Result<Vec<f32>, AudioError> {
    let mut decoder = Decoder::new(ty, rate).allow_upsampling(true);
    let mut all = Vec::new();
    for piece in bytes.chunks(piece.max(1)) {
        all.extend(decoder.push(piece)?);
    }
    all.extend(decoder.finish()?);
    Ok(all)
}

/// How well `got` is `expected` sample for sample, as a signal-to-noise ratio in dB over the
/// middle 80 % of `expected`. A shift by one sample at 16 kHz costs the chirp all but about 9 dB.
pub fn snr(got: &[f32], expected: &[f32]) -> f64 {
    let range = expected.len() / 10..(expected.len() * 9 / 10).min(got.len());
    assert!(range.len() > expected.len() / 2, "{} samples, expected {}", got.len(), expected.len());
    let (mut signal, mut noise) = (0.0, 1e-20);
    for n in range {
        signal += f64::from(expected[n]).powi(2);
        noise += f64::from(expected[n] - got[n]).powi(2);
    }
    10.0 * (signal / noise).log10()
}

/// Runs a tool and returns its standard output; `None`, and a line that says so, when the tool is
/// not installed.
pub fn tool(test: &str, program: &str, args: &[&str]) -> Option<Vec<u8>> {
    match Command::new(program).args(args).output() {
        Ok(output) => {
            assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
            Some(output.stdout)
        }
        Err(_) => {
            println!("skipped: {test}: {program} is not installed");
            None
        }
    }
}

/// The shared recordings, if they are there.
pub fn shared_audio(test: &str) -> Option<PathBuf> {
    let folder = match std::env::var_os("DICTUM_SHARED_AUDIO") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/audio"),
    };
    if folder.join("en/manifest.tsv").is_file() {
        return Some(folder);
    }
    println!("skipped: {test}: no recordings (set DICTUM_SHARED_AUDIO)");
    None
}

/// Builds a WAV file of a `fmt ` chunk and data.
pub fn wav(tag: u16, channels: u16, rate: u32, bits: u16, data: &[u8]) -> Vec<u8> {
    wav_of_size(tag, channels, rate, bits, data, data.len() as u32)
}

/// The same with a data size of one's choice.
pub fn wav_of_size(tag: u16, channels: u16, rate: u32, bits: u16, data: &[u8], size: u32) -> Vec<u8> {
    let align = channels.wrapping_mul(bits / 8);
    let mut file = b"RIFF".to_vec();
    file.extend(size.wrapping_add(36).to_le_bytes());
    file.extend(b"WAVEfmt \x10\0\0\0");
    file.extend(tag.to_le_bytes());
    file.extend(channels.to_le_bytes());
    file.extend(rate.to_le_bytes());
    file.extend(rate.wrapping_mul(u32::from(align)).to_le_bytes());
    file.extend(align.to_le_bytes());
    file.extend(bits.to_le_bytes());
    file.extend(b"data");
    file.extend(size.to_le_bytes());
    file.extend(data);
    file
}

/// Samples as 16-bit little-endian PCM.
pub fn s16(samples: &[f32]) -> Vec<u8> {
    samples.iter().flat_map(|&s| ((s * 32_768.0).round() as i16).to_le_bytes()).collect()
}
