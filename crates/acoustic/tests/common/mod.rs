//! What several test programs need: the installed model, recordings, signals made here, and Sphinx's own tools.
#![allow(dead_code, reason = "each test program uses its part")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The US English model, or `None` with a line that says what is skipped.
pub fn model_dir(test: &str) -> Option<PathBuf> {
    let root = std::env::var_os("DICTUM_MODEL_DIR").unwrap_or_else(|| "/usr/share/pocketsphinx/model/en-us".into());
    let dir = Path::new(&root).join("en-us");
    if dir.join("mdef").exists() {
        return Some(dir);
    }
    println!("skipped: {test}: no model in {}; install pocketsphinx-en-us or set DICTUM_MODEL_DIR", dir.display());
    None
}

/// Whether a program can be started; says what is skipped when not.
pub fn tool(test: &str, name: &str, package: &str) -> bool {
    let found = Command::new(name).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !found {
        println!("skipped: {test}: {name} is not installed (Debian package {package})");
    }
    found
}

/// Development recordings, or `None` with a line that says what is skipped.
pub fn shared_audio(test: &str) -> Option<PathBuf> {
    let root = std::env::var_os("DICTUM_SHARED_AUDIO")
        .map(PathBuf::from)
        .unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/audio"));
    if root.join("en/manifest.tsv").exists() {
        return Some(root);
    }
    println!("skipped: {test}: no recordings; set DICTUM_SHARED_AUDIO");
    None
}

/// The first `count` 16 kHz PCM clips of the evaluation recordings that some source has one each of.
pub fn clips(test: &str, count: usize) -> Vec<Vec<f32>> {
    let Some(root) = shared_audio(test) else { return Vec::new() };
    let manifest = std::fs::read_to_string(root.join("en/manifest.tsv")).expect("manifest");
    let mut sources = Vec::new();
    let mut clips = Vec::new();
    for line in manifest.lines().skip(1) {
        let path = line.split('\t').next().unwrap_or("");
        let source = path.split('/').next().unwrap_or("").to_string();
        if clips.len() == count || sources.contains(&source) {
            continue;
        }
        if let Some(samples) = read_wav(&root.join("en").join(path)) {
            sources.push(source);
            clips.push(samples);
        }
    }
    clips
}

/// Samples of a 16 kHz mono 16-bit PCM wav file.
pub fn read_wav(path: &Path) -> Option<Vec<f32>> {
    let bytes = std::fs::read(path).ok()?;
    let word = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let mut at = 12;
    let mut suitable = false;
    while at + 8 <= bytes.len() {
        let length = word(at + 4)? as usize;
        let body = bytes.get(at + 8..(at + 8 + length).min(bytes.len()))?;
        match &bytes[at..at + 4] {
            b"fmt " => suitable = body.get(..8)? == [1, 0, 1, 0, 0x80, 0x3e, 0, 0] && body.get(14..16)? == [16, 0],
            b"data" if suitable => return Some(from_pcm(body)),
            _ => {}
        }
        at += 8 + length + length % 2;
    }
    None
}

/// Little-endian 16-bit samples as numbers.
pub fn from_pcm(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(2).map(|pair| f32::from(i16::from_le_bytes([pair[0], pair[1]])) / 32_768.0).collect()
}

/// Numbers as little-endian 16-bit samples.
pub fn to_pcm(samples: &[f32]) -> Vec<u8> {
    samples.iter().flat_map(|&sample| ((sample * 32_768.0).round() as i16).to_le_bytes()).collect()
}

/// Deterministic numbers from 0 to 1 (xorshift).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> f32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 40) as f32 / (1u64 << 24) as f32
    }
}

/// Something like speech: gliding harmonics that come and go, over noise; whole 16-bit steps.
pub fn synthetic_speech(seconds: f32) -> Vec<f32> {
    let mut random = Random::new(7);
    let mut phase = 0.0f64;
    (0..(seconds * 16_000.0) as usize)
        .map(|n| {
            let t = n as f64 / 16_000.0;
            phase += 2.0 * std::f64::consts::PI * (120.0 + 40.0 * (3.0 * t).sin()) / 16_000.0;
            let voiced: f64 = (1..30).map(|k| (phase * f64::from(k)).sin() / f64::from(k)).sum();
            let loudness = (2.0 * std::f64::consts::PI * 1.5 * t).sin().max(0.0);
            let value = 0.15 * loudness * voiced + 0.004 * f64::from(random.next() - 0.5);
            ((value * 32_768.0).round() / 32_768.0) as f32
        })
        .collect()
}
